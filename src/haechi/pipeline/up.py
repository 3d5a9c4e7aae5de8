"""Runs the steps of `up` and takes them back with `down`."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import haechi
from haechi.clients.control import ControlClient
from haechi.pipeline import tfe
from haechi.pipeline.failure import Failure
from haechi.pipeline.golden import delete_images
from haechi.pipeline.journal import Journal
from haechi.pipeline.remote_runs import destroy_remote
from haechi.pipeline.run import PARTS, REMOTE_PARTS, Run, VaultOptions
from haechi.pipeline.steps import STEPS, provide_terraform, start_server, start_tfe
from haechi.pipeline.tfe_setup import remove_tfe
from haechi.pipeline.vault import forget_vault
from haechi.settings import Target

Progress = Callable[[str, str], None]  # (step title, line)


def blueprint() -> Path:
    """Where the blueprint's files are: in the checkout, or inside the installed package."""
    package = Path(haechi.__file__).parent
    found = [p for p in (package / "blueprints" / "meow", package.parents[1] / "blueprints" / "meow") if p.is_dir()]
    if not found:
        raise Failure("The blueprint's files are missing from this installation.", "Install haechi again.")
    return found[0]


def up(target: Target, progress: Progress, refresh: Callable[[], Target], vault: VaultOptions, yes: bool = False) -> dict[str, object]:
    """Do every step; {url, vault, seconds, steps: [{step, seconds, what}]}.

    `refresh` reads the target again once the server has made its key. `yes` confirms runs without asking.
    """
    began = time.monotonic()
    done: list[dict[str, object]] = []
    with _alone(target):
        journal = Journal(target.site.home / "journal.jsonl")
        cut = journal.interrupted()
        if cut:
            progress("haechi", f"the last run was cut off in step {cut}; carrying on")
        run = Run(target, blueprint(), lambda line: None, vault, yes)
        for step in STEPS:
            if step.local_only and not target.local:
                continue
            run.say = lambda line, title=step.title: progress(title, line)  # type: ignore[misc]
            started = time.monotonic()
            journal.write(step.name, "begin")
            progress(step.title, "")
            try:
                what = step.run(run)
            except BaseException as error:
                journal.write(step.name, "fail", why=type(error).__name__)
                raise
            seconds = round(time.monotonic() - started, 1)
            journal.write(step.name, "end", seconds=seconds)
            progress(step.title, f"✓ {what} ({seconds} s)")
            done.append({"step": step.name, "seconds": seconds, "what": what})
            run.target = refresh()
    return {
        "url": run.values["url"],
        "vault": run.target.vault_addr,
        "runs": tfe.page_url(run.target),
        "domain": run.values.get("domain", ""),
        "edge_address": run.values.get("edge_address", ""),
        "seconds": round(time.monotonic() - began, 1),
        "steps": done,
    }


def down(target: Target, progress: Progress, refresh: Callable[[], Target]) -> dict[str, object]:
    """Destroy the blueprint with terraform, then end the servers. {destroyed: [...], left: {kind: count}}."""
    destroyed: list[str] = []
    left: dict[str, int] = {}
    with _alone(target):
        run = Run(target, blueprint(), lambda line: None, yes=True, command="down")
        kept = [p for p in PARTS if (target.work / "meow" / p / "terraform.tfstate").exists()]
        enterprise = not target.local or target.tfe_home.exists()
        if target.local and (kept or enterprise):
            start_server(run)
            run.target = refresh()
            provide_terraform(run)
            if enterprise:
                start_tfe(run)
        for name in reversed(PARTS):
            run.say = lambda line, name=name: progress(name, line)  # type: ignore[misc]
            if name in REMOTE_PARTS and enterprise and destroy_remote(run, name):
                destroyed.append(name)
            if name in kept and run.part(name).resources():  # of an earlier haechi, for the remote parts
                progress(name, "destroying")
                part = run.part(name)
                part.init()
                part.destroy()
                destroyed.append(name)
            if name == "03_app" and name in destroyed:
                destroyed += delete_images(run.target)
        if enterprise:
            remove_tfe(run)
        forget_vault(target, "01_vault" in destroyed)
        if target.local:
            tfe.stop(target)
        control = ControlClient(target.control)
        health = control.health() if target.local else None
        if health is not None:
            left = {kind: count for kind, count in health["resources"].items() if count}
            control.stop()
    return {"destroyed": destroyed, "left": left}


@contextmanager
def _alone(target: Target) -> Iterator[None]:
    """One `up` or `down` of a site at a time."""
    target.site.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (target.site.home / "up.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure("Another `haechi up` or `down` of this site is at work.", "Wait until it ends.") from None
        yield
