"""Cloud DNS with the vendor's SDK and dig: what is stored is answered; and a protected domain is reached by its name."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from alibabacloud_alidns20150109 import models as dns
from alibabacloud_alidns20150109.client import Client as Dns
from alibabacloud_bssopenapi20171214 import models as bss
from alibabacloud_bssopenapi20171214.client import Client as Bss
from alibabacloud_ddoscoo20200101 import models as ddos
from alibabacloud_ddoscoo20200101.client import Client as Ddos

from haechi.dataplane.site import Site
from tests.witness.conftest import SITE, Server
from tests.witness.test_ddoscoo import Page
from tests.witness.test_sdk_new import config, refused, wait


@pytest.fixture
def site(server: Server) -> Site:
    return Site(SITE, server.home, server.home, server.home)


@pytest.fixture
def client(server: Server) -> Iterator[Dns]:
    made = Dns(config(server))
    made.add_domain(dns.AddDomainRequest(domain_name="meow.test"))
    yield made
    made.delete_domain(dns.DeleteDomainRequest(domain_name="meow.test"))


def add(client: Dns, rr: str, type: str, value: str, **more: int) -> str:
    request = dns.AddDomainRecordRequest(domain_name="meow.test", rr=rr, type=type, value=value, **more)
    return str(client.add_domain_record(request).body.record_id)


def dig(site: Site, *arguments: str) -> str:
    """What dig prints."""
    command = ["dig", f"@{site.outside}", "+tries=1", "+time=3", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_dig_sees_what_the_sdk_stored(client: Dns, site: Site) -> None:
    id = add(client, "www", "A", "198.18.0.9")
    assert refused(lambda: add(client, "www", "A", "198.18.0.9")) == "DomainRecordDuplicate"
    assert dig(site, "www.meow.test", "+short").split() == ["198.18.0.9"]
    assert dig(site, "www.meow.test", "+short", "+tcp").split() == ["198.18.0.9"]
    whole = dig(site, "www.meow.test")
    assert "flags: qr aa rd" in whole and "status: NOERROR" in whole
    assert "status: NXDOMAIN" in dig(site, "none.meow.test") and "SOA" in dig(site, "none.meow.test")
    assert "status: REFUSED" in dig(site, "example.com")
    client.set_domain_record_status(dns.SetDomainRecordStatusRequest(record_id=id, status="Disable"))
    assert "status: NXDOMAIN" in dig(site, "www.meow.test")
    for number in range(60):
        add(client, "many", "TXT", f"{number} " + "x" * 60)
    cut = dig(site, "many.meow.test", "TXT", "+noedns", "+ignore")
    assert "flags: qr aa tc" in cut and dig(site, "many.meow.test", "TXT", "+short").count("\n") == 60, "dig asks again over TCP"


def test_a_protected_domain_by_its_name(server: Server, client: Dns, site: Site) -> None:
    web = ThreadingHTTPServer((site.outside, 8766), Page)
    thread = threading.Thread(target=web.serve_forever)
    thread.start()
    shield = Ddos(config(server))
    order = bss.CreateInstanceRequest(product_code="ddos", product_type="ddoscoo", period=1)
    id = Bss(config(server)).create_instance(order).body.data.instance_id
    try:
        add(client, "origin", "A", site.outside)
        ports = ddos.CreateDomainResourceRequestProxyTypes(proxy_type="http", proxy_ports=[8766])
        request = ddos.CreateDomainResourceRequest(
            domain="www.meow.test", instance_ids=[id], rs_type=1, real_servers=["origin.meow.test"], proxy_types=[ports]
        )
        shield.create_domain_resource(request)
        rules = shield.describe_domain_resource(ddos.DescribeDomainResourceRequest(domain="www.meow.test")).body.web_rules
        add(client, "www", "CNAME", rules[0].cname)
        answers = dig(site, "www.meow.test", "+short").split()
        assert answers[0] == f"{rules[0].cname}." and answers[1].startswith("198.18.")
        place = ["--resolve", f"www.meow.test:8766:{answers[1]}", "http://www.meow.test:8766/"]
        command = ["curl", "-s", "-m", "4", "--noproxy", "*", *place]
        wait(lambda: "welcome" in subprocess.run(command, capture_output=True, text=True, check=False).stdout, 15)
    finally:
        shield.release_instance(ddos.ReleaseInstanceRequest(instance_id=id))
        web.shutdown()
        thread.join()
        web.server_close()
    assert "status: NXDOMAIN" in dig(site, rules[0].cname)
