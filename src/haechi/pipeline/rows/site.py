"""The domain as its visitors see it, and what it answers to those who go round a hop."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from base64 import b64encode
from tempfile import TemporaryDirectory

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from haechi.pipeline.bypass import HEADER
from haechi.pipeline.run import Run
from haechi.pipeline.visitor import Visitor, resolve

BROWSER_SECONDS = 60
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--no-proxy-server", "--virtual-time-budget=5000", "--dump-dom"),
)
ATTACK = "/?id=1%27%20or%20%271%27=%271"


def row_5_1(run: Run) -> str:
    """By name, as resolved, by https with a certificate that holds, the page comes through every hop; WAF refuses who goes round one."""
    edge = run.outputs("05_edge")
    assert edge, "05_edge is not applied; `haechi up` applies it"
    domain = str(edge["domain"])
    address, waf = _address(run, domain), _address(run, str(edge["waf_cname"]))
    assert address == str(edge["ddos_address"]), f"{domain} leads to {address}, not to Anti-DDoS"
    with Visitor(run.target, address, domain) as visitor:
        plain = visitor.get("/?a=b", scheme="http")
        assert plain.headers.get("location") == f"https://{domain}/?a=b", f"http is answered with {plain.status_code}, not sent to https"
        page = visitor.get().text
        assert 'id="instance"' in page and 'src="cat.svg"' in page, f"{domain} does not show the page"
        assert visitor.get("/cat.svg").text.lstrip().startswith("<svg"), "the picture is missing"
        assert visitor.get(ATTACK).status_code == 405, "an attack comes through: WAF is not on the way"
        assert visitor.get(headers={HEADER: "guessed"}).status_code == 200, "a visitor's own header shuts the visitor out"
    with Visitor(run.target, waf, domain) as visitor:
        for headers in ({}, {HEADER: "guessed"}, {"X-Forwarded-For": address}):
            status = visitor.get(headers=headers, scheme="http").status_code
            assert status == 405, f"WAF answers {status} to who goes round Anti-DDoS{' with ' + ', '.join(headers) if headers else ''}"
    with Visitor(run.target, address, f"other.{domain}") as stranger:
        try:
            stranger.get()
        except httpx.ConnectError:
            return f"https://{domain}/ at {address} shows the cat{_browser(run, address, domain)}; straight to WAF at {waf} refused"
    raise AssertionError("the certificate holds for a name that is not its own")


def _address(run: Run, name: str) -> str:
    """The address at the end of a name's chain."""
    chain = resolve(run.target, name)
    assert chain, f"{name} does not resolve"
    return chain[-1]


def _browser(run: Run, address: str, domain: str) -> str:
    """What a browser saw, if this machine has one; it is told where the name leads and whom to trust, the machine is left as it is."""
    program = shutil.which("chromium")
    if program is None:
        return ""
    public = x509.load_pem_x509_certificate((run.target.edge_home / "page.pem").read_bytes()).public_key()
    pin = b64encode(hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()).decode()
    told = [f"--host-resolver-rules=MAP {domain} {address}", f"--ignore-certificate-errors-spki-list={pin}"]
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [program, *FLAGS, *told, f"--user-data-dir={profile}", f"https://{domain}/"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=BROWSER_SECONDS, check=False)
    assert 'id="instance"' in done.stdout, f"Chromium does not show the page: {done.stderr.strip()[-200:]}"
    return ", in Chromium, too"
