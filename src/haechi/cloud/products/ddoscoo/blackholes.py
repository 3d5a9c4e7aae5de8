"""Blackholes: an address whose traffic exceeds what was bought gets nothing at all for a while."""

from __future__ import annotations

from datetime import UTC, datetime

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.params import Id
from haechi.cloud.products.ddoscoo.kinds import InstanceIds
from haechi.cloud.products.ddoscoo.lookup import INSTANCE, get_instance, get_instances
from haechi.cloud.products.ddoscoo.product import ddoscoo

UNDO_PER_DAY, UNDO_APART = 5, 600  # seconds between two


@ddoscoo.action("DescribeBlackholeStatus", Effect.READ)
def describe_blackhole_status(call: Call, InstanceIds: InstanceIds) -> Answer:
    """blackhole or normal, of each address."""
    found = []
    for i in get_instances(call, InstanceIds):
        within = i["HoleUntil"] > call.now()
        times = {"StartTime": int(i["HoleSince"]), "EndTime": int(i["HoleUntil"])} if within else {"StartTime": 0, "EndTime": 0}
        found.append({"Ip": i["Address"], "BlackStatus": "blackhole" if within else "normal", **times})
    return {"BlackholeStatus": found}


def _undone_today(call: Call) -> list[float]:
    today = datetime.fromtimestamp(call.now(), UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    return sorted(when for i in call.view.find(INSTANCE) for when in i["Undone"] if when >= today)


@ddoscoo.action("ModifyBlackholeStatus", Effect.PACKETS)
def modify_blackhole_status(call: Call, InstanceId: Id, BlackholeStatus: Id) -> Answer:
    """undo: end the blackhole; five times a day, ten minutes apart."""
    instance = get_instance(call, InstanceId)
    if BlackholeStatus != "undo":
        raise invalid("BlackholeStatus", "It is undo.")
    if instance["HoleUntil"] <= call.now():
        raise ApiError("NotInBlackhole", "The address is not in a blackhole.")
    used = _undone_today(call)
    if len(used) >= UNDO_PER_DAY or (used and call.now() - used[-1] < UNDO_APART):
        raise ApiError("UnBlackholeCountLimit", "Blackholes are ended five times a day, ten minutes apart.")
    call.tx.change(instance, HoleUntil=0, Undone=[*instance["Undone"], call.now()])
    return {}


@ddoscoo.action("DescribeUnBlackholeCount", Effect.READ)
def describe_un_blackhole_count(call: Call, ResourceGroupId: Id = "") -> Answer:
    """How often today a blackhole can still be ended."""
    return {"TotalCount": UNDO_PER_DAY, "RemainCount": max(0, UNDO_PER_DAY - len(_undone_today(call)))}
