"""alicloud_ddoscoo_instance, alicloud_ddoscoo_domain_resource and alicloud_ddoscoo_port.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/ddoscoo_instance
"""

from __future__ import annotations

from typing import Any

from haechi.provider.alicloud.cloud import Cloud
from haechi.provider.resource import Data, Problem, Resource
from haechi.provider.schema import Fields, block, computed, one_of, optional, required
from haechi.provider.types import NUMBER, STRING, STRING_SET, list_of, set_of

NUMBERS = set_of(NUMBER)
_SIZES = {  # argument: what the order calls it, what the specification calls it
    "base_bandwidth": ("BaseBandwidth", "BaseBandwidth"),
    "bandwidth": ("Bandwidth", "ElasticBandwidth"),
    "service_bandwidth": ("ServiceBandwidth", "BandwidthMbps"),
    "port_count": ("PortCount", "PortLimit"),
    "domain_count": ("DomainCount", "DomainLimit"),
}
INSTANCE_FIELDS: Fields = {
    "name": required(),
    **{name: required() for name in ("port_count", "domain_count")},
    **{name: optional(computed=True) for name in ("base_bandwidth", "bandwidth", "service_bandwidth")},
    "period": optional(NUMBER, default=1),
    "product_type": optional(default="ddoscoo", check=one_of("ddoscoo", "ddoscoo_intl", "ddosDip")),
    "edition_sale": optional(computed=True, force_new=True),
    "address_type": optional(computed=True, force_new=True),
    "product_plan": optional(),
    "ip": computed(),
    "create_time": computed(),
    "status": computed(),
}


def _create_instance(cloud: Cloud, d: Data) -> None:
    bought = [{"Code": code, "Value": d[name]} for name, (code, _) in _SIZES.items() if d[name]]
    params = {"ProductCode": "ddos", "ProductType": d["product_type"], "SubscriptionType": "Subscription", "Period": d["period"]}
    d.id = cloud.call("bssopenapi", "CreateInstance", {**params, "Parameter": bought}, timeout=d.timeout)["Data"]["InstanceId"]
    cloud.call("ddoscoo", "ModifyInstanceRemark", {"InstanceId": d.id, "Remark": d["name"]})


def _read_instance(cloud: Cloud, d: Data) -> None:
    found = cloud.call("ddoscoo", "DescribeInstances", {"InstanceIds": [d.id], "PageNumber": 1, "PageSize": 10}).get("Instances") or []
    if not found:
        d.id = ""
        return
    spec = cloud.call("ddoscoo", "DescribeInstanceSpecs", {"InstanceIds": [d.id]})["InstanceSpecs"][0]
    d.update(
        name=found[0].get("Remark"), ip=found[0].get("Ip"), create_time=str(found[0].get("CreateTime")), status=str(found[0].get("Status"))
    )
    d.update(edition_sale="coop", address_type=d["address_type"] or "Ipv4")
    d.update(**{name: str(spec.get(wire)) for name, (_, wire) in _SIZES.items()})


def _update_instance(cloud: Cloud, d: Data) -> None:
    changed = [name for name in _SIZES if d.changed(name)]
    if changed:
        raise Problem(f"{', '.join(changed)} of a subscription cannot be changed on the local cloud", "Make a new instance.")
    if d.changed("name"):
        cloud.call("ddoscoo", "ModifyInstanceRemark", {"InstanceId": d.id, "Remark": d["name"]})


def _delete_instance(cloud: Cloud, d: Data) -> None:
    cloud.delete("ddoscoo", "ReleaseInstance", {"InstanceId": d.id}, ("InstanceNotFound",), timeout=d.timeout)


INSTANCE = Resource(INSTANCE_FIELDS, _create_instance, _read_instance, _delete_instance, _update_instance)

DOMAIN_FIELDS: Fields = {
    "domain": required(force_new=True),
    "instance_ids": required(STRING_SET),
    "real_servers": required(STRING_SET),
    "rs_type": required(NUMBER, check=one_of(0, 1)),
    "https_ext": optional(computed=True),
    "cert_name": optional(computed=True),
    "cert": optional(),
    "key": optional(sensitive=True),
    "proxy_types": block("set", min_items=1, fields={"proxy_type": required(), "proxy_ports": required(NUMBERS)}),
    "cname": computed(),
}


def _domain_params(d: Data) -> dict[str, Any]:
    ports = [{"ProxyType": t["proxy_type"], "ProxyPorts": sorted(t["proxy_ports"])} for t in d["proxy_types"]]
    params = {
        "Domain": d["domain"],
        "RsType": d["rs_type"],
        "InstanceIds": sorted(d["instance_ids"]),
        "RealServers": sorted(d["real_servers"]),
    }
    return {**params, "ProxyTypes": ports, **({"HttpsExt": d["https_ext"]} if d["https_ext"] else {})}


