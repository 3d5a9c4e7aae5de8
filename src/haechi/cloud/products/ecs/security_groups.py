"""Security groups: stateful packet filters around instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, not_found
from haechi.cloud.paging import has_tags, iso_second, page, page_token, tag_dict
from haechi.cloud.params import Choice, Flag, Id, Ids, Number, PageNumber, PageSize, Tags, Text, Texts
from haechi.cloud.products.ecs.kinds import NAME, NO_LINK
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.products.ecs.security_rules import NICS, render_rule
from haechi.cloud.store import Resource, View

GROUPS_OF_A_REGION = 100
CAPACITY = {"normal": 2000, "enterprise": 65536}  # private addresses

GroupName = Annotated[str, Text(128, 2, NAME, "InvalidSecurityGroupName.Malformed")]
GroupAbout = Annotated[str, Text(256, 2, r"(?s)" + NO_LINK + r".*", "InvalidSecurityGroupDiscription.Malformed")]
GroupType = Annotated[str, Choice(("normal", "enterprise"), "InvalidParams.GroupType")]
AskedType = Annotated[str, Choice(("normal", "enterprise"), "InvalidParameter.SecurityGroupType")]
NetworkType = Annotated[str, Choice(("vpc", "classic"))]
Inner = Annotated[str, Choice(("Accept", "Drop"), "InvalidPolicy.Malformed")]
Direction = Annotated[str, Choice(("ingress", "egress", "all"))]
Nic = Annotated[str, Choice(NICS, "InvalidNicType.ValueNotSupported")]
RulePage = Annotated[int, Number(10, 1000)]
Text128 = Annotated[str, Text(128)]


def get_group(call: Call, id: str) -> Resource:
    group = call.get("security_group", id)
    if group is None:
        raise not_found("InvalidSecurityGroupId.NotFound", "The specified SecurityGroupId does not exist.")
    return group


def members(view: View, group: Resource) -> list[Resource]:
    """The instances in a group."""
    return [i for i in view.find("instance", group.region) if group.id in i["SecurityGroupIds"]]


def referencing(view: View, group: Resource) -> list[Resource]:
    """The other groups whose rules name this one."""
    return [
        other
        for other in view.find("security_group", group.region)
        if any(group.id in (r.get("SourceGroupId"), r.get("DestGroupId")) for r in other["Rules"])
    ]


@ecs.action("CreateSecurityGroup", Effect.PACKETS, idempotent=True)
def create_security_group(
    call: Call,
    VpcId: Id = "",
    SecurityGroupName: GroupName = "",
    Description: GroupAbout = "",
    SecurityGroupType: GroupType = "normal",
    ServiceManaged: Flag = False,
    ResourceGroupId: Id = "",
    Tag: Tags = (),
) -> Answer:
    if not VpcId:
        raise ApiError("InvalidVpcId.NotFound", "The VpcId must not empty when only support vpc vm.", 403)
    if call.get("vpc", VpcId) is None:
        raise not_found("InvalidVpcId.NotFound", "Specified VPC does not exist.")
    if len(call.find("security_group")) >= GROUPS_OF_A_REGION:
        raise ApiError("QuotaExceed.SecurityGroup", "The maximum number of security groups is reached.", 403)
    group = call.create(
        "security_group",
        "sg",
        {
            "SecurityGroupName": SecurityGroupName,
            "Description": Description,
            "VpcId": VpcId,
            "SecurityGroupType": SecurityGroupType,
            "InnerAccessPolicy": "Accept" if SecurityGroupType == "normal" else "Drop",
            "ResourceGroupId": ResourceGroupId,
            "Rules": [],
            "Tags": tag_dict(Tag),
        },
    )
    return {"SecurityGroupId": group.id}


@ecs.action("DescribeSecurityGroups", Effect.READ)
def describe_security_groups(
    call: Call,
    SecurityGroupId: Id = "",
    SecurityGroupIds: Ids = (),
    SecurityGroupName: Text128 = "",
    SecurityGroupType: AskedType = "",
    VpcId: Id = "",
    NetworkType: NetworkType = "",
    ResourceGroupId: Id = "",
    FuzzyQuery: Flag = False,
    IsQueryEcsCount: Flag = False,
    ServiceManaged: Flag = False,
    Tag: Tags = (),
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
    MaxResults: PageSize = 0,
    NextToken: Text128 = "",
) -> Answer:
    wanted = {
        "SecurityGroupType": SecurityGroupType,
        "VpcId": VpcId,
        "ResourceGroupId": ResourceGroupId,
        "SecurityGroupName": "" if FuzzyQuery else SecurityGroupName,
    }
    groups = [
        g
        for g in call.find("security_group", **{k: v for k, v in wanted.items() if v})
        if (not SecurityGroupId or g.id == SecurityGroupId)
        and (not SecurityGroupIds or g.id in SecurityGroupIds)
        and (not FuzzyQuery or SecurityGroupName in g["SecurityGroupName"])
        and has_tags(g, Tag)
    ]
    if NetworkType == "classic" or ServiceManaged:
        groups = []
    shown: Sequence[Resource]
    token = ""
    if MaxResults or NextToken:
        shown, token = page_token(groups, NextToken, MaxResults or 10, lambda g: g.id)
        counts = {"PageNumber": 1, "PageSize": MaxResults or 10, "TotalCount": len(groups)}
    else:
        shown, counts = page(groups, PageNumber, PageSize)
    items = [_render(call.view, g) for g in shown]
    return {"RegionId": call.region, **counts, "NextToken": token, "SecurityGroups": {"SecurityGroup": items}}


def _render(view: View, group: Resource) -> dict[str, Any]:
    instances = members(view, group)
    addresses = sum(1 + len(i.get("SecondaryPrivateIps", ())) for i in instances)
    return {
        "SecurityGroupId": group.id,
        "SecurityGroupName": group["SecurityGroupName"],
        "SecurityGroupType": group["SecurityGroupType"],
        "Description": group["Description"],
        "VpcId": group["VpcId"],
        "ResourceGroupId": group["ResourceGroupId"],
        "CreationTime": iso_second(group["CreatedAt"]),
        "EcsCount": len(instances),
        "AvailableInstanceAmount": max(CAPACITY[group["SecurityGroupType"]] - addresses, 0),
        "RuleCount": len(group["Rules"]),
        "GroupToGroupRuleCount": sum(bool(r.get("SourceGroupId") or r.get("DestGroupId")) for r in group["Rules"]),
        "ServiceManaged": False,
        "ServiceID": 0,
        "Tags": {"Tag": [{"TagKey": k, "TagValue": v} for k, v in group["Tags"].items()]},
    }


@ecs.action("DescribeSecurityGroupAttribute", Effect.READ)
def describe_security_group_attribute(
    call: Call,
    SecurityGroupId: Id,
    Direction: Direction = "all",
    NicType: Nic = "",
    Attribute: Text128 = "",
    MaxResults: RulePage = 500,
    NextToken: Text128 = "",
) -> Answer:
    """Every rule of a group, the newest last. Rules of a VPC's group are intranet ones whatever NicType asks for."""
    group = get_group(call, SecurityGroupId)
    rules = [r for r in group["Rules"] if Direction in ("all", r["Direction"])]
    shown, token = page_token(rules, NextToken, MaxResults, lambda r: str(r["SecurityGroupRuleId"]))
    return {
        "RegionId": call.region,
        "SecurityGroupId": group.id,
        "SecurityGroupName": group["SecurityGroupName"],
        "Description": group["Description"],
        "VpcId": group["VpcId"],
        "InnerAccessPolicy": group["InnerAccessPolicy"],
        "NextToken": token,
        "SnapshotPolicyIds": {"SnapshotPolicyId": []},
        "Permissions": {"Permission": [render_rule(call.view, group.region, r) for r in shown]},
    }


