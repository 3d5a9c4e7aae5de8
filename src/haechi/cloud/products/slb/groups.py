"""Server groups: servers with a port each, which listeners send to instead of the default list."""

from __future__ import annotations

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import in_use, not_found
from haechi.cloud.paging import has_tags, iso_second, tag_dict
from haechi.cloud.params import Flag, Id, Str, Tags
from haechi.cloud.products.slb.kinds import Label, PortedServerList
from haechi.cloud.products.slb.lookup import get_balancer, get_group, listeners_with, render_tags
from haechi.cloud.products.slb.product import slb
from haechi.cloud.products.slb.server_lists import check_servers, first_of_each, key, render_servers
from haechi.cloud.store import Resource


def render_group(group: Resource) -> Answer:
    """What the writing actions answer."""
    return {"VServerGroupId": group.id, "BackendServers": render_servers(group["Servers"])}


@slb.action("CreateVServerGroup", Effect.PACKETS)
def create_vserver_group(
    call: Call, LoadBalancerId: Id, VServerGroupName: Label = "vserver-group", BackendServers: PortedServerList = (), Tag: Tags = ()
) -> Answer:
    balancer = get_balancer(call, LoadBalancerId)
    servers = first_of_each(BackendServers)
    check_servers(call, balancer, servers)
    data = {"LoadBalancerId": balancer.id, "VServerGroupName": VServerGroupName, "Servers": servers, "Tags": tag_dict(Tag)}
    return render_group(call.create("vserver_group", "rsp", data))


@slb.action("SetVServerGroupAttribute", Effect.PACKETS)
def set_vserver_group_attribute(
    call: Call, VServerGroupId: Id, VServerGroupName: Label = "", BackendServers: PortedServerList = ()
) -> Answer:
    """A new name, and new weights for servers of the group. Raises InvalidServerId.NotFound for others."""
    group = get_group(call, VServerGroupId)
    sent = {key(server): server for server in BackendServers}
    if not sent.keys() <= {key(s) for s in group["Servers"]}:
        raise not_found("InvalidServerId.NotFound", "The specified ServerId and Port are not in the server group.")
    servers = [{**s, **{k: v for k, v in sent.get(key(s), {}).items() if k in ("Weight", "Description")}} for s in group["Servers"]]
    changed = call.tx.change(group, VServerGroupName=VServerGroupName or group["VServerGroupName"], Servers=servers)
    return {**render_group(changed), "VServerGroupName": changed["VServerGroupName"]}


@slb.action("DescribeVServerGroups", Effect.READ)
def describe_vserver_groups(
    call: Call,
    LoadBalancerId: Id,
    Description: Str = "",
    IncludeListener: Flag = False,
    IncludeRule: Flag = False,
    Tag: Tags = (),
) -> Answer:
    """The groups of a balancer; `Description` filters by name."""
    balancer = get_balancer(call, LoadBalancerId)
    groups = [
        g
        for g in call.find("vserver_group", LoadBalancerId=balancer.id)
        if (not Description or g["VServerGroupName"] == Description) and has_tags(g, Tag)
    ]
    rows = []
    for group in groups:
        users = listeners_with(call.view, VServerGroupId=group.id) if IncludeListener else []
        rows.append(
            {
                "VServerGroupId": group.id,
                "VServerGroupName": group["VServerGroupName"],
                "ServerCount": len(group["Servers"]),
                "CreateTime": iso_second(group["CreatedAt"]),
                "AssociatedObjects": {
                    "Listeners": {"Listener": [{"Port": r["ListenerPort"], "Protocol": r["ListenerProtocol"]} for r in users]},
                    "Rules": {"Rule": []},
                },
                "Tags": render_tags(group),
            }
        )
    return {"VServerGroups": {"VServerGroup": rows}}


@slb.action("DescribeVServerGroupAttribute", Effect.READ)
def describe_vserver_group_attribute(call: Call, VServerGroupId: Id) -> Answer:
    group = get_group(call, VServerGroupId)
    return {
        **render_group(group),
        "VServerGroupName": group["VServerGroupName"],
        "LoadBalancerId": group["LoadBalancerId"],
        "CreateTime": iso_second(group["CreatedAt"]),
        "Tags": render_tags(group),
    }


@slb.action("DeleteVServerGroup", Effect.PACKETS)
def delete_vserver_group(call: Call, VServerGroupId: Id) -> Answer:
    """Raises RspoolVipExist while a listener sends to the group."""
    group = get_group(call, VServerGroupId)
    if listeners_with(call.view, VServerGroupId=group.id):
        raise in_use("RspoolVipExist", "there are vips associating with this vServer group.")
    call.tx.delete(group)
    return {}
