"""Everything a phase needs to know, read once from the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.access import create_token
from haechi.tfe.api.call import Services
from haechi.tfe.policy.evaluate import run_document
from haechi.tfe.policy.sets import LoadedSet, sets_for
from haechi.tfe.runs.blobs import configuration_key
from haechi.tfe.runs.jobs import Job
from haechi.tfe.state.versions import current_state
from haechi.tfe.store import Tx, get_blob, one
from haechi.tfe.worker.directory import RunDirectory
from haechi.tfe.worker.environment import render_environment
from haechi.tfe.worker.secrecy import Redactor, find_literals


@dataclass
class Context:
    """One run, as its worker sees it."""

    services: Services
    job: Job
    run: Row[Any]
    workspace: Row[Any]
    directory: RunDirectory
    environment: dict[str, str] = field(repr=False)
    variables: list[Row[Any]] = field(repr=False)
    redactor: Redactor = field(repr=False)

    @property
    def structured(self) -> bool:
        """Whether the client wants JSON lines in place of text."""
        return bool(self.workspace.structured_run_output_enabled) and self.run.source == "terraform+cloud"

    def read_input(self) -> tuple[bytes | None, bytes | None]:
        """(archive of the configuration, current state)."""
        with self.services.store.read() as tx:
            return get_blob(tx, configuration_key(self.run.configuration_version_id)), current_state(tx, self.workspace.id)

    def read_policies(self) -> tuple[list[LoadedSet], dict[str, Any]]:
        """(the sets that judge this run, what they learn of it)."""
        with self.services.store.read() as tx:
            return sets_for(tx, self.workspace), run_document(tx, self.run)

    def create_token(self) -> str:
        """A token of the run's own; it ends with the run."""
        t = schema.tokens
        with self.services.store.write() as tx:
            tx.execute(t.delete().where(t.c.run_id == self.run.id))
            return create_token(tx, "run", run_id=self.run.id, description=f"{self.job.phase} of {self.run.id}")[1]


def read_context(services: Services, job: Job) -> Context | None:
    """The context of a job; None when its run is gone."""
    w, v = schema.workspaces, schema.variables
    with services.store.read() as tx:
        run = one(tx, schema.runs, schema.runs.c.id == job.run_id)
        workspace = one(tx, w, w.c.id == job.workspace_id)
        if run is None or workspace is None:
            return None
        variables = list(tx.execute(sa.select(v).where(v.c.workspace_id == workspace.id).order_by(v.c.key)))
        names = _names(tx, run, workspace)
    directory = RunDirectory(services.settings.home / "runs" / run.id, workspace.name, workspace.working_directory)
    given = {row.key: row.value for row in variables if row.category == "env"}
    environment = render_environment(services.settings, directory, given, names)
    secret = [text for row in variables if row.sensitive for text in (find_literals(row.value) if row.hcl else [row.value])]
    redactor = Redactor(secret)
    return Context(services, job, run, workspace, directory, environment, variables, redactor)


def _names(tx: Tx, run: Row[Any], workspace: Row[Any]) -> dict[str, str]:
    """What the vendor tells every run about itself."""
    organization = one(tx, schema.organizations, schema.organizations.c.id == workspace.organization_id)
    project = one(tx, schema.projects, schema.projects.c.id == workspace.project_id)
    assert organization is not None and project is not None, "workspaces go with both"
    return {
        "TFC_RUN_ID": run.id,
        "TFC_WORKSPACE_ID": workspace.id,
        "TFC_WORKSPACE_NAME": workspace.name,
        "TFC_WORKSPACE_SLUG": f"{organization.name}/{workspace.name}",
        "TFC_PROJECT_NAME": project.name,
        "TFC_CONFIGURATION_VERSION_ID": run.configuration_version_id,
    }
