"""RunInstances and CreateInstance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address
from typing import Annotated, Any

from haechi.cloud import addresses
from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid, missing
from haechi.cloud.paging import tag_dict
from haechi.cloud.params import Boolean, Choice, Flag, Id, Items, Number, Struct, Tags, Text
from haechi.cloud.products.ecs import kinds
from haechi.cloud.products.ecs.instances import check_key_pair, get_image, get_type, hash_password, refuse_absent
from haechi.cloud.products.ecs.kinds import NOTHING
from haechi.cloud.products.ecs.launch import Place, find_place, make_instance, sequence
from haechi.cloud.products.ecs.lifetime import check_release_time, period_seconds
from haechi.cloud.products.ecs.options import check_pool
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.products.ecs.public_address import lease_public
from haechi.cloud.products.ecs.ram_role import check_role

RECORDED = "data disks, encryption, spot and subscription terms, IPv6 and dedicated hardware do not exist on this machine"
Interfaces = Annotated[tuple[Mapping[str, Any], ...], Items(Struct(kinds.INTERFACE), 8)]
SystemDisk = Annotated[Mapping[str, Any], Struct(kinds.SYSTEM_DISK)]
DataDisks = Annotated[tuple[Mapping[str, Any], ...], Items(Struct(kinds.DATA_DISK), 64)]
PoolOptions = Annotated[Mapping[str, Any], Struct({"Id": Text(128), "MatchCriteria": Choice(("Open", "Target", "None"))})]
ImageOptions = Annotated[Mapping[str, Any], Struct({"LoginAsNonRoot": Boolean()})]


@ecs.action("CreateInstance", Effect.HOST, idempotent=True, limit=RECORDED)
@ecs.action("RunInstances", Effect.HOST, idempotent=True, limit=RECORDED)
def run_instances(
    call: Call,
    ImageId: Id = "",
    ImageFamily: Id = "",
    InstanceType: Id = "",
    Amount: Annotated[int, Number(1, 100, "InvalidMaxAmount.Malformed")] = 1,
    MinAmount: Annotated[int, Number(1, 100, "InvalidMinAmount.Malformed")] = 0,
    VSwitchId: Id = "",
    ZoneId: Id = "",
    SecurityGroupId: Id = "",
    SecurityGroupIds: kinds.GroupItems = (),
    PrivateIpAddress: Annotated[str, Text(64)] = "",
    NetworkInterface: Interfaces = (),
    InstanceName: kinds.InstanceNames = "",
    HostName: kinds.HostNames = "",
    HostNames: Annotated[tuple[str, ...], Items(Text(64), 100)] = (),
    UniqueSuffix: Flag = False,
    Description: kinds.About = "",
    Password: kinds.LoginPassword = "",
    PasswordInherit: Flag = False,
    KeyPairName: Id = "",
    UserData: kinds.BootData = "",
    RamRoleName: Id = "",
    SystemDisk: SystemDisk = NOTHING,
    DataDisk: DataDisks = (),
    InternetChargeType: kinds.InternetChargeType = "PayByTraffic",
    InternetMaxBandwidthOut: kinds.Bandwidth = 0,
    InternetMaxBandwidthIn: kinds.BandwidthIn = 0,
    InstanceChargeType: kinds.ChargeType = "PostPaid",
    Period: Annotated[int, Number(1, 60, "InvalidPeriod")] = 0,
    PeriodUnit: Annotated[str, Choice(("Month", "Week", "Year"), "InvalidPeriodUnit.ValueNotSupported")] = "Month",
    AutoRenew: Flag = False,
    AutoRenewPeriod: Annotated[int, Number(1, 60)] = 1,
    AutoReleaseTime: Annotated[str, Text(64)] = "",
    SpotStrategy: Annotated[str, Choice(("NoSpot", "SpotWithPriceLimit", "SpotAsPriceGo"), "InvalidSpotStrategy")] = "NoSpot",
    SpotPriceLimit: Annotated[float, kinds.Price()] = 0.0,
    SpotDuration: Annotated[int, Number(0, 6, "InvalidSpotDuration")] = 1,
    SpotInterruptionBehavior: Annotated[str, Choice(("Terminate", "Stop"))] = "Terminate",
    CreditSpecification: kinds.Credit = "",
    DeletionProtection: Flag = False,
    SecurityEnhancementStrategy: Annotated[str, Choice(("Active", "Deactive"))] = "",
    IoOptimized: Annotated[str, Choice(("none", "optimized"), "InvalidIoOptimize.ValueNotSupported")] = "optimized",
    HttpEndpoint: kinds.Switch = "enabled",
    HttpTokens: kinds.HttpTokens = "optional",
    HttpPutResponseHopLimit: kinds.HopLimit = 1,
    ResourceGroupId: Id = "",
    Tag: Tags = (),
    Ipv6Address: Annotated[tuple[str, ...], Items(Text(64), 10)] = (),
    Ipv6AddressCount: Annotated[int, Number(0, 10)] = 0,
    LaunchTemplateId: Id = "",
    LaunchTemplateName: Id = "",
    HpcClusterId: Id = "",
    DeploymentSetId: Id = "",
    DedicatedHostId: Id = "",
    StorageSetId: Id = "",
    PrivatePoolOptions: PoolOptions = NOTHING,
    ImageOptions: ImageOptions = NOTHING,
) -> Answer:
    """Make instances and start them. CreateInstance makes one that stays stopped and has no public address yet."""
    creating = call.action.name == "CreateInstance"
    amount, least = (1, 0) if creating else (Amount, MinAmount)
    refuse_absent(
        {
            "LaunchTemplateId": (LaunchTemplateId or LaunchTemplateName, "InvalidLaunchTemplate.NotFound"),
            "HpcClusterId": (HpcClusterId, "InvalidHpcClusterId.NotFound"),
            "DeploymentSetId": (DeploymentSetId, "InvalidDeploymentSetId.NotFound"),
            "DedicatedHostId": (DedicatedHostId, "InvalidDedicatedHostId.NotFound"),
            "StorageSetId": (StorageSetId, "InvalidStorageSetId.NotFound"),
        }
    )
    if Ipv6Address or Ipv6AddressCount:
        raise ApiError("InvalidParameter.Ipv6NotSupported", "VPCs of this cloud have no IPv6 addresses.")
    if least > amount:
        raise invalid("MinAmount", "It must not be larger than Amount.", "InvalidMinAmount.Malformed")
    if not InstanceType:
        raise missing("InstanceType")
    if SecurityGroupId and SecurityGroupIds:
        raise ApiError("InvalidParameter.Conflict", "SecurityGroupId and SecurityGroupIds.N cannot both be specified.")
    if HostName and HostNames:
        raise ApiError("InvalidParameter.Conflict", "HostName and HostNames.N cannot both be specified.")
    if Password and PasswordInherit:
        raise ApiError("InvalidPasswordParam.Mismatch", "The input password should be null when PasswdInherit is true.")
    if InstanceChargeType == "PrePaid":
        if not Period:
            raise missing("Period")
        if SpotStrategy != "NoSpot":
            raise ApiError("InvalidSpotPrepaid", "The specified Spot type is not support PrePay Instance.")
    size, image = get_type(InstanceType), get_image(call, ImageId, ImageFamily)
    check_key_pair(call, KeyPairName)
    check_role(call, RamRoleName)
    groups = SecurityGroupIds or ((SecurityGroupId,) if SecurityGroupId else ())
    place = find_place(call, VSwitchId, ZoneId, groups, PrivateIpAddress, NetworkInterface)
    if place.secondary >= size.size.addresses:
        raise ApiError("InvalidOperation.Ipv4CountExceeded", "Interfaces of this instance type have fewer addresses.", 403)
    count = _affordable(call, place, amount, least)
    # As in the public cloud: a host with a key pair takes no passwords, one without either nobody logs in to.
    hashed = image.get("PasswordHash", "") if PasswordInherit else hash_password(Password)
    data = {
        "Description": Description,
        "InstanceType": InstanceType,
        "Cpu": size.cores,
        "Memory": int(size.memory_gib * 1024),
        "PublicIpAddress": "",
        "InternetMaxBandwidthOut": InternetMaxBandwidthOut,
        "InternetMaxBandwidthIn": InternetMaxBandwidthIn or max(10, InternetMaxBandwidthOut),
        "InternetChargeType": InternetChargeType,
        "KeyPairName": KeyPairName,
        "PasswordHash": hashed,
        "UserData": UserData,
        "RamRoleName": RamRoleName,
        "Status": "Stopped" if creating else "Pending",
        "ForceStop": False,
        "Rebooting": False,
        "Deleting": False,
        "StartTime": "",
        "StoppedMode": "Not-applicable",
        "InstanceChargeType": InstanceChargeType,
        "ExpiredAt": call.now() + period_seconds(Period, PeriodUnit) if InstanceChargeType == "PrePaid" else 0,
        "RenewalStatus": "AutoRenewal" if AutoRenew else "Normal",
        "RenewalDuration": AutoRenewPeriod if AutoRenew else 0,
        "RenewalUnit": PeriodUnit,
        "AutoReleaseAt": check_release_time(call, AutoReleaseTime, InstanceChargeType) if AutoReleaseTime else 0,
        "SpotStrategy": SpotStrategy,
        "SpotPriceLimit": SpotPriceLimit,
        "SpotDuration": SpotDuration if SpotStrategy != "NoSpot" else 0,
        "SpotInterruptionBehavior": SpotInterruptionBehavior if SpotStrategy != "NoSpot" else "",
        "CreditSpecification": CreditSpecification,
        "DeletionProtection": DeletionProtection,
        "IoOptimized": IoOptimized == "optimized",
        "HttpEndpoint": HttpEndpoint,
        "HttpTokens": HttpTokens,
        "HttpPutResponseHopLimit": HttpPutResponseHopLimit,
        "InstanceMetadataTags": "disabled",
        "ResourceGroupId": ResourceGroupId,
        **check_pool(PrivatePoolOptions),
        "Layer": image["Layer"],
        "OSName": image.get("OSName", ""),
        "OSNameEn": image.get("OSNameEn", ""),
        "OSType": image.get("OSType", "linux"),
        "LoginAsNonRoot": ImageOptions.get("LoginAsNonRoot", False),
    }
    tags = tag_dict(Tag)
    names = sequence(InstanceName, count, UniqueSuffix)
    hosts = list(HostNames) + [""] * count if HostNames else sequence(HostName, count, UniqueSuffix)
    _check_names(names)
    made: list[str] = []
    for number in range(count):
        if place.address and number:
            place = replace(place, address=str(IPv4Address(place.address) + 1))
        instance = make_instance(call, place, data, image, names[number], hosts[number], SystemDisk, DataDisk, tags)
        if InternetMaxBandwidthOut and not creating:
            lease_public(call, instance)
        made.append(instance.id)
        if not creating:
            call.after.append(partial(call.runtime.machines.wake, instance.id))
    if creating:
        return {"InstanceId": made[0], "OrderId": "", "TradePrice": 0.0}
    return {"InstanceIdSets": {"InstanceIdSet": made}, "OrderId": "", "TradePrice": 0.0}


def _affordable(call: Call, place: Place, amount: int, least: int) -> int:
    """How many instances to make: fewer than asked, but not fewer than MinAmount, when the vSwitch has too few addresses."""
    free = addresses.free_count(call.tx, place.vswitch) // (1 + place.secondary)
    return free if least and least <= free < amount else amount


def _check_names(names: list[str]) -> None:
    for name in names:
        if len(name) > 128:
            raise ApiError("InvalidParams.InstanceNameExceed", "The uniqueSuffix takes three naming places, please shorten your name.", 403)
        if name and not re.fullmatch(kinds.NAME, name):
            raise invalid("InstanceName", "", "InvalidInstanceName.Malformed")
