"""What a killed image build left: told by the server, judged by the builds that live, removed through the API."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from haechi.cloud.leftovers import list_temporaries, read_agent
from haechi.pipeline.leftovers import Leftover, find_leftovers, read_builds, remove_leftovers
from tests.localcloud import LocalCloud, Refused
from tests.unit.ecs_bench import Bench, make_bench

SEEN = "AlibabaCloud (linux; amd64) Golang/1.19.8 Core/0.0.1 HashiCorp-Packer/1.6.6"  # of Debian's packer
VPC = "2016-04-28"


@pytest.fixture
def bench(cloud: LocalCloud) -> Bench:
    return make_bench(cloud)


def test_only_packer_is_remembered() -> None:
    assert read_agent(SEEN) == "HashiCorp-Packer/1.6.6"
    assert read_agent("AlibabaCloud (linux; amd64) HashiCorp-Packer/1.7.3-dev (+https://x)") == "HashiCorp-Packer/1.7.3-dev"
    for other in ("", "curl/8", "AlibabaCloud (linux; amd64) Golang/1.21 Terraform/1.5 Provider/1.140", "NotHashiCorp-Packer", "x" * 9000):
        assert read_agent(other) == ""


def build(cloud: LocalCloud) -> dict[str, str]:
    """What Packer does until it provisions; ids by kind."""
    cloud.headers = {"User-Agent": SEEN}
    try:
        pair = cloud.call("CreateKeyPair", KeyPairName="packer_1")["KeyPairName"]
        vpc = cloud.call("CreateVpc", version="2014-05-26", CidrBlock="172.16.0.0/16")["VpcId"]
        where = {"VpcId": vpc, "CidrBlock": "172.16.0.0/24", "ZoneId": "ap-southeast-1a"}
        vswitch = cloud.call("CreateVSwitch", version="2014-05-26", **where)["VSwitchId"]
        group = cloud.call("CreateSecurityGroup", VpcId=vpc)["SecurityGroupId"]
        wanted = {"ImageId": "debian_12_5_x64_20G_alibase_20240325.vhd", "InstanceType": "ecs.n1.tiny"}
        instance = cloud.call("CreateInstance", SecurityGroupId=group, VSwitchId=vswitch, **wanted)["InstanceId"]
        address = cloud.call("AllocateEipAddress", version="2014-05-26")["AllocationId"]
        cloud.call("AssociateEipAddress", version="2014-05-26", AllocationId=address, InstanceId=instance)
    finally:
        cloud.headers = {}
    return {"instance": instance, "eip": address, "security_group": group, "vswitch": vswitch, "vpc": vpc, "key_pair": pair}


def told(cloud: LocalCloud) -> list[dict[str, Any]]:
    return list_temporaries(cloud.store.view())


class Client:
    """The API as the control side calls it."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud

    def call(self, product: str, version: str, action: str, params: dict[str, Any]) -> dict[str, Any]:
        return self.cloud.call(action, version=version, **params)


def test_what_a_build_makes_is_told_and_what_others_make_is_not(bench: Bench) -> None:
    bench.run()
    assert told(bench.cloud) == []
    made = build(bench.cloud)
    found = told(bench.cloud)
    assert {t["kind"]: t["id"] for t in found} == made
    assert {(t["region"], t["agent"]) for t in found} == {("ap-southeast-1", "HashiCorp-Packer/1.6.6")}
    shown = bench.get(made["instance"])
    assert "Agent" not in shown and shown["KeyPairName"] == ""


def test_they_are_removed_in_the_order_of_their_dependencies(bench: Bench) -> None:
    own = bench.run()
    made = build(bench.cloud)
    left = find_leftovers(told(bench.cloud), 7700, Path("/nowhere"))
    said = list(remove_leftovers(Client(bench.cloud), left))  # type: ignore[arg-type]
    assert said == [f"removed {kind} {id}" for kind, id in made.items()]
    assert told(bench.cloud) == [] and bench.get(own)["Status"] == "Running"


