"""What can be bought where: regions, zones, instance types, disk categories."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import invalid
from haechi.cloud.params import Choice, Flag, Id, Text, Texts
from haechi.cloud.products.ecs.instance_types import TYPES
from haechi.cloud.products.ecs.kinds import CATEGORIES, ChargeType
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.regions import REGIONS, zones

ENGLISH = {
    "cn-qingdao": "China (Qingdao)",
    "cn-beijing": "China (Beijing)",
    "cn-zhangjiakou": "China (Zhangjiakou)",
    "cn-huhehaote": "China (Hohhot)",
    "cn-wulanchabu": "China (Ulanqab)",
    "cn-hangzhou": "China (Hangzhou)",
    "cn-shanghai": "China (Shanghai)",
    "cn-shenzhen": "China (Shenzhen)",
    "cn-heyuan": "China (Heyuan)",
    "cn-guangzhou": "China (Guangzhou)",
    "cn-chengdu": "China (Chengdu)",
    "cn-hongkong": "China (Hong Kong)",
    "ap-southeast-1": "Singapore",
    "ap-southeast-3": "Malaysia (Kuala Lumpur)",
    "ap-southeast-5": "Indonesia (Jakarta)",
    "ap-southeast-6": "Philippines (Manila)",
    "ap-southeast-7": "Thailand (Bangkok)",
    "ap-northeast-1": "Japan (Tokyo)",
    "ap-northeast-2": "South Korea (Seoul)",
    "us-west-1": "US (Silicon Valley)",
    "us-east-1": "US (Virginia)",
    "eu-central-1": "Germany (Frankfurt)",
    "eu-west-1": "UK (London)",
    "me-east-1": "UAE (Dubai)",
}

SpotStrategy = Annotated[str, Choice(("NoSpot", "SpotWithPriceLimit", "SpotAsPriceGo"), "InvalidSpotStrategy")]
ResourceType = Annotated[str, Text(64)]
RESOURCE_TYPES = ("VSwitch", "IoOptimized", "Instance", "Disk")
ATTRIBUTES = {  # of the account, in every region
    "instance-network-type": ("vpc",),
    "max-security-groups": ("100",),
    "max-elastic-network-interfaces": ("50000",),
    "max-dedicated-hosts": ("0",),
    "max-postpaid-instance-vcpu-count": ("1000",),
    "max-spot-instance-vcpu-count": ("0",),
    "max-postpaid-yundisk-capacity": ("102400",),
    "supported-postpay-instance-types": tuple(TYPES),
    "unfulfilled-reserved-instances": ("0",),
}


def _english(call: Call) -> bool:
    return call.sent.get("AcceptLanguage", "").lower().startswith("en")


def _region_name(call: Call, region: str) -> str:
    return ENGLISH[region] if _english(call) else REGIONS[region][0]


@ecs.action("DescribeRegions", Effect.READ)
def describe_regions(call: Call, InstanceChargeType: ChargeType = "PostPaid", ResourceType: ResourceType = "instance") -> Answer:
    """Every region; all of them are served by this machine."""
    rows = [
        {"RegionId": region, "LocalName": _region_name(call, region), "RegionEndpoint": f"ecs.{region}.aliyuncs.com", "Status": "available"}
        for region in REGIONS
    ]
    return {"Regions": {"Region": rows}}


@ecs.action("DescribeZones", Effect.READ)
def describe_zones(
    call: Call, InstanceChargeType: ChargeType = "PostPaid", SpotStrategy: SpotStrategy = "NoSpot", Verbose: Flag = True
) -> Answer:
    """The zones of a region and what each can hold: everything."""
    return {"Zones": {"Zone": [_zone(call, zone, Verbose) for zone in zones(call.region)]}}


def _zone(call: Call, zone: str, verbose: bool) -> dict[str, Any]:
    letter = zone[-1].upper()
    name = _region_name(call, call.region)
    families = sorted({t.family.id for t in TYPES.values()})
    resources = {
        "IoOptimized": True,
        "NetworkTypes": {"supportedNetworkCategory": ["vpc"]},
        "InstanceGenerations": {"supportedInstanceGeneration": sorted({t.family.generation for t in TYPES.values()})},
        "InstanceTypeFamilies": {"supportedInstanceTypeFamily": families},
        "InstanceTypes": {"supportedInstanceType": list(TYPES)},
        "SystemDiskCategories": {"supportedSystemDiskCategory": list(CATEGORIES)},
        "DataDiskCategories": {"supportedDataDiskCategory": list(CATEGORIES)},
    }
    return {
        "ZoneId": zone,
        "LocalName": f"{name} Zone {letter}" if _english(call) else f"{name} 可用区{letter}",
        "ZoneType": "AvailabilityZone",
        "AvailableResourceCreation": {"ResourceTypes": list(RESOURCE_TYPES)},
        "AvailableInstanceTypes": {"InstanceTypes": list(TYPES)},
        "AvailableDiskCategories": {"DiskCategories": list(CATEGORIES)},
        "AvailableVolumeCategories": {"VolumeCategories": []},
        "AvailableDedicatedHostTypes": {"DedicatedHostType": []},
        "DedicatedHostGenerations": {"DedicatedHostGeneration": []},
        "AvailableResources": {"ResourcesInfo": [resources] if verbose else []},
    }


@ecs.action("DescribeAccountAttributes", Effect.READ)
def describe_account_attributes(call: Call, AttributeName: Texts = (), ZoneId: Id = "") -> Answer:
    """Quotas of the account; the asked ones or all."""
    if any(name not in ATTRIBUTES for name in AttributeName):
        raise invalid("AttributeName", "", "InvalidAttributeName.ValueNotSupported")
    items = [
        {
            "AttributeName": name,
            "AttributeValues": {
                "ValueItem": [
                    {
                        "Value": value,
                        "Count": 1,
                        "DiskCategory": "",
                        "ExpiredTime": "",
                        "InstanceChargeType": "",
                        "InstanceType": "",
                        "ZoneId": ZoneId,
                    }
                    for value in values
                ]
            },
        }
        for name, values in ATTRIBUTES.items()
        if not AttributeName or name in AttributeName
    ]
    return {"AccountAttributeItems": {"AccountAttributeItem": items}}
