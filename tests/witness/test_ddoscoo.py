"""Anti-DDoS with the vendor's SDK, curl and Chromium: a domain behind an instance, floods, and who still gets in."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from alibabacloud_bssopenapi20171214 import models as bss
from alibabacloud_bssopenapi20171214.client import Client as Bss
from alibabacloud_ddoscoo20200101 import models as ddos
from alibabacloud_ddoscoo20200101.client import Client as Ddos
from playwright.sync_api import sync_playwright

from haechi.dataplane import links
from haechi.dataplane.links import Links
from haechi.dataplane.site import Site
from tests.witness.conftest import SITE, Server
from tests.witness.test_sdk_new import config, wait

PORT = 8765
HTTP_FLOOD = """import http.client, sys, threading, time
def work():
    end = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        try:
            c = http.client.HTTPConnection(sys.argv[1], 80, timeout=2)
            for _ in range(200):
                c.request("GET", "/", headers={"Host": "shop.test"})
                c.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass
threads = [threading.Thread(target=work) for _ in range(6)]
[t.start() for t in threads]
[t.join() for t in threads]
"""
UDP_FLOOD = """import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    for _ in range(100):
        s.sendto(b"x" * 200, (sys.argv[1], 123))
    time.sleep(0.01)
"""


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<title>shop</title><p>welcome</p>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def origin(server: Server) -> Iterator[str]:
    """A web server on the machine's own outside address; where it is."""
    site = Site(SITE, server.home, server.home, server.home)
    web = ThreadingHTTPServer((site.outside, PORT), Page)
    thread = threading.Thread(target=web.serve_forever)
    thread.start()
    # a domain's visits come for port 80 of its origin
    rule = f"ip daddr {site.outside} tcp dport 80 dnat to {site.outside}:{PORT}"
    table = f"table ip hx_ddostest {{ chain c {{ type nat hook prerouting priority dstnat; {rule}\n }}\n }}\n"
    subprocess.run(["nft", "-f", "-"], input=table, text=True, check=True)
    yield site.outside
    subprocess.run(["nft", "delete", "table", "ip", "hx_ddostest"], check=True)
    web.shutdown()
    thread.join()
    web.server_close()


@pytest.fixture
def place(server: Server) -> Iterator[list[str]]:
    """A command prefix: a namespace with a public address of its own, somebody on the internet."""
    site = Site(SITE, server.home, server.home, server.home)
    address = str(site.public[4000])
    links.apply_links(site, Links("attacker", address, True, "", "", ()))
    netns = site.netns("attacker")
    subprocess.run(["ip", "-n", netns, "route", "replace", "default", "via", site.outside, "dev", "up0", "src", address], check=True)
    yield ["ip", "netns", "exec", netns]
    links.remove_links(site, "attacker")


def curl(address: str, *prefix: str) -> str:
    """Status and body of the domain's page, asked at the instance's address."""
    command = [
        *prefix,
        "curl",
        "-s",
        "-m",
        "4",
        "--noproxy",
        "*",
        "-w",
        "\n%{http_code}",
        "--resolve",
        f"shop.test:80:{address}",
        "http://shop.test/",
    ]
    body, _, status = subprocess.run(command, capture_output=True, text=True, check=False).stdout.rpartition("\n")
    return f"{status} {body}"


def test_a_domain_under_attack(server: Server, origin: str, place: list[str]) -> None:
    buyer, client = Bss(config(server)), Ddos(config(server))
    parameter = [bss.CreateInstanceRequestParameter(code="bandwidth", value="2000")]
    order = bss.CreateInstanceRequest(
        product_code="ddos", product_type="ddoscoo", subscription_type="Subscription", period=1, parameter=parameter
    )
    id = buyer.create_instance(order).body.data.instance_id
    address = client.describe_instances(ddos.DescribeInstancesRequest(page_number="1", page_size="10")).body.instances[0].ip
    try:
        web = ddos.CreateDomainResourceRequestProxyTypes(proxy_type="http", proxy_ports=[80])
        client.create_domain_resource(
            ddos.CreateDomainResourceRequest(domain="shop.test", instance_ids=[id], rs_type=0, real_servers=[origin], proxy_types=[web])
        )
        client.create_port(
            ddos.CreatePortRequest(
                instance_id=id, frontend_protocol="tcp", frontend_port="8080", backend_port=str(PORT), real_servers=[origin]
            )
        )
        relayed = ["curl", "-s", "-m", "4", "--noproxy", "*", f"http://{address}:8080/"]
        assert "welcome" in subprocess.run(relayed, capture_output=True, text=True, check=True).stdout
        with pytest.raises(Exception) as refused:
            client.create_port(ddos.CreatePortRequest(instance_id=id, frontend_protocol="tcp", frontend_port="80", real_servers=[origin]))
        assert getattr(refused.value, "code", "") == "NetworkRuleExist"
        flood_and_measure(client, id, address, place)
    finally:
        buyer_release(client, id)
    assert curl(address).startswith("000")


def buyer_release(client: Ddos, id: str) -> None:
    client.release_instance(ddos.ReleaseInstanceRequest(instance_id=id))


def flood_and_measure(client: Ddos, id: str, address: str, place: list[str]) -> None:
    wait(lambda: curl(address) == "200 <title>shop</title><p>welcome</p>", 10)
    assert curl(address, *place).startswith("200")
    began = int(time.time())
    flood = subprocess.Popen([*place, sys.executable, "-c", UDP_FLOOD, address, "6"])
    time.sleep(1)
    assert [curl(address)[:3] for _ in range(20)] == ["200"] * 20, "the steady visitor notices nothing"
    flood.wait(30)
    asked = ddos.DescribeDDoSEventsRequest(
        instance_ids=[id], start_time=began - 60, end_time=int(time.time()) + 60, page_number=1, page_size=10
    )
    events = client.describe_ddo_sevents(asked).body.ddo_sevents
    assert [event.event_type for event in events] == ["defense"] and events[0].pps > 1000 and events[0].start_time - began <= 3
    flood = subprocess.Popen([*place, sys.executable, "-c", HTTP_FLOOD, address, "12"])
    asked_domain = ddos.DescribeDomainAttackEventsRequest(
        domain="shop.test", start_time=began - 60, end_time=int(time.time()) + 60, page_number=1, page_size=10
    )
    wait(lambda: client.describe_domain_attack_events(asked_domain).body.domain_attack_events, 6)
    wait(lambda: "hx_challenge" in curl(address) or "429" in curl(address, *place), 5)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", f"--host-resolver-rules=MAP shop.test {address}"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        page = browser.new_page()
        page.goto("http://shop.test/")
        page.wait_for_selector("text=welcome", timeout=10_000)
        browser.close()
    flood.wait(30)
