"""Policy sets of a Terraform Enterprise: a directory of policies, uploaded when it differs from what is there."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from urllib.parse import quote

from haechi.clients.tfe import Resource, Tfe, TfeRefused, TfeSilent
from haechi.clients.tfe_runs import LEFT_OUT, READY_SECONDS, pack

DIGEST = "sha256:"


def ensure_policy_set(tfe: Tfe, organization: str, name: str, directory: Path, workspaces: list[str]) -> str:
    """A policy set of this directory over these workspaces; what was done, "" for nothing.

    The digest of what was uploaded last stands in the set's description: no API tells a version's content.
    """
    archive = pack(directory, (*LEFT_OUT, "test"))
    description = f"Uploaded by haechi, {DIGEST}{hashlib.sha256(archive).hexdigest()}"
    found = find_policy_set(tfe, organization, name)
    if found is None:
        attributes = {"name": name, "global": False, "kind": "sentinel", "description": "Uploaded by haechi"}
        relationships = {"workspaces": {"data": [{"type": "workspaces", "id": id} for id in workspaces]}}
        found = tfe.create(f"organizations/{quote(organization)}/policy-sets", "policy-sets", attributes, relationships)
    id = found["id"]
    attached = {each["id"] for each in (found["relationships"].get("workspaces") or {}).get("data") or []}
    missing = [each for each in workspaces if each not in attached]
    if missing:
        body = {"data": [{"type": "workspaces", "id": each} for each in missing]}
        tfe.request("POST", f"policy-sets/{id}/relationships/workspaces", body)
    if found["attributes"].get("description") == description:
        return f"attached policy set {name}" if missing else ""
    upload_version(tfe, id, archive)
    tfe.update(f"policy-sets/{id}", "policy-sets", {"description": description})
    return f"uploaded policy set {name}"


def find_policy_set(tfe: Tfe, organization: str, name: str) -> Resource | None:
    listed = tfe.every(f"organizations/{quote(organization)}/policy-sets", {"search[name]": name})
    return next((each for each in listed if each["attributes"]["name"] == name), None)


def upload_version(tfe: Tfe, policy_set: str, archive: bytes) -> None:
    """Make an archive the policies of a set, and wait until they are. Raises TfeRefused when the server cannot use them."""
    made = tfe.request("POST", f"policy-sets/{policy_set}/versions")["data"]
    tfe.upload(made["links"]["upload"], archive)
    deadline = time.monotonic() + READY_SECONDS
    while True:
        attributes = tfe.request("GET", f"policy-set-versions/{made['id']}")["data"]["attributes"]
        if attributes["status"] == "ready":
            return
        if attributes["status"] == "errored":
            said = attributes.get("error") or attributes.get("error-message") or "the policies could not be read"
            raise TfeRefused(422, [str(said)], "upload of the policies")
        if time.monotonic() > deadline:
            raise TfeSilent(f"the policies are still {attributes['status']}")
        time.sleep(0.1)
