"""Cloud Firewall over the API: switches, policies, books, what of them the data plane is told, and what was seen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haechi.cloud.products.cloudfw.desired import render_wall
from haechi.dataplane.flows import End, Tracked
from haechi.dataplane.nflog import Told
from haechi.dataplane.plan import Policy
from tests.localcloud import LocalCloud, Refused

VERSION = "2017-12-07"
SHUT = {
    "AclAction": "drop",
    "Description": "shut",
    "Source": "0.0.0.0/0",
    "SourceType": "net",
    "Destination": "0.0.0.0/0",
    "DestinationType": "net",
    "Direction": "in",
    "Proto": "TCP",
    "DestPort": "22/22",
    "NewOrder": "-1",
}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    made = LocalCloud(tmp_path)
    yield made
    made.close()


def add(cloud: LocalCloud, **more: Any) -> str:
    return str(cloud.call("AddControlPolicy", VERSION, **{**SHUT, **more})["AclUuid"])


def listed(cloud: LocalCloud, **more: Any) -> list[dict[str, Any]]:
    given = {"CurrentPage": 1, "PageSize": 50, "Direction": "in", **more}
    found: list[dict[str, Any]] = cloud.call("DescribeControlPolicy", VERSION, **given)["Policys"]
    return found


def asset(cloud: LocalCloud) -> str:
    return str(cloud.call("AllocateEipAddress", Bandwidth="5")["EipAddress"])


def refusal(cloud: LocalCloud, action: str, **parameters: Any) -> str:
    with pytest.raises(Refused) as refused:
        cloud.call(action, VERSION, **parameters)
    return refused.value.code


def test_switches(cloud: LocalCloud) -> None:
    first, second = asset(cloud), asset(cloud)
    shown = cloud.call("DescribeAssetList", VERSION, CurrentPage=1, PageSize=10)
    assert [(a["InternetAddress"], a["ResourceType"], a["ProtectStatus"]) for a in shown["Assets"]] == [
        (first, "EIP", "closed"),
        (second, "EIP", "closed"),
    ]
    answer = cloud.call("PutEnableFwSwitch", VERSION, **{"IpaddrList.1": first, "IpaddrList.2": "9.9.9.9"})
    assert [row["Resource"] for row in answer["AbnormalResourceStatusList"]] == ["9.9.9.9"]
    assert cloud.dataplane.plan.wall.protected == (first,)
    assert cloud.call("DescribeAssetList", VERSION, CurrentPage=1, PageSize=10, Status="open")["TotalCount"] == 1
    cloud.call("PutEnableAllFwSwitch", VERSION)
    assert cloud.dataplane.plan.wall.protected == (first, second)
    cloud.call("PutDisableFwSwitch", VERSION, **{"ResourceTypeList.1": "EIP"})
    assert cloud.dataplane.plan.wall.protected == ()
    assert refusal(cloud, "PutEnableFwSwitch") == "MissingParameter"


def test_new_assets_are_guarded_by_themselves_if_wanted(cloud: LocalCloud) -> None:
    old = asset(cloud)
    cloud.call("PutDisableFwSwitch", VERSION, **{"IpaddrList.1": old})
    cloud.call("SetAutoProtectNewAssets", VERSION, AutoProtect="true")
    new = asset(cloud)
    assert render_wall(cloud.store.view()).protected == (new,)
    assert cloud.call("DescribeAssetStatistic", VERSION)["AutoResourceEnable"] is True


def test_an_address_that_is_given_back_takes_its_switch_along(cloud: LocalCloud) -> None:
    made = cloud.call("AllocateEipAddress", Bandwidth="5")
    cloud.call("PutEnableAllFwSwitch", VERSION)
    cloud.call("ReleaseEipAddress", AllocationId=made["AllocationId"])
    assert asset(cloud) == made["EipAddress"] and render_wall(cloud.store.view()).protected == ()


def test_policies_keep_their_order(cloud: LocalCloud) -> None:
    ids = [add(cloud, Description=name) for name in "abc"]
    top = add(cloud, Description="top", NewOrder="1")
    other = add(cloud, Direction="out", Description="other")
    assert [p["AclUuid"] for p in listed(cloud)] == [top, *ids] and [p["Order"] for p in listed(cloud)] == [1, 2, 3, 4]
    cloud.call("ModifyControlPolicyPriority", VERSION, AclUuid=ids[2], Order="2")
    assert [p["AclUuid"] for p in listed(cloud)] == [top, ids[2], ids[0], ids[1]]
    cloud.call("ModifyControlPolicyPosition", VERSION, Direction="in", OldOrder="1", NewOrder="4")
    assert [p["AclUuid"] for p in listed(cloud)] == [ids[2], ids[0], ids[1], top]
    cloud.call("DeleteControlPolicy", VERSION, AclUuid=ids[0], Direction="in")
    assert [p["Order"] for p in listed(cloud)] == [1, 2, 3]
    assert cloud.call("DescribePolicyPriorUsed", VERSION, Direction="in") | {"RequestId": ""} == {"Start": 1, "End": 3, "RequestId": ""}
    assert [policy.id for policy in cloud.dataplane.plan.wall.policies] == [ids[2], ids[1], top, other]
    assert refusal(cloud, "ModifyControlPolicyPriority", AclUuid=top, Order="9") == "InvalidParameter"
    assert refusal(cloud, "ModifyControlPolicyPriority", AclUuid="acl-none", Order="1") == "ErrorAclNotExist"


def test_what_the_data_plane_is_told(cloud: LocalCloud) -> None:
    id = add(cloud, Source="198.18.1.7", DestPort="80/90", ApplicationName="http")
    wanted = Policy(id, "in", "drop", "tcp", ("198.18.1.7/32",), (), (), ((80, 90),), ("HTTP",))
    assert cloud.dataplane.plan.wall.policies == (wanted,)
    cloud.call("ModifyControlPolicy", VERSION, AclUuid=id, Direction="in", AclAction="log", ApplicationName="ANY", DestPort="0/0")
    assert cloud.dataplane.plan.wall.policies == (Policy(id, "in", "log", "tcp", ("198.18.1.7/32",)),)
    cloud.call("ModifyControlPolicy", VERSION, AclUuid=id, Direction="in", Release="false")
    assert cloud.dataplane.plan.wall.policies == ()
    cloud.call("ModifyPolicyAdvancedConfig", VERSION, InternetSwitch="on")
    assert cloud.dataplane.plan.wall.strict and cloud.call("DescribePolicyAdvancedConfig", VERSION)["InternetSwitch"] == "on"
    assert listed(cloud)[0]["Release"] == "false"


def test_what_cannot_be_applied_is_not_kept(cloud: LocalCloud) -> None:
    asset(cloud)
    cloud.dataplane.fail = "the kernel refuses"
    with pytest.raises(Refused):
        add(cloud)
    assert listed(cloud) == []


def test_address_books(cloud: LocalCloud) -> None:
    def book(name: str, kind: str, entries: str) -> str:
        given = {"GroupName": name, "GroupType": kind, "Description": "d", "AddressList": entries}
        return str(cloud.call("AddAddressBook", VERSION, **given)["GroupUuid"])

    offices = book("offices", "ip", "198.18.1.0/24, 198.18.2.7")
    ports = book("ports", "port", "22,8000/8010")
    names = book("names", "domain", "*.good.test,other.test")
    add(cloud, Source="offices", SourceType="group", DestPortType="group", DestPortGroup="ports", DestPort="")
    add(cloud, Direction="out", Destination="names", DestinationType="group", DestPort="")
    inward, outward = cloud.dataplane.plan.wall.policies
    assert (inward.sources, inward.ports) == (("198.18.1.0/24", "198.18.2.7/32"), ((22, 22), (8000, 8010)))
    assert (outward.domains, outward.destinations) == (("*.good.test", "other.test"), ())
    cloud.call(
        "ModifyAddressBook", VERSION, GroupUuid=offices, GroupName="offices", Description="d", ModifyMode="Append", AddressList="9.9.9.9"
    )
    assert cloud.dataplane.plan.wall.policies[0].sources[-1] == "9.9.9.9/32"
    cloud.call(
        "ModifyAddressBook", VERSION, GroupUuid=offices, GroupName="places", Description="d", ModifyMode="Delete", AddressList="9.9.9.9"
    )
    assert listed(cloud)[0]["Source"] == "places" and listed(cloud)[0]["SourceGroupCidrs"] == ["198.18.1.0/24", "198.18.2.7/32"]
    assert refusal(cloud, "DeleteAddressBook", GroupUuid=ports) == "ErrorAddressGroupUsed"
    shown = cloud.call("DescribeAddressBook", VERSION, GroupType="all")["Acls"]
    assert [(b["GroupName"], b["ReferenceCount"]) for b in shown] == [("places", 1), ("ports", 1), ("names", 1)]
    assert cloud.call("DescribeAddressBook", VERSION, ContainPort="8005")["TotalCount"] == "1"
    assert refusal(cloud, "AddAddressBook", GroupName="names", GroupType="ip", Description="d", AddressList="1.1.1.1") == (
        "ErrorAddressGroupNameExist"
    )
    everything = {
        "GroupUuid": names,
        "GroupName": "names",
        "Description": "d",
        "ModifyMode": "Delete",
        "AddressList": "*.good.test,other.test",
    }
    assert refusal(cloud, "ModifyAddressBook", **everything) == "InvalidParameter", "an empty book would match everything"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"Source": "nonsense"}, "InvalidParameter"),
        ({"Source": "none", "SourceType": "group"}, "ErrorAddressGroupNotExist"),
        ({"DestinationType": "domain", "Destination": "good.test"}, "InvalidParameter"),
        ({"SourceType": "location", "Source": '["BJ11"]'}, "ErrorUnsupported"),
        ({"DestPort": "90/80"}, "InvalidParameter"),
        ({"DestPort": "1/70000"}, "InvalidParameter"),
        ({"Proto": "UDP", "ApplicationName": "HTTP"}, "InvalidParameter"),
        ({"ApplicationName": "Gopher"}, "InvalidParameter"),
        ({"AclAction": "reject"}, "InvalidParameter"),
        ({"NewOrder": "5"}, "InvalidParameter"),
        ({"RepeatType": "Daily"}, "ErrorUnsupported"),
        ({"IpVersion": "6"}, "ErrorUnsupported"),
        ({"Source": '198.18.0.0/24 } accept; "'}, "InvalidParameter"),
    ],
)
def test_wrong_policies_are_refused_and_not_kept(cloud: LocalCloud, wrong: dict[str, str], code: str) -> None:
    assert refusal(cloud, "AddControlPolicy", **{**SHUT, **wrong}) == code
    assert listed(cloud) == [] and listed(cloud, Direction="out") == []


def seen(cloud: LocalCloud, source: str, destination: str, port: int, sizes: tuple[int, int], key: bytes, *policies: Policy) -> None:
    there, back = End(source, destination, 40000, port), End(destination, source, port, 40000)
    cloud.dataplane.flows.append((Tracked("tcp", there, back, key, (3, 2), sizes), policies))


def test_connections_drops_and_hits_are_written_down(cloud: LocalCloud) -> None:
    address = asset(cloud)
    cloud.call("PutEnableAllFwSwitch", VERSION)
    id = add(cloud)
    now = int(time.time())
    span = {"StartTime": now - 60, "EndTime": now + 60}
    cloud.flow_monitor.answered("www.good.test", {"198.18.9.9"})
    seen(cloud, "198.18.9.1", address, 80, (500, 9000), b"1")
    seen(cloud, address, "198.18.9.9", 443, (700, 100), b"2", Policy("acl-x", "out", "log"))
    cloud.dataplane.packets = [Told(f"{id} drop ", "tcp", End("198.18.9.1", address, 1, 22), 60)] * 3
    cloud.dataplane.hits = {id: (3, 180)}
    cloud.flow_monitor.look()
    cloud.dataplane.flows[0] = (Tracked("tcp", End("198.18.9.1", address, 40000, 80), End("", ""), b"1", (4, 3), (600, 9500)), ())
    cloud.flow_monitor.look()
    assert (listed(cloud)[0]["HitTimes"], listed(cloud)[0]["HitLastTime"] >= now) == (3, True)
    log = cloud.call("DescribeTrafficLog", VERSION, SourceCode="yundun", **span)
    assert {(r["Direction"], r["DstPort"], r["RuleResult"], r["InBytes"], r["OutBytes"]) for r in log["DataList"]} == {
        ("in", 80, 0, "600", "9500"),
        ("out", 443, 1, "100", "700"),
        ("in", 22, 2, "180", "0"),
    }
    dropped = cloud.call("DescribeTrafficLog", VERSION, SourceCode="yundun", RuleResult="2", **span)
    assert [row["RuleName"] for row in dropped["DataList"]] == ["shut"] and dropped["PageInfo"]["TotalCount"] == 1
    trend = cloud.call("DescribeInternetTrafficTrend", VERSION, SourceCode="yundun", Direction="in", **span)
    assert (trend["TotalInBytes"], trend["TotalOutBytes"], trend["TotalSession"]) == (600, 9500, 1)
    drops = cloud.call("DescribeInternetDropTrafficTrend", VERSION, SourceCode="yundun", **span)
    assert sum(row["AclDrop"] for row in drops["DataList"]) == 3
    protect = cloud.call("DescribeACLProtectTrend", VERSION, **span)
    assert (protect["InProtectCnt"], protect["OutProtectCnt"], protect["TotalPassCnt"]) == (3, 0, 2)
    domains = cloud.call("DescribeOutgoingDomain", VERSION, **span)["DomainList"]
    assert [(d["Domain"], d["TotalBytes"], d["HasAcl"]) for d in domains] == [("www.good.test", "800", "true")]
    assert cloud.call("DescribeOutgoingDestinationIP", VERSION, **span)["DstIPList"][0]["ApplicationPortList"][0]["Port"] == 443
    assert cloud.call("DescribeOutgoingAssetList", VERSION, **span)["AssetList"][0]["PublicIP"] == address
    assert cloud.call("DescribeOutgoingStatistic", VERSION, **span)["TotalDomainCount"] == 1
    reached = cloud.call("DescribeInternetOpenIp", VERSION, CurrentPage=1, PageSize=10)["DataList"]
    assert [(row["PublicIp"], row["PortList"]) for row in reached] == [(address, ["80"])]
    top = cloud.call("DescribeInternetTrafficTop", VERSION, SourceCode="yundun", DataType="dstPort", **span)["DataList"]
    assert [row["DataName"] for row in top] == ["80", "443", "22"]
    cloud.call("ResetRuleHitCount", VERSION, AclUuid=id)
    assert listed(cloud)[0]["HitTimes"] == 0


def test_a_firewall_is_bought_and_given_back(cloud: LocalCloud) -> None:
    given = {"Parameter.1.Code": "Spec", "Parameter.1.Value": "3", "Parameter.2.Code": "IpNumber", "Parameter.2.Value": "60"}
    order = cloud.call("CreateInstance", "2017-12-14", ProductCode="vipcloudfw", ProductType="vipcloudfw", Period=1, **given)
    bought = cloud.call("DescribeUserBuyVersion", VERSION)
    assert (bought["InstanceId"], bought["Version"], bought["IpNumber"]) == (order["Data"]["InstanceId"], 3, 60)
    cloud.call("RefundInstance", InstanceId=bought["InstanceId"], ProductCode="vipcloudfw")
    assert cloud.call("DescribeUserBuyVersion", VERSION)["InstanceId"] == ""
