"""Parameter kinds of ECS: names, passwords, disks, paging."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.params import Boolean, Choice, Items, JsonList, Kind, Number, Text

SYMBOLS = "()`~!@#$%^&*-_+=|{}[]:;'<>,.?/"
CATEGORIES = ("cloud", "cloud_efficiency", "cloud_ssd", "cloud_essd", "cloud_auto", "cloud_essd_entry")
LEVELS = ("PL0", "PL1", "PL2", "PL3")
HOST_NAME = r"(?!.*[.\-]{2})[A-Za-z0-9][A-Za-z0-9.\-]{0,62}[A-Za-z0-9]"
NO_LINK = r"(?!https?://)"
NAME = NO_LINK + r"[^\W\d_][\w:.\-]*"
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Password(Kind):
    """A login password: 8 to 30 characters, three of upper case, lower case, digit and symbol."""

    secret = True

    def parse(self, name: str, raw: str) -> str:
        classes = (r"[A-Z]", r"[a-z]", r"[0-9]", f"[{re.escape(SYMBOLS)}]")
        known = all((c.isascii() and c.isalnum()) or c in SYMBOLS for c in raw)
        if not 8 <= len(raw) <= 30 or not known or sum(bool(re.search(c, raw)) for c in classes) < 3:
            raise invalid(name, "", "InvalidPassword.Malformed")
        return raw


@dataclass(frozen=True)
class UserData(Kind):
    """Base64 of at most 32 KiB; returned as it came."""

    secret = True

    def parse(self, name: str, raw: str) -> str:
        try:
            size = len(b64decode(raw, validate=True))
        except (Base64Error, ValueError):
            raise ApiError("InvalidUserData.Base64FormatInvalid", "The specified UserData is not valid.") from None
        if size > 32 * 1024:
            raise ApiError("InvalidUserData.SizeExceeded", 'The specified parameter "UserData" exceeds the size.')
        return raw


@dataclass(frozen=True)
class Price(Kind):
    """A price of at most three decimals."""

    def parse(self, name: str, raw: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,3})?", raw):
            raise invalid(name, "", "InvalidSpotPriceLimit")
        return float(raw)


def one_of(*words: str, code: str = "") -> Choice:
    return Choice(words, code)


InstanceName = Annotated[str, Text(128, 2, NAME, "InvalidInstanceName.Malformed")]
InstanceNames = Annotated[str, Text(128, 2, NO_LINK + r"[^\W\d_][\w:.\-\[\],]*", "InvalidInstanceName.Malformed")]  # with [begin,bits]
HostName = Annotated[str, Text(64, 2, HOST_NAME, "InvalidHostName.Malformed")]
HostNames = Annotated[str, Text(128, 2, r"[A-Za-z0-9.\-\[\],${}_]+", "InvalidHostName.Malformed")]  # with [begin,bits] and ${instance_id}
About = Annotated[str, Text(256, 2, r"(?s)" + NO_LINK + r".*", "InvalidDescription.Malformed")]
DiskName = Annotated[str, Text(128, 2, NAME, "InvalidDiskName.Malformed")]
LoginPassword = Annotated[str, Password()]
BootData = Annotated[str, UserData()]
Hundred = Annotated[int, Number(1, 100)]
Ids20 = Annotated[tuple[str, ...], JsonList(20)]
IdItems = Annotated[tuple[str, ...], Items(Text(128), 100)]
GroupItems = Annotated[tuple[str, ...], Items(Text(128), 16)]
Bandwidth = Annotated[int, Number(0, 100, "InvalidInternetMaxBandwidthOut.ValueNotSupported")]
BandwidthIn = Annotated[int, Number(1, 200, "InvalidInternetMaxBandwidthIn.ValueNotSupported")]
InternetChargeType = Annotated[str, one_of("PayByTraffic", "PayByBandwidth", code="InvalidInternetChargeType.ValueNotSupported")]
ChargeType = Annotated[str, one_of("PostPaid", "PrePaid", code="InvalidInstanceChargeType.ValueNotSupported")]
Credit = Annotated[str, one_of("Standard", "Unlimited")]
Switch = Annotated[str, one_of("enabled", "disabled", code="InvalidHttpEndpoint.NotSupported")]
HttpTokens = Annotated[str, one_of("optional", "required", code="InvalidHttpTokens.NotSupported")]
HopLimit = Annotated[int, Number(1, 64, "InvalidHttpPutResponseHopLimit.NotSupported")]
StoppedMode = Annotated[str, one_of("KeepCharging", "StopCharging", code="InvalidParameter.StoppedMode")]

SYSTEM_DISK: Mapping[str, Kind] = {
    "Category": Choice(CATEGORIES, "InvalidSystemDiskCategory.ValueNotSupported"),
    "Size": Number(1, 2048, "InvalidSystemDiskSize.ValueNotSupported"),
    "DiskName": Text(128, 2, NAME, "InvalidDiskName.Malformed"),
    "Description": Text(256, 2, r"(?s)" + NO_LINK + r".*", "InvalidDiskDescription.Malformed"),
    "PerformanceLevel": Choice(LEVELS, "InvalidPerformanceLevel.Malformed"),
    "AutoSnapshotPolicyId": Text(128),
    "Encrypted": Boolean(),
    "EncryptAlgorithm": Text(64),
    "KMSKeyId": Text(128),
    "StorageClusterId": Text(128),
    "ProvisionedIops": Number(0, 50000),
    "BurstingEnabled": Boolean(),
}
DATA_DISK: Mapping[str, Kind] = {
    **SYSTEM_DISK,
    "Category": Choice(CATEGORIES, "InvalidDataDiskCategory.ValueNotSupported"),
    "Size": Number(1, 65536, "InvalidDataDiskSize.ValueNotSupported"),
    "SnapshotId": Text(128),
    "DeleteWithInstance": Boolean(),
    "Device": Text(32, 1, r"/dev/xvd[b-z]|", "InvalidDataDevice.Malformed"),
}
INTERFACE: Mapping[str, Kind] = {
    "NetworkInterfaceId": Text(128),
    "InstanceType": Choice(("Primary", "Secondary")),
    "VSwitchId": Text(128),
    "PrimaryIpAddress": Text(64),
    "SecondaryPrivateIpAddressCount": Number(0, 20),
    "SecurityGroupId": Text(128),
    "SecurityGroupIds": Items(Text(128), 16),
    "NetworkInterfaceName": Text(128),
    "Description": Text(256),
    "NetworkInterfaceTrafficMode": Choice(("Standard", "HighPerformance")),
    "DeleteOnRelease": Boolean(),
    "SourceDestCheck": Boolean(),
    "NetworkCardIndex": Number(0, 8),
    "QueueNumber": Number(1, 64),
    "QueuePairNumber": Number(0, 64),
    "Ipv6AddressCount": Number(0, 10),
    "Ipv6Address": Items(Text(64), 10),
}
