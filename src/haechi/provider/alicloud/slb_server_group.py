"""alicloud_slb_server_group. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/slb_server_group"""

from __future__ import annotations

from typing import Any

from haechi.clients.aliyun import ApiError
from haechi.provider.alicloud.cloud import Cloud, is_missing, items
from haechi.provider.alicloud.common import TAGS, read_tags, tag_params, update_tags
from haechi.provider.alicloud.slb_backend_server import check_unprotected
from haechi.provider.alicloud.slb_backends import BUSY, difference, send
from haechi.provider.resource import Data, Resource
from haechi.provider.schema import Fields, between, block, one_of, optional, required
from haechi.provider.types import BOOL, NUMBER, STRINGS

FIELDS: Fields = {
    "load_balancer_id": required(force_new=True),
    "name": optional(default="tf-server-group"),
    "servers": block(
        "set",
        max_items=300,
        fields={
            "server_ids": required(STRINGS),
            "port": required(NUMBER, check=between(1, 65535)),
            "weight": optional(NUMBER, default=100, check=between(0, 100)),
            "type": optional(default="ecs", check=one_of("eni", "ecs")),
        },
    ),
    "delete_protection_validation": optional(BOOL, default=False),
    "tags": TAGS,
}


def _single(blocks: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """One entry for each server of each `servers` block."""
    return [
        {"server_id": i, "port": b["port"], "weight": b["weight"], "type": b["type"] or "ecs"}
        for b in blocks or []
        for i in b["server_ids"]
    ]


def _create(cloud: Cloud, d: Data) -> None:
    params = {"LoadBalancerId": d["load_balancer_id"], "VServerGroupName": d["name"], "Tag": tag_params(d["tags"])}
    with cloud.lock(d["load_balancer_id"]):
        d.id = cloud.call("slb", "CreateVServerGroup", params, BUSY, d.timeout)["VServerGroupId"]
    send(cloud, "AddVServerGroupBackendServers", {"VServerGroupId": d.id}, _single(d["servers"]), d.timeout)


def describe(cloud: Cloud, group_id: str) -> dict[str, Any] | None:
    """The server group, None if there is none."""
    try:
        found = cloud.call("slb", "DescribeVServerGroupAttribute", {"VServerGroupId": group_id})
    except ApiError as error:
        if is_missing(error, "InvalidParameter") or "The specified VServerGroupId does not exist" in error.message:
            return None
        raise
    return found if found.get("VServerGroupId") else None


def _read(cloud: Cloud, d: Data) -> None:
    group = describe(cloud, d.id)
    if group is None:
        d.id = ""
        return
    d.update(load_balancer_id=group.get("LoadBalancerId"), name=group.get("VServerGroupName"))
    found = [
        {"server_id": s.get("ServerId"), "port": s.get("Port"), "weight": s.get("Weight"), "type": s.get("Type") or "ecs"}
        for s in items(group, "BackendServers", "BackendServer")
    ]
    d["servers"] = _grouped(found, d["servers"] or [])
    tags = cloud.call("slb", "ListTagResources", {"ResourceType": "vservergroup", "ResourceId": [d.id]})
    d["tags"] = read_tags(items(tags, "TagResources", "TagResource"))


def _grouped(found: list[dict[str, Any]], known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Servers of equal port, weight and type as one block; ids in the order in which the configuration has them."""
    order = [i for b in known for i in b["server_ids"] or []]
    groups: dict[tuple[Any, ...], list[str]] = {}
    for server in found:
        groups.setdefault((server["port"], server["weight"], server["type"]), []).append(server["server_id"])
    blocks = [{"port": p, "weight": w, "type": t, "server_ids": ids} for (p, w, t), ids in groups.items()]
    for b in blocks:
        b["server_ids"].sort(key=lambda i: order.index(i) if i in order else len(order))
    # Blocks the configuration keeps apart (same port, weight and type) stay apart.
    return known if sorted(map(str, _single(known))) == sorted(map(str, _single(blocks))) else blocks


def _update(cloud: Cloud, d: Data) -> None:
    target = {"VServerGroupId": d.id}
    removed, added, weighted = difference(_single(d.old("servers")), _single(d["servers"]), "server_id", "port")
    send(cloud, "RemoveVServerGroupBackendServers", target, removed, d.timeout)
    send(cloud, "AddVServerGroupBackendServers", target, added, d.timeout)
    send(cloud, "SetVServerGroupAttribute", target, weighted, d.timeout)
    if d.changed("name"):
        cloud.call("slb", "SetVServerGroupAttribute", {**target, "VServerGroupName": d["name"]}, BUSY, d.timeout)
    update_tags(cloud, d, "slb", "vservergroup")


def _delete(cloud: Cloud, d: Data) -> None:
    check_unprotected(cloud, d, d["load_balancer_id"], "VServerGroup")
    try:
        cloud.delete("slb", "DeleteVServerGroup", {"VServerGroupId": d.id}, ("InvalidParameter",), BUSY, d.timeout)
    except ApiError as error:
        if "The specified VServerGroupId does not exist" not in error.message:
            raise
    cloud.wait(f"{d.id} to be deleted", lambda: describe(cloud, d.id), lambda g: g is None, d.timeout)


RESOURCE = Resource(FIELDS, _create, _read, _delete, _update)
