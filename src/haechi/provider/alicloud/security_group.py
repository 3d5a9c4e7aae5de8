"""alicloud_security_group. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/security_group"""

from __future__ import annotations

from typing import Any

from haechi.clients.aliyun import client_token
from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import TAGS, changed, changed_first, join_resource_group, read_tags, sent, tag_params, update_tags
from haechi.provider.resource import Data, Resource
from haechi.provider.schema import Fields, computed, one_of, optional, same_case
from haechi.provider.types import BOOL

FIELDS: Fields = {
    "create_time": computed(),
    "description": optional(),
    "inner_access": optional(
        BOOL,
        computed=True,
        conflicts_with=("inner_access_policy",),
        deprecated="Field 'inner_access' has been deprecated from provider version 1.55.3. New field 'inner_access_policy' instead.",
    ),
    "inner_access_policy": optional(
        computed=True,
        conflicts_with=("inner_access",),
        check=lambda v: one_of("accept", "drop")(v.lower()),
        same=same_case,
    ),
    "name": optional(
        computed=True,
        conflicts_with=("security_group_name",),
        deprecated="Field 'name' has been deprecated from provider version 1.239.0. New field 'security_group_name' instead.",
    ),
    "resource_group_id": optional(computed=True),
    "security_group_name": optional(computed=True, conflicts_with=("name",)),
    "security_group_type": optional(computed=True, force_new=True, check=one_of("normal", "enterprise")),
    "tags": TAGS,
    "vpc_id": optional(force_new=True),
}
_GONE = ("InvalidSecurityGroupId.NotFound",)


def _create(cloud: Cloud, d: Data) -> None:
    names = {
        "Description": "description",
        "VpcId": "vpc_id",
        "ResourceGroupId": "resource_group_id",
        "SecurityGroupType": "security_group_type",
    }
    params = sent(d, names)
    params |= {"SecurityGroupName": d.first("security_group_name", "name"), "Tag": tag_params(d["tags"])}
    params["ClientToken"] = client_token("CreateSecurityGroup")
    d.id = cloud.call("ecs", "CreateSecurityGroup", params, timeout=d.timeout)["SecurityGroupId"]
    _update_policy(cloud, d)


def attributes(cloud: Cloud, group_id: str, **params: Any) -> dict[str, Any] | None:
    """The group with its permissions, None if there is none."""
    return cloud.find("ecs", "DescribeSecurityGroupAttribute", {"SecurityGroupId": group_id, **params}, _GONE)


def _read(cloud: Cloud, d: Data) -> None:
    found = cloud.find("ecs", "DescribeSecurityGroups", {"SecurityGroupId": d.id}, _GONE)
    group = next((g for g in items(found, "SecurityGroups", "SecurityGroup") if g.get("SecurityGroupId") == d.id), None)
    detail = attributes(cloud, d.id) if group else None
    if group is None or detail is None:
        d.id = ""
        return
    d.update(
        create_time=group.get("CreationTime"),
        description=group.get("Description"),
        resource_group_id=group.get("ResourceGroupId"),
        security_group_name=group.get("SecurityGroupName"),
        name=group.get("SecurityGroupName"),
        security_group_type=group.get("SecurityGroupType"),
        vpc_id=group.get("VpcId"),
        tags=read_tags(items(group, "Tags", "Tag")),
        inner_access_policy=detail.get("InnerAccessPolicy"),
        inner_access=str(detail.get("InnerAccessPolicy")).lower() == "accept",
    )


def _update(cloud: Cloud, d: Data) -> None:
    params = changed(d, {"Description": "description"})
    if (name := changed_first(d, "security_group_name", "name")) is not None:
        params["SecurityGroupName"] = name
    if params:
        cloud.call("ecs", "ModifySecurityGroupAttribute", {"SecurityGroupId": d.id, **params}, timeout=d.timeout)
    _update_policy(cloud, d)
    join_resource_group(cloud, d, "securitygroup")
    update_tags(cloud, d, "ecs", "securitygroup")


def _update_policy(cloud: Cloud, d: Data) -> None:
    wanted: str | None = None
    if d.changed("inner_access_policy") and d["inner_access_policy"]:
        wanted = d["inner_access_policy"]
    elif d.changed("inner_access") or (d.new and d["inner_access"] is False):
        wanted = "Accept" if d["inner_access"] else "Drop"
    if wanted and str((attributes(cloud, d.id) or {}).get("InnerAccessPolicy")).lower() != wanted.lower():
        params = {"SecurityGroupId": d.id, "InnerAccessPolicy": wanted, "ClientToken": client_token("ModifySecurityGroupPolicy")}
        cloud.call("ecs", "ModifySecurityGroupPolicy", params, timeout=d.timeout)


def _delete(cloud: Cloud, d: Data) -> None:
    cloud.delete("ecs", "DeleteSecurityGroup", {"SecurityGroupId": d.id}, _GONE, ("DependencyViolation",), d.timeout)


RESOURCE = Resource(FIELDS, _create, _read, _delete, _update, timeouts={"create": 300, "update": 300, "delete": 600})
