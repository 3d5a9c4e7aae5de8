"""vSwitches: made, described, changed, deleted."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Any

from haechi.cloud import regions
from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.addresses import reserved
from haechi.cloud.errors import ApiError, in_use, not_found
from haechi.cloud.paging import has_tags, iso_second, page, tag_dict
from haechi.cloud.params import Flag, Id, PageNumber, Str, Tags
from haechi.cloud.products.vpc.cidrs import check_vswitch_cidr, free_subnet
from haechi.cloud.products.vpc.kinds import (
    ECS,
    Block,
    CommaList,
    MaybeFlag,
    PageSize50,
    VSwitchName,
    VSwitchText,
    get_vpc,
    get_vswitch,
    given,
    matches,
    tag_list,
)
from haechi.cloud.products.vpc.product import vpc
from haechi.cloud.products.vpc.vpcs import refuse_ipv6
from haechi.cloud.store import Resource, View

QUOTA = 150  # vSwitches of a VPC
VSwitchIds = Annotated[tuple[str, ...], CommaList(20)]
Usage = dict[str, int]


@vpc.action("CreateVSwitch", Effect.PACKETS, idempotent=True, versions=ECS)
def create_vswitch(
    call: Call,
    VpcId: Id,
    CidrBlock: Block,
    ZoneId: Id,
    VSwitchName: VSwitchName = "",
    Description: VSwitchText = "",
    Tag: Tags = (),
    Ipv6CidrBlock: Str = "",
    VpcIpv6CidrBlock: Str = "",
) -> Answer:
    owner = get_vpc(call, VpcId)
    refuse_ipv6(False, Ipv6CidrBlock, VpcIpv6CidrBlock)
    _check_zone(call, ZoneId)
    check_vswitch_cidr(call.view, owner, CidrBlock)
    return _make_vswitch(call, owner, CidrBlock, ZoneId, VSwitchName=VSwitchName, Description=Description, Tags=tag_dict(Tag))


@vpc.action("CreateDefaultVSwitch", Effect.PACKETS, idempotent=True)
def create_default_vswitch(call: Call, ZoneId: Id, Ipv6CidrBlock: Str = "") -> Answer:
    """A /20 of the region's default VPC, one for each zone."""
    refuse_ipv6(False, Ipv6CidrBlock)
    _check_zone(call, ZoneId)
    owner = next(iter(call.find("vpc", IsDefault=True)), None)
    if owner is None:
        raise not_found("DefaultVpc.NotFound", "The region has no default VPC.")
    if call.find("vswitch", VpcId=owner.id, ZoneId=ZoneId, IsDefault=True):
        raise ApiError("OperationDenied.DefaultVSwitchExists", "The zone already has a default vSwitch.")
    return _make_vswitch(call, owner, free_subnet(call.view, owner, 20), ZoneId, IsDefault=True)


def _check_zone(call: Call, zone: str) -> None:
    if zone not in regions.zones(call.region):
        raise not_found("InvalidZoneId.NotFound", "Specified value of ZoneId does not exist in the region.")


def _make_vswitch(call: Call, owner: Resource, cidr: str, zone: str, **data: Any) -> Answer:
    if len(call.find("vswitch", VpcId=owner.id)) >= QUOTA:
        raise ApiError("QuotaExceeded.VSwitch", f"Virtual switch quota exceeded: a VPC holds {QUOTA}.")
    defaults = {"VSwitchName": "", "Description": "", "Status": "Available", "IsDefault": False, "Tags": {}}
    made = call.create("vswitch", "vsw", {**defaults, "VpcId": owner.id, "ZoneId": zone, "CidrBlock": cidr, **data})
    return {"VSwitchId": made.id}


