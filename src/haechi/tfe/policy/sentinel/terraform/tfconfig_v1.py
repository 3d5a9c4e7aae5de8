"""tfconfig in its first version: the configuration by module, constants under `config` and what else is named under `references`."""

from __future__ import annotations

from typing import Any

from haechi.tfe.policy.sentinel.terraform.shape import Found, config_address, each_config, finder


def tfconfig_v1(plan: Found) -> dict[str, Any]:
    """The import's data; `module(path)` is null for a module that is not there."""
    modules = {tuple(path): _module(plan, path, module) for path, module in each_config(plan)}

    return {"module_paths": [list(path) for path in modules], "module": finder(modules), **modules[()]}


def _module(plan: Found, path: list[str], module: Found) -> dict[str, Any]:
    found: dict[str, Any] = {"resources": {}, "data": {}, "modules": {}, "outputs": {}, "providers": {}, "variables": {}}
    for each in module.get("resources", []):
        kind = found["data" if each.get("mode") == "data" else "resources"]
        provisioners = [{"type": one.get("type", ""), **_block(one.get("expressions"))} for one in each.get("provisioners") or []]
        kind.setdefault(each["type"], {})[each["name"]] = {**_block(each.get("expressions")), "provisioners": provisioners or None}
    for name, each in module.get("module_calls", {}).items():
        found["modules"][name] = {
            **_block(each.get("expressions")),
            "source": each.get("source", ""),
            "version": each.get("version_constraint", ""),
        }
    for name, each in module.get("outputs", {}).items():
        expression = each.get("expression") or {}
        found["outputs"][name] = {
            "depends_on": each.get("depends_on", []),
            "description": each.get("description", ""),
            "sensitive": each.get("sensitive", False),
            "value": expression.get("constant_value"),
            "references": expression.get("references", []),
        }
    for name, each in module.get("variables", {}).items():
        found["variables"][name] = {"default": each.get("default"), "description": each.get("description", "")}
    for each in ((plan.get("configuration") or {}).get("provider_config") or {}).values():
        if each.get("module_address", "") == config_address(path):
            block = {**_block(each.get("expressions")), "version": each.get("version_constraint", "")}
            held = found["providers"].setdefault(each.get("name", ""), {"alias": {}, "config": {}, "references": {}, "version": ""})
            if each.get("alias"):
                held["alias"][each["alias"]] = block
            else:
                held.update(block)
    return found


def _block(expressions: Found | None) -> dict[str, Any]:
    """{config, references} of a block's expressions."""
    config, references = dict[str, Any](), dict[str, Any]()
    for key, each in (expressions or {}).items():
        constant, named = _split(each)
        if constant is not None:
            config[key] = constant
        if named:
            references[key] = named
    return {"config": config, "references": references}


def _split(expression: Any) -> tuple[Any, Any]:
    """The constant part of an expression or of nested blocks, and what it names."""
    if isinstance(expression, list):
        blocks = [_block(each) for each in expression if isinstance(each, dict)]
        return [each["config"] for each in blocks], [each["references"] for each in blocks if each["references"]]
    if not isinstance(expression, dict):
        return None, None
    if "references" in expression or "constant_value" in expression or not expression:
        return expression.get("constant_value"), expression.get("references")
    block = _block(expression)
    return [block["config"]], [block["references"]] if block["references"] else []
