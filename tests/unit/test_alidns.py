"""Cloud DNS over the API, and what the name server says of it: real packets in and out of the resolver, without a socket."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dnslib import QTYPE, RCODE, DNSRecord  # type: ignore[import-untyped]

from haechi.cloud.linklocal import names_of
from haechi.dataplane.dns import Resolver
from tests.localcloud import LocalCloud, Refused


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    made = LocalCloud(tmp_path)
    made.call("AddDomain", DomainName="Meow.Test")
    yield made
    made.close()


def add(cloud: LocalCloud, rr: str, type: str, value: str, **more: Any) -> str:
    return str(cloud.call("AddDomainRecord", DomainName="meow.test", RR=rr, Type=type, Value=value, **more)["RecordId"])


def ask(cloud: LocalCloud, name: str, type: str = "A") -> tuple[str, list[str], list[str]]:
    """(code, answers, types of the authority section)"""
    server = Resolver([], names_of(cloud.runtime), (), lambda addresses: None, authoritative=True)
    packet = asyncio.run(server.answer("internet", DNSRecord.question(name, type).pack()))
    assert packet is not None
    reply = DNSRecord.parse(packet)
    return RCODE[reply.header.rcode], [str(rr.rdata) for rr in reply.rr], [QTYPE[rr.rtype] for rr in reply.auth]


def refusal(cloud: LocalCloud, action: str, **parameters: Any) -> str:
    with pytest.raises(Refused) as refused:
        cloud.call(action, **parameters)
    return refused.value.code


def test_a_domain_and_its_end(cloud: LocalCloud) -> None:
    assert cloud.call("DescribeDomainInfo", DomainName="meow.test")["DnsServers"]["DnsServer"] == ["ns1.alidns.com", "ns2.alidns.com"]
    assert refusal(cloud, "AddDomain", DomainName="meow.test") == "InvalidDomainName.Duplicate"
    assert refusal(cloud, "AddDomain", DomainName="no domain") == "InvalidDomainName.Format"
    add(cloud, "www", "A", "198.18.0.9")
    assert cloud.call("DescribeDomains", "2015-01-09", KeyWord="meo")["Domains"]["Domain"][0]["RecordCount"] == 1
    assert ask(cloud, "WWW.Meow.Test") == ("NOERROR", ["198.18.0.9"], [])
    cloud.call("DeleteDomain", "2015-01-09", DomainName="meow.test")
    assert ask(cloud, "www.meow.test")[0] == "REFUSED"
    assert refusal(cloud, "DescribeDomainInfo", DomainName="meow.test") == "InvalidDomainName.NoExist"


def test_every_type(cloud: LocalCloud) -> None:
    add(cloud, "@", "A", "198.18.0.9")
    add(cloud, "@", "AAAA", "2001:db8::1")
    add(cloud, "@", "MX", "Mail.meow.test.", Priority=10)
    add(cloud, "@", "TXT", "v=spf1 -all")
    add(cloud, "_sip._tcp", "SRV", "1 2 5060 sip.meow.test")
    add(cloud, "@", "CAA", '0 issue "letsencrypt.org"')
    add(cloud, "sub", "NS", "ns.other.test")
    expected = {
        "A": ["198.18.0.9"],
        "AAAA": ["2001:db8::1"],
        "MX": ["10 mail.meow.test."],
        "TXT": ['"v=spf1 -all"'],
        "CAA": ['0 issue "letsencrypt.org"'],
        "NS": ["ns1.alidns.com.", "ns2.alidns.com."],
    }
    for type, answers in expected.items():
        assert ask(cloud, "meow.test", type) == ("NOERROR", answers, []), type
    assert ask(cloud, "_sip._tcp.meow.test", "SRV")[1] == ["1 2 5060 sip.meow.test."]
    assert ask(cloud, "sub.meow.test", "NS")[1] == ["ns.other.test."]
    assert ask(cloud, "meow.test", "SOA")[1][0].startswith("ns1.alidns.com.")
    assert ask(cloud, "ns1.alidns.com")[1] == [cloud.runtime.site.outside]
    assert len(ask(cloud, "meow.test", "ANY")[1]) == 5


def test_what_is_not_there(cloud: LocalCloud) -> None:
    add(cloud, "a.b", "A", "198.18.0.9")
    assert ask(cloud, "a.b.meow.test", "AAAA") == ("NOERROR", [], ["SOA"])
    assert ask(cloud, "b.meow.test") == ("NOERROR", [], ["SOA"]), "it exists, because something lies below it"
    assert ask(cloud, "c.meow.test") == ("NXDOMAIN", [], ["SOA"])
    assert ask(cloud, "example.com") == ("REFUSED", [], [])


def test_wildcards_yield_to_what_exists(cloud: LocalCloud) -> None:
    add(cloud, "*", "A", "198.18.0.1")
    add(cloud, "www", "TXT", "here")
    add(cloud, "x.deep", "A", "198.18.0.2")
    assert ask(cloud, "any.meow.test")[1] == ["198.18.0.1"] and ask(cloud, "two.labels.meow.test")[1] == ["198.18.0.1"]
    assert ask(cloud, "www.meow.test") == ("NOERROR", [], ["SOA"])
    assert ask(cloud, "y.deep.meow.test") == ("NXDOMAIN", [], ["SOA"])


def test_chains_go_through_zones_to_the_protected_address(cloud: LocalCloud) -> None:
    instance = cloud.call("CreateInstance", "2017-12-14", ProductCode="ddos", ProductType="ddoscoo")["Data"]["InstanceId"]
    web = {"ProxyTypes.1.ProxyType": "http", "ProxyTypes.1.ProxyPorts.1": "80", "InstanceIds.1": instance}
    cloud.call("CreateDomainResource", Domain="www.meow.test", RsType=1, **{"RealServers.1": "origin.meow.test"}, **web)
    cname = cloud.call("DescribeDomainResource", Domain="www.meow.test")["WebRules"][0]["Cname"]
    address = cloud.call("DescribeInstances", "2020-01-01", PageNumber=1, PageSize=10)["Instances"][0]["Ip"]
    add(cloud, "www", "CNAME", cname)
    add(cloud, "blog", "CNAME", "www.meow.test")
    assert ask(cloud, "blog.meow.test")[1] == ["www.meow.test.", f"{cname}.", address]
    assert ask(cloud, "blog.meow.test", "CNAME")[1] == ["www.meow.test."]
    assert ask(cloud, "x" + cname)[0] == "NXDOMAIN"
    add(cloud, "out", "CNAME", "elsewhere.example")
    assert ask(cloud, "out.meow.test") == ("NOERROR", ["elsewhere.example."], [])
    add(cloud, "loop1", "CNAME", "loop2.meow.test"), add(cloud, "loop2", "CNAME", "loop1.meow.test")
    assert len(ask(cloud, "loop1.meow.test")[1]) < 20


def test_switching_changing_deleting(cloud: LocalCloud) -> None:
    id = add(cloud, "www", "A", "198.18.0.9")
    cloud.call("SetDomainRecordStatus", RecordId=id, Status="Disable")
    assert ask(cloud, "www.meow.test")[0] == "NXDOMAIN"
    assert cloud.call("DescribeDomainRecordInfo", RecordId=id)["Status"] == "DISABLE"
    cloud.call("SetDomainRecordStatus", RecordId=id, Status="ENABLE")
    cloud.call("UpdateDomainRecord", RecordId=id, RR="web", Type="A", Value="198.18.0.8", TTL=1800)
    assert ask(cloud, "web.meow.test")[1] == ["198.18.0.8"] and ask(cloud, "www.meow.test")[0] == "NXDOMAIN"
    same = {"RecordId": id, "RR": "web", "Type": "A", "Value": "198.18.0.8", "TTL": 1800}
    assert refusal(cloud, "UpdateDomainRecord", **same) == "DomainRecordDuplicate"
    cloud.call("DeleteDomainRecord", RecordId=id)
    assert refusal(cloud, "DeleteDomainRecord", RecordId=id) == "DomainRecordNotBelongToUser"
    add(cloud, "two", "A", "198.18.0.1"), add(cloud, "two", "A", "198.18.0.2")
    assert cloud.call("DeleteSubDomainRecords", DomainName="meow.test", RR="two")["TotalCount"] == "2"


@pytest.mark.parametrize(
    ("rr", "type", "value", "more", "code"),
    [
        ("www", "A", "not an address", {}, "DomainRecordValueInvalid"),
        ("www", "AAAA", "198.18.0.1", {}, "InvalidValue.Format"),
        ("www", "CNAME", "no host!", {}, "InvalidValue.Format"),
        ("www", "MX", "mail.test", {}, "MissingParameter"),
        ("www", "SRV", "1 2 x sip.test", {}, "InvalidValue.Format"),
        ("www", "CAA", "0 other x", {}, "InvalidValue.Format"),
        ("www", "TXT", "ä", {}, "InvalidValue.Format"),
        ("w w", "A", "198.18.0.1", {}, "InvalidRR.Format"),
        ("a.*", "A", "198.18.0.1", {}, "InvalidRR.Format"),
        ("www", "A", "198.18.0.1", {"TTL": 10}, "InvalidTTL"),
        ("www", "HINFO", "x", {}, "InvalidType"),
        ("www", "REDIRECT_URL", "http://x.test", {}, "UnsupportedOperation"),
        ("www", "A", "198.18.0.1", {"Line": "telecom"}, "UnsupportedOperation"),
        ("taken", "A", "198.18.0.9", {}, "DomainRecordDuplicate"),
        ("taken", "CNAME", "x.test", {}, "DomainRecordConflict"),
        ("alias", "TXT", "x", {}, "DomainRecordConflict"),
    ],
)
def test_records_that_cannot_be(cloud: LocalCloud, rr: str, type: str, value: str, more: dict[str, Any], code: str) -> None:
    add(cloud, "taken", "A", "198.18.0.9"), add(cloud, "alias", "CNAME", "x.test")
    assert refusal(cloud, "AddDomainRecord", DomainName="meow.test", RR=rr, Type=type, Value=value, **more) == code
    assert cloud.call("DescribeDomainRecords", DomainName="meow.test")["TotalCount"] == 2


def test_lists_and_filters(cloud: LocalCloud) -> None:
    for number in range(25):
        add(cloud, f"host{number}", "A", f"198.18.0.{number + 1}")
    add(cloud, "mail", "TXT", "host of mail")
    first = cloud.call("DescribeDomainRecords", DomainName="meow.test")
    assert first["TotalCount"] == 26 and len(first["DomainRecords"]["Record"]) == 20
    assert cloud.call("DescribeDomainRecords", DomainName="meow.test", RRKeyWord="host1", PageSize=500)["TotalCount"] == 11
    assert cloud.call("DescribeDomainRecords", DomainName="meow.test", KeyWord="host1", SearchMode="EXACT")["TotalCount"] == 1
    assert cloud.call("DescribeDomainRecords", DomainName="meow.test", TypeKeyWord="txt")["TotalCount"] == 1
    assert cloud.call("DescribeSubDomainRecords", SubDomain="host3.meow.test")["DomainRecords"]["Record"][0]["Value"] == "198.18.0.4"
    assert refusal(cloud, "DescribeSubDomainRecords", SubDomain="x.other.test") == "InvalidDomainName.NoExist"


def test_weights(cloud: LocalCloud) -> None:
    one, two = add(cloud, "www", "A", "198.18.0.1"), add(cloud, "www", "A", "198.18.0.2")
    assert sorted(ask(cloud, "www.meow.test")[1]) == ["198.18.0.1", "198.18.0.2"]
    assert refusal(cloud, "UpdateDNSSLBWeight", RecordId=one, Weight=9) == "DisableDNSSLB"
    cloud.call("SetDNSSLBStatus", SubDomain="www.meow.test", Open=True)
    cloud.call("UpdateDNSSLBWeight", RecordId=one, Weight=90), cloud.call("UpdateDNSSLBWeight", RecordId=two, Weight=10)
    random.seed(4)
    counted = Counter(ask(cloud, "www.meow.test")[1][0] for _ in range(300))
    assert counted["198.18.0.1"] > 230 and counted["198.18.0.2"] > 5


def test_tags(cloud: LocalCloud) -> None:
    cloud.call("TagResources", "2015-01-09", ResourceType="DOMAIN", ResourceId=["meow.test"], Tag=[{"Key": "env", "Value": "prod"}])
    rows = cloud.call("ListTagResources", "2015-01-09", ResourceType="DOMAIN", ResourceId=["meow.test"])["TagResources"]
    assert rows == [{"ResourceId": "meow.test", "ResourceType": "DOMAIN", "TagKey": "env", "TagValue": "prod"}]
    cloud.call("UntagResources", "2015-01-09", ResourceType="DOMAIN", ResourceId=["meow.test"], TagKey=["env"])
    assert cloud.call("ListTagResources", "2015-01-09", ResourceType="DOMAIN", ResourceId=["meow.test"])["TagResources"] == []


def test_malformed_packets_get_no_harm_done(cloud: LocalCloud) -> None:
    server = Resolver([], names_of(cloud.runtime), (), lambda addresses: None, authoritative=True)
    dice = random.Random(5)
    good = DNSRecord.question("www.meow.test").pack()

    async def throw() -> None:
        for _ in range(3000):
            packet = bytearray(good)
            for _ in range(dice.randrange(1, 6)):
                packet[dice.randrange(len(packet))] = dice.randrange(256)
            await server.answer("internet", bytes(packet[: dice.randrange(len(packet) + 1)]))

    asyncio.run(throw())
    assert ask(cloud, "meow.test", "SOA")[0] == "NOERROR"


def test_ten_thousand_names(cloud: LocalCloud) -> None:
    with cloud.store.write() as tx:
        for number in range(10_000):
            values = {
                "DomainName": "meow.test",
                "RR": f"n{number}",
                "Type": "A",
                "Value": f"198.18.{number // 250}.{number % 250}",
                "TTL": 600,
            }
            more = {"Priority": 0, "Line": "default", "Status": "ENABLE", "Remark": "", "Weight": 1, "CreatedAt": number, "UpdatedAt": 0}
            tx.put("dns_record", str(number), "", {**values, **more})
    assert ask(cloud, "n9999.meow.test")[1] == ["198.18.39.249"] and ask(cloud, "n10000.meow.test")[0] == "NXDOMAIN"
