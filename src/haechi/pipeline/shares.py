"""Where the unseal shares of a new Vault go: a file the operator names, the terminal, or, for the demonstration, a root-only file.

A file holds what `vault operator init -format=json` prints and is written once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from haechi.pipeline.failure import Failure
from haechi.pipeline.files import sync_directory
from haechi.settings import Target

DEMONSTRATION = "init.json"
TERMINAL = "/dev/tty"
Keep = Callable[[dict[str, Any], int, int], Path | None]


@dataclass(frozen=True)
class Shares:
    """Shares (hexadecimal) and root token as they were told once; `path` is where they lie."""

    path: Path
    shares: list[str] = field(repr=False)
    root_token: str = field(repr=False)


def demonstration(target: Target) -> Path:
    """Where the local demonstration keeps them unless told otherwise."""
    return target.vault_home / DEMONSTRATION


def _place(target: Target, place: str) -> Path:
    return Path(place).absolute() if place else demonstration(target)


def read(target: Target, place: str) -> Shares | None:
    """What was written down, or None: nothing was, or the file went elsewhere. A file whose renaming was cut off counts."""
    if place == "-":
        return None
    path = _place(target, place)
    if not path.exists() and _whole(_temporary(path)):
        _temporary(path).replace(path)
    if not path.exists():
        return None
    try:
        known = json.loads(path.read_text())
        return Shares(path, known["unseal_keys_hex"], known["root_token"])
    except (ValueError, KeyError, TypeError):
        raise Failure(f"{path} does not hold unseal shares.", "Put the right file there, or unseal by hand.") from None


def _whole(path: Path) -> bool:
    try:
        return "root_token" in json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return False


@contextmanager
def keeper(target: Target, place: str) -> Iterator[Keep]:
    """Opens the place first, then hands out the function that puts Vault's answer there. Raises Failure.

    The function returns the file, or None for the terminal.
    """
    if place == "-":
        try:
            terminal = os.open(TERMINAL, os.O_WRONLY)
        except OSError:
            raise Failure("There is no terminal to show the unseal shares on.", "Name a file: --vault-shares FILE.") from None
        with os.fdopen(terminal, "w") as screen:
            yield lambda answer, shares, threshold: _show(answer, screen)
        return
    path = _place(target, place)
    if path == demonstration(target):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():  # of a Vault that is no more
            path.replace(path.with_name(path.name + ".previous"))
    elif path.exists():
        raise Failure(f"{path} exists already; shares are written once.", "Name another file with --vault-shares, or move it away.")
    temporary = _temporary(path)
    try:
        number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}.", "Name another file with --vault-shares.") from None
    with open(number, "w") as file:
        os.fchmod(number, 0o600)

        def keep(answer: dict[str, Any], shares: int, threshold: int) -> Path:
            file.write(render(answer, shares, threshold))
            file.flush()
            os.fsync(number)
            temporary.replace(path)
            sync_directory(path.parent)
            return path

        try:
            yield keep
        except BaseException:
            if not os.fstat(number).st_size:  # Vault gave no shares
                temporary.unlink(missing_ok=True)
            raise


def render(answer: dict[str, Any], shares: int, threshold: int) -> str:
    """Vault's answer as `vault operator init -format=json` prints it."""
    whole = {
        "unseal_keys_b64": answer["keys_base64"],
        "unseal_keys_hex": answer["keys"],
        "unseal_shares": shares,
        "unseal_threshold": threshold,
        "recovery_keys_b64": [],
        "recovery_keys_hex": [],
        "recovery_keys_shares": 0,
        "recovery_keys_threshold": 0,
        "root_token": answer["root_token"],
    }
    return json.dumps(whole, indent=2) + "\n"


def _show(answer: dict[str, Any], screen: TextIO) -> None:
    lines = [f"Unseal Key {number}: {key}" for number, key in enumerate(answer["keys_base64"], 1)]
    screen.write("\n".join(["", *lines, "", f"Initial Root Token: {answer['root_token']}", "", "They are not shown again.", "", ""]))
    screen.flush()


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")
