"""This product's part of the data plane's plan."""

from __future__ import annotations

from haechi.cloud.products.ecs.groups_desired import render_groups
from haechi.cloud.store import Resource, View
from haechi.dataplane.plan import Host, Port

__all__ = ["render_groups", "render_hosts"]

NAMESERVERS = ("100.100.2.136", "100.100.2.138")


def render_hosts(view: View) -> dict[str, Host]:
    """Every instance, also stopped ones."""
    disks = {d["InstanceId"]: d.id for d in view.find("disk", Type="system")}
    return {i.id: _render_host(view, i, disks.get(i.id, "")) for i in view.find("instance")}


def _render_host(view: View, i: Resource, disk: str) -> Host:
    pair = view.get("key_pair", f"{i.region}/{i['KeyPairName']}") if i.get("KeyPairName") else None
    port = Port(
        id=i["NetworkInterfaceId"],
        network=i["VpcId"],
        subnet=i["VSwitchId"],
        address=i["PrivateIpAddress"],
        mac=i["MacAddress"],
        groups=tuple(i["SecurityGroupIds"]),
        secondary=tuple(i.get("SecondaryPrivateIps", ())),
    )
    return Host(
        id=i.id,
        hostname=i["HostName"],
        image=i["Layer"],
        port=port,
        cpus=i["Cpu"],
        memory_mib=i["Memory"],
        password_hash="" if pair is not None else i.get("PasswordHash", ""),  # a key pair turns passwords off
        public_keys=(pair["PublicKey"],) if pair is not None else (),
        nameservers=NAMESERVERS,
        running=i["Status"] in ("Pending", "Starting", "Running") and not i.get("Deleting"),
        disk=disk,
    )
