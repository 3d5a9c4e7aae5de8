"""sentinel.hcl and test case files, in HCL or JSON: policies with their enforcement levels, modules, mocks, parameters, tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from haechi.hcl import HclError, blocks, parse_hcl, plain
from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.evaluation import Import, Module
from haechi.tfe.policy.sentinel.parser import MAX_TEXT
from haechi.tfe.policy.sentinel.terraform import imports_of_plan

Level = Literal["advisory", "soft-mandatory", "hard-mandatory"]
LEVELS: tuple[Level, ...] = ("advisory", "soft-mandatory", "hard-mandatory")
MAX_DATA = 64 << 20  # bytes of a static import or a plan


@dataclass(frozen=True)
class Policy:
    """One `policy` block; `source` is relative to the file it stands in."""

    name: str
    source: str
    level: Level = "advisory"
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Config:
    """What one file says. Sources and plans are paths relative to it, or remote addresses, which are refused when they are read."""

    policies: list[Policy] = field(default_factory=list)
    modules: dict[str, str] = field(default_factory=dict)  # name -> source, mocks that are modules included
    statics: dict[str, Any] = field(default_factory=dict)  # name -> plain data
    static_files: dict[str, str] = field(default_factory=dict)  # name -> JSON file
    plans: dict[str, str] = field(default_factory=dict)  # tfplan/v2 and the like -> a file of `terraform show -json`
    plugins: list[str] = field(default_factory=list)  # names of imports that are programs, which are not run
    params: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)  # globals
    test: dict[str, Any] = field(default_factory=dict)  # rule -> expected value


def parse_config(text: str, name: str) -> Config:
    """The configuration in `text`; `name` is its file's, for errors. PolicyError of kind "config"."""
    try:
        found = _from_json(text) if text.lstrip().startswith("{") else _from_hcl(text)
        config = Config()
        for key, value in found["policy"].items():
            config.policies.append(_policy(key, value))
        for key, value in found["module"].items():
            config.modules[key] = _text(value, "source", f"module {key!r}")
        for key, value in found["mock"].items():
            _add_mock(config, key, value)
        for kind, names in found["import"].items():
            for key, value in names.items():
                _add_import(config, kind, key, value)
        config.params = {key: _value(value) for key, value in found["param"].items()}
        config.given = {key: _value(value) for key, value in found["global"].items()}
        rules = found["test"].get("rules", found["test"])
        config.test = rules if isinstance(rules, dict) else {}
    except (HclError, _Fault) as error:
        raise PolicyError(str(error), "config", name) from None
    return config


class _Fault(ValueError):
    pass


_KINDS = ("policy", "module", "mock", "import", "param", "global", "test")


def _from_hcl(text: str) -> dict[str, dict[str, Any]]:
    body = parse_hcl(text, literals=True)
    found: dict[str, dict[str, Any]] = {kind: {} for kind in _KINDS}
    for kind in ("policy", "module", "mock", "param", "global"):
        for (name,), block in blocks(body, kind, 1):
            if name in found[kind]:
                raise _Fault(f"{kind} {name!r} is there twice")
            found[kind][name] = plain(block)
    for (kind, name), block in blocks(body, "import", 2):
        found["import"].setdefault(kind, {})[name] = plain(block)
    for (), block in blocks(body, "test"):
        found["test"].update(plain(block))
    for key in body:
        if key not in (*_KINDS, "sentinel"):
            raise _Fault(f"unsupported block {key!r}")
    return found


