"""Asks the page at an address as a visitor does whose resolver led there: TLS with the domain's name, its certificate checked."""

from __future__ import annotations

import httpx
from dnslib import RCODE, DNSRecord  # type: ignore[import-untyped]

from haechi.pipeline.certificate import trust
from haechi.settings import Target


class Visitor:
    """A visitor of `domain` at `address`. Headers are told besides Host."""

    def __init__(self, target: Target, address: str, domain: str) -> None:
        self._client = httpx.Client(trust_env=False, timeout=10, verify=trust(target.edge_home))
        self._address, self._domain = address, domain

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def get(self, path: str = "/", headers: dict[str, str] | None = None, scheme: str = "https") -> httpx.Response:
        """One answer; redirects are not followed. Raises httpx.HTTPError."""
        told = {"Host": self._domain, **(headers or {})}
        return self._client.get(f"{scheme}://{self._address}{path}", headers=told, extensions={"sni_hostname": self._domain})


def visit(target: Target, address: str, domain: str) -> str:
    """The page of a domain, asked at an address by https."""
    with Visitor(target, address, domain) as visitor:
        return visitor.get().text


def resolve(target: Target, name: str) -> list[str] | None:
    """The answers of the local internet's name server along a name's chain; None for a name that does not exist."""
    reply = DNSRecord.parse(DNSRecord.question(name).send(target.site.outside, timeout=5))
    return None if RCODE[reply.header.rcode] == "NXDOMAIN" else [str(rr.rdata) for rr in reply.rr]
