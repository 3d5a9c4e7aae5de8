"""Backend servers of the default list and of server groups, and their health."""

from __future__ import annotations

from typing import Any

import pytest

from haechi.cloud.products.slb.servers import forget_server
from tests.localcloud import LocalCloud
from tests.unit.test_slb_balancers import REGION, VPC, attribute, make_balancer, make_instance, make_network, refused, slb


@pytest.fixture
def id(cloud: LocalCloud) -> str:
    """A public balancer with a TCP listener on 80 for its default list, in a world with one vSwitch."""
    make_network(cloud)
    id = make_balancer(cloud)
    slb(cloud, "CreateLoadBalancerTCPListener", LoadBalancerId=id, ListenerPort=80, BackendServerPort=8080)
    slb(cloud, "StartLoadBalancerListener", LoadBalancerId=id, ListenerPort=80)
    return id


def backends(cloud: LocalCloud, id: str) -> list[tuple[str, int, int]]:
    return [(b.id, b.port, b.weight) for b in cloud.dataplane.plan.balancers[id].listeners[0].backends]


def servers(cloud: LocalCloud, id: str) -> list[dict[str, Any]]:
    return list(attribute(cloud, id)["BackendServers"]["BackendServer"])


def test_add_set_remove(cloud: LocalCloud, id: str) -> None:
    one, two = make_instance(cloud), make_instance(cloud)
    made = slb(
        cloud,
        "AddBackendServers",
        LoadBalancerId=id,
        BackendServers=f"[{{'ServerId':'{one}','Weight':'100', 'Type': 'ecs'}},{{'ServerId':'{two}','Weight':'50', 'Type': 'ecs'}}]",
    )
    assert made["LoadBalancerId"] == id
    assert [s["Weight"] for s in made["BackendServers"]["BackendServer"]] == ["100", "50"]
    assert servers(cloud, id) == [
        {"ServerId": one, "Type": "ecs", "Weight": 100, "ServerIp": "", "Description": ""},
        {"ServerId": two, "Type": "ecs", "Weight": 50, "ServerIp": "", "Description": ""},
    ]
    planned = cloud.dataplane.plan.balancers[id]
    assert planned.network == VPC and backends(cloud, id) == [(one, 8080, 100), (two, 8080, 50)]
    assert planned.listeners[0].backends[0].address == cloud.store.view().get("instance", one)["PrivateIpAddress"]  # type: ignore[index]
    slb(cloud, "SetBackendServers", LoadBalancerId=id, BackendServers=f'[{{"ServerId":"{two}","Weight":0,"Description":"spare"}}]')
    assert backends(cloud, id) == [(one, 8080, 100), (two, 8080, 0)] and servers(cloud, id)[1]["Description"] == "spare"
    answer = slb(cloud, "RemoveBackendServers", LoadBalancerId=id, BackendServers=f'["{one}"]')
    assert [s["ServerId"] for s in answer["BackendServers"]["BackendServer"]] == [two]
    slb(cloud, "RemoveBackendServers", LoadBalancerId=id, BackendServers=f"[{{'ServerId':'{one}','Weight':'100', 'Type': 'ecs'}}]")
    slb(cloud, "RemoveBackendServers", LoadBalancerId=id, BackendServers=f"[{{'ServerId':'{two}'}}]")
    assert servers(cloud, id) == [] and cloud.dataplane.plan.balancers[id].network == ""


@pytest.mark.parametrize("action", ["AddBackendServers", "SetBackendServers", "RemoveBackendServers"])
def test_without_servers_nothing_changes(cloud: LocalCloud, id: str, action: str) -> None:
    assert slb(cloud, action, LoadBalancerId=id)["BackendServers"] == {"BackendServer": []}
    assert refused(cloud, action, LoadBalancerId="lb-none").code == "InvalidLoadBalancerId.NotFound"


