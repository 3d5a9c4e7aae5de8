"""Where a kv key is: its mount and version as the server tells them, the API's paths made of them; the headings of kv tables."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from haechi.vaultcli.command import Call
from haechi.vaultcli.errors import ApiError, CommandError, TransportError
from haechi.vaultcli.flags import Flag
from haechi.vaultcli.values import clean_path, join_path

MOUNT = Flag("mount", "Where the engine is mounted; then KEY is the path inside it. Without it KEY begins with the mount.")


@dataclass(frozen=True)
class Key:
    """A key: `full` is mount and key together."""

    mount: str
    full: str
    v2: bool

    def path(self, part: str) -> str:
        """The API's path: for v2 with data, metadata, delete ... after the mount."""
        if not self.v2:
            return self.full
        mount = self.mount
        while mount and not f"{self.full}/".startswith(f"{mount}/"):
            mount = mount.partition("/")[2]  # the server may put a namespace in front
        return join_path(mount, part, self.full[len(mount) :])


def find_key(call: Call) -> Key:
    """The key of the first argument and -mount. CommandError (2) when the server refuses to tell the mount."""
    key = clean_path(call.arguments[0]) if call.arguments else ""
    asked = clean_path(call.flags["mount"])
    mount, v2 = find_mount(call, asked or key)
    return Key(mount, join_path(mount or asked, key) if asked else key, v2)


def find_mount(call: Call, path: str) -> tuple[str, bool]:
    """The mount that a path is in and whether it is version 2; ("", False) for a server too old to tell."""
    asking = dataclasses.replace(call.client, wrap_ttl="", curl=False)
    try:
        answer = asking.expect("GET", f"sys/internal/ui/mounts/{path}")
    except ApiError as error:
        if error.status == 404:
            return "", False
        raise CommandError(str(error), 2) from None
    except TransportError as error:
        raise CommandError(str(error), 2) from None
    data = answer.get("data") or answer
    return clean_path(data.get("path") or ""), str((data.get("options") or {}).get("version", "")) == "2"


def parse_versions(call: Call) -> list[int]:
    """The numbers of -versions. CommandError when one is none."""
    words = [w.strip() for value in call.flags["versions"] for w in value.split(",") if w.strip()]
    if not all(w.isascii() and w.isdigit() for w in words):
        raise CommandError(f"Invalid value {','.join(words)} for the versions flag")
    return [int(w) for w in words]


def equal_signs(title: str, width: int) -> str:
    """A title between equal signs, together about `width` wide."""
    signs = width - len(title) - 2
    half = (signs + 1) // 2 if signs > 0 else 2
    return f"{'=' * half} {title} {'=' * half}"


def print_heading(call: Call, title: str, path: str) -> None:
    """The path of a key under its title, and an empty line."""
    call.screen.out(equal_signs(title, len(path)))
    call.screen.out(f"{path}\n")


def section_line(title: str, values: dict[str, Any]) -> str:
    """A title between equal signs, as wide as the keys of the table under it ask for."""
    return equal_signs(title, max(map(len, values), default=0) + 9)


def print_section(call: Call, title: str, values: dict[str, Any]) -> None:
    """A table under its title."""
    call.screen.out(section_line(title, values))
    call.screen.data(values)
