"""alicloud_wafv3_defense_template and alicloud_wafv3_defense_rule.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/wafv3_defense_rule
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from haechi.provider.alicloud.cloud import Cloud
from haechi.provider.alicloud.common import sent
from haechi.provider.resource import Data, Resource
from haechi.provider.schema import Fields, block, computed, one_of, optional, required
from haechi.provider.types import BOOL, NUMBER, STRING, STRING_SET, STRINGS

API = "waf-openapi"
_GONE = ("Waf.Instance.ValidFaild", "Defense.Control.DefenseTemplateNotExist", "Defense.Control.DefenseRuleNotExist")
_STATUS = one_of("0", "1")

TEMPLATE_FIELDS: Fields = {
    "defense_scene": required(force_new=True),
    "defense_template_name": required(),
    "description": optional(),
    "instance_id": required(force_new=True),
    "resource_groups": optional(STRING_SET),
    "resource_manager_resource_group_id": optional(),
    "resources": optional(STRING_SET),
    "status": required(check=_STATUS),
    "template_origin": required(force_new=True),
    "template_type": required(force_new=True, check=one_of("user_default", "user_custom")),
    "defense_template_id": computed(NUMBER),
}
_TEMPLATE = {
    "InstanceId": "instance_id",
    "DefenseScene": "defense_scene",
    "TemplateName": "defense_template_name",
    "TemplateType": "template_type",
    "TemplateOrigin": "template_origin",
    "TemplateStatus": "status",
    "Description": "description",
    "ResourceManagerResourceGroupId": "resource_manager_resource_group_id",
}


def _template(d: Data) -> dict[str, str]:
    instance, _, number = d.id.partition(":")
    return {"InstanceId": instance, "TemplateId": number}


def _create_template(cloud: Cloud, d: Data) -> None:
    made = cloud.call(API, "CreateDefenseTemplate", sent(d, _TEMPLATE), timeout=d.timeout)
    d.id = f"{d['instance_id']}:{made['TemplateId']}"
    _bind(cloud, d)


def _bind(cloud: Cloud, d: Data) -> None:
    params: dict[str, Any] = {}
    for name, bind, unbind in (
        ("resources", "BindResources", "UnbindResources"),
        ("resource_groups", "BindResourceGroups", "UnbindResourceGroups"),
    ):
        before, wanted = set(d.old(name) or ()), set(d[name] or ())
        params |= {word: sorted(names) for word, names in ((bind, wanted - before), (unbind, before - wanted)) if names}
    if params:
        cloud.call(API, "ModifyTemplateResources", {**_template(d), **params}, timeout=d.timeout)


def _read_template(cloud: Cloud, d: Data) -> None:
    answer = cloud.find(API, "DescribeDefenseTemplate", _template(d), _GONE)
    found = (answer or {}).get("Template") or {}
    if found.get("TemplateName") is None:
        d.id = ""
        return
    d.update(
        **{name: found.get(wire) for wire, name in _TEMPLATE.items() if wire in found and wire not in ("TemplateStatus", "Description")}
    )
    d.update(status=str(found["TemplateStatus"]), description=found.get("Description") or None)
    d.update(instance_id=_template(d)["InstanceId"], defense_template_id=found["TemplateId"])
    for name, kind in (("resources", "single"), ("resource_groups", "group")):
        bound = cloud.call(API, "DescribeTemplateResources", {**_template(d), "ResourceType": kind}).get("Resources") or []
        d[name] = bound or None


def _update_template(cloud: Cloud, d: Data) -> None:
    if d.changed("defense_template_name", "description"):
        names = {"TemplateName": d["defense_template_name"], "Description": d["description"] or ""}
        cloud.call(API, "ModifyDefenseTemplate", {**_template(d), **names}, timeout=d.timeout)
    if d.changed("status"):
        cloud.call(API, "ModifyDefenseTemplateStatus", {**_template(d), "TemplateStatus": d["status"]}, timeout=d.timeout)
    _bind(cloud, d)


def _delete_template(cloud: Cloud, d: Data) -> None:
    cloud.delete(API, "DeleteDefenseTemplate", _template(d), _GONE, timeout=d.timeout)


TEMPLATE = Resource(TEMPLATE_FIELDS, _create_template, _read_template, _delete_template, _update_template)

_CONFIG = {
    "rule_action": "action",
    "remote_addr": "remoteAddr",
    "cc_status": "ccStatus",
    "cc_effect": "effect",
    "mode": "mode",
    "bypass_tags": "tags",
    "bypass_regular_rules": "regularRules",
    "bypass_regular_types": "regularTypes",
    "abroad_regions": "abroadRegionList",
    "cn_regions": "cnRegionList",
    "auto_update": "autoUpdate",
    "codec_list": "codecList",
    "gray_status": "grayStatus",
    "protocol": "protocol",
    "throttle_threhold": "throttleThrehold",
    "throttle_type": "throttleType",
    "ua": "ua",
    "url": "url",
}
_CONDITION = {"key": "key", "op_value": "opValue", "sub_key": "subKey", "values": "values"}
_RATE = {"target": "target", "interval": "interval", "threshold": "threshold", "ttl": "ttl", "sub_key": "subKey"}
_NUMBERS = ("cc_status", "mode", "gray_status", "throttle_threhold")
_LISTS = ("remote_addr", "bypass_tags", "bypass_regular_rules", "bypass_regular_types", "codec_list")
RULE_FIELDS: Fields = {
    "config": block(
        "set",
        min_items=1,
        max_items=1,
        fields={
            **{
                n: optional(NUMBER if n in _NUMBERS else STRINGS if n in _LISTS else BOOL if n == "auto_update" else STRING)
                for n in _CONFIG
            },
            "conditions": block(fields={name: optional() for name in _CONDITION}),
            "rate_limit": block(
                "set",
                max_items=1,
                fields={
                    **{name: optional(NUMBER) if name in ("interval", "threshold", "ttl") else optional() for name in _RATE},
                    "status": block(
                        "set", max_items=1, fields={"code": optional(NUMBER), "count": optional(NUMBER), "ratio": optional(NUMBER)}
                    ),
                },
            ),
        },
    ),
    "defense_origin": optional(computed=True, force_new=True, check=one_of("custom", "system")),
    "defense_scene": required(force_new=True),
    "defense_type": required(force_new=True, check=one_of("template", "resource", "global")),
    "instance_id": required(force_new=True),
    "resource": optional(computed=True, force_new=True),
    "rule_name": optional(computed=True),
    "rule_status": optional(NUMBER),
    "template_id": optional(NUMBER, force_new=True),
    "gmt_modified": computed(NUMBER),
    "rule_id": computed(NUMBER),
}


def _only(blocks: Any) -> dict[str, Any]:
    """The one block of a set of at most one; {} for none."""
    return next(iter(blocks or ()), {})


def _named(given: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {wire: given[name] for name, wire in names.items() if given.get(name) is not None}


def _rule(d: Data) -> dict[str, Any]:
    """The rule as JSON of the API."""
    config = _only(d["config"])
    found: dict[str, Any] = {**_named(config, _CONFIG), "status": 1 if d["rule_status"] is None else d["rule_status"]}
    if d["rule_name"]:
        found["name"] = d["rule_name"]
    if config.get("conditions"):
        found["conditions"] = [_named(condition, _CONDITION) for condition in config["conditions"]]
    if rate := _only(config.get("rate_limit")):
        status = _only(rate.get("status"))
        found["ratelimit"] = {**_named(rate, _RATE), **({"status": {k: v for k, v in status.items() if v is not None}} if status else {})}
    return found


def _place(d: Data) -> dict[str, str]:
    instance, kind, number = (*d.id.split(":"), "", "")[:3]
    return {"InstanceId": instance, "DefenseType": kind, "RuleId": number}


def _create_rule(cloud: Cloud, d: Data) -> None:
    names = {"InstanceId": "instance_id", "DefenseType": "defense_type", "DefenseScene": "defense_scene"}
    params = {**sent(d, {**names, "TemplateId": "template_id", "Resource": "resource"}), "Rules": json.dumps([_rule(d)])}
    made = cloud.call(API, "CreateDefenseRule", params, timeout=d.timeout)
    d.id = f"{d['instance_id']}:{d['defense_type']}:{made['RuleIds']}"


def _read_rule(cloud: Cloud, d: Data) -> None:
    answer = cloud.find(API, "DescribeDefenseRule", _place(d), _GONE)
    if answer is None:
        d.id = ""
        return
    found = answer["Rule"]
    d.update(instance_id=_place(d)["InstanceId"], defense_type=_place(d)["DefenseType"], defense_scene=found["DefenseScene"])
    d.update(defense_origin=found.get("DefenseOrigin"), resource=found.get("Resource") or None, rule_name=found["RuleName"])
    d.update(template_id=found.get("TemplateId"), rule_id=found["RuleId"], gmt_modified=found.get("GmtModified"))
    if d["rule_status"] is not None or found["Status"] != 1:
        d["rule_status"] = found["Status"]
    d["config"] = [_config(json.loads(found["Config"]))]


def _config(found: Mapping[str, Any]) -> dict[str, Any]:
    """A rule's JSON as the block."""
    config: dict[str, Any] = {name: found.get(wire) for name, wire in _CONFIG.items()}
    config["conditions"] = [_shown(condition, _CONDITION) for condition in found.get("conditions") or ()]
    rate = found.get("ratelimit")
    status = (rate or {}).get("status")
    limits = {**_shown(rate, _RATE), "status": [{k: status.get(k) for k in ("code", "count", "ratio")}] if status else []} if rate else None
    return {**config, "rate_limit": [limits] if limits else []}


def _shown(found: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    values = {name: found.get(wire) for name, wire in names.items()}
    return {name: ",".join(map(str, value)) if name == "values" and isinstance(value, list) else value for name, value in values.items()}


def _update_rule(cloud: Cloud, d: Data) -> None:
    place = _place(d)
    names = {"InstanceId": place["InstanceId"], "DefenseType": place["DefenseType"], "DefenseScene": d["defense_scene"]}
    rule = {**_rule(d), "id": int(place["RuleId"])}
    cloud.call(
        API, "ModifyDefenseRule", {**names, **sent(d, {"TemplateId": "template_id"}), "Rules": json.dumps([rule])}, timeout=d.timeout
    )


def _delete_rule(cloud: Cloud, d: Data) -> None:
    place = _place(d)
    params = {
        "InstanceId": place["InstanceId"],
        "DefenseType": place["DefenseType"],
        "RuleIds": place["RuleId"],
        "DefenseScene": d["defense_scene"],
    }
    cloud.delete(
        API, "DeleteDefenseRule", {**params, **sent(d, {"TemplateId": "template_id", "Resource": "resource"})}, _GONE, timeout=d.timeout
    )


RULE = Resource(RULE_FIELDS, _create_rule, _read_rule, _delete_rule, _update_rule)
