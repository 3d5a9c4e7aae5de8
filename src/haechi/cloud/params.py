"""What parameters of an action can be: each kind parses wire text to a value or raises the documented error.

An action's signature is its parameter list: `def create_vpc(call, CidrBlock: Cidr = "172.16.0.0/12", Tag: Tags = ())`. The
names are the wire's. A parameter without default is mandatory. The kinds below stand in `Annotated`, so that a type checker
sees plain str, int, bool and tuples.
"""

from __future__ import annotations

import inspect
import json
import re
import typing
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any

from haechi.cloud.errors import invalid, missing


class Kind:
    """How one parameter is parsed. `secret` values never reach a log."""

    secret = False

    def parse(self, name: str, raw: str) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Text(Kind):
    """Text of a length, matching a pattern."""

    most: int = 256
    least: int = 0
    pattern: str = ""
    code: str = ""
    secret: bool = False

    def parse(self, name: str, raw: str) -> str:
        if not self.least <= len(raw) <= self.most:
            raise invalid(name, f"Its length must be {self.least} to {self.most}.", self.code)
        if self.pattern and not re.fullmatch(self.pattern, raw):
            raise invalid(name, "", self.code)
        return raw


@dataclass(frozen=True)
class Number(Kind):
    """A whole number in a range."""

    least: int = 0
    most: int = 2**31 - 1
    code: str = ""

    def parse(self, name: str, raw: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,12}", raw) or not self.least <= int(raw) <= self.most:
            raise invalid(name, f"It must be a number from {self.least} to {self.most}.", self.code)
        return int(raw)


@dataclass(frozen=True)
class Boolean(Kind):
    """true or false, in any case."""

    def parse(self, name: str, raw: str) -> bool:
        if raw.lower() not in ("true", "false"):
            raise invalid(name, "It must be true or false.")
        return raw.lower() == "true"


@dataclass(frozen=True)
class Choice(Kind):
    """One of some words, in any case; returned as spelled here."""

    words: tuple[str, ...]
    code: str = ""

    def parse(self, name: str, raw: str) -> str:
        for word in self.words:
            if word.lower() == raw.lower():
                return word
        raise invalid(name, f"It must be one of {', '.join(self.words)}.", self.code)


@dataclass(frozen=True)
class Network(Kind):
    """An IPv4 network; a single address counts as /32. Host bits are refused unless `loose`."""

    code: str = ""
    loose: bool = True

    def parse(self, name: str, raw: str) -> str:
        try:
            return str(IPv4Network(raw, strict=not self.loose))
        except ValueError:
            raise invalid(name, "It must be an IPv4 CIDR block.", self.code) from None


@dataclass(frozen=True)
class Address(Kind):
    """An IPv4 address."""

    code: str = ""

    def parse(self, name: str, raw: str) -> str:
        try:
            return str(IPv4Address(raw))
        except ValueError:
            raise invalid(name, "It must be an IPv4 address.", self.code) from None


@dataclass(frozen=True)
class JsonList(Kind):
    """A JSON array of text in one parameter, such as InstanceIds=["i-1","i-2"]. `single` quotes are read as double ones."""

    most: int = 100
    single: bool = False
    objects: bool = False

    def parse(self, name: str, raw: str) -> tuple[Any, ...]:
        try:
            value = json.loads(raw.replace("'", '"') if self.single else raw)
        except (ValueError, RecursionError):
            raise invalid(name, "It must be a JSON array.") from None
        kind = dict if self.objects else (str, int)
        if not isinstance(value, list) or not all(isinstance(v, kind) and not isinstance(v, bool) for v in value):
            raise invalid(name, "It must be a JSON array.")
        if len(value) > self.most:
            raise invalid(name, f"It holds more than {self.most} items.")
        return tuple(value) if self.objects else tuple(str(v) for v in value)


@dataclass(frozen=True)
class Base64(Kind):
    """Base64 text of at most `most` decoded bytes; returned as it came."""

    most: int = 16384
    code: str = ""
    secret = True

    def parse(self, name: str, raw: str) -> str:
        try:
            size = len(b64decode(raw, validate=True))
        except (Base64Error, ValueError):
            raise invalid(name, "It must be base64.", self.code) from None
        if size > self.most:
            raise invalid(name, f"It must decode to at most {self.most} bytes.", self.code)
        return raw


@dataclass(frozen=True)
class Items(Kind):
    """A repeated parameter: Name.1, Name.2 ... each of one kind."""

    of: Kind
    most: int = 100

    def parse_all(self, name: str, raw: Mapping[int, Any]) -> tuple[Any, ...]:
        if len(raw) > self.most:
            raise invalid(name, f"It is repeated more than {self.most} times.")
        return tuple(self._one(f"{name}.{n}", raw[n]) for n in sorted(raw))

    def _one(self, name: str, raw: Any) -> Any:
        if isinstance(self.of, Struct):
            return self.of.parse_fields(name, raw)
        if not isinstance(raw, str):
            raise invalid(name)
        return self.of.parse(name, raw)


