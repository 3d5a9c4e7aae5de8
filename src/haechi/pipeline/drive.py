"""Takes one run on Terraform Enterprise to its end: shows plan and policies, has somebody answer, tells line by line what is applied."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable

from haechi.clients import tfe_runs
from haechi.clients.tfe import Resource, Tfe, TfeRefused
from haechi.pipeline import tfe
from haechi.pipeline.failure import Failure
from haechi.pipeline.run import Run

ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
POLL_SECONDS = 0.2


class Drive:
    """Takes one run from wherever it is to its end, telling what it does. Raises Failure when it does not end well."""

    def __init__(self, run: Run, server: Tfe, name: str, id: str) -> None:
        self.run, self.server, self.id = run, server, id
        self.url = tfe.run_url(run.target, name, id)
        self._name = name
        self._told: set[str] = set()

    def to_end(self) -> Resource:
        """The run when it has ended: applied, or with nothing to change."""
        self.run.say(f"run {self.id}: {self.url}")
        while True:
            found = tfe_runs.read_run(self.server, self.id)
            status = found["attributes"]["status"]
            if status not in ("pending", "fetching", "plan_queued"):
                self._tell("plans", tfe_runs.related(found, "plan"))
            if status == "policy_override":
                self._policies()
                self._override()
            elif found["attributes"]["actions"]["is-confirmable"]:
                self._policies()
                self._confirm()
            elif status in ("applying", "applied") or (status == "errored" and "applying-at" in _stamps(found)):
                self._policies()
                self._tell("applies", tfe_runs.related(found, "apply"))
            if tfe_runs.is_final(found):
                return self._judge(found)
            time.sleep(POLL_SECONDS)

    def _judge(self, found: Resource) -> Resource:
        status = found["attributes"]["status"]
        if status == "planned_and_finished":
            self.run.say("nothing to change")
        elif status != "applied":
            self._policies()
            raise Failure(f"The run {self.id} of {self._name} ended {status}.", f"See {self.url}; `haechi up` carries on from here.")
        return found

    def _tell(self, phase: str, id: str) -> None:
        """The log of a phase, once, as it is written."""
        if phase in self._told or not id:
            return
        self._told.add(phase)
        rest = ""
        for text in tfe_runs.follow_log(self.server, phase, id):
            *lines, rest = (rest + text).split("\n")
            for line in lines:
                self._line(line)
        self._line(rest)

    def _line(self, line: str) -> None:
        plain = ESCAPES.sub("", line).rstrip()
        if plain:
            self.run.say(plain)

    def _policies(self) -> None:
        """Names and verdicts of the policies, once."""
        if "policies" in self._told:
            return
        self._told.add("policies")
        for check in tfe_runs.policy_checks(self.server, self.id):
            for policy, level, passed in render_verdicts(tfe_runs.policy_output(self.server, check["id"])):
                self.run.say(f"policy {policy} ({level}): {'passed' if passed else 'failed'}")

    def _override(self) -> None:
        """Have soft-mandatory failures pass, by a person at the terminal or by --yes; either is recorded with a comment."""
        if not self._asked("A policy failed softly. Override it and go on?", "override"):
            self._refuse("policies that failed softly")
        comment = f"Overridden by {self._who()}"
        self.run.say(comment)
        for check in tfe_runs.policy_checks(self.server, self.id):
            if check["attributes"]["status"] == "soft_failed":
                self._act(lambda id=check["id"]: tfe_runs.override(self.server, self.id, id, comment))  # type: ignore[misc]

    def _confirm(self) -> None:
        if not self._asked("Apply this plan?", "confirm"):
            self._refuse("the plan")
        self._act(lambda: tfe_runs.act(self.server, self.id, "apply", f"Confirmed by {self._who()}"))

    def _act(self, act: Callable[[], None]) -> None:
        """Answer the run; when somebody else was faster, what they answered counts."""
        try:
            act()
        except TfeRefused as error:
            if error.status != 409:
                raise
            self.run.say("somebody else answered first")

    def _who(self) -> str:
        return f"haechi {self.run.command} --yes" if self.run.yes else f"the operator of haechi {self.run.command}"

    def _asked(self, question: str, what: str) -> bool:
        """Whether to go on. Without a terminal and without --yes the run is left waiting, and a Failure tells how to answer it."""
        if self.run.yes:
            return True
        if not sys.stdin.isatty():
            raise Failure(
                f"The run {self.id} of {self._name} waits for somebody to {what} it, and there is no terminal to ask at.",
                f"Answer it at {self.url}, or start again with --yes.",
            )
        print(f"{question} Only yes goes on: ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip() == "yes"

    def _refuse(self, what: str) -> None:
        tfe_runs.act(self.server, self.id, "discard", "Discarded by the operator of haechi up")
        raise Failure(f"You did not accept {what}; the run is discarded and nothing is changed.", "`haechi up` plans again.")


def render_verdicts(output: str) -> list[tuple[str, str, bool]]:
    """(policy, level, passed) of each policy in a check's text, as Terraform Enterprise writes it."""
    found = re.findall(r"^#+ Policy \d+: (\S+) \(([a-z-]+)\)\s+Result: (true|false)", output, re.M)
    return [(name.rsplit("/", 1)[-1], level, result == "true") for name, level, result in found]


def _stamps(run: Resource) -> dict[str, str]:
    return run["attributes"].get("status-timestamps") or {}
