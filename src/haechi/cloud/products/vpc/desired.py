"""This product's part of the data plane's plan."""

from __future__ import annotations

from haechi.cloud.store import View
from haechi.dataplane.plan import Network, Public


def render_networks(view: View) -> dict[str, Network]:
    return {}


def render_publics(view: View) -> dict[str, Public]:
    return {}
