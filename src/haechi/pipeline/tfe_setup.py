"""The step that makes what runs need on Terraform Enterprise: organization, workspaces, variables, policies, the trigger.

What a user changed stays: instance_count is written once, settings and policy set follow the blueprint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from haechi.clients.aliyun import vendor_credentials
from haechi.clients.tfe import Resource, Tfe
from haechi.clients.tfe_policies import ensure_policy_set, find_policy_set
from haechi.pipeline import tfe as server
from haechi.pipeline.certificate import page_certificate, trust_in_tools
from haechi.pipeline.golden import vault_token
from haechi.pipeline.run import REMOTE_PARTS, Run, operator_key
from haechi.pipeline.vault import client
from haechi.pipeline.vault_setup import KV, SECRET
from haechi.settings import Target

EMAIL = "operator@meow.example"
INSTANCES = 3
PAGE = {"zone": "meow.test", "host": "cat"}
SETTINGS: dict[str, dict[str, Any]] = {
    "03_app": {"auto-apply": False, "global-remote-state": False},
    "04_slb": {"auto-apply": False, "global-remote-state": False, "auto-apply-run-trigger": True},
    "05_edge": {"auto-apply": False, "global-remote-state": False},
}
# What leads the provider to the local cloud. The keys are not among them: they come from Vault.
PASSED_ON = (
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "ALICLOUD_REGION", "ALIBABA_CLOUD_REGION", "ALIBABA_CLOUD_REGION_ID",
)  # fmt: skip


def setup_tfe(run: Run) -> str:
    """Make or mend all of it; what was done."""
    with server.client(run.target) as tfe:
        done = list(_converge(run, tfe))
    return "; ".join(done) or "as it should be"


def _converge(run: Run, tfe: Tfe) -> Iterator[str]:
    organization = server.organization(run.target)
    tfe.ensure_organization(organization, EMAIL)
    ids: dict[str, str] = {}
    for name in REMOTE_PARTS if run.target.local else REMOTE_PARTS[:2]:  # the edge would buy a subscription on the real cloud
        new = tfe.workspace(organization, name) is None
        ids[name] = tfe.ensure_workspace(organization, name, SETTINGS[name])["id"]
        if new:
            yield f"made workspace {organization}/{name}"
        yield from _move_state(run, tfe, name, ids[name])
    tfe.ensure_consumers(ids["03_app"], [ids["04_slb"]])
    if "05_edge" in ids:
        tfe.ensure_consumers(ids["04_slb"], [ids["05_edge"]])
    keys = _cloud_keys(run)
    for name, id in ids.items():
        more = list(_page(run.target, tfe, id)) if name == "05_edge" else []
        written = _write(tfe, id, [*_terraform(run, name), *more, *_environment(run.target, keys)])
        if written:
            yield f"{name}: wrote {', '.join(written)}"
    done = ensure_policy_set(tfe, organization, server.NAME, run.blueprint / "policies", list(ids.values()))
    if done:
        yield done
    if tfe.ensure_trigger(ids["04_slb"], ids["03_app"]):
        yield "applying 03_app triggers 04_slb"


def _terraform(run: Run, name: str) -> Iterator[dict[str, Any]]:
    """The terraform variables of a part's workspace."""
    target = run.target
    yield _variable("region", target.region)
    if name != "03_app":
        yield _variable("organization", server.organization(target))
        if name == "05_edge" and target.local:
            yield _variable("operator_cidr", f"{target.site.outside}/32")
        return
    yield _variable("public_key", operator_key(target).with_suffix(".pub").read_text().strip())
    yield _variable("golden", "true", hcl=True)
    yield _variable("image_name_regex", f"^{run.values['image']}$")
    if target.local:
        yield _variable("operator_cidr", f"{target.site.outside}/32")
    yield {**_variable("instance_count", str(INSTANCES), hcl=True), "once": True}


def _page(target: Target, tfe: Tfe, workspace: str) -> Iterator[dict[str, Any]]:
    """The page's name, as the user may have changed it, and the certificate for it."""
    there = {
        v["attributes"]["key"]: v["attributes"]["value"] for v in tfe.variables(workspace) if v["attributes"]["category"] == "terraform"
    }
    for key, value in PAGE.items():
        yield {**_variable(key, value), "once": True}
    zone, host = (there.get(key) or value for key, value in PAGE.items())
    certificate, key = page_certificate(target.edge_home, f"{host}.{zone}")
    if target.local:
        trust_in_tools(target.edge_home, target.bundle)
    yield _variable("certificate", certificate)
    yield _variable("private_key", key, sensitive=True)


def _environment(target: Target, keys: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The environment variables of every workspace."""
    known = target.environment()
    for name in PASSED_ON:
        if target.local and name in known:
            yield _variable(name, known[name], category="env")
    for name, value in keys.items():
        yield _variable(name, value, category="env", sensitive=True)


def _variable(key: str, value: str, *, category: str = "terraform", hcl: bool = False, sensitive: bool = False) -> dict[str, Any]:
    return {"key": key, "value": value, "category": category, "hcl": hcl, "sensitive": sensitive}


def _write(tfe: Tfe, workspace: str, wanted: list[dict[str, Any]]) -> list[str]:
    """Names of the variables that were written, sensitive ones apart: they are written every time, since nobody can read them back."""
    there: list[Resource] = tfe.variables(workspace)
    names = {(v["attributes"]["key"], v["attributes"]["category"]) for v in there}
    written = []
    for each in wanted:
        attributes = {name: value for name, value in each.items() if name != "once"}
        new = (each["key"], each["category"]) not in names
        if not new and each.get("once"):
            continue
        if tfe.write_variable(workspace, there, attributes) and (new or not each["sensitive"]):
            written.append(each["key"])
    return written


def _cloud_keys(run: Run) -> dict[str, str]:
    """The cloud's keys as Vault keeps them; those at hand when Vault has none because they are short-lived."""
    with vault_token(run) as token, client(run.target) as vault:
        vault.token = token
        found = vault.read(f"{KV}/data/{SECRET}")
    data = (found or {}).get("data")
    if data:
        return {"ALICLOUD_ACCESS_KEY": data["access_key"], "ALICLOUD_SECRET_KEY": data["secret_key"]}
    keys = vendor_credentials()()
    short_lived = {"ALICLOUD_SECURITY_TOKEN": keys.security_token} if keys.security_token else {}
    return {"ALICLOUD_ACCESS_KEY": keys.access_key_id, "ALICLOUD_SECRET_KEY": keys.access_key_secret, **short_lived}


def _move_state(run: Run, tfe: Tfe, name: str, workspace: str) -> Iterator[str]:
    """The state that an earlier haechi kept beside the working copy becomes the workspace's first."""
    path = run.target.work / "meow" / name / "terraform.tfstate"
    if not path.exists():
        return
    if tfe.current_state(workspace) is None:
        tfe.push_state(workspace, path.read_bytes())
        yield f"moved the state of {name} to its workspace"
    path.replace(path.with_suffix(".tfstate.moved"))


def remove_tfe(run: Run) -> None:
    """Delete what `setup_tfe` made, but the organization. A workspace whose state still manages something is refused."""
    if all(server.workspace(run.target, name) is None for name in REMOTE_PARTS):
        return
    organization = server.organization(run.target)
    with server.client(run.target) as tfe:
        for name in reversed(REMOTE_PARTS):
            found = tfe.workspace(organization, name)
            if found is not None:
                tfe.delete_workspace(found["id"])
        policies = find_policy_set(tfe, organization, server.NAME)
        if policies is not None:
            tfe.request("DELETE", f"policy-sets/{policies['id']}")
