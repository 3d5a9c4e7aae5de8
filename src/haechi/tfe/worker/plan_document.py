"""What `terraform show -json PLAN` says: whether there is something to do, how much, and the same document for a client's eyes. Pure."""

from __future__ import annotations

from typing import Any

from haechi.tfe.runs.lifecycle import PlanResult

Plan = dict[str, Any]
RENDERED = ("resource_changes", "resource_drift", "output_changes", "relevant_attributes", "deferred_changes")


def read_result(plan: Plan, refresh_only: bool) -> PlanResult:
    """The result of a finished plan."""
    additions = changes = destructions = imports = 0
    for change in plan.get("resource_changes") or []:
        if change.get("mode") == "data":
            continue
        actions = change["change"]["actions"]
        additions += "create" in actions
        destructions += "delete" in actions
        changes += "update" in actions
        imports += "importing" in change["change"]
    outputs = any(c["actions"] != ["no-op"] for c in (plan.get("output_changes") or {}).values())
    moved = any(c.get("previous_address") for c in plan.get("resource_changes") or [])
    forgotten = any("forget" in c["change"]["actions"] for c in plan.get("resource_changes") or [])
    drift = refresh_only and bool(plan.get("resource_drift"))
    changed = bool(additions or changes or destructions or imports or outputs or moved or forgotten or drift)
    return PlanResult("finished", changed and plan.get("applyable", True) is not False, additions, changes, destructions, imports)


def render_redacted(plan: Plan, schemas: Plan | None = None) -> Plan:
    """What a client renders a plan from: changes with sensitive values blanked, and the schemas of what changes."""
    found: Plan = {
        "plan_format_version": plan.get("format_version"),
        "provider_format_version": (schemas or {}).get("format_version", "1.0"),
    }
    for name in RENDERED:
        if plan.get(name):
            found[name] = plan[name]
    for name in ("resource_changes", "resource_drift"):
        found[name] = [{**each, "change": _blanked(each["change"])} for each in found.get(name, [])]
    found["output_changes"] = {name: _blanked(change) for name, change in found.get("output_changes", {}).items()}
    found["provider_schemas"] = _used((schemas or {}).get("provider_schemas") or {}, plan)
    return found


def _blanked(change: Plan) -> Plan:
    blanked = dict(change)
    for side in ("before", "after"):
        if side in change:
            blanked[side] = _blank(change[side], change.get(f"{side}_sensitive"))
    return blanked


def _blank(value: Any, mask: Any) -> Any:
    """null in place of everything that the mask calls sensitive."""
    if mask is True:
        return None
    if isinstance(value, dict) and isinstance(mask, dict):
        return {key: _blank(item, mask.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(mask, list):
        return [_blank(item, mask[i] if i < len(mask) else None) for i, item in enumerate(value)]
    return value


def _used(schemas: Plan, plan: Plan) -> Plan:
    """Schemas of the types that appear: those of a large provider are megabytes."""
    types: dict[str, set[str]] = {}
    for change in [*(plan.get("resource_changes") or []), *(plan.get("resource_drift") or [])]:
        types.setdefault(change["provider_name"], set()).add(change["type"])
    found: Plan = {}
    for provider, used in types.items():
        whole = schemas.get(provider) or {}
        kinds = {
            kind: {t: s for t, s in (whole.get(kind) or {}).items() if t in used} for kind in ("resource_schemas", "data_source_schemas")
        }
        found[provider] = {"provider": whole.get("provider", {}), **kinds}
    return found
