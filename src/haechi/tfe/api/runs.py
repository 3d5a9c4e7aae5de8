"""Runs: creating and reading. https://developer.hashicorp.com/terraform/enterprise/api-docs/run"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import schema
from haechi.tfe.access import organization_access, require_organization, workspace_permissions
from haechi.tfe.api.call import Answer, Call, Route, listed, shown
from haechi.tfe.errors import forbidden, invalid, not_found
from haechi.tfe.jsonapi import Document, Sent, resource, to_many, to_one
from haechi.tfe.runs import lifecycle, states
from haechi.tfe.store import Tx, one
from haechi.tfe.workspaces import find_workspace

R, W = schema.runs, schema.workspaces


def render_run(call: Call, tx: Tx, row: Row[Any]) -> Document:
    """A run as this caller sees it."""
    workspace = one(tx, W, W.c.id == row.workspace_id)
    plan = one(tx, schema.plans, schema.plans.c.run_id == row.id)
    apply = one(tx, schema.applies, schema.applies.c.run_id == row.id)
    assert workspace is not None and plan is not None and apply is not None, "a run has all three"
    held = workspace_permissions(tx, call.caller, workspace)
    overrides = organization_access(tx, call.caller, workspace.organization_id).may("manage-policy-overrides")
    checks = tx.execute(sa.select(schema.policy_checks.c.id).where(schema.policy_checks.c.run_id == row.id)).scalars()
    comments = tx.execute(sa.select(schema.comments.c.id).where(schema.comments.c.run_id == row.id)).scalars()
    attributes = {
        "actions": {
            "is-cancelable": row.status in states.CANCELABLE and row.canceled_at is None,
            "is-confirmable": row.status in states.CONFIRMABLE,
            "is-discardable": row.status in states.DISCARDABLE,
            "is-force-cancelable": lifecycle.is_force_cancelable(row),
        },
        "allow-config-generation": row.allow_config_generation,
        "allow-empty-apply": row.allow_empty_apply,
        "auto-apply": row.auto_apply,
        "canceled-at": row.canceled_at,
        "created-at": row.created_at,
        "error-text": row.error_text or None,  # not the vendor's: why an errored run ended
        "force-cancel-available-at": row.force_cancel_available_at,
        "has-changes": row.has_changes,
        "is-destroy": row.is_destroy,
        "message": row.message,
        "permissions": {
            "can-apply": "queue-apply" in held,
            "can-cancel": "cancel-run" in held,
            "can-comment": "read-run" in held and call.caller.kind != "run",
            "can-discard": "queue-apply" in held,
            "can-force-cancel": "force-cancel-run" in held,
            "can-force-execute": "queue-apply" in held,
            "can-override-policy-check": overrides,
        },
        "plan-only": row.plan_only,
        "position-in-queue": 0,
        "refresh": row.refresh,
        "refresh-only": row.refresh_only,
        "replace-addrs": row.replace_addrs or None,
        "save-plan": row.save_plan,
        "source": row.source,
        "status": row.status,
        "status-timestamps": row.status_timestamps,
        "target-addrs": row.target_addrs or None,
        "terraform-version": row.terraform_version,
        "trigger-reason": row.trigger_reason,
        "updated-at": max([row.created_at, *row.status_timestamps.values()]),
        "variables": row.variables,
    }
    relationships = {
        "workspace": to_one("workspaces", row.workspace_id),
        "configuration-version": to_one("configuration-versions", row.configuration_version_id),
        "plan": to_one("plans", plan.id, f"/api/v2/runs/{row.id}/plan"),
        "apply": to_one("applies", apply.id, f"/api/v2/runs/{row.id}/apply"),
        "created-by": to_one("users", row.created_by_id),
        "confirmed-by": to_one("users", row.confirmed_by_id),
        "policy-checks": to_many("policy-checks", checks, f"/api/v2/runs/{row.id}/policy-checks"),
        "task-stages": to_many("task-stages", []),
        "comments": to_many("comments", comments, f"/api/v2/runs/{row.id}/comments"),
        "run-events": {"links": {"related": f"/api/v2/runs/{row.id}/run-events"}},
    }
    return resource("runs", row.id, attributes, relationships, {"self": f"/api/v2/runs/{row.id}"})


def included_of(call: Call, tx: Tx, row: Row[Any]) -> list[Document]:
    """What `include=` asks for of a run; names that mean nothing here are let pass, as clients of other versions send them."""
    from haechi.tfe.api.account import render_user
    from haechi.tfe.api.configuration_versions import render_configuration
    from haechi.tfe.api.plans import render_apply, render_plan
    from haechi.tfe.api.workspaces import render_workspace

    asked = {name.replace("-", "_") for name in call.include}
    found: list[Document] = []
    if "plan" in asked:
        found += [render_plan(call, p) for p in tx.execute(sa.select(schema.plans).where(schema.plans.c.run_id == row.id))]
    if "apply" in asked:
        found += [render_apply(call, tx, a) for a in tx.execute(sa.select(schema.applies).where(schema.applies.c.run_id == row.id))]
    if "workspace" in asked:
        found += [render_workspace(call, tx, w) for w in tx.execute(sa.select(W).where(W.c.id == row.workspace_id)).all()]
    if "configuration_version" in asked:
        c = schema.configuration_versions
        query = sa.select(c).where(c.c.id == row.configuration_version_id)
        found += [render_configuration(call, each) for each in tx.execute(query)]
    people = [id for name, id in (("created_by", row.created_by_id), ("confirmed_by", row.confirmed_by_id)) if name in asked]
    found += [render_user(user) for user in tx.execute(sa.select(schema.users).where(schema.users.c.id.in_(people)))]
    return found


def find_run(call: Call, tx: Tx, *permissions: str) -> Row[Any]:
    """The run of the path, if the caller sees it. Raises not_found, forbidden."""
    row = one(tx, R, R.c.id == call.path["id"])
    if row is None:
        raise not_found("run")
    workspace = one(tx, W, W.c.id == row.workspace_id)
    assert workspace is not None, "runs go with their workspace"
    if "read-run" not in workspace_permissions(tx, call.caller, workspace):
        raise not_found("run")
    find_workspace(tx, call.caller, row.workspace_id, *permissions)
    return row


def create_run(call: Call) -> Answer:
    """POST /runs"""
    sent = Sent(call.document, "runs")
    workspace_id = sent.related("workspace", "workspaces")
    if workspace_id is None:
        raise invalid("The relationship workspace is missing.", title="unprocessable entity")
    with call.store.write() as tx:
        workspace = find_workspace(tx, call.caller, workspace_id, "queue-run", lock=True)
        asked = parse_asked(call, sent, workspace.id)
        held = workspace_permissions(tx, call.caller, workspace)
        if asked.auto_apply and "queue-apply" not in held:
            raise forbidden("A run that applies by itself needs the permission queue-apply.")
        if asked.is_destroy and not asked.plan_only and "queue-destroy" not in held:
            raise forbidden("A destroy run needs the permission queue-destroy.")
        id = lifecycle.create_run(call.store, tx, asked, call.caller)
        if workspace.auto_apply and "queue-apply" not in held:  # their run waits for somebody who may apply
            tx.execute(sa.update(R).where(R.c.id == id).values(auto_apply=False))
        row = one(tx, R, R.c.id == id)
        assert row is not None, "it was just made"
        answer = shown(render_run(call, tx, row), 201)
    call.store.bell.ring("jobs", workspace_id)
    return answer


def parse_asked(call: Call, sent: Sent, workspace_id: str) -> lifecycle.Asked:
    """What the attributes ask for. Raises invalid."""
    cloud = call.headers.get("x-terraform-integration") == "cloud"
    given = sent.attributes.get("variables") or []
    good = isinstance(given, list) and len(given) <= 1000
    if not good or not all(isinstance(v, dict) and isinstance(v.get("key"), str) and isinstance(v.get("value"), str) for v in given):
        raise invalid("variables must be a list of objects with key and value.", "variables")
    if not all(lifecycle.VARIABLE.fullmatch(v["key"]) for v in given):
        raise invalid("The key of a variable must be the name of one.", "variables")
    return lifecycle.Asked(
        workspace_id,
        sent.related("configuration-version", "configuration-versions"),
        message=sent.text("message", most=4096),
        source="terraform+cloud" if cloud else "terraform" if call.headers.get("terraform-version") else "tfe-api",
        is_destroy=sent.flag("is-destroy"),
        refresh=sent.flag("refresh", True),
        refresh_only=sent.flag("refresh-only"),
        plan_only=sent.flag("plan-only") if sent.attributes.get("plan-only") is not None else None,
        save_plan=sent.flag("save-plan"),
        auto_apply=sent.flag("auto-apply") if sent.attributes.get("auto-apply") is not None else None,
        allow_empty_apply=sent.flag("allow-empty-apply"),
        allow_config_generation=sent.flag("allow-config-generation"),
        target_addrs=_addresses(sent, "target-addrs"),
        replace_addrs=_addresses(sent, "replace-addrs"),
        variables=[{"key": v["key"], "value": v["value"]} for v in given],
        terraform_version=sent.text("terraform-version", most=100),
    )


def _addresses(sent: Sent, name: str) -> list[str]:
    found = sent.texts(name)
    if any(not address or address.startswith("-") or "\0" in address or "\n" in address or len(address) > 1000 for address in found):
        raise invalid(f"{name} must be addresses of resources.", name)
    return found


def show_run(call: Call) -> Answer:
    """runs/:id"""
    with call.store.read() as tx:
        row = find_run(call, tx)
        return shown(render_run(call, tx, row), included=included_of(call, tx, row))


def _filters(call: Call) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    status = [s for s in call.query.get("filter[status]", "").split(",") if s]
    source = [s for s in call.query.get("filter[source]", "").split(",") if s]
    if status:
        found.append(R.c.status.in_(status))
    if source:
        found.append(R.c.source.in_(source))
    operations = {
        "plan_only": R.c.plan_only.is_(True),
        "plan_and_apply": sa.and_(R.c.plan_only.is_(False), R.c.is_destroy.is_(False)),
        "refresh_only": R.c.refresh_only.is_(True),
        "destroy": R.c.is_destroy.is_(True),
        "save_plan": R.c.save_plan.is_(True),
    }
    wanted = [operations[o] for o in call.query.get("filter[operation]", "").split(",") if o in operations]
    if wanted:
        found.append(sa.or_(*wanted))
    text = call.query.get("search[basic]", "") or call.query.get("search", "")
    if text:
        found.append(sa.or_(R.c.message.icontains(text, autoescape=True), R.c.id == text))
    return found


def _page(call: Call, tx: Tx, *where: sa.ColumnElement[bool]) -> Answer:
    page = call.page
    total = tx.execute(sa.select(sa.func.count()).select_from(R).where(*where)).scalar_one()
    rows = tx.execute(sa.select(R).where(*where).order_by(R.c.number.desc()).limit(page.size).offset(page.offset)).all()
    included = {item["id"]: item for row in rows for item in included_of(call, tx, row)}
    return listed([render_run(call, tx, row) for row in rows], page, total, list(included.values()))


def list_runs(call: Call) -> Answer:
    """workspaces/:id/runs, newest first"""
    with call.store.read() as tx:
        workspace = find_workspace(tx, call.caller, call.path["id"], "read-run")
        return _page(call, tx, R.c.workspace_id == workspace.id, *_filters(call))


def list_organization_runs(call: Call) -> Answer:
    """organizations/:name/runs, newest first; of workspaces the caller may read"""
    with call.store.read() as tx:
        organization = require_organization(tx, call.caller, call.path["organization"])
        workspaces = tx.execute(sa.select(W).where(W.c.organization_id == organization.id)).all()
        seen = [w.id for w in workspaces if "read-run" in workspace_permissions(tx, call.caller, w)]
        return _page(call, tx, R.c.workspace_id.in_(seen), *_filters(call))


ROUTES: list[Route] = [
    ("POST", "/runs", create_run),
    ("GET", "/runs/{id}", show_run),
    ("GET", "/workspaces/{id}/runs", list_runs),
    ("GET", "/organizations/{organization}/runs", list_organization_runs),
]
