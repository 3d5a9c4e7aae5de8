"""CreateLoadBalancer and DeleteLoadBalancer."""

from __future__ import annotations

from haechi.cloud import addresses, regions
from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid, missing, not_found
from haechi.cloud.paging import tag_dict
from haechi.cloud.params import Flag, Id, Ip, Tags
from haechi.cloud.products.slb.kinds import (
    AddressType,
    Charge,
    Cycle,
    Duration,
    InternetCharge,
    IpVersion,
    LbName,
    Mbps,
    Pay,
    Protection,
    Reason,
    Spec,
    Switch,
)
from haechi.cloud.products.slb.lookup import get_balancer
from haechi.cloud.products.slb.product import slb
from haechi.cloud.store import Resource


def order_id(call: Call) -> int:
    """The number of an order that nobody is charged for."""
    return int(call.now() * 1000) * 100 + 1


@slb.action("CreateLoadBalancer", Effect.PACKETS, idempotent=True, limit="bandwidth, specification and billing are only recorded")
def create_load_balancer(
    call: Call,
    AddressType: AddressType = "",
    AddressIPVersion: IpVersion = "ipv4",
    Address: Ip = "",
    VpcId: Id = "",
    VSwitchId: Id = "",
    LoadBalancerName: LbName = "auto_named_slb",
    LoadBalancerSpec: Spec = "",
    InternetChargeType: InternetCharge = "paybytraffic",
    InstanceChargeType: Charge = "",
    Bandwidth: Mbps = 1,
    PayType: Pay = "PayOnDemand",
    PricingCycle: Cycle = "month",
    Duration: Duration = 1,
    AutoPay: Flag = False,
    MasterZoneId: Id = "",
    SlaveZoneId: Id = "",
    DeleteProtection: Switch = "off",
    ModificationProtectionStatus: Protection = "NonProtection",
    ModificationProtectionReason: Reason = "",
    ResourceGroupId: Id = "",
    Tag: Tags = (),
) -> Answer:
    """A balancer on a leased public address, or on an address of a vSwitch; active at once, without listeners."""
    if AddressIPVersion == "ipv6":
        raise invalid("AddressIPVersion", "This cloud serves ipv4 only.")
    if InstanceChargeType == "PayBySpec" and LoadBalancerSpec == "slb.lcu.elastic":
        raise invalid("LoadBalancerSpec", "slb.lcu.elastic goes with PayByCLCU.")
    if InternetChargeType == "paybybandwidth" and InstanceChargeType == "PayByCLCU":
        raise invalid("InternetChargeType", "PayByCLCU goes with paybytraffic.")
    kind = AddressType or ("intranet" if VSwitchId else "internet")
    vswitch = _find_vswitch(call, VSwitchId, VpcId) if kind == "intranet" else None
    if Address and vswitch is None:
        raise invalid("Address", "It can be asked for in a vSwitch only.")
    master, slave = _choose_zones(call.region, MasterZoneId, SlaveZoneId, vswitch["ZoneId"] if vswitch else "")
    elastic = InstanceChargeType == "PayByCLCU" or LoadBalancerSpec == "slb.lcu.elastic"
    id = call.store.new_id("lb")
    if vswitch is None:
        address = addresses.lease_public(call.tx, call.runtime.site.public, id)
    else:
        address = addresses.lease_private(call.tx, vswitch, id, Address)
    balancer = call.create(
        "load_balancer",
        "lb",
        {
            "LoadBalancerName": LoadBalancerName,
            "LoadBalancerStatus": "active",
            "Address": address,
            "AddressType": kind,
            "AddressIPVersion": AddressIPVersion,
            "NetworkType": "vpc" if vswitch else "classic",
            "VpcId": vswitch["VpcId"] if vswitch else "",
            "VSwitchId": vswitch.id if vswitch else "",
            "SourceAddress": addresses.lease_source(call.tx, id),
            "LoadBalancerSpec": "slb.lcu.elastic" if elastic else LoadBalancerSpec,
            "InstanceChargeType": "PayByCLCU" if elastic else "PayBySpec",
            "InternetChargeType": InternetChargeType,
            "Bandwidth": Bandwidth,
            "PayType": PayType,
            "Months": 0 if PayType == "PayOnDemand" else Duration * (12 if PricingCycle == "year" else 1),
            "MasterZoneId": master,
            "SlaveZoneId": slave,
            "DeleteProtection": DeleteProtection,
            "ModificationProtectionStatus": ModificationProtectionStatus,
            "ModificationProtectionReason": ModificationProtectionReason if ModificationProtectionStatus != "NonProtection" else "",
            "ResourceGroupId": ResourceGroupId,
            "Servers": [],
            "Tags": tag_dict(Tag),
        },
        id,
    )
    answer: Answer = {"LoadBalancerId": balancer.id}
    for name in ("LoadBalancerName", "Address", "AddressIPVersion", "NetworkType", "VpcId", "VSwitchId", "ResourceGroupId"):
        answer[name] = balancer[name]
    return {**answer, **({"OrderId": order_id(call)} if PayType == "PrePay" else {})}


def _find_vswitch(call: Call, id: str, vpc: str) -> Resource:
    if not id:
        raise missing("VSwitchId")
    vswitch = call.get("vswitch", id)
    if vswitch is None or (vpc and vswitch["VpcId"] != vpc):
        raise not_found("InvalidVSwitchId.NotFound", "The specified VSwitchId does not exist.")
    return vswitch


def _choose_zones(region: str, master: str, slave: str, own: str) -> tuple[str, str]:
    """Both zones; the second is empty where a region has only one."""
    zones = regions.zones(region)
    for name, zone in (("MasterZoneId", master), ("SlaveZoneId", slave)):
        if zone and zone not in zones:
            raise invalid(name, "The zone does not exist in the region.")
    if slave and slave == master:
        raise invalid("SlaveZoneId", "It must differ from MasterZoneId.")
    master = master or (own if own != slave else "") or next(z for z in zones if z != slave)
    return master, slave or next((z for z in zones if z != master), "")


@slb.action("DeleteLoadBalancer", Effect.PACKETS)
def delete_load_balancer(call: Call, LoadBalancerId: Id) -> Answer:
    """Delete a balancer with its listeners and server groups. Raises OperationDenied.DeleteProtectionIsOn."""
    balancer = get_balancer(call, LoadBalancerId)
    if balancer["DeleteProtection"] == "on":
        raise ApiError("OperationDenied.DeleteProtectionIsOn", "You cannot delete the instance because delete protection is on.")
    for kind in ("listener", "vserver_group"):
        for part in call.tx.find(kind, LoadBalancerId=balancer.id):
            call.tx.delete(part)
    addresses.release(call.tx, balancer["Address"], balancer["VSwitchId"])
    addresses.release(call.tx, balancer["SourceAddress"])
    call.tx.delete(balancer)
    return {}
