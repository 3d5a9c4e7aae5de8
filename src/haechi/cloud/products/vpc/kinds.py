"""Parameter kinds and small pieces that the modules of this product share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from haechi.cloud.action import Call
from haechi.cloud.errors import invalid, not_found
from haechi.cloud.params import Boolean, Kind, Network, Number, Text
from haechi.cloud.store import Resource

ECS = ("2014-05-26",)  # the version Packer calls the first VPC actions by
DEFAULT_GROUP = "rg-acfmhaechidefault"  # the account's default resource group
NO_URL = r"(?!https?://).*"

VpcName = Annotated[str, Text(128, 1, NO_URL, "InvalidVpcName.Malformed")]
VpcText = Annotated[str, Text(256, 1, NO_URL, "InvalidVpcDiscription.Malformed")]
VSwitchName = Annotated[str, Text(128, 1, NO_URL, "InvalidVSwitchName.Malformed")]
VSwitchText = Annotated[str, Text(256, 1, NO_URL, "InvalidVSwitchDiscription.Malformed")]
RouteTableName = Annotated[str, Text(128, 1, NO_URL, "InvalidRouteTableName.Malformed")]
RouteTableText = Annotated[str, Text(256, 1, NO_URL, "InvalidRouteTableDescription.Malformed")]
MaybeFlag = Annotated[bool | None, Boolean()]
GroupId = Annotated[str, Text(64, 1, r"rg-[a-z0-9]+", "InvalidResourceGroupId")]
BLOCK = Network("InvalidCidrBlock.Malformed", loose=False)
Block = Annotated[str, BLOCK]
PageSize50 = Annotated[int, Number(1, 50)]


ID = Text(128)


@dataclass(frozen=True)
class CommaList(Kind):
    """Several values in one parameter, separated by commas."""

    most: int
    of: Kind = ID

    def parse(self, name: str, raw: str) -> tuple[Any, ...]:
        parts = [p.strip() for p in raw.split(",") if p.strip()]
        if len(parts) > self.most:
            raise invalid(name, f"It holds more than {self.most} values.")
        return tuple(self.of.parse(name, p) for p in parts)


def given(call: Call, **values: Any) -> dict[str, Any]:
    """Of a modifying action's values those that were sent: an empty text that was sent clears what it names."""
    return {name: value for name, value in values.items() if name in call.sent}


def tag_list(tags: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """Tags as this product writes them."""
    return {"Tag": [{"Key": k, "Value": v} for k, v in tags.items()]}


def matches(resource: Resource, **asked: Any) -> bool:
    """Whether a resource has every value asked for; what was not asked for ("" or None) does not count."""
    return all(value in ("", None) or resource.get(name) == value for name, value in asked.items())


def get_vpc(call: Call, id: str) -> Resource:
    """The VPC. Raises InvalidVpcID.NotFound."""
    found = call.get("vpc", id)
    if found is None:
        raise not_found("InvalidVpcID.NotFound", "Specified VPC does not exist.")
    return found


def get_vswitch(call: Call, id: str) -> Resource:
    """The vSwitch. Raises InvalidVswitchID.NotFound."""
    found = call.get("vswitch", id)
    if found is None:
        raise not_found("InvalidVswitchID.NotFound", "Specified virtual switch does not exist.")
    return found
