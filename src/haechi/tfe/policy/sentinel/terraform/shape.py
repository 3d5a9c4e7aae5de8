"""What the shapes of several imports share: addresses, module paths, resources of a values document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Found = Mapping[str, Any]
_INDEX = re.compile(r'\[(?:"(?:[^"\\]|\\.)*"|[0-9]+)\]')


def strip_index(address: str) -> str:
    """An address without the indices of `count` and `for_each`."""
    return _INDEX.sub("", address)


def module_path(address: str) -> list[str]:
    """The names of a module's address: `module.a.module.b` is ["a", "b"]."""
    return [each for each in strip_index(address).split(".") if each][1::2]


def each_module(document: Found | None) -> Iterator[tuple[str, Found]]:
    """(address, module) of a `values` document's root module and all below it."""
    waiting = [document.get("root_module") or {}] if document else []
    while waiting:
        module = waiting.pop(0)
        yield module.get("address", ""), module
        waiting += module.get("child_modules", [])


def each_config(plan: Found) -> Iterator[tuple[list[str], Found]]:
    """(path, module) of the configuration's root module and all that it calls."""
    waiting: list[tuple[list[str], Found]] = [([], (plan.get("configuration") or {}).get("root_module") or {})]
    while waiting:
        path, module = waiting.pop(0)
        yield path, module
        waiting += [([*path, name], call.get("module") or {}) for name, call in module.get("module_calls", {}).items()]


def finder(modules: Mapping[tuple[str, ...], Any]) -> Callable[..., Any]:
    """The `module(path)` function of the first versions: null for a module that is not there."""

    def module(path: Any = None) -> Any:
        return modules.get(tuple(path)) if isinstance(path, list) and all(isinstance(each, str) for each in path) else None

    return module


def config_address(path: list[str]) -> str:
    return ".".join(f"module.{each}" for each in path)


def resources_of(document: Found | None) -> dict[str, Any]:
    """address -> resource, of a `values` document, as tfplan/v2 and tfstate/v2 give them."""
    found = {}
    for module_address, module in each_module(document):
        for each in module.get("resources", []):
            deposed = each.get("deposed_key", "")
            found[each["address"] + (f":{deposed}" if deposed else "")] = {
                "address": each["address"],
                "module_address": module_address,
                "mode": each.get("mode", "managed"),
                "type": each.get("type", ""),
                "name": each.get("name", ""),
                "index": each.get("index"),
                "provider_name": each.get("provider_name", ""),
                "values": each.get("values", {}),
                "depends_on": each.get("depends_on", []),
                "tainted": each.get("tainted", False),
                "deposed_key": deposed,
            }
    return found


def outputs_of(document: Found | None) -> dict[str, Any]:
    """name -> {name, sensitive, value}."""
    outputs = (document or {}).get("outputs", {})
    return {name: {"name": name, "sensitive": each.get("sensitive", False), "value": each.get("value")} for name, each in outputs.items()}
