"""A client of one Terraform Enterprise by its address, the local one or HCP Terraform: what a workspace is made of.

Runs and their logs are in tfe_runs, policies in tfe_policies, the way of a request in tfe_api.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from haechi.clients.tfe_api import Connection, Resource, TfeRefused, TfeSilent

__all__ = ["Resource", "Tfe", "TfeRefused", "TfeSilent"]


class Tfe(Connection):
    """Organizations, workspaces, variables, triggers and states of a server. Close it, or use it in a `with`."""

    def ensure_organization(self, name: str, email: str) -> Resource:
        """The organization of a name, made when it is not there."""
        found = self.read(f"organizations/{quote(name)}")
        return found or self.create("organizations", "organizations", {"name": name, "email": email})

    def workspace(self, organization: str, name: str) -> Resource | None:
        return self.read(f"organizations/{quote(organization)}/workspaces/{quote(name)}")

    def ensure_workspace(self, organization: str, name: str, attributes: Mapping[str, Any]) -> Resource:
        """The workspace of a name, with these attributes; others stay."""
        found = self.workspace(organization, name)
        if found is None:
            return self.create(f"organizations/{quote(organization)}/workspaces", "workspaces", {"name": name, **attributes})
        if all(found["attributes"].get(key) == value for key, value in attributes.items()):
            return found
        return self.update(f"workspaces/{found['id']}", "workspaces", attributes)

    def ensure_consumers(self, workspace: str, consumers: list[str]) -> None:
        """Let other workspaces' runs read this one's state; consumers that others added stay."""
        path = f"workspaces/{workspace}/relationships/remote-state-consumers"
        there = {each["id"] for each in self.every(path)}
        missing = [id for id in consumers if id not in there]
        if missing:
            self.request("POST", path, {"data": [{"type": "workspaces", "id": id} for id in missing]})

    def delete_workspace(self, workspace: str) -> None:
        """Delete it unless its state still manages something, which the server refuses with 409."""
        self.request("POST", f"workspaces/{workspace}/actions/safe-delete")

    def variables(self, workspace: str) -> list[Resource]:
        return list(self.every(f"workspaces/{workspace}/vars"))

    def write_variable(self, workspace: str, there: list[Resource], attributes: Mapping[str, Any]) -> bool:
        """Create or update one variable; `there` is what `variables` said. Whether something was written: a sensitive one always is."""
        named = (attributes["key"], attributes["category"])
        found = next((v for v in there if (v["attributes"]["key"], v["attributes"]["category"]) == named), None)
        if found is None:
            self.create(f"workspaces/{workspace}/vars", "vars", attributes)
            return True
        known = found["attributes"]
        if not known["sensitive"] and all(known.get(key) == value for key, value in attributes.items()):
            return False
        if known["sensitive"] and not attributes.get("sensitive"):  # a variable never becomes readable again
            self.request("DELETE", f"workspaces/{workspace}/vars/{found['id']}")
            self.create(f"workspaces/{workspace}/vars", "vars", attributes)
            return True
        self.update(f"workspaces/{workspace}/vars/{found['id']}", "vars", attributes)
        return True

    def ensure_trigger(self, workspace: str, source: str) -> bool:
        """Applying `source` queues a run in `workspace`. Whether the trigger is new."""
        path = f"workspaces/{workspace}/run-triggers"
        for each in self.every(path, {"filter[run-trigger][type]": "inbound"}):
            if each["relationships"]["sourceable"]["data"]["id"] == source:
                return False
        relationships = {"sourceable": {"data": {"type": "workspaces", "id": source}}}
        self.request("POST", path, {"data": {"type": "run-triggers", "attributes": {}, "relationships": relationships}})
        return True

    def current_state(self, workspace: str) -> Resource | None:
        """The current state version, or None before the first."""
        return self.read(f"workspaces/{workspace}/current-state-version")

    def outputs(self, workspace: str) -> dict[str, Any]:
        """Output values by name, sensitive ones too; {} before the first state."""
        try:
            listed = self.request("GET", f"workspaces/{workspace}/current-state-version-outputs")["data"]
        except TfeRefused as error:
            if error.status == 404:
                return {}
            raise
        found = {}
        for each in listed:
            attributes = each["attributes"]
            if attributes["sensitive"]:
                attributes = self.request("GET", f"state-version-outputs/{each['id']}")["data"]["attributes"]
            found[attributes["name"]] = attributes["value"]
        return found

    def state(self, workspace: str) -> dict[str, Any]:
        """The whole current state; {} before the first."""
        version = self.current_state(workspace)
        if version is None:
            return {}
        url = version["attributes"]["hosted-state-download-url"]
        whole: dict[str, Any] = json.loads(self.download(url, authorized=True))
        return whole

    def push_state(self, workspace: str, state: bytes) -> None:
        """Make a state file the workspace's current state version."""
        known = json.loads(state)
        attributes = {
            "serial": known["serial"],
            "lineage": known["lineage"],
            "md5": hashlib.md5(state, usedforsecurity=False).hexdigest(),
            "state": base64.b64encode(state).decode(),
        }
        self.request("POST", f"workspaces/{workspace}/actions/lock", {"reason": "haechi moves a local state here"})
        try:
            self.create(f"workspaces/{workspace}/state-versions", "state-versions", attributes)
        finally:
            self.request("POST", f"workspaces/{workspace}/actions/unlock")
