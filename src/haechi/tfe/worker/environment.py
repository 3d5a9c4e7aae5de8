"""What terraform's environment and settings are in a run. Built from nothing: of the server's own environment only the PATH is taken."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from haechi.tfe.settings import Settings
from haechi.tfe.variables import REFUSED_ENVIRONMENT, REFUSED_PREFIXES
from haechi.tfe.worker.directory import RunDirectory

SERVICES = ("tfe.v2", "tfe.v2.1", "tfe.v2.2", "state.v2")


def render_environment(settings: Settings, directory: RunDirectory, given: Mapping[str, str], run: Mapping[str, str]) -> dict[str, str]:
    """given: the workspace's environment variables; run: TFC_RUN_ID and its kin, which are input variables as well."""
    kept = {k: v for k, v in given.items() if k not in REFUSED_ENVIRONMENT and not k.startswith(REFUSED_PREFIXES)}
    return {
        **settings.environment,
        **kept,
        **run,
        **{f"TF_VAR_{name}": value for name, value in run.items()},
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory.home),
        "TMPDIR": str(directory.temporary),
        "LANG": "C.UTF-8",
        "CHECKPOINT_DISABLE": "1",
        "TF_CLI_CONFIG_FILE": str(directory.cli_config),
        "TF_INPUT": "0",
        "TF_IN_AUTOMATION": "1",
        "TF_WORKSPACE": directory.workspace,
    }


def render_cli_config(settings: Settings, token: str) -> str:
    """Every name this server may have in a configuration means this server, with the run's own token."""
    text = [settings.terraformrc]
    for host in host_names(settings):
        services = "\n".join(f'    "{name}" = "{settings.url}/api/v2/"' for name in SERVICES)
        text.append(f'host "{host}" {{\n  services = {{\n{services}\n  }}\n}}\ncredentials "{host}" {{\n  token = "{token}"\n}}\n')
    return "\n".join(text)


def host_names(settings: Settings) -> Sequence[str]:
    """Names under which configurations may know this server, without doubles."""
    names = list(settings.hosts)
    for port in (settings.port, settings.tls_port):
        if port:
            names += [f"localhost:{port}", f"127.0.0.1:{port}"]
    if settings.public_url:
        names.append(urlsplit(settings.public_url).netloc)
    return list(dict.fromkeys(names))
