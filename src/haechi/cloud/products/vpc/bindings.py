"""EIPs bound to instances and their interfaces."""

from __future__ import annotations

from typing import Annotated

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, in_use, invalid, not_found
from haechi.cloud.params import Choice, Flag, Id, Ip, Text
from haechi.cloud.products.vpc.eips import UNBOUND, get_eip
from haechi.cloud.products.vpc.kinds import ECS
from haechi.cloud.products.vpc.product import vpc
from haechi.cloud.store import Resource

WORDS = ("EcsInstance", "NetworkInterface", "SlbInstance", "Nat", "HaVip", "IpAddress")
BoundType = Annotated[str, Choice(WORDS, "InvalidInstanceType.ValueNotSupported")]
Mode = Annotated[str, Text(32)]


@vpc.action(
    "AssociateEipAddress",
    Effect.PACKETS,
    idempotent=True,
    versions=ECS,
    limit="to instances and their interfaces; load balancers, NAT gateways and HAVIPs are refused",
)
def associate_eip_address(
    call: Call,
    AllocationId: Id,
    InstanceId: Id,
    InstanceType: BoundType = "EcsInstance",
    PrivateIpAddress: Ip = "",
    VpcId: Id = "",
    InstanceRegionId: Id = "",
    Mode: Mode = "NAT",
) -> Answer:
    """Bind an EIP to one address of an instance: its primary one, or the one of its own that PrivateIpAddress names."""
    eip = get_eip(call, AllocationId)
    if InstanceType not in ("EcsInstance", "NetworkInterface"):
        raise ApiError("InvalidInstanceType.ValueNotSupported", "This cloud binds EIPs to ECS instances and their interfaces only.")
    if Mode != "NAT":
        raise ApiError("InvalidMode.ValueNotSupported", "This cloud binds EIPs in NAT mode only.")
    if InstanceRegionId not in ("", call.region):
        raise ApiError("InvalidParameter.Mismatch", "Specified elastic IP address and ECS instance are not in the same region.")
    instance = _target(call, InstanceId, InstanceType)
    if eip["InstanceId"]:
        raise ApiError("IncorrectEipStatus", "Current elastic IP status does not support this operation.")
    if not instance.get("VpcId"):
        raise ApiError("OperationDenied", "Specified instance is not in VPC.")
    if VpcId not in ("", instance["VpcId"]):
        raise ApiError("InvalidParameter.Mismatch", "Specified VPC is not the one of the instance.")
    if instance["Status"] not in ("Running", "Stopped") or instance.get("Deleting"):
        raise ApiError("IncorrectInstanceStatus", "Current instance status does not support this operation.")
    own = [instance["PrivateIpAddress"], *instance.get("SecondaryPrivateIps", ())]
    private = PrivateIpAddress or own[0]
    if private not in own:
        raise invalid("PrivateIpAddress", "It is not an address of the instance.", "InvalidPrivateIpAddress.NotFound")
    bound = call.find("eip", BoundVpcId=instance["VpcId"])
    if (
        (instance.get("PublicIpAddress") and private == own[0])
        or any(e["BoundPrivateIp"] == private for e in bound)
        or (InstanceType == "EcsInstance" and any(e["InstanceId"] == InstanceId for e in bound))
    ):
        raise ApiError("InvalidAssociation.Duplicated", "Specified instance already is associated: it has a public address or an EIP.")
    call.tx.change(
        eip,
        InstanceId=InstanceId,
        InstanceType=InstanceType,
        AskedPrivateIp=PrivateIpAddress,
        AskedVpcId=VpcId,
        BoundVpcId=instance["VpcId"],
        BoundPrivateIp=private,
    )
    return {}


def _target(call: Call, id: str, type: str) -> Resource:
    """The instance itself, or the one that has the interface."""
    by_interface = next(iter(call.find("instance", NetworkInterfaceId=id)), None)
    instance = by_interface if type == "NetworkInterface" else call.get("instance", id)
    if instance is None:
        raise not_found("InvalidInstanceId.NotFound", "Specified instance does not exist.")
    return instance


@vpc.action("UnassociateEipAddress", Effect.PACKETS, idempotent=True, versions=ECS)
def unassociate_eip_address(
    call: Call, AllocationId: Id, InstanceId: Id = "", InstanceType: BoundType = "", PrivateIpAddress: Ip = "", Force: Flag = False
) -> Answer:
    eip = get_eip(call, AllocationId)
    if not eip["InstanceId"]:
        raise in_use("IncorrectEipStatus", "Current elastic IP status does not support this operation: it is not associated.")
    if (
        InstanceId not in ("", eip["InstanceId"])
        or InstanceType not in ("", eip["InstanceType"])
        or PrivateIpAddress not in ("", eip["BoundPrivateIp"])
    ):
        raise ApiError("InvalidAssociation.NotFound", "The EIP is not associated with the specified instance.")
    call.tx.change(eip, **UNBOUND)
    return {}
