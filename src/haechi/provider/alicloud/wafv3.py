"""alicloud_wafv3_instance and alicloud_wafv3_domain.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/wafv3_domain
"""

from __future__ import annotations

import json
from typing import Any

from haechi.provider.alicloud.cloud import Cloud
from haechi.provider.resource import Data, Resource
from haechi.provider.schema import Fields, block, computed, one_of, optional, required
from haechi.provider.types import BOOL, NUMBER, STRING, STRINGS, set_of

API = "waf-openapi"
_GONE = ("Waf.Instance.ValidFaild", "Waf.Pullin.DomainNotExist")
INSTANCE_FIELDS: Fields = {"create_time": computed(), "instance_id": computed(), "status": computed()}


def _create_instance(cloud: Cloud, d: Data) -> None:
    d.id = cloud.call(API, "CreatePostpaidInstance", {}, timeout=d.timeout)["InstanceId"]


def _read_instance(cloud: Cloud, d: Data) -> None:
    found = cloud.call(API, "DescribeInstance", {})
    if found.get("InstanceId") != d.id:
        d.id = ""
    else:
        d.update(instance_id=d.id, create_time=str(found.get("StartTime")), status=str(found.get("Status")))


def _keep(cloud: Cloud, d: Data) -> None:
    """Nothing of an instance can be changed."""


def _delete_instance(cloud: Cloud, d: Data) -> None:
    cloud.delete(API, "ReleaseInstance", {"InstanceId": d.id}, _GONE, timeout=d.timeout)


INSTANCE = Resource(INSTANCE_FIELDS, _create_instance, _read_instance, _delete_instance, _keep)

_LISTEN = {
    "http_ports": "HttpPorts",
    "https_ports": "HttpsPorts",
    "cert_id": "CertId",
    "focus_https": "FocusHttps",
    "http2_enabled": "Http2Enabled",
    "tls_version": "TLSVersion",
    "enable_tlsv3": "EnableTLSv3",
    "cipher_suite": "CipherSuite",
    "protection_resource": "ProtectionResource",
    "xff_header_mode": "XffHeaderMode",
    "xff_headers": "XffHeaders",
}
_REDIRECT = {
    "loadbalance": "Loadbalance",
    "focus_http_backend": "FocusHttpBackend",
    "sni_enabled": "SniEnabled",
    "sni_host": "SniHost",
    "retry": "Retry",
    "keepalive": "Keepalive",
    "keepalive_requests": "KeepaliveRequests",
    "keepalive_timeout": "KeepaliveTimeout",
    "connect_timeout": "ConnectTimeout",
    "read_timeout": "ReadTimeout",
    "write_timeout": "WriteTimeout",
    "xff_proto": "XffProto",
}
_BOOLS = ("focus_https", "http2_enabled", "enable_tlsv3", "focus_http_backend", "sni_enabled", "retry", "keepalive", "xff_proto")
_NUMBERS = (
    *("cipher_suite", "xff_header_mode", "keepalive_requests", "keepalive_timeout"),
    *("connect_timeout", "read_timeout", "write_timeout"),
)
_LISTS = {"http_ports": set_of(NUMBER), "https_ports": set_of(NUMBER), "xff_headers": STRINGS}


def _fields(names: dict[str, str]) -> Fields:
    return {
        name: optional(_LISTS[name]) if name in _LISTS else optional(BOOL if name in _BOOLS else NUMBER if name in _NUMBERS else STRING)
        for name in names
    }


DOMAIN_FIELDS: Fields = {
    "instance_id": required(force_new=True),
    "domain": required(force_new=True),
    "access_type": optional(check=one_of("share")),
    "listen": block(min_items=1, max_items=1, fields=_fields(_LISTEN)),
    "redirect": block(
        min_items=1,
        max_items=1,
        fields={
            **_fields(_REDIRECT),
            "backends": optional(STRINGS),
            "request_headers": block("set", fields={"key": required(), "value": required()}),
        },
    ),
    "cname": computed(),
    "domain_id": computed(),
    "status": computed(),
}


def _domain(d: Data) -> dict[str, Any]:
    listen, redirect = d["listen"][0], d["redirect"][0]

    def given(block: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
        values = {wire: block[name] for name, wire in names.items() if block.get(name) is not None}
        return {wire: sorted(value) if isinstance(value, (set, frozenset)) else value for wire, value in values.items()}

    to = given(redirect, _REDIRECT) | {"Backends": list(redirect["backends"] or ())}
    to["RequestHeaders"] = [{"Key": pair["key"], "Value": pair["value"]} for pair in redirect.get("request_headers") or ()]
    params = {"InstanceId": d["instance_id"], "Domain": d["domain"], "AccessType": d["access_type"] or "share"}
    return {**params, "Listen": json.dumps(given(listen, _LISTEN)), "Redirect": json.dumps(to)}


def _place(d: Data) -> dict[str, str]:
    instance, _, domain = d.id.partition(":")
    return {"InstanceId": instance, "Domain": domain}


def _create_domain(cloud: Cloud, d: Data) -> None:
    made = cloud.call(API, "CreateDomain", _domain(d), timeout=d.timeout)["DomainInfo"]
    d.id = f"{d['instance_id']}:{made['Domain']}"


def _read_domain(cloud: Cloud, d: Data) -> None:
    found = cloud.find(API, "DescribeDomainDetail", _place(d), _GONE)
    if found is None:
        d.id = ""
        return
    d.update(**{"instance_id": _place(d)["InstanceId"], "domain": found["Domain"], "cname": found["Cname"]})
    d.update(domain_id=found["DomainId"], status=str(found["Status"]))
    before = {name: (d[name] or [{}])[0] for name in ("listen", "redirect")}
    listen = _as_configured(before["listen"], found["Listen"], _LISTEN)
    redirect = _as_configured(before["redirect"], found["Redirect"], _REDIRECT) | {"backends": found["Redirect"]["BackendList"]}
    redirect["request_headers"] = [{"key": p["Key"], "value": p["Value"]} for p in found["Redirect"]["RequestHeaders"]]
    d.update(listen=[listen], redirect=[redirect])


def _as_configured(before: dict[str, Any], found: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """What is there, of the arguments that are written; after an import, of those that say something."""
    return {
        name: found.get(wire)
        if before.get(name) is not None or (not before and name in ("http_ports", "https_ports", "loadbalance") and found.get(wire))
        else None
        for name, wire in names.items()
    }


def _update_domain(cloud: Cloud, d: Data) -> None:
    cloud.call(API, "ModifyDomain", _domain(d), timeout=d.timeout)


def _delete_domain(cloud: Cloud, d: Data) -> None:
    cloud.delete(API, "DeleteDomain", _place(d), _GONE, timeout=d.timeout)


DOMAIN = Resource(DOMAIN_FIELDS, _create_domain, _read_domain, _delete_domain, _update_domain)
