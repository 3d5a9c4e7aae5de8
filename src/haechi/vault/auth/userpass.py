"""Login with a name and a password. https://developer.hashicorp.com/vault/api-docs/auth/userpass

Passwords lie as scrypt hashes; hashing runs in a thread, for unknown names as for known ones.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from dataclasses import replace
from typing import Any

from haechi.vault.auth.common import (
    TOKEN_FIELDS,
    auth_values,
    check_cidrs,
    merge_token_params,
    parse_policies,
    render_token_params,
    same_policies,
)
from haechi.vault.auth.lockout import Lockout
from haechi.vault.errors import VaultError, invalid, not_found
from haechi.vault.logical import CREATE, DELETE, LIST, READ, UPDATE, Auth, Backend, Request, Response, Route, Services, View, listing
from haechi.vault.mounts import Mount

LEGACY_NAMES = ("policies", "ttl", "max_ttl", "bound_cidrs")
LEGACY_FIELDS = {"policies": "list", "ttl": "seconds", "max_ttl": "seconds", "bound_cidrs": "list"}
WRONG = "invalid username or password"
COST, BLOCK, LANES, LENGTH = 2**14, 8, 1, 32  # scrypt: 16 MiB and some 50 ms


def _scrypt(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    # surrogatepass: JSON can carry text that is not valid Unicode, and a password may be anything
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, n=cost, r=block, p=lanes, dklen=LENGTH)


def hash_password(password: str) -> str:
    """A salted hash with its parameters, to store. Slow: call it in a thread."""
    salt = secrets.token_bytes(16)
    return _stored(salt, _scrypt(password, salt, COST, BLOCK, LANES))


def _stored(salt: bytes, hashed: bytes) -> str:
    return "$".join(["scrypt", str(COST), str(BLOCK), str(LANES), *(base64.b64encode(part).decode() for part in (salt, hashed))])


def verify_password(stored: str, password: str) -> bool:
    """Compare in constant time. Slow: call it in a thread."""
    _, cost, block, lanes, salt, expected = stored.split("$")
    found = _scrypt(password, base64.b64decode(salt), int(cost), int(block), int(lanes))
    return hmac.compare_digest(found, base64.b64decode(expected))


# What an unknown name is compared with, so that it takes as long as a known one.
_NOBODY = _stored(secrets.token_bytes(16), secrets.token_bytes(LENGTH))


class Userpass(Backend):
    TYPE = "userpass"
    ROUTES = (
        Route("users", {LIST: "list_users"}),
        Route(
            "users/{username}",
            {READ: "read_user", UPDATE: "write_user", DELETE: "delete_user"},
            {"password": "text", **TOKEN_FIELDS, **LEGACY_FIELDS},
            exists="user_exists",
        ),
        Route("users/{username}/password", {UPDATE: "set_password"}, {"password": "text"}),
        Route("users/{username}/policies", {UPDATE: "set_policies"}, {"token_policies": "list", "policies": "list"}),
        Route("login/{username}", {UPDATE: "login"}, {"password": "text"}, free=True),
    )

    def __init__(self, services: Services, mount: Mount) -> None:
        super().__init__(services, mount)
        self.lockout = Lockout(services, mount)

    @staticmethod
    def _user(view: View, username: str) -> dict[str, Any] | None:
        return view.get(f"user/{username.lower()}")

    def user_exists(self, request: Request, username: str) -> bool:
        return self._user(request.view, username) is not None

    def list_users(self, request: Request) -> Response:
        return listing(request.view.list("user/"))

    def read_user(self, request: Request, username: str) -> Response:
        user = self._user(request.view, username)
        if user is None:
            raise not_found()
        return Response(render_token_params(user["token"]))

    async def write_user(self, request: Request, username: str) -> None:
        password = request.values.get("password")
        if not password and (password is not None or request.operation == CREATE):
            raise invalid("missing password")
        merge_token_params({}, request.values, LEGACY_NAMES)  # refuse before hashing
        hashed = await asyncio.to_thread(hash_password, password) if password else ""
        user = self._user(request.view, username) or {"token": {}, "password": ""}
        if not hashed and not user["password"]:
            raise invalid("missing password")
        token = merge_token_params(user["token"], request.values, LEGACY_NAMES)
        request.view.put(f"user/{username.lower()}", {"token": token, "password": hashed or user["password"]})

    def delete_user(self, request: Request, username: str) -> None:
        request.view.delete(f"user/{username.lower()}")

    async def set_password(self, request: Request, username: str) -> None:
        password = request.values.get("password", "")
        if not password:
            raise invalid("missing password")
        hashed = await asyncio.to_thread(hash_password, password)
        user = self._user(request.view, username)
        if user is None:
            raise invalid("username does not exist")
        request.view.put(f"user/{username.lower()}", {**user, "password": hashed})

    def set_policies(self, request: Request, username: str) -> None:
        user = self._user(request.view, username)
        if user is None:
            raise invalid("username does not exist")
        values = {name: parse_policies(found) for name, found in request.values.items()}
        token = merge_token_params(user["token"], values, ("policies",))
        request.view.put(f"user/{username.lower()}", {**user, "token": token})

    async def login(self, request: Request, username: str) -> Response:
        name = username.lower()
        password = request.values.get("password", "")
        if not password:
            raise invalid("missing password")
        self.lockout.check(name)
        before = self._user(request.view, name)
        matches = await asyncio.to_thread(verify_password, _NOBODY if before is None else before["password"], password)
        user = self._user(request.view, name)
        self.lockout.check(name)  # others may have failed meanwhile: many guesses at once are no way around the limit
        if before is None or user is None or user["password"] != before["password"]:
            raise invalid(WRONG)
        if not matches:
            self.lockout.fail(name)
            raise invalid(WRONG)
        if not check_cidrs(user["token"]["token_bound_cidrs"], request.remote_address):
            raise VaultError(403, "permission denied")
        auth = Auth(display_name=name, metadata={"username": name}, data={"username": name}, **auth_values(user["token"], self.mount))
        self.lockout.unlock(name)
        return Response(auth=auth)

    def renew_login(self, view: View, auth: Auth) -> Auth:
        user = self._user(view, auth.data["username"])
        if user is None:
            raise invalid("user no longer exists, not renewing")
        token = user["token"]
        if not same_policies(token["token_policies"], auth.policies):
            raise invalid("policies have changed, not renewing")
        return replace(auth, ttl=float(token["token_ttl"]), max_ttl=float(token["token_max_ttl"]), period=float(token["token_period"]))

    def locked(self) -> list[str]:
        """Names that are locked now, for sys/locked-users."""
        return self.lockout.locked()

    def unlock(self, name: str) -> None:
        """Forget the failed logins of a name."""
        self.lockout.unlock(name.lower())
