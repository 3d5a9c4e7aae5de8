"""Every served action against bad input: never a 500, and a refused request never changes the store."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haechi.cloud.action import Action
from haechi.cloud.gateway import ACTIONS
from haechi.cloud.params import Items, JsonList, Kind, Number, Struct
from tests.localcloud import KEY, LocalCloud, Refused

RANDOM_REQUESTS = 10_000
EVERY = sorted(ACTIONS.values(), key=lambda a: (a.product, a.version, a.name))
NASTY = ["", " ", "0", "-1", "99999999999999999999", "true", "null", "[]", "{}", '["x"]', "[{}]", "é한", "a" * 300, "' or 1=1 --", "%", "*",
         "../../etc/passwd", "\x00", "10.0.0.0/8", "0.0.0.0/0", "300.1.1.1", "1/65535", "22/22", "-1/-1", "tcp", "all"]  # fmt: skip


class Watched(LocalCloud):
    """Counts the commits that requests made (not those of the machines' workers)."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.commits = 0
        commit = self.store._commit

        def counted(transaction: Any) -> None:
            commit(transaction)
            if not threading.current_thread().name.startswith("machine"):
                self.commits += 1

        self.store._commit = counted  # type: ignore[method-assign]

    def attempt(self, action: Action, params: dict[str, Any]) -> Refused | None:
        """Send; a refusal is checked and returned."""
        before = self.commits
        try:
            self.call(action.name, action.version, **params)
        except Refused as refused:
            assert refused.status < 500, f"{action.name} {params}: {refused}"
            assert self.commits == before, f"{action.name} was refused and changed the store"
            assert refused.code and all(isinstance(v, str) for v in refused.body.values())
            return refused
        return None


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Watched, list[str]]]:
    """A cloud with one of most things in it, and every id but that of the key that signs: no request answers once it is deleted."""
    cloud = Watched(tmp_path_factory.mktemp("cloud"))
    seed(cloud)
    ids = [r.id for table in cloud.store.view().tables.values() for r in table.values() if r.id != KEY]
    yield cloud, ids
    cloud.close()


def seed(cloud: LocalCloud) -> None:
    vpc = cloud.call("CreateVpc", "2016-04-28", VpcName="seed", CidrBlock="10.0.0.0/8")["VpcId"]
    zone = cloud.call("DescribeZones", "2014-05-26")["Zones"]["Zone"][0]["ZoneId"]
    vswitch = cloud.call("CreateVSwitch", "2016-04-28", VpcId=vpc, CidrBlock="10.1.0.0/24", ZoneId=zone)["VSwitchId"]
    group = cloud.call("CreateSecurityGroup", VpcId=vpc, SecurityGroupName="seed")["SecurityGroupId"]
    image = cloud.call("DescribeImages")["Images"]["Image"][0]["ImageId"]
    kind = cloud.call("DescribeInstanceTypes")["InstanceTypes"]["InstanceType"][0]["InstanceTypeId"]
    for _ in range(2):
        cloud.call("RunInstances", ImageId=image, InstanceType=kind, SecurityGroupId=group, VSwitchId=vswitch, ZoneId=zone)
    balancer = cloud.call("CreateLoadBalancer", LoadBalancerName="seed", AddressType="internet")["LoadBalancerId"]
    cloud.call("CreateLoadBalancerTCPListener", LoadBalancerId=balancer, ListenerPort=80, BackendServerPort=80, Bandwidth=-1)
    cloud.call("CreateVServerGroup", LoadBalancerId=balancer, VServerGroupName="seed")
    cloud.call("CreateAccessControlList", AclName="seed")
    cloud.call("AllocateEipAddress", "2016-04-28")
    cloud.call("CreateUser", UserName="seed")
    cloud.call("CreateKeyPair", KeyPairName="seed")


@pytest.mark.parametrize("action", EVERY, ids=lambda a: f"{a.product}-{a.version}-{a.name}")
def test_bad_parameters(seeded: tuple[Watched, list[str]], action: Action) -> None:
    cloud, _ = seeded
    signature = action.signature
    for name in signature.mandatory:
        others = {m: "x" for m in signature.mandatory if m != name and isinstance(signature.kinds[m], Kind)}
        refused = cloud.attempt(action, others)
        assert refused is not None, f"{action.name} does not miss {name}"
    for name, kind in signature.kinds.items():
        wrong: Any = {"deep": {"deeper": "x"}}
        if isinstance(kind, Number):
            wrong = "many"
        elif isinstance(kind, JsonList):
            wrong = "{broken"
        elif isinstance(kind, Items | Struct):
            wrong = "text" if isinstance(kind, Struct) else {"x": "y"}
        cloud.attempt(action, {**{m: "x" for m in signature.mandatory}, name: wrong})
        refused = cloud.attempt(action, {**{m: "x" for m in signature.mandatory}, name: "9" * 100_000})
        assert refused is not None, f"{action.name} takes {name} of 100 000 characters"
    cloud.attempt(action, {"NoSuchParameter": "x", "No.Such.1": "y"})


def test_random_requests(seeded: tuple[Watched, list[str]]) -> None:
    cloud, ids = seeded
    dice = random.Random(20261123)
    answered = 0
    for _ in range(RANDOM_REQUESTS):
        action = dice.choice(EVERY)
        names = list(action.signature.kinds)
        chosen = set(dice.sample(names, min(len(names), dice.randrange(5)))) | {
            m for m in sorted(action.signature.mandatory) if dice.random() < 0.9
        }
        params = {name: _value(action.signature.kinds[name], dice, ids) for name in sorted(chosen)}
        answered += cloud.attempt(action, params) is None
    assert answered > RANDOM_REQUESTS / 20  # the dice are not so wild that nothing is reached


def _value(kind: Kind, dice: random.Random, ids: list[str]) -> Any:
    if isinstance(kind, Items):
        return [_value(kind.of, dice, ids) for _ in range(dice.randrange(3))] or ""
    if isinstance(kind, Struct):
        return {name: _value(of, dice, ids) for name, of in kind.fields.items() if dice.random() < 0.5} or ""
    words = getattr(kind, "words", None)
    if words and dice.random() < 0.7:
        return dice.choice(words)
    if isinstance(kind, Number) and dice.random() < 0.7:
        return dice.randint(kind.least, min(kind.most, kind.least + 200))
    if isinstance(kind, JsonList) and dice.random() < 0.7:
        return str([dice.choice(ids)]).replace("'", '"')
    return dice.choice(ids) if dice.random() < 0.5 else dice.choice(NASTY)
