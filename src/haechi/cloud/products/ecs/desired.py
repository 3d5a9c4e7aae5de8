"""This product's part of the data plane's plan."""

from __future__ import annotations

from haechi.cloud.store import View
from haechi.dataplane.plan import Group, Host


def render_groups(view: View) -> dict[str, Group]:
    return {}


def render_hosts(view: View) -> dict[str, Host]:
    return {}
