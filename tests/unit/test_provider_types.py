"""Values on Terraform's wire: conversion, comparison, unknowns."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from haechi.provider.types import (
    BOOL,
    NUMBER,
    STRING,
    STRING_MAP,
    STRING_SET,
    STRINGS,
    UNKNOWN,
    Type,
    coerce,
    equal,
    is_zero,
    list_of,
    object_of,
    pack,
    set_of,
    unpack,
    without_unknown,
)

DISK = object_of(name=STRING, size=NUMBER, keep=BOOL)


@pytest.mark.parametrize(
    ("t", "given", "kept"),
    [
        (STRING, 80, "80"),
        (STRING, True, "true"),
        (NUMBER, "80", 80),
        (NUMBER, "0.5", 0.5),
        (NUMBER, "", None),
        (NUMBER, 2.0, 2),
        (BOOL, "false", False),
        (BOOL, True, True),
        (STRINGS, [1, "b"], ["1", "b"]),
        (STRING_MAP, {"a": 1}, {"a": "1"}),
        (DISK, {"name": "x", "other": 1}, {"name": "x", "size": None, "keep": None}),
        (list_of(DISK), UNKNOWN, UNKNOWN),
    ],
)
def test_coerce(t: Type, given: Any, kept: Any) -> None:
    assert coerce(t, given) == kept


@pytest.mark.parametrize(("t", "given"), [(NUMBER, "eight"), (BOOL, "on"), (STRINGS, "one"), (STRING, ["a"]), (NUMBER, True), (DISK, "x")])
def test_coerce_refuses(t: Type, given: Any) -> None:
    with pytest.raises(ValueError):
        coerce(t, given)


@pytest.mark.parametrize(
    "value",
    [
        {"name": "x", "size": 20, "keep": True},
        {"name": None, "size": 2**60, "keep": False},
        {"name": UNKNOWN, "size": 0.5, "keep": UNKNOWN},
        None,
        UNKNOWN,
    ],
)
def test_pack_and_unpack(value: Any) -> None:
    assert unpack(DISK, pack(DISK, value)) == value


def test_unknown_on_the_wire() -> None:
    assert pack(STRING, UNKNOWN) == b"\xd4\x00\x00"
    refined = msgpack.packb(msgpack.ExtType(12, b"\x81\x01\xc2"))
    assert unpack(STRING, refined) is UNKNOWN


def test_cty_names() -> None:
    assert set_of(DISK).cty() == ["set", ["object", {"name": "string", "size": "number", "keep": "bool"}]]


def test_equal() -> None:
    assert equal(STRING_SET, ["a", "b"], ["b", "a"])
    assert not equal(STRING_SET, ["a", "a"], ["a", "b"])
    assert not equal(STRINGS, ["a", "b"], ["b", "a"])
    assert equal(NUMBER, 2, 2.0)
    assert not equal(STRING, UNKNOWN, UNKNOWN)
    assert not equal(STRING, None, "")
    assert equal(set_of(DISK), [{"name": "a"}, {"name": "b"}], [{"name": "b"}, {"name": "a"}])


def test_zero_and_unknown() -> None:
    assert all(is_zero(v) for v in (None, "", 0, False, [], {}))
    assert not is_zero(UNKNOWN)
    assert without_unknown({"a": UNKNOWN, "b": [UNKNOWN, 1]}) == {"a": None, "b": [None, 1]}
