"""Server certificates of https listeners. Private keys are stored and given to the data plane, never to a client."""

from __future__ import annotations

from typing import Annotated

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import in_use, invalid, missing
from haechi.cloud.paging import has_tags, tag_dict
from haechi.cloud.params import Id, Name, Tags, Text
from haechi.cloud.products.slb.kinds import LbName
from haechi.cloud.products.slb.lookup import get_certificate, listeners_with, render_tags
from haechi.cloud.products.slb.product import slb
from haechi.cloud.products.slb.x509 import read_chain, read_key, render_times
from haechi.cloud.store import Resource

Pem = Annotated[str, Text(65536)]
SecretPem = Annotated[str, Text(32768, secret=True)]
FACTS = ("CommonName", "Fingerprint", "ResourceGroupId")


@slb.action("UploadServerCertificate", Effect.RECORD)
def upload_server_certificate(
    call: Call,
    ServerCertificate: Pem = "",
    PrivateKey: SecretPem = "",
    ServerCertificateName: LbName = "",
    ResourceGroupId: Id = "",
    AliCloudCertificateId: Id = "",
    AliCloudCertificateName: Name = "",
    AliCloudCertificateRegionId: Id = "",
    Tag: Tags = (),
) -> Answer:
    """A PEM chain, the server's own certificate first, and its key. Raises CertificateNotMatchPrivateKey."""
    if AliCloudCertificateId or AliCloudCertificateName:
        raise invalid("AliCloudCertificateId", "Certificate Management Service is not served here: upload the certificate itself.")
    for name, value in (("ServerCertificate", ServerCertificate), ("PrivateKey", PrivateKey)):
        if not value:
            raise missing(name)
    facts = read_chain("ServerCertificate", ServerCertificate)
    read_key(PrivateKey, ServerCertificate)
    id = f"{call.runtime.account}_{call.store.token(11)}"
    data = {
        **facts,
        "ServerCertificateName": ServerCertificateName or id,
        "ServerCertificate": ServerCertificate,
        "PrivateKey": PrivateKey,
        "ResourceGroupId": ResourceGroupId,
        "Tags": tag_dict(Tag),
    }
    return _render(call.create("server_certificate", "", data, id))


def _render(certificate: Resource) -> Answer:
    return {
        "ServerCertificateId": certificate.id,
        "ServerCertificateName": certificate["ServerCertificateName"],
        "RegionId": certificate.region,
        "RegionIdAlias": certificate.region,
        **{name: certificate[name] for name in FACTS},
        "SubjectAlternativeNames": {"SubjectAlternativeName": list(certificate["Names"])},
        "IsAliCloudCertificate": 0,
        "AliCloudCertificateId": "",
        "AliCloudCertificateName": "",
        **render_times(certificate),
    }


@slb.action("DescribeServerCertificates", Effect.READ)
def describe_server_certificates(call: Call, ServerCertificateId: Id = "", ResourceGroupId: Id = "", Tag: Tags = ()) -> Answer:
    found = [
        c
        for c in call.find("server_certificate")
        if ServerCertificateId in ("", c.id) and ResourceGroupId in ("", c["ResourceGroupId"]) and has_tags(c, Tag)
    ]
    return {"ServerCertificates": {"ServerCertificate": [{**_render(c), "Tags": render_tags(c)} for c in found]}}


@slb.action("SetServerCertificateName", Effect.RECORD)
def set_server_certificate_name(call: Call, ServerCertificateId: Id, ServerCertificateName: LbName) -> Answer:
    call.tx.change(get_certificate(call, ServerCertificateId), ServerCertificateName=ServerCertificateName)
    return {}


@slb.action("DeleteServerCertificate", Effect.RECORD)
def delete_server_certificate(call: Call, ServerCertificateId: Id) -> Answer:
    """Raises CertificateAndPrivateKeyIsRefered while a listener shows the certificate."""
    certificate = get_certificate(call, ServerCertificateId)
    if listeners_with(call.view, ServerCertificateId=certificate.id):
        raise in_use("CertificateAndPrivateKeyIsRefered", "Certificate and PrivateKey Is Refered.")
    call.tx.delete(certificate)
    return {}
