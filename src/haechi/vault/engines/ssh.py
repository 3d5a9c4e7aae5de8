"""The SSH secrets engine: one-time passwords that a host's helper verifies, and a certificate authority for users and hosts.

Follows Vault's SSH engine (key types otp and ca). A one-time password is stored under its keyed hash only, and `verify` reads and
deletes it in one step, so that of any number of simultaneous verifications exactly one succeeds.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import uuid
from functools import lru_cache
from typing import Any, ClassVar

from haechi.vault.engines import ssh_ca, ssh_sign
from haechi.vault.errors import invalid, not_found
from haechi.vault.logical import DELETE, LIST, READ, UPDATE, Backend, Lease, Request, Response, Route, View, listing

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_GONE = ("key", "admin_user", "key_bits", "install_script", "key_option_specs")  # of dynamic keys; hvac still sends them, to be ignored
_ECHO_REQUEST, _ECHO_RESPONSE = "verify-echo-request", "verify-echo-response"


class SSH(Backend):
    """Storage: roles/<name>, otp/<keyed hash>, config/zeroaddress, config/ca."""

    TYPE: ClassVar[str] = "ssh"
    ROUTES: ClassVar[tuple[Route, ...]] = (
        Route(
            "roles/{role}",
            {READ: "read_role", UPDATE: "write_role", DELETE: "delete_role"},
            {"key_type": "lower", "port": "int", "cidr_list": "text", "exclude_cidr_list": "text"}
            | ssh_sign.ROLE_FIELDS
            | dict.fromkeys(_GONE, "any"),
        ),
        Route("roles", {LIST: "list_roles"}),
        Route("creds/{role}", {UPDATE: "create_otp"}, {"ip": "text", "username": "text"}),
        Route("lookup", {UPDATE: "lookup"}, {"ip": "text"}),
        Route("verify", {UPDATE: "verify"}, {"otp": "text"}, free=True),
        Route("config/zeroaddress", {READ: "read_zero", UPDATE: "write_zero", DELETE: "delete_zero"}, {"roles": "list"}),
        Route(
            "config/ca",
            {READ: "read_ca", UPDATE: "write_ca", DELETE: "delete_ca"},
            {"private_key": "text", "public_key": "text", "generate_signing_key": "bool", "key_type": "text", "key_bits": "int"},
        ),
        Route("public_key", {READ: "public_key"}, free=True),
        Route("sign/{role}", {UPDATE: "sign"}, {"public_key": "text"} | ssh_sign.REQUEST_FIELDS),
        Route("issue/{role}", {UPDATE: "issue"}, {"key_type": "text", "key_bits": "int"} | ssh_sign.REQUEST_FIELDS),
    )

    # roles

    def write_role(self, request: Request, role: str) -> None:
        values = request.values
        for name in ("cidr_list", "exclude_cidr_list"):
            try:
                parse_cidrs(values.get(name, ""))
            except ValueError as error:
                raise invalid(f"failed to validate {name}: {error}") from None
        key_type = values.get("key_type", "")
        if key_type == "otp":
            if not values.get("default_user"):
                raise invalid("missing default user")
            stored = {"key_type": "otp", "port": values.get("port") or 22}
            stored |= {name: values.get(name, "") for name in ("default_user", "cidr_list", "exclude_cidr_list", "allowed_users")}
        elif key_type == "ca":
            stored = ssh_sign.ca_role(values)
        elif key_type == "dynamic":
            raise invalid("dynamic key type roles are no longer supported")
        else:
            raise invalid("invalid key type" if key_type else "missing key type")
        request.view.put(f"roles/{role}", stored)

    def read_role(self, request: Request, role: str) -> Response:
        stored = request.view.get(f"roles/{role}")
        if stored is None:
            raise not_found()
        return Response(stored)

    def list_roles(self, request: Request) -> Response:
        roles = self._roles(request.view)
        return listing(list(roles), {name: {"key_type": role["key_type"]} for name, role in roles.items()})

    def delete_role(self, request: Request, role: str) -> None:
        zero = request.view.get("config/zeroaddress")
        if zero and role in zero["roles"]:
            request.view.put("config/zeroaddress", {"roles": [name for name in zero["roles"] if name != role]})
        request.view.delete(f"roles/{role}")

    @staticmethod
    def _roles(view: View) -> dict[str, dict[str, Any]]:
        found = {name: view.get(f"roles/{name}") for name in view.list("roles/")}
        return {name: role for name, role in found.items() if role is not None}

    # one-time passwords

    def create_otp(self, request: Request, role: str) -> Response:
        values, view = request.values, request.view
        if not values.get("ip"):
            raise invalid("Missing ip")
        stored = view.get(f"roles/{role}")
        if stored is None:
            raise invalid(f'Role "{role}" not found')
        username = _username(stored, values.get("username", ""))
        address = parse_address(values["ip"])
        if role not in (view.get("config/zeroaddress") or {"roles": []})["roles"]:
            _check_address(address, stored.get("cidr_list", ""), stored.get("exclude_cidr_list", ""))
        if stored["key_type"] != "otp":
            raise invalid(f"role key type '{stored['key_type']}' not allowed to create credentials")
        otp = str(uuid.uuid4())
        hashed = self.services.keyed_hash(otp)
        view.put(f"otp/{hashed}", {"username": username, "ip": str(address), "role_name": role})
        data = {"key_type": "otp", "key": otp, "username": username, "ip": str(address), "port": stored["port"]}
        return Response(data, lease=Lease(ttl=0, renewable=False, data={"otp": hashed}))

    def verify(self, request: Request) -> Response:
        """Spend a password. There must be no `await` between reading and deleting it."""
        otp = request.values.get("otp", "")
        if otp == _ECHO_REQUEST:
            return Response({"message": _ECHO_RESPONSE})
        key = "otp/" + self.services.keyed_hash(otp)
        stored = request.view.get(key)
        if stored is None:
            raise invalid("OTP not found")
        request.view.delete(key)
        return Response(stored)

    def revoke(self, view: View, data: dict[str, Any]) -> None:
        """A lease ended: its password is of no use any more, if it was not spent before."""
        view.delete(f"otp/{data['otp']}")

    def lookup(self, request: Request) -> Response:
        """The roles for an address. As in Vault exclude_cidr_list is not looked at here."""
        if not request.values.get("ip"):
            raise invalid("Missing ip")
        address = parse_address(request.values["ip"])
        names = [name for name, role in self._roles(request.view).items() if _within(address, role.get("cidr_list", ""))]
        names += (request.view.get("config/zeroaddress") or {"roles": []})["roles"]
        return Response({"roles": list(dict.fromkeys(names)) or None})

    # roles that give passwords for any address

    def read_zero(self, request: Request) -> Response:
        stored = request.view.get("config/zeroaddress")
        if stored is None:
            raise not_found()
        return Response(stored)

    def write_zero(self, request: Request) -> None:
        roles = request.values.get("roles")
        if not roles:
            raise invalid("Missing roles")
        for name in roles:
            if request.view.get(f"roles/{name}") is None:
                raise invalid(f"Role {json.dumps(name)} does not exist")
        request.view.put("config/zeroaddress", {"roles": roles})

    def delete_zero(self, request: Request) -> None:
        request.view.delete("config/zeroaddress")

    # certificates

    def read_ca(self, request: Request) -> Response:
        return Response({"public_key": _authority(request.view)["public_key"]})

    def public_key(self, request: Request) -> Response:
        stored = request.view.get("config/ca")
        if stored is None:
            raise not_found()
        return Response(raw=stored["public_key"].encode("utf-8", "replace"), content_type="text/plain")

    async def write_ca(self, request: Request) -> Response | None:
        values = request.values
        private, public, wanted = values.get("private_key", ""), values.get("public_key", ""), values.get("generate_signing_key")
        generate = bool(wanted) if wanted is not None else not private and not public
        if generate and (private or public):
            raise invalid("public_key and private_key must not be set when generate_signing_key is set to true")
        if not generate and not (private and public):
            if wanted is None:
                raise invalid("only one of public_key and private_key set; both must be set to use, or both must be blank to auto-generate")
            raise invalid("missing private_key" if public else "missing public_key")
        _check_no_authority(request.view)
        if generate:
            key_type, bits = values.get("key_type") or "ssh-rsa", values.get("key_bits", 0)
            pair = await asyncio.to_thread(ssh_ca.generate_pair, key_type, bits)
        else:
            await asyncio.to_thread(ssh_ca.check_pair, private, public)
            pair = ssh_ca.KeyPair(public, private)
        _check_no_authority(request.view)  # another request may have been faster meanwhile
        request.view.put("config/ca", {"public_key": pair.public, "private_key": pair.private})
        return Response({"public_key": pair.public}) if generate else None

    def delete_ca(self, request: Request) -> None:
        request.view.delete("config/ca")

    async def sign(self, request: Request, role: str) -> Response:
        stored = request.view.get(f"roles/{role}")
        if stored is None:
            raise invalid(f"Unknown role: {role}")
        if not request.values.get("public_key"):
            raise invalid("missing public_key")
        try:
            key = ssh_ca.parse_public(request.values["public_key"])
        except ValueError as error:
            raise invalid(f"failed to parse public_key as SSH key: {error}") from None
        ssh_sign.check_key(stored, key)
        certificate = self._certificate(request, role, stored, key)
        authority = _authority(request.view)["private_key"]
        return Response(await asyncio.to_thread(_sign, certificate, authority, stored["algorithm_signer"]))

    async def issue(self, request: Request, role: str) -> Response:
        stored = request.view.get(f"roles/{role}")
        if stored is None:
            raise invalid(f"unknown role: {role}")
        if stored["key_type"] != "ca":
            raise invalid(f"role key type '{stored['key_type']}' not allowed to issue key pairs")
        key_type, bits = request.values.get("key_type") or "rsa", request.values.get("key_bits", 0)
        ssh_sign.check_new_key(stored, key_type, bits)
        authority = _authority(request.view)["private_key"]
        pair = await asyncio.to_thread(ssh_ca.generate_pair, key_type, bits)
        certificate = self._certificate(request, role, stored, ssh_ca.parse_public(pair.public))
        signed = await asyncio.to_thread(_sign, certificate, authority, stored["algorithm_signer"])
        return Response(signed | {"private_key": pair.private, "private_key_type": key_type})

    def _certificate(self, request: Request, name: str, role: dict[str, Any], key: ssh_ca.PublicKey) -> ssh_sign.Certificate:
        return ssh_sign.request_certificate(
            role,
            request.values,
            key,
            role_name=name,
            display_name=request.token.display_name if request.token else "",
            now=self.services.now(),
            default_ttl=self.services.default_ttl(self.mount),
            max_ttl=self.services.max_ttl(self.mount),
        )


def _sign(certificate: ssh_sign.Certificate, authority: str, algorithm: str) -> dict[str, str]:
    signed = ssh_sign.sign_certificate(certificate, ssh_ca.load_private(authority), algorithm)
    return {"serial_number": f"{certificate.serial:x}", "signed_key": signed}


def _authority(view: View) -> dict[str, Any]:
    stored = view.get("config/ca")
    if stored is None:
        raise invalid("keys haven't been configured yet")
    return stored


def _check_no_authority(view: View) -> None:
    if view.get("config/ca") is not None:
        raise invalid("keys are already configured; delete them before reconfiguring")


def _username(role: dict[str, Any], asked: str) -> str:
    """The user a password is for. Raises VaultError 400 if the role does not allow him."""
    default, allowed = role.get("default_user", ""), role.get("allowed_users", "")
    username = asked or default
    if not username:
        raise invalid("No default username registered. Use 'username' option")
    if username == default or allowed == "*" or username in [name.strip() for name in allowed.split(",") if name.strip()]:
        return username
    if allowed:
        raise invalid("Username is not present is allowed users list")
    raise invalid("Username has to be either in allowed users list or has to be a default username")


def parse_address(text: str) -> Address:
    """IPv4 or IPv6; an IPv4 address in IPv6 form becomes IPv4. Raises VaultError 400."""
    try:
        address = ipaddress.ip_address("" if "%" in text else text)
    except ValueError:
        raise invalid(f"Invalid IP {json.dumps(text)}") from None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=1024)
def parse_cidrs(text: str) -> tuple[Network, ...]:
    """The networks of a comma-separated list, empty for "". Raises ValueError."""
    if not text.strip():
        return ()
    networks = []
    for item in text.split(","):
        address, slash, bits = item.strip().partition("/")
        if not slash or not bits.isdecimal() or "%" in address:
            raise ValueError(f"invalid CIDR entry {json.dumps(item)}")
        try:
            networks.append(ipaddress.ip_network(f"{address}/{bits}", strict=False))
        except ValueError:
            raise ValueError(f"invalid CIDR entry {json.dumps(item)}") from None
    return tuple(networks)


def _within(address: Address, cidrs: str) -> bool:
    return any(address in network for network in parse_cidrs(cidrs))


def _check_address(address: Address, cidrs: str, excluded: str) -> None:
    if not _within(address, cidrs) or _within(address, excluded):
        raise invalid("Error validating IP: IP does not belong to role")
