"""The Internet firewall with real packets: what each policy lets through and stops, in order, in and out, by application and name."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from haechi.dataplane import kernel, wall_rules
from haechi.dataplane.nflog import Listener, Told
from haechi.dataplane.plan import Plan, Policy, Wall
from tests.packets.balancerlab import Server, until
from tests.packets.walllab import INDEX, WallLab

STAY = """import socket, sys
s = socket.socket()
s.settimeout(1)
s.connect((sys.argv[1], int(sys.argv[2])))
for line in sys.stdin:
    try:
        s.sendall(b"again")
        print(s.recv(100).decode() or "closed", flush=True)
    except OSError:
        print("cut", flush=True)
"""


class Echo(Server):
    """Answers every connection with its banner, if it has one, and then with what came."""

    banner = b""

    def run(self) -> None:
        import threading

        while True:
            try:
                one, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(one,), daemon=True).start()

    def serve(self, one: socket.socket) -> None:
        with one:
            one.settimeout(20)
            try:
                if self.banner:
                    one.sendall(self.banner)
                while data := one.recv(1000):
                    one.sendall(data)
            except OSError:
                return


class Secure(Echo):
    banner = b"SSH-2.0-test\r\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WallLab]:
    made = WallLab(tmp_path_factory.mktemp("wall"))
    try:
        made.servers += [Echo(made, "asset", 80), Echo(made, "asset", 8000), Secure(made, "asset", 2222), Echo(made, "peer", 80)]  # type: ignore[arg-type]
        yield made
    finally:
        made.down()


@pytest.fixture(autouse=True)
def open_again(lab: WallLab) -> Iterator[None]:
    yield
    lab.wall.destroy()


def test_without_policies_everything_gets_through(lab: WallLab) -> None:
    assert lab.talk("user", "asset", 80) == "x"
    lab.apply()
    assert lab.talk("user", "asset", 80) == "x"


def test_the_first_policy_that_matches_decides(lab: WallLab) -> None:
    shut = Policy("shut", "in", "drop", "tcp", ports=((80, 80),))
    user = Policy("user", "in", "accept", "tcp", sources=(lab.places["user"] + "/32",))
    lab.apply(user, shut)
    assert (lab.talk("user", "asset", 80), lab.talk("peer", "asset", 80), lab.talk("peer", "asset", 8000)) == ("x", "", "x")
    lab.apply(shut, user)
    assert (lab.talk("user", "asset", 80), lab.talk("user", "asset", 8000)) == ("", "x")
    assert lab.wall.hits()["shut"][0] > 0


def test_policies_are_inert_while_the_switch_is_off(lab: WallLab) -> None:
    shut = Policy("shut", "in", "drop")
    lab.apply(shut)
    assert lab.talk("user", "asset", 80) == ""
    lab.apply(shut, on=False)
    assert lab.talk("user", "asset", 80) == "x" and lab.wall.hits() == {}


def test_a_drop_of_one_direction_leaves_the_other(lab: WallLab) -> None:
    lab.apply(Policy("in", "in", "drop"))
    assert (lab.talk("user", "asset", 80), lab.talk("asset", "peer", 80)) == ("", "x")
    lab.apply(Policy("out", "out", "drop", "tcp", destinations=(lab.places["peer"] + "/32",)))
    assert (lab.talk("user", "asset", 80), lab.talk("asset", "peer", 80)) == ("x", "")
    assert lab.talk("user", "peer", 80) == "x", "addresses without the firewall are nobody's matter"


def test_a_connection_that_is_forbidden_later_is_cut_and_others_live(lab: WallLab) -> None:
    lab.apply()
    users = {name: lab.start(name, STAY, lab.address, "80") for name in ("user", "peer")}

    def say(name: str) -> str:
        process = users[name]
        assert process.stdin and process.stdout
        process.stdin.write("\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    try:
        assert (say("user"), say("peer")) == ("again", "again")
        lab.apply(Policy("user", "in", "drop", "tcp", sources=(lab.places["user"] + "/32",)))
        assert (say("user"), say("peer")) == ("cut", "again")
    finally:
        for process in users.values():
            process.communicate(timeout=20)


def test_applications_are_told_by_their_first_bytes(lab: WallLab) -> None:
    web = Policy("web", "in", "drop", "tcp", applications=("HTTP",))
    lab.apply(web)
    assert lab.talk("user", "asset", 8000, "GET / HTTP/1.1\r\n\r\n") == ""
    assert lab.talk("user", "asset", 8000, "hello there") == "hello there"
    ssh = Policy("ssh", "in", "drop", "tcp", applications=("SSH",))
    lab.apply(ssh)
    assert lab.talk("user", "asset", 2222, "SSH-2.0-client\r\n") in ("", "SSH-2.0-test")
    assert lab.talk("user", "asset", 8000, "SSH-2.0-client\r\n") == ""
    assert lab.talk("user", "asset", 8000, "GET / HTTP/1.1\r\n\r\n") == "GET / HTTP/1.1"


def test_loose_and_strict_differ_about_what_is_not_known(lab: WallLab) -> None:
    web, rest = Policy("web", "in", "accept", "tcp", applications=("HTTP",)), Policy("rest", "in", "drop")
    for strict, unknown in ((False, "hello there"), (True, "")):
        lab.apply(web, rest, strict=strict)
        assert lab.talk("user", "asset", 8000, "GET / HTTP/1.1\r\n\r\n") == "GET / HTTP/1.1"
        assert lab.talk("user", "asset", 8000, "hello there") == unknown


def test_names_are_learned(lab: WallLab) -> None:
    named = Policy("named", "out", "accept", "tcp", domains=("*.good.test",))
    lab.apply(named, Policy("rest", "out", "drop"))
    assert lab.talk("asset", "peer", 80) == ""
    lab.wall.learn("bad.test", {lab.places["peer"]})
    assert lab.talk("asset", "peer", 80) == ""
    lab.wall.learn("www.good.test", {lab.places["peer"]})
    assert (lab.talk("asset", "peer", 80), lab.talk("asset", "user", 80)) == ("x", "")


def test_drops_and_watched_connections_are_told(lab: WallLab) -> None:
    heard = Listener(wall_rules.LOG_GROUP + INDEX)
    try:
        lab.apply(Policy("shut-1", "in", "drop", "tcp", ports=((80, 80),)), Policy("seen", "in", "log", "tcp", ports=((8000, 8000),)))
        assert (lab.talk("user", "asset", 80), lab.talk("user", "asset", 8000)) == ("", "x")
        told: list[Told] = []
        until(lambda: told.extend(heard.read()) or len({t.prefix for t in told}) == 2)
    finally:
        heard.close()
    assert {(t.prefix, t.protocol, t.end.source, t.end.destination, t.end.port) for t in told} == {
        ("shut-1 drop ", "tcp", lab.places["user"], lab.address, 80),
        ("seen log ", "tcp", lab.places["user"], lab.address, 8000),
    }


def test_connections_are_read_with_what_decided_them(lab: WallLab) -> None:
    lab.apply(Policy("web", "in", "accept", "tcp", ports=((80, 80),)))
    assert lab.talk("user", "asset", 80, "y" * 50) == "y" * 50
    found = [(flow.bytes, ids) for flow, ids in lab.wall.read() if flow.original.source == lab.places["user"] and flow.original.port == 80]
    sizes, ids = found[-1]
    assert [policy.id for policy in ids] == ["web"] and sizes[0] > 50 and sizes[1] > 50


def test_what_the_kernel_has_is_found_and_mended(lab: WallLab) -> None:
    plan = lab.apply(Policy("shut", "in", "drop", "tcp", ports=((80, 80),)), Policy("web", "in", "drop", "tcp", applications=("HTTP",)))
    assert lab.wall.inspect(plan) == []
    table = wall_rules.table_name(lab.site.prefix)
    kernel.nft(f"flush chain ip {table} c_in")
    assert [fault.kind for fault in lab.wall.inspect(plan)] == ["wall"] and lab.talk("user", "asset", 80) == "x"
    lab.wall.repair(plan)
    assert lab.wall.inspect(plan) == [] and lab.talk("user", "asset", 80) == ""
    lab.wall.repair(Plan())
    assert table not in kernel.run("nft", "list", "tables")


def test_a_thousand_policies_are_one_change_and_counters_live_on(lab: WallLab) -> None:
    many = tuple(
        Policy(f"p{n}", "in", "drop", "tcp", sources=(f"203.0.{n // 250}.{n % 250}/32",), ports=((n + 1, n + 1),)) for n in range(1000)
    )
    shut = Policy("shut", "in", "drop", "tcp", ports=((80, 80),))
    lab.apply(shut)
    assert lab.talk("user", "asset", 80) == ""
    before = lab.wall.hits()["shut"]
    lab.apply(*many, shut)
    assert lab.wall.hits()["shut"] == before and lab.talk("user", "asset", 8000) == "x"
    before = lab.wall.hits()["shut"]
    with pytest.raises(kernel.KernelError):
        lab.wall.apply(Plan(wall=Wall((lab.address,), (Policy("bad", "in", "drop", "nonsense"),))))
    assert lab.talk("user", "asset", 80) == "", "what was refused changed nothing"
    lab.apply(*many, shut)
    assert lab.wall.hits()["shut"][0] > before[0]


def test_nobody_is_refused_while_policies_change(lab: WallLab) -> None:
    policies = tuple(Policy(f"p{n}", "in", "drop", "tcp", ports=((9000 + n, 9000 + n),)) for n in range(50))
    lab.apply()
    end, done = time.monotonic() + 3, 0
    swap = 0
    while time.monotonic() < end:
        lab.apply(*policies[swap % 2 :])
        swap += 1
        assert lab.talk("user", "asset", 80) == "x"
        done += 1
    assert done > 3
    until(lambda: lab.talk("user", "asset", 9000) == "")
