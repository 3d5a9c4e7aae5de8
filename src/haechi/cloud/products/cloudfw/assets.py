"""Every public address of the account, whoever has it, and whether the firewall guards it."""

from __future__ import annotations

from dataclasses import dataclass

from haechi.cloud.products.cloudfw.lookup import SWITCH, config
from haechi.cloud.store import View


@dataclass(frozen=True)
class Asset:
    """One public address. `type` is as DescribeAssetList spells it; the rest tells what it belongs to."""

    address: str
    type: str
    region: str
    instance: str = ""
    name: str = ""
    private: str = ""
    created: float = 0.0


def assets(view: View) -> list[Asset]:
    """In the order of their addresses."""
    found: dict[str, Asset] = {}

    def add(asset: Asset) -> None:
        found[asset.address] = asset

    for i in view.find("instance"):
        if i.get("PublicIpAddress"):
            name = i.get("InstanceName") or ""
            add(Asset(i["PublicIpAddress"], "EcsPublicIP", i.region, i.id, name, i["PrivateIpAddress"], i.get("CreatedAt") or 0))
    for b in view.find("load_balancer"):
        if b["AddressType"] == "internet":
            add(Asset(b["Address"], "SlbPublicIP", b.region, b.id, b.get("LoadBalancerName") or "", "", b.get("CreatedAt") or 0))
    for e in view.find("eip"):
        kind = {"SlbInstance": "SlbEIP", "EcsInstance": "EcsEIP"}.get(e.get("InstanceType") or "", "EIP")
        bound = e.get("InstanceId") or e.id
        add(Asset(e["IpAddress"], kind, e.region, bound, e.get("Name") or "", e.get("BoundPrivateIp") or "", e.get("CreatedAt") or 0))
    return sorted(found.values(), key=lambda asset: tuple(int(part) for part in asset.address.split(".")))


def protected(view: View) -> tuple[str, ...]:
    """The addresses that are guarded: those switched on, and, with automatic protection, those that nobody switched off."""
    automatic = config(view)["AutoProtect"]
    switches = {(switch.id, switch["Owner"]): switch["On"] for switch in view.find(SWITCH)}
    return tuple(asset.address for asset in assets(view) if switches.get((asset.address, asset.instance), automatic))
