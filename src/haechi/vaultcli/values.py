"""Values as Vault's command line writes and reads them: durations, key=value data, paths, wrapped text."""

from __future__ import annotations

import json
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from haechi.vault.durations import parse_duration, render_duration
from haechi.vaultcli.errors import CommandError

WIDTH = 78


def parse_ttl(text: str) -> float:
    """Seconds of `90`, `90s`, `1h30m`, `7d`; `system` is minus one second. ValueError when it is none of these."""
    return -1.0 if text.strip() == "system" else parse_duration(text.strip())


def human_duration(value: Any) -> Any:
    """Seconds as 768h, 1m30s, 0s; anything but a whole number is returned unchanged."""
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    text = render_duration(value)
    text = text.removesuffix("0s") if text.endswith("m0s") else text
    return text.replace("h0m", "h", 1)


def clean_path(text: str) -> str:
    """The path without slashes and white space at its ends."""
    return text.strip().strip("/")


def join_path(*parts: str) -> str:
    """The parts joined by single slashes, without one at the end."""
    joined = posixpath.join(*(p.strip("/") for p in parts if p.strip("/")), "")
    return re.sub(r"/{2,}", "/", joined).strip("/")


def parse_data(words: list[str]) -> dict[str, Any]:
    """The data of `k=v`, `k=@file`, `k=-`, `@file.json` and `-` (JSON on stdin) words; a repeated key becomes a list.

    CommandError never repeats a word: it may be a secret that lost its key.
    """
    data: dict[str, Any] = {}
    stdin_is_read = False

    def read_stdin() -> str:
        nonlocal stdin_is_read
        if stdin_is_read:
            raise CommandError("Failed to parse K=V data: stdin already consumed")
        stdin_is_read = True
        return sys.stdin.read()

    for word in words:
        key, equals, value = word.partition("=")
        if not word:
            continue
        if not equals:
            if word != "-" and not word.startswith("@"):
                raise CommandError("Failed to parse K=V data: invalid key/value pair: format must be key=value")
            data.update(_parse_object(read_stdin() if word == "-" else _read_file(word[1:])))
            continue
        if value.startswith("@"):
            value = _read_file(value[1:])
        elif value.startswith("\\@"):
            value = value[1:]
        elif value == "-":
            value = read_stdin()
        if key in data:
            data[key] = [*(data[key] if isinstance(data[key], list) else [data[key]]), value]
        else:
            data[key] = value
    return data


def parse_strings(words: list[str]) -> dict[str, str]:
    """Like parse_data, but every value must be plain: a string, number or boolean."""
    result = {}
    for key, value in parse_data(words).items():
        if isinstance(value, list | dict) or value is None:
            raise CommandError(f'failed to convert values to strings: "{key}" is not a plain value')
        result[key] = value if isinstance(value, str) else json.dumps(value)
    return result


def _read_file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"Failed to parse K=V data: error reading file: open {name}: {error.strerror}") from None


def _parse_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise CommandError("Failed to parse K=V data: the input is not a JSON object")
    return value


def wrap(text: str, width: int = WIDTH) -> str:
    """The words on lines of at most `width`, evenly filled: the sum of the squared gaps (but the last line's) is the least."""
    words = text.split()
    best: list[tuple[int, int]] = [(0, 0)] * (len(words) + 1)  # from word i on: (cost, where the next line starts)
    for i in range(len(words) - 1, -1, -1):
        if len(" ".join(words[i:])) <= width:
            best[i] = (0, len(words))
            continue
        choices = []
        for j in range(i + 1, len(words)):
            gap = width - len(" ".join(words[i:j]))
            choices.append((gap * gap + best[j][0] + (100_000 if gap < 0 else 0), j))
        best[i] = min(choices, default=(0, len(words)))
    lines, i = [], 0
    while i < len(words):
        j = best[i][1]
        lines.append(" ".join(words[i:j]))
        i = j
    return "\n".join(lines)
