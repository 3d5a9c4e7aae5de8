"""Network interfaces: one for each instance, with secondary addresses."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud import addresses
from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, missing, not_found
from haechi.cloud.paging import has_tags, iso_second
from haechi.cloud.params import Address, Boolean, Choice, Id, Items, Number, PageNumber, Tags, Text
from haechi.cloud.products.ecs import kinds
from haechi.cloud.products.ecs.instances import eip_of, get_settled, get_type, get_vswitch
from haechi.cloud.products.ecs.listing import name_matches, paged, render_tags
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.store import Resource

Ips = Annotated[tuple[str, ...], Items(Address("InvalidPrivateIpAddress.Malformed"), 20)]
Texts20 = Annotated[tuple[str, ...], Items(Text(64), 20)]
MaybeFlag = Annotated[bool | None, Boolean()]
NO_IPV6 = ApiError("InvalidOperation.Ipv6NotSupported", "VPCs of this cloud have no IPv6 addresses.")


@ecs.action("DescribeNetworkInterfaces", Effect.READ)
def describe_network_interfaces(
    call: Call,
    NetworkInterfaceId: kinds.IdItems = (),
    InstanceId: Id = "",
    VpcId: Id = "",
    VSwitchId: Id = "",
    SecurityGroupId: Id = "",
    PrimaryIpAddress: Annotated[str, Text(64)] = "",
    PrivateIpAddress: Texts20 = (),
    Ipv6Address: Texts20 = (),
    NetworkInterfaceName: Annotated[str, Text(128)] = "",
    Type: Annotated[str, Choice(("Primary", "Secondary"))] = "",
    Status: Annotated[str, Text(32)] = "",
    ServiceManaged: MaybeFlag = None,
    ResourceGroupId: Id = "",
    Tag: Tags = (),
    PageNumber: PageNumber = 1,
    PageSize: Annotated[int, Number(1, 500)] = 10,
    MaxResults: Annotated[int, Number(1, 500)] = 0,
    NextToken: Annotated[str, Text(1024)] = "",
) -> Answer:
    """Interfaces that match every filter."""
    found = []
    for interface in call.find("network_interface"):
        instance = call.get("instance", interface["InstanceId"])
        if instance is None:
            continue
        equal = (
            (InstanceId, instance.id),
            (VpcId, instance["VpcId"]),
            (VSwitchId, instance["VSwitchId"]),
            (PrimaryIpAddress, instance["PrivateIpAddress"]),
            (Type, "Primary"),
            (Status, "InUse"),
            (ResourceGroupId, interface["ResourceGroupId"]),
        )
        own = {instance["PrivateIpAddress"], *instance["SecondaryPrivateIps"]}
        if (
            all(not wanted or wanted == value for wanted, value in equal)
            and (not NetworkInterfaceId or interface.id in NetworkInterfaceId)
            and (not SecurityGroupId or SecurityGroupId in instance["SecurityGroupIds"])
            and (not PrivateIpAddress or own & set(PrivateIpAddress))
            and (not NetworkInterfaceName or name_matches(interface["NetworkInterfaceName"], NetworkInterfaceName))
            and not Ipv6Address
            and not ServiceManaged
            and has_tags(interface, Tag)
        ):
            found.append(interface)
    chosen, numbers = paged(found, PageNumber, PageSize, MaxResults, NextToken)
    return {**numbers, "NetworkInterfaceSets": {"NetworkInterfaceSet": [_render(call, i) for i in chosen]}}


def _render(call: Call, interface: Resource) -> dict[str, Any]:
    instance = call.view.get("instance", interface["InstanceId"])
    assert instance is not None
    eip = eip_of(call.view, instance)
    public = instance["PublicIpAddress"] or (eip["IpAddress"] if eip is not None else "")
    associated = {"AllocationId": eip.id if eip is not None else "", "PublicIpAddress": public}
    nobody = {"AllocationId": "", "PublicIpAddress": ""}
    own = [instance["PrivateIpAddress"], *instance["SecondaryPrivateIps"]]
    return {
        "NetworkInterfaceId": interface.id,
        "NetworkInterfaceName": interface["NetworkInterfaceName"],
        "Description": interface["Description"],
        "InstanceId": instance.id,
        "Status": "InUse",
        "Type": "Primary",
        "MacAddress": instance["MacAddress"],
        "VpcId": instance["VpcId"],
        "VSwitchId": instance["VSwitchId"],
        "ZoneId": instance["ZoneId"],
        "PrivateIpAddress": instance["PrivateIpAddress"],
        "PrivateIpSets": {
            "PrivateIpSet": [
                {"PrivateIpAddress": a, "Primary": n == 0, "PrivateDnsName": "", "AssociatedPublicIp": nobody if n else associated}
                for n, a in enumerate(own)
            ]
        },
        "Ipv6Sets": {"Ipv6Set": []},
        "Ipv4PrefixSets": {"Ipv4PrefixSet": []},
        "Ipv6PrefixSets": {"Ipv6PrefixSet": []},
        "SecurityGroupIds": {"SecurityGroupId": list(instance["SecurityGroupIds"])},
        "AssociatedPublicIp": associated,
        "Attachment": {"InstanceId": instance.id, "DeviceIndex": 0, "NetworkCardIndex": 0, "TrunkNetworkInterfaceId": ""},
        "NetworkInterfaceTrafficMode": interface["NetworkInterfaceTrafficMode"],
        "SourceDestCheck": interface["SourceDestCheck"],
        "DeleteOnRelease": True,
        "QueueNumber": 1,
        "QueuePairNumber": 0,
        "OwnerId": call.runtime.account,
        "ResourceGroupId": interface["ResourceGroupId"],
        "ServiceManaged": False,
        "ServiceID": 0,
        "CreationTime": iso_second(interface["CreatedAt"]),
        "Tags": render_tags(interface),
    }


def _owner(call: Call, interface: str) -> Resource:
    """The instance of an interface."""
    found = next(iter(call.find("instance", NetworkInterfaceId=interface)), None)
    if found is None:
        raise not_found("InvalidEcsId.NotFound", "The specified NetworkInterfaceId does not exist.")
    return get_settled(call, found.id, "Pending", "Starting", "Running", "Stopping", "Stopped")


@ecs.action("AssignPrivateIpAddresses", Effect.PACKETS, idempotent=True)
def assign_private_ip_addresses(
    call: Call,
    NetworkInterfaceId: Id,
    PrivateIpAddress: Ips = (),
    SecondaryPrivateIpAddressCount: Annotated[int, Number(1, 49)] = 0,
    Ipv4Prefix: Texts20 = (),
    Ipv4PrefixCount: Annotated[int, Number(0, 10)] = 0,
) -> Answer:
    """Secondary addresses: these, or that many of any."""
    instance = _owner(call, NetworkInterfaceId)
    if Ipv4Prefix or Ipv4PrefixCount:
        raise ApiError("InvalidOperation.Ipv4PrefixNotSupported", "Prefixes are not supported; assign single addresses.")
    if bool(PrivateIpAddress) == bool(SecondaryPrivateIpAddressCount):
        raise (
            ApiError("InvalidParam.Conflict", "PrivateIpAddress.N and SecondaryPrivateIpAddressCount cannot both be specified.")
            if PrivateIpAddress
            else missing("PrivateIpAddress.1")
        )
    wanted = list(dict.fromkeys(PrivateIpAddress)) or [""] * SecondaryPrivateIpAddressCount
    most = get_type(instance["InstanceType"]).size.addresses
    if 1 + len(instance["SecondaryPrivateIps"]) + len(wanted) > most:
        raise ApiError("InvalidOperation.Ipv4CountExceeded", f"Interfaces of this instance type have at most {most} addresses.", 403)
    vswitch = get_vswitch(call, instance["VSwitchId"])
    made = [addresses.lease_private(call.tx, vswitch, instance.id, w) for w in wanted]
    call.tx.change(instance, SecondaryPrivateIps=[*instance["SecondaryPrivateIps"], *made])
    answer = {"NetworkInterfaceId": NetworkInterfaceId, "PrivateIpSet": {"PrivateIpAddress": made}, "Ipv4PrefixSet": {"Ipv4Prefixes": []}}
    return {"AssignedPrivateIpAddressesSet": answer}


@ecs.action("UnassignPrivateIpAddresses", Effect.PACKETS)
def unassign_private_ip_addresses(call: Call, NetworkInterfaceId: Id, PrivateIpAddress: Ips = (), Ipv4Prefix: Texts20 = ()) -> Answer:
    """Take secondary addresses away; one that an EIP is bound to is refused."""
    instance = _owner(call, NetworkInterfaceId)
    if not PrivateIpAddress:
        raise missing("PrivateIpAddress.1")
    for address in PrivateIpAddress:
        if address not in instance["SecondaryPrivateIps"]:
            raise ApiError("InvalidIp.IpUnassigned", "The specified address is not a secondary private address of the interface.")
        if call.find("eip", BoundVpcId=instance["VpcId"], BoundPrivateIp=address):
            raise ApiError("InvalidOperation.EipBound", "An EIP is bound to the specified address.")
        addresses.release(call.tx, address, instance["VSwitchId"])
    call.tx.change(instance, SecondaryPrivateIps=[a for a in instance["SecondaryPrivateIps"] if a not in PrivateIpAddress])
    return {}


@ecs.action("AssignIpv6Addresses", Effect.RECORD, idempotent=True, limit="always refused: there is no IPv6")
def assign_ipv6_addresses(
    call: Call,
    NetworkInterfaceId: Id,
    Ipv6Address: Texts20 = (),
    Ipv6AddressCount: Annotated[int, Number(1, 20)] = 0,
    Ipv6Prefix: Texts20 = (),
    Ipv6PrefixCount: Annotated[int, Number(1, 20)] = 0,
) -> Answer:
    """Refused."""
    _owner(call, NetworkInterfaceId)
    raise NO_IPV6


@ecs.action("UnassignIpv6Addresses", Effect.RECORD, limit="always refused: there is no IPv6")
def unassign_ipv6_addresses(call: Call, NetworkInterfaceId: Id, Ipv6Address: Texts20 = (), Ipv6Prefix: Texts20 = ()) -> Answer:
    """Refused."""
    _owner(call, NetworkInterfaceId)
    raise NO_IPV6
