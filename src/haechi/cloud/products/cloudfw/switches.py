"""The switch of each public address."""

from __future__ import annotations

from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import missing
from haechi.cloud.paging import page
from haechi.cloud.params import Id, Int, Str
from haechi.cloud.products.cloudfw.assets import Asset, assets, protected
from haechi.cloud.products.cloudfw.kinds import Addresses, Paged, Rows, Words
from haechi.cloud.products.cloudfw.lookup import SWITCH, monitor
from haechi.cloud.products.cloudfw.product import cloudfw

WEEK = 7 * 86400


@cloudfw.action("DescribeAssetList", Effect.READ)
def describe_asset_list(
    call: Call,
    CurrentPage: Paged,
    PageSize: Rows,
    RegionNo: Str = "",
    Status: Str = "",
    ResourceType: Str = "",
    SearchItem: Str = "",
    IpVersion: Str = "",
    Type: Str = "",
    UserType: Str = "",
    SgStatus: Str = "",
    NewResourceTag: Str = "",
    SensitiveStatus: Str = "",
    OutStatistic: Str = "",
    MemberUid: Int = 0,
    Lang: Str = "",
) -> Answer:
    """A page of public addresses with the state of their switches."""
    on = set(protected(call.view))
    found = [
        asset
        for asset in assets(call.view)
        if (not RegionNo or asset.region == RegionNo)
        and (not Status or Status == ("open" if asset.address in on else "closed"))
        and (not ResourceType or asset.type == ResourceType)
        and (not SearchItem or any(SearchItem in text for text in (asset.address, asset.instance, asset.name)))
        and IpVersion in ("", "4")
    ]
    chosen, _ = page(found, CurrentPage, PageSize)
    now = int(call.now())
    sent = monitor(call).telemetry.sent_by_asset(now - WEEK, now) if OutStatistic else {}
    return {"Assets": [_render(call, asset, asset.address in on, sent) for asset in chosen], "TotalCount": len(found)}


def _render(call: Call, asset: Asset, on: bool, sent: dict[str, int]) -> dict[str, Any]:
    return {
        "AliUid": int(call.runtime.account),
        "InternetAddress": asset.address,
        "IntranetAddress": asset.private,
        "IpVersion": 4,
        "ResourceType": asset.type,
        "Type": asset.type,
        "ResourceInstanceId": asset.instance,
        "BindInstanceId": asset.instance,
        "BindInstanceName": asset.name,
        "Name": asset.name,
        "RegionID": asset.region,
        "RegionStatus": "enable",
        "ProtectStatus": "open" if on else "closed",
        "SyncStatus": "enable",
        "SgStatus": "unsupport",
        "RiskLevel": "low",
        "NewResourceTag": "",
        "Note": "",
        "CreateTimeStamp": str(int(asset.created)),
        "Last7DayOutTrafficBytes": sent.get(asset.address, 0),
    }


def _switch(call: Call, on: bool, addresses: tuple[str, ...], regions: tuple[str, ...], types: tuple[str, ...]) -> list[dict[str, str]]:
    """Switch what is named; what is not one of the account's addresses comes back."""
    if not (addresses or regions or types):
        raise missing("IpaddrList")
    known = {asset.address: asset for asset in assets(call.view)}
    chosen = [a for a in known.values() if a.address in addresses or a.region in regions or a.type in types]
    _set(call, on, chosen)
    unknown = [address for address in addresses if address not in known]
    return [{"Resource": address, "Status": "ip_not_exist", "Msg": "The address is not one of this account."} for address in unknown]


def _set(call: Call, on: bool, chosen: list[Asset]) -> None:
    for asset in chosen:
        call.tx.put(SWITCH, asset.address, "", {"On": on, "Owner": asset.instance})


@cloudfw.action("PutEnableFwSwitch", Effect.PACKETS)
def put_enable_fw_switch(
    call: Call,
    IpaddrList: Addresses = (),
    RegionList: Words = (),
    ResourceTypeList: Words = (),
    IpVersion: Str = "4",
    MemberUid: Id = "",
    Lang: Str = "",
    SourceIp: Str = "",
) -> Answer:
    """Guard addresses from now on: those named, those of regions, those of types."""
    return {"AbnormalResourceStatusList": _switch(call, True, IpaddrList, RegionList, ResourceTypeList)}


@cloudfw.action("PutDisableFwSwitch", Effect.PACKETS)
def put_disable_fw_switch(
    call: Call,
    IpaddrList: Addresses = (),
    RegionList: Words = (),
    ResourceTypeList: Words = (),
    IpVersion: Str = "4",
    MemberUid: Id = "",
    Lang: Str = "",
    SourceIp: Str = "",
) -> Answer:
    """Guard them no more; policies are inert for them."""
    _switch(call, False, IpaddrList, RegionList, ResourceTypeList)
    return {}


@cloudfw.action("PutEnableAllFwSwitch", Effect.PACKETS)
def put_enable_all_fw_switch(call: Call, InstanceId: Id = "", Lang: Str = "", SourceIp: Str = "") -> Answer:
    """Guard every public address there is now."""
    _set(call, True, assets(call.view))
    return {}


@cloudfw.action("PutDisableAllFwSwitch", Effect.PACKETS)
def put_disable_all_fw_switch(call: Call, InstanceId: Id = "", Lang: Str = "", SourceIp: Str = "") -> Answer:
    """Guard none of them."""
    _set(call, False, assets(call.view))
    return {}
