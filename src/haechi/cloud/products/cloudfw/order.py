"""The order of policies: places from 1 without gaps, each direction its own."""

from __future__ import annotations

from haechi.cloud.action import Call
from haechi.cloud.errors import invalid
from haechi.cloud.products.cloudfw.lookup import policies
from haechi.cloud.store import Resource


def move(call: Call, policy: Resource, place: int) -> None:
    """Put a policy at a place (-1: the last), and those behind it one further. Raises InvalidParameter."""
    others = [other for other in policies(call.tx, policy["Direction"]) if other.id != policy.id]
    if place == -1:
        place = len(others) + 1
    if not 1 <= place <= len(others) + 1:
        raise invalid("NewOrder", f"It must be 1 to {len(others) + 1}, or -1 for the last.")
    _number(call, [*others[: place - 1], policy, *others[place - 1 :]])


def close_ranks(call: Call, direction: str) -> None:
    """Number a direction's policies anew."""
    _number(call, policies(call.tx, direction))


def _number(call: Call, ordered: list[Resource]) -> None:
    for place, policy in enumerate(ordered, 1):
        if policy["Order"] != place:
            call.tx.change(policy, Order=place)
