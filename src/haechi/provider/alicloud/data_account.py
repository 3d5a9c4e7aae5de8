"""alicloud_regions, alicloud_account and alicloud_caller_identity."""

from __future__ import annotations

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import finish
from haechi.provider.resource import Data, DataSource, Problem
from haechi.provider.schema import computed, objects, optional
from haechi.provider.types import BOOL, STRING, STRINGS


def _read_regions(cloud: Cloud, d: Data) -> None:
    found = items(cloud.call("ecs", "DescribeRegions"), "Regions", "Region")
    wanted = cloud.region if d["current"] else d["name"]
    kept = [r for r in found if not wanted or r["RegionId"] == wanted]
    if d["current"] and d["name"] and d["name"] != cloud.region:
        raise Problem(f"name {d['name']} is not the current region {cloud.region}", "", ("name",))
    if not kept:
        raise Problem("No matching Alibaba Cloud region found.", "", ("name",))
    results = [{"id": r["RegionId"], "region_id": r["RegionId"], "local_name": r.get("LocalName")} for r in kept]
    finish(d, "regions", results, [r["RegionId"] for r in kept])


REGIONS = DataSource(
    {
        "name": optional(),
        "current": optional(BOOL),
        "output_file": optional(),
        "ids": computed(STRINGS),
        "regions": objects(id=STRING, region_id=STRING, local_name=STRING),
    },
    _read_regions,
)


def _read_account(cloud: Cloud, d: Data) -> None:
    d.id = cloud.account_id or cloud.call("sts", "GetCallerIdentity")["AccountId"]


ACCOUNT = DataSource({"output_file": optional()}, _read_account)


def _read_identity(cloud: Cloud, d: Data) -> None:
    found = cloud.call("sts", "GetCallerIdentity")
    d.id = found["AccountId"]
    d.update(
        account_id=found["AccountId"], arn=found.get("Arn"), identity_type=found.get("IdentityType"), principal_id=found.get("PrincipalId")
    )


CALLER_IDENTITY = DataSource(
    {"account_id": computed(), "arn": computed(), "identity_type": computed(), "principal_id": computed(), "output_file": optional()},
    _read_identity,
)
