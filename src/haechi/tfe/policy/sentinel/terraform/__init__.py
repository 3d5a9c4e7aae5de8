"""Terraform's imports, made out of what `terraform show -json PLAN` prints: tfplan, tfconfig and tfstate in both versions, and tfrun.

Plain data with a few functions; `imports_of_plan` gives them by name, each built when a policy first imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.terraform import tfconfig, tfconfig_v1, tfplan, tfplan_v1, tfrun, tfstate

Plan = Mapping[str, Any]


def imports_of_plan(plan: Plan, run: Mapping[str, Any] | None = None) -> dict[str, Callable[[], dict[str, Any]]]:
    """Import name -> a function that builds its data, once. `run` is what is known of the run, for tfrun."""
    makers: dict[str, Callable[[Plan], dict[str, Any]]] = {
        "tfplan": tfplan_v1.tfplan_v1,
        "tfplan/v1": tfplan_v1.tfplan_v1,
        "tfplan/v2": tfplan.tfplan_v2,
        "tfconfig": tfconfig_v1.tfconfig_v1,
        "tfconfig/v1": tfconfig_v1.tfconfig_v1,
        "tfconfig/v2": tfconfig.tfconfig_v2,
        "tfstate": tfstate.tfstate_v1,
        "tfstate/v1": tfstate.tfstate_v1,
        "tfstate/v2": tfstate.tfstate_v2,
    }
    found: dict[str, Callable[[], dict[str, Any]]] = {name: cache(partial(_build, make, plan)) for name, make in makers.items()}
    if run is not None:
        found["tfrun"] = cache(partial(_build, tfrun.tfrun, run))
    return found


def _build(make: Callable[[Plan], dict[str, Any]], document: Plan) -> dict[str, Any]:
    try:
        return make(document)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise PolicyError("the plan is not as `terraform show -json` prints it") from error
