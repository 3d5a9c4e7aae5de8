"""Login with a GitHub personal access token; policies by team and user. https://developer.hashicorp.com/vault/api-docs/auth/github

GitHub is asked in threads of this module's own: the default ones write the storage, and strangers must not be able to occupy those.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from haechi.vault.auth.common import (
    TOKEN_FIELDS,
    auth_values,
    check_cidrs,
    merge_token_params,
    parse_policies,
    quoted,
    render_token_params,
    same_policies,
)
from haechi.vault.auth.github_api import PUBLIC, GitHub, GitHubError, Membership, check_base_url, valid_token
from haechi.vault.errors import VaultError, invalid, not_found, unsupported_path
from haechi.vault.logical import DELETE, LIST, READ, UPDATE, Auth, Backend, Request, Response, Route, Services, View, listing
from haechi.vault.mounts import Mount

LEGACY_NAMES = ("ttl", "max_ttl")
CONFIG = {"organization": "text", "organization_id": "int", "base_url": "text", "ttl": "seconds", "max_ttl": "seconds", **TOKEN_FIELDS}
CONFIG_TOKEN = "VAULT_AUTH_CONFIG_GITHUB_TOKEN"  # environment variable: for organizations that strangers cannot see
KEY = re.compile(r"[-\w]+", re.ASCII)
THREADS, MOST_WAITING = 8, 256
_threads = ThreadPoolExecutor(THREADS, "github")

T = TypeVar("T")


class GitHubMethod(Backend):
    TYPE = "github"
    ROUTES = (
        Route("config", {READ: "read_config", UPDATE: "write_config"}, CONFIG),
        Route("login", {UPDATE: "login"}, {"token": "text"}, free=True),
        *(
            route
            for kind in ("teams", "users")
            for route in (
                Route(f"map/{kind}", {LIST: f"list_{kind}", READ: f"list_{kind}"}),
                Route(
                    f"map/{kind}/{{key...}}",
                    {READ: "read_mapping", UPDATE: "write_mapping", DELETE: "delete_mapping"},
                    {"value": "text"},
                    exists="mapping_exists",
                ),
            )
        ),
    )

    def __init__(self, services: Services, mount: Mount) -> None:
        super().__init__(services, mount)
        self._waiting = 0

    # Configuration.

    def read_config(self, request: Request) -> Response:
        config = request.view.get("config")
        if config is None:
            raise not_found()
        own = {name: config[name] for name in ("organization", "organization_id", "base_url")}
        return Response({**own, **render_token_params(config["token"])})

    async def write_config(self, request: Request) -> None:
        """The organization's number is asked of GitHub unless it is given, or known and the name stays: names can change hands."""
        values = request.values
        before = request.view.get("config") or {"organization": "", "organization_id": 0, "base_url": "", "token": {}}
        organization = values.get("organization", before["organization"])
        if not organization:
            raise invalid("organization is a required parameter")
        base_url = before["base_url"]
        if "base_url" in values:
            try:
                base_url = check_base_url(values["base_url"]) if values["base_url"] else ""
            except ValueError as error:
                raise invalid(f"error parsing given base_url: {error}") from None
        merge_token_params(before["token"], values, LEGACY_NAMES)  # refuse before asking
        known = before["organization_id"] if organization == before["organization"] else 0
        number = values.get("organization_id", known)
        if not number:
            api = GitHub(base_url or PUBLIC, os.environ.get(CONFIG_TOKEN, ""))
            try:
                number = await self._ask(lambda: api.fetch_organization_id(organization))
            except GitHubError as error:
                raise VaultError(500, f"unable to fetch the organization_id, you must manually set it in the config: {error}") from None
        token = merge_token_params((request.view.get("config") or before)["token"], values, LEGACY_NAMES)
        request.view.put("config", {"organization": organization, "organization_id": number, "base_url": base_url, "token": token})

    # Policies of teams and users.

    def list_teams(self, request: Request) -> Response:
        return self._list(request, "map/teams/")

    def list_users(self, request: Request) -> Response:
        return self._list(request, "map/users/")

    def _list(self, request: Request, place: str) -> Response:
        keys = request.view.list(place)
        return listing(keys) if keys or request.operation == LIST else Response({})

    @staticmethod
    def _place(request: Request, key: str) -> str:
        """Where a mapping lies. Raises VaultError 404 for what cannot be a name."""
        kind = request.path.split("/")[1]
        if not KEY.fullmatch(key.rstrip("/")):
            raise unsupported_path()
        return f"map/{kind}/{key.rstrip('/').lower()}"

    def mapping_exists(self, request: Request, key: str) -> bool:
        return request.view.get(self._place(request, key)) is not None

    def read_mapping(self, request: Request, key: str) -> Response:
        """200 with null data where there is none, as Vault has it."""
        return Response(request.view.get(self._place(request, key)), status=200)

    def write_mapping(self, request: Request, key: str) -> None:
        request.view.put(self._place(request, key), {"key": key.rstrip("/"), **request.values})

    def delete_mapping(self, request: Request, key: str) -> None:
        request.view.delete(self._place(request, key))

    @staticmethod
    def _policies(view: View, kind: str, names: Iterable[str]) -> list[str]:
        """Those of "default" and of every name."""
        found = (view.get(f"map/{kind}/{name.lower()}") or {} for name in ("default", *names))
        return [policy for mapping in found for policy in mapping.get("value", "").split(",")]

    # Logging in.

    async def login(self, request: Request) -> Response:
        token = request.values.get("token", "")
        config = self._config(request.view)
        if not check_cidrs(config["token"]["token_bound_cidrs"], request.remote_address):
            raise VaultError(403, "permission denied")
        if not valid_token(token):
            raise invalid("missing token" if not token else "the token holds characters that no GitHub token has")
        config, member = await self._verify(request.view, token)
        values = auth_values(config["token"], self.mount)
        values["policies"] = self._granted(request.view, config, member)
        metadata = {"username": member.user, "org": member.organization}
        auth = Auth(display_name=member.user, metadata=metadata, data={"token": token}, **values)
        return Response(auth=auth, warnings=_renamed(config, member))

    async def renew_login(self, view: View, auth: Auth) -> Auth:
        """Asks GitHub again: whoever left the organization or a team does not renew."""
        config, member = await self._verify(view, auth.data["token"])
        if not same_policies(self._granted(view, config, member), auth.policies):
            raise VaultError(500, "policies do not match")
        token = config["token"]
        return replace(auth, ttl=float(token["token_ttl"]), max_ttl=float(token["token_max_ttl"]), period=float(token["token_period"]))

    @staticmethod
    def _config(view: View) -> dict[str, Any]:
        config = view.get("config")
        if config is None:
            raise VaultError(500, "configuration has not been set")
        return config

    async def _verify(self, view: View, token: str) -> tuple[dict[str, Any], Membership]:
        """The configuration and whom GitHub knows by the token. Raises VaultError 500 as Vault does, also where GitHub refuses."""
        before = self._config(view)
        api = GitHub(before["base_url"] or PUBLIC, token)
        try:
            member = await self._ask(lambda: api.fetch_membership(before["organization_id"]))
        except GitHubError as error:
            raise VaultError(500, str(error)) from None
        config = self._config(view)
        if member is None or config["organization_id"] != before["organization_id"]:  # or it was changed meanwhile
            raise VaultError(500, "user is not part of required org")
        return config, member

    def _granted(self, view: View, config: dict[str, Any], member: Membership) -> list[str]:
        teams, users = self._policies(view, "teams", member.teams), self._policies(view, "users", [member.user])
        return parse_policies([*config["token"]["token_policies"], *teams, *users])

    async def _ask(self, question: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise VaultError(429, "too many logins are waiting for GitHub")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(_threads, question)
        finally:
            self._waiting -= 1


def _renamed(config: dict[str, Any], member: Membership) -> list[str]:
    if member.organization == config["organization"]:
        return []
    return [
        f"the organization name has changed to {quoted(member.organization)}. It is recommended to verify and update "
        f"the organization name in the config: organization_id={config['organization_id']}"
    ]