def test_something_of_the_users_holds_on(bench: Bench) -> None:
    made = build(bench.cloud)
    bench.cloud.call("CreateSecurityGroup", VpcId=made["vpc"])
    left = find_leftovers(told(bench.cloud), 7700, Path("/nowhere"))
    with pytest.raises(Refused) as refused:
        list(remove_leftovers(Client(bench.cloud), left))  # type: ignore[arg-type]
    assert refused.value.code.startswith("DependencyViolation")
    assert {t["kind"] for t in told(bench.cloud)} == {"vpc", "key_pair"}


def process(root: Path, number: int, comm: str, started: float, environment: str = "") -> None:
    place = root / str(number)
    place.mkdir()
    ticks = int((started - (time.time() - time.clock_gettime(time.CLOCK_BOOTTIME))) * os.sysconf("SC_CLK_TCK"))
    (place / "comm").write_text(comm + "\n")
    (place / "environ").write_text(environment)
    (place / "stat").write_text(f"{number} ({comm} ) x) S {'0 ' * 18}{ticks} 0\n")


@pytest.mark.parametrize(
    ("comm", "environment", "counts"),
    [
        ("packer", "HOME=/\0HTTP_PROXY=http://127.0.0.1:7700\0", True),
        ("packer", "https_proxy=http://127.0.0.1:7700/\0", True),
        ("packer", "HOME=/\0", True),  # it may come here in another way
        ("packer", "HTTP_PROXY=http://127.0.0.1:7710\0", False),
        ("python3", "HTTP_PROXY=http://127.0.0.1:7700\0", False),
    ],
)
def test_a_living_build_keeps_what_is_not_older_than_itself(comm: str, environment: str, counts: bool, tmp_path: Path) -> None:
    now = time.time()
    process(tmp_path, 7, comm, now - 100, environment)
    (tmp_path / "8").mkdir()  # ended while we look
    assert [round(started) for started in read_builds(7700, tmp_path)] == ([round(now - 100)] if counts else [])
    old, new = ({"kind": "vpc", "id": id, "region": "r", "agent": "a", "created": now - age} for id, age in (("old", 200), ("new", 50)))
    left = [Leftover("vpc", "old", "r", "a"), Leftover("vpc", "new", "r", "a")]
    assert find_leftovers([old, new], 7700, tmp_path) == (left[:1] if counts else left)


def test_an_answer_waits_for_what_it_began(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that looks at once and then every five seconds sees the outcome at its first look."""
    bench.cloud.runtime.patience = 20.0
    id = bench.run()
    may_stop = threading.Event()
    stop = bench.cloud.dataplane.stop_host

    def slowly(host: str, force: bool) -> None:
        assert may_stop.wait(10)
        stop(host, force)

    monkeypatch.setattr(bench.cloud.dataplane, "stop_host", slowly)
    threading.Timer(0.2, may_stop.set).start()
    bench.cloud.call("StopInstance", InstanceId=id)
    assert may_stop.is_set() and bench.get(id)["Status"] == "Stopped"
    image = bench.cloud.call("CreateImage", InstanceId=id)["ImageId"]
    assert bench.stored(image, "image")["Status"] == "Available"
    bench.cloud.call("StartInstance", InstanceId=id)
    assert bench.get(id)["Status"] == "Running"
    bench.cloud.call("DeleteInstance", InstanceId=id, Force=True)
    assert bench.get(id) == {}


def test_but_not_for_ever(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.cloud.runtime.patience = 0.1
    id = bench.run()
    may_stop = threading.Event()
    monkeypatch.setattr(bench.cloud.dataplane, "stop_host", lambda host, force: may_stop.wait(10))
    try:
        bench.cloud.call("StopInstance", InstanceId=id)
        assert bench.get(id)["Status"] == "Stopping"
    finally:
        may_stop.set()
    bench.wait(id, "Stopped")
