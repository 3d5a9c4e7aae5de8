"""Finding connections, with the error there is when one is not there."""

from __future__ import annotations

from haechi.cloud.action import Call
from haechi.cloud.errors import not_found
from haechi.cloud.products.vpc.peers import PEERING
from haechi.cloud.store import Resource


def get_peering(call: Call, id: str) -> Resource:
    """A connection of this region, whichever end. Raises ResourceNotFound.InstanceId; Terraform knows it by its code."""
    found = call.view.get(PEERING, id)
    if found is None or call.region not in (found.region, found["AcceptingRegionId"]):
        raise not_found("ResourceNotFound.InstanceId", "The specified resource of InstanceId is not found.")
    return found
