"""DescribeInstanceTypes and its families."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.paging import page_token
from haechi.cloud.params import Choice, Id, Items, Kind, Number, Text, Texts
from haechi.cloud.products.ecs.instance_types import TYPES, render_type
from haechi.cloud.products.ecs.parameters import Fraction, takes
from haechi.cloud.products.ecs.product import ecs

BOUNDS: Mapping[str, str] = {  # Minimum... and Maximum... parameters: the field they bound
    "MinimumCpuCoreCount": "CpuCoreCount",
    "MaximumCpuCoreCount": "CpuCoreCount",
    "MinimumMemorySize": "MemorySize",
    "MaximumMemorySize": "MemorySize",
    "MinimumCpuSpeedFrequency": "CpuSpeedFrequency",
    "MaximumCpuSpeedFrequency": "CpuSpeedFrequency",
    "MinimumCpuTurboFrequency": "CpuTurboFrequency",
    "MaximumCpuTurboFrequency": "CpuTurboFrequency",
    "MinimumGPUAmount": "GPUAmount",
    "MaximumGPUAmount": "GPUAmount",
    "MinimumBaselineCredit": "BaselineCredit",
    "MinimumInitialCredit": "InitialCredit",
    "MinimumDiskQuantity": "DiskQuantity",
    "MinimumEniQuantity": "EniQuantity",
    "MinimumEniIpv6AddressQuantity": "EniIpv6AddressQuantity",
    "MinimumEniPrivateIpAddressQuantity": "EniPrivateIpAddressQuantity",
    "MinimumEriQuantity": "EriQuantity",
    "MinimumInstanceBandwidthRx": "InstanceBandwidthRx",
    "MinimumInstanceBandwidthTx": "InstanceBandwidthTx",
    "MinimumInstancePpsRx": "InstancePpsRx",
    "MinimumInstancePpsTx": "InstancePpsTx",
    "MinimumLocalStorageAmount": "LocalStorageAmount",
    "MinimumLocalStorageCapacity": "LocalStorageCapacity",
    "MinimumPrimaryEniQueueNumber": "PrimaryEniQueueNumber",
    "MinimumSecondaryEniQueueNumber": "SecondaryEniQueueNumber",
    "MinimumQueuePairNumber": "QueuePairNumber",
}
WORDS: Mapping[str, str] = {  # parameters naming one value: the field it is compared with
    "InstanceTypeFamily": "InstanceTypeFamily",
    "InstanceFamilyLevel": "InstanceFamilyLevel",
    "InstanceCategory": "InstanceCategory",
    "CpuArchitecture": "CpuArchitecture",
    "GPUSpec": "GPUSpec",
    "LocalStorageCategory": "LocalStorageCategory",
    "NvmeSupport": "NvmeSupport",
    "PhysicalProcessorModel": "PhysicalProcessorModel",
}
LISTS: Mapping[str, str] = {  # parameters naming some values
    "InstanceTypes": "InstanceTypeId",
    "InstanceTypeFamilies": "InstanceTypeFamily",
    "InstanceCategories": "InstanceCategory",
    "CpuArchitectures": "CpuArchitecture",
    "GpuSpecs": "GPUSpec",
    "LocalStorageCategories": "LocalStorageCategory",
    "PhysicalProcessorModels": "PhysicalProcessorModel",
}
FILTERS: Mapping[str, Kind] = (
    dict.fromkeys(BOUNDS, Fraction()) | dict.fromkeys(WORDS, Text(128)) | dict.fromkeys(LISTS, Items(Text(128), 100))
)
MaxResults = Annotated[int, Number(1, 1600)]
Generation = Annotated[str, Choice(tuple(f"ecs-{n}" for n in range(1, 8)))]


@ecs.action("DescribeInstanceTypes", Effect.READ)
@takes(FILTERS)
def describe_instance_types(
    call: Call,
    SystemDiskCategory: Id = "",
    AdditionalAttributes: Texts = (),
    MaxResults: MaxResults = 1600,
    NextToken: Id = "",
    **filters: Any,
) -> Answer:
    """The instance types that pass every filter, the smallest first."""
    kinds = [k for k in map(render_type, TYPES.values()) if all(_passes(k, name, value) for name, value in filters.items())]
    shown, token = page_token(kinds, NextToken, MaxResults, lambda k: str(k["InstanceTypeId"]))
    return {"InstanceTypes": {"InstanceType": list(shown)}, "NextToken": token}


def _passes(kind: Mapping[str, Any], name: str, value: Any) -> bool:
    if name in BOUNDS:
        own = kind.get(BOUNDS[name], 0)
        return bool(own >= value if name.startswith("Minimum") else own <= value)
    if name in WORDS:
        return bool(str(kind[WORDS[name]]).lower() == value.lower())
    return not value or str(kind[LISTS[name]]).lower() in {v.lower() for v in value}


@ecs.action("DescribeInstanceTypeFamilies", Effect.READ)
def describe_instance_type_families(call: Call, Generation: Generation = "") -> Answer:
    families = {t.family.id: t.family.generation for t in TYPES.values()}
    rows = [{"InstanceTypeFamilyId": f, "Generation": g} for f, g in sorted(families.items()) if Generation in ("", g)]
    return {"InstanceTypeFamilies": {"InstanceTypeFamily": rows}}
