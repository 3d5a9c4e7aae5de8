"""Data sources alicloud_wafv3_instances, alicloud_wafv3_domains and alicloud_ddoscoo_instances.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/data-sources/wafv3_domains
"""

from __future__ import annotations

from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import IDS, finish, matching
from haechi.provider.resource import Data, DataSource
from haechi.provider.schema import computed, is_regex, objects, optional, required
from haechi.provider.types import BOOL, NUMBER, STRING, STRINGS, list_of, object_of


def _read_waf_instances(cloud: Cloud, d: Data) -> None:
    found = cloud.find("waf-openapi", "DescribeInstance", {}) or {}
    id = found.get("InstanceId")
    results = [{"id": id, "instance_id": id, "status": str(found["Status"]), "create_time": str(found.get("StartTime"))}] if id else []
    finish(d, "instances", results, [str(id)] if id else [])


WAF_INSTANCES = DataSource(
    {
        "ids": computed(STRINGS),
        "output_file": optional(),
        "instances": objects(id=STRING, instance_id=STRING, status=STRING, create_time=STRING),
    },
    _read_waf_instances,
)

_LISTEN = {
    "cert_id": ("CertId", STRING),
    "cipher_suite": ("CipherSuite", STRING),
    "custom_ciphers": ("CustomCiphers", STRINGS),
    "enable_tlsv3": ("EnableTLSv3", BOOL),
    "exclusive_ip": ("ExclusiveIp", BOOL),
    "focus_https": ("FocusHttps", BOOL),
    "http2_enabled": ("Http2Enabled", BOOL),
    "http_ports": ("HttpPorts", STRINGS),
    "https_ports": ("HttpsPorts", STRINGS),
    "ipv6_enabled": ("IPv6Enabled", BOOL),
    "protection_resource": ("ProtectionResource", STRING),
    "tls_version": ("TLSVersion", STRING),
    "xff_header_mode": ("XffHeaderMode", STRING),
    "xff_headers": ("XffHeaders", STRINGS),
}
_REDIRECT = {
    "connect_timeout": ("ConnectTimeout", NUMBER),
    "focus_http_backend": ("FocusHttpBackend", BOOL),
    "keepalive": ("Keepalive", BOOL),
    "keepalive_requests": ("KeepaliveRequests", NUMBER),
    "keepalive_timeout": ("KeepaliveTimeout", NUMBER),
    "loadbalance": ("Loadbalance", STRING),
    "read_timeout": ("ReadTimeout", NUMBER),
    "retry": ("Retry", BOOL),
    "sni_enabled": ("SniEnabled", BOOL),
    "sni_host": ("SniHost", STRING),
    "write_timeout": ("WriteTimeout", NUMBER),
}
_HEADERS = list_of(object_of(key=STRING, value=STRING))


def _read_waf_domains(cloud: Cloud, d: Data) -> None:
    params = {"InstanceId": d["instance_id"], "Domain": d["domain"], "Backend": d["backend"]}
    listed = [
        {**item, "id": f"{d['instance_id']}:{item['Domain']}"} for item in cloud.pages("waf-openapi", "DescribeDomains", params, "Domains")
    ]
    results = [_waf_domain(cloud, d["instance_id"], dict(item), bool(d["enable_details"])) for item in matching(d, listed, "id", "Domain")]
    finish(d, "domains", results, [result["id"] for result in results])


def _waf_domain(cloud: Cloud, instance: str, item: dict[str, Any], detailed: bool) -> dict[str, Any]:
    shown = {"id": item["id"], "domain": item["Domain"], "cname": item.get("Cname"), "status": str(item.get("Status"))}
    shown["resource_manager_resource_group_id"] = item.get("ResourceManagerResourceGroupId")
    if not detailed:
        return {**shown, "listen": [], "redirect": []}
    found = cloud.call("waf-openapi", "DescribeDomainDetail", {"InstanceId": instance, "Domain": item["Domain"]})
    redirect = {name: found["Redirect"].get(wire) for name, (wire, _) in _REDIRECT.items()}
    redirect["backends"] = found["Redirect"].get("BackendList") or []
    redirect["request_headers"] = [{"key": p["Key"], "value": p["Value"]} for p in found["Redirect"].get("RequestHeaders") or ()]
    return {**shown, "listen": [{name: found["Listen"].get(wire) for name, (wire, _) in _LISTEN.items()}], "redirect": [redirect]}


WAF_DOMAINS = DataSource(
    {
        **IDS,
        "instance_id": required(),
        "domain": optional(),
        "backend": optional(),
        "enable_details": optional(BOOL),
        "name_regex": optional(check=is_regex),
        "domains": objects(
            **dict.fromkeys(("id", "domain", "cname", "status", "resource_manager_resource_group_id"), STRING),
            listen=list_of(object_of(**{name: kind for name, (_, kind) in _LISTEN.items()})),
            redirect=list_of(
                object_of(**{name: kind for name, (_, kind) in _REDIRECT.items()}, backends=STRINGS, request_headers=_HEADERS),
            ),
        ),
    },
    _read_waf_domains,
)

_DDOS = {
    "id": "InstanceId",
    "name": "Remark",
    "remark": "Remark",
    "ip_mode": "IpMode",
    "ip_version": "IpVersion",
    "debt_status": "DebtStatus",
    "edition": "Edition",
    "status": "Status",
    "enabled": "Enabled",
    "expire_time": "ExpireTime",
    "create_time": "CreateTime",
}
_SPECS = {
    "base_bandwidth": "BaseBandwidth",
    "bandwidth": "ElasticBandwidth",
    "service_bandwidth": "BandwidthMbps",
    "port_count": "PortLimit",
    "domain_count": "DomainLimit",
}
_TEXTS = ("id", "name", "remark", "ip_mode", "ip_version")


def _read_ddos_instances(cloud: Cloud, d: Data) -> None:
    listed = list(cloud.pages("ddoscoo", "DescribeInstances", {"InstanceIds": d["ids"] or None}, "Instances", size=10))
    found = matching(d, listed, "InstanceId", "Remark")
    ids = [str(item["InstanceId"]) for item in found]
    specs = items(cloud.call("ddoscoo", "DescribeInstanceSpecs", {"InstanceIds": ids}), "InstanceSpecs") if ids else []
    by_id = {spec["InstanceId"]: spec for spec in specs}
    results = [
        {
            **{name: item.get(wire) for name, wire in _DDOS.items()},
            **{name: by_id.get(item["InstanceId"], {}).get(wire) for name, wire in _SPECS.items()},
        }
        for item in found
    ]
    finish(d, "instances", results, ids, [str(result["name"]) for result in results])


DDOS_INSTANCES = DataSource(
    {
        **IDS,
        "name_regex": optional(check=is_regex),
        "names": computed(STRINGS),
        "instances": objects(**{name: STRING if name in _TEXTS else NUMBER for name in (*_DDOS, *_SPECS)}),
    },
    _read_ddos_instances,
)
