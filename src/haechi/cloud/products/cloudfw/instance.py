"""What was bought of the firewall, and its settings."""

from __future__ import annotations

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.params import Flag, Id, Str
from haechi.cloud.products.cloudfw.assets import assets, protected
from haechi.cloud.products.cloudfw.lookup import INSTANCE, config, configure
from haechi.cloud.products.cloudfw.product import cloudfw
from haechi.cloud.store import Resource

SPECS = {"premium_version": 2, "enterprise_version": 3, "ultimate_version": 4, "payg_version": 10}


def buy(call: Call, parameters: dict[str, str], months: int) -> Resource:
    """A firewall; for bssopenapi's CreateInstance. It works without one here, too."""
    given = {code.lower(): value for code, value in parameters.items()}

    def number(code: str, least: int) -> int:
        text = given.get(code, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else least

    spec = given.get("spec", "premium_version")
    sizes = {"Version": SPECS.get(spec, number("spec", 2)), "IpNumber": number("ipnumber", 20), "BandWidth": number("bandwidth", 10)}
    sizes |= {"VpcNumber": number("fwvpcnumber", 0), "LogStorage": number("cfwlogstorage", 0)}
    return call.tx.put(INSTANCE, call.store.new_id("vipcloudfw-cn"), "", {"CreatedAt": call.now(), "Months": months, **sizes})


def release(call: Call, instance: Resource) -> None:
    """Give it back."""
    call.tx.delete(instance)


@cloudfw.action("DescribeUserBuyVersion", Effect.READ)
def describe_user_buy_version(call: Call, InstanceId: Id = "") -> Answer:
    """The newest purchase, or the one that is named; without one a firewall is there all the same."""
    bought = [i for i in call.view.find(INSTANCE) if not InstanceId or i.id == InstanceId]
    data = bought[-1].data if bought else {"CreatedAt": 0, "Months": 12, "Version": 2, "IpNumber": 20, "BandWidth": 10, "VpcNumber": 0}
    start = int(data["CreatedAt"] * 1000)
    return {
        "AliUid": int(call.runtime.account),
        "InstanceId": bought[-1].id if bought else "",
        "InstanceStatus": "normal",
        "UserStatus": True,
        "Version": data["Version"],
        "IpNumber": data["IpNumber"],
        "InternetBandwidth": data["BandWidth"],
        "VpcNumber": data["VpcNumber"],
        "LogStatus": True,
        "LogStorage": data.get("LogStorage", 0),
        "StartTime": start,
        "Expire": start + max(1, data["Months"]) * 30 * 86400 * 1000,
    }


@cloudfw.action("DescribeAssetStatistic", Effect.READ)
def describe_asset_statistic(call: Call, Lang: Str = "", SourceIp: Str = "") -> Answer:
    """How many addresses there are and how many are guarded."""
    spec = {"IpNumSpec": max(20, len(assets(call.view))), "IpNumUsed": len(protected(call.view))}
    return {
        "AutoResourceEnable": config(call.view)["AutoProtect"],
        "ResourceSpecStatistic": {**spec, "SensitiveDataIpNumSpec": 0, "SensitiveDataIpNumUsed": 0},
    }


@cloudfw.action("SetAutoProtectNewAssets", Effect.PACKETS)
def set_auto_protect_new_assets(call: Call, AutoProtect: Flag, InstanceId: Id = "", Lang: Str = "", SourceIp: Str = "") -> Answer:
    """Guard every address that nobody switched off, those to come too."""
    configure(call, AutoProtect=AutoProtect)
    return {}


@cloudfw.action("DescribePolicyAdvancedConfig", Effect.READ)
def describe_policy_advanced_config(call: Call, Lang: Str = "", SourceIp: Str = "") -> Answer:
    """Whether the Internet firewall is strict."""
    return {"InternetSwitch": "on" if config(call.view)["Strict"] else "off"}
