"""This product's part of the data plane's plan."""

from __future__ import annotations

from haechi.cloud.addresses import gateway
from haechi.cloud.products.vpc.cidrs import vpc_cidrs
from haechi.cloud.store import View
from haechi.dataplane.plan import Network, Public, Subnet

SERVICES = ("100.100.100.200", "100.100.2.136", "100.100.2.138", "100.100.2.148")  # metadata, two resolvers, the package mirror

INWARD_LEAST = 10  # Mbit/s; an EIP's Bandwidth is what may leave, and as much may come in, or this


def render_networks(view: View) -> dict[str, Network]:
    """Every VPC with its vSwitches."""
    subnets: dict[str, list[Subnet]] = {}
    for switch in view.find("vswitch"):
        subnets.setdefault(switch["VpcId"], []).append(Subnet(switch.id, switch["CidrBlock"], gateway(switch["CidrBlock"])))
    return {
        v.id: Network(v.id, tuple(vpc_cidrs(v)), tuple(subnets.get(v.id, ())), nat=v["Nat"], services=SERVICES) for v in view.find("vpc")
    }


def render_publics(view: View) -> dict[str, Public]:
    """Every public address that leads to an instance: its own, or an EIP's. EIPs of load balancers are the balancers' matter."""
    publics = [
        Public(
            i["PublicIpAddress"],
            i["VpcId"],
            i["PrivateIpAddress"],
            int(i.get("InternetMaxBandwidthOut") or 0),
            int(i.get("InternetMaxBandwidthIn") or 0),
        )
        for i in view.find("instance")
        if i.get("PublicIpAddress")
    ]
    publics += [
        Public(e["IpAddress"], e["BoundVpcId"], e["BoundPrivateIp"], e["Bandwidth"], max(INWARD_LEAST, e["Bandwidth"]))
        for e in view.find("eip")
        if e.get("BoundPrivateIp")
    ]
    return {p.address: p for p in publics}
