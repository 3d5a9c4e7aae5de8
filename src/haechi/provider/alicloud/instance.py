"""alicloud_instance: its arguments are in instance_schema, its operations in instance_create, _read and _update."""

from __future__ import annotations

import json
import time
from typing import Any

from haechi.provider.alicloud import instance_create, instance_read, instance_update
from haechi.provider.alicloud.cloud import Cloud
from haechi.provider.alicloud.instance_schema import FIELDS
from haechi.provider.resource import Data, Problem, Resource

_BUSY_DELETE = ("IncorrectInstanceStatus", "DependencyViolation.RouteEntry", "LastTokenProcessing")
_ON_THE_WAY = ("Pending", "Starting", "Stopped", "Running")


def _create(cloud: Cloud, d: Data) -> None:
    d.id = instance_create.run(cloud, d)
    cloud.wait(
        f"{d.id} to be Running",
        lambda: instance_read.describe(cloud, d.id),
        lambda i: (i or {}).get("Status") == "Running",
        d.timeout,
        _Failed(),
    )
    instance_update.finish_create(cloud, d)


class _Failed:
    """Why a new instance will not run any more: a state off the way, or stopped for half a minute (it could not boot)."""

    def __init__(self) -> None:
        self._stopped_since: float | None = None

    def __call__(self, instance: dict[str, Any] | None) -> str | None:
        status = (instance or {}).get("Status")
        if status != "Stopped":
            self._stopped_since = None
            return None if status is None or status in _ON_THE_WAY else f"unexpected state '{status}', wanted target 'Running'"
        self._stopped_since = self._stopped_since or time.monotonic()
        return "it is Stopped and stays so" if time.monotonic() - self._stopped_since > 30 else None


def _delete(cloud: Cloud, d: Data) -> None:
    if d["instance_charge_type"] == "PrePaid":
        if not d["force_delete"]:
            raise Problem(
                f"The instance {d.id} is PrePaid and force_delete is false", "Set force_delete to true to delete it before its term ends."
            )
        params = {
            "InstanceIds": json.dumps([d.id]),
            "InstanceChargeType": "PostPaid",
            "IncludeDataDisks": d["include_data_disks"],
            "AutoPay": True,
        }
        cloud.call("ecs", "ModifyInstanceChargeType", params, _BUSY_DELETE, d.timeout)
    gone = ("InvalidInstanceId.NotFound", "Forbidden.InstanceNotFound")
    cloud.delete("ecs", "DeleteInstance", {"InstanceId": d.id, "Force": True}, gone, _BUSY_DELETE, d.timeout)
    cloud.wait(f"{d.id} to be released", lambda: instance_read.describe(cloud, d.id), lambda i: i is None, d.timeout)


RESOURCE = Resource(
    FIELDS, _create, instance_read.read, _delete, instance_update.update, timeouts={"create": 600, "update": 600, "delete": 1200}
)
