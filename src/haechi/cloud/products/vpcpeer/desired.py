"""This product's part of the data plane's plan."""

from __future__ import annotations

from haechi.cloud.products.cloudfw.desired import render_guard
from haechi.cloud.products.vpc.peers import PEERING, routes_to
from haechi.cloud.store import Resource, View
from haechi.dataplane.plan import Peering


def render_peerings(view: View) -> dict[str, Peering]:
    """Every connection with the routes to it and the policies in it."""
    return {peering.id: _peering(view, peering) for peering in view.find(PEERING)}


def _peering(view: View, peering: Resource) -> Peering:
    routes = tuple(sorted((route["VpcId"], route["DestinationCidrBlock"]) for route in routes_to(view, peering.id)))
    return Peering(peering.id, (peering["VpcId"], peering["AcceptingVpcId"]), routes, *render_guard(view, peering.id))
