"""Flags in Go's manner: -name=value, -name value, --name, booleans without a value, repeated lists and maps, no flag after an argument."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from haechi.vaultcli.errors import CommandError
from haechi.vaultcli.values import parse_ttl, wrap

Kind = Literal["string", "bool", "int", "duration", "list", "map"]
EMPTY: dict[Kind, Any] = {"string": "", "bool": False, "int": 0, "duration": 0.0, "list": (), "map": {}}
TRUE = ("1", "t", "T", "TRUE", "true", "True")
FALSE = ("0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True)
class Flag:
    """One flag: its kind decides how a value is read; `env` gives the default when the flag is absent."""

    name: str
    help: str
    kind: Kind = "string"
    default: Any = None
    env: str = ""
    aliases: tuple[str, ...] = ()


class Flags:
    """The values of one command line: flags["name"], whether it was given, and the arguments left."""

    def __init__(self, values: dict[str, Any], given: set[str], arguments: list[str]) -> None:
        self._values = values
        self.given = given
        self.arguments = arguments

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or `default` when the command has no such flag."""
        return self._values.get(name, default)


def parse_flags(declared: tuple[Flag, ...], words: list[str], environment: Mapping[str, str] = os.environ) -> Flags:
    """Read flags up to the first argument or `--`. CommandError has Go's texts, without the value of a flag that may be secret."""
    by_name = {name: flag for flag in declared for name in (flag.name, *flag.aliases)}
    values = {flag.name: _default(flag, environment) for flag in declared}
    given: set[str] = set()
    left = list(words)
    while left and left[0].startswith("-") and left[0] != "-":
        word = left.pop(0)
        if word == "--":
            break
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        if not name or name.startswith("-"):
            raise CommandError(f"bad flag syntax: {word.partition('=')[0]}")
        if name not in by_name:
            raise CommandError(f"flag provided but not defined: -{name}")
        flag = by_name[name]
        if not equals:
            if flag.kind == "bool":
                value = "true"
            elif left:
                value = left.pop(0)
            else:
                raise CommandError(f"flag needs an argument: -{name}")
        held = values[flag.name] if flag.name in given else EMPTY[flag.kind]
        values[flag.name] = _read(flag, value, held)
        given.add(flag.name)
    return Flags(values, given, left)


def late_flags(arguments: list[str]) -> list[str]:
    """Names of what looks like a flag and came too late to be one; -format and its like are read wherever they stand."""
    anywhere = ("output-curl-string", "format", "detailed")
    late = [a.partition("=")[0] for a in arguments if a.startswith("-") and a != "-"]
    return [name for name in late if name.lstrip("-") not in anywhere]


def _default(flag: Flag, environment: Mapping[str, str]) -> Any:
    text = environment.get(flag.env, "") if flag.env else ""
    if text:
        return _read(flag, text, EMPTY[flag.kind])
    return EMPTY[flag.kind] if flag.default is None else flag.default


def _read(flag: Flag, text: str, held: Any) -> Any:
    if flag.kind == "bool":
        if text not in TRUE + FALSE:
            raise CommandError(f'invalid boolean value "{text}" for -{flag.name}: parse error')
        return text in TRUE
    if flag.kind == "int":
        try:
            return int(text, 0)
        except ValueError:
            raise CommandError(f'invalid value "{text}" for flag -{flag.name}: parse error') from None
    if flag.kind == "duration":
        try:
            return parse_ttl(text)
        except ValueError as error:
            raise CommandError(f'invalid value "{text}" for flag -{flag.name}: {error}') from None
    if flag.kind == "list":
        return (*held, text.strip())
    if flag.kind == "map":
        key, equals, value = text.partition("=")
        if not equals:
            raise CommandError(f"invalid value for flag -{flag.name}: missing = in KV pair")
        return {**held, key: value}
    return text


def render_flags(title: str, declared: tuple[Flag, ...]) -> str:
    """The help of a group of flags, sorted by name."""
    lines = [f"{title}:\n"]
    for flag in sorted(declared, key=lambda f: f.name):
        kind = {"list": "string", "map": "key=value"}.get(flag.kind, flag.kind)
        names = ", ".join(f"-{name}" for name in (flag.name, *flag.aliases))
        default = f" The default is {flag.default}." if isinstance(flag.default, str | int) and flag.default not in ("", False) else ""
        env = f" This can also be specified via the {flag.env} environment variable." if flag.env else ""
        text = wrap(flag.help + default + env, 72).replace("\n", "\n      ")
        lines.append(f"  {names}{'' if flag.kind == 'bool' else f'=<{kind}>'}\n      {text}\n")
    return "\n".join(lines)
