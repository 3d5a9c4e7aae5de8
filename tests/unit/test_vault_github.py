"""Login with a GitHub token, against a GitHub on loopback that knows three people."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from haechi.vault.auth import github, github_api
from haechi.vault.auth.github_api import GitHub, GitHubError, Membership, check_base_url, valid_token
from haechi.vault.logical import Request
from tests.vaultlab import VaultLab

MEI, BOB, EVE = "ghp_canaryMei", "ghp_canaryBob", "ghp_canaryEve"
MEOW, OTHER = {"login": "Meow-Inc", "id": 77}, {"login": "other", "id": 5}


class FakeGitHub(ThreadingHTTPServer):
    """GET /user, /user/orgs, /user/teams, /orgs/NAME. `answers` replaces what a path says: (status, headers, body)."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.organizations: dict[str, dict[str, Any]] = {"Meow-Inc": MEOW, "other": OTHER}
        self.people: dict[str, dict[str, Any]] = {
            MEI: {
                "user": {"login": "Mei", "id": 1},
                "orgs": [OTHER, MEOW],
                "teams": [
                    {"name": "Site Ops", "slug": "site-ops", "organization": MEOW},
                    {"name": "admins", "slug": "admins", "organization": OTHER},
                ],
            },
            BOB: {"user": {"login": "bob", "id": 2}, "orgs": [MEOW], "teams": []},
            EVE: {"user": {"login": "eve", "id": 3}, "orgs": [{"login": "Meow-Inc", "id": 78}], "teams": []},
        }
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.seen: list[tuple[str, str]] = []  # path and query, Authorization
        self.asked, self.hold = threading.Event(), threading.Event()  # a request came; answers may go
        self.hold.set()

    def answer(self, path: str, authorization: str) -> tuple[int, dict[str, str], bytes]:
        place = path.partition("?")[0]
        if path in self.answers or place in self.answers:
            return self.answers[path if path in self.answers else place]
        if place.startswith("/orgs/"):
            found: Any = self.organizations.get(place[6:])
        else:
            person = self.people.get(authorization.removeprefix("Bearer "))
            if person is None:
                return 401, {}, b'{"message": "Bad credentials"}'
            found = person.get(place.removeprefix("/user/") if place != "/user" else "user")
        return (404, {}, b'{"message": "Not Found"}') if found is None else (200, {}, json.dumps(found).encode())


class Handler(BaseHTTPRequestHandler):
    server: FakeGitHub

    def do_GET(self) -> None:
        authorization = self.headers.get("Authorization", "")
        self.server.seen.append((self.path, authorization))
        self.server.asked.set()
        assert self.server.hold.wait(30)
        status, headers, body = self.server.answer(self.path, authorization)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[FakeGitHub]:
    server = FakeGitHub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def vault(hub: FakeGitHub) -> Iterator[VaultLab]:
    """With the method at auth/hub/, configured for Meow-Inc; the team site-ops may `ops`, the user mei `cats`."""
    vault = VaultLab()
    vault.ok("POST", "sys/auth/hub", {"type": "github"})
    vault.ok("POST", "auth/hub/config", {"organization": "Meow-Inc", "base_url": hub.url, "token_ttl": "10m"})
    vault.ok("POST", "auth/hub/map/teams/site-ops", {"value": "ops"})
    vault.ok("POST", "auth/hub/map/teams/admins", {"value": "all"})
    vault.ok("POST", "auth/hub/map/users/mei", {"value": "cats, Dogs ,"})
    yield vault
    vault.close()


def log_in(vault: VaultLab, token: str = MEI) -> dict[str, Any]:
    auth: dict[str, Any] = vault.ok("PUT", "auth/hub/login", {"token": token}, token="")["auth"]
    return auth


def refusal(vault: VaultLab, token: str = MEI) -> tuple[int, list[str]]:
    return vault.refused("PUT", "auth/hub/login", {"token": token}, token="")


STRANGER = (500, ["user is not part of required org"])