def _from_json(text: str) -> dict[str, dict[str, Any]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _Fault("neither HCL nor a JSON object")
    document["module"] = document.get("module", document.get("modules", {}))
    found: dict[str, dict[str, Any]] = {}
    for kind in _KINDS:
        value = document.get(kind, {})
        if isinstance(value, list) and all(isinstance(each, dict) for each in value):
            value = {key: each for block in value for key, each in block.items()}
        if not isinstance(value, dict):
            raise _Fault(f"{kind!r} must be an object")
        found[kind] = value
    for kind, names in found["import"].items():
        if not isinstance(names, dict):
            raise _Fault(f"import {kind!r} must be an object")
    return found


def _value(value: Any) -> Any:
    """`param "x" { value = 1 }` as HCL has it, or the value itself as the older JSON has it."""
    return value["value"] if isinstance(value, dict) and set(value) == {"value"} else value


def _text(value: Any, key: str, what: str) -> str:
    found = value.get(key, value.get("path") if key == "source" else None) if isinstance(value, dict) else None
    if not isinstance(found, str) or not found:
        raise _Fault(f"{what} needs a {key}")
    return found


def _policy(name: str, value: Any) -> Policy:
    value = value if isinstance(value, dict) else {}
    level, params = value.get("enforcement_level", "advisory"), value.get("params", {})
    if level not in LEVELS:
        raise _Fault(f"policy {name!r}: enforcement_level must be one of {', '.join(LEVELS)}")
    if not isinstance(params, dict):
        raise _Fault(f"policy {name!r}: params must be a map")
    source = value.get("source", f"./{name}.sentinel")
    if not isinstance(source, str) or not name or "/" in name or "\0" in source:
        raise _Fault(f"policy {name!r}: no name or source of a policy")
    return Policy(name, source, level, params)


def _add_mock(config: Config, name: str, value: Any) -> None:
    if isinstance(value, str):
        config.modules[name] = value
    elif isinstance(value, dict) and set(value) == {"module"}:
        config.modules[name] = _text(value["module"], "source", f"mock {name!r}")
    elif isinstance(value, dict) and set(value) == {"data"} and isinstance(value["data"], dict):
        config.statics[name] = value["data"]
    elif isinstance(value, dict):
        config.statics[name] = value
    else:
        raise _Fault(f"mock {name!r} needs a module or data")


def _add_import(config: Config, kind: str, name: str, value: Any) -> None:
    what = f"import {kind!r} {name!r}"
    if kind == "module":
        config.modules[name] = _text(value, "source", what)
    elif kind == "static":
        if not isinstance(value, dict) or value.get("format", "json") != "json":
            raise _Fault(f"{what}: the only format is json")
        config.static_files[name] = _text(value, "source", what)
    elif kind == "plugin" and isinstance(value, dict):
        settings = value.get("config", {})
        plan = settings.get("plan") if isinstance(settings, dict) else None
        if isinstance(plan, str):
            config.plans[name] = plan
        else:
            config.plugins.append(name)
    else:
        raise _Fault(f"{what}: an import is a module, static or plugin")


def read_config(path: Path) -> Config:
    """A configuration file. PolicyError when it cannot be read."""
    return parse_config(read_text(path), path.name)


def read_text(path: Path, most: int = MAX_TEXT) -> str:
    """A file of at most so many bytes. PolicyError of kind "config" for anything else."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no path"
        raise PolicyError(f"cannot read {path.name}: {reason}", "config") from None
    if len(data) > most:
        raise PolicyError(f"{path.name} is longer than {most} bytes", "config")
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise PolicyError(f"{path.name} is no UTF-8", "config") from None


def source_path(source: str, directory: Path, root: Path | None) -> Path:
    """Where a source lies that stands in a file of `directory`. PolicyError where it is remote, or outside of `root`."""
    if "://" in source or "::" in source or source.startswith(("git@", "github.com/")):
        raise PolicyError(f"remote source {source!r} is not fetched", "config")
    if "\0" in source:
        raise PolicyError("no path", "config")
    path = directory / source
    if root is not None and not path.resolve().is_relative_to(root.resolve()):
        raise PolicyError(f"source {source!r} lies outside of the policy set", "config")
    return path


def read_imports(config: Config, directory: Path, root: Path | None = None) -> dict[str, Import]:
    """What stands behind the imports of a configuration that lies in `directory`; with `root` no file outside of it is read."""
    found: dict[str, Import] = {name: _no_plugin for name in config.plugins}
    for name, source in config.modules.items():
        path = source_path(source, directory, root)
        found[name] = Module(path.name, read_text(path))
    for name, data in config.statics.items():
        found[name] = data
    for name, source in config.static_files.items():
        found[name] = _json_file(source_path(source, directory, root))
    for name, source in config.plans.items():
        imports = imports_of_plan(_json_file(source_path(source, directory, root)))
        if name not in imports:
            raise PolicyError(f"import {name!r} is none of terraform's", "config")
        found[name] = imports[name]
    return found


def _no_plugin() -> dict[str, Any]:
    raise PolicyError("the import is a program, and programs of policy sets are not run")


def _json_file(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(read_text(path, MAX_DATA))
    except (ValueError, RecursionError):
        raise PolicyError(f"{path.name} is no JSON", "config") from None
    if not isinstance(data, dict):
        raise PolicyError(f"{path.name} must hold a JSON object", "config")
    return data
