"""Elastic IP addresses: allocated, described, changed, released."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.addresses import lease_public, release
from haechi.cloud.errors import ApiError, in_use, invalid, not_found
from haechi.cloud.paging import has_tags, iso_second, page, tag_dict
from haechi.cloud.params import Choice, Flag, Id, Items, PageNumber, PageSize, Str, Struct, Tags, Text
from haechi.cloud.products.vpc.kinds import DEFAULT_GROUP, ECS, NO_URL, CommaList, GroupId, MaybeFlag, given, matches, tag_list
from haechi.cloud.products.vpc.product import vpc
from haechi.cloud.store import Resource, Transaction

MOST = {"PayByTraffic": 200, "PayByBandwidth": 500}  # Mbit/s
FIRST = 16  # of the pool: the ones before are the machine's own, as in addresses.lease_public
UNBOUND: dict[str, Any] = {
    "InstanceId": "",
    "InstanceType": "",
    "AskedPrivateIp": "",
    "AskedVpcId": "",
    "BoundVpcId": "",
    "BoundPrivateIp": "",
}
EipName = Annotated[str, Text(128, 1, NO_URL, "InvalidEipName.Malformed")]
EipText = Annotated[str, Text(256, 2, NO_URL, "InvalidEipDescription.Malformed")]
Mbps = Annotated[str, Text(4, 1, r"[0-9]+", "InvalidBandwidth.ValueNotSupported")]
ChargeType = Annotated[str, Choice(("PayByBandwidth", "PayByTraffic"), "InvalidInternetChargeType.ValueNotSupported")]
Billing = Annotated[str, Choice(("PostPaid", "PrePaid"), "InvalidInstanceChargeType.ValueNotSupported")]
Isp = Annotated[str, Text(32, 1, r"[A-Za-z0-9_]+", "InvalidIsp.ValueNotSupported")]
Fifty = Annotated[tuple[str, ...], CommaList(50)]
Protections = Annotated[tuple[str, ...], Items(Text(64), 10)]
TimeFilters = Annotated[tuple[dict[str, str], ...], Items(Struct({"Key": Text(64), "Value": Text(64)}), 2)]


def get_eip(call: Call, id: str) -> Resource:
    """The EIP. Raises InvalidAllocationId.NotFound."""
    found = call.get("eip", id)
    if found is None:
        raise not_found("InvalidAllocationId.NotFound", "Specified allocation ID is not found.")
    return found


def unbind_instance(tx: Transaction, instance_id: str) -> None:
    """Take every EIP off an instance (or its interface) that goes away; they stay allocated."""
    instance = tx.get("instance", instance_id)
    names = {instance_id, instance.get("NetworkInterfaceId") if instance else ""} - {"", None}
    for eip in tx.find("eip"):
        if eip["InstanceId"] in names:
            tx.change(eip, **UNBOUND)


def _bandwidth(text: str, charge: str) -> int:
    if not 1 <= int(text) <= MOST[charge]:
        raise invalid("Bandwidth", f"It must be 1 to {MOST[charge]} for {charge}.", "InvalidBandwidth.ValueNotSupported")
    return int(text)


@vpc.action("AllocateEipAddress", Effect.RECORD, idempotent=True, versions=ECS, limit="billing, line type and zone are only recorded")
def allocate_eip_address(
    call: Call,
    Bandwidth: Mbps = "5",
    InternetChargeType: ChargeType = "PayByBandwidth",
    InstanceChargeType: Billing = "PostPaid",
    Name: EipName = "",
    Description: EipText = "",
    ISP: Isp = "BGP",
    IpAddress: Str = "",
    InstanceId: Id = "",
    Netmode: Str = "public",
    Zone: Id = "",
    ResourceGroupId: GroupId = DEFAULT_GROUP,
    PublicIpAddressPoolId: Id = "",
    SecurityProtectionTypes: Protections = (),
    Tag: Tags = (),
) -> Answer:
    if InstanceChargeType == "PrePaid":
        raise ApiError("OperationUnsupported.PrePaid", "Subscription EIPs are not supported by this cloud; use PostPaid.")
    if PublicIpAddressPoolId or SecurityProtectionTypes:
        raise ApiError("OperationUnsupported.Pool", "IP address pools and Anti-DDoS editions of EIPs are not supported by this cloud.")
    if InstanceId:
        raise not_found("InvalidAllocationId.NotFound", "A released EIP cannot be applied for again by its ID.")
    if Netmode != "public":
        raise invalid("Netmode")
    id = call.store.new_id("eip")
    pool = call.runtime.site.public
    address = _lease_wanted(call, IpAddress, id) if IpAddress else lease_public(call.tx, pool, id)
    data = {
        "IpAddress": address,
        "Name": Name,
        "Description": Description,
        "Bandwidth": _bandwidth(Bandwidth, InternetChargeType),
        "InternetChargeType": InternetChargeType,
        "ISP": ISP,
        "Zone": Zone,
        "ResourceGroupId": ResourceGroupId,
        "DeletionProtection": False,
        "Tags": tag_dict(Tag),
    }
    call.create("eip", "eip", {**data, **UNBOUND}, id)
    return {"AllocationId": id, "EipAddress": address, "ResourceGroupId": ResourceGroupId, "OrderId": 0}


def _lease_wanted(call: Call, wanted: str, owner: str) -> str:
    """A public address by name: one of this cloud's pool that nobody holds."""
    pool = call.runtime.site.public
    try:
        address = IPv4Address(wanted)
    except ValueError:
        raise invalid("IpAddress", "It must be an IPv4 address.", "InvalidIpAddress.Malformed") from None
    if address not in pool or not FIRST <= int(address) - int(pool[0]) < pool.num_addresses - 1:
        raise ApiError("InvalidIpAddress.NotAvailable", f"Specified IP address is not one that can be allocated: they come from {pool}.")
    if call.view.get("address", str(address)) is not None:
        raise ApiError("InvalidIpAddress.AlreadyInUse", "Specified IP address is in use.")
    call.tx.put("address", str(address), "", {"Owner": owner})
    return str(address)


