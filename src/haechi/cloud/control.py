"""The server's own controls, on a Unix socket that only root can open: health, doctor, stop. Not part of the cloud's API."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from haechi.cloud.leftovers import list_temporaries
from haechi.cloud.products import PRODUCTS
from haechi.cloud.runtime import Runtime

log = logging.getLogger("haechi.control")
KINDS = ("vpc", "vswitch", "security_group", "instance", "eip", "load_balancer", "image", "ram_user")


class Control:
    """GET /health, GET /doctor, POST /doctor (mend), POST /stop."""

    def __init__(self, runtime: Runtime, stop: Callable[[], None]) -> None:
        self._runtime = runtime
        self._stop = stop
        self._started = time.time()

    async def serve(self, path: Path) -> None:
        """Answer until cancelled."""
        path.unlink(missing_ok=True)
        routes = [
            Route("/health", self.health),
            Route("/doctor", self.doctor, methods=["GET", "POST"]),
            Route("/stop", self.stop, methods=["POST"]),
        ]
        config = uvicorn.Config(Starlette(routes=routes), uds=str(path), lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]  # SIGTERM is the composition root's
        try:
            await server.serve()
        finally:
            path.unlink(missing_ok=True)

    async def health(self, request: Request) -> JSONResponse:
        """What is served and what exists."""
        view = self._runtime.store.view()
        effects: dict[str, dict[str, int]] = {
            p.code: dict(Counter(a.effect.name for (v, _), a in p.actions.items() if v == p.version)) for p in PRODUCTS
        }
        return JSONResponse(
            {
                "server": "cloud",
                "ok": True,
                "pid": os.getpid(),
                "seconds": round(time.time() - self._started, 1),
                "region": self._runtime.region,
                "actions": effects,
                "resources": {kind: len(view.find(kind)) for kind in KINDS},
            }
        )

    async def doctor(self, request: Request) -> JSONResponse:
        """Where hosts and packets differ from the plan, and what image builds made; POST mends the former and tells what is left."""
        mended: list[dict[str, Any]] = []
        faults = await asyncio.to_thread(self._runtime.inspect)
        if request.method == "POST" and faults:
            mended = faults
            await asyncio.to_thread(self._runtime.repair)
            faults = await asyncio.to_thread(self._runtime.inspect)
        left = {(f["kind"], f["id"], f["what"]) for f in faults}
        mended = [m for m in mended if (m["kind"], m["id"], m["what"]) not in left]
        return JSONResponse({"faults": faults, "mended": mended, "temporaries": list_temporaries(self._runtime.store.view())})

    async def stop(self, request: Request) -> JSONResponse:
        """End the server; hosts and packets stay."""
        self._stop()
        return JSONResponse({"stopping": True})
