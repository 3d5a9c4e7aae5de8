"""tfrun: what is known of the run, its workspace and organization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_RUN: dict[str, Any] = {
    "id": "",
    "created_at": "",
    "created_by": "",
    "message": "",
    "commit_sha": "",
    "speculative": False,
    "is_destroy": False,
    "refresh": True,
    "refresh_only": False,
    "replace_addrs": [],
    "target_addrs": [],
    "variables": {},
    "cost_estimate": {"prior_monthly_cost": "", "proposed_monthly_cost": "", "delta_monthly_cost": ""},
}
_ORGANIZATION: dict[str, Any] = {"name": ""}
_PROJECT: dict[str, Any] = {"id": "", "name": ""}
_WORKSPACE: dict[str, Any] = {
    "id": "",
    "name": "",
    "created_at": "",
    "description": "",
    "execution_mode": "remote",
    "auto_apply": False,
    "tags": [],
    "tag_bindings": [],
    "working_directory": "",
    "vcs_repo": None,
}


def tfrun(run: Mapping[str, Any]) -> dict[str, Any]:
    """The import's data: what `run` says, and the fields it leaves out with the values they have when nothing is known."""
    return {
        **_RUN,
        **run,
        "organization": {**_ORGANIZATION, **run.get("organization", {})},
        "project": {**_PROJECT, **run.get("project", {})},
        "workspace": {**_WORKSPACE, **run.get("workspace", {})},
    }
