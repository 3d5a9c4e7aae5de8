"""What goes with an instance when it is deleted."""

from __future__ import annotations

from haechi.cloud import addresses
from haechi.cloud.paging import iso_second
from haechi.cloud.products.ecs.instances import disks_of
from haechi.cloud.products.slb.servers import forget_server
from haechi.cloud.products.vpc.eips import unbind_instance
from haechi.cloud.store import Resource, Transaction


def remove_instance(tx: Transaction, instance: Resource) -> None:
    """Delete an instance, its interface, its disks that go with it, its addresses, and its places behind balancers and EIPs."""
    unbind_instance(tx, instance.id)
    forget_server(tx, instance.id)
    if instance["PublicIpAddress"]:
        addresses.release(tx, instance["PublicIpAddress"])
    for address in (instance["PrivateIpAddress"], *instance["SecondaryPrivateIps"]):
        addresses.release(tx, address, instance["VSwitchId"])
    for disk in disks_of(tx, instance):
        if disk["DeleteWithInstance"]:
            tx.delete(disk)
        else:
            detached = iso_second(instance.get("DeletingAt", 0))  # a transaction has no clock of its own
            tx.change(disk, InstanceId="", Device="", Type="data", Status="Available", DetachedTime=detached)
    interface = tx.get("network_interface", instance["NetworkInterfaceId"])
    if interface is not None:
        tx.delete(interface)
    tx.delete(instance)
