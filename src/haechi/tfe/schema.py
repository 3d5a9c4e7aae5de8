"""The tables, for SQLite and PostgreSQL alike. Times are ISO 8601 in UTC with milliseconds ("2026-11-26T08:13:00.000Z"), which sorts.

Large things (archives, states, plan documents) are in `blobs` under the id of what they belong to, so that reading a row stays cheap.
Who deletes a workspace or an organization deletes what hangs on it (`ondelete="CASCADE"`), except blobs: `Store.delete_blobs`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

metadata = MetaData()


def _id() -> Column[Any]:
    return Column("id", Text, primary_key=True)


def _text(name: str, default: str = "") -> Column[Any]:
    return Column(name, Text, nullable=False, default=default)


def _time(name: str) -> Column[Any]:
    return Column(name, Text)  # None until it happens


def _flag(name: str, default: bool = False) -> Column[Any]:
    return Column(name, Boolean, nullable=False, default=default)


def _json(name: str, default: Any) -> Column[Any]:
    return Column(name, JSON, nullable=False, default=default)


def _of(name: str, target: str, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, ForeignKey(f"{target}.id", ondelete="CASCADE"), nullable=nullable, index=True)


def _loose(name: str) -> Column[Any]:
    return Column(name, Text)  # an id that may outlive what it names


blobs = Table("blobs", metadata, Column("key", Text, primary_key=True), Column("data", LargeBinary, nullable=False))
secrets = Table("secrets", metadata, Column("name", Text, primary_key=True), Column("value", LargeBinary, nullable=False))

organizations = Table(
    "organizations",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    _text("email"),
    _json("settings", dict),  # the attributes that change nothing else, by their wire name
    Column("created_at", Text, nullable=False),
)
users = Table(
    "users",
    metadata,
    _id(),
    Column("username", Text, nullable=False, unique=True),
    Column("email", Text, nullable=False, unique=True),
    _flag("is_site_admin"),
    _flag("is_service_account"),
    _text("password"),  # scrypt, for the login pages; "" when the user has none
    Column("created_at", Text, nullable=False),
)
memberships = Table(
    "memberships",
    metadata,
    _id(),
    _of("organization_id", "organizations"),
    _of("user_id", "users"),
    _text("role", "member"),  # owner | member
    _json("organization_access", dict),  # manage-workspaces, manage-policies, manage-policy-overrides, ... : bool
    _text("workspace_access", "read"),  # none | read | plan | write | admin, on every workspace
    Column("created_at", Text, nullable=False),
    UniqueConstraint("organization_id", "user_id"),
)
tokens = Table(
    "tokens",
    metadata,
    _id(),
    Column("hash", Text, nullable=False, unique=True),  # SHA-256 of the token, hex
    Column("kind", Text, nullable=False),  # user | organization | run | session (of a browser)
    _of("user_id", "users", nullable=True),
    _of("organization_id", "organizations", nullable=True),
    _of("run_id", "runs", nullable=True),
    _text("description"),
    _loose("created_by_id"),
    Column("created_at", Text, nullable=False),
    _time("last_used_at"),
    _time("expired_at"),
)
oauth_codes = Table(  # authorization codes of `terraform login`: used once, within minutes
    "oauth_codes",
    metadata,
    Column("hash", Text, primary_key=True),
    _of("user_id", "users"),
    Column("client_id", Text, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("code_challenge", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
)
projects = Table(
    "projects",
    metadata,
    _id(),
    _of("organization_id", "organizations"),
    Column("name", Text, nullable=False),
    _text("description"),
    Column("created_at", Text, nullable=False),
    UniqueConstraint("organization_id", "name"),
)
workspaces = Table(
    "workspaces",
    metadata,
    _id(),
    _of("organization_id", "organizations"),
    _of("project_id", "projects"),
    Column("name", Text, nullable=False),
    _text("description"),
    _flag("auto_apply"),
    _flag("auto_apply_run_trigger"),
    _flag("allow_destroy_plan", True),
    _text("execution_mode", "remote"),  # remote | local
    _flag("global_remote_state"),
    _flag("queue_all_runs"),
    _flag("speculative_enabled", True),
    _flag("structured_run_output_enabled"),
    _text("terraform_version", "latest"),
    _text("working_directory"),
    _text("source", "tfe-api"),
    _text("source_name"),
    _text("source_url"),
    # The lock: "" nobody, else who: user | organization | run. A run's lock is held from plan_queued to its end.
    _text("locked_by"),
    _loose("locked_by_id"),
    _text("lock_reason"),
    _loose("current_run_id"),
    _loose("current_state_version_id"),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    UniqueConstraint("organization_id", "name"),
)
workspace_tags = Table(  # a tag is a key; bound to a value, or with value "" a flat one
    "workspace_tags",
    metadata,
    Column("workspace_id", Text, ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    _text("value"),
)
remote_state_consumers = Table(
    "remote_state_consumers",
    metadata,
    Column("workspace_id", Text, ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    Column("consumer_id", Text, ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
)
variables = Table(
    "variables",
    metadata,
    _id(),
    _of("workspace_id", "workspaces"),
    Column("key", Text, nullable=False),
    _text("value"),
    _text("description"),
    Column("category", Text, nullable=False),  # terraform | env
    _flag("hcl"),
    _flag("sensitive"),
    Column("version_id", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    UniqueConstraint("workspace_id", "category", "key"),
)
configuration_versions = Table(
    "configuration_versions",
    metadata,
    _id(),
    _of("workspace_id", "workspaces"),
    _text("status", "pending"),  # pending | uploaded | errored | archived
    _text("source", "tfe-api"),
    _text("error"),
    _text("error_message"),
    _flag("auto_queue_runs", True),
    _flag("speculative"),
    _flag("provisional"),
    _json("changed_files", list),
    Column("created_at", Text, nullable=False),
    _json("status_timestamps", dict),
)
runs = Table(
    "runs",
    metadata,
    _id(),
    _of("workspace_id", "workspaces"),
    _of("configuration_version_id", "configuration_versions"),
    Column("number", BigInteger, nullable=False),  # order of creation within the server; newer is larger
    Column("status", Text, nullable=False, index=True),
    _text("message"),
    _text("source", "tfe-api"),  # tfe-api | tfe-ui | tfe-run-trigger | terraform+cloud | terraform
    _text("trigger_reason", "manual"),
    _flag("is_destroy"),
    _flag("refresh", True),
    _flag("refresh_only"),
    _flag("plan_only"),  # speculative: takes neither queue nor lock
    _flag("save_plan"),
    _flag("auto_apply"),
    _flag("allow_empty_apply"),
    _flag("allow_config_generation"),
    _json("target_addrs", list),
    _json("replace_addrs", list),
    _json("variables", list),  # [{key, value}] of this run, values as HCL
    _text("terraform_version"),
    _flag("has_changes"),
    _text("error_text"),
    _loose("created_by_id"),
    _loose("confirmed_by_id"),
    _loose("canceled_by_id"),
    _loose("discarded_by_id"),
    _loose("triggered_by_id"),  # the run whose apply triggered this one
    _loose("state_version_id"),  # current when the plan was made
    _loose("worker_id"),  # which holds the directory of the plan
    Column("created_at", Text, nullable=False),
    _time("force_cancel_available_at"),
    _time("canceled_at"),
    _json("status_timestamps", dict),  # "planned-at": time, ... by their wire name
)
Index("runs_by_workspace", runs.c.workspace_id, runs.c.number)
plans = Table(
    "plans",
    metadata,
    _id(),
    _of("run_id", "runs"),
    _text("status", "pending"),  # pending | queued | running | finished | errored | canceled | unreachable
    _flag("has_changes"),
    _flag("generated_configuration"),
    Column("resource_additions", Integer),
    Column("resource_changes", Integer),
    Column("resource_destructions", Integer),
    Column("resource_imports", Integer),
    _json("status_timestamps", dict),
)
applies = Table(
    "applies",
    metadata,
    _id(),
    _of("run_id", "runs"),
    _text("status", "pending"),
    Column("resource_additions", Integer),
    Column("resource_changes", Integer),
    Column("resource_destructions", Integer),
    Column("resource_imports", Integer),
    _json("status_timestamps", dict),
)
log_chunks = Table(  # byte stream of one plan or apply, STX and ETX included
    "log_chunks",
    metadata,
    Column("log_id", Text, primary_key=True),  # plan-... or apply-...
    Column("offset", BigInteger, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
logs = Table(
    "logs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("size", BigInteger, nullable=False, default=0),
    Column("closed", Boolean, nullable=False, default=False),
)
jobs = Table(  # what workers take; a row lives from plan_queued/apply_queued to the end of that phase
    "jobs",
    metadata,
    _id(),
    _of("run_id", "runs"),
    _of("workspace_id", "workspaces"),
    Column("phase", Text, nullable=False),  # plan | apply
    Column("priority", Integer, nullable=False),  # 1 apply, 2 plan, 3 speculative; smaller first
    Column("number", BigInteger, nullable=False),
    _text("signal"),  # "" | cancel | force
    _text("worker_id"),  # "" until taken; an apply is queued for the worker that holds the plan's directory
    _flag("taken"),
    _time("heartbeat_at"),
    Column("created_at", Text, nullable=False),
)
workers = Table("workers", metadata, _id(), Column("heartbeat_at", Text, nullable=False))
state_versions = Table(
    "state_versions",
    metadata,
    _id(),
    _of("workspace_id", "workspaces"),
    _loose("run_id"),
    _loose("created_by_id"),
    _loose("rollback_of_id"),
    _text("status", "pending"),  # pending | finalized | discarded
    Column("serial", BigInteger, nullable=False),
    _text("lineage"),
    _text("md5"),
    Column("size", BigInteger, nullable=False, default=0),
    _text("terraform_version"),
    Column("state_format", Integer, nullable=False, default=4),
    _flag("intermediate"),
    _flag("force"),
    _flag("resources_processed"),
    _json("resources", list),  # [{name, type, count, module, provider}]
    _json("modules", dict),
    _json("providers", dict),
    Column("number", BigInteger, nullable=False),
    Column("created_at", Text, nullable=False),
)
Index("state_versions_by_workspace", state_versions.c.workspace_id, state_versions.c.number)
state_outputs = Table(
    "state_outputs",
    metadata,
    _id(),
    _of("state_version_id", "state_versions"),
    Column("name", Text, nullable=False),
    _flag("sensitive"),
    _text("type"),  # string | number | boolean | array | object
    _json("value", None),
    _json("detailed_type", None),
)
run_triggers = Table(
    "run_triggers",
    metadata,
    _id(),
    _of("workspace_id", "workspaces"),  # gets the run
    _of("sourceable_id", "workspaces"),  # whose apply starts it
    Column("created_at", Text, nullable=False),
    UniqueConstraint("workspace_id", "sourceable_id"),
)
policy_sets = Table(
    "policy_sets",
    metadata,
    _id(),
    _of("organization_id", "organizations"),
    Column("name", Text, nullable=False),
    _text("description"),
    _text("kind", "sentinel"),  # sentinel | opa
    _flag("global_"),
    _flag("overridable", True),  # opa: whether a failed mandatory policy may be overridden
    _loose("current_version_id"),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    UniqueConstraint("organization_id", "name"),
)
policy_set_workspaces = Table(
    "policy_set_workspaces",
    metadata,
    Column("policy_set_id", Text, ForeignKey("policy_sets.id", ondelete="CASCADE"), primary_key=True),
    Column("workspace_id", Text, ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True),
    _flag("excluded"),
)
policy_set_versions = Table(
    "policy_set_versions",
    metadata,
    _id(),
    _of("policy_set_id", "policy_sets"),
    _text("status", "pending"),  # pending | ready | errored
    _text("source", "tfe-api"),
    _text("error"),
    Column("policy_count", Integer, nullable=False, default=0),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    _json("status_timestamps", dict),
)
policy_set_parameters = Table(
    "policy_set_parameters",
    metadata,
    _id(),
    _of("policy_set_id", "policy_sets"),
    Column("key", Text, nullable=False),
    _text("value"),
    _flag("sensitive"),
    UniqueConstraint("policy_set_id", "key"),
)
policy_checks = Table(
    "policy_checks",
    metadata,
    _id(),
    _of("run_id", "runs"),
    _text("status", "queued"),  # queued | passed | soft_failed | hard_failed | overridden | errored | canceled
    _text("scope", "organization"),
    _json("result", dict),  # counts and the sentinel document
    _text("output"),  # for people
    _loose("overridden_by_id"),
    _text("override_comment"),
    Column("created_at", Text, nullable=False),
    _json("status_timestamps", dict),
)
comments = Table(
    "comments",
    metadata,
    _id(),
    _of("run_id", "runs"),
    Column("body", Text, nullable=False),
    _loose("created_by_id"),
    Column("created_at", Text, nullable=False),
)
audit = Table(  # never deleted with what it tells about
    "audit",
    metadata,
    _id(),
    Column("number", BigInteger, nullable=False, index=True),
    Column("timestamp", Text, nullable=False, index=True),
    _loose("organization_id"),
    _loose("actor_id"),
    _text("actor"),  # user name, "organization", or "system"
    _text("actor_type", "Client"),  # Client | System
    _text("request_id"),
    Column("resource_id", Text, nullable=False, index=True),
    Column("resource_type", Text, nullable=False),
    Column("action", Text, nullable=False),
    _json("meta", dict),
)
