"""The instance, its limits, and the pause of all protection."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud import addresses
from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError
from haechi.cloud.params import Id, Number, Str
from haechi.cloud.products.waf.lookup import DOMAIN, INSTANCE, RULE, TEMPLATE, get_instance, next_number
from haechi.cloud.products.waf.product import waf
from haechi.cloud.store import Resource

Switch = Annotated[int, Number(0, 1)]
FIRST_TEMPLATE, FIRST_RULE = 20001, 20000001
DETAILS = {
    "AclRuleMaxIpCount": 200,
    "BackendMaxCount": 20,
    "BaseWafGroup": True,
    "CnameResourceMaxCount": 1000,
    "CustomRule": True,
    "CustomRuleAction": "block,monitor",
    "CustomRuleInTemplateMaxCount": 100,
    "CustomRuleTemplateMaxCount": 20,
    "DefenseObjectMaxCount": 1000,
    "HttpPorts": "80-65535",
    "HttpsPorts": "443-65535",
    "IpBlacklist": True,
    "IpBlacklistIpInRuleMaxCount": 200,
    "Whitelist": True,
    "WhitelistRuleInTemplateMaxCount": 100,
    "LogService": True,
    "Ipv6": False,
    "Bot": False,
    "Dlp": False,
    "Tamperproof": False,
    "HybridCloud": False,
}


def open_instance(call: Call, prepaid: bool, months: int = 0) -> Resource:
    """A new instance with an address of its own and its default template of core rules. Raises Waf.Instance.Exist."""
    if call.view.find(INSTANCE):
        raise ApiError("Waf.Instance.Exist", "The account has an instance already.")
    id = call.store.new_id(f"waf_v3{'prepaid' if prepaid else 'postpaid'}_public_cn")
    address = addresses.lease_public(call.tx, call.runtime.site.public, id)
    instance = call.tx.put(
        INSTANCE, id, "", {"Address": address, "CreatedAt": call.now(), "Prepaid": prepaid, "Months": months, "Paused": 0}
    )
    number = next_number(call, TEMPLATE, FIRST_TEMPLATE)
    values: dict[str, Any] = {
        "InstanceId": id,
        "TemplateName": "Default template",
        "DefenseScene": "waf_group",
        "TemplateType": "user_default",
    }
    values |= {"TemplateOrigin": "custom", "TemplateStatus": 1, "Description": "", "Resources": [], "Unbound": [], "ModifiedAt": call.now()}
    call.tx.put(TEMPLATE, str(number), "", values)
    config = {"name": "core rules", "status": 1, "policyId": 1012, "action": "block"}
    rule = next_number(call, RULE, FIRST_RULE)
    kept = {"InstanceId": id, "TemplateId": number, "DefenseScene": "waf_group", "DefenseType": "template", "Resource": "", "Status": 1}
    call.tx.put(RULE, str(rule), "", {**kept, "RuleName": "core rules", "Config": config, "ModifiedAt": call.now()})
    return instance


def close_instance(call: Call, instance: Resource) -> None:
    """Give it back with everything in it."""
    for kind in (RULE, TEMPLATE, DOMAIN):
        for item in call.tx.find(kind, InstanceId=instance.id):
            call.tx.delete(item)
    addresses.release(call.tx, instance["Address"])
    call.tx.delete(instance)


@waf.action("CreatePostpaidInstance", Effect.PACKETS, limit="nobody is charged")
def create_postpaid_instance(call: Call, RegionId: Id = "") -> Answer:
    """The account's instance, which is there at once."""
    return {"InstanceId": open_instance(call, prepaid=False).id}


@waf.action("ReleaseInstance", Effect.PACKETS)
def release_instance(call: Call, InstanceId: Id, RegionId: Id = "") -> Answer:
    """Give it back; its domains are served no more."""
    close_instance(call, get_instance(call, InstanceId))
    return {}


@waf.action("DescribeInstance", Effect.READ)
def describe_instance(call: Call, RegionId: Id = "", ResourceManagerResourceGroupId: Id = "") -> Answer:
    """The account's instance; nothing of it when there is none."""
    found = call.view.find(INSTANCE)
    if not found:
        return {}
    instance = found[0]
    start = int(instance["CreatedAt"] * 1000)
    values: dict[str, Any] = {
        "InstanceId": instance.id,
        "Status": 1,
        "InDebt": "1",
        "StartTime": start,
        "RegionId": RegionId or "cn-hangzhou",
    }
    values |= {"EndTime": start + max(1, instance["Months"]) * 30 * 86400 * 1000 if instance["Prepaid"] else 4809513600000}
    values |= {"Edition": "default_version", "PayType": "PREPAY" if instance["Prepaid"] else "POSTPAY", "ProcessStatus": "InitialStatus"}
    return {**values, "Details": DETAILS}


@waf.action("DescribePauseProtectionStatus", Effect.READ)
def describe_pause_protection_status(call: Call, InstanceId: Id, RegionId: Id = "", ResourceManagerResourceGroupId: Id = "") -> Answer:
    """1 while everything is let through."""
    return {"PauseStatus": get_instance(call, InstanceId)["Paused"]}


@waf.action("ModifyPauseProtectionStatus", Effect.PACKETS)
def modify_pause_protection_status(
    call: Call, InstanceId: Id, PauseStatus: Switch, RegionId: Id = "", ResourceManagerResourceGroupId: Id = ""
) -> Answer:
    """1: let everything through as it is; 0: protect again."""
    call.tx.change(get_instance(call, InstanceId), Paused=PauseStatus)
    return {}


@waf.action("DescribeWafSourceIpSegment", Effect.READ)
def describe_waf_source_ip_segment(call: Call, InstanceId: Id, RegionId: Str = "", ResourceManagerResourceGroupId: Id = "") -> Answer:
    """Where requests to origins come from."""
    return {"WafSourceIp": {"IPv4": [f"{get_instance(call, InstanceId)['Address']}/32"], "IPv6": []}}
