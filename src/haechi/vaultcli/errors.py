"""What can go wrong in the `vault` command, each with the exit code that Vault's own command has for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class CommandError(Exception):
    """A command ends here: its text goes to stderr, `code` is the exit status (1 local or usage, 2 the server).

    `secret` is an envelope that came with the refusal and is printed after the text.
    """

    def __init__(self, text: str, code: int = 1, secret: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.secret = secret


class VaultError(Exception):
    """The server could not be asked, or refused."""


class TransportError(VaultError):
    """No answer: not reachable, no trust, no HTTP."""


@dataclass
class ApiError(VaultError):
    """An answer that says no. `secret` is its envelope when a 404 carries data or warnings."""

    status: int
    errors: list[str]
    url: str
    method: str
    namespace: str = ""
    raw: bool = False
    secret: dict[str, Any] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        where = f"Namespace: {self.namespace}\n" if self.namespace else ""
        kind = "Raw Message" if self.raw else "Errors"
        said = self.errors[0] if self.raw else "".join(f"* {e}" for e in self.errors)
        return f"Error making API request.\n\n{where}URL: {self.method} {self.url}\nCode: {self.status}. {kind}:\n\n{said}"


class CurlCommand(Exception):
    """With -output-curl-string no request is sent; the text is the equivalent curl command, without the token."""
