"""Reading instances."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.paging import has_tags, iso_second, page
from haechi.cloud.params import Boolean, Choice, Flag, Id, Ids, Items, Number, PageNumber, PageSize, Struct, Tags, Text
from haechi.cloud.products.ecs import kinds
from haechi.cloud.products.ecs.instance_view import instance_json, render_common, render_network
from haechi.cloud.products.ecs.instances import eip_of, get_instance
from haechi.cloud.products.ecs.listing import made_between, name_matches, paged
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.store import Resource

Status = Annotated[str, Choice(("Pending", "Starting", "Running", "Stopping", "Stopped"), "InvalidParameter.Status")]
Filters = Annotated[tuple[Mapping[str, Any], ...], Items(Struct({"Key": Text(64), "Value": Text(256)}), 4)]
NetworkType = Annotated[str, Choice(("vpc", "classic"), "InvalidInstanceNetworkType.ValueNotSupported")]


@ecs.action("DescribeInstances", Effect.READ)
def describe_instances(
    call: Call,
    InstanceIds: Ids = (),
    VpcId: Id = "",
    VSwitchId: Id = "",
    ZoneId: Id = "",
    InstanceName: Annotated[str, Text(256)] = "",
    Status: Status = "",
    SecurityGroupId: Id = "",
    ImageId: Id = "",
    InstanceType: Id = "",
    InstanceTypeFamily: Id = "",
    InstanceChargeType: kinds.ChargeType = "",
    InternetChargeType: kinds.InternetChargeType = "",
    InstanceNetworkType: NetworkType = "",
    PrivateIpAddresses: Ids = (),
    PublicIpAddresses: Ids = (),
    EipAddresses: Ids = (),
    InnerIpAddresses: Ids = (),
    RdmaIpAddresses: Ids = (),
    Ipv6Address: Annotated[tuple[str, ...], Items(Text(64), 100)] = (),
    KeyPairName: Id = "",
    ResourceGroupId: Id = "",
    LockReason: Annotated[str, Text(64)] = "",
    HpcClusterId: Id = "",
    IoOptimized: Annotated[bool | None, Boolean()] = None,
    DeviceAvailable: Annotated[bool | None, Boolean()] = None,
    HttpEndpoint: kinds.Switch = "",
    HttpTokens: kinds.HttpTokens = "",
    HttpPutResponseHopLimit: kinds.HopLimit = 0,
    AdditionalAttributes: Annotated[tuple[str, ...], Items(Text(64), 20)] = (),
    NeedSaleCycle: Flag = False,
    Filter: Filters = (),
    Tag: Tags = (),
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
    MaxResults: Annotated[int, Number(1, 100)] = 0,
    NextToken: Annotated[str, Text(1024)] = "",
) -> Answer:
    """Instances that match every filter. A list filter matches any of its values; InstanceName may hold *."""
    equal = {
        "VpcId": VpcId,
        "VSwitchId": VSwitchId,
        "ZoneId": ZoneId,
        "Status": Status,
        "ImageId": ImageId,
        "InstanceType": InstanceType,
        "InstanceChargeType": InstanceChargeType,
        "InternetChargeType": InternetChargeType,
        "KeyPairName": KeyPairName,
        "ResourceGroupId": ResourceGroupId,
        "HttpEndpoint": HttpEndpoint,
        "HttpTokens": HttpTokens,
        "HttpPutResponseHopLimit": HttpPutResponseHopLimit,
    }
    found = call.find("instance", **{k: v for k, v in equal.items() if v})
    if InstanceIds:
        found = [i for i in found if i.id in InstanceIds]
    if InstanceName:
        found = [i for i in found if name_matches(i["InstanceName"], InstanceName)]
    if SecurityGroupId:
        found = [i for i in found if SecurityGroupId in i["SecurityGroupIds"]]
    if InstanceTypeFamily:
        found = [i for i in found if i["InstanceType"].rsplit(".", 1)[0] == InstanceTypeFamily]
    if PrivateIpAddresses:
        found = [i for i in found if {i["PrivateIpAddress"], *i["SecondaryPrivateIps"]} & set(PrivateIpAddresses)]
    if PublicIpAddresses:
        found = [i for i in found if i["PublicIpAddress"] in PublicIpAddresses]
    if EipAddresses:
        found = [i for i in found if _eip(call, i) in EipAddresses]
    if IoOptimized is not None:
        found = [i for i in found if i["IoOptimized"] == IoOptimized]
    absent = (InnerIpAddresses, RdmaIpAddresses, Ipv6Address, LockReason, HpcClusterId, InstanceNetworkType == "classic")
    if any(absent) or DeviceAvailable is False:
        found = []  # no instance has these here
    if Tag:
        found = [i for i in found if has_tags(i, Tag)]
    if Filter:
        found = [i for i in found if made_between(i, Filter)]
    found.reverse()  # newest first
    chosen, numbers = paged(found, PageNumber, PageSize, MaxResults, NextToken)
    return {**numbers, "Instances": {"Instance": [instance_json(call.view, i) for i in chosen]}}


def _eip(call: Call, instance: Resource) -> str:
    eip = eip_of(call.view, instance)
    return str(eip["IpAddress"]) if eip is not None else ""


@ecs.action("DescribeInstanceStatus", Effect.READ)
def describe_instance_status(
    call: Call,
    InstanceId: kinds.IdItems = (),
    ZoneId: Id = "",
    ClusterId: Id = "",
    PageNumber: PageNumber = 1,
    PageSize: Annotated[int, Number(1, 50)] = 10,
) -> Answer:
    """Only the states."""
    found = [get_instance(call, id) for id in dict.fromkeys(InstanceId)] if InstanceId else call.find("instance")
    found = [i for i in found if ZoneId in ("", i["ZoneId"])]
    chosen, numbers = page(found, PageNumber, PageSize)
    return {**numbers, "InstanceStatuses": {"InstanceStatus": [{"InstanceId": i.id, "Status": i["Status"]} for i in chosen]}}


@ecs.action("DescribeInstanceAttribute", Effect.READ)
def describe_instance_attribute(call: Call, InstanceId: Id) -> Answer:
    """One instance with what DescribeInstances does not tell."""
    i = get_instance(call, InstanceId)
    return {
        **render_common(i),
        **render_network(call.view, i),
        "IoOptimized": "optimized" if i["IoOptimized"] else "none",
        "EnableJumboFrame": i.get("EnableJumboFrame", False),
        "EnableNetworkEncryption": False,
        "NetworkOptions": {
            "EnableJumboFrame": i.get("EnableJumboFrame", False),
            "EnableNetworkEncryption": False,
            "BandwidthWeighting": "",
        },
    }


@ecs.action("DescribeUserData", Effect.READ)
def describe_user_data(call: Call, InstanceId: Id) -> Answer:
    """User data as it was sent, in base64; "" when there is none."""
    i = get_instance(call, InstanceId)
    return {"InstanceId": i.id, "RegionId": i.region, "UserData": i["UserData"]}


@ecs.action("GetInstanceConsoleOutput", Effect.READ)
def get_instance_console_output(call: Call, InstanceId: Id, RemoveSymbols: Flag = False) -> Answer:
    """What the guest wrote on its console, in base64."""
    i = get_instance(call, InstanceId)
    try:
        text = call.runtime.dataplane.console(i.id)
    except FileNotFoundError:  # never started
        text = b""
    if RemoveSymbols:
        text = bytes(c for c in text if c in b"\t\n\r" or 32 <= c < 127)
    return {"InstanceId": i.id, "ConsoleOutput": b64encode(text).decode(), "LastUpdateTime": iso_second(call.now())}
