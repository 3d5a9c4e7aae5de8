"""The arguments of alicloud_slb_listener; many mean something for some protocols only.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/slb_listener
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from haechi.provider.schema import Fields, Same, between, block, length, one_of, optional, required
from haechi.provider.types import BOOL, NUMBER, STRING_SET

View = Mapping[str, Any]
_SWITCH = one_of("on", "off")


def _web(view: View) -> bool:
    return view["protocol"] == "https" or bool(view["protocol"] == "http" and view["listener_forward"] != "on")


def _tcp_udp(view: View) -> bool:
    return view["protocol"] in ("tcp", "udp")


def _checked(view: View) -> bool:
    return _tcp_udp(view) or bool(_web(view) and view["health_check"] == "on")


def _checked_by_http(view: View) -> bool:
    return bool((_web(view) and view["health_check"] == "on") or (view["protocol"] == "tcp" and view["health_check_type"] == "http"))


def _sticky(view: View) -> bool:
    return bool(_web(view) and view["sticky_session"] == "on")


def _only(*conditions: Callable[[View], bool]) -> Same:
    """No change is planned unless one of the conditions makes the argument meaningful."""
    return lambda old, new, view: not any(c(view) for c in conditions)


def _is(name: str, *values: str) -> Callable[[View], bool]:
    return lambda view: view[name] in values


def _codes(value: str) -> str | None:
    return (
        None
        if set(value.split(",")) <= {"http_2xx", "http_3xx", "http_4xx", "http_5xx"}
        else "expected some of http_2xx,http_3xx,http_4xx,http_5xx"
    )


def _or_minus(low: int, high: int, other: int) -> Callable[[Any], str | None]:
    return lambda value: None if value == other else between(low, high)(value)


def _renamed(old: str, new: str) -> str:
    return f"Field '{old}' has been deprecated, and using '{new}' to replace."


FIELDS: Fields = {
    "load_balancer_id": required(force_new=True),
    "frontend_port": required(NUMBER, force_new=True, check=between(1, 65535)),
    "backend_port": optional(NUMBER, force_new=True, check=between(1, 65535)),
    "protocol": required(force_new=True, check=one_of("http", "https", "tcp", "udp")),
    "lb_port": optional(NUMBER, deprecated=_renamed("lb_port", "frontend_port")),
    "instance_port": optional(NUMBER, deprecated=_renamed("instance_port", "backend_port")),
    "lb_protocol": optional(deprecated=_renamed("lb_protocol", "protocol")),
    "bandwidth": optional(NUMBER, computed=True, check=_or_minus(1, 1000, -1)),
    "description": optional(),
    "scheduler": optional(default="wrr", check=one_of("wrr", "wlc", "rr", "sch", "tch", "qch")),
    "server_group_id": optional(),
    "master_slave_server_group_id": optional(),
    "proxy_protocol_v2_enabled": optional(BOOL, computed=True),
    "acl_status": optional(default="off", check=_SWITCH),
    "acl_type": optional(check=one_of("black", "white"), same=_only(_is("acl_status", "on"))),
    "acl_id": optional(
        same=_only(_is("acl_status", "on")),
        conflicts_with=("acl_ids",),
        deprecated="Field 'acl_id' has been deprecated from provider version 1.226.0. New field 'acl_ids' instead.",
    ),
    "acl_ids": optional(STRING_SET, computed=True, same=_only(_is("acl_status", "on"))),
    # http and https
    "sticky_session": optional(default="off", check=_SWITCH, same=_only(_web)),
    "sticky_session_type": optional(check=one_of("insert", "server"), same=_only(_sticky)),
    "cookie_timeout": optional(NUMBER, check=between(1, 86400), same=_only(lambda v: _sticky(v) and v["sticky_session_type"] == "insert")),
    "cookie": optional(check=length(1, 200), same=_only(lambda v: _sticky(v) and v["sticky_session_type"] == "server")),
    "gzip": optional(BOOL, default=True, same=_only(_web)),
    "idle_timeout": optional(NUMBER, default=15, check=between(1, 60), same=_only(_web)),
    "request_timeout": optional(NUMBER, default=60, check=between(1, 180), same=_only(_web)),
    "x_forwarded_for": block(
        "list",
        computed=True,
        max_items=1,
        fields={
            "retrive_client_ip": optional(BOOL, computed=True),
            "retrive_slb_ip": optional(BOOL, default=False),
            "retrive_slb_id": optional(BOOL, default=False),
            "retrive_slb_proto": optional(BOOL, default=False),
        },
    ),
    "listener_forward": optional(computed=True, force_new=True, check=_SWITCH, same=_only(_is("protocol", "http"))),
    "forward_port": optional(
        NUMBER, force_new=True, check=between(1, 65535), same=_only(lambda v: v["protocol"] == "http" and v["listener_forward"] == "on")
    ),
    # https
    "server_certificate_id": optional(computed=True, same=_only(_is("protocol", "https"))),
    "ssl_certificate_id": optional(
        computed=True,
        same=_only(_is("protocol", "https")),
        deprecated="Field 'ssl_certificate_id' has been deprecated from 1.59.0 and using 'server_certificate_id' instead.",
    ),
    "ca_certificate_id": optional(same=_only(_is("protocol", "https"))),
    "enable_http2": optional(default="on", check=_SWITCH, same=_only(_is("protocol", "https"))),
    "tls_cipher_policy": optional(
        default="tls_cipher_policy_1_0",
        check=one_of("tls_cipher_policy_1_0", "tls_cipher_policy_1_1", "tls_cipher_policy_1_2", "tls_cipher_policy_1_2_strict"),
        same=_only(_is("protocol", "https")),
    ),
    # tcp and udp
    "persistence_timeout": optional(NUMBER, default=0, check=between(0, 3600), same=_only(_tcp_udp)),
    "established_timeout": optional(NUMBER, default=900, check=between(10, 900), same=_only(_is("protocol", "tcp"))),
    # health checks
    "health_check": optional(default="on", check=_SWITCH, same=_only(_web, _tcp_udp)),
    "health_check_method": optional(computed=True, check=one_of("head", "get")),
    "health_check_type": optional(default="tcp", check=one_of("tcp", "http"), same=_only(_is("protocol", "tcp"))),
    "health_check_domain": optional(same=_only(_checked_by_http)),
    "health_check_uri": optional(default="/", check=length(1, 80), same=_only(_checked_by_http)),
    "health_check_connect_port": optional(NUMBER, computed=True, check=_or_minus(1, 65535, -520), same=_only(_checked)),
    "healthy_threshold": optional(NUMBER, default=3, check=between(1, 10), same=_only(_checked)),
    "unhealthy_threshold": optional(NUMBER, default=3, check=between(1, 10), same=_only(_checked)),
    "health_check_timeout": optional(NUMBER, default=5, check=between(1, 300), same=_only(_checked)),
    "health_check_interval": optional(NUMBER, default=2, check=between(1, 50), same=_only(_checked)),
    "health_check_http_code": optional(computed=True, check=_codes, same=_only(_checked_by_http)),
    "delete_protection_validation": optional(BOOL, default=False),
}
