"""tfconfig/v2: the configuration as flat collections. Expressions keep the plan's form: constant_value or references."""

from __future__ import annotations

from typing import Any

from haechi.tfe.policy.sentinel.terraform.shape import Found, config_address, each_config, strip_index


def tfconfig_v2(plan: Found) -> dict[str, Any]:
    """The import's data. Keys are addresses; of variables, outputs and module calls "name", or "module.a:name" in a module."""
    found: dict[str, Any] = {each: {} for each in ("providers", "resources", "provisioners", "variables", "outputs", "module_calls")}
    for key, each in ((plan.get("configuration") or {}).get("provider_config") or {}).items():
        found["providers"][key] = {
            "provider_config_key": key,
            "name": each.get("name", ""),
            "full_name": each.get("full_name", ""),
            "alias": each.get("alias", ""),
            "module_address": each.get("module_address", ""),
            "config": each.get("expressions", {}),
            "version_constraint": each.get("version_constraint", ""),
        }
    for path, module in each_config(plan):
        address = config_address(path)
        prefix = f"{address}:" if address else ""
        for each in module.get("resources", []):
            _add_resource(found, each, address)
        for name, each in module.get("variables", {}).items():
            found["variables"][prefix + name] = {
                "module_address": address,
                "name": name,
                "default": each.get("default"),
                "description": each.get("description", ""),
            }
        for name, each in module.get("outputs", {}).items():
            found["outputs"][prefix + name] = {
                "module_address": address,
                "name": name,
                "sensitive": each.get("sensitive", False),
                "value": each.get("expression", {}),
                "description": each.get("description", ""),
                "depends_on": each.get("depends_on", []),
            }
        for name, each in module.get("module_calls", {}).items():
            found["module_calls"][prefix + name] = {
                "module_address": address,
                "name": name,
                "source": each.get("source", ""),
                "config": each.get("expressions", {}),
                "count": each.get("count_expression", {}),
                "for_each": each.get("for_each_expression", {}),
                "depends_on": each.get("depends_on", []),
                "version_constraint": each.get("version_constraint", ""),
            }
    found["strip_index"] = lambda address="": strip_index(address) if isinstance(address, str) else None
    return found


def _add_resource(found: dict[str, Any], each: Found, module_address: str) -> None:
    address = f"{module_address}.{each['address']}" if module_address else each["address"]
    keys = []
    for at, provisioner in enumerate(each.get("provisioners") or []):
        keys.append(f"{address}:{at}")
        found["provisioners"][keys[-1]] = {
            "resource_address": address,
            "type": provisioner.get("type", ""),
            "index": at,
            "config": provisioner.get("expressions", {}),
        }
    found["resources"][address] = {
        "address": address,
        "module_address": module_address,
        "mode": each.get("mode", "managed"),
        "type": each.get("type", ""),
        "name": each.get("name", ""),
        "provider_config_key": each.get("provider_config_key", ""),
        "provisioners": keys,
        "config": each.get("expressions", {}),
        "count": each.get("count_expression", {}),
        "for_each": each.get("for_each_expression", {}),
        "depends_on": each.get("depends_on", []),
    }