@vpc.action("DescribeEipAddresses", Effect.READ, versions=ECS)
def describe_eip_addresses(
    call: Call,
    AllocationId: Fifty = (),
    EipAddress: Fifty = (),
    EipName: Str = "",
    Status: Str = "",
    AssociatedInstanceId: Id = "",
    AssociatedInstanceType: Str = "",
    ChargeType: Str = "",
    ISP: Str = "",
    LockReason: Str = "",
    ResourceGroupId: Id = "",
    PublicIpAddressPoolId: Id = "",
    SegmentInstanceId: Id = "",
    SecurityProtectionEnabled: MaybeFlag = None,
    ServiceManaged: MaybeFlag = None,
    Filter: TimeFilters = (),
    Tag: Tags = (),
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
) -> Answer:
    earliest, latest = _times(Filter)
    found = [
        e
        for e in call.find("eip")
        if (not AllocationId or e.id in AllocationId)
        and (not EipAddress or e["IpAddress"] in EipAddress)
        and matches(e, Name=EipName, InstanceId=AssociatedInstanceId, ISP=ISP, ResourceGroupId=ResourceGroupId)
        and Status in ("", _status(e))
        and AssociatedInstanceType in ("", e["InstanceType"])
        and ChargeType in ("", "PostPaid")
        and not (LockReason or PublicIpAddressPoolId or SegmentInstanceId or SecurityProtectionEnabled or ServiceManaged)
        and earliest <= e["CreatedAt"] <= latest
        and has_tags(e, Tag)
    ]
    shown, counts = page(found, PageNumber, PageSize)
    return {**counts, "EipAddresses": {"EipAddress": [_render(e) for e in shown]}}


