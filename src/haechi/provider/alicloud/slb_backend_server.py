"""alicloud_slb_backend_server and the older alicloud_slb_attachment: the default server group of a load balancer.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/slb_backend_server
"""

from __future__ import annotations

from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.slb_backends import Server, difference, send
from haechi.provider.alicloud.slb_load_balancer import describe
from haechi.provider.resource import Data, Problem, Resource
from haechi.provider.schema import between, block, one_of, optional, required
from haechi.provider.types import BOOL, NUMBER, STRING, STRING_SET


def check_unprotected(cloud: Cloud, d: Data, balancer_id: str, what: str) -> None:
    """With delete_protection_validation, refuse to take apart a protected load balancer."""
    if d["delete_protection_validation"] and (describe(cloud, balancer_id) or {}).get("DeleteProtection") == "on":
        hint = "Please set delete_protection_validation to false to delete the resource."
        raise Problem(f"Current {what}'s SLB Instance {balancer_id} has enabled DeleteProtection.", hint)


def _read_servers(cloud: Cloud, d: Data) -> list[dict[str, Any]] | None:
    balancer = describe(cloud, d.id)
    if balancer is None:
        d.id = ""
        return None
    d["load_balancer_id"] = d.id
    return items(balancer, "BackendServers", "BackendServer")


def _create(cloud: Cloud, d: Data) -> None:
    balancer_id = d["load_balancer_id"]
    if describe(cloud, balancer_id) is None:
        raise Problem(f"The load balancer {balancer_id} does not exist", "", ("load_balancer_id",))
    send(cloud, "AddBackendServers", {"LoadBalancerId": balancer_id}, d["backend_servers"] or [], d.timeout)
    d.id = balancer_id


def _read(cloud: Cloud, d: Data) -> None:
    servers = _read_servers(cloud, d)
    if servers is not None:
        d["backend_servers"] = [
            {"server_id": s.get("ServerId"), "weight": s.get("Weight"), "type": s.get("Type") or "ecs", "server_ip": s.get("ServerIp")}
            for s in servers
        ]


def _update(cloud: Cloud, d: Data) -> None:
    removed, added, weighted = difference(d.old("backend_servers") or [], d["backend_servers"] or [], "server_id")
    target = {"LoadBalancerId": d.id}
    send(cloud, "RemoveBackendServers", target, removed, d.timeout)
    send(cloud, "AddBackendServers", target, added, d.timeout)
    send(cloud, "SetBackendServers", target, weighted, d.timeout)


def _delete(cloud: Cloud, d: Data) -> None:
    check_unprotected(cloud, d, d.id, "backend servers")
    _remove(cloud, d, d["backend_servers"] or [])


def _remove(cloud: Cloud, d: Data, servers: list[Server]) -> None:
    if describe(cloud, d.id) is not None:
        send(cloud, "RemoveBackendServers", {"LoadBalancerId": d.id}, servers, d.timeout)


RESOURCE = Resource(
    fields={
        "load_balancer_id": required(force_new=True),
        "backend_servers": block(
            "set",
            fields={
                "server_id": required(),
                "weight": required(NUMBER, check=between(0, 100)),
                "type": optional(default="ecs", check=one_of("ecs", "eni", "eci")),
                "server_ip": optional(),
            },
        ),
        "delete_protection_validation": optional(BOOL, default=False),
    },
    create=_create,
    read=_read,
    delete=_delete,
    update=_update,
)


def _as_servers(d: Data, ids: list[str] | None) -> list[Server]:
    return [
        {"server_id": i, "weight": 100 if d["weight"] is None else d["weight"], "type": d["server_type"] or "ecs"}
        for i in sorted(ids or [])
    ]


def _attach(cloud: Cloud, d: Data) -> None:
    send(cloud, "AddBackendServers", {"LoadBalancerId": d["load_balancer_id"]}, _as_servers(d, d["instance_ids"]), d.timeout)
    d.id = d["load_balancer_id"]


def _read_attachment(cloud: Cloud, d: Data) -> None:
    servers = _read_servers(cloud, d)
    if servers is None:
        return
    if not servers:
        d.id = ""
        return
    ids = [s["ServerId"] for s in servers]
    d.update(
        instance_ids=ids,
        weight=servers[0].get("Weight"),
        server_type=servers[0].get("Type") or "ecs",
        backend_servers=",".join(sorted(ids)),
    )


def _update_attachment(cloud: Cloud, d: Data) -> None:
    before, wanted = set(d.old("instance_ids") or []), set(d["instance_ids"] or [])
    target = {"LoadBalancerId": d.id}
    send(cloud, "RemoveBackendServers", target, _as_servers(d, list(before - wanted)), d.timeout)
    send(cloud, "AddBackendServers", target, _as_servers(d, list(wanted - before)), d.timeout)
    if d.changed("weight"):
        send(cloud, "SetBackendServers", target, _as_servers(d, list(wanted & before)), d.timeout)


def _detach(cloud: Cloud, d: Data) -> None:
    check_unprotected(cloud, d, d.id, "backend servers")
    _remove(cloud, d, _as_servers(d, d["instance_ids"]))


ATTACHMENT = Resource(
    fields={
        "load_balancer_id": required(force_new=True),
        "instance_ids": required(STRING_SET),
        "weight": optional(NUMBER, default=100, check=between(0, 100)),
        "server_type": optional(default="ecs", check=one_of("ecs", "eni")),
        "slb_id": optional(
            deprecated="Field 'slb_id' has been deprecated from provider version 1.6.0. New field 'load_balancer_id' replaces it."
        ),
        "instances": optional(
            STRING_SET,
            deprecated="Field 'instances' has been deprecated from provider version 1.6.0. New field 'instance_ids' replaces it.",
        ),
        "backend_servers": optional(STRING, computed=True),
        "delete_protection_validation": optional(BOOL, default=False),
    },
    create=_attach,
    read=_read_attachment,
    delete=_detach,
    update=_update_attachment,
)
