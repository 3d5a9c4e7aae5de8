"""The default server list of a balancer; and what happens to every list when an instance goes."""

from __future__ import annotations

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, not_found
from haechi.cloud.params import Id
from haechi.cloud.products.slb.kinds import ServerList
from haechi.cloud.products.slb.lookup import get_balancer
from haechi.cloud.products.slb.product import slb
from haechi.cloud.products.slb.server_lists import check_servers, first_of_each, key, render_servers
from haechi.cloud.store import Resource, Transaction

QUOTA = 200  # servers behind one balancer


def forget_server(tx: Transaction, server_id: str) -> None:
    """Take a deleted instance out of every default server list and server group."""
    for kind in ("load_balancer", "vserver_group"):
        for holder in tx.find(kind):
            kept = [s for s in holder["Servers"] if s["ServerId"] != server_id]
            if len(kept) != len(holder["Servers"]):
                tx.change(holder, Servers=kept)


def _answer(balancer: Resource) -> Answer:
    return {"LoadBalancerId": balancer.id, "BackendServers": render_servers(balancer["Servers"], quoted=True)}


@slb.action("AddBackendServers", Effect.PACKETS)
def add_backend_servers(call: Call, LoadBalancerId: Id, BackendServers: ServerList = ()) -> Answer:
    """Add running instances; one that is there already is an error. No BackendServers: nothing changes."""
    balancer = get_balancer(call, LoadBalancerId)
    new = first_of_each(BackendServers)
    present = {key(s) for s in balancer["Servers"]}
    if any(key(s) in present for s in new):
        raise ApiError("InvalidBackendServers.AlreadyExists", "A specified backend server has been added to the load balancer already.")
    if len(present) + len(new) > QUOTA:
        raise ApiError("QuotaExceeded.BackendServer", "The backend server number has reached to the quota limit of this load balancer.")
    check_servers(call, balancer, new)
    return _answer(call.tx.change(balancer, Servers=[*balancer["Servers"], *new]))


@slb.action("SetBackendServers", Effect.PACKETS)
def set_backend_servers(call: Call, LoadBalancerId: Id, BackendServers: ServerList = ()) -> Answer:
    """Change weight and description of servers that are in the list. Raises InvalidServerId.NotFound for others."""
    balancer = get_balancer(call, LoadBalancerId)
    sent = {key(server): server for server in BackendServers}
    if not sent.keys() <= {key(s) for s in balancer["Servers"]}:
        raise not_found("InvalidServerId.NotFound", "The specified ServerId is not a backend server of the load balancer.")
    changed = []
    for server in balancer["Servers"]:
        new = sent.get(key(server), {})
        changed.append({**server, **{k: new[k] for k in ("Weight", "Description") if k in new}})
    return _answer(call.tx.change(balancer, Servers=changed))


@slb.action("RemoveBackendServers", Effect.PACKETS)
def remove_backend_servers(call: Call, LoadBalancerId: Id, BackendServers: ServerList = ()) -> Answer:
    """Remove servers; those that are not in the list are passed over."""
    balancer = get_balancer(call, LoadBalancerId)
    gone = {key(server) for server in BackendServers}
    kept = [s for s in balancer["Servers"] if key(s) not in gone]
    changed = call.tx.change(balancer, Servers=kept)
    return {"LoadBalancerId": changed.id, "BackendServers": render_servers(kept)}
