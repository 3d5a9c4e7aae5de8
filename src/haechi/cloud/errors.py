"""The API's errors: one exception, and helpers for the codes every product shares."""

from __future__ import annotations


class ApiError(Exception):
    """What a caller did wrong, or what cannot be done: rendered as {RequestId, HostId, Code, Message, Recommend}.

    Terraform takes HTTP 404 for "gone" and retries on 5xx, so: 404 only for a missing object, 5xx never on purpose.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def missing(parameter: str) -> ApiError:
    """A mandatory parameter was not sent."""
    return ApiError(
        f"Missing{parameter}" if parameter == "AccessKeyId" else "MissingParameter",
        f'The input parameter "{parameter}" that is mandatory for processing this request is not supplied.',
    )


def invalid(parameter: str, why: str = "", code: str = "") -> ApiError:
    """A parameter was sent with a value that cannot be used. The value itself is not repeated: it may be a secret."""
    text = f'The specified parameter "{parameter}" is not valid.' + (f" {why}" if why else "")
    return ApiError(code or "InvalidParameter", text)


def not_found(code: str, message: str) -> ApiError:
    """The named object does not exist."""
    return ApiError(code, message, 404)


def in_use(code: str, message: str) -> ApiError:
    """The object cannot be deleted or changed while another depends on it."""
    return ApiError(code, message, 400)
