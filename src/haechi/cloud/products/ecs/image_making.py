"""Turns disks into layers of the data plane, outside any lock, and lets go of layers that nothing names any more.

A resource of kind "layer" (its id is the data plane's image, `HostId` the instance whose disk it is made of) exists from the
moment a layer is asked for until it is deleted. Images and snapshots name it in `Layer`; so do instances.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable

from haechi.cloud.runtime import Runtime
from haechi.cloud.store import View

log = logging.getLogger("haechi.images")
PENDING = {"image": "Creating", "snapshot": "progressing"}
DONE = {"image": "Available", "snapshot": "accomplished"}
FAILED = {"image": "CreateFailed", "snapshot": "failed"}


def make_layer(runtime: Runtime, layer: str) -> None:
    """Begin to copy the disk; whoever waits for the layer is told the outcome in the store."""
    _start(lambda: _make(runtime, layer), layer)


def collect_layers(runtime: Runtime) -> None:
    """Begin to delete the layers that nothing names."""
    _start(lambda: _collect(runtime), "collect")


def resume(runtime: Runtime) -> None:
    """Take up what a stop of the server cut short."""
    view = runtime.store.view()
    for layer in view.find("layer"):
        if any(view.find(kind, Layer=layer.id, Status=status) for kind, status in PENDING.items()):
            make_layer(runtime, layer.id)
    collect_layers(runtime)


def _start(work: Callable[[], None], name: str) -> None:
    def run() -> None:
        try:
            work()
        except sqlite3.ProgrammingError:
            log.info("%s: the server stopped meanwhile; the next start takes it up", name)
        except Exception:
            log.exception("%s", name)

    threading.Thread(target=run, name=f"machine-image-{name}", daemon=True).start()


def _make(runtime: Runtime, layer: str) -> None:
    asked = runtime.store.view().get("layer", layer)
    if asked is None:
        return
    outcome, absent = DONE, False
    try:
        if not runtime.dataplane.image_exists(layer):
            runtime.dataplane.commit_image(asked["HostId"], layer)
    except KeyError:
        absent = True
    except (RuntimeError, OSError):
        log.exception("%s could not be made", layer)
        outcome = FAILED
    size = runtime.dataplane.image_mib(layer) if outcome is DONE and not absent else 0
    with runtime.store.write() as tx:
        became = layer
        if absent:  # it was never started, so its disk is its image's; or it is gone
            instance = tx.get("instance", asked["HostId"])
            outcome, became = (FAILED, layer) if instance is None else (DONE, instance["Layer"])
        for kind, pending in PENDING.items():
            for waiting in tx.find(kind, Layer=layer, Status=pending):
                progress = "100%" if outcome is DONE else waiting["Progress"]
                tx.change(waiting, Status=outcome[kind], Progress=progress, Layer=became, LayerMiB=size)
    _collect(runtime)


def _held(view: View) -> set[str]:
    return {r["Layer"] for kind in ("image", "snapshot", "instance") for r in view.find(kind) if r.get("Layer")}


def _collect(runtime: Runtime) -> None:
    # Nothing can begin to name a layer again that nothing names, so no lock is needed in between.
    view = runtime.store.view()
    unused = [layer for layer in view.find("layer") if layer.id not in _held(view)]
    for layer in unused:
        runtime.dataplane.delete_image(layer.id)
    if unused:
        with runtime.store.write() as tx:
            for layer in unused:
                tx.delete(layer)
