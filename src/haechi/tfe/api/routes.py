"""Every route of the API, in one place."""

from __future__ import annotations

from haechi.tfe.api import (
    account,
    audit_trail,
    configuration_versions,
    discovery,
    memberships,
    objects,
    organizations,
    plans,
    policy_checks,
    policy_set_contents,
    policy_sets,
    run_actions,
    run_events,
    run_triggers,
    runs,
    state_outputs,
    state_versions,
    variables,
    workspace_actions,
    workspace_resources,
    workspace_tags,
    workspaces,
)
from haechi.tfe.api.call import OpenRoute, Route

ROUTES: list[Route] = [
    *account.ROUTES,
    *audit_trail.ROUTES,
    *configuration_versions.ROUTES,
    *discovery.ROUTES,
    *memberships.ROUTES,
    *organizations.ROUTES,
    *plans.ROUTES,
    *policy_checks.ROUTES,
    *policy_set_contents.ROUTES,
    *policy_sets.ROUTES,
    *run_actions.ROUTES,
    *run_events.ROUTES,
    *run_triggers.ROUTES,
    *runs.ROUTES,
    *state_outputs.ROUTES,
    *state_versions.ROUTES,
    *variables.ROUTES,
    *workspace_actions.ROUTES,
    *workspace_resources.ROUTES,
    *workspace_tags.ROUTES,
    *workspaces.ROUTES,
]
OPEN_ROUTES: list[OpenRoute] = [  # without a token, or not below /api/v2
    *discovery.OPEN_ROUTES,
    *objects.OPEN_ROUTES,
]
