"""Rules of templates."""

from __future__ import annotations

import json
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid, missing
from haechi.cloud.jsontext import parse_object, parse_objects
from haechi.cloud.paging import page
from haechi.cloud.params import Choice, Id, Number, PageNumber, PageSize, Str, Text
from haechi.cloud.products.waf.config import rule_of
from haechi.cloud.products.waf.instances import FIRST_RULE
from haechi.cloud.products.waf.lookup import RULE, get_instance, get_rule, get_template, next_number
from haechi.cloud.products.waf.product import waf
from haechi.cloud.products.waf.templates import scene_of
from haechi.cloud.store import Resource
from haechi.dataplane import core_rules

Json = Annotated[str, Text(262144, secret=True)]  # a rule may ask for a token in a header
RuleId = Annotated[int, Number(1, 2**31 - 1)]
Kind = Annotated[str, Choice(("template", "resource", "global"))]
Template = Annotated[int, Number(0, 2**31 - 1)]
MOST = 100  # of a template


@waf.action("CreateDefenseRule", Effect.PACKETS)
def create_defense_rule(
    call: Call,
    InstanceId: Id,
    DefenseScene: Str,
    Rules: Json,
    TemplateId: Template = 0,
    DefenseType: Kind = "template",
    Resource: Str = "",
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Rules of a template, each a JSON object."""
    if DefenseType != "template":
        raise ApiError("Defense.Control.Unsupported", "Rules of this cloud belong to templates.")
    if not TemplateId:
        raise missing("TemplateId")
    template, scene = get_template(call, InstanceId, TemplateId), scene_of(DefenseScene)
    if template["DefenseScene"] != scene:
        raise invalid("DefenseScene", f"The template's is {template['DefenseScene']}.")
    given = _parse(Rules)
    there = call.view.find(RULE, TemplateId=TemplateId)
    if scene in ("waf_group", "waf_base", "cc") and len(there) + len(given) > 1:
        raise ApiError("Defense.Control.DefenseRuleExist", "A template of this scene has one rule; modify it.")
    if len(there) + len(given) > MOST:
        raise ApiError("Defense.Control.RuleCountLimit", f"A template holds at most {MOST} rules.")
    ids = []
    for config in given:
        number = next_number(call, RULE, FIRST_RULE)
        rule_of(scene, number, config)
        values = {"InstanceId": InstanceId, "TemplateId": TemplateId, "DefenseScene": scene, "DefenseType": "template", "Resource": ""}
        values |= {"RuleName": str(config.get("name", ""))[:256], "Status": 1 if str(config.get("status", 1)) == "1" else 0}
        call.tx.put(RULE, str(number), "", {**values, "Config": _kept(config), "ModifiedAt": call.now()})
        ids.append(str(number))
    return {"RuleIds": ",".join(ids)}


def _parse(text: str) -> list[dict[str, Any]]:
    found = parse_objects("Rules", text, MOST)
    if not found:
        raise invalid("Rules", "It is empty.")
    return found


def _kept(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in ("id", "name", "status") and value is not None}


@waf.action("ModifyDefenseRule", Effect.PACKETS)
def modify_defense_rule(
    call: Call,
    InstanceId: Id,
    Rules: Json,
    DefenseScene: Str = "",
    TemplateId: Template = 0,
    DefenseType: Kind = "template",
    Resource: Str = "",
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Other contents of rules; each object names its rule by `id`."""
    for config in _parse(Rules):
        id = config.get("id")
        if not isinstance(id, (int, str)) or not str(id).isascii() or not str(id).isdigit():
            raise missing("Rules.id")
        rule = get_rule(call, InstanceId, int(str(id)[:10]))
        merged = {**rule["Config"], **_kept(config)}
        rule_of(rule["DefenseScene"], int(rule.id), merged)
        status = rule["Status"] if config.get("status") is None else 1 if str(config["status"]) == "1" else 0
        name = str(config.get("name") or rule["RuleName"])[:256]
        call.tx.change(rule, Config=merged, RuleName=name, Status=status, ModifiedAt=call.now())
    return {}


@waf.action("ModifyDefenseRuleStatus", Effect.PACKETS)
def modify_defense_rule_status(
    call: Call,
    InstanceId: Id,
    RuleId: RuleId,
    RuleStatus: Annotated[int, Number(0, 1)],
    TemplateId: Template = 0,
    DefenseType: Kind = "template",
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Switch a rule on or off."""
    call.tx.change(get_rule(call, InstanceId, RuleId), Status=RuleStatus, ModifiedAt=call.now())
    return {}


@waf.action("DeleteDefenseRule", Effect.PACKETS)
def delete_defense_rule(
    call: Call,
    InstanceId: Id,
    RuleIds: Str,
    TemplateId: Template = 0,
    DefenseType: Kind = "template",
    Resource: Str = "",
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Rules by their ids in a comma list."""
    for text in RuleIds.split(","):
        if not text.isascii() or not text.isdigit() or len(text) > 10:
            raise invalid("RuleIds")
        call.tx.delete(get_rule(call, InstanceId, int(text)))
    return {}


@waf.action("DescribeDefenseRule", Effect.READ)
def describe_defense_rule(
    call: Call,
    InstanceId: Id,
    RuleId: RuleId,
    TemplateId: Template = 0,
    DefenseType: Kind = "template",
    Resource: Str = "",
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """One rule; Config is JSON in a text."""
    return {"Rule": _render(get_rule(call, InstanceId, RuleId))}


@waf.action("DescribeDefenseRules", Effect.READ)
def describe_defense_rules(
    call: Call,
    InstanceId: Id,
    Query: Str = "",
    RuleType: Str = "",
    DefenseType: Str = "",
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """A page of rules. Query is JSON: nameLike, scene, templateId, status, ruleId."""
    get_instance(call, InstanceId)
    query = parse_object("Query", Query) if Query else {}
    name, scene = str(query.get("nameLike", query.get("name", ""))), str(query.get("scene", ""))
    template, id, status = (str(query.get(key, "")) for key in ("templateId", "ruleId", "status"))
    found = [
        r
        for r in call.view.find(RULE, InstanceId=InstanceId)
        if name in r["RuleName"]
        and scene in ("", r["DefenseScene"])
        and template in ("", str(r["TemplateId"]))
        and id in ("", r.id)
        and status in ("", str(r["Status"]))
    ]
    chosen, _ = page(found, PageNumber, PageSize)
    return {"Rules": [_render(r) for r in chosen], "TotalCount": len(found)}


def _render(r: Resource) -> dict[str, Any]:
    modified = int(r["ModifiedAt"] * 1000)
    names = ("RuleName", "Status", "DefenseScene", "DefenseType", "Resource", "TemplateId")
    shown = {**{name: r[name] for name in names}, "RuleId": int(r.id), "DefenseOrigin": "custom", "GmtModified": modified}
    return {**shown, "GmtCreate": modified, "Config": json.dumps({"name": r["RuleName"], "status": r["Status"], **r["Config"]})}


@waf.action("DescribeRuleGroups", Effect.READ)
def describe_rule_groups(
    call: Call,
    InstanceId: Id,
    SearchType: Str = "",
    SearchValue: Str = "",
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """The three groups of core rules: what they differ in is how much it takes to block."""
    get_instance(call, InstanceId)
    count = sum(path.read_text().count("\nSecRule ") for path in core_rules.folder(call.runtime.site).glob("REQUEST-9*.conf"))
    groups = [
        {"RuleGroupId": id, "RuleGroupName": name, "RuleTotalCount": count, "IsSubscribe": 0, "ParentRuleGroupId": 0, "GmtModified": 0}
        for id, name in ((1011, "Strict rule group"), (1012, "Medium rule group"), (1013, "Loose rule group"))
        if SearchValue in name
    ]
    chosen, _ = page(groups, PageNumber, PageSize)
    return {"RuleGroups": list(chosen), "TotalCount": len(groups)}
