"""The provider aliyun/alicloud: the resources and data sources of haechi's blueprints and those near them.

Adding one: a file here and a line in one of the two lists. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from haechi.clients.aliyun import ApiError
from haechi.provider.alicloud import (
    data_account,
    data_images,
    data_instance_types,
    data_zones,
    instance,
    security_group,
    security_group_rule,
    slb_backend_server,
    slb_listener,
    slb_load_balancer,
    slb_server_group,
    vpc,
    vswitch,
)
from haechi.provider.alicloud.cloud import configure
from haechi.provider.alicloud.config import FIELDS
from haechi.provider.resource import Data, DataSource, Operation, Problem, Provider, Resource

RESOURCES: dict[str, Resource] = {
    "alicloud_instance": instance.RESOURCE,
    "alicloud_security_group": security_group.RESOURCE,
    "alicloud_security_group_rule": security_group_rule.RESOURCE,
    "alicloud_slb": slb_load_balancer.RESOURCE,
    "alicloud_slb_attachment": slb_backend_server.ATTACHMENT,
    "alicloud_slb_backend_server": slb_backend_server.RESOURCE,
    "alicloud_slb_listener": slb_listener.RESOURCE,
    "alicloud_slb_load_balancer": slb_load_balancer.RESOURCE,
    "alicloud_slb_server_group": slb_server_group.RESOURCE,
    "alicloud_vpc": vpc.RESOURCE,
    "alicloud_vswitch": vswitch.RESOURCE,
}

DATA_SOURCES: dict[str, DataSource] = {
    "alicloud_account": data_account.ACCOUNT,
    "alicloud_caller_identity": data_account.CALLER_IDENTITY,
    "alicloud_images": data_images.SOURCE,
    "alicloud_instance_types": data_instance_types.SOURCE,
    "alicloud_regions": data_account.REGIONS,
    "alicloud_zones": data_zones.SOURCE,
}


def _reporting(name: str, operation: Operation) -> Operation:
    """The operation with the API's errors told as the original tells them."""

    def run(cloud: Any, d: Data) -> None:
        try:
            operation(cloud, d)
        except ApiError as error:
            subject = d.id or name
            summary = f"[ERROR] terraform-provider-alicloud/{name}: Resource {subject} {error.action} Failed!!!"
            detail = f"[SDK alibaba-cloud-sdk ERROR]: StatusCode: {error.status}  Code: {error.code}  Message: {error.message}"
            raise Problem(summary, f"{detail}  RequestId: {error.request_id}") from error

    return run


def _resource(name: str, r: Resource) -> Resource:
    update = _reporting(name, r.update) if r.update else None
    return replace(r, create=_reporting(name, r.create), read=_reporting(name, r.read), update=update, delete=_reporting(name, r.delete))


PROVIDER = Provider(
    name="alicloud",
    fields=FIELDS,
    configure=configure,
    resources={name: _resource(name, r) for name, r in RESOURCES.items()},
    data_sources={name: replace(s, read=_reporting(name, s.read)) for name, s in DATA_SOURCES.items()},
)
