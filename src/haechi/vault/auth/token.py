"""The token method, auth/token/: tokens made from tokens, looked up, renewed and revoked; roles that say how they are made."""

from __future__ import annotations

import fnmatch
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

from haechi.vault.auth.common import TOKEN_FIELDS, merge_token_params, parse_policies, render_token_params
from haechi.vault.clock import render_time
from haechi.vault.errors import VaultError, invalid, not_found
from haechi.vault.logical import Auth, Request, Response, Route, listing
from haechi.vault.store import PrefixView
from haechi.vault.system.base import CoreBackend
from haechi.vault.tokens import ID, Token
from haechi.vault.ttl import Limits, grant

CREATE = {
    "id": "text",
    "policies": "list",
    "meta": "pairs",
    "no_parent": "bool",
    "no_default_policy": "bool",
    "lease": "seconds",
    "ttl": "seconds",
    "renewable": "bool",
    "type": "text",
    "explicit_max_ttl": "seconds",
    "period": "seconds",
    "display_name": "text",
    "num_uses": "int",
    "entity_alias": "text",
    "role_name": "text",
    "metadata": "pairs",
}
ROLE = {
    **TOKEN_FIELDS,
    "allowed_policies": "list",
    "disallowed_policies": "list",
    "allowed_policies_glob": "list",
    "disallowed_policies_glob": "list",
    "allowed_entity_aliases": "list",
    "orphan": "bool",
    "renewable": "bool",
    "path_suffix": "text",
    "period": "seconds",
    "explicit_max_ttl": "seconds",
    "bound_cidrs": "list",
    "role_name": "text",
}
ROLE_TYPES = ("default", "service", "batch", "default-service", "default-batch")
RENEW = {"token": "text", "accessor": "text", "increment": "signed seconds", "urltoken": "text"}
NAMED = {"token": "text", "urltoken": "text"}