def test_the_first_of_identical_servers_is_added_and_a_present_one_refused(cloud: LocalCloud, id: str) -> None:
    one = make_instance(cloud)
    twice = f"[{{'ServerId':'{one}','Weight':10}},{{'ServerId':'{one}','Weight':20}}]"
    slb(cloud, "AddBackendServers", LoadBalancerId=id, BackendServers=twice)
    assert backends(cloud, id) == [(one, 8080, 10)]
    assert refused(cloud, "AddBackendServers", LoadBalancerId=id, BackendServers=twice).code == "InvalidBackendServers.AlreadyExists"


def test_refused_servers(cloud: LocalCloud, id: str) -> None:
    one, stopped = make_instance(cloud), make_instance(cloud, status="Stopped")
    other = make_instance(cloud, make_network(cloud, "vpc-other", "vsw-other", "10.0.0.0/24"))
    far = make_instance(cloud, region="cn-hangzhou")

    def code(text: str, action: str = "AddBackendServers", balancer: str = id) -> str:
        return refused(cloud, action, LoadBalancerId=balancer, BackendServers=text).code

    assert code("[{'ServerId':'i-none'}]") == code(f"[{{'ServerId':'{far}'}}]") == "InvalidServerId.NotFound"
    assert code(f"[{{'ServerId':'{stopped}'}}]") == "ObtainIpFail"
    assert code(f"[{{'ServerId':'{one}'}},{{'ServerId':'{other}'}}]") == "InvalidBackendServers.Inconsistent"
    inner = make_balancer(cloud, VSwitchId="vsw-test")
    assert code(f"[{{'ServerId':'{other}'}}]", balancer=inner) == "NetworkConflict"
    slb(cloud, "AddBackendServers", LoadBalancerId=id, BackendServers=f"[{{'ServerId':'{one}'}}]")
    assert code(f"[{{'ServerId':'{other}'}}]") == "InvalidBackendServers.Inconsistent"
    assert code(f"[{{'ServerId':'{other}'}}]", "SetBackendServers") == "InvalidServerId.NotFound"
    for bad in ("{", "{}", "[1]", "[{}]", "[{'ServerId':1}]", "[" * 9000, "[" + "1," * 9000 + "1]", "[{'ServerId':'x','Weight':1.5}]"):
        assert code(bad) in ("InvalidParameter", "MissingParameter"), bad[:40]
    for bad in ("101", "-1", "'many'", "true", "[]", "9" * 50):
        assert code(f"[{{'ServerId':'{one}','Weight':{bad}}}]") == "InvalidParameter"
    assert code(str([{"ServerId": f"i-{n}"} for n in range(21)])) == "InvalidParameter"


def test_eni_and_foreign_addresses(cloud: LocalCloud, id: str) -> None:
    one = make_instance(cloud)
    instance = cloud.store.view().get("instance", one)
    assert instance is not None
    for bad in ("'Type':'eni'", "'ServerIp':'10.9.9.9'"):
        assert refused(cloud, "AddBackendServers", LoadBalancerId=id, BackendServers=f"[{{'ServerId':'{one}',{bad}}}]").status == 400
    second = instance["SecondaryPrivateIps"][0]
    slb(cloud, "AddBackendServers", LoadBalancerId=id, BackendServers=f"[{{'ServerId':'{one}','ServerIp':'{second}'}}]")
    assert servers(cloud, id)[0]["ServerIp"] == second
    assert cloud.dataplane.plan.balancers[id].listeners[0].backends[0].address == second


def test_a_stopped_instance_stays_and_a_deleted_one_goes(cloud: LocalCloud, id: str) -> None:
    one, two = make_instance(cloud), make_instance(cloud)
    both = f"[{{'ServerId':'{one}'}},{{'ServerId':'{two}'}}]"
    slb(cloud, "AddBackendServers", LoadBalancerId=id, BackendServers=both)
    group = slb(cloud, "CreateVServerGroup", LoadBalancerId=id, BackendServers=f"[{{'ServerId':'{one}','Port':'80'}}]")["VServerGroupId"]
    with cloud.store.write(cloud.runtime.apply) as tx:
        tx.change(tx.get("instance", one), Status="Stopped")  # type: ignore[arg-type]
    assert [b[0] for b in backends(cloud, id)] == [one, two]
    with cloud.store.write(cloud.runtime.apply) as tx:
        forget_server(tx, one)
        tx.delete(tx.get("instance", one))  # type: ignore[arg-type]
    assert [b[0] for b in backends(cloud, id)] == [two] and [s["ServerId"] for s in servers(cloud, id)] == [two]
    assert slb(cloud, "DescribeVServerGroupAttribute", VServerGroupId=group)["BackendServers"] == {"BackendServer": []}


