"""tfplan in its first version: resources by module, type, name and index, with differences as the flat texts of old Terraform.

Whether an unknown attribute is a list, a map or neither cannot be seen in a plan, unless its old value tells; then `x`, `x.#` and `x.%` are
all given as computed.
"""

from __future__ import annotations

import json
from typing import Any

from haechi.tfe.policy.sentinel.terraform.shape import Found, finder, module_path
from haechi.tfe.policy.sentinel.terraform.tfconfig_v1 import tfconfig_v1
from haechi.tfe.policy.sentinel.terraform.tfstate import tfstate_v1


def tfplan_v1(plan: Found) -> dict[str, Any]:
    """The import's data; `module(path)` is null for a module without changes."""
    modules: dict[tuple[str, ...], dict[str, Any]] = {}
    for each in plan.get("resource_changes") or []:
        actions = each["change"].get("actions", [])
        if actions == ["no-op"] or each.get("deposed"):
            continue
        path = tuple(module_path(each.get("module_address", "")))
        module = modules.setdefault(path, {"path": list(path), "resources": {}, "data": {}})
        kind = "data" if each.get("mode") == "data" else "resources"
        by_name = module[kind].setdefault(each["type"], {})
        index = each.get("index")
        by_name.setdefault(each["name"], {})[0 if index is None else index] = _resource(each["change"], actions)

    root = modules.get((), {"path": [], "resources": {}, "data": {}})
    return {
        "terraform_version": plan.get("terraform_version", ""),
        "variables": {name: _primitive(each.get("value")) for name, each in (plan.get("variables") or {}).items()},
        "module_paths": [list(path) for path in modules],
        "module": finder(modules),
        "config": tfconfig_v1(plan),
        "state": tfstate_v1(plan),
        **root,
    }


def _primitive(value: Any) -> Any:
    return value if isinstance(value, list | dict) else _text(value)


def _resource(change: Found, actions: list[str]) -> dict[str, Any]:
    destroy = "delete" in actions
    replace = destroy and "create" in actions
    found: dict[str, Any] = {"destroy": destroy, "requires_new": replace, "diff": {}}
    if destroy and not replace:
        return found
    before, after = change.get("before") or {}, change.get("after") or {}
    found["applied"] = after
    old, new, unknown = dict[str, str](), dict[str, str](), dict[str, None]()
    for key, value in before.items():
        _flatten(key, value, old)
    for key, value in after.items():
        _flatten(key, value, new)
    for key, value in (change.get("after_unknown") or {}).items():
        _unknown(key, value, before.get(key), unknown)
    for key in sorted({*old, *new, *unknown}):
        computed = key in unknown
        entry = {"old": old.get(key, ""), "new": "" if computed else new.get(key, ""), "computed": computed}
        if computed or entry["old"] != entry["new"] or not before:
            found["diff"][key] = entry
    return found


def _text(value: Any) -> str:
    """A primitive as old Terraform wrote it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _flatten(key: str, value: Any, into: dict[str, str]) -> None:
    if isinstance(value, list):
        into[f"{key}.#"] = str(len(value))
        for at, each in enumerate(value):
            _flatten(f"{key}.{at}", each, into)
    elif isinstance(value, dict):
        into[f"{key}.%"] = str(len(value))
        for name, each in value.items():
            _flatten(f"{key}.{name}", each, into)
    else:
        into[key] = _text(value)


def _unknown(key: str, value: Any, old: Any, into: dict[str, None]) -> bool:
    """Notes what is unknown at and below a key; whether anything is."""
    if value is True:
        kinds = [".#"] if isinstance(old, list) else [".%"] if isinstance(old, dict) else ["", ".#", ".%"] if old is None else [""]
        into.update(dict.fromkeys(key + each for each in kinds))
        return True
    if isinstance(value, list):
        items = old if isinstance(old, list) else []
        return any([_unknown(f"{key}.{at}", each, items[at] if at < len(items) else None, into) for at, each in enumerate(value)])
    if isinstance(value, dict):
        held = old if isinstance(old, dict) else {}
        if any([_unknown(f"{key}.{name}", each, held.get(name), into) for name, each in value.items()]):
            into[f"{key}.%"] = None
            return True
    return False