def test_a_member_gets_the_policies_of_teams_and_user(vault: VaultLab, hub: FakeGitHub) -> None:
    auth = log_in(vault)
    assert auth["policies"] == ["cats", "default", "dogs", "ops"]  # not `all`: that team is another organization's
    assert (auth["metadata"], auth["lease_duration"], auth["renewable"]) == ({"username": "Mei", "org": "Meow-Inc"}, 600, True)
    token = vault.ok("GET", "auth/token/lookup-self", token=auth["client_token"])["data"]
    assert (token["display_name"], token["path"]) == ("hub-Mei", "auth/hub/login")
    assert ("/user", f"Bearer {MEI}") in hub.seen and ("/user/orgs?per_page=100", f"Bearer {MEI}") in hub.seen
    assert log_in(vault, BOB)["policies"] == ["default"]


def test_who_is_not_in_the_organization_is_refused(vault: VaultLab) -> None:
    assert refusal(vault, EVE) == STRANGER  # hers has the name but not the number
    status, errors = refusal(vault, "ghp_unknown")
    assert status == 500 and errors[0].endswith("/user: 401 Bad credentials []") and "ghp_unknown" not in errors[0]
    assert refusal(vault, "") == (400, ["missing token"])
    assert refusal(vault, "a\r\nX-Evil: 1")[0] == 400
    vault.ok("POST", "auth/hub/config", {"organization_id": 78})
    assert refusal(vault, MEI) == STRANGER and log_in(vault, EVE)["metadata"] == {"username": "eve", "org": "Meow-Inc"}


def test_nothing_works_before_it_is_configured(hub: FakeGitHub) -> None:
    vault = VaultLab()
    vault.ok("POST", "sys/auth/hub", {"type": "github"})
    assert refusal(vault) == (500, ["configuration has not been set"])
    assert vault.refused("GET", "auth/hub/config") == (404, [])
    assert vault.refused("POST", "auth/hub/config", {"base_url": hub.url}) == (400, ["organization is a required parameter"])
    assert hub.seen == []
    vault.close()


def test_configuration_is_kept_and_shown(vault: VaultLab, hub: FakeGitHub) -> None:
    shown = vault.ok("GET", "auth/hub/config")["data"]
    assert (shown["organization"], shown["organization_id"], shown["base_url"]) == ("Meow-Inc", 77, hub.url)
    assert (shown["token_ttl"], shown["token_policies"], "ttl" in shown) == (600, [], False)
    vault.ok("POST", "auth/hub/config", {"ttl": "500s", "max_ttl": "1h", "base_url": hub.url[:-1]})
    shown = vault.ok("GET", "auth/hub/config")["data"]
    assert (shown["ttl"], shown["token_ttl"], shown["max_ttl"], shown["base_url"]) == (500, 500, 3600, hub.url)
    assert vault.refused("POST", "auth/hub/config", {"token_ttl": "2h"})[0] == 400
    assert vault.refused("DELETE", "auth/hub/config")[0] == 405


