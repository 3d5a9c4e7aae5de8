"""tfplan/v2."""

from __future__ import annotations

from typing import Any

from haechi.tfe.policy.sentinel.terraform.shape import Found, outputs_of, resources_of


def tfplan_v2(plan: Found) -> dict[str, Any]:
    """The import's data: changes by address, planned values, variables, outputs and the raw plan."""
    outputs = plan.get("output_changes") or {}
    variables = plan.get("variables") or {}
    return {
        "terraform_version": plan.get("terraform_version", ""),
        "variables": {name: {"name": name, "value": each.get("value")} for name, each in variables.items()},
        "planned_values": {"outputs": outputs_of(plan.get("planned_values")), "resources": resources_of(plan.get("planned_values"))},
        "resource_changes": _changes(plan.get("resource_changes")),
        "resource_drift": _changes(plan.get("resource_drift")),
        "output_changes": {name: {"name": name, "change": _change(each)} for name, each in outputs.items()},
        "raw": dict(plan),
    }


def _changes(changes: list[Found] | None) -> dict[str, Any]:
    found = {}
    for each in changes or []:
        deposed = each.get("deposed", "")
        found[each["address"] + (f":{deposed}" if deposed else "")] = {
            "address": each["address"],
            "module_address": each.get("module_address", ""),
            "mode": each.get("mode", "managed"),
            "type": each.get("type", ""),
            "name": each.get("name", ""),
            "index": each.get("index"),
            "provider_name": each.get("provider_name", ""),
            "deposed": deposed,
            "change": _change(each["change"]),
        }
    return found


def _change(change: Found) -> dict[str, Any]:
    return {
        "actions": change.get("actions", []),
        "before": change.get("before"),
        "after": change.get("after"),
        "after_unknown": change.get("after_unknown", {}),
    }