@ecs.action("DescribeSecurityGroupReferences", Effect.READ)
def describe_security_group_references(call: Call, SecurityGroupId: Texts) -> Answer:
    """Which groups' rules name the asked ones; a group that none names has no row."""
    rows = []
    for id in dict.fromkeys(SecurityGroupId):
        found = referencing(call.view, get_group(call, id))
        names = [{"AliUid": call.runtime.account, "SecurityGroupId": other.id} for other in found]
        if names:
            rows.append({"SecurityGroupId": id, "ReferencingSecurityGroups": {"ReferencingSecurityGroup": names}})
    return {"SecurityGroupReferences": {"SecurityGroupReference": rows}}


@ecs.action("ModifySecurityGroupAttribute", Effect.RECORD)
def modify_security_group_attribute(
    call: Call, SecurityGroupId: Id, SecurityGroupName: GroupName = "", Description: GroupAbout = ""
) -> Answer:
    group = get_group(call, SecurityGroupId)
    data = {"SecurityGroupName": SecurityGroupName, "Description": Description}
    if "Description" in call.sent and not Description:  # an empty one clears it
        group = call.tx.change(group, Description="")
    call.tx.change(group, **{k: v for k, v in data.items() if v})
    return {}


@ecs.action("ModifySecurityGroupPolicy", Effect.PACKETS, idempotent=True)
def modify_security_group_policy(call: Call, SecurityGroupId: Id, InnerAccessPolicy: Inner) -> Answer:
    """Whether the members of a basic group reach each other without a rule."""
    group = get_group(call, SecurityGroupId)
    if group["SecurityGroupType"] == "enterprise" and InnerAccessPolicy == "Accept":
        raise ApiError("InvalidPolicy.Malformed", "The Policy is invalid: the members of an advanced security group are always isolated.")
    call.tx.change(group, InnerAccessPolicy=InnerAccessPolicy)
    return {}


@ecs.action("DeleteSecurityGroup", Effect.PACKETS)
def delete_security_group(call: Call, SecurityGroupId: Id) -> Answer:
    group = get_group(call, SecurityGroupId)
    if members(call.view, group):
        raise ApiError("DependencyViolation", "There is still instance(s) in the specified security group.", 403)
    if referencing(call.view, group):
        raise ApiError("DependencyViolation", "The specified security group has been authorized in another one.", 403)
    call.tx.delete(group)
    return {}
