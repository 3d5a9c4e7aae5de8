"""The servers of a server group."""

from __future__ import annotations

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, not_found
from haechi.cloud.params import Id
from haechi.cloud.products.slb.groups import render_group
from haechi.cloud.products.slb.kinds import PortedServerList
from haechi.cloud.products.slb.lookup import get_balancer, get_group
from haechi.cloud.products.slb.product import slb
from haechi.cloud.products.slb.server_lists import Server, check_servers, first_of_each, key
from haechi.cloud.products.slb.servers import QUOTA
from haechi.cloud.store import Resource


def _put(call: Call, group: Resource, kept: list[Server], new: list[Server]) -> Answer:
    """The group with `new` added to `kept`."""
    present = {key(s) for s in kept}
    if any(key(s) in present for s in new):
        raise ApiError("InvalidBackendServers.AlreadyExists", "A specified backend server has been added to the server group already.")
    if len(kept) + len(new) > QUOTA:
        raise ApiError("QuotaExceeded.BackendServer", "The backend server number has reached to the quota limit of this load balancer.")
    changed = call.tx.change(group, Servers=kept)
    check_servers(call, get_balancer(call, group["LoadBalancerId"]), new)
    return render_group(call.tx.change(changed, Servers=[*kept, *new]))


@slb.action("AddVServerGroupBackendServers", Effect.PACKETS)
def add_vserver_group_backend_servers(call: Call, VServerGroupId: Id, BackendServers: PortedServerList = ()) -> Answer:
    """Add running instances; one that is there with the same port already is an error."""
    group = get_group(call, VServerGroupId)
    return _put(call, group, group["Servers"], first_of_each(BackendServers))


@slb.action("RemoveVServerGroupBackendServers", Effect.PACKETS)
def remove_vserver_group_backend_servers(call: Call, VServerGroupId: Id, BackendServers: PortedServerList = ()) -> Answer:
    """Remove servers; those that are not in the group are passed over."""
    group = get_group(call, VServerGroupId)
    gone = {key(server) for server in BackendServers}
    return _put(call, group, [s for s in group["Servers"] if key(s) not in gone], [])


@slb.action("ModifyVServerGroupBackendServers", Effect.PACKETS)
def modify_vserver_group_backend_servers(
    call: Call, VServerGroupId: Id, OldBackendServers: PortedServerList = (), NewBackendServers: PortedServerList = ()
) -> Answer:
    """Replace servers. Raises InvalidServerId.NotFound when an old one is not in the group."""
    group = get_group(call, VServerGroupId)
    gone = {key(server) for server in OldBackendServers}
    if not gone <= {key(s) for s in group["Servers"]}:
        raise not_found("InvalidServerId.NotFound", "The specified ServerId and Port are not in the server group.")
    return _put(call, group, [s for s in group["Servers"] if key(s) not in gone], first_of_each(NewBackendServers))
