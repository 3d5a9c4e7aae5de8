"""alicloud_eip_association. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/eip_association"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haechi.clients.aliyun import client_token
from haechi.provider.alicloud.cloud import Cloud
from haechi.provider.alicloud.eip_address import describe
from haechi.provider.resource import Data, Problem, Resource
from haechi.provider.schema import Fields, one_of, optional, required
from haechi.provider.types import BOOL

FIELDS: Fields = {
    "allocation_id": required(force_new=True),
    "instance_id": required(force_new=True),
    "instance_type": optional(computed=True, force_new=True),
    "mode": optional(computed=True, check=one_of("NAT", "BINDED", "MULTI_BINDED")),
    "private_ip_address": optional(force_new=True),
    "vpc_id": optional(force_new=True),
    "force": optional(BOOL),
}
_BUSY = (
    "IncorrectInstanceStatus",
    "InstanceStatusNotSupport",
    "InvalidBindingStatus",
    "IncorrectEipStatus",
    "TaskConflict",
    "OperationConflict",
    "LastTokenProcessing",
    "IncorrectStatus",
    "SystemBusy",
)


def _kind(instance_id: str) -> str:
    return "SlbInstance" if instance_id.startswith("lb-") else "Nat" if instance_id.startswith("ngw-") else "EcsInstance"


def _create(cloud: Cloud, d: Data) -> None:
    target = {"AllocationId": d["allocation_id"], "InstanceId": d["instance_id"]}
    params = {
        **target,
        "InstanceType": d["instance_type"] or _kind(d["instance_id"]),
        "PrivateIpAddress": d["private_ip_address"] or None,
        "Mode": d["mode"] or None,
        "VpcId": d["vpc_id"] or None,
        "ClientToken": client_token("AssociateEipAddress"),
    }
    cloud.call("vpc", "AssociateEipAddress", params, _BUSY, d.timeout)
    d.id = f"{d['allocation_id']}:{d['instance_id']}"
    cloud.wait(f"{d.id} to be bound", lambda: _bound(cloud, d.id), lambda e: e is not None and e.get("Status") == "InUse", d.timeout)


def _split(association_id: str) -> tuple[str, str]:
    allocation_id, colon, instance_id = association_id.partition(":")
    if not colon:
        raise Problem(f"{association_id} is not the id of an association", "It is <allocation id>:<instance id>.")
    return allocation_id, instance_id


def _bound(cloud: Cloud, association_id: str) -> Mapping[str, Any] | None:
    allocation_id, instance_id = _split(association_id)
    eip = describe(cloud, allocation_id)
    return eip if eip and eip.get("InstanceId") == instance_id else None


def _read(cloud: Cloud, d: Data) -> None:
    eip = _bound(cloud, d.id)
    if eip is None:
        d.id = ""
        return
    d.update(
        allocation_id=eip.get("AllocationId"),
        instance_id=eip.get("InstanceId"),
        instance_type=eip.get("InstanceType"),
        mode=eip.get("Mode"),
        private_ip_address=eip.get("PrivateIpAddress"),
        vpc_id=eip.get("VpcId"),
    )


def _update(cloud: Cloud, d: Data) -> None:
    if d.changed("mode"):
        cloud.call("vpc", "ModifyEipForwardMode", {"InstanceId": d["allocation_id"], "Mode": d["mode"]}, _BUSY, d.timeout)


def _delete(cloud: Cloud, d: Data) -> None:
    allocation_id, instance_id = _split(d.id)
    params = {"AllocationId": allocation_id, "InstanceId": instance_id, "InstanceType": d["instance_type"] or _kind(instance_id)}
    params |= {"Force": d["force"] or None, "ClientToken": client_token("UnassociateEipAddress")}
    gone = ("InvalidAllocationId.NotFound", "InvalidInstanceId.NotFound", "InvalidAssociation.NotFound")
    cloud.delete("vpc", "UnassociateEipAddress", params, gone, _BUSY, d.timeout)
    cloud.wait(f"{d.id} to be unbound", lambda: describe(cloud, allocation_id) or {}, lambda e: not e.get("InstanceId"), d.timeout)


RESOURCE = Resource(FIELDS, _create, _read, _delete, _update, timeouts={"create": 300, "update": 300, "delete": 300})
