"""Instance types the public cloud sells, up to 16 vCPUs and 64 GiB, with the vendor's figures.

Within one generation the network figures depend on the size only, so a family is a ratio of memory to vCPUs over a table of
sizes. Source: "Overview of instance families" of the vendor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MOST_CORES, MOST_MEMORY = 16, 64.0  # what one machine can pretend to be


@dataclass(frozen=True, slots=True)
class Size:
    """What a size of a generation has. Bandwidth in Gbit/s, packets in thousands per second, addresses per interface."""

    cores: int
    bandwidth: float
    packets: int
    queues: int
    interfaces: int
    addresses: int


@dataclass(frozen=True, slots=True)
class Family:
    """What the types of a family have in common."""

    id: str
    generation: str
    level: str = "EnterpriseLevel"
    category: str = "General-purpose"
    processor: str = "Intel Xeon (Skylake) Platinum 8163"
    speed: float = 2.5
    turbo: float = 0.0
    disks: int = 17
    ipv6: bool = True


@dataclass(frozen=True, slots=True)
class InstanceType:
    """One instance type. `credits` are (initial, per hour) of a burstable one."""

    id: str
    family: Family
    size: Size
    memory_gib: float
    credits: tuple[int, int] | None = None

    @property
    def cores(self) -> int:
        return self.size.cores


FIFTH = {
    "large": Size(2, 1.0, 300, 2, 2, 6),
    "xlarge": Size(4, 1.5, 500, 2, 3, 10),
    "2xlarge": Size(8, 2.5, 800, 2, 4, 10),
    "3xlarge": Size(12, 4.0, 900, 4, 6, 10),
    "4xlarge": Size(16, 5.0, 1000, 4, 8, 20),
}
SIXTH = {
    "large": Size(2, 1.0, 300, 2, 2, 6),
    "xlarge": Size(4, 1.5, 500, 4, 3, 10),
    "2xlarge": Size(8, 2.5, 800, 8, 4, 10),
    "3xlarge": Size(12, 4.0, 900, 8, 6, 10),
    "4xlarge": Size(16, 5.0, 1000, 8, 8, 20),
}
SEVENTH = {
    "large": Size(2, 2.0, 900, 2, 3, 6),
    "xlarge": Size(4, 3.0, 1000, 4, 4, 15),
    "2xlarge": Size(8, 5.0, 1600, 8, 4, 15),
    "3xlarge": Size(12, 8.0, 2400, 8, 8, 15),
    "4xlarge": Size(16, 10.0, 3000, 8, 8, 30),
}
EIGHTH = {
    "large": Size(2, 2.5, 1000, 2, 3, 6),
    "xlarge": Size(4, 4.0, 1200, 4, 4, 15),
    "2xlarge": Size(8, 6.0, 1600, 8, 4, 15),
    "3xlarge": Size(12, 10.0, 2400, 8, 8, 15),
    "4xlarge": Size(16, 12.0, 3000, 16, 8, 30),
}
UNIVERSAL = {
    "large": Size(2, 1.0, 300, 2, 2, 6),
    "xlarge": Size(4, 1.5, 500, 2, 3, 10),
    "2xlarge": Size(8, 2.5, 800, 4, 4, 10),
    "4xlarge": Size(16, 5.0, 1000, 4, 8, 20),
}
ECONOMY = {
    "large": Size(2, 0.2, 100, 1, 2, 2),
    "xlarge": Size(4, 0.4, 200, 1, 2, 6),
    "2xlarge": Size(8, 0.8, 400, 1, 2, 6),
}
SHARED_SIXTH = {"small": Size(1, 0.1, 50, 1, 2, 2), **ECONOMY}
SHARED_FOURTH = {
    "small": Size(1, 0.5, 50, 1, 2, 2),
    "large": Size(2, 0.5, 100, 1, 2, 2),
    "xlarge": Size(4, 0.8, 150, 1, 2, 6),
    "2xlarge": Size(8, 1.2, 300, 1, 2, 6),
    "4xlarge": Size(16, 2.5, 400, 1, 2, 6),
}
FIRST = {
    "tiny": Size(1, 0.5, 50, 1, 1, 1),
    "small": Size(1, 0.5, 50, 1, 1, 1),
    "medium": Size(2, 0.5, 100, 1, 1, 1),
    "large": Size(4, 0.8, 150, 1, 1, 1),
    "xlarge": Size(8, 1.2, 300, 1, 1, 1),
    "3xlarge": Size(16, 2.5, 400, 1, 1, 1),
}
RATIOS = {"c": (2, "Compute-optimized"), "g": (4, "General-purpose"), "r": (8, "Memory-optimized")}
GENERATIONS = (  # name, sizes, processor, base and turbo GHz
    ("5", FIFTH, "Intel Xeon (Skylake) Platinum 8163", 2.5, 2.7),
    ("6", SIXTH, "Intel Xeon (Cascade Lake) Platinum 8269CY", 2.5, 3.2),
    ("7", SEVENTH, "Intel Xeon (Ice Lake) Platinum 8369B", 2.7, 3.5),
    ("8i", EIGHTH, "Intel Xeon (Sapphire Rapids) Platinum 8475B", 2.7, 3.2),
)
SHARED = ("EntryLevel", "Shared")
BURSTABLE = ("CreditEntryLevel", "Shared")
T5: Mapping[str, tuple[Size, float, int]] = {  # size, GiB, credits per hour
    "lc2m1.nano": (Size(1, 0.1, 40, 1, 2, 2), 0.5, 6),
    "lc1m1.small": (Size(1, 0.2, 60, 1, 2, 2), 1, 6),
    "lc1m2.small": (Size(1, 0.2, 60, 1, 2, 2), 2, 6),
    "lc1m2.large": (Size(2, 0.4, 100, 1, 2, 2), 4, 12),
    "lc1m4.large": (Size(2, 0.4, 100, 1, 2, 2), 8, 12),
    "c1m1.large": (Size(2, 0.5, 100, 1, 2, 2), 2, 18),
    "c1m2.large": (Size(2, 0.5, 100, 1, 2, 2), 4, 18),
    "c1m4.large": (Size(2, 0.5, 100, 1, 2, 2), 8, 18),
    "c1m1.xlarge": (Size(4, 0.8, 200, 1, 2, 6), 4, 36),
    "c1m2.xlarge": (Size(4, 0.8, 200, 1, 2, 6), 8, 36),
    "c1m4.xlarge": (Size(4, 0.8, 200, 1, 2, 6), 16, 36),
}
T6: Mapping[str, tuple[Size, float, int]] = {
    "c4m1.large": (Size(2, 0.08, 40, 1, 2, 2), 0.5, 6),
    "c2m1.large": (Size(2, 0.08, 60, 1, 2, 2), 1, 12),
    "c1m1.large": (Size(2, 0.08, 100, 1, 2, 2), 2, 24),
    "c1m2.large": (Size(2, 0.08, 100, 1, 2, 2), 4, 24),
    "c1m4.large": (Size(2, 0.08, 100, 1, 2, 2), 8, 36),
    "c1m4.xlarge": (Size(4, 0.16, 200, 1, 2, 6), 16, 96),
    "c1m4.2xlarge": (Size(8, 0.32, 400, 1, 2, 6), 32, 192),
}


def _types() -> Iterator[InstanceType]:
    for family, kinds in (
        (Family("ecs.t5", "ecs-3", *BURSTABLE), T5),
        (Family("ecs.t6", "ecs-5", *BURSTABLE, processor="Intel Xeon (Cascade Lake) Platinum 8269CY", turbo=3.2), T6),
    ):
        for name, (size, memory, credit) in kinds.items():
            yield InstanceType(f"{family.id}-{name}", family, size, memory, (30 * size.cores, credit))
    shared = Family("ecs.s6", "ecs-5", *SHARED, processor="Intel Xeon (Cascade Lake) Platinum 8269CY", turbo=3.2)
    yield InstanceType("ecs.s6-c1m1.small", shared, SHARED_SIXTH["small"], 1)
    for ratio in (2, 4):
        for name, size in SHARED_SIXTH.items():
            yield InstanceType(f"ecs.s6-c1m{ratio}.{name}", shared, size, ratio * size.cores)
    economy = Family("ecs.e", "ecs-6", *SHARED, processor="Intel Xeon Platinum", disks=9)
    yield InstanceType("ecs.e-c1m1.large", economy, ECONOMY["large"], 2)
    for ratio in (2, 4):
        for name, size in ECONOMY.items():
            yield InstanceType(f"ecs.e-c1m{ratio}.{name}", economy, size, ratio * size.cores)
    universal = Family("ecs.u1", "ecs-6", processor="Intel Xeon Platinum", disks=9)
    for ratio in (1, 2, 4, 8):
        for name, size in UNIVERSAL.items():
            yield InstanceType(f"ecs.u1-c1m{ratio}.{name}", universal, size, ratio * size.cores)
    for letter, ratio in (("xn", 1), ("n", 2), ("mn", 4)):
        fourth = Family(f"ecs.{letter}4", "ecs-3", *SHARED, ipv6=False)
        for name, size in SHARED_FOURTH.items() if letter != "xn" else [("small", SHARED_FOURTH["small"])]:
            yield InstanceType(f"{fourth.id}.{name}", fourth, size, ratio * size.cores)
    first = Family("ecs.n1", "ecs-1", *SHARED, processor="Intel Xeon E5-2680 v3 (Haswell)", ipv6=False)
    for name, size in FIRST.items():
        yield InstanceType(f"ecs.n1.{name}", first, size, 1 if name == "tiny" else 2 * size.cores)
    for generation, sizes, processor, speed, turbo in GENERATIONS:
        for letter, (ratio, category) in RATIOS.items():
            number = f"ecs-{int(generation[0]) - 1 if generation in '56' else 6}"
            family = Family(f"ecs.{letter}{generation}", number, "EnterpriseLevel", category, processor, speed, turbo)
            for name, size in sizes.items():
                yield InstanceType(f"{family.id}.{name}", family, size, ratio * size.cores)


TYPES: Mapping[str, InstanceType] = {
    t.id: t for t in sorted(_types(), key=lambda t: (t.cores, t.memory_gib, t.id)) if t.cores <= MOST_CORES and t.memory_gib <= MOST_MEMORY
}


def find_type(id: str) -> InstanceType | None:
    """The instance type of that id, or None."""
    return TYPES.get(id)


def render_type(kind: InstanceType) -> dict[str, Any]:
    """One InstanceType of DescribeInstanceTypes. Bandwidths in Kbit/s; burstable types alone have credits."""
    family, size = kind.family, kind.size
    bandwidth, packets = int(size.bandwidth * 1024000), size.packets * 1000
    modern = family.generation == "ecs-6"
    whole = int(kind.memory_gib) == kind.memory_gib
    answer: dict[str, Any] = {
        "InstanceTypeId": kind.id,
        "InstanceTypeFamily": family.id,
        "InstanceFamilyLevel": family.level,
        "InstanceCategory": family.category,
        "CpuCoreCount": size.cores,
        "CpuArchitecture": "X86",
        "CpuSpeedFrequency": family.speed,
        "CpuTurboFrequency": family.turbo,
        "PhysicalProcessorModel": family.processor,
        "MemorySize": int(kind.memory_gib) if whole else kind.memory_gib,
        "DiskQuantity": family.disks,
        "EniQuantity": size.interfaces,
        "EniTotalQuantity": size.interfaces,
        "EniTrunkSupported": family.level == "EnterpriseLevel",
        "EniPrivateIpAddressQuantity": size.addresses,
        "EniIpv6AddressQuantity": (size.addresses if modern else 1) if family.ipv6 else 0,
        "EriQuantity": 0,
        "InstanceBandwidthRx": bandwidth,
        "InstanceBandwidthTx": bandwidth,
        "InstancePpsRx": packets,
        "InstancePpsTx": packets,
        "PrimaryEniQueueNumber": size.queues,
        "SecondaryEniQueueNumber": size.queues,
        "MaximumQueueNumberPerEni": size.queues,
        "TotalEniQueueQuantity": size.queues * size.interfaces,
        "QueuePairNumber": 0,
        "NetworkCardQuantity": 1,
        "NetworkCards": {"NetworkCardInfo": [{"NetworkCardIndex": 0}]},
        "NetworkEncryptionSupport": False,
        "NetworkInfo": {"BandwidthWeighting": {"WeightingInfos": {"WeightingInfo": []}}},
        "EnhancedNetwork": {"ExpressSupport": False, "RssSupport": False, "SriovSupport": False, "VfQueueNumberPerEni": 0},
        "JumboFrameSupport": False,
        "GPUAmount": 0,
        "GPUSpec": "",
        "GPUMemorySize": 0,
        "LocalStorageCategory": "",
        "LocalStorageAmount": 0,
        "LocalStorageCapacity": 0,
        "NvmeSupport": "required" if family.id.endswith("8i") else "unsupported",
        "SupportedBootModes": {"SupportedBootMode": ["BIOS", "UEFI"] if modern else ["BIOS"]},
        "SecurityOptions": {"SecureBootSupport": "unsupported"},
        "Clock": {"PtpSupport": "unsupported"},
        "CpuOptions": {
            "Core": max(size.cores // 2, 1),
            "CoreFactor": 2,
            "ThreadsPerCore": 1 if size.cores == 1 else 2,
            "HyperThreadingAdjustable": False,
            "NestedVirtualizationSupport": "unsupported",
            "SupportedTopologyTypes": {"SupportedTopologyType": []},
        },
        "Attributes": {"Attribute": []},
    }
    if kind.credits is not None:
        answer["InitialCredit"], answer["BaselineCredit"] = kind.credits
    return answer
