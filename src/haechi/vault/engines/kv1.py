"""KV version 1: a JSON object per path, replaced as a whole. Storage: data/<path> the object as it was sent."""

from __future__ import annotations

import contextlib
from typing import ClassVar

from haechi.vault.durations import parse_duration
from haechi.vault.errors import invalid, not_found
from haechi.vault.logical import DELETE, LIST, READ, UPDATE, Backend, Request, Response, Route, listing

DATA = "data/"


class KV1(Backend):
    """Secrets engine "kv" with option version 1, and "generic"."""

    TYPE: ClassVar[str] = "kv"
    ROUTES: ClassVar[tuple[Route, ...]] = (
        Route(
            "{path...}",
            {READ: "read", UPDATE: "write", DELETE: "delete", LIST: "list_keys"},
            exists="exists",
            any_field=True,
        ),
    )

    def exists(self, request: Request, path: str) -> bool:
        return request.view.get(DATA + path) is not None

    def read(self, request: Request, path: str) -> Response:
        """The object. A key `ttl` (or `lease`) in it is what the answer names as lease duration, but there is no lease."""
        found = request.view.get(DATA + path)
        if found is None:
            raise not_found()
        seconds = self.services.default_ttl(self.mount)
        if "ttl" in found or "lease" in found:
            with contextlib.suppress(ValueError):  # a ttl of the secret's own meaning
                seconds = parse_duration(found["ttl"] if "ttl" in found else found["lease"])
        return Response(found, lease_duration=int(seconds))

    def write(self, request: Request, path: str) -> None:
        if not path:
            raise invalid("missing path")
        if not request.data:
            raise invalid("missing data fields")
        request.view.put(DATA + path, request.data)

    def delete(self, request: Request, path: str) -> None:
        request.view.delete(DATA + path)

    def list_keys(self, request: Request, path: str) -> Response:
        return listing(request.view.list(f"{DATA}{path}/" if path else DATA))
