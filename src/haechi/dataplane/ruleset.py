"""A table of packet rules as a value: written out whole, as the difference between two, or compared with the kernel's.

Texts are for `nft -f`, which loads all of one text or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from haechi.dataplane import kernel


@dataclass(frozen=True)
class Set:
    """A named set, or a map when `kind` is "map". Values of a set's elements are ""."""

    type: str  # "ipv4_addr", or for a map "ifname : verdict"
    elements: Mapping[str, str] = field(default_factory=dict)
    kind: str = "set"


@dataclass(frozen=True)
class Ruleset:
    """One table. A chain's header ("type filter hook ...") never changes during the life of the table."""

    family: str
    table: str
    sets: Mapping[str, Set] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  # of base chains
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # rules by chain, base chains too; those that are jumped to first
    counters: frozenset[str] = frozenset()  # named ones; they keep counting through changes

    @property
    def name(self) -> str:
        return f"{self.family} {self.table}"


def render_whole(rules: Ruleset) -> str:
    """Text that puts the table in place of whatever had its name. Tracked connections live through it."""
    lines = [f"table {rules.name}", f"delete table {rules.name}", f"table {rules.name} {{"]
    lines += [f" counter {name} {{\n }}" for name in sorted(rules.counters)]
    for name, one in rules.sets.items():
        lines += [f" {one.kind} {name} {{", f"  type {one.type}"]
        lines += [f"  elements = {{ {_elements(one.elements.items())} }}"] if one.elements else []
        lines += [" }"]
    for name, body in rules.chains.items():
        lines += [f" chain {name} {{"]
        lines += [f"  {rules.headers[name]}"] if name in rules.headers else []
        lines += [f"  {rule}" for rule in body]
        lines += [" }"]
    return "\n".join([*lines, "}", ""])


def render_change(old: Ruleset, new: Ruleset) -> str:
    """Text that turns `old` into `new`, both of one table; "" when they are the same."""
    return "".join(f"{line}\n" for line in _change(old, new))


def _change(old: Ruleset, new: Ruleset) -> Iterator[str]:
    table = new.name
    for name in sorted(new.counters - old.counters):
        yield f"add counter {table} {name}"
    for name in new.chains.keys() - old.chains.keys():
        yield f"add chain {table} {name}"
    for name in new.sets.keys() - old.sets.keys():
        yield f"add {new.sets[name].kind} {table} {name} {{ type {new.sets[name].type}; }}"
    for name, body in new.chains.items():
        if body != old.chains.get(name, ()):
            if name in old.chains:
                yield f"flush chain {table} {name}"
            for rule in body:
                yield f"add rule {table} {name} {rule}"
    gone = [name for name in old.chains if name not in new.chains]
    for name in gone:
        yield f"flush chain {table} {name}"
    for name, one in new.sets.items():
        before = old.sets[name].elements if name in old.sets else {}
        removed = [key for key, value in before.items() if one.elements.get(key) != value]
        added = [(key, value) for key, value in one.elements.items() if before.get(key) != value]
        if removed:
            yield f"delete element {table} {name} {{ {', '.join(removed)} }}"
        if added:
            yield f"add element {table} {name} {{ {_elements(added)} }}"
    for name in gone:
        yield f"delete chain {table} {name}"
    for name in old.sets.keys() - new.sets.keys():
        yield f"delete {old.sets[name].kind} {table} {name}"
    for name in sorted(old.counters - new.counters):
        yield f"delete counter {table} {name}"


def _elements(items: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{key} : {value}" if value else key for key, value in items)


def differs(rules: Ruleset, netns: str = "") -> bool:
    """Whether the kernel has something else than `rules`: compared with what it lists after loading them in an empty namespace."""
    prefix = ("ip", "netns", "exec", netns) if netns else ()
    try:
        actual = kernel.run(*prefix, "nft", "-j", "list", "table", rules.family, rules.table)
    except kernel.KernelError as error:
        if "No such file" not in str(error):
            raise
        return True
    script = f"nft -f - && nft -j list table {rules.name}"
    wanted = kernel.run("unshare", "--net", "sh", "-c", script, stdin=render_whole(rules))
    return _parse_listing(actual) != _parse_listing(wanted)


def _parse_listing(text: str) -> dict[str, Any]:
    """`nft -j list table` without what differs between two loads of the same text: handles, order of chains and elements."""
    content: dict[str, Any] = {}
    for item in json.loads(text)["nftables"]:
        kind, value = next(iter(item.items()))
        value.pop("handle", None)
        if kind == "counter":
            value.update(packets=0, bytes=0)
        if kind == "rule":
            content.setdefault(f"rules {value['chain']}", []).append(value)
        elif kind in ("chain", "set", "map"):
            value["elem"] = sorted(json.dumps(element) for element in value.get("elem", []))
            content[f"{kind} {value['name']}"] = value
        elif kind != "metainfo":
            content[f"{kind} {value.get('name')}"] = value
    return content