def test_the_number_of_the_organization_is_fetched(vault: VaultLab, hub: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub.seen == [("/orgs/Meow-Inc", "")]
    vault.ok("POST", "auth/hub/config", {"token_ttl": "1m"})
    assert len(hub.seen) == 1  # known
    monkeypatch.setenv("VAULT_AUTH_CONFIG_GITHUB_TOKEN", "ghp_operator")
    vault.ok("POST", "auth/hub/config", {"organization": "other"})
    assert hub.seen[1:] == [("/orgs/other", "Bearer ghp_operator")]
    assert vault.ok("GET", "auth/hub/config")["data"]["organization_id"] == 5
    vault.ok("POST", "auth/hub/config", {"organization": "elsewhere", "organization_id": 9})
    assert len(hub.seen) == 2  # given
    status, errors = vault.refused("POST", "auth/hub/config", {"organization": "no/one"})
    text = "unable to fetch the organization_id, you must manually set it in the config: GET "
    assert (status, errors) == (500, [f"{text}{hub.url}orgs/no%2Fone: 404 Not Found []"])
    assert vault.ok("GET", "auth/hub/config")["data"]["organization"] == "elsewhere"


@pytest.mark.parametrize(
    "address", ["ftp://x/", "file:///etc/", "nothing", "http://", "http://a b/", "http://u:p@x/", "http://x:y/", "http://x/?q"]
)
def test_addresses_that_are_none(vault: VaultLab, address: str) -> None:
    status, errors = vault.refused("POST", "auth/hub/config", {"base_url": address})
    assert status == 400 and errors[0].startswith("error parsing given base_url: ")
    assert check_base_url("https://github.example:8443/api/v3") == "https://github.example:8443/api/v3/"


@pytest.mark.parametrize("kind", ["teams", "users"])
def test_mappings(vault: VaultLab, kind: str) -> None:
    place = f"auth/hub/map/{kind}"
    assert vault.call("GET", f"{place}/New-One-")[0] == 200
    assert vault.ok("GET", f"{place}/New-One-")["data"] is None
    assert vault.call("POST", f"{place}/New-One-", {"value": "a,b"})[0] == 204
    assert vault.ok("GET", f"{place}/new-one-")["data"] == {"key": "New-One-", "value": "a,b"}
    assert "new-one-" in vault.ok("LIST", place)["data"]["keys"]
    assert vault.ok("GET", place)["data"] == vault.ok("LIST", place)["data"]
    assert vault.refused("POST", f"{place}/New-One-", {"value": ["a", "b"]})[0] == 400
    assert vault.call("DELETE", f"{place}/NEW-one-")[0] == 204
    assert "new-one-" not in vault.ok("LIST", place)["data"]["keys"]
    for name in ("a/b", "a.b", "a%20b"):
        assert vault.refused("POST", f"{place}/{name}", {"value": "x"})[0] == 404


def test_no_mappings_are_404_to_a_list_only(hub: FakeGitHub) -> None:
    vault = VaultLab()
    vault.ok("POST", "sys/auth/hub", {"type": "github"})
    assert vault.refused("LIST", "auth/hub/map/teams") == (404, [])
    assert vault.ok("GET", "auth/hub/map/teams")["data"] == {}
    vault.close()


def test_creating_and_updating_a_mapping_are_two_capabilities(vault: VaultLab) -> None:
    vault.ok("POST", "sys/policy/add", {"policy": 'path "auth/hub/map/*" { capabilities = ["create"] }'})
    token = vault.ok("POST", "auth/token/create", {"policies": ["add"]})["auth"]["client_token"]
    vault.ok("POST", "auth/hub/map/users/new", {"value": "x"}, token=token)
    assert vault.refused("POST", "auth/hub/map/users/new", {"value": "y"}, token=token)[0] == 403


def test_defaults_and_the_method_s_own_policies(vault: VaultLab) -> None:
    vault.ok("POST", "auth/hub/map/users/default", {"value": "everyone"})
    vault.ok("POST", "auth/hub/map/teams/default", {"value": "members"})
    vault.ok("POST", "auth/hub/config", {"token_policies": "own", "token_no_default_policy": True})
    assert log_in(vault, BOB)["policies"] == ["everyone", "members", "own"]
    vault.ok("POST", "auth/hub/map/users/bob", {"value": "x,root"})
    assert refusal(vault, BOB) == (400, ["auth methods cannot create root tokens"])


def test_only_from_its_addresses(vault: VaultLab, hub: FakeGitHub) -> None:
    vault.ok("POST", "auth/hub/config", {"token_bound_cidrs": "10.0.0.0/8"})
    before = len(hub.seen)
    assert refusal(vault) == (403, ["permission denied"]) and len(hub.seen) == before
    vault.ok("POST", "auth/hub/config", {"token_bound_cidrs": "127.0.0.0/8"})
    assert log_in(vault)["policies"]


def test_a_renamed_organization_is_said(vault: VaultLab) -> None:
    vault.ok("POST", "auth/hub/config", {"organization": "Old-Name", "organization_id": 77})
    answer = vault.ok("PUT", "auth/hub/login", {"token": MEI}, token="")
    expected = (
        'the organization name has changed to "Meow-Inc". It is recommended to verify and update the organization name in the config: '
    )
    assert answer["warnings"] == [f"{expected}organization_id=77"] and answer["auth"]


def test_renewal_asks_again(vault: VaultLab, hub: FakeGitHub) -> None:
    token = log_in(vault)["client_token"]
    vault.ok("POST", "auth/hub/config", {"token_ttl": "20m", "token_policies": "own"})
    assert vault.refused("POST", "auth/token/renew-self", {}, token=token) == (500, ["policies do not match"])
    vault.ok("POST", "auth/hub/config", {"token_policies": ""})
    assert vault.ok("POST", "auth/token/renew-self", {}, token=token)["auth"]["lease_duration"] == 1200
    mei = hub.people[MEI]
    hub.people[MEI] = {**mei, "teams": []}
    assert vault.refused("POST", "auth/token/renew-self", {}, token=token) == (500, ["policies do not match"])
    hub.people[MEI] = {**mei, "orgs": [OTHER]}
    assert vault.refused("POST", "auth/token/renew-self", {}, token=token) == STRANGER
    hub.people[MEI] = mei
    assert vault.ok("POST", "auth/token/renew", {"token": token})["auth"]["policies"] == ["cats", "default", "dogs", "ops"]


def test_a_token_revoked_during_its_renewal_stays_dead(vault: VaultLab, hub: FakeGitHub) -> None:
    token = log_in(vault)["client_token"]
    hub.asked.clear()
    hub.hold.clear()

    async def race() -> tuple[int, int, int]:
        renewing = asyncio.create_task(vault.send("POST", "auth/token/renew-self", {}, token))
        assert await asyncio.to_thread(hub.asked.wait, 30)
        revoked = await vault.send("POST", "auth/token/revoke", {"token": token})  # others are served meanwhile
        hub.hold.set()
        renewed = await renewing
        return revoked.status_code, renewed.status_code, (await vault.send("GET", "auth/token/lookup-self", token=token)).status_code

    assert vault.run(race()) == (204, 403, 403)


def test_an_organization_changed_during_a_login_counts(vault: VaultLab, hub: FakeGitHub) -> None:
    hub.asked.clear()
    hub.hold.clear()

    async def race() -> int:
        entering = asyncio.create_task(vault.send("PUT", "auth/hub/login", {"token": MEI}, ""))
        assert await asyncio.to_thread(hub.asked.wait, 30)
        changed = await vault.send("POST", "auth/hub/config", {"organization_id": 78})
        assert changed.status_code == 204
        hub.hold.set()
        return (await entering).status_code

    assert vault.run(race()) == 500
    assert refusal(vault) == STRANGER


def test_a_method_disabled_during_a_login_gives_no_token(vault: VaultLab, hub: FakeGitHub) -> None:
    hub.asked.clear()
    hub.hold.clear()

    async def race() -> int:
        entering = asyncio.create_task(vault.send("PUT", "auth/hub/login", {"token": MEI}, ""))
        assert await asyncio.to_thread(hub.asked.wait, 30)
        assert (await vault.send("DELETE", "sys/auth/hub")).status_code == 204
        hub.hold.set()
        return (await entering).status_code

    before = len(vault.ok("LIST", "auth/token/accessors")["data"]["keys"])
    assert vault.run(race()) == 500  # its configuration is gone
    assert len(vault.ok("LIST", "auth/token/accessors")["data"]["keys"]) == before


def test_many_waiting_logins_are_refused_and_storage_still_writes(
    vault: VaultLab, hub: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github, "MOST_WAITING", 12)
    hub.hold.clear()

    async def flood() -> list[int]:
        entering = [asyncio.create_task(vault.send("PUT", "auth/hub/login", {"token": MEI}, "")) for _ in range(20)]
        await asyncio.wait(entering, return_when=asyncio.FIRST_COMPLETED)
        written = await vault.send("POST", "auth/hub/map/users/other", {"value": "x"})
        assert written.status_code == 204
        hub.hold.set()
        return sorted([(await task).status_code for task in entering])

    assert vault.run(flood()) == [200] * 12 + [429] * 8


def test_lists_are_read_page_by_page(vault: VaultLab, hub: FakeGitHub) -> None:
    evil = "http://127.0.0.1:1/user/orgs"  # only the number counts: the token goes nowhere else
    link = {"Link": f'<{evil}?per_page=100&page=1>; rel="prev", <{evil}?per_page=100&page=2>; rel="next", <{evil}?page=9>; rel="last"'}
    hub.answers["/user/orgs?per_page=100"] = (200, link, json.dumps([OTHER]).encode())
    hub.answers["/user/orgs?per_page=100&page=2"] = (200, {}, json.dumps([MEOW]).encode())
    assert log_in(vault)["metadata"]["org"] == "Meow-Inc"
    hub.answers["/user/orgs?per_page=100&page=2"] = (200, {}, b"[]")
    assert refusal(vault) == STRANGER


def test_pages_without_end_are_cut_off(hub: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github_api, "MOST_PAGES", 3)
    hub.answers["/user/orgs"] = (200, {"Link": f'<{hub.url}user/orgs?page=2>; rel="next"'}, b"[]")
    with pytest.raises(GitHubError, match="more than 3 pages"):
        GitHub(hub.url, MEI).fetch_membership(77)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((302, {"Location": "/user2"}, b""), "302"),
        ((500, {}, b"<html>"), "500  []"),
        ((403, {}, b'{"message": "token ghp_canaryMei is blocked"}'), "403 token [token] is blocked"),
        ((200, {}, b"<html>"), "not JSON"),
        ((200, {}, b"[" * 100_000), "not JSON"),
        ((200, {}, b'{"id": 1}'), "no login"),
        ((200, {}, b"[1]"), "no login"),
        ((200, {}, b"x" * 5000), "larger than 4096 bytes"),
    ],
)
def test_answers_that_are_no_user(
    vault: VaultLab, hub: FakeGitHub, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, dict[str, str], bytes], text: str
) -> None:
    if "larger" in text:
        monkeypatch.setattr(github_api, "MOST_BYTES", 4096)
    hub.answers["/user"] = answer
    hub.answers["/user2"] = (200, {}, b'{"login": "Mei"}')
    status, errors = refusal(vault)
    assert status == 500 and text in errors[0] and MEI not in errors[0]
    assert "/user2" not in [path for path, _ in hub.seen]


