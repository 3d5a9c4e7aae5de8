"""Output as Vault prints it: columns, secrets, lists, JSON, YAML, single fields. What goes to stdout is data; stderr has the words."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from typing import Any

from haechi.vaultcli.errors import CommandError
from haechi.vaultcli.values import human_duration, wrap

FORMATS = ("table", "json", "yaml", "yml")
DURATION_NAMES = re.compile(r"(.*_)?(period|ttl|duration)|lease_max|ttl_max")
AUTH_NAMES = {
    "token": "client_token",
    "token_accessor": "accessor",
    "token_duration": "lease_duration",
    "token_renewable": "renewable",
}
ENVELOPE = ("request_id", "lease_id", "lease_duration", "renewable", "data", "warnings")
Rows = list[list[Any]]


@dataclass
class Screen:
    """Where and how a command prints."""

    format: str = "table"
    detailed: bool = False
    color: bool = True

    @property
    def table(self) -> bool:
        """True when people read the output, not programs."""
        return self.format == "table"

    def out(self, text: str) -> None:
        """A line of the result."""
        print(text)

    def raw(self, text: str) -> None:
        """A value alone; the newline only where a person reads it, so that pipes get the value and nothing else."""
        sys.stdout.write(text + ("\n" if sys.stdout.isatty() else ""))

    def error(self, text: str) -> None:
        """A line on stderr, red on a terminal."""
        self._stderr(text, "31")

    def warn(self, text: str) -> None:
        """A line on stderr, yellow on a terminal."""
        self._stderr(text, "33")

    def _stderr(self, text: str, code: str) -> None:
        colored = self.color and self.table and sys.stderr.isatty()
        print(f"\x1b[{code}m{text}\x1b[0m" if colored else text, file=sys.stderr)

    def data(self, value: Any) -> int:
        """A mapping as Key/Value columns, or the value in the chosen format."""
        if not self.table:
            self.out(render_value(value, self.format))
        elif value:
            self.out(render_table([["Key", "Value"], *mapping_rows(value)]))
        return 0

    def warnings(self, secret: dict[str, Any]) -> None:
        """The warnings that came with an answer, on stderr."""
        if secret.get("warnings"):
            self.warn("WARNING! The following warnings were returned from Vault:\n")
            for warning in secret["warnings"]:
                self.warn("  " + wrap(f"* {warning}", 76).replace("\n", "\n  "))
                self.warn("")

    def secret(self, secret: dict[str, Any]) -> int:
        """An envelope: its lease, auth, wrapping and data; whole in JSON."""
        if not self.table:
            self.out(render_value(envelope(secret), self.format))
            return 0
        self.warnings(secret)
        rows = secret_rows(secret)
        if rows:
            self.out(render_table([["Key", "Value"], *rows]))
        return 0

    def keys(self, secret: dict[str, Any]) -> int:
        """The answer of a LIST; with -detailed also what key_info says of each key."""
        keys = sorted(secret["data"]["keys"])
        if not self.table:
            self.out(render_value(envelope(secret) if self.detailed else secret["data"]["keys"], self.format))
            return 0
        self.warnings(secret)
        info: dict[str, dict[str, Any]] = (self.detailed and secret["data"].get("key_info")) or {}
        names = sorted({name for key in keys for name in info.get(key, {})})
        rows: Rows = [["Keys", *names]]
        for key in keys:
            values = info.get(key, {})
            rows.append([key, *(_shown(name, values[name]) if name in values else "n/a" for name in names)])
        if keys:
            self.out(render_table(rows))
        return 0

    def field(self, holder: dict[str, Any], name: str, *, is_secret: bool = True) -> int:
        """One field alone, of an envelope or of a plain mapping. CommandError when it is not there."""
        value = secret_field(holder, name) if is_secret else holder.get(name)
        if value is None:
            raise CommandError(f'Field "{name}" not present in secret')
        self.raw(render_go(value) if self.table else render_value(value, self.format))
        return 0


def render_go(value: Any) -> str:
    """A JSON value as Go's %v prints it: map[a:1 b:[x y]], <nil>, true."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{render_go(value[k])}" for k in sorted(value)) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(render_go(v) for v in value) + "]"
    return str(value)


def render_columns(rows: Rows) -> str:
    """Rows in columns four spaces apart, an empty cell as n/a, no padding after the last."""
    cells = [[render_go(c).strip() or "n/a" for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells if i < len(row)) for i in range(max(map(len, cells)))]
    padded = [[c.ljust(w) for c, w in zip(row[:-1], widths, strict=False)] + row[-1:] for row in cells]
    return "\n".join("    ".join(row) for row in padded)


def render_table(rows: Rows) -> str:
    """Columns under a first row of headings, which is underlined."""
    return render_columns([rows[0], ["-" * len(h) for h in rows[0]], *rows[1:]])


