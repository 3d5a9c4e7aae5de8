"""alicloud_slb_load_balancers (alicloud_slbs).

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/data-sources/slb_load_balancers
"""

from __future__ import annotations

from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import FILTERS, TAGS, finish, matching, read_tags, tag_params
from haechi.provider.resource import Data, DataSource
from haechi.provider.schema import Fields, computed, objects, one_of, optional
from haechi.provider.types import BOOL, NUMBER, STRING, STRING_MAP, STRINGS, list_of, object_of

_BALANCER = {
    "load_balancer_name": "LoadBalancerName",
    "status": "LoadBalancerStatus",
    "address": "Address",
    "address_ip_version": "AddressIPVersion",
    "address_type": "AddressType",
    "create_time_stamp": "CreateTimeStamp",
    "master_zone_id": "MasterZoneId",
    "slave_zone_id": "SlaveZoneId",
    "modification_protection_reason": "ModificationProtectionReason",
    "modification_protection_status": "ModificationProtectionStatus",
    "network_type": "NetworkType",
    "region_id_alias": "RegionIdAlias",
    "resource_group_id": "ResourceGroupId",
    "vswitch_id": "VSwitchId",
    "vpc_id": "VpcId",
    # From before the names were made like the API's.
    "id": "LoadBalancerId",
    "load_balancer_id": "LoadBalancerId",
    "name": "LoadBalancerName",
    "creation_time": "CreateTime",
}
_DETAIL = {
    "auto_release_time": "AutoReleaseTime",
    "bandwidth": "Bandwidth",
    "delete_protection": "DeleteProtection",
    "end_time": "EndTime",
    "end_time_stamp": "EndTimeStamp",
    "internet_charge_type": "InternetChargeType",
    "load_balancer_spec": "LoadBalancerSpec",
    "renewal_cyc_unit": "RenewalCycUnit",
    "renewal_duration": "RenewalDuration",
    "renewal_status": "RenewalStatus",
}
_NUMBERS = ("create_time_stamp", "bandwidth", "end_time_stamp", "renewal_duration", "auto_release_time")
_SHAPE = {name: NUMBER if name in _NUMBERS else STRING for name in (*_BALANCER, *_DETAIL)}
_RESULT = objects(
    **_SHAPE,
    payment_type=STRING,
    internet=BOOL,
    backend_servers=list_of(object_of(server_id=STRING, weight=NUMBER, type=STRING, description=STRING)),
    listener_ports_and_protocols=list_of(
        object_of(listener_port=NUMBER, listener_protocol=STRING, listener_forward=STRING, forward_port=NUMBER, description=STRING)
    ),
    tags=STRING_MAP,
)

FIELDS: Fields = {
    **FILTERS,
    "address": optional(),
    "address_ip_version": optional(check=one_of("ipv4", "ipv6")),
    "address_type": optional(check=one_of("internet", "intranet")),
    "internet_charge_type": optional(check=lambda v: one_of("paybybandwidth", "paybytraffic")(v.lower())),
    "load_balancer_name": optional(),
    "master_zone_id": optional(),
    "master_availability_zone": optional(deprecated="Field 'master_availability_zone' has been deprecated. Use 'master_zone_id' instead."),
    "network_type": optional(check=one_of("classic", "vpc")),
    "payment_type": optional(check=one_of("PayAsYouGo", "Subscription")),
    "resource_group_id": optional(),
    "server_id": optional(),
    "server_intranet_address": optional(),
    "slave_zone_id": optional(),
    "slave_availability_zone": optional(deprecated="Field 'slave_availability_zone' has been deprecated. Use 'slave_zone_id' instead."),
    "status": optional(check=one_of("active", "inactive", "locked")),
    "tags": TAGS,
    "vpc_id": optional(),
    "vswitch_id": optional(),
    "page_number": optional(NUMBER),
    "page_size": optional(NUMBER),
    "names": computed(STRINGS),
    "total_count": computed(NUMBER),
    "balancers": _RESULT,
    "slbs": _RESULT,
}
_SENT = {
    "Address": "address",
    "AddressIPVersion": "address_ip_version",
    "AddressType": "address_type",
    "LoadBalancerName": "load_balancer_name",
    "LoadBalancerStatus": "status",
    "NetworkType": "network_type",
    "ResourceGroupId": "resource_group_id",
    "ServerId": "server_id",
    "ServerIntranetAddress": "server_intranet_address",
    "VSwitchId": "vswitch_id",
    "VpcId": "vpc_id",
}
_PAY = {"PayAsYouGo": "PayOnDemand", "Subscription": "PrePay"}


def _read(cloud: Cloud, d: Data) -> None:
    params: dict[str, Any] = {wire: d[name] or None for wire, name in _SENT.items()}
    params |= {
        "InternetChargeType": (d["internet_charge_type"] or "").lower() or None,
        "MasterZoneId": d.first("master_zone_id", "master_availability_zone"),
        "SlaveZoneId": d.first("slave_zone_id", "slave_availability_zone"),
        "PayType": _PAY.get(d["payment_type"] or ""),
        "Tag": tag_params(d["tags"]),
    }
    found = cloud.pages("slb", "DescribeLoadBalancers", params, "LoadBalancers", "LoadBalancer")
    results = [_result(cloud, dict(b), bool(d["enable_details"])) for b in matching(d, found, "LoadBalancerId", "LoadBalancerName")]
    d["total_count"], d["slbs"] = len(results), results
    finish(d, "balancers", results, [r["id"] for r in results], [str(r["name"]) for r in results])


def _result(cloud: Cloud, balancer: dict[str, Any], detailed: bool) -> dict[str, Any]:
    detail = cloud.call("slb", "DescribeLoadBalancerAttribute", {"LoadBalancerId": balancer["LoadBalancerId"]}) if detailed else {}
    ports = items(detail, "ListenerPortsAndProtocol", "ListenerPortAndProtocol")
    port_names = {
        "listener_port": "ListenerPort",
        "listener_protocol": "ListenerProtocol",
        "listener_forward": "ListenerForward",
        "forward_port": "ForwardPort",
        "description": "Description",
    }
    server_names = {"server_id": "ServerId", "weight": "Weight", "type": "Type", "description": "Description"}
    return {
        **{name: balancer.get(wire) for name, wire in _BALANCER.items()},
        **{name: _plain(detail.get(wire)) for name, wire in _DETAIL.items()},
        "payment_type": "Subscription" if balancer.get("PayType") == "PrePay" else "PayAsYouGo",
        "internet": balancer.get("AddressType") == "internet",
        "backend_servers": [{n: s.get(w) for n, w in server_names.items()} for s in items(detail, "BackendServers", "BackendServer")],
        "listener_ports_and_protocols": [{n: p.get(w) for n, w in port_names.items()} for p in ports],
        "tags": read_tags(items(balancer, "Tags", "Tag")),
    }


def _plain(value: Any) -> Any:
    return None if value == "" else value


SOURCE = DataSource(FIELDS, _read)
