"""The plan of a run: init, plan, show, policies."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any

from haechi.tfe import schema
from haechi.tfe.policy.evaluate import COUNTS, Outcome, evaluate_sets
from haechi.tfe.policy.sets import LoadedSet
from haechi.tfe.runs import lifecycle, logs
from haechi.tfe.runs.blobs import plan_json_key, plan_redacted_key
from haechi.tfe.runs.lifecycle import PlanResult
from haechi.tfe.store import Tx, one, put_blob
from haechi.tfe.worker.directory import PrepareError
from haechi.tfe.worker.environment import render_cli_config
from haechi.tfe.worker.phase import Phase
from haechi.tfe.worker.plan_document import read_result, render_redacted
from haechi.tfe.worker.process import Command

log = logging.getLogger("haechi.tfe.worker")
PATIENCE_SECONDS = 1.0  # the log's end waits so long for the policies, so that a client finds them judged
GENERATED = "generated.tf"


class Plan(Phase):
    """A plan from the archive to the policies' verdict."""

    def execute(self) -> None:
        """Do it, or go on where an earlier server stopped."""
        context = self.context
        if context.run.status == "policy_checking":
            self._judge_again()
            return
        skip = self.open_log()
        command = Command(context.directory.command("plan"), context.directory.log("plan"))
        if not command.started:
            try:
                self._prepare()
            except PrepareError as error:
                self._fail(f"\nError: {error}\n".encode(), str(error))
                return
            command = self.start("plan", self._arguments(), context.directory.log("plan"))
        last = self.stream(command, skip)
        if command.code != 0:
            reason = "terraform was killed" if command.code == -9 and not self.signal.wanted else "terraform plan failed"
            self._fail(last, reason)
            return
        shown = self.run("show", "show", "-json", str(context.directory.plan))
        if shown.code != 0:
            said = context.redactor.text(shown.errors.read_text(errors="replace"))
            self._fail(last + said.encode(), "the plan could not be read")
            return
        self._finish(last, json.loads(shown.log.read_bytes()))

    def _prepare(self) -> None:
        """Unpack, initialise, put state and variables in place. Raises PrepareError."""
        context = self.context
        directory = context.directory
        archive, state = context.read_input()
        if archive is None:
            raise PrepareError("The configuration version's archive is gone.")
        for name in ("init", "init-upgrade"):  # a server may have ended in their middle
            Command(directory.command(name)).clear()
        directory.prepare(archive)
        directory.cli_config.touch(mode=0o600)
        directory.cli_config.write_text(render_cli_config(context.services.settings, context.create_token()))
        init = self.run("init", "init", "-input=false", "-no-color")
        lock = directory.work / ".terraform.lock.hcl"
        if init.code != 0 and lock.exists() and not self.signal.wanted:
            lock.unlink()
            again = self.run("init-upgrade", "init", "-input=false", "-no-color")
            if again.code == 0:
                # In terraform's own log: it is counted from its beginning when another server goes on with it.
                directory.log("plan").write_bytes(b"The dependency lock file names providers that are not here; it was not used.\n")
                init = again
        if init.code != 0:
            raise PrepareError(f"terraform init failed.\n\n{context.redactor.text(_said(init))}")
        directory.write_state(state)
        mine = [row for row in context.variables if row.category == "terraform"]
        directory.write_variables(
            {row.key: row.value for row in mine if not row.hcl},
            {row.key: row.value for row in mine if row.hcl},
            {item["key"]: item["value"] for item in context.run.variables},
        )

    def _arguments(self) -> list[str]:
        run = self.context.run
        words = ["plan", "-input=false", f"-out={self.context.directory.plan}"]
        words += ["-json"] if self.context.structured else []
        words += ["-destroy"] if run.is_destroy else []
        words += ["-refresh-only"] if run.refresh_only else []
        words += [] if run.refresh else ["-refresh=false"]
        words += [f"-generate-config-out={GENERATED}"] if run.allow_config_generation else []
        words += [f"-target={address}" for address in run.target_addrs]
        return words + [f"-replace={address}" for address in run.replace_addrs]

    def _fail(self, text: bytes, reason: str) -> None:
        """End the plan without one."""
        result = PlanResult(self.signal.end("errored"), error=self.signal.reason(reason))
        with self.context.services.store.write() as tx:
            self.close(tx, text)
            lifecycle.finish_plan(self.context.services.store, tx, self.context.run.id, result, False)
        self.ring()

    def _finish(self, last: bytes, plan: dict[str, Any]) -> None:
        context, store = self.context, self.context.services.store
        result = read_result(plan, context.run.refresh_only)
        sets, about = context.read_policies()
        schemas = self._schemas() if context.structured or context.run.save_plan else None
        redacted = context.redactor.document(render_redacted(plan, schemas))
        kept = context.redactor.document(plan)
        with store.write() as tx:
            if _is_canceled(tx, context.run.id):  # somebody was told so; the plan was a moment faster
                result, sets = PlanResult("canceled"), []
            put_blob(tx, plan_json_key(self.log_id), json.dumps(kept).encode())
            put_blob(tx, plan_redacted_key(self.log_id), json.dumps(redacted).encode())
            if (context.directory.work / GENERATED).exists():
                tx.execute(schema.plans.update().where(schema.plans.c.id == self.log_id).values(generated_configuration=True))
            judged = lifecycle.finish_plan(store, tx, context.run.id, result, bool(sets))
            if judged:
                logs.append(tx, self.log_id, last)
            else:
                self.close(tx, last)
        self.ring()
        if judged:
            self._judge(sets, plan, about)

    def _schemas(self) -> dict[str, Any] | None:
        command = self.run("schemas", "providers", "schema", "-json")
        if command.code != 0:
            log.warning("%s: providers schema failed; the plan is rendered without", self.context.run.id)
            return None
        found: dict[str, Any] = json.loads(command.log.read_bytes())
        return found

    def _judge(self, sets: list[LoadedSet], plan: dict[str, Any], about: dict[str, Any]) -> None:
        """Evaluate the policies; their verdict, the run's new status and the log's end are one step where they are quick enough."""
        context, store = self.context, self.context.services.store
        with ThreadPoolExecutor(1, "policies") as pool:
            future = pool.submit(evaluate_sets, sets, plan, about, context.services.settings.home / "policies")
            try:
                outcome = future.result(PATIENCE_SECONDS)
            except NotYet:
                with store.write() as tx:
                    self.close(tx)
                self.ring()
                outcome = future.result()
        self._conclude(outcome)

    def _conclude(self, outcome: Outcome) -> None:
        context, store = self.context, self.context.services.store
        result, output = context.redactor.document(outcome.result), context.redactor.text(outcome.output)
        with store.write() as tx:
            lifecycle.finish_policies(store, tx, context.run.id, outcome.status, result, output)
            self.close(tx)
        self.ring()

    def _judge_again(self) -> None:
        """The server ended while the policies were at work. The stored plan has its secrets blanked, so terraform is asked once more."""
        shown = self.run("show", "show", "-json", str(self.context.directory.plan))
        sets, about = self.context.read_policies()
        if shown.code != 0:
            log.error("%s: the plan cannot be read again: %s", self.context.run.id, self.context.redactor.text(_said(shown)))
            self._conclude(
                Outcome(dict.fromkeys(COUNTS, 0) | {"hard-failed": 1, "total-failed": 1}, texts=["The plan could not be read again."])
            )
            return
        self._judge(sets, json.loads(shown.log.read_bytes()), about)


def _is_canceled(tx: Tx, run_id: str) -> bool:
    run = one(tx, schema.runs, schema.runs.c.id == run_id, lock=True)
    return run is not None and run.canceled_at is not None


def _said(command: Command) -> str:
    return (command.log.read_text(errors="replace") + command.errors.read_text(errors="replace")).strip()
