"""Templates: sets of rules of one scene, bound to protected objects or the default of all."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.paging import page
from haechi.cloud.params import Choice, Id, Items, Number, PageNumber, PageSize, Str, Text
from haechi.cloud.products.waf.instances import FIRST_TEMPLATE
from haechi.cloud.products.waf.lookup import CORE_SCENES, DOMAIN, RULE, TEMPLATE, get_instance, get_template, next_number, object_of
from haechi.cloud.products.waf.product import waf
from haechi.cloud.store import Resource

SCENES = ("waf_group", "waf_base", "custom_acl", "ip_blacklist", "whitelist", "cc")
Number64 = Annotated[int, Number(1, 2**31 - 1)]
Status = Annotated[int, Number(0, 1)]
Kind = Annotated[str, Choice(("user_default", "user_custom"))]
Objects = Annotated[tuple[str, ...], Items(Text(256), 100)]
Name = Annotated[str, Text(255, 1)]


def scene_of(text: str) -> str:
    """A scene that this cloud has. Raises Defense.Control.Unsupported."""
    if text not in SCENES:
        raise ApiError("Defense.Control.Unsupported", f"This cloud has the scenes {', '.join(SCENES)}.")
    return text


def _default_is_free(call: Call, instance: str, scene: str, but: str = "") -> None:
    same = CORE_SCENES if scene in CORE_SCENES else (scene,)
    others = [t for t in call.view.find(TEMPLATE, InstanceId=instance, TemplateType="user_default") if t.id != but]
    if any(t["DefenseScene"] in same for t in others):
        raise ApiError("Defense.Control.DefaultTemplateExist", "The scene has a default template already.")


@waf.action("CreateDefenseTemplate", Effect.RECORD)
def create_defense_template(
    call: Call,
    InstanceId: Id,
    DefenseScene: Str,
    TemplateName: Name,
    TemplateType: Kind,
    TemplateStatus: Status,
    TemplateOrigin: Str = "custom",
    Description: Str = "",
    UnbindResources: Objects = (),
    UnbindResourceGroups: Objects = (),
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """An empty template."""
    get_instance(call, InstanceId)
    scene = scene_of(DefenseScene)
    if TemplateType == "user_default":
        _default_is_free(call, InstanceId, scene)
    number = next_number(call, TEMPLATE, FIRST_TEMPLATE)
    values: dict[str, Any] = {"InstanceId": InstanceId, "TemplateName": TemplateName, "DefenseScene": scene, "TemplateType": TemplateType}
    values |= {"TemplateOrigin": TemplateOrigin, "TemplateStatus": TemplateStatus, "Description": Description, "Resources": []}
    call.tx.put(TEMPLATE, str(number), "", {**values, "Unbound": list(UnbindResources), "ModifiedAt": call.now()})
    return {"TemplateId": number}


@waf.action("ModifyDefenseTemplate", Effect.RECORD)
def modify_defense_template(
    call: Call,
    InstanceId: Id,
    TemplateId: Number64,
    TemplateName: Name,
    Description: Str = "",
    UnbindResources: Objects = (),
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Another name."""
    template = get_template(call, InstanceId, TemplateId)
    call.tx.change(template, TemplateName=TemplateName, Description=Description, ModifiedAt=call.now())
    return {}


@waf.action("ModifyDefenseTemplateStatus", Effect.PACKETS)
def modify_defense_template_status(
    call: Call, InstanceId: Id, TemplateId: Number64, TemplateStatus: Status, RegionId: Id = "", ResourceManagerResourceGroupId: Id = ""
) -> Answer:
    """Switch all its rules on or off."""
    call.tx.change(get_template(call, InstanceId, TemplateId), TemplateStatus=TemplateStatus, ModifiedAt=call.now())
    return {}


@waf.action("DeleteDefenseTemplate", Effect.PACKETS)
def delete_defense_template(
    call: Call, InstanceId: Id, TemplateId: Number64, RegionId: Id = "", ResourceManagerResourceGroupId: Id = ""
) -> Answer:
    """Its rules go with it."""
    template = get_template(call, InstanceId, TemplateId)
    for rule in call.tx.find(RULE, TemplateId=TemplateId):
        call.tx.delete(rule)
    call.tx.delete(template)
    return {}


