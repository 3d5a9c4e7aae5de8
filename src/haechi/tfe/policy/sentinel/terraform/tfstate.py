"""tfstate in both versions, from the plan's prior state."""

from __future__ import annotations

from typing import Any

from haechi.tfe.policy.sentinel.terraform.shape import Found, each_module, finder, module_path, outputs_of, resources_of


def tfstate_v2(plan: Found) -> dict[str, Any]:
    """The import's data: resources by address, outputs by name."""
    state = plan.get("prior_state") or {}
    return {
        "terraform_version": state.get("terraform_version", ""),
        "outputs": outputs_of(state.get("values")),
        "resources": resources_of(state.get("values")),
    }


def tfstate_v1(plan: Found) -> dict[str, Any]:
    """The import's data; `module(path)` is null for a module that is not in the state."""
    state = plan.get("prior_state") or {}
    values = state.get("values") or {}
    modules: dict[tuple[str, ...], dict[str, Any]] = {}
    for address, module in each_module(values):
        path = tuple(module_path(address))
        found = modules.setdefault(path, {"path": list(path), "resources": {}, "data": {}, "outputs": {}})
        for each in module.get("resources", []):
            attributes = each.get("values", {})
            index = each.get("index")
            kind = found["data" if each.get("mode") == "data" else "resources"]
            kind.setdefault(each["type"], {}).setdefault(each["name"], {})[0 if index is None else index] = {
                "attr": attributes,
                "depends_on": each.get("depends_on", []),
                "id": attributes.get("id", ""),
                "tainted": each.get("tainted", False),
            }
    for name, each in values.get("outputs", {}).items():
        value = each.get("value")
        kind = "map" if isinstance(value, dict) else "list" if isinstance(value, list) else "string"
        modules[()]["outputs"][name] = {"sensitive": each.get("sensitive", False), "type": kind, "value": value}

    root = modules.get((), {"path": [], "resources": {}, "data": {}, "outputs": {}})
    return {
        "terraform_version": state.get("terraform_version", ""),
        "module_paths": [list(path) for path in modules],
        "module": finder(modules),
        **root,
    }
