"""Terraform's settings file of the local target: whose providers, and where app.terraform.io is."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from haechi.pipeline.files import write_private
from haechi.provider.mirror import install_mirror, render_terraformrc
from haechi.settings import Target

HOST = "app.terraform.io"  # what configurations without a hostname mean
SERVICES = ("tfe.v2", "tfe.v2.1", "state.v2", "login.v1")


def own_providers(target: Target) -> bool:
    """Whether terraform takes haechi's providers: their mirror is there."""
    return target.local and _mirror(target).is_dir()


def provide_mirror(target: Target) -> None:
    """Put haechi's providers in place."""
    install_mirror(target.terraformrc.parent, sys.executable)


def remove_mirror(target: Target) -> None:
    """Take them away: providers come from the registry."""
    shutil.rmtree(_mirror(target), ignore_errors=True)


def write_terraformrc(target: Target) -> None:
    """Compose the file from what there is now: the mirror, and the server's token and addresses. Mode 0600."""
    parts = [render_terraformrc(target.terraformrc.parent) if own_providers(target) else "disable_checkpoint = true\n"]
    if target.tfe_token:
        parts.append(render_host(read_services(target.tfe_url), target.tfe_token))
    text = "\n".join(parts)
    path = target.terraformrc
    if not path.exists() or path.read_text() != text or path.stat().st_mode & 0o777 != 0o600:
        write_private(path, text)


def read_services(address: str) -> dict[str, Any]:
    """What a server says of itself in /.well-known/terraform.json, every address absolute; its usual ones when it is silent."""
    usual = {name: f"{address}/api/v2/" for name in SERVICES[:3]}
    try:
        answer = httpx.get(f"{address}/.well-known/terraform.json", timeout=5, trust_env=False)
        told = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return usual
    found: dict[str, Any] = {}
    for name in SERVICES:
        value = told.get(name)
        if isinstance(value, str):
            found[name] = urljoin(f"{address}/", value)
        elif isinstance(value, dict):
            found[name] = {k: urljoin(f"{address}/", v) if k in ("authz", "token") else v for k, v in value.items()}
    return found


def render_host(services: dict[str, Any], token: str, host: str = HOST) -> str:
    """The blocks that lead a host's name to these services, with a token. JSON is HCL where objects take = or :."""
    lines = [f'host "{host}" {{', "  services = {"]
    lines += [f"    {json.dumps(name)} = {_render(value)}" for name, value in services.items()]
    lines += ["  }", "}", f'credentials "{host}" {{', f"  token = {json.dumps(token)}", "}", ""]
    return "\n".join(lines)


def _render(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_render(v)}" for k, v in value.items()) + " }"
    return json.dumps(value)


def _mirror(target: Target) -> Path:
    return target.terraformrc.parent / "registry.terraform.io"