def _shown(name: str, value: Any) -> Any:
    return human_duration(value) if DURATION_NAMES.fullmatch(name) else value


def mapping_rows(value: dict[str, Any]) -> Rows:
    """Key and value rows, sorted; what is named like a TTL reads as a duration."""
    return [[key, _shown(key, value[key])] for key in sorted(value)]


def secret_rows(secret: dict[str, Any]) -> Rows:
    """The rows of an envelope in Vault's order."""
    rows: Rows = []
    lease = secret.get("lease_duration") or 0
    if lease > 0 and secret.get("lease_id"):
        rows += [["lease_id", secret["lease_id"]], ["lease_duration", human_duration(lease)]]
        rows += [["lease_renewable", bool(secret.get("renewable"))]]
    elif lease > 0:
        rows += [["refresh_interval", human_duration(lease)]]
    auth, wrapped = secret.get("auth"), secret.get("wrap_info")
    if auth:
        rows += [["token", auth.get("client_token", "")], ["token_accessor", auth.get("accessor", "")]]
        rows += [["token_duration", human_duration(auth.get("lease_duration") or 0) if auth.get("lease_duration") else "∞"]]
        rows += [["token_renewable", bool(auth.get("renewable"))]]
        rows += [[name, _quoted(auth.get(name))] for name in ("token_policies", "identity_policies", "policies")]
        rows += [[f"token_meta_{k}", v] for k, v in sorted((auth.get("metadata") or {}).items())]
    if wrapped:
        rows += [["wrapping_token:", wrapped["token"]], ["wrapping_accessor:", wrapped.get("accessor", "")]]
        rows += [["wrapping_token_ttl:", human_duration(wrapped["ttl"])]]
        rows += [[f"wrapping_token_{n}:", wrapped.get(n, "")] for n in ("creation_time", "creation_path")]
        rows += [["wrapped_accessor:", wrapped["wrapped_accessor"]]] if wrapped.get("wrapped_accessor") else []
    return rows + mapping_rows(secret.get("data") or {})


def _quoted(names: list[str] | None) -> str:
    return "[" + " ".join(json.dumps(n, ensure_ascii=False) for n in names or []) + "]"


def secret_field(secret: dict[str, Any], name: str) -> Any:
    """What -field=name means for an envelope; None when it has no such field."""
    data = secret.get("data") or {}
    if secret.get("auth"):
        if name in AUTH_NAMES:
            return secret["auth"].get(AUTH_NAMES[name])
        if name in ("token_policies", "identity_policies", "policies"):
            return secret["auth"].get(name) or []
        return data.get(name)
    if secret.get("wrap_info"):
        if name == "wrapped_accessor" or name.startswith("wrapping_"):
            short = name.removeprefix("wrapping_token_").removeprefix("wrapping_")
            return secret["wrap_info"].get(short)
        return data.get(name)
    if name in ("lease_duration", "lease_id", "request_id", "renewable"):
        return secret.get(name)
    if name == "refresh_interval":
        return secret.get("lease_duration")
    return data.get("data", data) if name == "data" else data.get(name)


def envelope(secret: dict[str, Any]) -> dict[str, Any]:
    """An answer as the JSON output shows it: the usual keys first, auth and wrap_info only when set."""
    empty = {"request_id": "", "lease_id": "", "lease_duration": 0, "renewable": False, "data": None, "warnings": None}
    shown = {key: secret.get(key, empty[key]) for key in ENVELOPE}
    shown |= {key: secret[key] for key in ("auth", "wrap_info", "mount_type") if secret.get(key)}
    return {key: _sorted(value) if key == "data" else value for key, value in shown.items()}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(v) for v in value] if isinstance(value, list) else value


def render_value(value: Any, form: str) -> str:
    """JSON indented by two, or YAML."""
    return json.dumps(value, indent=2, ensure_ascii=False) if form == "json" else render_yaml(value).strip("\n")


def render_yaml(value: Any, indent: int = 0) -> str:
    """Block YAML with sorted keys; every string that is not plainly one is quoted as JSON, which YAML reads."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        return "".join(f"\n{pad}{_scalar(k)}:{_nested(value[k], indent)}" for k in sorted(value))
    if isinstance(value, list | tuple) and value:
        return "".join(f"\n{pad}-{_nested(v, indent)}" for v in value)
    return _scalar(value)


def _nested(value: Any, indent: int) -> str:
    text = render_yaml(value, indent + 1)
    return text if text.startswith("\n") else f" {text}"


def _scalar(value: Any) -> str:
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z/_][\w./ -]*(?<! )", value)
    reserved = isinstance(value, str) and value.lower() in ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
    return str(value) if plain and not reserved else json.dumps(value, ensure_ascii=False)
