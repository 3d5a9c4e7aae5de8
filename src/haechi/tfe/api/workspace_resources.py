"""Resources of a workspace, as its current state has them.

https://developer.hashicorp.com/terraform/enterprise/api-docs/workspace-resources
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from haechi.tfe.api.call import Answer, Call, Route, listed
from haechi.tfe.jsonapi import Document, resource
from haechi.tfe.state.document import parse_state
from haechi.tfe.state.versions import current_state, find_current
from haechi.tfe.workspaces import find_workspace


def list_resources(call: Call) -> Answer:
    """workspaces/:id/resources; nothing where there is no state"""
    with call.store.read() as tx:
        workspace = find_workspace(tx, call.caller, call.path["id"], "read-state-versions")
        version, data = find_current(tx, workspace.id), current_state(tx, workspace.id)
    found: list[Document] = []
    if version is not None and data is not None:
        found = [_render(item, instance, version) for item in parse_state(data).resources for instance in _instances(item)]
    page = call.page
    return listed(found[page.offset : page.offset + page.size], page, len(found))


def _instances(item: dict[str, Any]) -> Iterator[Any]:
    """The index of each instance; None of the only one."""
    for instance in item.get("instances") or []:
        yield instance.get("index_key") if isinstance(instance, dict) else None


def _render(item: dict[str, Any], index: Any, version: Any) -> Document:
    module = str(item.get("module") or "root")
    kind = f"data.{item['type']}" if item.get("mode") == "data" else str(item["type"])
    key = "" if index is None else f"[{index}]" if isinstance(index, int) else f'["{index}"]'
    address = f"{'' if module == 'root' else module + '.'}{kind}.{item['name']}{key}"
    attributes = {
        "address": address,
        "name": item["name"],
        "created-at": version.created_at,  # of the state: it does not tell when each resource came
        "updated-at": version.created_at,
        "module": module,
        "provider": str(item.get("provider") or "").removeprefix('provider["').removesuffix('"]').removeprefix("registry.terraform.io/"),
        "provider-type": kind,
        "modified-by-state-version-id": version.id,
        "name-index": None if index is None else str(index),
    }
    return resource("resources", f"wsr-{version.id.removeprefix('sv-')}-{address}", attributes)


ROUTES: list[Route] = [("GET", "/workspaces/{id}/resources", list_resources)]
