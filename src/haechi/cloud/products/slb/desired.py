"""This product's part of the data plane's plan."""

from __future__ import annotations

from haechi.cloud.store import View
from haechi.dataplane.plan import Balancer


def render_balancers(view: View) -> dict[str, Balancer]:
    return {}
