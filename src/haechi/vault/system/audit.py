"""sys/audit, sys/audit-hash, sys/config/auditing: which devices write down what was asked."""

from __future__ import annotations

from haechi.vault.audit import Device
from haechi.vault.errors import invalid, not_found
from haechi.vault.logical import Request, Response, Route
from haechi.vault.system.base import CoreBackend, top

DEVICE = {"type": "text", "description": "text", "options": "pairs", "local": "bool", "path": "text"}


class AuditPaths(CoreBackend):
    """Handlers."""

    ROUTES = (
        Route("audit", {"read": "read_devices"}, sudo=True),
        Route("audit/{place...}", {"update": "enable_device", "delete": "disable_device"}, DEVICE, sudo=True),
        Route("audit-hash/{place...}", {"update": "hash_input"}, {"input": "text", "path": "text"}),
        Route("config/auditing/request-headers", {"read": "read_headers"}, sudo=True),
        Route(
            "config/auditing/request-headers/{header}",
            {"read": "read_header", "update": "set_header", "delete": "remove_header"},
            {"hmac": "bool", "header": "text"},
            sudo=True,
        ),
    )

    def read_devices(self, request: Request) -> Response:
        return top(self.core.audit.listed())

    def enable_device(self, request: Request, place: str) -> None:
        values = request.values
        options = dict(values.get("options", {}))
        device = Device(place, values.get("type", ""), values.get("description", ""), options, values.get("local", False))
        self.core.audit.enable(request.transaction, device)

    def disable_device(self, request: Request, place: str) -> None:
        """One that is not there is disabled already."""
        self.core.audit.disable(request.transaction, place)

    def hash_input(self, request: Request, place: str) -> Response:
        text = request.values.get("input", "")
        if not text:
            raise invalid('the "input" parameter is empty')
        return top({"hash": self.core.audit.hash(place, text)})

    def read_headers(self, request: Request) -> Response:
        return top({"headers": {name: {"hmac": hashed} for name, hashed in self.core.audit.headers.items()}})

    def read_header(self, request: Request, header: str) -> Response:
        if header.lower() not in self.core.audit.headers:
            raise not_found()
        return top({header.lower(): {"hmac": self.core.audit.headers[header.lower()]}})

    def set_header(self, request: Request, header: str) -> None:
        self.core.audit.set_header(request.transaction, header, request.values.get("hmac", False))

    def remove_header(self, request: Request, header: str) -> None:
        self.core.audit.remove_header(request.transaction, header)
