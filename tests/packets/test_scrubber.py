"""Scrubbers with real packets: what a domain's visitors get, and what floods do not."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from haechi.dataplane import kernel
from haechi.dataplane.kernel import KernelError
from haechi.dataplane.plan import Frequency, Match, Origin, Plan, Relay
from tests.packets.balancerlab import until
from tests.packets.scrubberlab import ID, ScrubberLab

KNOCK = """import socket, sys
s = socket.socket()
s.settimeout(1)
try:
    s.connect((sys.argv[1], int(sys.argv[2])))
    print("open")
except OSError:
    print("shut")
"""
CONNECT = """import socket, sys
for _ in range(300):
    s = socket.socket()
    s.setblocking(False)
    try:
        s.connect((sys.argv[1], 80))
    except OSError:
        pass
    s.close()
"""
ASK = """import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
s.sendto(b"x" * int(sys.argv[2]), (sys.argv[1], 5300))
try:
    print(s.recv(99).decode())
except OSError:
    print("-")
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ScrubberLab]:
    made = ScrubberLab(tmp_path)
    yield made
    made.down()


def test_a_domain_and_no_other(lab: ScrubberLab) -> None:
    lab.apply(lab.front())
    answer = lab.curl("-H", "X-Forwarded-For: 6.6.6.6")
    assert answer.startswith("200 ")
    headers = {name.lower(): value for name, value in json.loads(answer[4:])["headers"]}
    assert headers["x-forwarded-for"] == lab.site.outside, "a client's own word for its address counts nothing"
    assert lab.curl(host="other.test").startswith("503") and lab.curl(host="shop.test.evil").startswith("503")
    lab.apply(lab.front(), lab.front(domain="*.wild.test"))
    assert lab.curl(host="a.wild.test").startswith("200") and lab.curl(host="wild.test").startswith("503")


def test_nothing_answers_but_its_ports(lab: ScrubberLab) -> None:
    lab.apply(lab.front())
    lab.place("visitor")
    for port, said in (("80", "open"), ("81", "shut"), ("22", "shut")):
        assert lab.python("visitor", KNOCK, lab.address, port) == said


def test_lists(lab: ScrubberLab) -> None:
    bad, good = lab.place("bad"), lab.place("good")
    lab.apply(lab.front(black=(bad,)))
    assert lab.curl(client="good").startswith("200") and lab.curl("-m", "2", client="bad").startswith("000")
    lab.apply(lab.front(black=(f"{bad}/24",), white=(good,)))
    assert lab.curl(client="good").startswith("200") and lab.curl("-m", "2", client="bad").startswith("000")
    lab.apply(lab.front(), black=(bad,))
    before = lab.scrubbers.read(ID).drops["black"][0]
    assert lab.curl("-m", "2", client="bad").startswith("000") and lab.scrubbers.read(ID).drops["black"][0] > before
    lab.apply(lab.front(), black=(bad,), white=(bad,))
    assert lab.curl(client="bad").startswith("200")


def test_too_many_requests_of_one_source(lab: ScrubberLab) -> None:
    lab.place("loud"), lab.place("quiet")
    lab.apply(lab.front(per_source=20))
    answers = [lab.curl("-m", "1", client="loud")[:3] for _ in range(30)]
    assert answers[:15] == ["200"] * 15 and "429" in answers and answers[-1] in ("429", "000")
    assert lab.curl(client="quiet").startswith("200")


@pytest.mark.parametrize(
    ("match", "hit", "miss"),
    [
        (Match("path", "prefix", ("/login",)), ("/login/x",), ("/",)),
        (Match("path", "equal", ("/a", "/b")), ("/b",), ("/bb",)),
        (Match("query", "contain", ("drop table",)), ("/?q=drop%20table", "-g"), ("/?q=tables",)),
        (Match("agent", "contain", ("sqlmap",)), ("/", "-A", "x sqlmap/1"), ("/", "-A", "curl")),
        (Match("header", "equal", ('it\'s "q"',), header="X-Test"), ("/", "-H", 'X-Test: it\'s "q"'), ("/", "-H", "X-Test: its")),
        (Match("method", "equal", ("GET",), negate=True), ("/", "-X", "HEAD", "-I"), ("/",)),
    ],
)
def test_rules_that_block_every_request_they_fit(lab: ScrubberLab, match: Match, hit: tuple[str, ...], miss: tuple[str, ...]) -> None:
    lab.apply(lab.front(frequencies=(Frequency("r", "block", (match,)),)))
    if match.field == "query":
        match = replace(match, values=("drop%20table",))
        lab.apply(lab.front(frequencies=(Frequency("r", "block", (match,)),)))
    assert "405" in lab.curl(*hit[1:], path=hit[0])
    assert lab.curl(*miss[1:], path=miss[0]).startswith("200")


def test_a_frequency_holds_for_its_time_and_ends(lab: ScrubberLab) -> None:
    rule = Frequency("r", "block", (Match("path", "prefix", ("/login",)),), interval=5, threshold=5, hold=3)
    lab.apply(lab.front(frequencies=(rule,)))
    answers = [lab.curl(path="/login")[:3] for _ in range(8)]
    assert answers[:5] == ["200"] * 5 and answers[-1] == "405" and lab.curl().startswith("200")
    time.sleep(9)  # each request while it holds would be counted, too
    assert lab.curl(path="/login").startswith("200")


