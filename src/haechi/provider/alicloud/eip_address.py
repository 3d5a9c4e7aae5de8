"""alicloud_eip_address (alicloud_eip). https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/eip_address"""

from __future__ import annotations

from typing import Any

from haechi.clients.aliyun import client_token
from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import TAGS, changed, changed_first, read_tags, sent, update_tags
from haechi.provider.resource import Data, Resource
from haechi.provider.schema import Fields, computed, one_of, optional
from haechi.provider.types import BOOL, NUMBER, STRINGS


def _renamed(old: str, new: str, since: str) -> str:
    return f"Field '{old}' has been deprecated since provider version {since}. New field '{new}' instead."


FIELDS: Fields = {
    "activity_id": optional(),
    "address_name": optional(computed=True, conflicts_with=("name",)),
    "allocation_id": optional(computed=True, force_new=True),
    "auto_pay": optional(BOOL),
    "bandwidth": optional(computed=True),
    "create_time": computed(),
    "deletion_protection": optional(BOOL, computed=True),
    "description": optional(),
    "high_definition_monitor_log_status": optional(computed=True, check=one_of("ON", "OFF")),
    "instance_charge_type": optional(
        computed=True,
        force_new=True,
        conflicts_with=("payment_type",),
        deprecated=_renamed("instance_charge_type", "payment_type", "1.126.0"),
    ),
    "internet_charge_type": optional(
        computed=True, force_new=True, check=one_of("PayByBandwidth", "PayByTraffic", "PayByDominantTraffic", "PayByCdtNormalTraffic")
    ),
    "ip_address": optional(computed=True, force_new=True),
    "isp": optional(computed=True, force_new=True),
    "log_project": optional(),
    "log_store": optional(),
    "mode": optional(computed=True, check=one_of("NAT", "MULTI_BINDED", "BINDED")),
    "name": optional(computed=True, conflicts_with=("address_name",), deprecated=_renamed("name", "address_name", "1.126.0")),
    "netmode": optional(computed=True, force_new=True),
    "payment_type": optional(
        computed=True, force_new=True, conflicts_with=("instance_charge_type",), check=one_of("Subscription", "PayAsYouGo")
    ),
    "period": optional(NUMBER, force_new=True),
    "pricing_cycle": optional(force_new=True, check=one_of("Month", "Year")),
    "public_ip_address_pool_id": optional(force_new=True),
    "resource_group_id": optional(computed=True),
    "security_protection_types": optional(STRINGS, force_new=True),
    "status": computed(),
    "tags": TAGS,
    "zone": optional(computed=True, force_new=True),
}
_BUSY = ("OperationConflict", "LastTokenProcessing", "IncorrectStatus", "SystemBusy", "IncorrectEipStatus", "FrequentPurchase.EIP")
_PAY = {"PayAsYouGo": "PostPaid", "Subscription": "PrePaid"}
_PAID = {"PostPaid": "PayAsYouGo", "PrePaid": "Subscription"}


def describe(cloud: Cloud, allocation_id: str) -> dict[str, Any] | None:
    """The elastic address, None if there is none."""
    found = items(cloud.find("vpc", "DescribeEipAddresses", {"AllocationId": allocation_id}), "EipAddresses", "EipAddress")
    return found[0] if found else None


def _create(cloud: Cloud, d: Data) -> None:
    names = {
        "ActivityId": "activity_id",
        "AutoPay": "auto_pay",
        "Bandwidth": "bandwidth",
        "Description": "description",
        "ISP": "isp",
        "InternetChargeType": "internet_charge_type",
        "IpAddress": "ip_address",
        "InstanceId": "allocation_id",
        "Netmode": "netmode",
        "Period": "period",
        "PricingCycle": "pricing_cycle",
        "PublicIpAddressPoolId": "public_ip_address_pool_id",
        "ResourceGroupId": "resource_group_id",
        "SecurityProtectionTypes": "security_protection_types",
        "Zone": "zone",
    }
    pay = _PAY.get(d["payment_type"] or "", d["instance_charge_type"] or None)
    params = sent(d, names) | {"Name": d.first("address_name", "name"), "InstanceChargeType": pay}
    params["ClientToken"] = client_token("AllocateEipAddress")
    d.id = cloud.call("vpc", "AllocateEipAddress", params, _BUSY, d.timeout)["AllocationId"]
    _wait_ready(cloud, d)
    if d["deletion_protection"]:
        _protect(cloud, d)
    if d["mode"]:
        cloud.call("vpc", "ModifyEipForwardMode", {"InstanceId": d.id, "Mode": d["mode"]}, _BUSY, d.timeout)
    update_tags(cloud, d, "vpc", "EIP")