class TokenMethod(CoreBackend):
    """Mounted at auth/token/."""

    TYPE = "token"
    ROUTES = (
        Route("create", {"update": "create"}, CREATE),
        Route("create-orphan", {"update": "create_orphan"}, CREATE),
        Route("create/{role_name}", {"update": "create_by_role"}, CREATE),
        Route("lookup-self", {"read": "look_up_self", "update": "look_up_self"}, NAMED),
        Route("lookup", {"update": "look_up", "read": "look_up"}, NAMED),
        Route("lookup-accessor", {"update": "look_up_accessor"}, {"accessor": "text"}),
        Route("renew-self", {"update": "renew_self"}, RENEW),
        Route("renew", {"update": "renew_token"}, RENEW),
        Route("renew-accessor", {"update": "renew_accessor"}, RENEW),
        Route("revoke-self", {"update": "revoke_self"}),
        Route("revoke", {"update": "revoke_token"}, NAMED),
        Route("revoke-accessor", {"update": "revoke_accessor"}, {"accessor": "text"}),
        Route("revoke-orphan", {"update": "revoke_orphan"}, NAMED, sudo=True),
        Route("accessors", {"list": "list_accessors"}, sudo=True),
        Route("tidy", {"update": "tidy"}),
        Route("roles", {"list": "list_roles"}),
        Route("roles/{role_name}", {"read": "read_role", "update": "write_role", "delete": "delete_role"}, ROLE, exists="role_exists"),
    )

    # Making.

    def create(self, request: Request) -> Response:
        return self._create(request, orphan=False)

    def create_orphan(self, request: Request) -> Response:
        return self._create(request, orphan=True)

    def create_by_role(self, request: Request, role_name: str) -> Response:
        role = request.view.get(f"role/{role_name}")
        if role is None:
            raise invalid(f"unknown role {role_name}")
        return self._create(request, orphan=False, role={"name": role_name, **role})

    def _create(self, request: Request, orphan: bool, role: dict[str, Any] | None = None) -> Response:
        """A child of the caller's token, within what that one may do."""
        values, parent, core = request.values, request.token, self.core
        assert parent is not None
        if parent.num_uses:
            raise invalid("restricted use token cannot generate child tokens")
        if parent.type == "batch":
            raise invalid("batch tokens cannot create more tokens")
        acl = core.policies.access(request.transaction, parent.policies)
        sudo = acl.check(request.operation, request.full_path).sudo
        if values.get("entity_alias"):
            raise invalid("entity_alias is not supported: there is no identity engine")
        warnings: list[str] = []
        if role is not None:
            policies = self._role_policies(request, role)
            orphan = role["orphan"]
        else:
            policies = self._policies(request, parent, sudo)
            orphan = orphan or values.get("no_parent", False)
            if values.get("no_parent") and not (sudo or acl.check("update", "auth/token/create-orphan").sudo):
                raise invalid("root or sudo privileges required to create orphan token")
        if "root" in policies and not parent.root:
            raise invalid("root tokens may not be created without parent token being root")
        if "root" in policies and self._type(values, role) == "batch":
            raise invalid("batch tokens cannot be root tokens")
        period = values.get("period", 0)
        if period and not sudo:
            raise invalid("root or sudo privileges required to create periodic token")
        id = values.get("id", "")
        if id:
            self._check_id(request, id, sudo)
        missing = [name for name in policies if name != "root" and core.policies.text(request.transaction, name) is None]
        warnings += [f'Policy "{name}" does not exist' for name in missing]
        kind = self._type(values, role)
        token = Token(
            "",
            "",
            policies,
            request.full_path + (f"/{role['path_suffix'].strip('/')}" if role and role["path_suffix"] else ""),
            display_name=f"token-{values['display_name']}" if values.get("display_name") else "token",
            meta=values.get("meta") or values.get("metadata") or None,
            num_uses=max(values.get("num_uses", 0), 0),
            parent="" if orphan else parent.id,
            created=core.now(),
            explicit_max_ttl=float(values.get("explicit_max_ttl", 0)),
            period=float(period),
            type=kind,
            role=role["name"] if role else "",
            renewable=values.get("renewable", True),
            mount=self.mount.accessor,
        )
        if role:
            _apply_role(token, role)
        elif not orphan:
            token.bound_cidrs = list(parent.bound_cidrs)
        if kind == "batch" and (token.period or token.num_uses or token.explicit_max_ttl or id):
            raise invalid("batch tokens cannot be periodic, have a use limit, an explicit max TTL or a chosen id")
        warnings += self._time(token, float(values.get("ttl") or values.get("lease") or 0))
        return Response(token=core.hand_out(request.transaction, token, id), warnings=warnings)

    def _policies(self, request: Request, parent: Token, sudo: bool) -> list[str]:
        """What was asked for, else the parent's; a subset of the parent's unless sudo."""
        values = request.values
        asked = parse_policies(values.get("policies", []))
        if "response-wrapping" in asked:
            raise invalid('cannot assign policy "response-wrapping"')
        if not asked:
            asked = [name for name in parent.policies if not (values.get("no_default_policy") and name == "default")]
        elif (
            asked != ["root"] and not values.get("no_default_policy") and "default" not in asked and (sudo or "default" in parent.policies)
        ):
            asked = sorted([*asked, "default"])
        if not sudo and not set(asked) <= {*parent.policies, "default"}:
            raise invalid("child policies must be subset of parent")
        return asked

    def _role_policies(self, request: Request, role: dict[str, Any]) -> list[str]:
        parent = request.token
        assert parent is not None
        allowed, globs = parse_policies(role["allowed_policies"]), role["allowed_policies_glob"]
        asked = parse_policies(request.values.get("policies", []))
        if allowed or globs:
            policies = asked or allowed or [name for name in parent.policies if _fits(name, globs)]
            wrong = [name for name in asked if name != "default" and name not in allowed and not _fits(name, globs)]
            if wrong:
                raise invalid(
                    f"token policies ([{' '.join(asked)}]) must be subset of the role's allowed policies ([{' '.join(allowed)}]) "
                    f"or glob policies ([{' '.join(globs)}])"
                )
        else:
            policies = asked or list(parent.policies)
            limited = not (role["disallowed_policies"] or role["disallowed_policies_glob"])
            if limited and not parent.root and not set(policies) <= {*parent.policies, "default"}:
                raise invalid("child policies must be subset of parent")
        default = not (role["token_no_default_policy"] or request.values.get("no_default_policy"))
        if default and "root" not in policies and "default" not in role["disallowed_policies"]:
            policies = sorted({*policies, "default"})
        for name in policies:
            if name in parse_policies(role["disallowed_policies"]) or _fits(name, role["disallowed_policies_glob"]):
                raise invalid(f'token policy "{name}" is disallowed by this role')
        return policies

    def _check_id(self, request: Request, id: str, sudo: bool) -> None:
        if not sudo:
            raise invalid("root or sudo privileges required to specify token id")
        if "." in id or id.startswith(("hvs", "hvb", "hvr")):
            raise invalid("'id' value cannot contain a dot or one of the prefixes of generated tokens")
        if not id.isascii() or not id.isprintable() or len(id) > 512:
            raise invalid("'id' value must be printable ASCII")
        if self.core.tokens.find(request.transaction, id, self.core.now()) is not None:
            raise invalid("cannot create a token with a duplicate ID")

    def _type(self, values: dict[str, Any], role: dict[str, Any] | None) -> str:
        asked = values.get("type", "")
        if asked not in ("", "service", "batch"):
            raise invalid(f"invalid 'token_type' value: {asked[:40]!r}")
        fixed = role["token_type"] if role else "default"
        if fixed in ("service", "batch"):
            if asked and asked != fixed:
                raise invalid(f"requested token type {asked!r} but the role allows {fixed!r} only")
            return str(fixed)
        return str(asked or fixed.removeprefix("default").removeprefix("-") or "service")

    def _time(self, token: Token, asked: float) -> list[str]:
        """Set ttl and end of a new token; warnings about what was capped. Only a root token may live for ever."""
        if token.root and not asked and not token.period and not token.explicit_max_ttl:
            token.renewable = False
            return []
        limits = Limits(
            self.core.default_ttl(self.mount), self.core.max_ttl(self.mount), period=token.period, explicit_max_ttl=token.explicit_max_ttl
        )
        token.ttl, warnings = grant(limits, asked, token.created, token.created)
        token.expires = token.created + token.ttl
        token.renewable = token.renewable and token.type != "batch"
        return warnings

    # Looking up.

    def look_up_self(self, request: Request) -> Response:
        assert request.token is not None
        return Response({**self._describe(request.token), "id": request.client_token})

    def look_up(self, request: Request) -> Response:
        text = request.values.get("token") or request.values.get("urltoken") or request.client_token
        token = self.core.tokens.find(request.transaction, text, self.core.now())
        if token is None:
            raise VaultError(403, "bad token")
        return Response({**self._describe(token), "id": text})

    def look_up_accessor(self, request: Request) -> Response:
        return Response(self._describe(self.by_accessor(request)))

    def _describe(self, token: Token) -> dict[str, Any]:
        now = self.core.now()
        data: dict[str, Any] = {
            "id": "",
            "accessor": token.accessor,
            "policies": token.policies,
            "path": token.path,
            "meta": token.meta,
            "display_name": token.display_name,
            "num_uses": max(token.num_uses, 0),
            "orphan": token.orphan,
            "creation_time": int(token.created),
            "creation_ttl": int(token.ttl),
            "expire_time": render_time(token.expires) if token.expires else None,
            "explicit_max_ttl": int(token.explicit_max_ttl),
            "entity_id": "",
            "type": token.type,
            "ttl": max(round(token.expires - now), 0) if token.expires else 0,
        }
        if token.expires:
            data |= {"renewable": token.renewable, "issue_time": render_time(token.created)}
        if token.renewed:
            data |= {"last_renewal": render_time(token.renewed), "last_renewal_time": int(token.renewed)}
        if token.period:
            data["period"] = int(token.period)
        if token.role:
            data["role"] = token.role
        if token.bound_cidrs:
            data["bound_cidrs"] = token.bound_cidrs
        return data

    # Renewing.

    async def renew_self(self, request: Request) -> Response:
        assert request.token is not None
        return await self._renew(request, request.token, request.client_token)

    async def renew_token(self, request: Request) -> Response:
        text = request.values.get("token") or request.values.get("urltoken") or ""
        if not text:
            raise invalid("missing token ID")
        token = self.core.tokens.find(request.transaction, text, self.core.now())
        if token is None:
            raise VaultError(403, "bad token")
        return await self._renew(request, token, text)

    async def renew_accessor(self, request: Request) -> Response:
        return await self._renew(request, self.by_accessor(request), "")

    async def _renew(self, request: Request, token: Token, text: str) -> Response:
        """The end moves; how far, its role or login decides as they are today."""
        if not token.renewable:
            raise invalid("lease is not renewable")
        core, now = self.core, self.core.now()
        mount = core.mounts.by_accessor(token.mount) or self.mount
        limits = Limits(core.default_ttl(mount), core.max_ttl(mount), token.ttl, 0, token.period, token.explicit_max_ttl)
        if mount is not self.mount:
            was = Auth(
                [p for p in token.policies if p != "default"], "", token.meta or {}, token.ttl, period=token.period, data=token.login
            )
            renewed = core.backend(mount).renew_login(PrefixView(request.transaction, mount.prefix), was)
            auth = await renewed if isinstance(renewed, Awaitable) else renewed
            limits = Limits(limits.default, limits.maximum, auth.ttl, auth.max_ttl, auth.period, token.explicit_max_ttl)
        stored = request.transaction.get(ID + token.id)
        if stored is None:  # revoked since this request was let in
            raise VaultError(403, "bad token")
        token = Token(**stored)  # and others may have used it
        if mount is self.mount and token.role:
            role = request.view.get(f"role/{token.role}")
            if role is None:
                raise invalid(f'original token role "{token.role}" could not be found, not renewing')
            token.period = float(role["token_period"] or token.period)
            limits = replace(limits, period=token.period)
        ttl, warnings = grant(limits, float(request.values.get("increment", 0)), token.created, now)
        token.expires, token.renewed = now + ttl, now
        core.tokens.save(request.transaction, token)
        core.leases.watch("token", token.id, token.expires)
        return Response(token={"client_token": text, **core.render_auth(token)}, warnings=warnings)

    # Revoking.

    def revoke_self(self, request: Request) -> None:
        assert request.token is not None
        if request.token.type == "batch":
            raise invalid("batch tokens cannot be revoked")
        self.core.leases.revoke_token(request.transaction, request.token.id)

    def revoke_token(self, request: Request) -> None:
        self._revoke(request, with_children=True)

    def revoke_orphan(self, request: Request) -> None:
        self._revoke(request, with_children=False)

    def _revoke(self, request: Request, with_children: bool) -> None:
        text = request.values.get("token") or request.values.get("urltoken") or ""
        if not text:
            raise invalid("missing token ID")
        if text.startswith("hvb."):
            raise invalid("batch tokens cannot be revoked")
        token = self.core.tokens.find(request.transaction, text, self.core.now())
        if token is None:
            if not with_children:
                raise invalid("token to revoke not found")
            return
        self.core.leases.revoke_token(request.transaction, token.id, with_children)

    def revoke_accessor(self, request: Request) -> None:
        self.core.leases.revoke_token(request.transaction, self.by_accessor(request).id)

    def list_accessors(self, request: Request) -> Response:
        return listing([token.accessor for token in self.core.tokens.all(request.transaction)])

    def tidy(self, request: Request) -> Response:
        """Nothing has to be tidied: an entry and its indexes are written together."""
        return Response(
            status=202,
            warnings=["Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs."],
        )

    # Roles.

    def role_exists(self, request: Request, role_name: str) -> bool:
        return request.view.get(f"role/{role_name}") is not None

    def list_roles(self, request: Request) -> Response:
        return listing(request.view.list("role/"))

    def read_role(self, request: Request, role_name: str) -> Response:
        role = request.view.get(f"role/{role_name}")
        if role is None:
            raise not_found()
        own = {name: value for name, value in role.items() if not name.startswith("token_") and name != "legacy"}
        shown = {**own, "name": role_name, "period": role["token_period"], "explicit_max_ttl": role["token_explicit_max_ttl"]}
        tokens = render_token_params(role)
        for hidden in ("token_policies", "token_ttl", "token_max_ttl", "policies", "ttl", "max_ttl"):
            tokens.pop(hidden, None)
        if tokens["token_type"] == "default":
            tokens["token_type"] = "default-service"
        return Response({**tokens, **shown})

    def write_role(self, request: Request, role_name: str) -> None:
        values, stored = request.values, request.view.get(f"role/{role_name}") or {}
        role = merge_token_params(stored, values, ("period", "bound_cidrs"), ROLE_TYPES)
        if "explicit_max_ttl" in values and "token_explicit_max_ttl" not in values:
            role["token_explicit_max_ttl"] = values["explicit_max_ttl"]
        defaults: dict[str, Any] = {
            name: [] for name, kind in ROLE.items() if kind == "list" and name not in TOKEN_FIELDS and name != "bound_cidrs"
        }
        defaults |= {"orphan": False, "renewable": True, "path_suffix": ""}
        for name, default in defaults.items():
            role[name] = values.get(name, stored.get(name, default))
        if role["path_suffix"].strip("/") and not all(
            part.replace("-", "").replace("_", "").isalnum() for part in role["path_suffix"].strip("/").split("/")
        ):
            raise invalid("given role path suffix contains invalid characters")
        if role["allowed_entity_aliases"]:
            raise invalid("allowed_entity_aliases is not supported: there is no identity engine")
        request.view.put(f"role/{role_name}", role)

    def delete_role(self, request: Request, role_name: str) -> None:
        request.view.delete(f"role/{role_name}")


def _fits(name: str, globs: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def _apply_role(token: Token, role: dict[str, Any]) -> None:
    """What a role decides wins over what was asked; of two limits the smaller holds."""
    if role["token_explicit_max_ttl"]:
        token.explicit_max_ttl = min(filter(None, (token.explicit_max_ttl, float(role["token_explicit_max_ttl"]))))
    if role["token_period"]:
        token.period = float(role["token_period"])
    if role["token_num_uses"]:
        token.num_uses = min(filter(None, (token.num_uses, role["token_num_uses"])))
    token.bound_cidrs = list(role["token_bound_cidrs"])
    token.renewable = token.renewable and role["renewable"]
