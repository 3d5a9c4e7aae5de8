"""What a request may fail with. `api/app.py` is the one place that turns these into a response.

https://developer.hashicorp.com/terraform/enterprise/api-docs#error-responses
"""

from __future__ import annotations


class ApiError(Exception):
    """A refusal: HTTP status, title and detail of the JSON:API error; `pointer` names the attribute that is wrong."""

    def __init__(self, status: int, title: str, detail: str = "", pointer: str = "") -> None:
        super().__init__(detail or title)
        self.status, self.title, self.detail, self.pointer = status, title, detail, pointer


def bad_request(detail: str) -> ApiError:
    """400: not a request that can be understood."""
    return ApiError(400, "bad request", detail)


def unauthorized() -> ApiError:
    """401: no token, or one that nobody knows (any more)."""
    return ApiError(401, "unauthorized", "The token is missing, unknown or expired.")


def forbidden(detail: str) -> ApiError:
    """403: the caller sees the thing and may not do this with it."""
    return ApiError(403, "forbidden", detail)


def not_found(what: str = "resource") -> ApiError:
    """404: it does not exist, or the caller may not know of it."""
    return ApiError(404, "not found", f"{what} not found, or not yours to see")


def conflict(detail: str, title: str = "conflict") -> ApiError:
    """409: not in the state it is in now."""
    return ApiError(409, title, detail)


def invalid(detail: str, attribute: str = "", title: str = "invalid attribute") -> ApiError:
    """422: an attribute is missing or wrong."""
    return ApiError(422, title, detail, f"/data/attributes/{attribute}" if attribute else "")


def too_large(detail: str) -> ApiError:
    """413: more bytes than are taken."""
    return ApiError(413, "payload too large", detail)
