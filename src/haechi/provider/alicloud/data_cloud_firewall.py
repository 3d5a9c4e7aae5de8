"""Data sources of Cloud Firewall: alicloud_cloud_firewall_instances, _control_policies and _address_books.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/data-sources/cloud_firewall_control_policies
"""

from __future__ import annotations

from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import finish
from haechi.provider.resource import Data, DataSource
from haechi.provider.schema import computed, objects, one_of, optional, required
from haechi.provider.types import NUMBER, STRING, STRINGS, list_of, object_of

PAGE = 50
_SOLD = {"Subscription": ("vipcloudfw", "vipcloudfw"), "PayAsYouGo": ("cfw", "cfw_elasticity_public_cn")}
_UNITS = {"M": "Month", "Y": "Year"}
_INSTANCE = ("id", "instance_id", "status", "renewal_status", "end_time", "create_time", "renewal_duration_unit", "payment_type")


def _read_instances(cloud: Cloud, d: Data) -> None:
    results = []
    for kind, (product, subtype) in _SOLD.items():
        if d["payment_type"] not in (None, kind):
            continue
        params = {"ProductCode": product, "ProductType": subtype, "SubscriptionType": kind, "PageNum": 1, "PageSize": PAGE}
        for item in items(cloud.call("bssopenapi", "QueryAvailableInstances", params), "Data", "InstanceList"):
            if item.get("Status") == "Normal":
                results.append(
                    {
                        "id": item["InstanceID"],
                        "instance_id": item["InstanceID"],
                        "status": "normal",
                        "renewal_status": item.get("RenewStatus"),
                        "end_time": item.get("EndTime"),
                        "create_time": item.get("CreateTime"),
                        "renewal_duration_unit": _UNITS.get(item.get("RenewalDurationUnit") or ""),
                        "payment_type": item.get("SubscriptionType"),
                    }
                )
    finish(d, "instances", results, [str(result["id"]) for result in results])


INSTANCES = DataSource(
    {
        "payment_type": optional(check=one_of(*_SOLD)),
        "output_file": optional(),
        "ids": computed(STRINGS),
        "instances": objects(**dict.fromkeys(_INSTANCE, STRING)),
    },
    _read_instances,
)


_POLICY = {
    "acl_action": "AclAction",
    "acl_uuid": "AclUuid",
    "application_id": "ApplicationId",
    "application_name": "ApplicationName",
    "description": "Description",
    "dest_port": "DestPort",
    "dest_port_group": "DestPortGroup",
    "dest_port_group_ports": "DestPortGroupPorts",
    "dest_port_type": "DestPortType",
    "destination": "Destination",
    "destination_group_cidrs": "DestinationGroupCidrs",
    "destination_group_type": "DestinationGroupType",
    "destination_type": "DestinationType",
    "direction": "Direction",
    "dns_result": "DnsResult",
    "dns_result_time": "DnsResultTime",
    "hit_times": "HitTimes",
    "order": "Order",
    "proto": "Proto",
    "release": "Release",
    "source": "Source",
    "source_group_cidrs": "SourceGroupCidrs",
    "source_group_type": "SourceGroupType",
    "source_type": "SourceType",
}
_LISTS = ("dest_port_group_ports", "destination_group_cidrs", "source_group_cidrs")
_KINDS = {**dict.fromkeys(_LISTS, STRINGS), "order": NUMBER, "dns_result_time": NUMBER}
_ASKED = {
    "AclAction": "acl_action",
    "AclUuid": "acl_uuid",
    "Description": "description",
    "Destination": "destination",
    "Direction": "direction",
    "IpVersion": "ip_version",
    "Lang": "lang",
    "Proto": "proto",
    "Source": "source",
}


def _read_policies(cloud: Cloud, d: Data) -> None:
    found = cloud.pages(
        "cloudfw", "DescribeControlPolicy", {wire: d[name] for wire, name in _ASKED.items()}, "Policys", counter="CurrentPage"
    )
    results = [{"id": f"{item['AclUuid']}:{item['Direction']}", **_policy(item)} for item in found]
    finish(d, "policies", results, [str(result["id"]) for result in results])


def _policy(item: dict[str, Any]) -> dict[str, Any]:
    return {name: _text(name, item.get(wire)) for name, wire in _POLICY.items()}


def _text(name: str, value: Any) -> Any:
    if value is None:
        return [] if name in _LISTS else None
    return str(value).lower() if name == "release" else str(value) if name in ("hit_times", "application_id") else value


POLICIES = DataSource(
    {
        **{name: optional() for name in (*_ASKED.values(), "source_ip", "output_file")},
        "direction": required(check=one_of("in", "out")),
        "acl_action": optional(check=one_of("accept", "drop", "log")),
        "ids": computed(STRINGS),
        "policies": objects(id=STRING, **{name: _KINDS.get(name, STRING) for name in _POLICY}),
    },
    _read_policies,
)


def _read_books(cloud: Cloud, d: Data) -> None:
    params = {"GroupType": d["group_type"], "ContainPort": d["contain_port"]}
    found = cloud.pages("cloudfw", "DescribeAddressBook", params, "Acls", counter="CurrentPage")
    wanted = set(d["ids"] or ())
    results = [
        {
            "id": item["GroupUuid"],
            "group_uuid": item["GroupUuid"],
            "group_name": item["GroupName"],
            "group_type": item["GroupType"],
            "description": item.get("Description"),
            "tag_relation": item.get("TagRelation"),
            "auto_add_tag_ecs": item.get("AutoAddTagEcs"),
            "address_list": item.get("AddressList") or [],
            "ecs_tags": [{"tag_key": tag["TagKey"], "tag_value": tag["TagValue"]} for tag in item.get("TagList") or ()],
        }
        for item in found
        if not wanted or item["GroupUuid"] in wanted
    ]
    finish(d, "books", results, [str(result["id"]) for result in results])


BOOKS = DataSource(
    {
        "ids": optional(STRINGS, computed=True),
        "output_file": optional(),
        "contain_port": optional(),
        "group_type": optional(check=one_of("domain", "ip", "port", "tag")),
        "books": objects(
            **dict.fromkeys(("id", "group_uuid", "group_name", "group_type", "description", "tag_relation"), STRING),
            auto_add_tag_ecs=NUMBER,
            address_list=STRINGS,
            ecs_tags=list_of(object_of(tag_key=STRING, tag_value=STRING)),
        ),
    },
    _read_books,
)