def _create_domain(cloud: Cloud, d: Data) -> None:
    cloud.call("ddoscoo", "CreateDomainResource", _domain_params(d), timeout=d.timeout)
    d.id = d["domain"]
    _certify(cloud, d)


def _certify(cloud: Cloud, d: Data) -> None:
    """The certificate has an action of its own."""
    if d["cert"] and (d.changed("cert") or d.changed("key") or d.changed("cert_name")):
        pair = {"CertName": d["cert_name"], "Cert": d["cert"], "Key": d["key"]}
        cloud.call("ddoscoo", "AssociateWebCert", {"Domain": d.id, **pair}, timeout=d.timeout)


def _read_domain(cloud: Cloud, d: Data) -> None:
    params = {"Domain": d.id, "QueryDomainPattern": "exact", "PageNumber": 1, "PageSize": 10}
    found = cloud.call("ddoscoo", "DescribeDomainResource", params).get("WebRules") or []
    if not found:
        d.id = ""
        return
    rule = found[0]
    d.update(
        domain=rule.get("Domain"),
        cname=rule.get("Cname"),
        cert_name=rule.get("CertName"),
        https_ext=rule.get("HttpsExt"),
        instance_ids=rule.get("InstanceIds"),
        real_servers=rule.get("RealServers"),
        rs_type=rule.get("RsType"),
        proxy_types=[{"proxy_type": t["ProxyType"], "proxy_ports": [int(p) for p in t["ProxyPorts"]]} for t in rule.get("ProxyTypes", [])],
    )


def _update_domain(cloud: Cloud, d: Data) -> None:
    cloud.call("ddoscoo", "ModifyDomainResource", _domain_params(d), timeout=d.timeout)
    _certify(cloud, d)


def _delete_domain(cloud: Cloud, d: Data) -> None:
    cloud.delete("ddoscoo", "DeleteDomainResource", {"Domain": d.id}, ("DomainNotExist",), timeout=d.timeout)


DOMAIN = Resource(DOMAIN_FIELDS, _create_domain, _read_domain, _delete_domain, _update_domain)

PORT_FIELDS: Fields = {
    "instance_id": required(force_new=True),
    "frontend_port": required(force_new=True),
    "frontend_protocol": required(force_new=True, check=one_of("tcp", "udp")),
    "backend_port": optional(computed=True, force_new=True),
    "real_servers": required(list_of(STRING)),
}


def _port(d: Data) -> dict[str, Any]:
    instance, port, protocol = d.id.split(":")
    return {"InstanceId": instance, "FrontendPort": port, "FrontendProtocol": protocol}


def _create_port(cloud: Cloud, d: Data) -> None:
    params = {"InstanceId": d["instance_id"], "FrontendPort": d["frontend_port"], "FrontendProtocol": d["frontend_protocol"]}
    more = {"RealServers": d["real_servers"], **({"BackendPort": d["backend_port"]} if d["backend_port"] else {})}
    cloud.call("ddoscoo", "CreatePort", {**params, **more}, timeout=d.timeout)
    d.id = ":".join(params[name] for name in ("InstanceId", "FrontendPort", "FrontendProtocol"))


def _read_port(cloud: Cloud, d: Data) -> None:
    found = cloud.find("ddoscoo", "DescribePort", {**_port(d), "PageNumber": 1, "PageSize": 10}, ("InstanceNotFound",))
    rules = (found or {}).get("NetworkRules") or []
    if not rules:
        d.id = ""
        return
    rule = rules[0]
    d.update(
        instance_id=rule.get("InstanceId"), frontend_port=str(rule.get("FrontendPort")), frontend_protocol=rule.get("FrontendProtocol")
    )
    d.update(backend_port=str(rule.get("BackendPort")), real_servers=rule.get("RealServers"))


def _update_port(cloud: Cloud, d: Data) -> None:
    cloud.call("ddoscoo", "ModifyPort", {**_port(d), "RealServers": d["real_servers"], "BackendPort": d["backend_port"]}, timeout=d.timeout)


def _delete_port(cloud: Cloud, d: Data) -> None:
    cloud.delete("ddoscoo", "DeletePort", _port(d), ("InstanceNotFound", "NetworkRuleNotExist"), timeout=d.timeout)


PORT = Resource(PORT_FIELDS, _create_port, _read_port, _delete_port, _update_port)
