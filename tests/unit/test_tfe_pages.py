"""Pages: signing in, forms and their proof, what a person sees and may press, both languages, and `terraform login`."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from jinja2 import nodes

from haechi.tfe import schema
from haechi.tfe.pages import page, words
from haechi.tfe.passwords import hash_password
from tests.tfelab import TfeLab, tfe_lab

PASSWORD = "a long password"


class Browser:
    """Keeps cookies and fills in the hidden fields of the page it is on."""

    def __init__(self, lab: TfeLab) -> None:
        self.client = httpx.Client(base_url=lab.url, trust_env=False, timeout=60)
        self.text = ""

    def open(self, path: str, **headers: str) -> httpx.Response:
        answer = self.client.get(path, headers=headers, follow_redirects=True)
        self.text = answer.text
        return answer

    def send(self, path: str, **fields: str) -> httpx.Response:
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', self.text))
        return self.client.post(path, data={**{k: v.replace("&amp;", "&") for k, v in hidden.items()}, **fields})

    def sign_in(self, token: str) -> None:
        self.open("/session")
        assert self.send("/session", token=token).status_code == 303
        self.open("/app")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TfeLab]:
    with tfe_lab(tmp_path) as lab:
        lab.organization()
        yield lab


@pytest.fixture
def visit(lab: TfeLab) -> Iterator[Callable[[], Browser]]:
    """Makes browsers of people who have not signed in."""
    made: list[Browser] = []

    def visit() -> Browser:
        made.append(Browser(lab))
        return made[-1]

    yield visit
    for browser in made:
        browser.client.close()


@pytest.fixture
def browser(lab: TfeLab, visit: Callable[[], Browser]) -> Browser:
    found = visit()
    found.sign_in(lab.admin)
    return found


def planned(lab: TfeLab, **attributes: Any) -> tuple[str, str]:
    """(run, its page)"""
    workspace = lab.workspace()
    lab.configuration(workspace)
    run = lab.run(workspace, **attributes)
    lab.planned(run)
    return run, f"/app/acme/app/runs/{run}"


def test_signing_in_and_out(lab: TfeLab, visit: Callable[[], Browser]) -> None:
    user, _ = lab.user("kim", "acme")
    with lab.store.write() as tx:
        tx.execute(sa.update(schema.users).where(schema.users.c.id == user).values(password=hash_password(PASSWORD)))
    kim = visit()
    assert kim.open("/app/acme").url.path == "/session"
    assert kim.send("/session", name="kim", password="a wrong password").status_code == 401
    answer = kim.send("/session", name="kim@b.test", password=PASSWORD)
    assert answer.status_code == 303 and answer.headers["location"] == "/app/acme"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie
    assert kim.open("/app").url.path == "/app/acme" and "kim" in kim.text
    session = kim.client.cookies["tfe_session"]
    assert lab.call("GET", "/account/details", token=session)[0] == 401, "a session is no API token"
    assert kim.client.post("/session/end", data={}).status_code == 303
    kim.client.cookies.set("tfe_session", session)
    assert kim.open("/app/acme").url.path == "/app/acme", "without the form's proof nobody is signed out"
    kim.send("/session/end")
    kim.client.cookies.set("tfe_session", session)
    assert kim.open("/app/acme").url.path == "/session"


def test_guessing_is_stopped(lab: TfeLab, visit: Callable[[], Browser]) -> None:
    guesser = visit()
    answers = [guesser.client.post("/session", data={"name": "admin", "password": "x"}).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]


@pytest.mark.parametrize("following", ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:alert(1)", ""])
def test_signing_in_leads_only_to_our_pages(lab: TfeLab, visit: Callable[[], Browser], following: str) -> None:
    answer = visit().client.post("/session", data={"token": lab.admin, "next": following})
    assert answer.headers["location"] == "/app"


def test_a_form_of_elsewhere_does_nothing(lab: TfeLab, browser: Browser) -> None:
    run, path = planned(lab)
    assert browser.client.post(path + "/apply", data={}).status_code == 403
    assert browser.client.post(path + "/apply", data={"proof": "0" * 64}).status_code == 403
    browser.open(path)
    proof = re.search(r'name="proof" value="(\w+)"', browser.text)
    assert proof is not None
    answer = browser.client.post(path + "/apply", data={"proof": proof[1]}, headers={"Origin": "https://evil.test"})
    assert answer.status_code == 403 and lab.status(run) == "planned"
    assert browser.send("/session", token=lab.admin).status_code == 303
    assert browser.client.post("/session", data={"token": lab.admin}, headers={"Origin": "null"}).status_code == 403


def test_confirming_on_the_page(lab: TfeLab, browser: Browser) -> None:
    run, path = planned(lab, message="<script>alert(1)</script>")
    answer = browser.open(path)
    assert "<script>alert" not in answer.text and "&lt;script&gt;alert" in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "Confirm and apply" in answer.text and "Discard" in answer.text
    assert browser.send(path + "/apply", comment="looks good").headers["location"] == path
    assert lab.status(run) == "apply_queued"
    assert "looks good" in browser.open(path).text and "Confirm and apply" not in browser.text
    assert browser.send(path + "/apply").status_code == 409


def test_buttons_are_those_one_may_press(lab: TfeLab, visit: Callable[[], Browser]) -> None:
    _, path = planned(lab)
    for level, sees in (("read", False), ("plan", False), ("write", True)):
        person = visit()
        person.sign_in(lab.user(f"{level}er", "acme", level)[1])
        assert ("Confirm and apply" in person.open(path).text) == sees
        assert person.send(path + "/apply", proof="").status_code == 403
    stranger = visit()
    stranger.sign_in(lab.user("stranger")[1])
    assert stranger.open(path).status_code == 404 and stranger.open("/app/acme").status_code == 404


def test_overriding_needs_a_reason(lab: TfeLab, browser: Browser) -> None:
    workspace = lab.workspace()
    lab.configuration(workspace)
    run = lab.run(workspace)
    lab.planned(run, has_policies=True)
    lab.judged(run, "soft_failed")
    path = f"/app/acme/app/runs/{run}"
    assert "Override and continue" in browser.open(path).text
    check = lab.get(f"/runs/{run}/policy-checks")["data"][0]["id"]
    assert browser.send(f"{path}/policy-checks/{check}", comment=" ").status_code == 422 and lab.status(run) == "policy_override"
    assert browser.send(f"{path}/policy-checks/{check}", comment="Friday release").status_code == 303
    assert lab.status(run) == "policy_checked" and "Friday release" in browser.open(path).text
    told = lab.get(f"/policy-checks/{check}")["data"]["attributes"]
    assert (told["overridden-by"], told["override-comment"]) == ("admin", "Friday release")


def test_a_run_is_only_under_its_own_workspace(lab: TfeLab, browser: Browser) -> None:
    run, _ = planned(lab)
    lab.workspace("other")
    assert browser.open(f"/app/acme/other/runs/{run}").status_code == 404
    assert browser.open("/app/acme/none").status_code == 404 and browser.open("/app/none").status_code == 404


def test_workspace_page_shows_no_sensitive_value(lab: TfeLab, browser: Browser) -> None:
    workspace = lab.workspace(description="the <b>app</b>")
    lab.create(f"/workspaces/{workspace}/vars", "vars", {"key": "open", "category": "env", "value": "seen"})
    lab.create(f"/workspaces/{workspace}/vars", "vars", {"key": "shut", "category": "env", "value": "unseen-value", "sensitive": True})
    text = browser.open("/app/acme/workspaces/app").text
    assert "seen" in text and "unseen-value" not in text and "the &lt;b&gt;app" in text
    assert browser.send("/app/acme/app/actions/lock", reason="mine").status_code == 303 and "mine" in browser.open("/app/acme/app").text
    assert browser.send("/app/acme/app/actions/unlock").status_code == 303
    assert browser.send("/app/acme/app/runs", kind="plan").status_code == 422, "nothing was uploaded yet"
    lab.configuration(workspace)
    location = browser.send("/app/acme/app/runs", kind="plan", message="just looking").headers["location"]
    assert "just looking" in browser.open(location).text and "speculative" in browser.text


def test_tokens_are_made_shown_once_and_revoked(lab: TfeLab, browser: Browser) -> None:
    browser.open("/app/settings/tokens?source=terraform-login")
    made = browser.send("/app/settings/tokens", description="laptop").text
    found = re.search(r'class="token">([^<]+)<', made)
    assert found is not None and lab.call("GET", "/account/details", token=found[1])[0] == 200
    assert found[1] not in browser.open("/app/settings/tokens").text and "laptop" in browser.text
    id = re.findall(r"/app/settings/tokens/(at-\w+)/revoke", browser.text)[-1]
    browser.send(f"/app/settings/tokens/{id}/revoke")
    assert lab.call("GET", "/account/details", token=found[1])[0] == 401


def test_korean_and_english(lab: TfeLab, browser: Browser) -> None:
    lab.workspace()
    assert 'lang="en"' in browser.open("/app/acme").text and "Workspaces" in browser.text
    assert "워크스페이스" in browser.open("/app/acme", **{"Accept-Language": "ko-KR,ko;q=0.9"}).text
    assert "워크스페이스" in browser.open("/app/acme?lang=ko").text
    assert "워크스페이스" in browser.open("/app/acme").text, "it stays chosen"
    assert "Workspaces" in browser.open("/app/acme?lang=en").text


def test_every_word_of_the_templates_has_its_korean() -> None:
    used = {word for path in page.TEMPLATES.glob("*.html") for word in said(path.read_text())}
    states = {*schema_states(), "passed", "failed"}
    assert len(used) > 60 and used - set(words.KOREAN) == set()
    assert states - set(words.KOREAN) == set()
    assert set(words.KOREAN) - used - states == set(), "words that no page says"


def said(template: str) -> Iterator[str]:
    """The words that t() is called with."""
    for call in page.environment.parse(template).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "t":
            for argument in call.args[:1]:
                found = argument.find_all(nodes.Const) if not isinstance(argument, nodes.CondExpr) else [argument.expr1, argument.expr2]
                yield from [n.value for n in ([argument] if isinstance(argument, nodes.Const) else found) if isinstance(n, nodes.Const)]


def schema_states() -> set[str]:
    from haechi.tfe.runs.states import NEXT, PLAN_FINAL

    return {*NEXT, *PLAN_FINAL, "running", "queued", "soft_failed", "hard_failed", "overridden", "errored", "canceled"}


VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
ASKED = {
    "client_id": "terraform-cli",
    "redirect_uri": "http://localhost:10000/login",
    "response_type": "code",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "abc",
}


def code_of(browser: Browser) -> dict[str, list[str]]:
    browser.open("/oauth/authorization?" + str(httpx.QueryParams(ASKED)))
    sent = browser.send("/oauth/authorization", answer="yes")
    assert sent.status_code == 303 and sent.headers["location"].startswith(ASKED["redirect_uri"])
    return parse_qs(urlsplit(sent.headers["location"]).query)


def exchange(lab: TfeLab, given_code: str, **changed: str) -> tuple[int, dict[str, str]]:
    given = {"grant_type": "authorization_code", "client_id": "terraform-cli", "redirect_uri": ASKED["redirect_uri"]}
    answer = lab.client.post("/oauth/token", data={**given, "code": given_code, "code_verifier": VERIFIER, **changed})
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()


def test_login_gives_a_token_for_a_code_once(lab: TfeLab, browser: Browser) -> None:
    back = code_of(browser)
    assert back["state"] == ["abc"]
    status, body = exchange(lab, back["code"][0])
    assert status == 200 and body["token_type"] == "bearer"
    assert lab.call("GET", "/account/details", token=body["access_token"])[1]["data"]["attributes"]["username"] == "admin"
    assert exchange(lab, back["code"][0]) == (400, {"error": "invalid_grant"})


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"code_verifier": "w" * 50}, 400, "invalid_grant"),
        ({"redirect_uri": "http://localhost:10001/login"}, 400, "invalid_grant"),
        ({"code": "other"}, 400, "invalid_grant"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_login_needs_the_verifier(lab: TfeLab, browser: Browser, changed: dict[str, str], status: int, error: str) -> None:
    code = code_of(browser)["code"][0]
    assert exchange(lab, code, **changed) == (status, {"error": error})


def test_login_can_be_refused_and_runs_out(lab: TfeLab, browser: Browser) -> None:
    browser.open("/oauth/authorization?" + str(httpx.QueryParams(ASKED)))
    refused = browser.send("/oauth/authorization", answer="no")
    assert refused.status_code == 200 and "Ctrl-C" in refused.text
    code = code_of(browser)["code"][0]
    with lab.store.write() as tx:
        tx.execute(sa.update(schema.oauth_codes).values(expires_at="2000-01-01T00:00:00.000Z"))
    assert exchange(lab, code)[0] == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.test/login"},
        {"redirect_uri": "http://localhost:9999/login"},
        {"redirect_uri": "http://localhost.evil.test:10000/login"},
        {"redirect_uri": "http://localhost:10000@evil.test/"},
        {"redirect_uri": "http://localhost:99999999/"},
        {"client_id": "other"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
    ],
)
def test_login_never_redirects_where_it_should_not(lab: TfeLab, browser: Browser, changed: dict[str, str]) -> None:
    answer = browser.open("/oauth/authorization?" + str(httpx.QueryParams({**ASKED, **changed})))
    assert answer.status_code == 400 and not answer.history
    browser.open("/oauth/authorization?" + str(httpx.QueryParams(ASKED)))
    assert browser.send("/oauth/authorization", answer="yes", **changed).status_code == 400


def test_login_asks_to_sign_in_first_and_comes_back(lab: TfeLab, visit: Callable[[], Browser]) -> None:
    visitor = visit()
    assert visitor.open("/oauth/authorization?" + str(httpx.QueryParams(ASKED))).url.path == "/session"
    answer = visitor.send("/session", token=lab.admin)
    assert urlsplit(answer.headers["location"]).path == "/oauth/authorization"
    assert "terraform" in visitor.open(answer.headers["location"]).text
