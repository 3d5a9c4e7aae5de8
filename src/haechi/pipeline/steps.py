"""The steps of `up`, in order. Each is safe to run again: it looks first and does only what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import httpx

from haechi.clients.control import ControlClient
from haechi.pipeline import program, tfe
from haechi.pipeline.bypass import admit_waf, shut_bypass
from haechi.pipeline.failure import Failure
from haechi.pipeline.golden import bake, delete_images
from haechi.pipeline.remote_runs import apply_remote
from haechi.pipeline.rows.firewall import guard_all
from haechi.pipeline.run import Run, Step, find_terraform
from haechi.pipeline.terraformrc import own_providers, provide_mirror, remove_mirror, write_terraformrc
from haechi.pipeline.tfe_setup import setup_tfe
from haechi.pipeline.vault import admit_clients, apply_vault, open_vault
from haechi.pipeline.vault_setup import setup_vault
from haechi.pipeline.visitor import visit

NEEDED = {  # program: Debian package
    "ip": "iproute2",
    "nft": "nftables",
    "conntrack": "conntrack",
    "haproxy": "haproxy",
    "mmdebstrap": "mmdebstrap",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "openssl": "openssl",
    "packer": "packer",
}
SERVER_SECONDS = 60
PAGE_SECONDS = 180


def check_machine(run: Run) -> str:
    """Root, and every program the data plane calls; missing ones are installed."""
    if os.geteuid() != 0:
        raise Failure("haechi makes namespaces and packet filters, so it needs root.", "Run it as root or through sudo.")
    missing = sorted({package for name, package in NEEDED.items() if not shutil.which(name)})
    if missing:
        run.say(f"installing {' '.join(missing)}")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *missing]):
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise Failure(f"apt-get could not install {' '.join(missing)}: {done.stderr.strip()[-300:]}", "Install them and try again.")
    return "every program is there"


def prepare_image(run: Run) -> str:
    """The base image that instances lie on."""
    command = [sys.executable, "-m", "haechi", "prepare"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        last = ""
        for line in process.stderr:
            last = line.strip()
            run.say(last)
    if process.returncode:
        raise Failure(
            f"This machine could not be prepared: {last}",
            "Check Debian's mirror (and HAECHI_CRS, if set), then `haechi up` again.",
        )
    return "base image ready"


def start_server(run: Run) -> str:
    """The local cloud, in the background."""
    control = ControlClient(run.target.control)
    if control.health() is None:
        log = run.target.site.home / "log"
        log.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (log / "cloud.out").open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "haechi", "serve", "cloud"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        deadline = time.monotonic() + SERVER_SECONDS
        while control.health() is None:
            if process.poll() is not None:
                raise Failure(f"The cloud server ended at once with {process.returncode}.", f"See {log}/cloud.out and {log}/cloud.log.")
            if time.monotonic() > deadline:
                raise Failure("The cloud server does not answer.", f"See {log}/cloud.log.")
            time.sleep(0.05)
    faults = control.doctor(fix=True)
    if faults["faults"]:
        raise Failure(f"This machine differs from the cloud's plan: {faults['faults'][0]['what']}", "Run `haechi doctor --fix`.")
    mended = len(faults["mended"])
    return f"serving on 127.0.0.1:{run.target.port}" + (f", {mended} things mended" if mended else "")


def provide_terraform(run: Run) -> str:
    """The terraform program and its providers."""
    path = find_terraform(run.target, run.say)
    wanted = os.environ.get("HAECHI_PROVIDERS", "auto")
    if wanted not in ("auto", "registry", "local"):
        raise Failure(f"HAECHI_PROVIDERS is {wanted!r}.", "Use auto, registry or local.")
    if not run.target.local:
        return f"{path}, providers from the registry"
    before = own_providers(run.target)
    from_registry = wanted == "registry" or (wanted == "auto" and program.registry_answers())
    if from_registry:
        remove_mirror(run.target)
    else:
        provide_mirror(run.target)
    if before == from_registry:
        run.values["providers"] = "changed"
    write_terraformrc(run.target)
    if from_registry:
        return f"{path}, providers from the registry"
    return f"{path}, providers served by haechi (the registry is out of reach)"


def start_tfe(run: Run) -> str:
    """The local Terraform Enterprise, in the background; it reads only when it starts whose providers terraform takes."""
    return tfe.start(run.target, anew=run.values.pop("providers", "") == "changed")


def apply_app(run: Run) -> str:
    """03_app: network, filter, instances of the golden image; images that they no longer boot from go."""
    outputs = apply_remote(run, "03_app")
    admit_clients(run, outputs["public_ips"])
    for name in delete_images(run.target, keep=run.values["image"]):
        run.say(f"removed the image {name}, which nothing boots from any more")
    return f"{len(outputs['ecs_ids'])} instances"


def apply_slb(run: Run) -> str:
    """04_slb: the load balancer over them."""
    run.values["url"] = str(apply_remote(run, "04_slb")["url"])
    return run.values["url"]


def check_page(run: Run) -> str:
    """The page, from outside, through the load balancer's public address."""
    url = run.values["url"]
    deadline = time.monotonic() + PAGE_SECONDS
    problem = told = ""
    while time.monotonic() < deadline:
        try:
            page = httpx.get(url, timeout=5, trust_env=False)
            if page.status_code == 200 and 'id="instance"' in page.text:
                return f"{url} shows the cat"
            problem = f"HTTP {page.status_code}" if page.status_code != 200 else "another page"
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
        if run.target.local and ControlClient(run.target.control).health() is None:
            raise Failure("The cloud server is gone, and with it the instances' name service.", "Run `haechi up` again; it carries on.")
        if problem != told:
            run.say(f"waiting for the page ({problem})")
            told = problem
        time.sleep(0.5)
    raise Failure(f"{url} does not show the page: {problem}", "Run `haechi doctor`; an instance's console is in `haechi status --json`.")