def test_groups(cloud: LocalCloud, id: str) -> None:
    one, two = make_instance(cloud), make_instance(cloud)
    made = slb(cloud, "CreateVServerGroup", LoadBalancerId=id, VServerGroupName="api", Tag=[{"Key": "a", "Value": "b"}])
    group = made["VServerGroupId"]
    assert group.startswith("rsp-") and made["BackendServers"] == {"BackendServer": []}
    slb(
        cloud,
        "AddVServerGroupBackendServers",
        VServerGroupId=group,
        BackendServers=f"[{{'ServerId':'{one}','Port':'80','Weight':'100', 'Type': 'ecs'}}]",
    )
    added = slb(
        cloud,
        "AddVServerGroupBackendServers",
        VServerGroupId=group,
        BackendServers=f'[{{"Port":80,"ServerId":"{two}","Type":"ecs","Weight":30}},{{"Port":81,"ServerId":"{two}"}}]',
    )
    assert [(s["ServerId"], s["Port"], s["Weight"]) for s in added["BackendServers"]["BackendServer"]] == [
        (one, 80, 100),
        (two, 80, 30),
        (two, 81, 100),
    ]
    shown = slb(cloud, "DescribeVServerGroupAttribute", VServerGroupId=group)
    assert (shown["VServerGroupName"], shown["LoadBalancerId"]) == ("api", id)
    assert shown["BackendServers"] == added["BackendServers"] and shown["Tags"] == {"Tag": [{"TagKey": "a", "TagValue": "b"}]}
    renamed = slb(cloud, "SetVServerGroupAttribute", VServerGroupId=group, VServerGroupName="tf-api")
    assert renamed["VServerGroupName"] == "tf-api" and renamed["BackendServers"] == added["BackendServers"]
    slb(cloud, "SetVServerGroupAttribute", VServerGroupId=group, BackendServers=f"[{{'ServerId':'{two}','Port':81,'Weight':1}}]")
    slb(cloud, "SetLoadBalancerTCPListenerAttribute", LoadBalancerId=id, ListenerPort=80, VServerGroup="on", VServerGroupId=group)
    assert backends(cloud, id) == [(one, 80, 100), (two, 80, 30), (two, 81, 1)]
    assert refused(cloud, "DeleteVServerGroup", VServerGroupId=group).code == "RspoolVipExist"
    slb(cloud, "RemoveVServerGroupBackendServers", VServerGroupId=group, BackendServers=f'[{{"ServerId":"{two}","Port":"80"}}]')
    slb(
        cloud,
        "ModifyVServerGroupBackendServers",
        VServerGroupId=group,
        OldBackendServers=f"[{{'ServerId':'{one}','Port':80}}]",
        NewBackendServers=f"[{{'ServerId':'{one}','Port':90}}]",
    )
    assert backends(cloud, id) == [(two, 81, 1), (one, 90, 100)]
    rows = slb(cloud, "DescribeVServerGroups", LoadBalancerId=id, IncludeListener=True)["VServerGroups"]["VServerGroup"]
    assert rows[0]["ServerCount"] == 2
    assert rows[0]["AssociatedObjects"] == {"Listeners": {"Listener": [{"Port": 80, "Protocol": "tcp"}]}, "Rules": {"Rule": []}}
    slb(cloud, "SetLoadBalancerTCPListenerAttribute", LoadBalancerId=id, ListenerPort=80, VServerGroup="off")
    assert backends(cloud, id) == []
    slb(cloud, "DeleteVServerGroup", VServerGroupId=group)
    gone = refused(cloud, "DescribeVServerGroupAttribute", VServerGroupId=group)
    assert gone.status == 404 and "The specified VServerGroupId does not exist" in gone.message


