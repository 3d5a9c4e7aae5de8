"""Errors as the audit log may have them: some quote what the caller sent, which may be a secret in the wrong place. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

SHORTEST = 8  # characters that are worth hiding
SENT = "(as sent)"
_WORD = re.compile(rf"[^\s\"',;:()\[\]{{}}]{{{SHORTEST},}}")


def redact(error: str, data: Any) -> str:
    """`error` without the texts of `data` (JSON), and without words of theirs that are more than letters."""
    texts = [text for text in _texts(data) if len(text) >= SHORTEST]
    for text in texts:
        if not text.isalpha():
            error = error.replace(text, SENT)
        for quote in "\"'":  # letters only may be the error's own words, unless they are quoted
            error = error.replace(quote + text + quote, quote + SENT + quote)
    return _WORD.sub(lambda word: SENT if not word[0].isalpha() and any(word[0] in text for text in texts) else word[0], error)


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from _texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value)