def _times(filters: Sequence[dict[str, str]]) -> tuple[float, float]:
    """The span that Filter.N asks for, in epoch seconds."""
    earliest, latest = 0.0, float("inf")
    for item in filters:
        try:
            moment = datetime.strptime(item.get("Value", ""), "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise invalid("Filter.N.Value", "It must be a time such as 2026-01-31T08:05Z.") from None
        if item.get("Key") == "CreationStartTime":
            earliest = moment
        elif item.get("Key") == "CreationEndTime":
            latest = moment
        else:
            raise invalid("Filter.N.Key", "It must be CreationStartTime or CreationEndTime.")
    return earliest, latest


def _status(eip: Resource) -> str:
    return "InUse" if eip["InstanceId"] else "Available"


def _render(e: Resource) -> dict[str, Any]:
    """PrivateIpAddress and VpcId only as they were asked for when binding: Terraform replaces the association otherwise."""
    return {
        "AllocationId": e.id,
        "IpAddress": e["IpAddress"],
        "Name": e["Name"],
        "Description": e["Description"],
        "Status": _status(e),
        "RegionId": e.region,
        "AllocationTime": iso_second(e["CreatedAt"]),
        "Bandwidth": str(e["Bandwidth"]),
        "EipBandwidth": str(e["Bandwidth"]),
        "InternetChargeType": e["InternetChargeType"],
        "ChargeType": "PostPaid",
        "ExpiredTime": "",
        "ISP": e["ISP"],
        "Netmode": "public",
        "Mode": "NAT" if e["InstanceId"] else "",
        "Zone": e["Zone"],
        "InstanceId": e["InstanceId"],
        "InstanceType": e["InstanceType"],
        "InstanceRegionId": e.region if e["InstanceId"] else "",
        "PrivateIpAddress": e["AskedPrivateIp"],
        "VpcId": e["AskedVpcId"],
        "ResourceGroupId": e["ResourceGroupId"],
        "DeletionProtection": e["DeletionProtection"],
        "HDMonitorStatus": "OFF",
        "SecondLimited": False,
        "ServiceManaged": 0,
        "BusinessStatus": "Normal",
        "HasReservationData": "false",
        "BandwidthPackageId": "",
        "BandwidthPackageType": "",
        "BandwidthPackageBandwidth": "",
        "SegmentInstanceId": "",
        "OperationLocks": {"LockReason": []},
        "Tags": tag_list(e["Tags"]),
    }


@vpc.action("ModifyEipAddressAttribute", Effect.PACKETS, versions=ECS)
def modify_eip_address_attribute(
    call: Call, AllocationId: Id, Bandwidth: Mbps = "", Name: EipName = "", Description: EipText = ""
) -> Answer:
    """An empty Name or Description that is sent clears it."""
    found = get_eip(call, AllocationId)
    changes = given(call, Name=Name, Description=Description)
    if Bandwidth:
        changes["Bandwidth"] = _bandwidth(Bandwidth, found["InternetChargeType"])
    if changes:
        call.tx.change(found, **changes)
    return {}


@vpc.action("ReleaseEipAddress", Effect.RECORD, versions=ECS)
def release_eip_address(call: Call, AllocationId: Id) -> Answer:
    found = get_eip(call, AllocationId)
    if found["InstanceId"]:
        raise in_use("IncorrectEipStatus", "Current elastic IP status does not support this operation: it is in use.")
    if found["DeletionProtection"]:
        raise in_use("OperationDenied.DeletionProtection", "The EIP is protected against deletion.")
    release(call.tx, found["IpAddress"])
    call.tx.delete(found)
    return {}


ProtectedType = Annotated[str, Choice(("EIP",), "InvalidType.NotSupported")]


@vpc.action("DeletionProtection", Effect.RECORD, idempotent=True)
def deletion_protection(call: Call, InstanceId: Id, ProtectionEnable: Flag, Type: ProtectedType) -> Answer:
    call.tx.change(get_eip(call, InstanceId), DeletionProtection=ProtectionEnable)
    return {}
