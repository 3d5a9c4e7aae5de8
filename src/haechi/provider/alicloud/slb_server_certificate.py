"""alicloud_slb_server_certificate. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/slb_server_certificate"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import TAGS, read_tags, sent, update_tags
from haechi.provider.resource import Data, Problem, Resource
from haechi.provider.schema import Fields, optional


def _same_pem(old: Any, new: Any, view: Mapping[str, Any]) -> bool:
    return str(old or "").strip() == str(new or "").strip()


def _misspelt(name: str) -> Any:
    right = name.replace("certifacte", "certificate")
    return optional(force_new=True, conflicts_with=(right,), deprecated=f"Field '{name}' has been deprecated. New field '{right}' instead.")


FIELDS: Fields = {
    "name": optional(),
    "server_certificate": optional(force_new=True, same=_same_pem),
    "private_key": optional(force_new=True, sensitive=True, same=_same_pem),
    "alicloud_certificate_id": optional(force_new=True),
    "alicloud_certificate_name": optional(force_new=True),
    "alicloud_certificate_region_id": optional(force_new=True),
    "alicloud_certifacte_id": _misspelt("alicloud_certifacte_id"),
    "alicloud_certifacte_name": _misspelt("alicloud_certifacte_name"),
    "resource_group_id": optional(computed=True, force_new=True),
    "tags": TAGS,
}


def _create(cloud: Cloud, d: Data) -> None:
    names = {
        "ServerCertificateName": "name",
        "ServerCertificate": "server_certificate",
        "PrivateKey": "private_key",
        "AliCloudCertificateRegionId": "alicloud_certificate_region_id",
        "ResourceGroupId": "resource_group_id",
    }
    params = sent(d, names) | {"AliCloudCertificateId": d.first("alicloud_certificate_id", "alicloud_certifacte_id")}
    params["AliCloudCertificateName"] = d.first("alicloud_certificate_name", "alicloud_certifacte_name")
    if not params["AliCloudCertificateId"]:
        for name in ("server_certificate", "private_key"):
            if not d[name]:
                text = f'UploadServerCertificate got an error, as either "{name}" or "alicloud_certificate_id" is required'
                raise Problem(text, "", (name,))
    d.id = cloud.call("slb", "UploadServerCertificate", params, timeout=d.timeout)["ServerCertificateId"]
    update_tags(cloud, d, "slb", "certificate")


def _describe(cloud: Cloud, certificate_id: str) -> dict[str, Any] | None:
    gone = ("ServerCertificateIdNotFound", "CertificateNotExist")
    found = cloud.find("slb", "DescribeServerCertificates", {"ServerCertificateId": certificate_id}, gone)
    every = items(found, "ServerCertificates", "ServerCertificate")
    return next((c for c in every if c.get("ServerCertificateId") == certificate_id), None)


def _read(cloud: Cloud, d: Data) -> None:
    certificate = _describe(cloud, d.id)
    if certificate is None:
        d.id = ""
        return
    d.update(name=certificate.get("ServerCertificateName"), resource_group_id=certificate.get("ResourceGroupId"))
    for name, wire in (("alicloud_certificate_id", "AliCloudCertificateId"), ("alicloud_certificate_name", "AliCloudCertificateName")):
        if certificate.get(wire):
            d[name] = certificate[wire]
    tags = cloud.call("slb", "ListTagResources", {"ResourceType": "certificate", "ResourceId": [d.id]})
    d["tags"] = read_tags(items(tags, "TagResources", "TagResource"))


def _update(cloud: Cloud, d: Data) -> None:
    if d.changed("name"):
        params = {"ServerCertificateId": d.id, "ServerCertificateName": d["name"]}
        cloud.call("slb", "SetServerCertificateName", params, timeout=d.timeout)
    update_tags(cloud, d, "slb", "certificate")


def _delete(cloud: Cloud, d: Data) -> None:
    busy = ("CertificateAndPrivateKeyIsRefered",)
    gone = ("ServerCertificateIdNotFound", "CertificateNotExist")
    cloud.delete("slb", "DeleteServerCertificate", {"ServerCertificateId": d.id}, gone, busy, 300)
    cloud.wait(f"{d.id} to be deleted", lambda: _describe(cloud, d.id), lambda c: c is None, d.timeout)


RESOURCE = Resource(FIELDS, _create, _read, _delete, _update)
