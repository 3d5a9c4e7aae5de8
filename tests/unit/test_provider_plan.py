"""What is planned from a configuration and a state, and what is refused before."""

from __future__ import annotations

from typing import Any

import pytest

from haechi.provider.alicloud import PROVIDER
from haechi.provider.plan import plan_values, replaced_by
from haechi.provider.resource import Data, duration_problem, seconds
from haechi.provider.schema import Fields, block, complaints, computed, one_of, optional, required
from haechi.provider.types import BOOL, NUMBER, STRING_SET, UNKNOWN

FIELDS: Fields = {
    "id": optional(computed=True),
    "name": required(),
    "zone": optional(computed=True, force_new=True),
    "note": optional(),
    "size": optional(NUMBER, default=40),
    "off": optional(BOOL, default=False),
    "when": optional(same=lambda old, new, view: view["size"] == 40),
    "groups": optional(STRING_SET),
    "address": computed(),
    "disks": block("list", fields={"size": required(NUMBER, force_new=True), "level": optional(computed=True)}),
    "servers": block("set", fields={"id": required(), "weight": optional(NUMBER, default=100)}),
    "options": block("list", computed=True, fields={"a": optional()}),
}
STATE: dict[str, Any] = {
    "id": "x-1",
    "name": "a",
    "zone": "z1",
    "note": "",
    "size": 40,
    "off": False,
    "when": None,
    "groups": ["g1", "g2"],
    "address": "10.0.0.1",
    "disks": [{"size": 20, "level": "PL0"}],
    "servers": [{"id": "i-1", "weight": 100}, {"id": "i-2", "weight": 100}],
    "options": [{"a": "b"}],
}
CONFIG: dict[str, Any] = {
    "name": "a",
    "groups": ["g2", "g1"],
    "disks": [{"size": 20, "level": None}],
    "servers": [{"id": "i-2", "weight": None}, {"id": "i-1", "weight": 100}],
    "options": [],
}


def test_new() -> None:
    planned = plan_values(FIELDS, CONFIG, None)
    assert planned["id"] is UNKNOWN and planned["address"] is UNKNOWN and planned["zone"] is UNKNOWN and planned["options"] is UNKNOWN
    assert planned["note"] is None and planned["size"] == 40 and planned["off"] is False
    assert planned["disks"] == [{"size": 20, "level": UNKNOWN}]
    assert planned["servers"][0] == {"id": "i-2", "weight": 100}


def test_nothing_to_do() -> None:
    planned = plan_values(FIELDS, CONFIG, STATE)
    assert planned == STATE
    assert replaced_by(FIELDS, STATE, planned) == []


@pytest.mark.parametrize(
    ("change", "name", "value", "replaced"),
    [
        ({"name": "b"}, "name", "b", False),
        ({"zone": "z2"}, "zone", "z2", True),
        ({"zone": UNKNOWN}, "zone", UNKNOWN, True),
        ({"size": 60}, "size", 60, False),
        ({"groups": ["g1"]}, "groups", ["g1"], False),
        ({"groups": None}, "groups", None, False),
        ({"when": "now"}, "when", None, False),  # `same` says it does not count
        ({"disks": [{"size": 30, "level": None}]}, "disks", [{"size": 30, "level": "PL0"}], True),
        ({"disks": [{"size": 20, "level": "PL1"}]}, "disks", [{"size": 20, "level": "PL1"}], False),
        ({"disks": []}, "disks", [], True),
        ({"servers": UNKNOWN}, "servers", UNKNOWN, False),
        ({"servers": [{"id": "i-3", "weight": 5}]}, "servers", [{"id": "i-3", "weight": 5}], False),
        ({"note": "new"}, "note", "new", False),
        ({"options": [{"a": "c"}]}, "options", [{"a": "c"}], False),
    ],
)
def test_changes(change: dict[str, Any], name: str, value: Any, replaced: bool) -> None:
    planned = plan_values(FIELDS, {**CONFIG, **change}, STATE)
    assert planned[name] == value
    assert {k: v for k, v in planned.items() if k != name} == {k: v for k, v in STATE.items() if k != name}
    assert replaced_by(FIELDS, STATE, planned) == ([name] if replaced else [])


def test_an_import_takes_quiet_defaults() -> None:
    imported = {**STATE, "off": None}
    assert plan_values(FIELDS, CONFIG, imported) == imported


CHECKED: Fields = {
    "a": optional(conflicts_with=("b",), check=one_of("x", "y")),
    "b": optional(),
    "c": optional(required_with=("d",)),
    "d": optional(),
    "e": optional(at_least_one_of=("e", "f")),
    "f": optional(),
    "inner": block("list", fields={"n": optional(NUMBER, check=one_of(1))}),
}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"a": "x", "e": "1"}, []),
        ({"a": "z", "e": "1"}, ["expected to be one of"]),
        ({"a": "x", "b": "1", "e": "1"}, ["conflicts with b"]),
        ({"a": "x", "b": UNKNOWN, "e": "1"}, []),
        ({"c": "1", "e": "1"}, ["must be specified"]),
        ({"c": "1", "d": UNKNOWN, "e": "1"}, []),
        ({}, ["one of `e,f` must be specified"]),
        ({"f": UNKNOWN}, []),
        ({"e": "1", "inner": [{"n": 2}]}, ["expected to be one of"]),
    ],
)
def test_complaints(config: dict[str, Any], expected: list[str]) -> None:
    texts = [text for _, text in complaints(CHECKED, config)]
    assert len(texts) == len(expected) and all(e in t for e, t in zip(expected, texts, strict=True))


def test_complaints_say_where() -> None:
    [(path, _)] = complaints(CHECKED, {"e": "1", "inner": [{"n": 1}, {"n": 2}]})
    assert path == ("inner", 1, "n")


def test_data_knows_what_changed() -> None:
    d = Data(FIELDS, {**STATE, "name": "b", "note": None}, STATE)
    assert d.changed("name") and not d.changed("note", "zone")
    d["size"] = "50"
    assert d["size"] == 50 and d.state() is not None
    d.id = ""
    assert d.state() is None


def test_durations() -> None:
    assert seconds("1h30m") == 5400 and seconds("250ms") == 0.25
    assert duration_problem("10m") is None and duration_problem("10 minutes") and duration_problem("")


def secret_names(fields: Fields, prefix: str = "") -> set[str]:
    found = set()
    for name, field in fields.items():
        inner = getattr(field, "fields", None)
        if inner is not None and not hasattr(field, "type"):
            found |= secret_names(inner, f"{prefix}{name}.")
        elif not getattr(field, "sensitive", False) and any(w in name for w in ("password", "secret", "private_key")):
            found.add(prefix + name)
    return found


def test_secrets_are_marked() -> None:
    plain = {"password_inherit", "kms_encrypted_password", "secret_file", "encrypted_secret"}
    for kind in (PROVIDER.resources, {"provider": PROVIDER}):
        for name, thing in kind.items():
            fields = thing.schema() if hasattr(thing, "schema") else thing.fields
            assert secret_names(fields) <= plain, name


def test_every_schema_is_sound() -> None:
    """Arguments named by others exist, and nothing is required and computed at once."""
    for name, resource in PROVIDER.resources.items():
        fields = resource.schema()
        for key, field in fields.items():
            others = {*field.conflicts_with, *field.exactly_one_of, *field.at_least_one_of, *field.required_with}
            assert others <= set(fields), (name, key)
            if hasattr(field, "required"):
                assert field.required + (field.optional or field.computed) == 1, (name, key)
