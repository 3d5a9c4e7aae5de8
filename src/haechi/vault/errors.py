"""What a request can end with instead of an answer. api.py turns these into HTTP; nothing else does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class VaultError(Exception):
    """An answer that is an error: HTTP status and the texts of its `errors` list, which are shown to the caller."""

    def __init__(self, status: int, *errors: str, data: Mapping[str, Any] | None = None, warnings: Sequence[str] = ()) -> None:
        super().__init__("; ".join(errors) or f"status {status}")
        self.status, self.errors, self.data, self.warnings = status, list(errors), data, list(warnings)
        self.mount_type = ""  # of the mount that answered, where there is one


class Unavailable(Exception):
    """The storage could not be read or written; nothing of the request is stored. Becomes a 500."""


def invalid(text: str) -> VaultError:
    """400 with this text."""
    return VaultError(400, text)


def listed(*texts: str) -> str:
    """Texts in the form that Vault's multierror gives them."""
    count = f"{len(texts)} error{'s' if len(texts) > 1 else ''} occurred:"
    return count + "\n" + "".join(f"\t* {text}\n" for text in texts) + "\n"


def denied(*more: str) -> VaultError:
    """403 permission denied, as it is said to a token that was known."""
    return VaultError(403, listed("permission denied", *more))


def not_found(data: Mapping[str, Any] | None = None, warnings: Sequence[str] = ()) -> VaultError:
    """404 with an empty list of errors: there is nothing at this path."""
    return VaultError(404, data=data, warnings=warnings)


def unsupported_path() -> VaultError:
    """404: the mount has no such endpoint."""
    return VaultError(404, listed("unsupported path"))


def unsupported_operation() -> VaultError:
    """405: the endpoint has no such verb."""
    return VaultError(405, listed("unsupported operation"))


def sealed() -> VaultError:
    """503: the barrier is sealed."""
    return VaultError(503, "Vault is sealed")
