"""HTTP/1.1 with Vault's own verb. The parser that uvicorn uses knows no LIST, so it is fed LINK, which nobody sends, in its place."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LIST, STAND_IN = b"LIST ", b"LINK "


class VaultProtocol(HttpToolsProtocol):
    """One connection. A request's first line is looked at where one begins, which between requests is at the start of what arrives."""

    _inside = False  # a request that has begun and is not complete
    _held = b""

    def data_received(self, data: bytes) -> None:
        if not self._inside:
            data, self._held = self._held + data, b""
            if len(data) < len(LIST) and LIST.startswith(data):
                self._held = data
                return
            if data.startswith(LIST):
                data = STAND_IN + data[len(LIST) :]
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._inside = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._inside = False
        super().on_message_complete()