def test_a_challenge_only_while_there_is_an_attack(lab: ScrubberLab) -> None:
    lab.apply(lab.front(challenge="attack"))
    assert "hx_challenge" not in lab.curl()
    lab.scrubbers.challenge(ID, {"shop.test"})
    page = lab.curl()
    assert page.startswith("200") and "hx_challenge=" in page
    token = page.split("hx_challenge=", 1)[1].split(";", 1)[0]
    assert '"name"' in lab.curl("-b", f"hx_challenge={token}"), "who answers the challenge gets in"
    assert "hx_challenge=" in lab.curl("-b", f"hx_challenge={token[:-1]}x")
    lab.scrubbers.challenge(ID, set())
    assert '"name"' in lab.curl()


def test_hole(lab: ScrubberLab) -> None:
    lab.apply(lab.front(), hole=True)
    assert lab.curl("-m", "1").startswith("000") and lab.scrubbers.read(ID).drops["hole"][0] > 0
    lab.apply(lab.front())
    assert lab.curl().startswith("200")


UDP_FLOOD = """import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + float(sys.argv[3])
while time.monotonic() < end:
    for _ in range(100):
        s.sendto(b"x" * 512, (sys.argv[1], int(sys.argv[2])))
    time.sleep(0.01)
"""


def test_a_flood_of_datagrams_is_dropped_and_the_visitor_gets_through(lab: ScrubberLab) -> None:
    lab.place("visitor")
    lab.apply(lab.front())
    before = lab.scrubbers.read(ID)
    flood = lab.start("flood", UDP_FLOOD, lab.address, "9999", "3")
    time.sleep(0.5)
    answers = [lab.curl(client="visitor")[:3] for _ in range(10)]
    flood.communicate(timeout=20)
    after = lab.scrubbers.read(ID)
    assert answers == ["200"] * 10
    assert after.drops["udp"][0] - before.drops["udp"][0] > 5000 and after.bytes_in - before.bytes_in > 2_000_000


def test_new_connections_of_one_source_are_metered(lab: ScrubberLab) -> None:
    lab.place("visitor")
    lab.apply(lab.front(), syn_per_source=20)
    lab.python("flood", CONNECT, lab.address)
    assert lab.scrubbers.read(ID).drops["syn"][0] > 100
    assert lab.curl(client="visitor").startswith("200")


def test_udp_relay_and_its_limits(lab: ScrubberLab) -> None:
    lab.place("visitor")
    relay = Relay("udp", 5300, (Origin(lab.places["a"], 53),), per_second=50, least=2, most=100)
    lab.apply(relays=(relay,))
    for size, said in (("10", "a"), ("1", "-"), ("200", "-")):
        assert lab.python("visitor", ASK, lab.address, size).split()[0] == said


def test_tcp_relay(lab: ScrubberLab) -> None:
    lab.apply(relays=(Relay("tcp", 8080, (Origin(lab.places["b"], 8080),)),))
    answer = lab.curl("--connect-to", f"{lab.address}:80:{lab.address}:8080")
    assert '"name": "b"' in answer


def test_what_cannot_be_leaves_it_as_it_was(lab: ScrubberLab) -> None:
    lab.apply(lab.front())
    for front in (
        lab.front(origins=(Origin("bad host"),)),
        lab.front(listeners=(("https", 443),)),
        lab.front(frequencies=(Frequency("r", "block", (Match("path", "equal", ("#x",)),)),)),
        lab.front(frequencies=(Frequency("r", "block", (Match("header", "equal", ("x",), header="a: b\n"),)),)),
    ):
        with pytest.raises(KernelError):
            lab.apply(front)
        assert lab.curl().startswith("200")


def test_a_killed_engine_is_back_and_a_reload_loses_nothing(lab: ScrubberLab) -> None:
    plan = lab.apply(lab.front())
    lab.scrubbers.start_watching()
    pid = lab.scrubbers._proxy(ID).pid()
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: lab.curl("-m", "1").startswith("200"), 5) < 3
    for number in range(3):
        lab.apply(lab.front(per_source=1000 + number))
        assert all(lab.curl().startswith("200") for _ in range(5))
    assert lab.scrubbers.inspect(plan) != [] and lab.scrubbers.repair(plan) is None and lab.scrubbers.inspect(plan) == []


def test_repair_after_somebody_flushed_the_filter(lab: ScrubberLab) -> None:
    plan = lab.apply(lab.front(), hole=True)
    kernel.nft("flush ruleset", lab.site.netns(ID))
    assert [fault.what for fault in lab.scrubbers.inspect(plan)] == ["its packet filter differs"]
    lab.scrubbers.repair(plan)
    assert lab.curl("-m", "1").startswith("000") and lab.scrubbers.inspect(plan) == []
    lab.scrubbers.apply(Plan())
    assert lab.scrubbers.inspect(Plan()) == []
