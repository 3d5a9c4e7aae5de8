"""alicloud_slb_load_balancer (alicloud_slb). https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/slb_load_balancer"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haechi.clients.aliyun import client_token
from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import TAGS, changed, changed_first, read_tags, sent, update_tags
from haechi.provider.resource import Data, Resource
from haechi.provider.schema import Attribute, Fields, between, one_of, optional
from haechi.provider.types import BOOL, NUMBER


def _twin(new: str, since: str, old: str, **words: Any) -> Attribute:
    text = f"Field '{old}' has been deprecated from provider version {since}. New field '{new}' instead."
    return optional(computed=True, deprecated=text, conflicts_with=(new,), **words)


def _same_spec(old: Any, new: Any, view: Mapping[str, Any]) -> bool:
    """Instances paid by usage have no specification."""
    return bool(view["instance_charge_type"] == "PayByCLCU" and not new)


def _unless_prepaid(old: Any, new: Any, view: Mapping[str, Any]) -> bool:
    return bool(view["payment_type"] != "Subscription")


def _unless_protected(old: Any, new: Any, view: Mapping[str, Any]) -> bool:
    return bool(view["modification_protection_status"] == "NonProtection")


FIELDS: Fields = {
    "address": optional(computed=True, force_new=True),
    "address_ip_version": optional(default="ipv4", force_new=True, check=one_of("ipv4", "ipv6")),
    "address_type": optional(computed=True, force_new=True, check=one_of("internet", "intranet")),
    "bandwidth": optional(NUMBER, computed=True, check=between(1, 5120)),
    "delete_protection": optional(default="off", check=one_of("on", "off")),
    "instance_charge_type": optional(computed=True, check=one_of("PayBySpec", "PayByCLCU")),
    "internet_charge_type": optional(
        default="PayByTraffic",
        check=lambda v: one_of("paybybandwidth", "paybytraffic")(v.lower()),
        same=lambda old, new, view: str(old or "").lower() == str(new or "").lower(),
    ),
    "load_balancer_name": optional(computed=True, conflicts_with=("name",)),
    "load_balancer_spec": optional(computed=True, conflicts_with=("specification",), same=_same_spec),
    "master_zone_id": optional(computed=True, force_new=True),
    "modification_protection_reason": optional(same=_unless_protected),
    "modification_protection_status": optional(computed=True, check=one_of("ConsoleProtection", "NonProtection")),
    "name": _twin("load_balancer_name", "1.123.1", "name"),
    "payment_type": optional(computed=True, check=one_of("PayAsYouGo", "Subscription")),
    "period": optional(NUMBER, check=one_of(*range(1, 10), 12, 24, 36), same=_unless_prepaid),
    "resource_group_id": optional(computed=True, force_new=True),
    "slave_zone_id": optional(computed=True, force_new=True),
    "specification": _twin("load_balancer_spec", "1.123.1", "specification", same=_same_spec),
    "status": optional(computed=True, check=one_of("active", "inactive", "locked")),
    "tags": TAGS,
    "vswitch_id": optional(force_new=True),
    "enable_prepaid_auto_pay": optional(BOOL),
}
_GONE = ("InvalidLoadBalancerId.NotFound",)
_PAY = {"PayAsYouGo": "PayOnDemand", "Subscription": "PrePay"}
_PAID = {"PayOnDemand": "PayAsYouGo", "PayAsYouGo": "PayAsYouGo", "PrePay": "Subscription", "Subscription": "Subscription"}


def describe(cloud: Cloud, balancer_id: str) -> dict[str, Any] | None:
    """The load balancer, None if there is none."""
    return cloud.find("slb", "DescribeLoadBalancerAttribute", {"LoadBalancerId": balancer_id}, _GONE)


def _create(cloud: Cloud, d: Data) -> None:
    names = {
        "Address": "address",
        "AddressIPVersion": "address_ip_version",
        "AddressType": "address_type",
        "DeleteProtection": "delete_protection",
        "InstanceChargeType": "instance_charge_type",
        "MasterZoneId": "master_zone_id",
        "SlaveZoneId": "slave_zone_id",
        "ModificationProtectionStatus": "modification_protection_status",
        "ModificationProtectionReason": "modification_protection_reason",
        "ResourceGroupId": "resource_group_id",
        "VSwitchId": "vswitch_id",
    }
    params = sent(d, names)
    params |= {
        "ClientToken": client_token("CreateLoadBalancer"),
        "LoadBalancerName": d.first("load_balancer_name", "name"),
        "LoadBalancerSpec": d.first("load_balancer_spec", "specification"),
        "Bandwidth": d["bandwidth"] or 1,
        "InternetChargeType": str(d["internet_charge_type"] or "PayByTraffic").lower(),
        "PayType": _PAY.get(d["payment_type"] or ""),
    }
    if d["vswitch_id"]:
        params["VpcId"] = cloud.call("vpc", "DescribeVSwitchAttributes", {"VSwitchId": d["vswitch_id"]}).get("VpcId")
    if d["payment_type"] == "Subscription":
        months = d["period"] or 1
        params |= {
            "PricingCycle": "year" if months >= 12 else "month",
            "Duration": months // 12 if months >= 12 else months,
            "AutoPay": True,
        }
    d.id = cloud.call("slb", "CreateLoadBalancer", params, ("OperationFailed.TokenIsProcessing",), d.timeout)["LoadBalancerId"]
    _wait(cloud, d, "active")
    update_tags(cloud, d, "slb", "instance")
    _update_status(cloud, d)


def _wait(cloud: Cloud, d: Data, status: str) -> None:
    cloud.wait(f"{d.id} to be {status}", lambda: describe(cloud, d.id) or {}, lambda b: b.get("LoadBalancerStatus") == status, d.timeout)


def _read(cloud: Cloud, d: Data) -> None:
    balancer = describe(cloud, d.id)
    if balancer is None:
        d.id = ""
        return
    d.update(
        address=balancer.get("Address"),
        address_ip_version=balancer.get("AddressIPVersion"),
        address_type=balancer.get("AddressType"),
        bandwidth=balancer.get("Bandwidth"),
        delete_protection=balancer.get("DeleteProtection"),
        instance_charge_type=balancer.get("InstanceChargeType"),
        internet_charge_type=_charge(balancer.get("InternetChargeType")),
        load_balancer_name=balancer.get("LoadBalancerName"),
        name=balancer.get("LoadBalancerName"),
        load_balancer_spec=balancer.get("LoadBalancerSpec"),
        specification=balancer.get("LoadBalancerSpec"),
        master_zone_id=balancer.get("MasterZoneId"),
        slave_zone_id=balancer.get("SlaveZoneId"),
        modification_protection_reason=balancer.get("ModificationProtectionReason"),
        modification_protection_status=balancer.get("ModificationProtectionStatus"),
        payment_type=_PAID.get(balancer.get("PayType") or "", "PayAsYouGo"),
        resource_group_id=balancer.get("ResourceGroupId"),
        status=balancer.get("LoadBalancerStatus"),
        vswitch_id=balancer.get("VSwitchId"),
    )
    tags = cloud.call("slb", "ListTagResources", {"ResourceType": "instance", "ResourceId": [d.id]})
    d["tags"] = read_tags(items(tags, "TagResources", "TagResource"))


def _charge(found: str | None) -> str:
    # 4 and 3 are how some regions answer.
    names = {"paybybandwidth": "PayByBandwidth", "paybytraffic": "PayByTraffic", "3": "PayByBandwidth", "4": "PayByTraffic"}
    return names.get(str(found).lower(), str(found or ""))


def _update(cloud: Cloud, d: Data) -> None:
    def set(action: str, **params: Any) -> None:
        cloud.call("slb", action, {"LoadBalancerId": d.id, **params}, ("OperationBusy", "SystemBusy"), d.timeout)

    update_tags(cloud, d, "slb", "instance")
    _update_status(cloud, d)
    if d.changed("delete_protection"):
        set("SetLoadBalancerDeleteProtection", DeleteProtection=d["delete_protection"])
    if (name := changed_first(d, "load_balancer_name", "name")) is not None:
        set("SetLoadBalancerName", LoadBalancerName=name)
    if d.changed("instance_charge_type"):
        spec = d.first("load_balancer_spec", "specification") if d["instance_charge_type"] == "PayBySpec" else None
        set("ModifyLoadBalancerInstanceChargeType", InstanceChargeType=d["instance_charge_type"], LoadBalancerSpec=spec)
    elif (spec := changed_first(d, "load_balancer_spec", "specification")) is not None:
        set("ModifyLoadBalancerInstanceSpec", LoadBalancerSpec=spec)
    names = {
        "ModificationProtectionStatus": "modification_protection_status",
        "ModificationProtectionReason": "modification_protection_reason",
    }
    if changed(d, names):
        set("SetLoadBalancerModificationProtection", **sent(d, names))
    if d.changed("internet_charge_type", "bandwidth"):
        set("ModifyLoadBalancerInternetSpec", InternetChargeType=str(d["internet_charge_type"]).lower(), Bandwidth=d["bandwidth"])
    if d.changed("payment_type"):
        set("ModifyLoadBalancerPayType", PayType=_PAY[d["payment_type"]], Duration=d["period"], AutoPay=True)


def _update_status(cloud: Cloud, d: Data) -> None:
    if d.changed("status") and d["status"]:
        params = {"LoadBalancerId": d.id, "LoadBalancerStatus": d["status"]}
        cloud.call("slb", "SetLoadBalancerStatus", params, timeout=d.timeout)
        _wait(cloud, d, d["status"])


def _delete(cloud: Cloud, d: Data) -> None:
    if d["payment_type"] == "Subscription":
        return  # It ends with its term; the cloud refuses to delete it before.
    cloud.delete("slb", "DeleteLoadBalancer", {"LoadBalancerId": d.id}, _GONE, ("OperationBusy", "SystemBusy"), d.timeout)
    cloud.wait(f"{d.id} to be deleted", lambda: describe(cloud, d.id), lambda b: b is None, d.timeout)


RESOURCE = Resource(FIELDS, _create, _read, _delete, _update, timeouts={"create": 600, "update": 600, "delete": 540})
