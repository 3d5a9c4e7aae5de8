"""Keeps sensitive values out of what a run prints and leaves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

SHOWN = "(sensitive value)"
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
LEAST = 4  # characters: what is shorter would blot out half the log and hides nothing


class Redactor:
    """Replaces sensitive values in a stream of bytes, wherever the stream is cut."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found: set[str] = set()
        for secret in secrets:
            lines = [line.strip() for line in secret.splitlines()]
            forms = [secret, secret.strip(), json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]]
            found |= {form for form in forms + (lines if len(lines) > 1 else []) if len(form) >= LEAST}
        self.texts = sorted(found, key=len, reverse=True)
        self._forms = [text.encode() for text in self.texts]
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What may be shown by now; the end is held back while it may be the beginning of a secret."""
        data = self._replace(self._held + data)
        keep = max((self._overlap(data, form) for form in self._forms), default=0)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def flush(self) -> bytes:
        """The rest."""
        rest, self._held = self._held, b""
        return rest

    def _replace(self, data: bytes) -> bytes:
        for form in self._forms:
            data = data.replace(form, SHOWN.encode())
        return data

    @staticmethod
    def _overlap(data: bytes, form: bytes) -> int:
        """How many bytes at the end of `data` begin `form`."""
        tail = data[-(len(form) - 1) :]
        start = tail.find(form[:1])
        while start >= 0 and not form.startswith(tail[start:]):
            start = tail.find(form[:1], start + 1)
        return len(tail) - start if start >= 0 else 0

    def text(self, value: str) -> str:
        """A text without secrets."""
        for secret in self.texts:
            value = value.replace(secret, SHOWN)
        return value

    def document(self, value: Any) -> Any:
        """A JSON document without secrets, in values and keys."""
        if not self.texts:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in self.texts:
            return SHOWN
        if isinstance(value, list):
            return [self.document(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.document(item) for key, item in value.items()}
        return value


def find_literals(expression: str) -> list[str]:
    """An HCL expression, and every string that is written out in it."""
    found = [expression]
    for literal in STRING.findall(expression):
        try:
            found.append(json.loads(literal))
        except ValueError:  # an escape that only HCL has
            found.append(literal[1:-1])
    return found