@pytest.mark.parametrize("path", ["/user/orgs", "/user/teams"])
def test_answers_that_are_no_list(vault: VaultLab, hub: FakeGitHub, path: str) -> None:
    hub.answers[path] = (200, {}, b'{"id": 77}')
    assert "not a list of objects" in refusal(vault)[1][0]
    hub.answers[path] = (200, {}, b"[7]")
    assert "not a list of objects" in refusal(vault)[1][0]
    hub.answers[path] = (200, {}, b"")
    if path == "/user/orgs":
        assert refusal(vault) == STRANGER
    else:
        assert log_in(vault)["policies"] == ["cats", "default", "dogs"]


def test_a_github_that_is_not_there(vault: VaultLab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    vault.ok("POST", "auth/hub/config", {"base_url": address})
    status, errors = refusal(vault)
    assert status == 500 and errors[0].startswith(f'Get "{address}user": ') and "refused" in errors[0]


def test_a_github_that_does_not_answer_in_time(hub: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    late = GitHub(hub.url, MEI, deadline=time.monotonic() - 1)
    with pytest.raises(GitHubError, match="took too long"):
        late.fetch_membership(77)
    assert hub.seen == []
    monkeypatch.setattr(github_api, "CALL_SECONDS", 0.05)
    hub.hold.clear()
    with pytest.raises(GitHubError, match="timed out"):
        GitHub(hub.url, MEI).fetch_membership(77)


def test_a_proxy_is_not_asked_for_this_machine(hub: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", hub.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert GitHub(hub.url, MEI).fetch_membership(77) == Membership("Mei", "Meow-Inc", ("Site Ops", "site-ops"))
    hub.answers["http://github.invalid/orgs/x"] = (200, {}, b'{"id": 6}')
    assert GitHub("http://github.invalid/").fetch_organization_id("x") == 6


def test_the_token_stays_secret(vault: VaultLab, hub: FakeGitHub, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        log_in(vault)
        hub.answers["/user"] = (401, {}, json.dumps({"message": f"no {MEI}"}).encode())
        assert MEI not in refusal(vault)[1][0]
    assert "canary" not in caplog.text and "canary" not in repr(GitHub(hub.url, MEI))
    assert "canary" not in repr(Request("1", "update", "auth/hub/login", {"token": MEI}))
    stored = [vault.storage.get(key) or b"" for key in vault.storage.keys("")]
    assert len(stored) > 10 and not any(MEI.encode() in blob for blob in stored)
    assert valid_token(MEI) and not any(map(valid_token, ("", "a b", "a\n", "ä", "x" * 9000)))