@dataclass(frozen=True)
class Struct(Kind):
    """Fields below one name: Name.Key or, inside Items, Name.1.Key. Absent fields are absent in the dict."""

    fields: Mapping[str, Kind]
    needed: tuple[str, ...] = ()

    def parse_fields(self, name: str, raw: Any) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise invalid(name)
        for needed in self.needed:
            if needed not in raw:
                raise missing(f"{name}.{needed}")
        values = {}
        for key, value in raw.items():
            kind = self.fields.get(str(key))
            if kind is not None and value not in ("", {}):  # an empty text counts as not sent
                values[str(key)] = parse_value(kind, f"{name}.{key}", value)
        return values


def parse_value(kind: Kind, name: str, raw: Any) -> Any:
    """One value of any kind from the tree that `nest` made."""
    if isinstance(kind, Items):
        if isinstance(raw, dict) and all(isinstance(k, int) for k in raw):
            return kind.parse_all(name, raw)
        if isinstance(raw, str) and raw:  # clients send a single value without its number, too
            return kind.parse_all(name, {1: raw})
        if raw == "":
            return ()
        raise invalid(name)
    if isinstance(kind, Struct):
        return kind.parse_fields(name, raw)
    if not isinstance(raw, str):
        raise invalid(name)
    return kind.parse(name, raw)


def nest(flat: Mapping[str, str]) -> dict[str, Any]:
    """Flattened names to a tree: A.1.B=x becomes {"A": {1: {"B": "x"}}}. A name used as both leaf and branch is refused."""
    tree: dict[Any, Any] = {}
    for name, value in flat.items():
        node = tree
        *path, leaf = (int(p) if re.fullmatch(r"[0-9]{1,4}", p) else p for p in name.split("."))
        if len(path) > 8:
            raise invalid(name[:64])
        for part in path:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise invalid(name[:64])
        if isinstance(node.get(leaf), dict):
            raise invalid(name[:64])
        node[leaf] = value
    return tree


@dataclass(frozen=True)
class Signature:
    """The parameters an action takes, read from its function's signature."""

    kinds: Mapping[str, Kind]
    mandatory: tuple[str, ...]
    secrets: frozenset[str] = field(default=frozenset())

    def bind(self, flat: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
        """Values for the function, and the names that were sent but nothing reads. An empty text counts as not sent."""
        tree = nest(flat)
        values = {}
        for name, kind in self.kinds.items():
            raw = tree.get(name, "")
            if raw == "" or raw == {}:
                if name in self.mandatory:
                    raise missing(name)
            else:
                values[name] = parse_value(kind, name, raw)
        unread = sorted(n for n in flat if n.split(".")[0] not in self.kinds)
        return values, unread


def read_signature(function: Callable[..., Any]) -> Signature:
    """The Signature of an action's function: every parameter after `call`, each `Annotated[type, Kind]`."""
    hints = typing.get_type_hints(function, include_extras=True)
    kinds: dict[str, Kind] = {}
    mandatory = []
    for name, parameter in list(inspect.signature(function).parameters.items())[1:]:
        kind = next((m for m in getattr(hints[name], "__metadata__", ()) if isinstance(m, Kind)), None)
        if kind is None:
            raise TypeError(f"{function.__name__}: parameter {name} has no kind")
        kinds[name] = kind
        if parameter.default is inspect.Parameter.empty:
            mandatory.append(name)
    return Signature(kinds, tuple(mandatory), frozenset(n for n, k in kinds.items() if k.secret))


Str = Annotated[str, Text(4096)]
Id = Annotated[str, Text(128)]
Name = Annotated[str, Text(128)]
Description = Annotated[str, Text(256)]
Int = Annotated[int, Number()]
Flag = Annotated[bool, Boolean()]
Ids = Annotated[tuple[str, ...], JsonList()]
Texts = Annotated[tuple[str, ...], Items(Text(256))]
Cidr = Annotated[str, Network()]
Ip = Annotated[str, Address()]
Secret = Annotated[str, Text(4096, secret=True)]
PageNumber = Annotated[int, Number(1, 100000)]
PageSize = Annotated[int, Number(1, 100)]
Tags = Annotated[
    tuple[dict[str, str], ...],
    Items(Struct({"Key": Text(128), "Value": Text(128)}), 20),
]
TagKeys = Annotated[tuple[str, ...], Items(Text(128), 20)]
