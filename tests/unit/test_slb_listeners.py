"""Listeners: what Terraform reads back, what the data plane is told, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from haechi.dataplane.plan import Health, Listener
from tests.localcloud import LocalCloud, Refused
from tests.unit.test_slb_balancers import attribute, make_balancer, make_instance, make_network, refused, slb

NUMBERS = (
    *("ListenerPort", "BackendServerPort", "Bandwidth", "CookieTimeout", "PersistenceTimeout", "EstablishedTimeout", "ForwardPort"),
    *("HealthCheckConnectPort", "HealthyThreshold", "UnhealthyThreshold", "HealthCheckTimeout", "HealthCheckConnectTimeout"),
    *("HealthCheckInterval", "IdleTimeout", "RequestTimeout", "ConnectionDrainTimeout"),
)
BOOLS = ("ProxyProtocolV2Enabled",)
OBJECTS = ("AclIds", "Tags", "Rules", "DomainExtensions")


def create(cloud: LocalCloud, id: str, protocol: str, port: int, **params: Any) -> dict[str, Any]:
    return slb(cloud, f"CreateLoadBalancer{protocol.upper()}Listener", LoadBalancerId=id, ListenerPort=port, **params)


def change(cloud: LocalCloud, id: str, protocol: str, port: int, **params: Any) -> dict[str, Any]:
    return slb(cloud, f"SetLoadBalancer{protocol.upper()}ListenerAttribute", LoadBalancerId=id, ListenerPort=port, **params)


def describe(cloud: LocalCloud, id: str, protocol: str, port: int) -> dict[str, Any]:
    """The answer; every type in it is the one Terraform needs, and nothing is null."""
    answer = slb(cloud, f"DescribeLoadBalancer{protocol.upper()}ListenerAttribute", LoadBalancerId=id, ListenerPort=port)
    for name, value in answer.items():
        kind = int if name in NUMBERS else bool if name in BOOLS else dict if name in OBJECTS else str
        assert type(value) is kind, f"{name}: {value!r}"
    return answer


def start(cloud: LocalCloud, id: str, port: int, **params: Any) -> None:
    slb(cloud, "StartLoadBalancerListener", LoadBalancerId=id, ListenerPort=port, **params)


def planned(cloud: LocalCloud, id: str) -> tuple[Listener, ...]:
    return cloud.dataplane.plan.balancers[id].listeners


@pytest.fixture
def id(cloud: LocalCloud) -> str:
    return make_balancer(cloud, LoadBalancerSpec="slb.s1.small")


def test_life_of_an_http_listener_as_terraform_leads_it(cloud: LocalCloud, id: str) -> None:
    make_network(cloud)
    server = make_instance(cloud)
    slb(cloud, "AddBackendServers", LoadBalancerId=id, BackendServers=f"[{{'ServerId':'{server}','Weight':'100', 'Type': 'ecs'}}]")
    sent = {
        "BackendServerPort": 80, "Bandwidth": -1, "AclStatus": "off", "Scheduler": "wrr", "StickySession": "on", "StickySessionType":
        "insert", "CookieTimeout": 86400, "HealthCheck": "on", "HealthCheckURI": "/", "HealthCheckConnectPort": 80, "HealthyThreshold": 2,
        "UnhealthyThreshold": 2, "HealthCheckTimeout": 2, "HealthCheckInterval": 1, "HealthCheckHttpCode": "http_2xx,http_3xx",
        "IdleTimeout": 15, "RequestTimeout": 60,
    }  # fmt: skip
    create(cloud, id, "http", 80, **sent)
    assert describe(cloud, id, "http", 80)["Status"] == "stopped" and planned(cloud, id) == ()
    start(cloud, id, 80, ListenerProtocol="http")
    assert describe(cloud, id, "http", 80)["Status"] == "running"
    change(
        cloud, id, "http", 80, **sent, HealthCheckConnectTimeout=2, Gzip="on", XForwardedFor_SLBIP="on", XForwardedFor_SLBID="on",
        XForwardedFor_proto="off",
    )  # fmt: skip
    shown = describe(cloud, id, "http", 80)
    assert {name: shown[name] for name in sent} == sent
    assert {n: shown[n] for n in ("XForwardedFor", "XForwardedFor_SLBIP", "XForwardedFor_SLBID", "XForwardedFor_proto")} == {
        "XForwardedFor": "on", "XForwardedFor_SLBIP": "on", "XForwardedFor_SLBID": "on", "XForwardedFor_proto": "off",
    }  # fmt: skip
    assert shown["Gzip"] == "on" and shown["ListenerForward"] == "off" and shown["Description"] == "" and "ForwardPort" not in shown
    assert shown["AclIds"] == {"AclId": []} and shown["VServerGroupId"] == "" and "Cookie" not in shown
    (listener,) = planned(cloud, id)
    assert listener.headers == ("X-Forwarded-For", "SLB-IP", "SLB-ID") and listener.gzip and not listener.http2
    assert (listener.sticky, listener.cookie_seconds, listener.cookie) == ("insert", 86400, "")
    codes = ("http_2xx", "http_3xx")
    assert listener.health == Health("http", 80, "/", "", "HEAD", codes, interval=1, timeout=2, rise=2, fall=2)
    assert [(b.id, b.port) for b in listener.backends] == [(server, 80)]
    ports = attribute(cloud, id)["ListenerPortsAndProtocol"]["ListenerPortAndProtocol"]
    assert ports == [{"ListenerPort": 80, "ListenerProtocol": "http", "Description": "", "ListenerForward": "off"}]
    slb(cloud, "StopLoadBalancerListener", LoadBalancerId=id, ListenerPort=80)
    assert planned(cloud, id) == () and describe(cloud, id, "http", 80)["Status"] == "stopped"
    slb(cloud, "DeleteLoadBalancerListener", LoadBalancerId=id, ListenerPort=80, ListenerProtocol="http")
    with pytest.raises(Refused) as gone:
        describe(cloud, id, "http", 80)
    assert gone.value.status == 404 and "The specified resource does not exist" in gone.value.message
    assert attribute(cloud, id)["ListenerPorts"] == {"ListenerPort": []}


def test_defaults_of_a_tcp_listener(cloud: LocalCloud, id: str) -> None:
    create(cloud, id, "tcp", 22, BackendServerPort=22)
    shown = describe(cloud, id, "tcp", 22)
    expected = {
        "BackendServerPort": 22, "Bandwidth": -1, "Scheduler": "wrr", "PersistenceTimeout": 0, "EstablishedTimeout": 900, "HealthCheck":
        "on", "HealthCheckType": "tcp", "HealthCheckConnectPort": 22, "HealthCheckConnectTimeout": 5, "HealthCheckInterval": 2,
        "HealthyThreshold": 3, "UnhealthyThreshold": 3, "AclStatus": "off", "AclType": "", "AclId": "", "ProxyProtocolV2Enabled": False,
        "HealthCheckDomain": "", "MasterSlaveServerGroupId": "", "ConnectionDrain": "off", "SynProxy": "enable",
    }  # fmt: skip
    assert {name: shown[name] for name in expected} == expected
    start(cloud, id, 22)
    (listener,) = planned(cloud, id)
    assert listener.health == Health("tcp", 0) and listener.headers == () and not listener.gzip and listener.established_seconds == 900


def test_settings_of_a_tcp_listener(cloud: LocalCloud, id: str) -> None:
    create(cloud, id, "tcp", 22, BackendServerPort=22, healthCheckInterval=7, HealthCheck="on")
    change(
        cloud, id, "tcp", 22, Scheduler="sch", PersistenceTimeout=3600, EstablishedTimeout=600, HealthCheckType="http",
        HealthCheckURI="/ok", HealthCheckDomain="example.test", HealthCheckMethod="get", HealthCheckHttpCode="http_2xx,http_5xx",
        ProxyProtocolV2Enabled=True, HealthCheckConnectTimeout=8, HealthCheckConnectPort=2222, ConnectionDrain="on",
        ConnectionDrainTimeout=30, Description="ssh",
    )  # fmt: skip
    shown = describe(cloud, id, "tcp", 22)
    assert shown["HealthCheckInterval"] == 7 and shown["PersistenceTimeout"] == 3600 and shown["ProxyProtocolV2Enabled"] is True
    assert shown["ConnectionDrainTimeout"] == 30 and shown["Description"] == "ssh"
    start(cloud, id, 22)
    (listener,) = planned(cloud, id)
    assert (listener.scheduler, listener.persistence_seconds, listener.established_seconds) == ("sch", 3600, 600)
    codes = ("http_2xx", "http_5xx")
    assert listener.health == Health("http", 2222, "/ok", "example.test", "GET", codes, interval=7, timeout=8)
    assert listener.proxy_protocol
    change(cloud, id, "tcp", 22, HealthCheckSwitch="off", Description="", HealthCheckDomain="")
    shown = describe(cloud, id, "tcp", 22)
    assert shown["HealthCheck"] == "off" and shown["Description"] == "" and "HealthCheckURI" not in shown
    assert planned(cloud, id)[0].health is None


def test_udp_listener(cloud: LocalCloud, id: str) -> None:
    create(cloud, id, "udp", 53, BackendServerPort=53, healthCheckReq="ping", healthCheckExp="pong", PersistenceTimeout=60)
    shown = describe(cloud, id, "udp", 53)
    assert (shown["HealthCheckInterval"], shown["HealthCheckConnectTimeout"], shown["HealthCheckReq"]) == (5, 10, "ping")
    create(cloud, id, "tcp", 53, BackendServerPort=53)
    assert refused(cloud, "StartLoadBalancerListener", LoadBalancerId=id, ListenerPort=53).code == "InvalidParameter"
    start(cloud, id, 53, ListenerProtocol="udp")
    (listener,) = planned(cloud, id)
    assert listener.protocol == "udp" and listener.persistence_seconds == 60
    assert listener.health == Health("udp", interval=5, timeout=10)


def test_redirect(cloud: LocalCloud, id: str) -> None:
    create(
        cloud, id, "http", 80, BackendServerPort=80, Scheduler="wrr", StickySession="off", HealthCheck="off", ListenerForward="on",
        ForwardPort=8443,
    )  # fmt: skip
    start(cloud, id, 80)
    shown = describe(cloud, id, "http", 80)
    assert shown["ListenerForward"] == "on" and shown["ForwardPort"] == 8443 and "BackendServerPort" not in shown
    (listener,) = planned(cloud, id)
    assert listener.redirect_port == 8443 and listener.backends == () and listener.health is None
    assert attribute(cloud, id)["ListenerPortsAndProtocol"]["ListenerPortAndProtocol"][0]["ForwardPort"] == 8443
    assert slb(cloud, "DescribeHealthStatus", LoadBalancerId=id)["BackendServers"] == {"BackendServer": []}


def test_cookie_of_the_server(cloud: LocalCloud, id: str) -> None:
    create(cloud, id, "http", 80, BackendServerPort=80, HealthCheck="off", StickySession="on", StickySessionType="server", Cookie="session")
    start(cloud, id, 80)
    assert (planned(cloud, id)[0].sticky, planned(cloud, id)[0].cookie) == ("server", "session")
    shown = describe(cloud, id, "http", 80)
    assert shown["Cookie"] == "session" and "CookieTimeout" not in shown
    change(cloud, id, "http", 80, StickySession="off")
    assert planned(cloud, id)[0].sticky == "" and "StickySessionType" not in describe(cloud, id, "http", 80)


def test_server_group_of_a_listener(cloud: LocalCloud, id: str) -> None:
    group = slb(cloud, "CreateVServerGroup", LoadBalancerId=id)["VServerGroupId"]
    foreign = slb(cloud, "CreateVServerGroup", LoadBalancerId=make_balancer(cloud))["VServerGroupId"]
    create(cloud, id, "http", 80, VServerGroupId=group, HealthCheck="on")
    shown = describe(cloud, id, "http", 80)
    assert shown["VServerGroupId"] == group and "BackendServerPort" not in shown and "HealthCheckConnectPort" not in shown
    listener = {"LoadBalancerId": id, "ListenerPort": 80}
    action = "SetLoadBalancerHTTPListenerAttribute"
    assert refused(cloud, action, **listener, VServerGroupId=foreign).code == "InvalidParameter"
    assert "The specified VServerGroupId does not exist" in refused(cloud, action, **listener, VServerGroupId="rsp-none").message
    assert refused(cloud, action, **listener, VServerGroup="on").code == "InvalidParameter"
    assert refused(cloud, action, **listener, VServerGroup="off").code == "MissingParameter"
    change(cloud, id, "http", 80, VServerGroup="off", BackendServerPort=8080)
    assert describe(cloud, id, "http", 80)["BackendServerPort"] == 8080


@pytest.mark.parametrize(
    ("protocol", "params", "code"),
    [
        ("tcp", {}, "MissingParameter"),
        ("http", {"BackendServerPort": 80}, "MissingParameter"),
        ("https", {"BackendServerPort": 80, "HealthCheck": "off"}, "MissingParameter"),
        ("https", {"BackendServerPort": 80, "HealthCheck": "off", "ServerCertificateId": "x"}, "ServerCertificateId.NotFound"),
        ("tcp", {"BackendServerPort": 0}, "InvalidParameter"),
        ("tcp", {"BackendServerPort": 65536}, "InvalidParameter"),
        ("tcp", {"BackendServerPort": 80, "Bandwidth": 0}, "InvalidParameter"),
        ("tcp", {"BackendServerPort": 80, "Bandwidth": 5121}, "InvalidParameter"),
        ("tcp", {"BackendServerPort": 80, "Scheduler": "best"}, "InvalidParameter"),
        ("http", {"BackendServerPort": 80, "HealthCheck": "off", "Scheduler": "sch"}, "InvalidParameter"),
        ("tcp", {"BackendServerPort": 80, "EstablishedTimeout": 9}, "InvalidParameter"),
        ("tcp", {"BackendServerPort": 80, "PersistenceTimeout": 3601}, "InvalidParameter"),
        ("tcp", {"BackendServerPort": 80, "HealthyThreshold": 1}, "InvalidParameter"),
        ("tcp", {"BackendServerPort": 80, "healthCheckInterval": 51}, "InvalidParameter"),
        ("tcp", {"BackendServerPort": 80, "ConnectionDrain": "on"}, "MissingParameter"),
        ("tcp", {"BackendServerPort": 80, "MasterSlaveServerGroupId": "rsp-1"}, "InvalidParameter"),
        ("tcp", {"VServerGroupId": "rsp-none"}, "VServerGroupNotFound"),
        ("tcp", {"BackendServerPort": 80, "AclStatus": "on"}, "MissingParameter"),
        ("tcp", {"BackendServerPort": 80, "AclStatus": "on", "AclType": "white", "AclId": "acl-none"}, "AclNotExist"),
        ("http", {"BackendServerPort": 80, "HealthCheck": "on", "HealthCheckURI": "no-slash"}, "InvalidParameter"),
        ("http", {"BackendServerPort": 80, "HealthCheck": "on", "HealthCheckURI": "/a b"}, "InvalidParameter"),
        ("http", {"BackendServerPort": 80, "HealthCheck": "on", "HealthCheckURI": "/a\nbind *:1"}, "InvalidParameter"),
        ("http", {"BackendServerPort": 80, "HealthCheck": "on", "HealthCheckDomain": "a b"}, "InvalidParameter"),
        ("http", {"BackendServerPort": 80, "HealthCheck": "on", "HealthCheckHttpCode": "http_2xx,http_2xx"}, "InvalidParameter"),
        ("http", {"BackendServerPort": 80, "HealthCheck": "on", "HealthCheckHttpCode": "200"}, "InvalidParameter"),
        ("http", {"BackendServerPort": 80, "HealthCheck": "off", "StickySession": "on"}, "MissingParameter"),
        ("http", {"BackendServerPort": 80, "HealthCheck": "off", "StickySession": "on", "StickySessionType": "insert"}, "MissingParameter"),
        ("http", {"BackendServerPort": 80, "HealthCheck": "off", "StickySession": "on", "StickySessionType": "server"}, "MissingParameter"),
        ("http", {"BackendServerPort": 80, "HealthCheck": "off", "Cookie": "a;b"}, "InvalidParameter"),
        ("http", {"BackendServerPort": 80, "HealthCheck": "off", "IdleTimeout": 61}, "InvalidParameter"),
        ("http", {"BackendServerPort": 80, "HealthCheck": "off", "RequestTimeout": 181}, "InvalidParameter"),
    ],
)
def test_create_refusals(cloud: LocalCloud, id: str, protocol: str, params: dict[str, Any], code: str) -> None:
    action = f"CreateLoadBalancer{protocol.upper()}Listener"
    assert refused(cloud, action, LoadBalancerId=id, ListenerPort=80, **params).code == code


def test_ports_are_taken_once(cloud: LocalCloud, id: str) -> None:
    create(cloud, id, "tcp", 80, BackendServerPort=80)
    for protocol in ("tcp", "http"):
        action = f"CreateLoadBalancer{protocol.upper()}Listener"
        params = {"LoadBalancerId": id, "ListenerPort": 80, "BackendServerPort": 80, "HealthCheck": "off"}
        assert refused(cloud, action, **params).code == "ListenerAlreadyExists"
    create(cloud, make_balancer(cloud), "tcp", 80, BackendServerPort=80)


@pytest.mark.parametrize("verb", ["Start", "Stop", "Delete"])
def test_no_such_listener(cloud: LocalCloud, id: str, verb: str) -> None:
    create(cloud, id, "tcp", 80, BackendServerPort=80)
    action = f"{verb}LoadBalancerListener"
    for params in ({"ListenerPort": 81}, {"ListenerPort": 80, "ListenerProtocol": "udp"}):
        gone = refused(cloud, action, LoadBalancerId=id, **params)
        assert gone.status == 404 and "The specified resource does not exist" in gone.message
    assert refused(cloud, action, LoadBalancerId="lb-none", ListenerPort=80).code == "InvalidLoadBalancerId.NotFound"
    assert refused(cloud, action, LoadBalancerId=id, ListenerPort=80, ListenerProtocol="sctp").code == "InvalidParameter"


def test_set_of_no_such_listener(cloud: LocalCloud, id: str) -> None:
    create(cloud, id, "tcp", 80, BackendServerPort=80)
    for protocol in ("UDP", "HTTP", "HTTPS"):
        assert refused(cloud, f"SetLoadBalancer{protocol}ListenerAttribute", LoadBalancerId=id, ListenerPort=80).code == "ListenerNotFound"
    params = {"LoadBalancerId": id, "ListenerPort": 80}
    assert refused(cloud, "SetLoadBalancerTCPListenerAttribute", **params, MasterSlaveServerGroup="on").code == "InvalidParameter"
    change(cloud, id, "tcp", 80, MasterSlaveServerGroup="off")


def test_many_listeners(cloud: LocalCloud, id: str) -> None:
    other = make_balancer(cloud)
    for port in range(80, 85):
        create(cloud, id, "tcp", port, BackendServerPort=port, Description=f"d{port}", Tag=[{"Key": "port", "Value": str(port)}])
    create(cloud, other, "http", 80, BackendServerPort=80, HealthCheck="on")
    everything = slb(cloud, "DescribeLoadBalancerListeners")
    assert everything["TotalCount"] == 6 and everything["NextToken"] == "" and everything["MaxResults"] == 20
    first = slb(cloud, "DescribeLoadBalancerListeners", LoadBalancerId=[id], MaxResults=3)
    second = slb(cloud, "DescribeLoadBalancerListeners", LoadBalancerId=[id], MaxResults=3, NextToken=first["NextToken"])
    assert [r["ListenerPort"] for r in first["Listeners"] + second["Listeners"]] == [80, 81, 82, 83, 84] and second["NextToken"] == ""
    row = first["Listeners"][0]
    assert row["TCPListenerConfig"]["HealthCheckConnectTimeout"] == 5 and row["TCPListenerConfig"]["ProxyProtocolV2Enabled"] == "false"
    assert row["BackendServerPort"] == 80 and row["AclIds"] == [] and row["Tags"] == [{"TagKey": "port", "TagValue": "80"}]
    assert "Scheduler" not in row["TCPListenerConfig"] and row["Scheduler"] == "wrr"
    (web,) = slb(cloud, "DescribeLoadBalancerListeners", ListenerProtocol="http")["Listeners"]
    assert web["LoadBalancerId"] == other and web["HTTPListenerConfig"]["HealthCheckURI"] == "/"
    for params in ({"ListenerPort": 83}, {"Description": "d83"}, {"Tag": [{"Key": "port", "Value": "83"}]}):
        assert [r["ListenerPort"] for r in slb(cloud, "DescribeLoadBalancerListeners", **params)["Listeners"]] == [83]
    assert refused(cloud, "DescribeLoadBalancerListeners", LoadBalancerId=["lb-none"]).status == 404
    assert refused(cloud, "DescribeLoadBalancerListeners", NextToken="!!").code == "InvalidParameter.NextToken"
    assert refused(cloud, "DescribeLoadBalancerListeners", MaxResults=101).code == "InvalidParameter"
