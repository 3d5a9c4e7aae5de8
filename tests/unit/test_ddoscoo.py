"""Anti-DDoS over the API, what of it the data plane is told, and the monitor."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from haechi.dataplane.plan import Frequency, Front, Match, Scrubber
from haechi.dataplane.scrubber import Reading
from tests.localcloud import LocalCloud, Refused

WEB = {"ProxyTypes.1.ProxyType": "http", "ProxyTypes.1.ProxyPorts.1": "80"}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    made = LocalCloud(tmp_path)
    yield made
    made.close()


def buy(cloud: LocalCloud, **sizes: int) -> str:
    given = {
        f"Parameter.{n}.{part}": str(value)
        for n, item in enumerate(sizes.items(), 1)
        for part, value in zip(("Code", "Value"), item, strict=True)
    }
    answer = cloud.call("CreateInstance", "2017-12-14", ProductCode="ddos", ProductType="ddoscoo", Period=12, **given)
    return str(answer["Data"]["InstanceId"])


def serve(cloud: LocalCloud, instance: str, domain: str = "shop.test", **more: Any) -> None:
    given = {"Domain": domain, "InstanceIds.1": instance, "RsType": 0, "RealServers.1": "198.18.160.40", **WEB, **more}
    cloud.call("CreateDomainResource", **given)


def scrubber(cloud: LocalCloud) -> Scrubber:
    return next(iter(cloud.dataplane.plan.scrubbers.values()))


def front(cloud: LocalCloud) -> Front:
    return scrubber(cloud).fronts[0]


def refusal(cloud: LocalCloud, action: str, **parameters: Any) -> str:
    with pytest.raises(Refused) as refused:
        cloud.call(action, **parameters)
    return refused.value.code


def test_an_instance_from_its_order_to_its_release(cloud: LocalCloud) -> None:
    id = buy(cloud, bandwidth=300, domain_count=50)
    shown = cloud.call("DescribeInstances", "2020-01-01", PageNumber=1, PageSize=10)["Instances"][0]
    assert shown["InstanceId"] == id and shown["Ip"] == scrubber(cloud).address
    assert cloud.call("DescribeInstanceSpecs", **{"InstanceIds.1": id})["InstanceSpecs"][0]["ElasticBandwidth"] == 300
    assert cloud.call("DescribeInstanceDetails", **{"InstanceIds.1": id})["InstanceDetails"][0]["EipInfos"][0]["Status"] == "normal"
    assert cloud.call("QueryAvailableInstances")["Data"]["InstanceList"][0]["InstanceID"] == id
    serve(cloud, id)
    other = buy(cloud)
    cloud.call("ReleaseInstance", InstanceId=other)
    assert [row["InstanceID"] for row in cloud.call("QueryAvailableInstances")["Data"]["InstanceList"]] == [id]
    cloud.call("RefundInstance", InstanceId=id, ProductCode="ddos")
    assert cloud.dataplane.plan.scrubbers == {} and cloud.call("DescribeDomains", "2020-01-01")["Domains"] == []
    assert refusal(cloud, "DescribeInstanceSpecs", **{"InstanceIds.1": id}) == "InstanceNotFound"
    assert refusal(cloud, "CreateInstance", version="2017-12-14", ProductCode="waf") == "UnsupportedOperation"


def test_what_cannot_be_applied_is_not_stored(cloud: LocalCloud) -> None:
    id = buy(cloud)
    cloud.dataplane.fail = "haproxy refuses"
    with pytest.raises(Refused):
        serve(cloud, id)
    assert cloud.call("DescribeDomains", "2020-01-01")["Domains"] == [] and scrubber(cloud).fronts == ()


def test_a_domain(cloud: LocalCloud) -> None:
    id = buy(cloud)
    serve(cloud, id, "Shop.Test")
    rule = cloud.call("DescribeDomainResource", Domain="shop.test", QueryDomainPattern="exact")["WebRules"][0]
    assert (
        rule["RealServers"] == ["198.18.160.40"]
        and rule["Cname"].endswith(".aliyunddos0001.com")
        and rule["ProxyTypes"][0]["ProxyPorts"] == ["80"]
    )
    assert cloud.call("DescribeWebRules", Cname=rule["Cname"])["WebRules"][0]["RealServers"] == [
        {"RealServer": "198.18.160.40", "RsType": 0}
    ]
    assert (front(cloud).domain, front(cloud).listeners, front(cloud).challenge) == ("shop.test", (("http", 80),), "attack")
    policy = {"ProxyMode": "rr", "Attributes": [{"RealServer": "198.18.160.40", "Attribute": {"Weight": 7, "MaxFails": 2}}]}
    cloud.call("ConfigL7RsPolicy", Domain="shop.test", Policy=json.dumps(policy))
    assert front(cloud).scheduler == "rr" and front(cloud).origins[0].weight == 7
    assert cloud.call("DescribeL7RsPolicy", Domain="shop.test")["Attributes"][0]["Attribute"]["MaxFails"] == 2
    cloud.call(
        "ModifyDomainResource",
        Domain="shop.test",
        RsType=0,
        **{"InstanceIds.1": id, "RealServers.1": "198.18.160.41", "RealServers.2": "198.18.160.42"},
        **WEB,
    )
    assert [o.host for o in front(cloud).origins] == ["198.18.160.41", "198.18.160.42"]
    cloud.call("DeleteDomainResource", Domain="shop.test")
    assert scrubber(cloud).fronts == () and refusal(cloud, "DeleteDomainResource", Domain="shop.test") == "DomainNotExist"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"Domain": "no domain"}, "InvalidParameter"),
        ({"InstanceIds.1": "ddoscoo-cn-none"}, "InstanceNotFound"),
        ({"RealServers.1": "not an address"}, "InvalidParameter"),
        ({"RsType": 1, "RealServers.1": "no name!"}, "InvalidParameter"),
        ({"ProxyTypes.1.ProxyPorts.1": "0"}, "InvalidParameter"),
        ({"ProxyTypes.2.ProxyType": "https", "ProxyTypes.2.ProxyPorts.1": "80"}, "InvalidParameter"),
        ({"HttpsExt": "{"}, "InvalidParameter"),
        ({"HttpsExt": '{"Http2https": 7}'}, "InvalidParameter"),
    ],
)
def test_domains_that_cannot_be(cloud: LocalCloud, changed: dict[str, Any], code: str) -> None:
    id = buy(cloud)
    with pytest.raises(Refused) as refused:
        serve(cloud, id, **changed)
    assert refused.value.code == code and scrubber(cloud).fronts == ()


def test_a_domain_once_and_as_many_as_were_bought(cloud: LocalCloud) -> None:
    id = buy(cloud, domain_count=1)
    serve(cloud, id)
    with pytest.raises(Refused, match="DomainExist"):
        serve(cloud, id)
    with pytest.raises(Refused, match="DomainCountLimit"):
        serve(cloud, id, "other.test")


def test_https_once_there_is_a_certificate(cloud: LocalCloud, certificate: tuple[str, str]) -> None:
    id = buy(cloud)
    secure = {
        "ProxyTypes.2.ProxyType": "https",
        "ProxyTypes.2.ProxyPorts.1": "443",
        "HttpsExt": '{"Http2https": 1, "Https2http": 1, "Http2": 1}',
    }
    serve(cloud, id, **secure)
    assert front(cloud).listeners == (("http", 80),) and not front(cloud).to_https
    assert refusal(cloud, "AssociateWebCert", Domain="shop.test", Cert="x", Key="y") == "InvalidParameter"
    cloud.call("AssociateWebCert", Domain="shop.test", CertName="mine", Cert=certificate[0], Key=certificate[1])
    assert front(cloud).listeners == (("http", 80), ("https", 443)) and front(cloud).to_https and front(cloud).plain_origin
    shown = str(cloud.call("DescribeWebRules")["WebRules"])
    assert "mine" in shown and "PRIVATE KEY" not in shown


def test_headers_for_the_origin(cloud: LocalCloud) -> None:
    serve(cloud, buy(cloud))
    assert json.loads(cloud.call("DescribeHeaders", Domain="shop.test")["CustomHeader"]["Headers"]) == {}
    cloud.call("ModifyHeaders", Domain="shop.test", CustomHeaders='{"X-Edge-Token": "top-secret+1=", "X-Site": "a b"}')
    assert front(cloud).headers == (("X-Edge-Token", "top-secret+1="), ("X-Site", "a b")) and "top-secret" not in repr(front(cloud))
    assert json.loads(cloud.call("DescribeHeaders", Domain="shop.test")["CustomHeader"]["Headers"])["X-Site"] == "a b"
    for given in (
        "x",
        "[]",
        '{"Host": "a"}',
        '{"X Y": "a"}',
        '{"X": ""}',
        '{"X": 1}',
        '{"X": "a\\nb"}',
        '{"X": "%[env(HOME)]"}',
        '{"X": "a\'b"}',
    ):
        assert refusal(cloud, "ModifyHeaders", Domain="shop.test", CustomHeaders=given) == "InvalidParameter"
    assert (
        refusal(cloud, "ModifyHeaders", Domain="shop.test", CustomHeaders=json.dumps({f"X-{n}": "a" for n in range(6)}))
        == "InvalidParameter"
    )
    assert len(front(cloud).headers) == 2
    cloud.call("ModifyHeaders", Domain="shop.test", CustomHeaders="{}")
    assert front(cloud).headers == ()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """(certificate, key) of shop.test, PEM."""
    import subprocess

    folder = tmp_path_factory.mktemp("pem")
    names = ["-subj", "/CN=shop.test", "-addext", "subjectAltName=DNS:shop.test"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*command, "-keyout", folder / "key", "-out", folder / "crt"], check=True, capture_output=True)
    return (folder / "crt").read_text(), (folder / "key").read_text()


def test_ports_and_their_limits(cloud: LocalCloud) -> None:
    id = buy(cloud)
    serve(cloud, id)
    port = {"InstanceId": id, "FrontendProtocol": "udp", "FrontendPort": 5300}
    cloud.call("CreatePort", **port, BackendPort=53, **{"RealServers.1": "198.18.160.40"})
    assert refusal(cloud, "CreatePort", **port, BackendPort=53, **{"RealServers.1": "198.18.160.40"}) == "NetworkRuleExist"
    assert (
        refusal(cloud, "CreatePort", InstanceId=id, FrontendProtocol="tcp", FrontendPort=80, **{"RealServers.1": "198.18.160.40"})
        == "NetworkRuleExist"
    )
    config = {"Slimit": {"Pps": 50}, "PayloadLen": {"Min": 2, "Max": 100}}
    cloud.call("ModifyNetworkRuleAttribute", InstanceId=id, ForwardProtocol="udp", FrontendPort=5300, Config=json.dumps(config))
    relay = scrubber(cloud).relays[0]
    assert (relay.port, relay.origins[0].port, relay.per_second, relay.least, relay.most) == (5300, 53, 50, 2, 100)
    asked = json.dumps([{"InstanceId": id, "Protocol": "udp", "FrontendPort": 5300}])
    assert cloud.call("DescribeNetworkRuleAttributes", NetworkRules=asked)["NetworkRuleAttributes"][0]["Config"]["Slimit"]["Pps"] == 50
    for bad in ("{", "[]", '{"Slimit": 1}', '{"Slimit": {"Xps": 1}}', '{"Slimit": {"Pps": -1}}', '{"Other": {}}'):
        assert (
            refusal(cloud, "ModifyNetworkRuleAttribute", InstanceId=id, ForwardProtocol="udp", FrontendPort=5300, Config=bad)
            == "InvalidParameter"
        )
    assert cloud.call("DescribePort", InstanceId=id, PageNumber=1, PageSize=10)["TotalCount"] == 1
    cloud.call("DeletePort", **port)
    assert scrubber(cloud).relays == () and refusal(cloud, "DeletePort", **port) == "NetworkRuleNotExist"


def test_lists_of_a_domain_and_of_an_instance(cloud: LocalCloud) -> None:
    id = buy(cloud)
    serve(cloud, id)
    cloud.call(
        "ConfigWebIpSet", Domain="shop.test", **{"BlackList.1": "198.18.0.9", "BlackList.2": "198.18.1.0/24", "WhiteList.1": "198.18.0.8"}
    )
    assert front(cloud).black == ("198.18.0.9", "198.18.1.0/24") and front(cloud).white == ("198.18.0.8",)
    cloud.call("ModifyWebIpSetSwitch", Domain="shop.test", Config='{"Bwlist_Enable": 0}')
    assert front(cloud).black == () and front(cloud).white == ()
    assert refusal(cloud, "ConfigWebIpSet", Domain="shop.test", **{"BlackList.1": "::1"}) == "InvalidParameter"
    cloud.call("AddAutoCcBlacklist", InstanceId=id, Blacklist='[{"src": "198.18.0.7"}]', ExpireTime=300)
    cloud.call("AddAutoCcWhitelist", InstanceId=id, Whitelist='[{"src": "198.18.0.6"}]')
    assert scrubber(cloud).black == ("198.18.0.7",) and scrubber(cloud).white == ("198.18.0.6",)
    assert cloud.call("DescribeAutoCcBlacklist", InstanceId=id, PageNumber=1, PageSize=10)["AutoCcBlacklist"][0]["SourceIp"] == "198.18.0.7"
    assert refusal(cloud, "AddAutoCcBlacklist", InstanceId=id, Blacklist='[{"src": "x"}]', ExpireTime=300) == "InvalidParameter"
    assert refusal(cloud, "AddAutoCcBlacklist", InstanceId=id, Blacklist='[{"src": "198.18.0.7"}]', ExpireTime=10) == "InvalidParameter"
    cloud.call("DeleteAutoCcBlacklist", InstanceId=id, Blacklist='[{"src": "198.18.0.7"}]')
    assert scrubber(cloud).black == ()


def test_frequency_control(cloud: LocalCloud) -> None:
    id = buy(cloud)
    serve(cloud, id)
    cloud.call("ConfigWebCCTemplate", Domain="shop.test", Template="gf_sos_verify")
    assert front(cloud).challenge == "always"
    cloud.call("ModifyWebCCGlobalSwitch", Domain="shop.test", CcGlobalSwitch="off")
    assert (front(cloud).challenge, front(cloud).per_source) == ("off", 0)
    rule = {
        "name": "login",
        "action": "block",
        "condition": [
            {"field": "uri", "match_method": "prefix", "content": "/login"},
            {"field": "ip", "match_method": "nbelong", "content": "198.18.0.1"},
        ],
        "ratelimit": {"interval": 10, "threshold": 5, "ttl": 60, "target": "ip"},
    }
    cloud.call("ConfigWebCCRuleV2", Domain="shop.test", RuleList=json.dumps([rule]))
    conditions = (Match("path", "prefix", ("/login",)), Match("ip", "net", ("198.18.0.1",), negate=True))
    assert front(cloud).frequencies == (Frequency("login", "block", conditions, 10, 5, 60),)
    assert cloud.call("DescribeWebCCRulesV2", Domain="shop.test")["WebCCRules"][0]["RuleDetail"]["RateLimit"]["Threshold"] == 5
    cloud.call("DisableWebCCRule", Domain="shop.test")
    assert front(cloud).frequencies == ()
    cloud.call("EnableWebCCRule", Domain="shop.test")
    cloud.call("DeleteWebCCRuleV2", Domain="shop.test", RuleNames='["login"]')
    assert front(cloud).frequencies == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "a b"},
        {"action": "drop"},
        {"condition": []},
        {"condition": [{"field": "uri", "match_method": "regex", "content": "x"}]},
        {"condition": [{"field": "uri", "match_method": "equal", "content": "#x"}]},
        {"condition": [{"field": "uri", "match_method": "equal", "content": "x\ny"}]},
        {"condition": [{"field": "header", "match_method": "equal", "content": "x", "header_name": "a: b"}]},
        {"condition": [{"field": "uri", "match_method": "belong", "content": "x"}]},
        {"ratelimit": {"interval": 0, "threshold": 5, "ttl": 60}},
        {"ratelimit": {"interval": 5, "threshold": 5, "ttl": 60, "target": "header"}},
    ],
)
def test_rules_that_cannot_be(cloud: LocalCloud, changed: dict[str, Any]) -> None:
    serve(cloud, buy(cloud))
    rule = {"name": "r", "action": "block", "condition": [{"field": "uri", "match_method": "equal", "content": "/"}], **changed}
    assert refusal(cloud, "ConfigWebCCRuleV2", Domain="shop.test", RuleList=json.dumps([rule])) in (
        "InvalidParameter",
        "UnsupportedOperation",
    )
    assert front(cloud).frequencies == ()


QUIET = Reading(0.0, 0, 0, 0, 0, {"udp": (0, 0), "hole": (0, 0)}, {"shop.test": (0, 0)})


class Clock:
    """Turns of the monitor, a second each."""

    def __init__(self, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, instance: str) -> None:
        self.cloud, self.instance, self.reading, self.now = cloud, instance, QUIET, time.time()
        monkeypatch.setattr(cloud.store, "now", lambda: self.now)

    def later(self, seconds: int) -> None:
        """A turn so much later; for the API it is the old time again, which signatures are checked against."""
        self.now += seconds
        self.turn()
        self.now -= seconds + 1

    def turn(self, seconds: int = 1, udp: int = 0, requests: int = 0, bits: int = 8000) -> None:
        for _ in range(seconds):
            self.now += 1
            r = self.reading
            drops = {**r.drops, "udp": (r.drops["udp"][0] + udp, r.drops["udp"][1] + udp * 100)}
            counts = {"shop.test": (requests, r.requests["shop.test"][1] + requests)}
            self.reading = replace(
                r, time=r.time + 1, bytes_in=r.bytes_in + bits // 8, packets_in=r.packets_in + 10 + udp, drops=drops, requests=counts
            )
            self.cloud.dataplane.readings[self.instance] = self.reading
            self.cloud.monitor.look()


def test_an_attack_on_the_network_has_a_start_a_peak_and_an_end(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    id = buy(cloud)
    clock = Clock(cloud, monkeypatch, id)
    clock.turn(3)
    begun = int(clock.now)
    clock.turn(2, udp=5000)
    details = cloud.call("DescribeInstanceDetails", **{"InstanceIds.1": id})
    assert details["InstanceDetails"][0]["EipInfos"][0]["Status"] == "defense"
    clock.turn(25)
    asked = {"InstanceIds.1": id, "StartTime": begun - 60, "EndTime": int(clock.now) + 1}
    events = cloud.call("DescribeDDoSEvents", **asked, PageNumber=1, PageSize=10)["DDoSEvents"]
    assert [(e["EventType"], e["StartTime"] - begun, e["EndTime"] - begun, e["Pps"]) for e in events] == [("defense", 1, 3, 5000)]
    assert cloud.call("DescribePortAttackMaxFlow", **asked) | {"RequestId": ""} == {"Bps": 4_000_000, "Pps": 5000, "RequestId": ""}
    flows = cloud.call("DescribePortFlowList", **asked, Interval=60)["PortFlowList"]
    assert sum(f["AttackPps"] * 60 for f in flows) >= 9900 and all(f["InPps"] >= f["AttackPps"] for f in flows)


def test_a_flood_of_requests_is_challenged_until_it_ends(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    id = buy(cloud)
    serve(cloud, id)
    clock = Clock(cloud, monkeypatch, id)
    clock.turn(3, requests=20)
    assert cloud.dataplane.challenged.get(id, set()) == set()
    clock.turn(1, requests=5000)
    assert cloud.dataplane.challenged[id] == {"shop.test"}, "within a second"
    clock.turn(10, requests=20)
    assert cloud.dataplane.challenged[id] == {"shop.test"}, "not off and on again"
    clock.turn(15, requests=20)
    assert cloud.dataplane.challenged[id] == set()
    asked = {"StartTime": int(clock.now) - 120, "EndTime": int(clock.now) + 1}
    events = cloud.call("DescribeDomainAttackEvents", **asked, Domain="shop.test", PageNumber=1, PageSize=10)["DomainAttackEvents"]
    assert len(events) == 1 and events[0]["MaxQps"] == 5000
    listed = cloud.call("DescribeDomainQPSList", **asked, Domain="shop.test", Interval=60)["DomainQPSList"]
    assert max(row["MaxQps"] for row in listed) == 5000 and sum(row["TotalCount"] for row in listed) > 5000


def test_what_an_earlier_server_left_challenged_is_let_go(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    id = buy(cloud)
    serve(cloud, id)
    cloud.dataplane.challenged[id] = {"shop.test"}
    Clock(cloud, monkeypatch, id).turn(2, requests=5)
    assert cloud.dataplane.challenged[id] == set()


def test_a_blackhole_and_its_release(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    id = buy(cloud, bandwidth=30)
    clock = Clock(cloud, monkeypatch, id)
    clock.turn(2)
    clock.turn(1, bits=40_000_000)
    assert (
        scrubber(cloud).hole
        and cloud.call("DescribeBlackholeStatus", **{"InstanceIds.1": id})["BlackholeStatus"][0]["BlackStatus"] == "blackhole"
    )
    cloud.call("ModifyBlackholeStatus", InstanceId=id, BlackholeStatus="undo")
    assert not scrubber(cloud).hole and cloud.call("DescribeUnBlackholeCount")["RemainCount"] == 4
    clock.turn(1, bits=40_000_000)
    assert refusal(cloud, "ModifyBlackholeStatus", InstanceId=id, BlackholeStatus="undo") == "UnBlackholeCountLimit"
    clock.later(1801)
    assert not scrubber(cloud).hole, "it ends by itself"
    assert refusal(cloud, "ModifyBlackholeStatus", InstanceId=id, BlackholeStatus="undo") == "NotInBlackhole"


def test_what_was_given_a_time_ends(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    id = buy(cloud)
    clock = Clock(cloud, monkeypatch, id)
    cloud.call("AddAutoCcBlacklist", InstanceId=id, Blacklist='[{"src": "198.18.0.7"}]', ExpireTime=300)
    clock.turn(1)
    assert scrubber(cloud).black == ("198.18.0.7",)
    clock.later(300)
    assert scrubber(cloud).black == ()
