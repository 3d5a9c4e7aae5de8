"""`terraform login` with a real browser, over TLS, and a configuration that names the server by host and port."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.tfeclient import DATA, Terraform, cloud
from tests.tfeworker import Server, served

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost, with its key."""
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", *subject]
    subprocess.run([*command, "-keyout", str(path) + ".key", "-out", str(path)], check=True, capture_output=True)
    with path.open("a") as file:
        file.write(Path(str(path) + ".key").read_text())
    return path


@pytest.fixture(scope="module")
def server(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("tfe"), certificate=str(certificate)) as found:
        yield found


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_context(ignore_https_errors=True).new_page()
        browser.close()


def log_in(terraform: Terraform, host: str, certificate: Path, page: Page, token: str) -> tuple[int, str]:
    """(exit code, output) of `terraform login`, with somebody at the browser."""
    del terraform.environment["TF_CLI_CONFIG_FILE"]  # it would hide the file that the login writes
    process = terraform.start("login", host, SSL_CERT_FILE=str(certificate), BROWSER="true")
    assert process.stdin is not None and process.stdout is not None
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    process.stdin.write("yes\n")
    process.stdin.flush()
    shown = ""
    while not (found := re.search(r"https://\S+/oauth/authorization\S+", shown)):
        line = process.stdout.readline()
        assert line, shown
        shown += line
    page.goto(found[0])
    if page.locator("input[name=token]").count():
        page.fill("input[name=token]", token)
        page.get_by_role("button", name="Sign in with the token").click()
    page.get_by_role("button", name="Give it").click()
    out, _ = process.communicate(timeout=60)
    watchdog.cancel()
    return process.returncode, shown + out


def test_login_then_everything_by_host_and_port(server: Server, certificate: Path, page: Page, tmp_path: Path) -> None:
    host = f"localhost:{server.tls_port}"
    terraform = Terraform(server, tmp_path / "app", main=DATA, cloud=cloud('name = "tls"', host))
    token = (server.home / "token").read_text().strip()
    (tmp_path / ".terraform.d").mkdir()
    code, out = log_in(terraform, host, certificate, page, token)
    assert code == 0, out
    kept = json.loads((tmp_path / ".terraform.d/credentials.tfrc.json").read_text())
    assert ".atlasv1." in kept["credentials"][host]["token"] and kept["credentials"][host]["token"] != token
    terraform("init", "-input=false", SSL_CERT_FILE=str(certificate))
    applied = terraform("apply", "-auto-approve", "-input=false", SSL_CERT_FILE=str(certificate))
    assert "Apply complete!" in applied and f"https://{host}/app/acme/tls/runs/run-" in applied
    address = re.search(r"https://\S+/runs/run-\w+", applied)
    assert address is not None
    page.goto(address[0])
    page.locator("#log-Apply", has_text="Apply complete!").wait_for()
    assert page.locator("h1 .pill").inner_text() == "applied"


def test_the_page_of_a_run_is_live(server: Server, certificate: Path, page: Page, tmp_path: Path) -> None:
    page.goto(f"http://127.0.0.1:{server.port}/session")
    page.fill("input[name=token]", (server.home / "token").read_text().strip())
    page.get_by_role("button", name="Sign in with the token").click()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    workspace = server.workspace("live")
    go = tmp_path / "go"
    wait = f'provisioner "local-exec" {{ command = "echo now; while ! test -e {go}; do sleep 0.05; done; echo then" }}'
    run = server.run(workspace, {"main.tf": f'resource "terraform_data" "a" {{\n  {wait}\n}}\n'})
    page.goto(f"http://127.0.0.1:{server.port}/app/acme/live/runs/{run}")
    page.get_by_role("button", name="Confirm and apply").click()
    page.locator("#log-Apply", has_text="(local-exec): now\n").wait_for()
    assert "(local-exec): then" not in page.locator("#log-Apply").inner_text()
    go.touch()
    page.locator("#log-Apply", has_text="(local-exec): then\n").wait_for()
    page.locator("h1 .pill.applied").wait_for()
    assert complaints == []