def test_group_refusals(cloud: LocalCloud, id: str) -> None:
    one = make_instance(cloud)
    other = make_instance(cloud, make_network(cloud, "vpc-other", "vsw-other", "10.0.0.0/24"))
    entry = f"[{{'ServerId':'{one}','Port':80}}]"
    group = slb(cloud, "CreateVServerGroup", LoadBalancerId=id, BackendServers=entry)["VServerGroupId"]

    def code(action: str, **params: Any) -> str:
        return refused(cloud, action, **params).code

    assert code("CreateVServerGroup", LoadBalancerId="lb-none") == "InvalidLoadBalancerId.NotFound"
    assert code("CreateVServerGroup", LoadBalancerId=id, VServerGroupName="a b") == "InvalidParameter"
    assert code("CreateVServerGroup", LoadBalancerId=id, BackendServers=f"[{{'ServerId':'{one}'}}]") == "MissingParameter"
    assert code("CreateVServerGroup", LoadBalancerId=id, BackendServers=f"[{{'ServerId':'{one}','Port':0}}]") == "InvalidParameter"
    assert code("CreateVServerGroup", LoadBalancerId=id, BackendServers=f"[{{'ServerId':'{one}','Port':65536}}]") == "InvalidParameter"
    assert (
        code("CreateVServerGroup", LoadBalancerId=id, BackendServers=f"[{{'ServerId':'{other}','Port':1}}]")
        == "InvalidBackendServers.Inconsistent"
    )
    assert code("AddVServerGroupBackendServers", VServerGroupId=group, BackendServers=entry) == "InvalidBackendServers.AlreadyExists"
    for action in ("SetVServerGroupAttribute", "AddVServerGroupBackendServers", "RemoveVServerGroupBackendServers", "DeleteVServerGroup"):
        assert "The specified VServerGroupId does not exist" in refused(cloud, action, VServerGroupId="rsp-none").message
    absent = f"[{{'ServerId':'{one}','Port':81}}]"
    assert code("SetVServerGroupAttribute", VServerGroupId=group, BackendServers=absent) == "InvalidServerId.NotFound"
    assert code("ModifyVServerGroupBackendServers", VServerGroupId=group, OldBackendServers=absent) == "InvalidServerId.NotFound"
    assert slb(cloud, "DescribeVServerGroups", LoadBalancerId=id, Description="none")["VServerGroups"] == {"VServerGroup": []}


def test_health_is_the_data_planes(cloud: LocalCloud, id: str) -> None:
    one, two = make_instance(cloud), make_instance(cloud)
    slb(cloud, "AddBackendServers", LoadBalancerId=id, BackendServers=f"[{{'ServerId':'{one}'}},{{'ServerId':'{two}'}}]")
    slb(cloud, "CreateLoadBalancerUDPListener", LoadBalancerId=id, ListenerPort=53, BackendServerPort=53)
    cloud.dataplane.health[id] = {("tcp", 80, one, 8080): "normal", ("tcp", 80, two, 8080): "abnormal"}

    def rows(**params: Any) -> list[dict[str, Any]]:
        return list(slb(cloud, "DescribeHealthStatus", LoadBalancerId=id, **params)["BackendServers"]["BackendServer"])

    assert [(r["ServerId"], r["ServerHealthStatus"], r["Port"]) for r in rows(ListenerPort=80)] == [
        (one, "normal", 8080),
        (two, "abnormal", 8080),
    ]
    assert {r["ServerHealthStatus"] for r in rows(ListenerProtocol="udp")} == {"unavailable"} and len(rows()) == 4
    assert rows()[0]["ServerIp"].startswith("172.16.1.") and rows()[0]["Protocol"] == "udp" and rows()[0]["ListenerPort"] == 53
    assert refused(cloud, "DescribeHealthStatus", LoadBalancerId=id, ListenerPort=81).code == "CheckedListenerNotFound"
    assert refused(cloud, "DescribeHealthStatus", LoadBalancerId="lb-none").code == "InvalidLoadBalancerId.NotFound"
    assert slb(cloud, "DescribeHealthStatus", LoadBalancerId=make_balancer(cloud), RegionId=REGION)["BackendServers"] == {
        "BackendServer": []
    }