def _wait_ready(cloud: Cloud, d: Data) -> None:
    cloud.wait(f"{d.id} to be ready", lambda: describe(cloud, d.id) or {}, lambda e: e.get("Status") in ("Available", "InUse"), d.timeout)


def _protect(cloud: Cloud, d: Data) -> None:
    params = {"InstanceId": d.id, "ProtectionEnable": bool(d["deletion_protection"]), "Type": "EIP"}
    cloud.call("vpc", "DeletionProtection", params, _BUSY, d.timeout)


def _read(cloud: Cloud, d: Data) -> None:
    eip = describe(cloud, d.id)
    if eip is None:
        d.id = ""
        return
    d.update(
        address_name=eip.get("Name"),
        name=eip.get("Name"),
        allocation_id=eip.get("AllocationId"),
        bandwidth=eip.get("EipBandwidth") or eip.get("Bandwidth"),
        create_time=eip.get("AllocationTime"),
        deletion_protection=eip.get("DeletionProtection"),
        description=eip.get("Description"),
        high_definition_monitor_log_status=eip.get("HDMonitorStatus"),
        internet_charge_type=eip.get("InternetChargeType"),
        ip_address=eip.get("IpAddress"),
        isp=eip.get("ISP"),
        mode=eip.get("Mode"),
        netmode=eip.get("Netmode"),
        payment_type=_PAID.get(str(eip.get("ChargeType")), "PayAsYouGo"),
        instance_charge_type=eip.get("ChargeType"),
        public_ip_address_pool_id=eip.get("PublicIpAddressPoolId"),
        resource_group_id=eip.get("ResourceGroupId"),
        security_protection_types=items(eip, "SecurityProtectionTypes", "SecurityProtectionType"),
        status=eip.get("Status"),
        zone=eip.get("Zone"),
        tags=read_tags(items(eip, "Tags", "Tag")),
    )


def _update(cloud: Cloud, d: Data) -> None:
    params = changed(d, {"Bandwidth": "bandwidth", "Description": "description"})
    if (name := changed_first(d, "address_name", "name")) is not None:
        params["Name"] = name
    if params:
        cloud.call("vpc", "ModifyEipAddressAttribute", {"AllocationId": d.id, **params}, _BUSY, d.timeout)
        _wait_ready(cloud, d)
    if d.changed("deletion_protection"):
        _protect(cloud, d)
    if d.changed("resource_group_id") and d["resource_group_id"]:
        cloud.call(
            "vpc", "MoveResourceGroup", {"ResourceId": d.id, "NewResourceGroupId": d["resource_group_id"], "ResourceType": "EIP"}, _BUSY
        )
    if d.changed("mode"):
        cloud.call("vpc", "ModifyEipForwardMode", {"InstanceId": d.id, "Mode": d["mode"]}, _BUSY, d.timeout)
    if d.changed("high_definition_monitor_log_status", "log_project", "log_store"):
        log = {"LogProject": d["log_project"] or None, "LogStore": d["log_store"] or None}
        status = d["high_definition_monitor_log_status"]
        cloud.call("vpc", "SetHighDefinitionMonitorLogStatus", {"InstanceId": d.id, "Status": status, **log}, _BUSY, d.timeout)
    update_tags(cloud, d, "vpc", "EIP")


def _delete(cloud: Cloud, d: Data) -> None:
    if d["payment_type"] == "Subscription":
        return  # It ends with its term; the cloud refuses to release it before.
    cloud.delete("vpc", "ReleaseEipAddress", {"AllocationId": d.id}, ("InvalidAllocationId.NotFound",), _BUSY, d.timeout)
    cloud.wait(f"{d.id} to be released", lambda: describe(cloud, d.id), lambda e: e is None, d.timeout)


RESOURCE = Resource(FIELDS, _create, _read, _delete, _update, timeouts={"create": 540, "update": 540, "delete": 540})
