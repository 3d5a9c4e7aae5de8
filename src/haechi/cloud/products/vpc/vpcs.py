"""VPCs: made, described, changed, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.addresses import lease_public, release
from haechi.cloud.errors import ApiError, in_use, invalid
from haechi.cloud.paging import has_tags, iso_second, page, tag_dict
from haechi.cloud.params import Flag, Id, Int, PageNumber, Str, Tags
from haechi.cloud.products.vpc.cidrs import check_vpc_cidr, inside, overlapping
from haechi.cloud.products.vpc.kinds import (
    BLOCK,
    DEFAULT_GROUP,
    ECS,
    Block,
    CommaList,
    GroupId,
    MaybeFlag,
    PageSize50,
    VpcName,
    VpcText,
    get_vpc,
    given,
    matches,
    tag_list,
)
from haechi.cloud.products.vpc.peers import check_clear_of_peers, peerings_of
from haechi.cloud.products.vpc.product import vpc
from haechi.cloud.store import Resource, View

QUOTA = 100  # VPCs of a region; the public cloud starts at 10
SECONDARY_QUOTA = 5
UserCidrs = Annotated[tuple[str, ...], CommaList(3, BLOCK)]
VpcIds = Annotated[tuple[str, ...], CommaList(20)]


def refuse_ipv6(wanted: bool, *others: object) -> None:
    """IPv6 is not part of this cloud: asking for it is an error, not a silent no."""
    if wanted or any(others):
        raise ApiError("OperationUnsupported.Ipv6", "IPv6 is not supported by this cloud.")


@vpc.action("CreateVpc", Effect.PACKETS, idempotent=True, versions=ECS, limit="user CIDR blocks and DNS host names are only recorded")
def create_vpc(
    call: Call,
    CidrBlock: Block = "172.16.0.0/12",
    VpcName: VpcName = "",
    Description: VpcText = "",
    ResourceGroupId: GroupId = DEFAULT_GROUP,
    UserCidr: UserCidrs = (),
    EnableDnsHostname: Flag = False,
    Tag: Tags = (),
    EnableIpv6: Flag = False,
    Ipv6CidrBlock: Str = "",
    Ipv6CidrMask: Int = 0,
    Ipv6IpamPoolId: Id = "",
    Ipv4IpamPoolId: Id = "",
    Ipv4CidrMask: Int = 0,
) -> Answer:
    refuse_ipv6(EnableIpv6, Ipv6CidrBlock, Ipv6CidrMask, Ipv6IpamPoolId)
    if Ipv4IpamPoolId or Ipv4CidrMask:
        raise ApiError("OperationUnsupported.Ipam", "IP Address Manager pools are not supported by this cloud.")
    for cidr in UserCidr:
        check_vpc_cidr(cidr, "UserCidr")
    return _make_vpc(
        call,
        CidrBlock=CidrBlock,
        VpcName=VpcName,
        Description=Description,
        ResourceGroupId=ResourceGroupId,
        UserCidrs=list(UserCidr),
        DnsHostname=EnableDnsHostname,
        Tags=tag_dict(Tag),
    )


@vpc.action("CreateDefaultVpc", Effect.PACKETS, idempotent=True)
def create_default_vpc(call: Call, ResourceGroupId: GroupId = DEFAULT_GROUP, EnableIpv6: Flag = False, Ipv6CidrBlock: Str = "") -> Answer:
    refuse_ipv6(EnableIpv6, Ipv6CidrBlock)
    if call.find("vpc", IsDefault=True):
        raise ApiError("OperationDenied.DefaultVpcExists", "The region already has a default VPC.")
    answer = _make_vpc(call, CidrBlock="172.16.0.0/12", IsDefault=True, ResourceGroupId=ResourceGroupId)
    return {k: v for k, v in answer.items() if k != "ResourceGroupId"}


def _make_vpc(call: Call, **data: Any) -> Answer:
    check_vpc_cidr(data["CidrBlock"])
    if len(call.find("vpc")) >= QUOTA:
        raise ApiError("QuotaExceeded.Vpc", f"VPC quota exceeded: a region of this cloud holds {QUOTA}.")
    id = call.store.new_id("vpc")
    defaults: dict[str, Any] = {
        "VpcName": "",
        "Description": "",
        "SecondaryCidrBlocks": [],
        "UserCidrs": [],
        "Status": "Available",
        "IsDefault": False,
        "RouteTableId": call.store.new_id("vtb"),
        "RouteTableName": "",
        "RouteTableDescription": "",
        "RouteTableTags": {},
        "RoutePropagationEnable": True,
        "VRouterId": call.store.new_id("vrt"),
        "Nat": lease_public(call.tx, call.runtime.site.public, id),
        "DnsHostname": False,
        "Tags": {},
    }
    made = call.create("vpc", "vpc", {**defaults, **data}, id)
    return {
        "VpcId": id,
        "VRouterId": made["VRouterId"],
        "RouteTableId": made["RouteTableId"],
        "ResourceGroupId": made["ResourceGroupId"],
    }


@vpc.action("DescribeVpcs", Effect.READ, versions=ECS)
def describe_vpcs(
    call: Call,
    VpcId: VpcIds = (),
    VpcName: Str = "",
    IsDefault: MaybeFlag = None,
    ResourceGroupId: Id = "",
    VpcOwnerId: Id = "",
    EnableIpv6: MaybeFlag = None,
    DhcpOptionsSetId: Id = "",
    Tag: Tags = (),
    PageNumber: PageNumber = 1,
    PageSize: PageSize50 = 10,
) -> Answer:
    found = [
        v
        for v in call.find("vpc")
        if (not VpcId or v.id in VpcId)
        and matches(v, VpcName=VpcName, IsDefault=IsDefault, ResourceGroupId=ResourceGroupId)
        and VpcOwnerId in ("", call.runtime.account)
        and not EnableIpv6
        and not DhcpOptionsSetId
        and has_tags(v, Tag)
    ]
    shown, counts = page(found, PageNumber, PageSize)
    switches = _vswitch_ids(call.view, call.region)
    items = [{**_render(call, v, switches), **_LISTED, "RouterTableIds": {"RouterTableIds": [v["RouteTableId"]]}} for v in shown]
    return {**counts, "Vpcs": {"Vpc": items}}


_LISTED: Mapping[str, Any] = {"CenStatus": "Detached", "NatGatewayIds": {"NatGatewayIds": []}}


def _vswitch_ids(view: View, region: str) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for switch in view.find("vswitch", region):
        ids.setdefault(switch["VpcId"], []).append(switch.id)
    return ids


def _render(call: Call, v: Resource, switches: Mapping[str, list[str]]) -> dict[str, Any]:
    return {
        "VpcId": v.id,
        "RegionId": v.region,
        "Status": v["Status"],
        "VpcName": v["VpcName"],
        "CreationTime": iso_second(v["CreatedAt"]),
        "CidrBlock": v["CidrBlock"],
        "Ipv6CidrBlock": "",
        "Ipv6CidrBlocks": {"Ipv6CidrBlock": []},
        "EnabledIpv6": False,
        "VRouterId": v["VRouterId"],
        "Description": v["Description"],
        "IsDefault": v["IsDefault"],
        "ResourceGroupId": v["ResourceGroupId"],
        "OwnerId": int(call.runtime.account),
        "DhcpOptionsSetId": "",
        "DhcpOptionsSetStatus": "",
        "DnsHostnameStatus": "ENABLED" if v["DnsHostname"] else "DISABLED",
        "VSwitchIds": {"VSwitchId": switches.get(v.id, [])},
        "SecondaryCidrBlocks": {"SecondaryCidrBlock": list(v["SecondaryCidrBlocks"])},
        "UserCidrs": {"UserCidr": list(v["UserCidrs"])},
        "Tags": tag_list(v["Tags"]),
    }


@vpc.action("DescribeVpcAttribute", Effect.READ)
def describe_vpc_attribute(call: Call, VpcId: Id, IsDefault: MaybeFlag = None) -> Answer:
    found = get_vpc(call, VpcId)
    switches = _vswitch_ids(call.view, call.region)
    counts = {"VSwitch": len(switches.get(found.id, [])), "VRouter": 1, "RouteTable": 1}
    return {
        **_render(call, found, switches),
        "ClassicLinkEnabled": False,
        "Ipv4GatewayId": "",
        "SupportIpv4Gateway": False,
        "AssociatedCens": {"AssociatedCen": []},
        "AssociatedPropagationSources": {"AssociatedPropagationSources": []},
        "CloudResources": {"CloudResourceSetType": [{"ResourceType": k, "ResourceCount": n} for k, n in counts.items()]},
    }


@vpc.action("ModifyVpcAttribute", Effect.PACKETS, versions=ECS, limit="DNS host names are only recorded")
def modify_vpc_attribute(
    call: Call,
    VpcId: Id,
    VpcName: VpcName = "",
    Description: VpcText = "",
    CidrBlock: Block = "",
    EnableDnsHostname: MaybeFlag = None,
    EnableIPv6: Flag = False,
    Ipv6CidrBlock: Str = "",
) -> Answer:
    """An empty VpcName or Description that is sent clears it."""
    found = get_vpc(call, VpcId)
    refuse_ipv6(EnableIPv6, Ipv6CidrBlock)
    changes = given(call, VpcName=VpcName, Description=Description)
    if CidrBlock and CidrBlock != found["CidrBlock"]:
        _check_new_cidr(call, found, CidrBlock)
        changes["CidrBlock"] = CidrBlock
    if EnableDnsHostname is not None:
        changes["DnsHostname"] = EnableDnsHostname
    if changes:
        call.tx.change(found, **changes)
    return {}


def _check_new_cidr(call: Call, found: Resource, cidr: str) -> None:
    check_vpc_cidr(cidr)
    if found["IsDefault"]:
        raise ApiError("OperationDenied.DefaultVpc", "The CIDR block of a default VPC cannot be changed.")
    if overlapping(cidr, found["SecondaryCidrBlocks"]):
        raise ApiError("InvalidCidrBlock.Overlapped", "Specified CIDR block overlaps with a secondary CIDR block of the VPC.")
    check_clear_of_peers(call.view, found, cidr)
    left = [cidr, *found["SecondaryCidrBlocks"]]
    if not all(inside(s["CidrBlock"], left) for s in call.find("vswitch", VpcId=found.id)):
        raise in_use("OperationDenied.VSwitchOutside", "Specified CIDR block does not hold every vSwitch of the VPC.")


@vpc.action("DeleteVpc", Effect.PACKETS, idempotent=True, versions=ECS)
def delete_vpc(call: Call, VpcId: Id, ForceDelete: Flag = False) -> Answer:
    """ForceDelete covers gateways only, as in the public cloud: a VPC with vSwitches or security groups stays."""
    found = get_vpc(call, VpcId)
    if call.find("vswitch", VpcId=VpcId):
        raise in_use("DependencyViolation.VSwitch", "Specified object has dependent resources: a vSwitch.")
    if peerings_of(call.view, VpcId):
        raise in_use("DependencyViolation.VpcPeer", "Specified object has dependent resources: a VPC peering connection.")
    if call.find("security_group", VpcId=VpcId):
        raise in_use("DependencyViolation.SecurityGroup", "Specified object has dependent resources: a security group.")
    release(call.tx, found["Nat"])
    call.tx.delete(found)
    return {}


@vpc.action("AssociateVpcCidrBlock", Effect.PACKETS)
def associate_vpc_cidr_block(
    call: Call, VpcId: Id, SecondaryCidrBlock: Block = "", IPv6CidrBlock: Str = "", IpVersion: Str = "", IpamPoolId: Id = ""
) -> Answer:
    found = get_vpc(call, VpcId)
    refuse_ipv6(IpVersion.upper() == "IPV6", IPv6CidrBlock)
    if IpamPoolId:
        raise ApiError("OperationUnsupported.Ipam", "IP Address Manager pools are not supported by this cloud.")
    if not SecondaryCidrBlock:
        raise ApiError("MissingParameter", 'The input parameter "SecondaryCidrBlock" that is mandatory is not supplied.')
    check_vpc_cidr(SecondaryCidrBlock, "SecondaryCidrBlock")
    blocks = found["SecondaryCidrBlocks"]
    if overlapping(SecondaryCidrBlock, [found["CidrBlock"], *blocks]):
        raise ApiError("InvalidCidrBlock.Overlapped", "Specified CIDR block overlaps with another CIDR block of the VPC.")
    check_clear_of_peers(call.view, found, SecondaryCidrBlock)
    if len(blocks) >= SECONDARY_QUOTA:
        raise ApiError("QuotaExceeded.SecondaryCidrBlock", f"A VPC has at most {SECONDARY_QUOTA} secondary CIDR blocks.")
    call.tx.change(found, SecondaryCidrBlocks=[*blocks, SecondaryCidrBlock])
    return {"CidrBlock": SecondaryCidrBlock, "IpVersion": "IPV4"}


@vpc.action("UnassociateVpcCidrBlock", Effect.PACKETS)
def unassociate_vpc_cidr_block(call: Call, VpcId: Id, SecondaryCidrBlock: Block = "", IPv6CidrBlock: Str = "") -> Answer:
    found = get_vpc(call, VpcId)
    refuse_ipv6(False, IPv6CidrBlock)
    if SecondaryCidrBlock not in found["SecondaryCidrBlocks"]:
        raise invalid("SecondaryCidrBlock", "It is not a secondary CIDR block of the VPC.", "InvalidCidrBlock.NotAssociated")
    if any(inside(s["CidrBlock"], [SecondaryCidrBlock]) for s in call.find("vswitch", VpcId=VpcId)):
        raise in_use("DependencyViolation.VSwitch", "Specified object has dependent resources: a vSwitch.")
    call.tx.change(found, SecondaryCidrBlocks=[b for b in found["SecondaryCidrBlocks"] if b != SecondaryCidrBlock])
    return {}
