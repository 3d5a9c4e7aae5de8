"""The store as the data plane's plan: each product renders its part."""

from __future__ import annotations

from haechi.cloud.products.cloudfw.desired import render_wall
from haechi.cloud.products.ddoscoo.desired import render_scrubbers
from haechi.cloud.products.ecs.desired import render_groups, render_hosts
from haechi.cloud.products.slb.desired import render_balancers
from haechi.cloud.products.vpc.desired import render_networks, render_publics
from haechi.cloud.products.vpcpeer.desired import render_peerings
from haechi.cloud.products.waf.desired import render_wafs
from haechi.cloud.store import View
from haechi.dataplane.plan import Plan


def render_plan(view: View) -> Plan:
    """Everything that should exist on this machine."""
    return Plan(
        networks=render_networks(view),
        groups=render_groups(view),
        hosts=render_hosts(view),
        publics=render_publics(view),
        balancers=render_balancers(view),
        scrubbers=render_scrubbers(view),
        wall=render_wall(view),
        wafs=render_wafs(view),
        peerings=render_peerings(view),
    )
