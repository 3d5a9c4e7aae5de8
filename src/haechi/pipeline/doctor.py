"""`haechi doctor`: where this machine differs from what the cloud promised, and what killed image builds left in it."""

from __future__ import annotations

from typing import Any

import httpx

from haechi.clients.control import ControlClient
from haechi.pipeline.cloud import connect
from haechi.pipeline.leftovers import find_leftovers, remove_leftovers
from haechi.pipeline.run import Run
from haechi.pipeline.steps import start_server
from haechi.pipeline.up import blueprint
from haechi.settings import Target

NO_SERVER = {"kind": "server", "id": "cloud", "what": "the cloud server is not running"}


def examine(target: Target, fix: bool) -> dict[str, list[dict[str, str]]]:
    """{faults, mended}, each a list of {kind, id, what}; with `fix` what can be mended is, and faults are what is left."""
    control = ControlClient(target.control)
    mended: list[dict[str, str]] = []
    if control.health() is None and fix:
        start_server(Run(target, blueprint(), lambda line: None))
        mended.append({**NO_SERVER, "what": "the cloud server was not running"})
    try:
        found: dict[str, Any] = control.doctor(fix)
    except (httpx.TransportError, OSError):
        return {"faults": [NO_SERVER], "mended": mended}
    left = find_leftovers(found["temporaries"], target.port)
    told = [{"kind": one.kind, "id": one.id, "what": f"left by {one.agent}, which does not run any more"} for one in left]
    if fix and left:
        for _ in remove_leftovers(connect(target), left):
            pass
        return {"faults": found["faults"], "mended": [*mended, *found["mended"], *told]}
    return {"faults": [*found["faults"], *told], "mended": [*mended, *found["mended"]]}
