"""The signed API of a target, for the control side."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from haechi.clients.aliyun import Aliyun, ApiError, vendor_credentials
from haechi.settings import Target

ECS, VPC, SLB, STS = "2014-05-26", "2016-04-28", "2014-05-15", "2015-04-01"
DDOSCOO, WAF, CLOUDFW, ALIDNS = "2020-01-01", "2021-10-01", "2017-12-07", "2015-01-09"
GONE_SECONDS = 60.0
PRODUCTS = ("ecs", "vpc", "slb", "ram", "sts", "location", "bssopenapi", "ddoscoo", "alidns", "cloudfw", "waf_openapi")


def connect(target: Target) -> Aliyun:
    """A client: of the local door with the root key, or of the real cloud with the vendor's credential chain."""
    if not target.local:
        return Aliyun(target.region, credentials=vendor_credentials())
    door = f"127.0.0.1:{target.port}"
    endpoints = {product: door for product in PRODUCTS}
    return Aliyun(target.region, target.access_key_id, target.access_key_secret, endpoints=endpoints, protocol="http", use_proxy=False)


def every(client: Aliyun, product: str, version: str, action: str, path: str, **params: Any) -> Iterator[dict[str, Any]]:
    """All items of a paged Describe action; `path` is where they are in the answer, such as Instances.Instance."""
    outer, inner = path.split(".")
    number = 1
    while True:
        answer = client.call(product, version, action, {**params, "PageNumber": number, "PageSize": 50})
        items = answer[outer][inner]
        yield from items
        if len(items) < 50:
            return
        number += 1


def wait_gone(client: Aliyun, instances: Sequence[str], region: str = "") -> None:
    """Return once none of these instances exists any more, in the client's region unless told. Raises ApiError after a minute."""
    asked = {"InstanceIds": json.dumps(list(instances)), **({"RegionId": region} if region else {})}
    deadline = time.monotonic() + GONE_SECONDS
    while client.call("ecs", ECS, "DescribeInstances", asked)["TotalCount"]:
        if time.monotonic() > deadline:
            raise ApiError("Timeout", f"instances {instances} are still there", 0, "", "DeleteInstance")
        time.sleep(0.3)
