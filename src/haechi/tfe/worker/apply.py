"""The apply of a run: terraform apply of the plan that was confirmed, and the state it leaves, whatever came of it."""

from __future__ import annotations

import json
import logging
import re

from haechi.tfe import schema
from haechi.tfe.errors import ApiError
from haechi.tfe.runs import lifecycle
from haechi.tfe.runs.lifecycle import ApplyResult
from haechi.tfe.state.versions import StateConflict, store_state
from haechi.tfe.store import Tx, one
from haechi.tfe.worker.directory import PrepareError
from haechi.tfe.worker.environment import render_cli_config
from haechi.tfe.worker.phase import Phase
from haechi.tfe.worker.process import KILLED, Command

log = logging.getLogger("haechi.tfe.worker")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
COUNTED = re.compile(r"(\d+) (imported|added|changed|destroyed)")
COMPLETE = re.compile(r"(?:Apply|Destroy) complete! Resources: ([^\n]*)")


class Apply(Phase):
    """An apply from the confirmed plan to the stored state."""

    def execute(self) -> None:
        """Do it, or go on where an earlier server stopped. What was started is never started again."""
        context = self.context
        skip = self.open_log()
        command = Command(context.directory.command("apply"), context.directory.log("apply"))
        if not command.started:
            if not context.directory.plan.exists():
                self._finish(
                    b"\nError: The directory of the plan is gone from the worker.\n", ApplyResult("errored", error="the plan is gone")
                )
                return
            context.directory.cli_config.write_text(render_cli_config(context.services.settings, context.create_token()))
            words = ["apply", "-input=false", *(["-json"] if context.structured else []), str(context.directory.plan)]
            command = self.start("apply", words, context.directory.log("apply"))
        last = self.stream(command, skip)
        self._finish(last, self._result(command))

    def _result(self, command: Command) -> ApplyResult:
        text = command.log.read_text(errors="replace")
        counts = _structured_counts(text) if self.context.structured else _counts(text)
        if command.code == 0:
            return ApplyResult("finished", counts.get("added"), counts.get("changed"), counts.get("destroyed"), counts.get("imported", 0))
        reason = "terraform was killed" if command.code == KILLED and not self.signal.wanted else "terraform apply failed"
        return ApplyResult(self.signal.end("errored"), error=self.signal.reason(reason))

    def _finish(self, last: bytes, result: ApplyResult) -> None:
        """State, log's end and the run's new status in one step."""
        context, store = self.context, self.context.services.store
        try:
            with store.write() as tx:
                complaint = self._keep_state(tx)
                if complaint:
                    result = ApplyResult("errored", result.additions, result.changes, result.destructions, result.imports, complaint)
                    last += f"\nError: {complaint}\n".encode()
                self.close(tx, last)
                lifecycle.finish_apply(store, tx, context.run.id, result)
        except ApiError:  # another worker took this one for dead and ended the run, or somebody deleted the workspace
            with store.write() as tx:
                self._keep_state(tx)
            raise
        self.ring()

    def _keep_state(self, tx: Tx) -> str:
        """Store the state; "" or why it could not be. It is never thrown away: then it lies in lost+found."""
        context, w = self.context, schema.workspaces
        try:
            data = context.directory.read_state()
        except PrepareError as error:
            return str(error)
        if data is None:
            return ""
        try:
            if one(tx, w, w.c.id == context.workspace.id) is None:
                return self._lose(data, "The workspace is gone.")
            given = {"run_id": context.run.id, "created_by_id": context.run.confirmed_by_id or context.run.created_by_id}
            store_state(context.services.store, tx, context.workspace.id, data, **given)
        except StateConflict as error:
            return self._lose(data, str(error))
        return ""

    def _lose(self, data: bytes, reason: str) -> str:
        """Lay a state that has no place in the workspace where a person finds it; what to tell them."""
        lost = self.context.services.settings.home / "lost+found" / f"{self.context.run.id}.tfstate"
        lost.parent.mkdir(mode=0o700, exist_ok=True)
        lost.touch(mode=0o600)
        lost.write_bytes(data)
        log.error("the state of %s could not be stored and lies in %s: %s", self.context.run.id, lost, reason)
        return f"The state could not be stored and lies on the worker in {lost}. {reason}"

    def abort(self) -> None:
        """End terraform and save its state aside."""
        super().abort()
        data = self.context.directory.read_state()
        if data is not None and self.command is not None:
            self._lose(data, "The worker failed.")


def _counts(text: str) -> dict[str, int]:
    found = COMPLETE.search(COLOUR.sub("", text))
    return {kind: int(number) for number, kind in COUNTED.findall(found[1])} if found else {}


def _structured_counts(text: str) -> dict[str, int]:
    for line in reversed(text.splitlines()):
        if '"change_summary"' in line:
            changes = json.loads(line).get("changes", {})
            names = {"add": "added", "change": "changed", "remove": "destroyed", "import": "imported"}
            return {name: int(changes.get(key, 0)) for key, name in names.items()}
    return {}
