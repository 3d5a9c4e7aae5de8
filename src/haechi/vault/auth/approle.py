"""Login of machines with a role ID and a secret ID. https://developer.hashicorp.com/vault/api-docs/auth/approle"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from haechi.vault.auth.approle_secret_ids import SecretID, SecretIDs, check_subset, parse_metadata
from haechi.vault.auth.common import (
    DEFAULTS,
    TOKEN_FIELDS,
    auth_values,
    check_blocks,
    check_cidrs,
    merge_token_params,
    parse_policies,
    quoted,
    render_token_params,
    short_form,
)
from haechi.vault.auth.lockout import Lockout
from haechi.vault.durations import render_duration
from haechi.vault.errors import VaultError, invalid, not_found, unsupported_path
from haechi.vault.fields import Fields
from haechi.vault.logical import DELETE, LIST, READ, UPDATE, Auth, Backend, Request, Response, Route, Services, View, listing
from haechi.vault.mounts import Mount

LONGEST_NAME = 4096  # bytes
WRONG = "invalid role or secret ID"
LEGACY_NAMES = ("policies", "period")
ROLE_FIELDS: Fields = {
    "bind_secret_id": "bool",
    "bound_cidr_list": "list",
    "secret_id_bound_cidrs": "list",
    "policies": "list",
    "secret_id_num_uses": "int",
    "secret_id_ttl": "seconds",
    "period": "seconds",
    "role_id": "text",
    "local_secret_ids": "bool",
    **TOKEN_FIELDS,
}
ROLE_DEFAULTS: Mapping[str, Any] = {"bind_secret_id": True, "secret_id_bound_cidrs": [], "secret_id_num_uses": 0, "secret_id_ttl": 0}
SECRET_ID_FIELDS: Fields = {"metadata": "any", "cidr_list": "list", "token_bound_cidrs": "list", "num_uses": "int", "ttl": "seconds"}
TOO_LONG = "token_max_ttl is greater than the backend mount's maximum TTL value; issued tokens' max TTL value will be truncated"
TIDY_STARTED = "Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs."


@dataclass(frozen=True)
class Setting:
    """A field of a role that has an endpoint of its own: its names there (the first is today's), what is said when it is missing."""

    names: tuple[str, ...]
    missing: str = ""

    @property
    def fields(self) -> Fields:
        return {name: ROLE_FIELDS[name] for name in self.names}


SETTINGS: Mapping[str, Setting] = {  # by the last part of the path
    "bind-secret-id": Setting(("bind_secret_id",)),
    "bound-cidr-list": Setting(("bound_cidr_list",)),
    "period": Setting(("token_period", "period"), "period"),
    "policies": Setting(("token_policies", "policies")),
    "secret-id-bound-cidrs": Setting(("secret_id_bound_cidrs",), "bound_cidr_list"),
    "secret-id-num-uses": Setting(("secret_id_num_uses",)),
    "secret-id-ttl": Setting(("secret_id_ttl",)),
    "token-bound-cidrs": Setting(("token_bound_cidrs",)),
    "token-max-ttl": Setting(("token_max_ttl",)),
    "token-num-uses": Setting(("token_num_uses",)),
    "token-ttl": Setting(("token_ttl",)),
}


class AppRole(Backend):
    TYPE = "approle"
    ROUTES = (
        Route("role", {LIST: "list_roles"}),
        Route("role/{role_name}", {READ: "read_role", UPDATE: "write_role", DELETE: "delete_role"}, ROLE_FIELDS, exists="role_exists"),
        *(
            Route(f"role/{{role_name}}/{part}", {READ: "read_setting", UPDATE: "write_setting", DELETE: "reset_setting"}, setting.fields)
            for part, setting in SETTINGS.items()
        ),
        Route("role/{role_name}/local-secret-ids", {READ: "read_local_secret_ids"}),
        Route("role/{role_name}/role-id", {READ: "read_role_id", UPDATE: "write_role_id"}, {"role_id": "text"}),
        Route("role/{role_name}/secret-id", {LIST: "list_secret_ids", UPDATE: "generate_secret_id"}, SECRET_ID_FIELDS),
        Route("role/{role_name}/custom-secret-id", {UPDATE: "assign_secret_id"}, {"secret_id": "text", **SECRET_ID_FIELDS}),
        Route("role/{role_name}/secret-id/lookup", {UPDATE: "look_up"}, {"secret_id": "text"}),
        Route("role/{role_name}/secret-id/destroy", {UPDATE: "destroy", DELETE: "destroy"}, {"secret_id": "text"}),
        Route("role/{role_name}/secret-id-accessor/lookup", {UPDATE: "look_up_accessor"}, {"secret_id_accessor": "text"}),
        Route(
            "role/{role_name}/secret-id-accessor/destroy",
            {UPDATE: "destroy_accessor", DELETE: "destroy_accessor"},
            {"secret_id_accessor": "text"},
        ),
        Route("login", {UPDATE: "login"}, {"role_id": "text", "secret_id": "text"}, free=True),
        Route("tidy/secret-id", {UPDATE: "tidy"}),
    )

    def __init__(self, services: Services, mount: Mount) -> None:
        super().__init__(services, mount)
        self.secret_ids = SecretIDs(services)
        self.lockout = Lockout(services, mount)

    # Roles. Storage: role/<name> the role, role_id/<hash of the role ID> {"name"}.

    @staticmethod
    def _role(view: View, name: str) -> dict[str, Any] | None:
        return view.get(f"role/{name.lower()}")

    def _known(self, view: View, name: str) -> dict[str, Any]:
        role = self._role(view, name)
        if role is None:
            raise not_found()
        return role

    def _index(self, role_id: str) -> str:
        try:
            role_id.encode()
        except UnicodeEncodeError:
            raise invalid(WRONG) from None
        return "role_id/" + self.services.keyed_hash(f"approle-role:{role_id}")

    def role_exists(self, request: Request, role_name: str) -> bool:
        return self._role(request.view, role_name) is not None

    def list_roles(self, request: Request) -> Response:
        return listing(request.view.list("role/"))

    def read_role(self, request: Request, role_name: str) -> Response:
        role = self._known(request.view, role_name)
        shown = {name: role[name] for name in ("bind_secret_id", "secret_id_num_uses", "secret_id_ttl", "local_secret_ids")}
        return Response({**shown, "secret_id_bound_cidrs": role["secret_id_bound_cidrs"] or None, **render_token_params(role["token"])})

    def write_role(self, request: Request, role_name: str) -> Response | None:
        values, view = dict(request.values), request.view
        if len(role_name.encode()) > LONGEST_NAME:
            raise invalid(f"role_name is longer than maximum of {LONGEST_NAME} bytes")
        warnings = []
        kind = values.get("token_type", "")
        if kind in ("default-service", "default-batch"):
            values["token_type"] = kind.removeprefix("default-")
            warnings.append(f"{kind} has no useful meaning; adjusting to {values['token_type']}")
        role = self._role(view, role_name)
        if role is None:
            role = {"name": role_name.lower(), "role_id": str(uuid.uuid4()), "hmac_key": str(uuid.uuid4()), "token": {}}
            role |= {**ROLE_DEFAULTS, "local_secret_ids": values.get("local_secret_ids", False)}
        elif "local_secret_ids" in values:
            raise invalid("local_secret_ids can only be modified during role creation")
        if values.get("role_id") == "":
            raise invalid("invalid role_id supplied, or failed to generate a role_id")
        self._save(view, self._changed(role, values))
        if role["token"].get("token_max_ttl", 0) > self.services.max_ttl(self.mount):
            warnings.append(TOO_LONG)
        return Response(warnings=warnings) if warnings else None

    def _changed(self, role: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """The role, changed in place by converted parameters. Raises VaultError 400."""
        role["token"] = merge_token_params(role["token"], values, LEGACY_NAMES)
        role |= {name: values[name] for name in (*ROLE_DEFAULTS, "role_id") if name in values}
        if "bound_cidr_list" in values and "secret_id_bound_cidrs" not in values:
            role["secret_id_bound_cidrs"] = values["bound_cidr_list"]
        check_blocks(role["secret_id_bound_cidrs"])
        if role["secret_id_num_uses"] < 0:
            raise invalid("secret_id_num_uses cannot be negative")
        longest, period = self.services.max_ttl(self.mount), role["token"]["token_period"]
        if "period" in values and period > longest:
            found, limit = render_duration(period), render_duration(longest)
            raise invalid(f'period of "{found}" is greater than the backend\'s maximum lease TTL of "{limit}"')
        return role

    def _save(self, view: View, role: dict[str, Any]) -> None:
        if not (role["bind_secret_id"] or role["secret_id_bound_cidrs"] or role["token"]["token_bound_cidrs"]):
            raise invalid("at least one constraint should be enabled on the role")
        index = view.get(self._index(role["role_id"]))
        if index is not None and index["name"] != role["name"]:
            raise invalid("role_id already in use")
        before = self._role(view, role["name"])
        if before is not None and before["role_id"] != role["role_id"]:
            view.delete(self._index(before["role_id"]))
        view.put(self._index(role["role_id"]), {"name": role["name"]})
        view.put(f"role/{role['name']}", role)

    def delete_role(self, request: Request, role_name: str) -> None:
        role = self._role(request.view, role_name)
        if role is not None:
            self.secret_ids.delete_all(request.view, role)
            request.view.delete(self._index(role["role_id"]))
            request.view.delete(f"role/{role['name']}")

    # One field of a role.

    @staticmethod
    def _setting(request: Request) -> Setting:
        return SETTINGS[request.path.rstrip("/").rpartition("/")[2]]

    def read_setting(self, request: Request, role_name: str) -> Response:
        role, setting = self._known(request.view, role_name), self._setting(request)
        name = setting.names[0]
        if name == "bound_cidr_list":
            warning = 'The "bound_cidr_list" field is deprecated and will be removed. Please use "secret_id_bound_cidrs" instead.'
            return Response({name: role["secret_id_bound_cidrs"] or None}, warnings=[warning])
        shown = render_token_params(role["token"])
        found = shown.get(name, role.get(name))
        data = {name: None if found == [] and name != "token_policies" else found}
        return Response(data | {old: shown[old] for old in setting.names[1:] if old in shown})

    def write_setting(self, request: Request, role_name: str) -> None:
        role, setting = self._role(request.view, role_name), self._setting(request)
        if role is None:
            raise unsupported_path()
        values = dict(request.values)
        given = [values[name] for name in setting.names if name in values]
        if not given or (given == [[]] and setting.missing == "bound_cidr_list"):
            raise invalid(f"missing {setting.missing or setting.names[0]}")
        for name in ("token_policies", "policies"):
            if name in values:
                values[name] = parse_policies(values[name])
        token = role["token"]
        if 0 < token["token_max_ttl"] < values.get("token_ttl", 0):
            raise invalid("token_ttl should not be greater than token_max_ttl")
        if 0 < values.get("token_max_ttl", 0) < token["token_ttl"]:
            raise invalid("token_max_ttl should be greater than or equal to token_ttl")
        self._save(request.view, self._changed(role, values))

    def reset_setting(self, request: Request, role_name: str) -> None:
        role, setting = self._role(request.view, role_name), self._setting(request)
        if role is None:
            return
        name = "secret_id_bound_cidrs" if setting.names[0] == "bound_cidr_list" else setting.names[0]
        if name in role:
            role[name] = ROLE_DEFAULTS[name]
        else:
            role["token"] |= {name: DEFAULTS[name], "legacy": [old for old in role["token"]["legacy"] if old not in setting.names]}
        self._save(request.view, role)

    def read_local_secret_ids(self, request: Request, role_name: str) -> Response:
        return Response({"local_secret_ids": self._known(request.view, role_name)["local_secret_ids"]})

    def read_role_id(self, request: Request, role_name: str) -> Response:
        return Response({"role_id": self._known(request.view, role_name)["role_id"]})

    def write_role_id(self, request: Request, role_name: str) -> None:
        role = self._role(request.view, role_name)
        if role is None:
            raise unsupported_path()
        if not request.values.get("role_id"):
            raise invalid("missing role_id")
        self._save(request.view, {**role, "role_id": request.values["role_id"]})

    # Secret IDs.

    def _required(self, view: View, name: str, status: int = 400) -> dict[str, Any]:
        role = self._role(view, name)
        if role is None:
            raise VaultError(status, f"role {quoted(name)} does not exist")
        return role

    def list_secret_ids(self, request: Request, role_name: str) -> Response:
        return listing(self.secret_ids.accessors(request.view, self._required(request.view, role_name)))

    def generate_secret_id(self, request: Request, role_name: str) -> Response:
        return self._issue(request, role_name, str(uuid.uuid4()))

    def assign_secret_id(self, request: Request, role_name: str) -> Response:
        secret = request.values.get("secret_id", "")
        if not secret:
            raise invalid("missing secret_id")
        return self._issue(request, role_name, secret)

    def _issue(self, request: Request, role_name: str, secret: str) -> Response:
        role, values = self._required(request.view, role_name, 404), request.values
        if not role["bind_secret_id"]:
            raise invalid("bind_secret_id is not set on the role")
        cidrs, token_cidrs = values.get("cidr_list", []), values.get("token_bound_cidrs", [])
        check_blocks(cidrs)
        check_subset(cidrs, role["secret_id_bound_cidrs"])
        check_blocks(token_cidrs, "failed to validate token CIDR blocks")
        check_subset(token_cidrs, role["token"]["token_bound_cidrs"])
        most, longest = role["secret_id_num_uses"], role["secret_id_ttl"]
        uses, ttl = values.get("num_uses", most), values.get("ttl", longest)
        if uses < 0:
            raise invalid("num_uses cannot be negative")
        if most and not 0 < uses <= most:
            raise invalid("num_uses cannot be higher than the role's secret_id_num_uses")
        if longest and not 0 < ttl <= longest:
            raise invalid("ttl cannot be longer than the role's secret_id_ttl")
        metadata = parse_metadata(values.get("metadata"))
        now, lifetime = self.services.now(), min(ttl, int(self.services.max_ttl(self.mount)))
        entry = SecretID("", uses, ttl, now, now, now + lifetime if lifetime else 0.0, metadata, cidrs, token_cidrs)
        self.secret_ids.add(request.view, role, secret, entry)
        answer = {"secret_id": secret, "secret_id_accessor": entry.accessor}
        return Response({**answer, "secret_id_ttl": lifetime, "secret_id_num_uses": uses})

    def _secret_key(self, request: Request, role_name: str) -> str:
        secret = request.values.get("secret_id", "")
        if not secret:
            raise invalid("missing secret_id")
        return self.secret_ids.key(self._required(request.view, role_name), secret)

    def look_up(self, request: Request, role_name: str) -> Response | None:
        entry = self.secret_ids.get(request.view, self._secret_key(request, role_name))
        return None if entry is None else Response(entry.render())

    def destroy(self, request: Request, role_name: str) -> None:
        self.secret_ids.delete(request.view, self._secret_key(request, role_name))

    def _by_accessor(self, request: Request, role_name: str) -> tuple[bool, str]:
        """Whether the accessor belongs to this role, and the key of its secret ID. Raises VaultError."""
        accessor = request.values.get("secret_id_accessor", "")
        if not accessor:
            raise invalid("missing secret_id_accessor")
        role = self._required(request.view, role_name)
        found = self.secret_ids.by_accessor(request.view, accessor)
        if found is None:
            raise VaultError(404, f"failed to find accessor entry for secret_id_accessor: {quoted(accessor)}")
        return found[0] == role["name"], found[1]

    def look_up_accessor(self, request: Request, role_name: str) -> Response | None:
        ours, key = self._by_accessor(request, role_name)
        entry = self.secret_ids.get(request.view, key) if ours else None
        return None if entry is None else Response(entry.render())

    def destroy_accessor(self, request: Request, role_name: str) -> None:
        ours, key = self._by_accessor(request, role_name)
        if not ours:
            raise VaultError(403, "invalid secret id accessor")
        self.secret_ids.delete(request.view, key)

    def tidy(self, request: Request) -> Response:
        self.secret_ids.tidy(request.view)
        return Response(status=202, warnings=[TIDY_STARTED])

    # Login.

    def login(self, request: Request) -> Response:
        view, address = request.view, request.remote_address
        role_id = request.values.get("role_id", "").strip()
        if not role_id:
            raise invalid("missing role_id")
        index = view.get(self._index(role_id))
        role = None if index is None else self._role(view, index["name"])
        if role is None:
            raise invalid(WRONG)
        self.lockout.check(role_id)
        metadata, token_cidrs = {}, role["token"]["token_bound_cidrs"]
        if role["bind_secret_id"]:
            secret = request.values.get("secret_id", "").strip()
            if not secret:
                raise invalid("missing secret_id")
            key = self.secret_ids.key(role, secret)
            entry = self.secret_ids.get(view, key)
            if entry is None:
                self.lockout.fail(role_id)
                raise invalid(WRONG)
            check_subset(entry.cidr_list, role["secret_id_bound_cidrs"])
            if not check_cidrs(entry.cidr_list, address):
                raise invalid(f"source address {quoted(address)} unauthorized through CIDR restrictions on the secret ID")
            self.secret_ids.spend(view, key, entry)  # undone if the login is refused below
            metadata, token_cidrs = entry.metadata, [short_form(block) for block in entry.token_bound_cidrs] or token_cidrs
        if not check_cidrs(role["secret_id_bound_cidrs"], address):
            raise invalid(f"source address {quoted(address)} unauthorized by CIDR restrictions on the role")
        auth = Auth(
            metadata={**metadata, "role_name": role["name"]}, data={"role_name": role["name"]}, **auth_values(role["token"], self.mount)
        )
        self.lockout.unlock(role_id)
        return Response(auth=replace(auth, bound_cidrs=list(token_cidrs)))

    def clean_up(self, view: View) -> None:
        """Secret ids whose time is over."""
        self.secret_ids.tidy(view)

    def renew_login(self, view: View, auth: Auth) -> Auth:
        role = self._role(view, auth.data["role_name"])
        if role is None:
            raise invalid(f"role {quoted(auth.data['role_name'])} does not exist during renewal")
        token = role["token"]
        return replace(auth, ttl=float(token["token_ttl"]), max_ttl=float(token["token_max_ttl"]), period=float(token["token_period"]))

    def locked(self) -> list[str]:
        """Role IDs that are locked now, for sys/locked-users."""
        return self.lockout.locked()

    def unlock(self, name: str) -> None:
        """Forget the failed logins of a role ID."""
        self.lockout.unlock(name)
