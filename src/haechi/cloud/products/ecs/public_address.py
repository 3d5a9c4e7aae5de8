"""The public address that belongs to an instance itself, and its bandwidth."""

from __future__ import annotations

from typing import Annotated

from haechi.cloud import addresses
from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError
from haechi.cloud.params import Choice, Flag, Id, Text
from haechi.cloud.products.ecs import kinds
from haechi.cloud.products.ecs.instances import eip_of, get_settled
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.store import Resource


def lease_public(call: Call, instance: Resource) -> Resource:
    """Give an instance a public address of its own. Refused while an elastic one is bound."""
    if eip_of(call.view, instance) is not None:
        raise ApiError("InvalidInstanceId.AlreadyAssociatedEip", "The specified instance is already associated with an EIP.")
    address = addresses.lease_public(call.tx, call.runtime.site.public, instance.id)
    return call.tx.change(instance, PublicIpAddress=address)


@ecs.action("AllocatePublicIpAddress", Effect.PACKETS)
def allocate_public_ip_address(call: Call, InstanceId: Id, IpAddress: Annotated[str, Text(64)] = "") -> Answer:
    """Give an instance a public address; its outbound bandwidth must be above 0 before."""
    instance = get_settled(call, InstanceId)
    if instance["PublicIpAddress"]:
        raise ApiError("AllocatedAlready", "The specified instance has been allocated a public IP address already.", 403)
    if not instance["InternetMaxBandwidthOut"]:
        raise ApiError("InvalidOperation.NoBandwidth", "The outbound bandwidth of the instance is 0; see ModifyInstanceNetworkSpec.", 403)
    if IpAddress:
        raise ApiError("InvalidIpAddress.NotSupported", "The address is chosen by the cloud.")
    return {"IpAddress": lease_public(call, instance)["PublicIpAddress"]}


@ecs.action("ModifyInstanceNetworkSpec", Effect.PACKETS, idempotent=True, limit="temporary upgrades end at once")
def modify_instance_network_spec(
    call: Call,
    InstanceId: Id,
    InternetMaxBandwidthOut: kinds.Bandwidth = -1,
    InternetMaxBandwidthIn: kinds.BandwidthIn = 0,
    NetworkChargeType: kinds.InternetChargeType = "",
    AllocatePublicIp: Flag = False,
    ISP: Annotated[str, Choice(("BGP",))] = "",
) -> Answer:
    """Change the bandwidth of an instance's own public address, or how it is charged. Bandwidth 0 takes the address away."""
    instance = get_settled(call, InstanceId)
    out = instance["InternetMaxBandwidthOut"] if InternetMaxBandwidthOut < 0 else InternetMaxBandwidthOut
    inward = InternetMaxBandwidthIn or (max(10, out) if InternetMaxBandwidthOut >= 0 else instance["InternetMaxBandwidthIn"])
    if InternetMaxBandwidthIn and InternetMaxBandwidthIn > max(10, out):
        raise ApiError(
            "InvalidInternetMaxBandwidthIn.ValueNotSupported", "The specified InternetMaxBandwidthIn is beyond the permitted range."
        )
    instance = call.tx.change(
        instance,
        InternetMaxBandwidthOut=out,
        InternetMaxBandwidthIn=inward,
        InternetChargeType=NetworkChargeType or instance["InternetChargeType"],
    )
    if not out and instance["PublicIpAddress"]:
        addresses.release(call.tx, instance["PublicIpAddress"])
        call.tx.change(instance, PublicIpAddress="")
    elif out and AllocatePublicIp and not instance["PublicIpAddress"]:
        lease_public(call, instance)
    return {"OrderId": ""}
