"""Cubbyhole: a private corner of every service token, gone with the token. Storage: <token id>/<path> the object as it was sent.

Whoever revokes a token calls `delete_all(<token id>/)`; a wrapped answer is the key "response" of its wrapping token.
"""

from __future__ import annotations

from typing import ClassVar

from haechi.vault.errors import denied, invalid, not_found
from haechi.vault.logical import DELETE, LIST, READ, UPDATE, Backend, Request, Response, Route, listing


class Cubbyhole(Backend):
    """Secrets engine "cubbyhole". There is one, below cubbyhole/."""

    TYPE: ClassVar[str] = "cubbyhole"
    ROUTES: ClassVar[tuple[Route, ...]] = (
        Route(
            "{path...}",
            {READ: "read", UPDATE: "write", DELETE: "delete", LIST: "list_keys"},
            exists="exists",
            any_field=True,
        ),
    )

    def exists(self, request: Request, path: str) -> bool:
        return request.view.get(_own(request) + path) is not None

    def read(self, request: Request, path: str) -> Response:
        found = request.view.get(_own(request) + path)
        if found is None:
            raise not_found()
        return Response(found)

    def write(self, request: Request, path: str) -> None:
        own = _own(request)
        if not path:
            raise invalid("missing path")
        if not request.data:
            raise invalid("missing data fields")
        request.view.put(own + path, request.data)

    def delete(self, request: Request, path: str) -> None:
        request.view.delete(_own(request) + path)

    def list_keys(self, request: Request, path: str) -> Response:
        return listing(request.view.list(f"{_own(request)}{path}/" if path else _own(request)))


def _own(request: Request) -> str:
    """The prefix of the caller's corner. Batch tokens have none."""
    if request.token is None:
        raise denied()
    if request.token.type != "service":
        raise invalid('cubbyhole operations are only supported by "service" type tokens')
    return request.token.id + "/"