def apply_edge(run: Run) -> str:
    """05_edge: Anti-DDoS and WAF in front of the load balancer, the domain's name, Cloud Firewall in front of every public address."""
    edge = apply_remote(run, "05_edge")
    if edge.get("waf_book"):
        admit_waf(run, str(edge["waf_book"]), str(edge["waf_id"]))
    guard_all(run)
    address, domain = str(edge["ddos_address"]), str(edge["domain"])
    shut_bypass(run, domain, str(edge["waf_id"]))
    deadline = time.monotonic() + PAGE_SECONDS
    while True:
        try:
            if 'id="instance"' in visit(run.target, address, domain):
                break
        except httpx.HTTPError as error:
            run.say(f"waiting for {domain} ({error})")
        if time.monotonic() > deadline:
            raise Failure(f"{domain} does not show the page at {address}.", "Run `haechi doctor`.")
        time.sleep(0.5)
    run.values |= {"domain": domain, "edge_address": address}
    return f"https://{domain}/ at {address} shows the cat"


STEPS = (
    Step("machine", "Check this machine", check_machine, local_only=True),
    Step("image", "Base image", prepare_image, local_only=True),
    Step("server", "Local Alibaba Cloud", start_server, local_only=True),
    Step("terraform", "Terraform and its providers", provide_terraform),
    Step("tfe", "Local Terraform Enterprise", start_tfe, local_only=True),
    Step("vault-apply", "01_vault: an instance with Vault", apply_vault),
    Step("vault-open", "Vault's seal", open_vault),
    Step("vault-setup", "Vault's policies, secrets and users", setup_vault),
    Step("golden", "02_image: the golden image", bake),
    Step("tfe-setup", "Terraform Enterprise's workspaces, variables, policies", setup_tfe),
    Step("app", "03_app: three instances", apply_app),
    Step("slb", "04_slb: load balancer", apply_slb),
    Step("page", "The page, from outside", check_page),
    Step("edge", "05_edge: Anti-DDoS, WAF, Cloud Firewall and the domain", apply_edge, local_only=True),
)
