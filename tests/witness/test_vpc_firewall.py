"""Two VPCs, an instance in each, the vendor's SDKs: a connection, routes, and a VPC firewall that real packets obey."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from alibabacloud_cloudfw20171207 import models as cfw
from alibabacloud_cloudfw20171207.client import Client as Cfw
from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_ecs20140526.client import Client as Ecs
from alibabacloud_vpc20160428 import models as vpc
from alibabacloud_vpc20160428.client import Client as Vpc
from alibabacloud_vpcpeer20220101 import models as peer
from alibabacloud_vpcpeer20220101.client import Client as Peer

from haechi.dataplane import kernel
from haechi.dataplane.site import Site
from tests.witness.conftest import SITE, Server
from tests.witness.test_sdk_new import REGION, config, refused, wait

CIDRS = ("10.0.0.0/16", "172.16.0.0/16")


@dataclass
class End:
    """A VPC with a running instance that everybody may log in to."""

    vpc: str
    table: str
    instance: str
    address: str
    group: str
    switch: str


@pytest.fixture
def ends(server: Server) -> Iterator[tuple[End, End]]:
    networks, machines = Vpc(config(server)), Ecs(config(server))
    made = [_end(networks, machines, cidr) for cidr in CIDRS]
    yield made[0], made[1]
    for end in made:
        machines.delete_instance(ecs.DeleteInstanceRequest(instance_id=end.instance, force=True))
    for end in made:
        wait(lambda id=end.instance: not _state(machines, id))  # type: ignore[misc]
        machines.delete_security_group(ecs.DeleteSecurityGroupRequest(region_id=REGION, security_group_id=end.group))
        networks.delete_vswitch(vpc.DeleteVSwitchRequest(region_id=REGION, v_switch_id=end.switch))
        networks.delete_vpc(vpc.DeleteVpcRequest(region_id=REGION, vpc_id=end.vpc))


def _end(networks: Vpc, machines: Ecs, cidr: str) -> End:
    made = networks.create_vpc(vpc.CreateVpcRequest(region_id=REGION, cidr_block=cidr)).body
    switch = networks.create_vswitch(
        vpc.CreateVSwitchRequest(region_id=REGION, vpc_id=made.vpc_id, zone_id=f"{REGION}a", cidr_block=cidr.replace("/16", "/24"))
    ).body.v_switch_id
    group = machines.create_security_group(ecs.CreateSecurityGroupRequest(region_id=REGION, vpc_id=made.vpc_id)).body.security_group_id
    machines.authorize_security_group(
        ecs.AuthorizeSecurityGroupRequest(
            region_id=REGION, security_group_id=group, ip_protocol="tcp", port_range="22/22", source_cidr_ip="0.0.0.0/0"
        )
    )
    images = machines.describe_images(ecs.DescribeImagesRequest(region_id=REGION, image_name="debian_12*")).body.images.image
    run = ecs.RunInstancesRequest(
        region_id=REGION,
        image_id=images[0].image_id,
        instance_type="ecs.t6-c1m1.large",
        security_group_id=group,
        v_switch_id=switch,
    )
    id = machines.run_instances(run).body.instance_id_sets.instance_id_set[0]
    wait(lambda: _state(machines, id) == "Running")
    asked = ecs.DescribeInstancesRequest(region_id=REGION, instance_ids=json.dumps([id]))
    address = machines.describe_instances(asked).body.instances.instance[0].vpc_attributes.private_ip_address.ip_address[0]
    return End(made.vpc_id, made.route_table_id, id, address, group, switch)


def _state(machines: Ecs, id: str) -> str:
    asked = ecs.DescribeInstancesRequest(region_id=REGION, instance_ids=json.dumps([id]))
    found = machines.describe_instances(asked).body.instances.instance
    return str(found[0].status) if found else ""


def greets(server: Server, one: End, other: End) -> bool:
    """Whether the SSH server of `other` answers in the instance of `one`."""
    site = Site(SITE, server.home, server.home, server.home)

    def ask() -> bool:
        try:
            with socket.create_connection((other.address, 22), timeout=2) as connection:
                return connection.recv(8).startswith(b"SSH-2.0")
        except OSError:
            return False

    return kernel.inside(site.netns(one.instance), ask)


def test_east_to_west(server: Server, ends: tuple[End, End]) -> None:
    one, other = ends
    networks, peers, walls = Vpc(config(server)), Peer(config(server)), Cfw(config(server))
    assert not greets(server, one, other)
    asked = peer.CreateVpcPeerConnectionRequest(
        region_id=REGION, vpc_id=one.vpc, accepting_vpc_id=other.vpc, accepting_region_id=REGION, name="middle"
    )
    id = peers.create_vpc_peer_connection(asked).body.instance_id
    shown = peers.get_vpc_peer_connection_attribute(peer.GetVpcPeerConnectionAttributeRequest(instance_id=id)).body
    assert (shown.status, shown.vpc.vpc_id, shown.accepting_vpc.ipv_4cidrs) == ("Activated", one.vpc, [CIDRS[1]])
    for table, cidr in ((one.table, CIDRS[1]), (other.table, CIDRS[0])):
        networks.create_route_entry(
            vpc.CreateRouteEntryRequest(
                region_id=REGION, route_table_id=table, destination_cidr_block=cidr, next_hop_id=id, next_hop_type="VpcPeer"
            )
        )
    assert greets(server, one, other) and greets(server, other, one)
    tables = [json.dumps([{"RouteTableId": t, "RouteEntryList": [{"DestinationCidr": c, "NextHopInstanceId": id}]}]) for t, c in (
        (one.table, CIDRS[1]), (other.table, CIDRS[0]),
    )]  # fmt: skip
    configure = cfw.CreateVpcFirewallConfigureRequest(
        vpc_firewall_name="middle",
        local_vpc_id=one.vpc,
        peer_vpc_id=other.vpc,
        local_vpc_region=REGION,
        peer_vpc_region=REGION,
        local_vpc_cidr_table_list=tables[0],
        peer_vpc_cidr_table_list=tables[1],
        firewall_switch="open",
    )
    firewall = walls.create_vpc_firewall_configure(configure).body.vpc_firewall_id
    assert greets(server, one, other)
    policy = cfw.CreateVpcFirewallControlPolicyRequest(
        vpc_firewall_id=firewall,
        acl_action="drop",
        description="no logins from one to other",
        source=CIDRS[0],
        source_type="net",
        destination=f"{other.address}/32",
        destination_type="net",
        proto="TCP",
        dest_port="22/22",
        application_name="ANY",
        new_order="1",
    )
    acl = walls.create_vpc_firewall_control_policy(policy).body.acl_uuid
    assert not greets(server, one, other) and greets(server, other, one)
    listed = cfw.DescribeVpcFirewallControlPolicyRequest(vpc_firewall_id=firewall, current_page="1", page_size="10")
    wait(lambda: walls.describe_vpc_firewall_control_policy(listed).body.policys[0].hit_times, 10)
    switch = cfw.ModifyVpcFirewallSwitchStatusRequest(vpc_firewall_id=firewall, firewall_switch="close")
    walls.modify_vpc_firewall_switch_status(switch)
    assert greets(server, one, other)
    row = walls.describe_vpc_firewall_list(cfw.DescribeVpcFirewallListRequest(current_page="1", page_size="10")).body.vpc_firewalls[0]
    assert (row.vpc_firewall_id, row.firewall_switch_status, row.local_vpc.vpc_id) == (firewall, "closed", one.vpc)
    walls.delete_vpc_firewall_control_policy(cfw.DeleteVpcFirewallControlPolicyRequest(vpc_firewall_id=firewall, acl_uuid=acl))
    delete = peer.DeleteVpcPeerConnectionRequest(instance_id=id, force=True)
    assert refused(lambda: peers.delete_vpc_peer_connection(delete)) == "OperationDenied.VpcFirewallExist"
    walls.delete_vpc_firewall_configure(cfw.DeleteVpcFirewallConfigureRequest(vpc_firewall_id_list=[firewall]))
    server.haechi("doctor")  # finds nothing that differs
    peers.delete_vpc_peer_connection(delete)
    assert not greets(server, one, other)
