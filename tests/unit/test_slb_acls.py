"""Access control lists, and tags of everything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.localcloud import LocalCloud
from tests.unit.test_slb_balancers import make_balancer, refused, slb


def make_acl(cloud: LocalCloud, name: str = "office", *entries: str) -> str:
    id = str(slb(cloud, "CreateAccessControlList", AclName=name, AddressIPVersion="ipv4")["AclId"])
    if entries:
        slb(cloud, "AddAccessControlListEntry", AclId=id, AclEntrys=entry_list(*entries))
    return id


def entry_list(*entries: str) -> str:
    return json.dumps([{"entry": e, "comment": f"about {e}"} for e in entries])


def shown(cloud: LocalCloud, id: str, **params: Any) -> list[str]:
    answer = slb(cloud, "DescribeAccessControlListAttribute", AclId=id, **params)
    return [e["AclEntryIP"] for e in answer["AclEntrys"]["AclEntry"]]


def test_life(cloud: LocalCloud) -> None:
    id = make_acl(cloud)
    assert id.startswith("acl-")
    answer = slb(cloud, "DescribeAccessControlListAttribute", AclId=id)
    assert answer["AclName"] == "office" and answer["AddressIPVersion"] == "ipv4" and answer["AclEntrys"] == {"AclEntry": []}
    assert answer["RelatedListeners"] == {"RelatedListener": []} and answer["ResourceGroupId"] == "" and answer["TotalAclEntry"] == 0
    slb(cloud, "AddAccessControlListEntry", AclId=id, AclEntrys=entry_list("10.0.0.0/8", "192.168.1.1/32"))
    slb(cloud, "AddAccessControlListEntry", AclId=id, AclEntrys=entry_list("10.0.0.0/8", "172.16.0.0/12"))
    assert shown(cloud, id) == ["10.0.0.0/8", "192.168.1.1/32", "172.16.0.0/12"]
    assert shown(cloud, id, Page=2, PageSize=2) == ["172.16.0.0/12"] and shown(cloud, id, AclEntryComment="192") == ["192.168.1.1/32"]
    slb(cloud, "RemoveAccessControlListEntry", AclId=id, AclEntrys=entry_list("10.0.0.0/8", "9.9.9.9/32"))
    assert shown(cloud, id) == ["192.168.1.1/32", "172.16.0.0/12"]
    slb(cloud, "SetAccessControlListAttribute", AclId=id, AclName="house")
    assert [a["AclName"] for a in slb(cloud, "DescribeAccessControlLists")["Acls"]["Acl"]] == ["house"]
    slb(cloud, "DeleteAccessControlList", AclId=id)
    gone = refused(cloud, "DescribeAccessControlListAttribute", AclId=id)
    assert (gone.code, gone.status) == ("AclNotExist", 404)


def test_refusals(cloud: LocalCloud) -> None:
    id, other = make_acl(cloud), make_acl(cloud, "other")

    def code(action: str, **params: Any) -> str:
        return refused(cloud, action, **params).code

    assert code("CreateAccessControlList", AclName="office") == "AclNameExist"
    assert code("SetAccessControlListAttribute", AclId=other, AclName="office") == "AclNameExist"
    slb(cloud, "SetAccessControlListAttribute", AclId=id, AclName="office")
    assert code("CreateAccessControlList", AclName="a b") == code("CreateAccessControlList", AclName="x" * 81) == "InvalidParameter"
    assert code("CreateAccessControlList", AclName="six", AddressIPVersion="ipv6") == "InvalidParameter"
    assert code("CreateAccessControlList") == "MissingParameter"
    for action in ("DeleteAccessControlList", "AddAccessControlListEntry", "RemoveAccessControlListEntry"):
        assert code(action, AclId="acl-none") == "AclNotExist"
    for bad in ("10.0.0.0/33", "house", "", "::1/128"):
        assert code("AddAccessControlListEntry", AclId=id, AclEntrys=entry_list(bad)) == "AclEntryIllegal"
    for bad in ("[{}]", "[1]", '[{"entry":1}]', '[{"entry":"1.1.1.1","comment":1}]'):
        assert code("AddAccessControlListEntry", AclId=id, AclEntrys=bad) == "AclEntryIllegal"
    assert code("AddAccessControlListEntry", AclId=id, AclEntrys="{") == "InvalidParameter"
    assert code("AddAccessControlListEntry", AclId=id, AclEntrys=entry_list(*(f"1.1.1.{n}" for n in range(51)))) == "AclEntryExceedLimit"
    assert code("RemoveAccessControlListEntry", AclId=id, AclEntrys=entry_list("1.1.1.1")) == "AclEntryEmpty"
    for n in range(6):
        slb(cloud, "AddAccessControlListEntry", AclId=id, AclEntrys=entry_list(*(f"1.1.{n}.{m}/32" for m in range(50))))
    assert code("AddAccessControlListEntry", AclId=id, AclEntrys=entry_list("9.9.9.9")) == "AclEntryExceedLimit"
    assert len(shown(cloud, id)) == 300
    slb(cloud, "AddAccessControlListEntry", AclId=id)


def test_what_the_data_plane_is_told(cloud: LocalCloud) -> None:
    balancer = make_balancer(cloud)
    white, black = make_acl(cloud, "white", "10.1.2.3/8"), make_acl(cloud, "black", "1.2.3.4", "5.6.0.0/16")
    empty = make_acl(cloud, "empty")
    listener = {"LoadBalancerId": balancer, "ListenerPort": 80}
    slb(cloud, "CreateLoadBalancerTCPListener", **listener, BackendServerPort=80, AclStatus="on", AclType="white", AclId=white)
    slb(cloud, "StartLoadBalancerListener", **listener)

    def planned() -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
        told = cloud.dataplane.plan.balancers[balancer].listeners[0]
        return told.allow, told.deny

    def describe() -> dict[str, Any]:
        return slb(cloud, "DescribeLoadBalancerTCPListenerAttribute", **listener)

    assert planned() == (("10.0.0.0/8",), ())
    assert (describe()["AclId"], describe()["AclType"], describe()["AclIds"]) == (white, "white", {"AclId": [white]})
    slb(cloud, "AddAccessControlListEntry", AclId=white, AclEntrys=entry_list("11.0.0.0/8"))
    assert planned() == (("10.0.0.0/8", "11.0.0.0/8"), ())
    related = slb(cloud, "DescribeAccessControlListAttribute", AclId=white)["RelatedListeners"]["RelatedListener"]
    assert related == [{"LoadBalancerId": balancer, "ListenerPort": 80, "Protocol": "tcp", "AclType": "white"}]
    assert refused(cloud, "DeleteAccessControlList", AclId=white).code == "AclInUsed"
    slb(cloud, "SetLoadBalancerTCPListenerAttribute", **listener, AclType="black", AclId=f"{black},{empty}")
    assert planned() == (None, ("1.2.3.4/32", "5.6.0.0/16")) and describe()["AclIds"] == {"AclId": [black, empty]}
    slb(cloud, "SetLoadBalancerTCPListenerAttribute", **listener, AclType="white", AclId=empty)
    assert planned() == (None, ())
    slb(cloud, "SetLoadBalancerTCPListenerAttribute", **listener, AclStatus="off")
    assert planned() == (None, ()) and describe()["AclId"] == ""
    slb(cloud, "DeleteAccessControlList", AclId=empty)
    four = ",".join([white, black, make_acl(cloud, "c"), make_acl(cloud, "d")])
    for bad in (four, f"{white},{white}", ","):
        params = {"AclStatus": "on", "AclType": "white", "AclId": bad}
        assert refused(cloud, "SetLoadBalancerTCPListenerAttribute", **listener, **params).code == "InvalidParameter"


def test_lists(cloud: LocalCloud) -> None:
    ids = [make_acl(cloud, f"acl{n}") for n in range(12)]
    answer = slb(cloud, "DescribeAccessControlLists")
    assert (answer["TotalCount"], answer["Count"], answer["PageSize"], answer["PageNumber"]) == (12, 10, 10, 1)
    second = slb(cloud, "DescribeAccessControlLists", PageNumber=2)
    assert [a["AclId"] for a in answer["Acls"]["Acl"] + second["Acls"]["Acl"]] == ids
    assert slb(cloud, "DescribeAccessControlLists", AclName="acl1")["TotalCount"] == 3
    assert slb(cloud, "DescribeAccessControlLists", AddressIPVersion="ipv6")["TotalCount"] == 0
    assert refused(cloud, "DescribeAccessControlLists", PageSize=51).code == "InvalidParameter"


def tags(cloud: LocalCloud, kind: str, *ids: str, **params: Any) -> list[tuple[str, str, str]]:
    sent = {"ResourceId": list(ids)} if ids else {}
    answer = slb(cloud, "ListTagResources", ResourceType=kind, **sent, **params)
    assert answer["NextToken"] == "" and all(r["ResourceType"] == kind for r in answer["TagResources"]["TagResource"])
    return [(r["ResourceId"], r["TagKey"], r["TagValue"]) for r in answer["TagResources"]["TagResource"]]


def test_tags_of_every_kind(cloud: LocalCloud) -> None:
    balancer = make_balancer(cloud)
    slb(cloud, "CreateLoadBalancerTCPListener", LoadBalancerId=balancer, ListenerPort=80, BackendServerPort=80)
    group = slb(cloud, "CreateVServerGroup", LoadBalancerId=balancer)["VServerGroupId"]
    kinds = {"instance": balancer, "listener": f"{balancer}_tcp_80", "vservergroup": group, "acl": make_acl(cloud)}
    for kind, id in kinds.items():
        assert tags(cloud, kind, id) == []
        slb(cloud, "TagResources", ResourceType=kind, ResourceId=[id], Tag=[{"Key": "a", "Value": "1"}, {"Key": "b"}])
        slb(cloud, "TagResources", ResourceType=kind, ResourceId=[id], Tag=[{"Key": "a", "Value": "2"}])
        assert tags(cloud, kind, id) == [(id, "a", "2"), (id, "b", "")]
        assert tags(cloud, kind, Tag=[{"Key": "a", "Value": "2"}]) == [(id, "a", "2")] and tags(cloud, kind, Tag=[{"Key": "none"}]) == []
        slb(cloud, "UntagResources", ResourceType=kind, ResourceId=[id], TagKey=["a", "none"])
        assert tags(cloud, kind, id) == [(id, "b", "")]
        slb(cloud, "UntagResources", ResourceType=kind, ResourceId=[id], All=True)
        assert tags(cloud, kind, id) == []


def test_tag_refusals(cloud: LocalCloud) -> None:
    balancer = make_balancer(cloud)
    one = {"ResourceType": "instance", "ResourceId": [balancer]}

    def code(action: str, **params: Any) -> str:
        return refused(cloud, action, **params).code

    assert tags(cloud, "instance", "lb-none") == tags(cloud, "acl", "acl-none") == tags(cloud, "masterslaveservergroup", "rsp-1") == []
    assert (
        code("TagResources", ResourceType="instance", ResourceId=[balancer, "lb-none"], Tag=[{"Key": "a"}]) == "InvalidResourceId.NotFound"
    )
    assert code("TagResources", **one) == code("UntagResources", **one) == "MissingParameter"
    assert code("ListTagResources", ResourceType="instance") == "MissingParameter"
    assert code("ListTagResources", ResourceType="disk", ResourceId=["d-1"]) == "InvalidParameter"
    assert code("TagResources", **one, Tag=[{"Key": "aliyun:x"}]) == "InvalidTagKey.Malformed"
    slb(cloud, "TagResources", **one, Tag=[{"Key": f"k{n}", "Value": "v"} for n in range(20)])
    assert code("TagResources", **one, Tag=[{"Key": "more"}]) == "QuotaExceeded.TagsPerResource"
    assert len(tags(cloud, "instance", balancer)) == 20
    assert code("ListTagResources", **one, NextToken="?") == "InvalidParameter.NextToken"


@pytest.mark.parametrize("kind", ["instance", "acl"])
def test_tags_survive_nothing(cloud: LocalCloud, kind: str) -> None:
    id = make_balancer(cloud) if kind == "instance" else make_acl(cloud)
    slb(cloud, "TagResources", ResourceType=kind, ResourceId=[id], Tag=[{"Key": "a"}])
    if kind == "instance":
        slb(cloud, "DeleteLoadBalancer", LoadBalancerId=id)
    else:
        slb(cloud, "DeleteAccessControlList", AclId=id)
    assert tags(cloud, kind, id) == []
