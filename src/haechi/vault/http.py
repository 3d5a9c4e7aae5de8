"""HTTP/1.1 with Vault's own verb. The parser that uvicorn uses knows no LIST, so it is fed LINK, which nobody sends, in its place.

It also limits what uvicorn does not: how large the head of a request may be, and how long it may take to arrive.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LIST, STAND_IN = b"LIST ", b"LINK "
HEAD_BYTES, HEAD_SECONDS = 256 << 10, 10.0
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class VaultProtocol(HttpToolsProtocol):
    """One connection. A request's first line is looked at where one begins, which between requests is at the start of what arrives."""

    _inside = False  # a request that has begun and is not complete
    _held = b""
    _head_size = -1  # bytes of a request's head that have arrived; -1: none is being read
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def data_received(self, data: bytes) -> None:
        if not self._inside:
            data, self._held = self._held + data, b""
            if len(data) < len(LIST) and LIST.startswith(data):
                self._held = data
                return
            if data.startswith(LIST):
                data = STAND_IN + data[len(LIST) :]
        super().data_received(data)
        if self._head_size >= 0:
            self._head_size += len(data)
            if self._head_size > HEAD_BYTES:
                self.transport.write(TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        self._inside, self._head_size = True, 0
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_size = -1
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._inside = False
        super().on_message_complete()
