"""Certificates of authorities, one of whose clients a caller of an https listener must be."""

from __future__ import annotations

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import in_use
from haechi.cloud.paging import has_tags, tag_dict
from haechi.cloud.params import Id, Tags
from haechi.cloud.products.slb.certificates import FACTS, Pem
from haechi.cloud.products.slb.kinds import LbName
from haechi.cloud.products.slb.lookup import get_ca_certificate, listeners_with, render_tags
from haechi.cloud.products.slb.product import slb
from haechi.cloud.products.slb.x509 import read_chain, render_times
from haechi.cloud.store import Resource


@slb.action("UploadCACertificate", Effect.RECORD)
def upload_ca_certificate(
    call: Call, CACertificate: Pem, CACertificateName: LbName = "", ResourceGroupId: Id = "", Tag: Tags = ()
) -> Answer:
    facts = read_chain("CACertificate", CACertificate)
    id = f"{call.runtime.account}_{call.store.token(11)}"
    data = {
        **facts,
        "CACertificateName": CACertificateName or id,
        "CACertificate": CACertificate,
        "ResourceGroupId": ResourceGroupId,
        "Tags": tag_dict(Tag),
    }
    return _render(call.create("ca_certificate", "", data, id))


def _render(certificate: Resource) -> Answer:
    return {
        "CACertificateId": certificate.id,
        "CACertificateName": certificate["CACertificateName"],
        "RegionId": certificate.region,
        **{name: certificate[name] for name in FACTS},
        **render_times(certificate),
    }


@slb.action("DescribeCACertificates", Effect.READ)
def describe_ca_certificates(call: Call, CACertificateId: Id = "", ResourceGroupId: Id = "", Tag: Tags = ()) -> Answer:
    found = [
        c
        for c in call.find("ca_certificate")
        if CACertificateId in ("", c.id) and ResourceGroupId in ("", c["ResourceGroupId"]) and has_tags(c, Tag)
    ]
    return {"CACertificates": {"CACertificate": [{**_render(c), "Tags": render_tags(c)} for c in found]}}


@slb.action("SetCACertificateName", Effect.RECORD)
def set_ca_certificate_name(call: Call, CACertificateId: Id, CACertificateName: LbName) -> Answer:
    call.tx.change(get_ca_certificate(call, CACertificateId), CACertificateName=CACertificateName)
    return {}


@slb.action("DeleteCACertificate", Effect.RECORD)
def delete_ca_certificate(call: Call, CACertificateId: Id) -> Answer:
    """Raises CertificateAndPrivateKeyIsRefered while a listener asks its clients for a certificate of this authority."""
    certificate = get_ca_certificate(call, CACertificateId)
    if listeners_with(call.view, CACertificateId=certificate.id):
        raise in_use("CertificateAndPrivateKeyIsRefered", "The CA certificate is used by a listener.")
    call.tx.delete(certificate)
    return {}
