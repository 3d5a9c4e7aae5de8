"""Changing a balancer: power, name, protections, billing."""

from __future__ import annotations

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.params import Flag, Id
from haechi.cloud.products.slb.balancers import order_id
from haechi.cloud.products.slb.kinds import (
    Charge,
    Cycle,
    Duration,
    InternetCharge,
    LbName,
    Mbps,
    Pay,
    Protection,
    Reason,
    Spec,
    Status,
    Switch,
)
from haechi.cloud.products.slb.lookup import get_balancer
from haechi.cloud.products.slb.product import slb
from haechi.cloud.store import Resource


@slb.action("SetLoadBalancerStatus", Effect.PACKETS)
def set_load_balancer_status(call: Call, LoadBalancerId: Id, LoadBalancerStatus: Status) -> Answer:
    """An inactive balancer answers nothing; its listeners keep their states. Terraform sends no RegionId here."""
    call.tx.change(get_balancer(call, LoadBalancerId, anywhere=True), LoadBalancerStatus=LoadBalancerStatus)
    return {}


@slb.action("SetLoadBalancerName", Effect.RECORD)
def set_load_balancer_name(call: Call, LoadBalancerId: Id, LoadBalancerName: LbName) -> Answer:
    call.tx.change(get_balancer(call, LoadBalancerId), LoadBalancerName=LoadBalancerName)
    return {}


@slb.action("SetLoadBalancerDeleteProtection", Effect.RECORD)
def set_load_balancer_delete_protection(call: Call, LoadBalancerId: Id, DeleteProtection: Switch) -> Answer:
    call.tx.change(get_balancer(call, LoadBalancerId), DeleteProtection=DeleteProtection)
    return {}


@slb.action("SetLoadBalancerModificationProtection", Effect.RECORD, limit="the vendor's console obeys it, its API does not, nor does this")
def set_load_balancer_modification_protection(
    call: Call, LoadBalancerId: Id, ModificationProtectionStatus: Protection, ModificationProtectionReason: Reason = ""
) -> Answer:
    """ConsoleProtection with a reason, or NonProtection, which clears the reason."""
    reason = ModificationProtectionReason if ModificationProtectionStatus == "ConsoleProtection" else ""
    call.tx.change(
        get_balancer(call, LoadBalancerId),
        ModificationProtectionStatus=ModificationProtectionStatus,
        ModificationProtectionReason=reason,
    )
    return {}


@slb.action("ModifyLoadBalancerInternetSpec", Effect.RECORD)
def modify_load_balancer_internet_spec(
    call: Call, LoadBalancerId: Id, InternetChargeType: InternetCharge = "", Bandwidth: Mbps = 0, AutoPay: Flag = True
) -> Answer:
    """Billing and bandwidth of a public balancer."""
    balancer = get_balancer(call, LoadBalancerId)
    if balancer["AddressType"] != "internet":
        raise ApiError("OperationDenied.IntranetLoadBalancer", "The operation is allowed for Internet-facing load balancers only.")
    kind = InternetChargeType or balancer["InternetChargeType"]
    if kind == "paybybandwidth" and balancer["InstanceChargeType"] == "PayByCLCU":
        raise _elastic()
    call.tx.change(balancer, InternetChargeType=kind, Bandwidth=Bandwidth or balancer["Bandwidth"])
    return _order(call, balancer)


@slb.action("ModifyLoadBalancerInstanceSpec", Effect.RECORD)
def modify_load_balancer_instance_spec(call: Call, LoadBalancerId: Id, LoadBalancerSpec: Spec, AutoPay: Flag = False) -> Answer:
    balancer = get_balancer(call, LoadBalancerId)
    if (balancer["InstanceChargeType"] == "PayByCLCU") != (LoadBalancerSpec == "slb.lcu.elastic"):
        raise _elastic()
    call.tx.change(balancer, LoadBalancerSpec=LoadBalancerSpec)
    return _order(call, balancer)


@slb.action("ModifyLoadBalancerInstanceChargeType", Effect.RECORD)
def modify_load_balancer_instance_charge_type(
    call: Call,
    LoadBalancerId: Id,
    InstanceChargeType: Charge,
    InternetChargeType: InternetCharge = "",
    LoadBalancerSpec: Spec = "",
    Bandwidth: Mbps = 0,
) -> Answer:
    """From PayBySpec to PayByCLCU; the vendor knows no way back."""
    balancer = get_balancer(call, LoadBalancerId)
    if InstanceChargeType == "PayBySpec":
        if balancer["InstanceChargeType"] == "PayByCLCU":
            raise _elastic()
        return {}
    if InternetChargeType == "paybybandwidth" or LoadBalancerSpec not in ("", "slb.lcu.elastic"):
        raise _elastic()
    call.tx.change(balancer, InstanceChargeType="PayByCLCU", LoadBalancerSpec="slb.lcu.elastic", InternetChargeType="paybytraffic")
    return {}


@slb.action("ModifyLoadBalancerPayType", Effect.RECORD)
def modify_load_balancer_pay_type(
    call: Call,
    LoadBalancerId: Id,
    PayType: Pay = "PayOnDemand",
    PricingCycle: Cycle = "month",
    Duration: Duration = 1,
    AutoPay: Flag = False,
) -> Answer:
    """Between PayOnDemand and PrePay; nobody is charged."""
    balancer = get_balancer(call, LoadBalancerId)
    if PayType == "PrePay" and PricingCycle == "year" and Duration > 3:
        raise invalid("Duration", "It must be a number from 1 to 3 for years.")
    months = 0 if PayType == "PayOnDemand" else Duration * (12 if PricingCycle == "year" else 1)
    return _order(call, call.tx.change(balancer, PayType=PayType, Months=months))


def _order(call: Call, balancer: Resource) -> Answer:
    return {"OrderId": order_id(call)} if balancer["PayType"] == "PrePay" else {}


def _elastic() -> ApiError:
    text = "The operation is not allowed because the instanceChargeType of loadbalancer is {}."
    return ApiError("OperationDenied.InstanceChargeType", text.format("PayByCLCU or becomes it"))