@waf.action("ModifyTemplateResources", Effect.PACKETS)
def modify_template_resources(
    call: Call,
    InstanceId: Id,
    TemplateId: Number64,
    BindResources: Objects = (),
    UnbindResources: Objects = (),
    BindResourceGroups: Objects = (),
    UnbindResourceGroups: Objects = (),
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """Bind protected objects to a template of one's own, or take them off; of a default template, take objects out or in again."""
    template = get_template(call, InstanceId, TemplateId)
    if BindResourceGroups:
        raise ApiError("Defense.Control.Unsupported", "Groups of objects are not supported by this cloud.")
    known = {object_of(domain) for domain in call.view.find(DOMAIN, InstanceId=InstanceId)}
    if any(name not in known for name in BindResources):
        raise ApiError("Defense.Control.DefenseResourceNotExist", "One of the protected objects does not exist.", 404)
    for name in BindResources:
        for other in call.tx.find(TEMPLATE, InstanceId=InstanceId, DefenseScene=template["DefenseScene"], TemplateType="user_custom"):
            if other.id != template.id and name in other["Resources"]:
                raise ApiError("Defense.Control.ResourceBound", f"One is bound to template {other.id} of this scene.")
    if template["TemplateType"] == "user_default":
        out = [name for name in dict.fromkeys([*template["Unbound"], *UnbindResources]) if name not in BindResources]
        call.tx.change(template, Unbound=out, ModifiedAt=call.now())
    else:
        bound = [name for name in dict.fromkeys([*template["Resources"], *BindResources]) if name not in UnbindResources]
        call.tx.change(template, Resources=bound, ModifiedAt=call.now())
    return {}


@waf.action("DescribeTemplateResources", Effect.READ)
def describe_template_resources(
    call: Call,
    InstanceId: Id,
    TemplateId: Number64,
    ResourceType: Str = "single",
    Resource: Str = "",
    MaxResults: PageSize = 10,
    NextToken: Str = "",
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """The objects that are bound to it; groups are not there."""
    template = get_template(call, InstanceId, TemplateId)
    known = {object_of(domain) for domain in call.view.find(DOMAIN, InstanceId=InstanceId)}
    bound = [name for name in template["Resources"] if name in known and Resource in name] if ResourceType == "single" else []
    return {"Resources": bound, "TemplateId": TemplateId, "TotalCount": len(bound), "MaxResults": MaxResults, "NextToken": ""}


@waf.action("DescribeDefenseTemplate", Effect.READ)
def describe_defense_template(
    call: Call, InstanceId: Id, TemplateId: Number64, RegionId: Id = "", ResourceManagerResourceGroupId: Id = ""
) -> Answer:
    """One template."""
    return {"Template": _render(get_template(call, InstanceId, TemplateId))}


@waf.action("DescribeDefenseTemplates", Effect.READ)
def describe_defense_templates(
    call: Call,
    InstanceId: Id,
    DefenseScene: Str = "",
    TemplateId: Str = "",
    TemplateName: Str = "",
    TemplateType: Str = "",
    Resource: Str = "",
    ResourceType: Str = "",
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
    RegionId: Id = "",
    ResourceManagerResourceGroupId: Id = "",
) -> Answer:
    """A page of templates."""
    get_instance(call, InstanceId)
    if ResourceType == "group":
        raise invalid("ResourceType", "There are no groups of objects.")
    found = [
        t
        for t in call.view.find(TEMPLATE, InstanceId=InstanceId)
        if DefenseScene in ("", t["DefenseScene"])
        and TemplateId in ("", t.id)
        and TemplateName in t["TemplateName"]
        and TemplateType in ("", t["TemplateType"])
        and (not Resource or Resource in t["Resources"] or t["TemplateType"] == "user_default")
    ]
    chosen, _ = page(found, PageNumber, PageSize)
    return {"Templates": [_render(t) for t in chosen], "TotalCount": len(found)}


def _render(t: Resource) -> dict[str, Any]:
    names = ("TemplateName", "DefenseScene", "TemplateType", "TemplateOrigin", "TemplateStatus", "Description")
    return {**{name: t[name] for name in names}, "TemplateId": int(t.id), "GmtModified": int(t["ModifiedAt"] * 1000)}
