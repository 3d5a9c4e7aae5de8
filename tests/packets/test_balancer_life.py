"""A balancer's life: changed under load, found again after a restart, mended after damage, removed without a trace."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from haechi.dataplane import kernel
from haechi.dataplane.balancer import Balancers
from haechi.dataplane.kernel import KernelError
from haechi.dataplane.plan import Backend, Plan
from tests.packets.balancerlab import HEALTH, NETWORK, TCP_HEALTH, Lab, load, on, tcp, udp, until, web


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.down()


def restart(lab: Lab) -> Balancers:
    """A server that ended without a word, and a new one."""
    lab.balancers.close()
    lab.balancers = Balancers(lab.site)
    return lab.balancers


def test_no_request_fails_while_backends_come_and_go(lab: Lab) -> None:
    lab.apply(web(*on("a", "b"), health=HEALTH))
    with load(lab) as results:
        for n in range(12):
            names = ("ab", "abc", "bc", "ac")[n % 4]
            lab.apply(web(*on(*names, a=10 * n + 1), health=HEALTH), *([tcp()] if n % 3 else []))
            time.sleep(0.1)
        until(lambda: len(results) > 400, 30)
    assert not [result for result in results if result not in ("a", "b", "c")]
    assert set(results) == {"a", "b", "c"}
    assert len(results) > 400


def test_open_connections_live_through_changes(lab: Lab) -> None:
    lab.apply(tcp(*on("a", port=9000)), web(*on("a")))
    with lab.connect() as one, lab.connect(80) as page:
        page.settimeout(5)
        assert one.recv(100).startswith(b"a ")
        page.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
        for others in (("a", "b"), ("b",), ("b", "c")):
            lab.apply(tcp(*on(*others, port=9000)), web(*on(*others)))
            one.sendall(b"ping")
            assert one.recv(100) == b"ping"
        assert {lab.named() for _ in range(4)} == {"b", "c"}
        assert page.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_killed_haproxy_is_back_at_once(lab: Lab) -> None:
    lab.apply(web(), udp())
    lab.balancers.start_watching()
    for victim in ("master", "worker"):
        pid = lab.pid()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(pid if victim == "master" else int(children[0]), signal.SIGKILL)
        until(lambda old=pid: lab.pid() not in (0, old), 4)  # type: ignore[misc]

        def answers() -> bool:
            try:
                return lab.get().name in ("a", "b")
            except OSError:
                return False

        assert until(answers, 4) < 1.5
    assert lab.balancers.inspect(lab.plan(web(), udp())) == []


def test_a_dead_haproxy_is_found_and_mended_without_watching(lab: Lab) -> None:
    plan = lab.apply(web())
    os.kill(lab.pid(), signal.SIGKILL)
    until(lambda: any("not running" in fault.what for fault in lab.balancers.inspect(plan)), 3)
    lab.balancers.repair(plan)
    assert lab.balancers.inspect(plan) == []
    assert lab.who(1)[0] in "ab"


def test_a_new_server_takes_over_what_runs(lab: Lab) -> None:
    plan = lab.apply(web(health=HEALTH), udp())
    pid = lab.pid()
    with lab.connect(80) as one:
        again = restart(lab)
        again.apply(plan)
        assert lab.pid() == pid
        assert again.inspect(plan) == []
        assert set(again.health("lb-1")) == {
            ("http", 80, "a", 8080),
            ("http", 80, "b", 8080),
            ("udp", 5300, "a", 53),
            ("udp", 5300, "b", 53),
        }
        one.settimeout(3)
        one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one.recv(10) == b"HTTP/1.1 2"
    again = restart(lab)
    again.apply(lab.plan(web(*on("c"))))
    assert lab.pid() == pid, "reloaded, not restarted"
    assert set(lab.who(3)) == {"c"}
    again = restart(lab)
    again.apply(Plan())
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(OSError):
        lab.get()


def test_only_what_changed_is_touched(lab: Lab) -> None:
    one, two = lab.balancer(web()), lab.balancer(web(*on("c")), id="lb-2", address=str(lab.site.public[21]), source="100.64.13.2")
    lab.balancers.apply(lab.plans(one, two))
    folder = lab.site.run / "balancers"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    lab.balancers.apply(lab.plans(one, two))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
    lab.balancers.apply(lab.plans(one))
    assert set(lab.who(2)) == {"a", "b"}
    assert "lb-2" not in str(lab.left())
    assert lab.site.netns("lb-2") not in kernel.run("ip", "netns")


def test_listeners_backends_and_networks_come_later(lab: Lab) -> None:
    lab.apply(network="", source="")
    assert not list((lab.site.run / "balancers" / "lb-1").glob("haproxy*"))
    with pytest.raises(OSError):
        lab.get()
    lab.apply(replace(web(), backends=()), network="")
    assert lab.get().status == 503
    lab.apply(web())
    pid = lab.pid()
    assert set(lab.who(4)) == {"a", "b"}
    old, lab.address = lab.address, str(lab.site.public[22])
    lab.apply(web())
    assert set(lab.who(4)) == {"a", "b"}
    assert old not in kernel.run("ip", "route")
    lab.apply()
    assert not Path(f"/proc/{pid}").exists()


def test_a_network_made_anew_is_connected_again(lab: Lab) -> None:
    plan = lab.apply(web(), udp())
    kernel.ip(f"link del {lab.site.ifname('b', 'lb-1')}", netns=lab.site.netns(NETWORK))
    assert lab.balancers.inspect(plan)
    lab.balancers.repair(plan)
    assert lab.balancers.inspect(plan) == []
    assert set(lab.who(2)) == {"a", "b"}
    missing = replace(plan.balancers["lb-1"], network="net-b", id="lb-2", address=str(lab.site.public[23]), source="100.64.13.2")
    with pytest.raises(KernelError, match="net-b"):
        lab.balancers.apply(lab.plans(plan.balancers["lb-1"], missing))
    assert set(lab.who(2)) == {"a", "b"}


DAMAGE = {
    "namespace": lambda lab, netns: kernel.netns_delete(netns),
    "uplink": lambda lab, netns: kernel.ip(f"link del {lab.site.ifname('x', 'lb-1')}"),
    "link": lambda lab, netns: kernel.ip("link del net0", netns=netns),
    "link down": lambda lab, netns: kernel.ip("link set net0 down", netns=netns),
    "address": lambda lab, netns: kernel.ip(f"addr del {lab.address}/32 dev lo", netns=netns),
    "public route": lambda lab, netns: kernel.ip(f"route del {lab.address}"),
    "route": lambda lab, netns: kernel.ip("route del 10.0.0.0/16", netns=netns),
    "way back": lambda lab, netns: kernel.ip("route del 100.64.13.1", netns=lab.site.netns(NETWORK)),
    "configuration": lambda lab, netns: (lab.site.run / "balancers/lb-1/haproxy.cfg").write_text("global\n"),
    "forwarding": lambda lab, netns: kernel.nft("flush ruleset", netns),
    "socket": lambda lab, netns: (lab.site.run / "balancers/lb-1/admin.sock").unlink(),
    "files": lambda lab, netns: [path.unlink() for path in (lab.site.run / "balancers/lb-1").iterdir()],
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_found_and_mended(lab: Lab, what: str) -> None:
    plan = lab.apply(web(), udp())
    assert lab.balancers.inspect(plan) == []
    DAMAGE[what](lab, lab.site.netns("lb-1"))
    assert [fault.id for fault in lab.balancers.inspect(plan)][:1] == ["lb-1"]
    lab.balancers.repair(plan)
    assert lab.balancers.inspect(plan) == []
    assert set(lab.who(4)) == {"a", "b"}
    assert {lab.datagram()[0] for _ in range(4)} == {"a", "b"}


def test_nothing_is_left(lab: Lab) -> None:
    before = lab.left()
    two = lab.balancer(web(), id="lb-2", address="10.0.1.100", internet=False, source="100.64.13.2")
    lab.balancers.apply(lab.plans(lab.balancer(web(health=HEALTH), tcp(health=TCP_HEALTH), udp()), two))
    lab.balancers.start_watching()
    with lab.connect():
        restart(lab).destroy()
    assert lab.left() == before
    lab.balancers.destroy()
    lab.apply(web())
    assert set(lab.who(2)) == {"a", "b"}
    lab.balancers.start_watching()
    lab.balancers.apply(Plan())
    assert [one for one in lab.left() if one not in before and not one.endswith("/balancers")] == []


def test_orphans_are_found_and_removed(lab: Lab) -> None:
    before = lab.left()
    lab.apply(web())
    again = restart(lab)
    assert [(fault.kind, fault.id) for fault in again.inspect(Plan())] == [("orphan", "lb-1")]
    again.repair(Plan())
    assert again.inspect(Plan()) == []
    assert [one for one in lab.left() if one not in before and not one.endswith("/balancers")] == []


def test_a_great_many(lab: Lab) -> None:
    """50 listeners with 200 checked backends each; time for a first start and for a change."""
    backends = tuple(Backend(f"i-{n}", f"10.0.{n // 100 + 2}.{n % 100 + 1}", 80, 100) for n in range(200))
    some = [replace(web(port=1000 + n, health=replace(HEALTH, interval=50)), backends=backends) for n in range(49)]
    start = time.monotonic()
    lab.apply(web(), *some)
    first = time.monotonic() - start
    start = time.monotonic()
    lab.apply(web(*on("c")), *some)
    change = time.monotonic() - start
    assert set(lab.who(3)) == {"c"}
    print(f"50 x 200: first {first:.2f} s, change {change:.2f} s")
    assert first < 8
    assert change < 8