@vpc.action("DescribeVSwitches", Effect.READ, versions=ECS)
def describe_vswitches(
    call: Call,
    VSwitchId: VSwitchIds = (),
    VpcId: Id = "",
    ZoneId: Id = "",
    VSwitchName: Str = "",
    IsDefault: MaybeFlag = None,
    RouteTableId: Id = "",
    ResourceGroupId: Id = "",
    VSwitchOwnerId: Id = "",
    EnableIpv6: MaybeFlag = None,
    Tag: Tags = (),
    PageNumber: PageNumber = 1,
    PageSize: PageSize50 = 10,
) -> Answer:
    owners = {v.id: v for v in call.find("vpc")}
    found = [
        s
        for s in call.find("vswitch")
        if (not VSwitchId or s.id in VSwitchId)
        and matches(s, VpcId=VpcId, ZoneId=ZoneId, VSwitchName=VSwitchName, IsDefault=IsDefault)
        and matches(owners[s["VpcId"]], RouteTableId=RouteTableId, ResourceGroupId=ResourceGroupId)
        and VSwitchOwnerId in ("", call.runtime.account)
        and not EnableIpv6
        and has_tags(s, Tag)
    ]
    shown, counts = page(found, PageNumber, PageSize)
    used = count_used(call.view, call.region) if shown else {}
    return {**counts, "VSwitches": {"VSwitch": [_render(call, s, owners[s["VpcId"]], used) for s in shown]}}


@vpc.action("DescribeVSwitchAttributes", Effect.READ)
def describe_vswitch_attributes(call: Call, VSwitchId: Id) -> Answer:
    found = get_vswitch(call, VSwitchId)
    return _render(call, found, get_vpc(call, found["VpcId"]), count_used(call.view, call.region))


def count_used(view: View, region: str) -> Usage:
    """How many addresses of each vSwitch are leased."""
    used: Usage = {}
    for lease in view.find("address", region):
        switch = lease.id.partition("/")[0]
        used[switch] = used.get(switch, 0) + 1
    return used


def _render(call: Call, s: Resource, owner: Resource, used: Usage) -> dict[str, Any]:
    network = IPv4Network(s["CidrBlock"])
    return {
        "VSwitchId": s.id,
        "VpcId": s["VpcId"],
        "Status": s["Status"],
        "CidrBlock": s["CidrBlock"],
        "Ipv6CidrBlock": "",
        "EnabledIpv6": False,
        "ZoneId": s["ZoneId"],
        "AvailableIpAddressCount": network.num_addresses - len(reserved(network)) - used.get(s.id, 0),
        "Description": s["Description"],
        "VSwitchName": s["VSwitchName"],
        "CreationTime": iso_second(s["CreatedAt"]),
        "IsDefault": s["IsDefault"],
        "ResourceGroupId": owner["ResourceGroupId"],
        "NetworkAclId": "",
        "OwnerId": int(call.runtime.account),
        "ShareType": "",
        "RouteTable": {"RouteTableId": owner["RouteTableId"], "RouteTableType": "System"},
        "Tags": tag_list(s["Tags"]),
    }


@vpc.action("ModifyVSwitchAttribute", Effect.RECORD, versions=ECS)
def modify_vswitch_attribute(
    call: Call,
    VSwitchId: Id,
    VSwitchName: VSwitchName = "",
    Description: VSwitchText = "",
    EnableIPv6: Flag = False,
    Ipv6CidrBlock: Str = "",
    VpcIpv6CidrBlock: Str = "",
) -> Answer:
    """An empty VSwitchName or Description that is sent clears it."""
    found = get_vswitch(call, VSwitchId)
    refuse_ipv6(EnableIPv6, Ipv6CidrBlock, VpcIpv6CidrBlock)
    changes = given(call, VSwitchName=VSwitchName, Description=Description)
    if changes:
        call.tx.change(found, **changes)
    return {}


@vpc.action("DeleteVSwitch", Effect.PACKETS, versions=ECS)
def delete_vswitch(call: Call, VSwitchId: Id) -> Answer:
    """Only when nothing holds an address in it: instances, interfaces, load balancers."""
    found = get_vswitch(call, VSwitchId)
    if VSwitchId in count_used(call.view, call.region) or any(
        call.find(kind, VSwitchId=VSwitchId) for kind in ("instance", "load_balancer")
    ):
        raise in_use("DependencyViolation", "Specified object has dependent resources.")
    call.tx.delete(found)
    return {}
