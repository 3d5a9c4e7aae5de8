"""Finding this product's resources, with the error each has when it is not there."""

from __future__ import annotations

from haechi.cloud.action import Call
from haechi.cloud.errors import ApiError
from haechi.cloud.store import Resource, View

DOMAIN, RECORD = "dns_domain", "dns_record"
NAMESERVERS = ("ns1.alidns.com", "ns2.alidns.com")


def get_domain(call: Call, name: str) -> Resource:
    """Raises InvalidDomainName.NoExist; Terraform knows it by its code."""
    found = call.view.get(DOMAIN, name.lower().rstrip("."))
    if found is None:
        raise ApiError("InvalidDomainName.NoExist", "The specified domain name does not exist. Refresh the page and try again.")
    return found


def get_record(call: Call, id: str) -> Resource:
    """Raises DomainRecordNotBelongToUser; Terraform knows it by its code."""
    found = call.view.get(RECORD, id)
    if found is None:
        raise ApiError("DomainRecordNotBelongToUser", "The domain record does not belong to the user.")
    return found


def records_of(view: View, domain: str) -> list[Resource]:
    """The records of a domain, newest first."""
    return sorted(view.find(RECORD, DomainName=domain), key=lambda r: (r["CreatedAt"], r.id), reverse=True)
