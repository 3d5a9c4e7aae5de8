"""Under which keys the large things are kept, and forgetting those of a workspace."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from haechi.tfe import schema
from haechi.tfe.store import Tx, delete_blobs


def configuration_key(id: str) -> str:
    """The archive of a configuration version."""
    return f"configuration/{id}"


def state_key(id: str) -> str:
    """The state of a state version."""
    return f"state/{id}"


def state_json_key(id: str) -> str:
    """The state as `terraform show -json` prints it, where the client sent it."""
    return f"state-json/{id}"


def plan_json_key(id: str) -> str:
    """The plan as `terraform show -json` prints it; holds secrets."""
    return f"plan-json/{id}"


def plan_redacted_key(id: str) -> str:
    """The plan for rendering at a client, sensitive values blanked."""
    return f"plan-redacted/{id}"


def policy_set_key(id: str) -> str:
    """The archive of a policy set version."""
    return f"policy-set/{id}"


def delete_workspace_blobs(tx: Tx, workspace_ids: Sequence[str]) -> None:
    """Forget everything large of these workspaces; before their rows go."""
    r, p = schema.runs, schema.plans
    runs = sa.select(r.c.id).where(r.c.workspace_id.in_(workspace_ids))
    plans = list(tx.execute(sa.select(p.c.id).where(p.c.run_id.in_(runs))).scalars())
    applies = list(tx.execute(sa.select(schema.applies.c.id).where(schema.applies.c.run_id.in_(runs))).scalars())
    c, s = schema.configuration_versions, schema.state_versions
    keys = [configuration_key(id) for id in tx.execute(sa.select(c.c.id).where(c.c.workspace_id.in_(workspace_ids))).scalars()]
    for id in tx.execute(sa.select(s.c.id).where(s.c.workspace_id.in_(workspace_ids))).scalars():
        keys += [state_key(id), state_json_key(id)]
    for id in plans:
        keys += [plan_json_key(id), plan_redacted_key(id)]
    delete_blobs(tx, keys)
    tx.execute(schema.log_chunks.delete().where(schema.log_chunks.c.log_id.in_([*plans, *applies])))
    tx.execute(schema.logs.delete().where(schema.logs.c.id.in_([*plans, *applies])))
