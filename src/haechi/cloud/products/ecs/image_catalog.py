"""Public images: the names of the public cloud, one distribution behind all of them.

Every dated release of a family is found by its id, as old releases stay usable in the public cloud; only the current one of
each family, and those named in RELEASES, are listed.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import strptime

from haechi.cloud.store import Resource

BASE_LAYER = "base"
BEHIND = "Debian 12"
FIRST_YEAR = 2016


@dataclass(frozen=True, slots=True)
class Distribution:
    """One family of public images. `stem` is the id without its date."""

    stem: str
    current: str  # YYYYMMDD
    platform: str
    name: str
    family: str = ""  # image family, without acs:
    dates: tuple[str, ...] = ()  # older releases that are listed as well


DISTRIBUTIONS = (
    Distribution(
        "aliyun_3_x64_20G_alibase", "20260122", "Aliyun", "Alibaba Cloud Linux 3.2104 LTS 64 bit", "alibaba_cloud_linux_3_2104_lts_x64"
    ),
    Distribution(
        "aliyun_2_1903_x64_20G_alibase", "20231221", "Aliyun", "Alibaba Cloud Linux 2.1903 LTS 64 bit", "alibaba_cloud_linux_2_1903_lts_x64"
    ),
    Distribution("anolisos_8_8_x64_20G_anck_alibase", "20240221", "Anolis", "Anolis OS 8.8 ANCK 64 bit", "anolisos_8_8_anck_x64"),
    Distribution("anolisos_7_9_x64_20G_anck_alibase", "20230420", "Anolis", "Anolis OS 7.9 ANCK 64 bit", "anolisos_7_9_anck_x64"),
    Distribution("ubuntu_24_04_x64_20G_alibase", "20260119", "Ubuntu", "Ubuntu 24.04 64 bit", "ubuntu_24_04_x64"),
    Distribution("ubuntu_22_04_x64_20G_alibase", "20260119", "Ubuntu", "Ubuntu 22.04 64 bit", "ubuntu_22_04_x64"),
    Distribution("ubuntu_20_04_x64_20G_alibase", "20250526", "Ubuntu", "Ubuntu 20.04 64 bit", "ubuntu_20_04_x64"),
    Distribution("ubuntu_18_04_x64_20G_alibase", "20240223", "Ubuntu", "Ubuntu 18.04 64 bit", "ubuntu_18_04_x64"),
    Distribution("debian_12_5_x64_20G_alibase", "20240325", "Debian", "Debian 12.5 64 bit", "debian_12_5_x64"),
    Distribution("debian_11_9_x64_20G_alibase", "20240325", "Debian", "Debian 11.9 64 bit", "debian_11_9_x64"),
    Distribution("centos_7_9_x64_20G_alibase", "20240321", "CentOS", "CentOS 7.9 64 bit", "centos_7_9_x64", dates=("20210824", "20210623")),
    Distribution("centos_stream_9_x64_20G_alibase", "20240312", "CentOS Stream", "CentOS Stream 9 64 bit", "centos_stream_9_x64"),
    Distribution("rockylinux_9_3_x64_20G_alibase", "20240228", "Rocky Linux", "Rocky Linux 9.3 64 bit", "rockylinux_9_3_x64"),
    Distribution("rockylinux_8_9_x64_20G_alibase", "20240228", "Rocky Linux", "Rocky Linux 8.9 64 bit", "rockylinux_8_9_x64"),
    Distribution("almalinux_9_3_x64_20G_alibase", "20240228", "AlmaLinux", "AlmaLinux 9.3 64 bit", "almalinux_9_3_x64"),
    Distribution("almalinux_8_9_x64_20G_alibase", "20240329", "AlmaLinux", "AlmaLinux 8.9 64 bit", "almalinux_8_9_x64"),
)
BY_STEM: Mapping[str, Distribution] = {d.stem: d for d in DISTRIBUTIONS}
DATED = re.compile(r"(\w+)_([0-9]{8})\.vhd")


def catalog_images(region: str) -> Iterator[Resource]:
    """The listed public images, as resources of a region."""
    for distribution in DISTRIBUTIONS:
        for date in (distribution.current, *distribution.dates):
            yield _image(region, distribution, date, float(timegm(strptime(date, "%Y%m%d"))))


def find_catalog_image(region: str, id: str) -> Resource | None:
    """A public image by id: any dated release of a known family."""
    match = DATED.fullmatch(id)
    distribution = BY_STEM.get(match[1]) if match else None
    if match is None or distribution is None or int(match[2][:4]) < FIRST_YEAR:
        return None
    try:
        made = float(timegm(strptime(match[2], "%Y%m%d")))
    except ValueError:
        return None
    return _image(region, distribution, match[2], made)


def _image(region: str, distribution: Distribution, date: str, made: float) -> Resource:
    id = f"{distribution.stem}_{date}.vhd"
    behind = f"On this machine the image is {BEHIND}" + ("." if distribution.name.startswith(BEHIND) else f", not {distribution.name}.")
    data = {
        "CreatedAt": made + 8 * 3600,
        "ImageName": id,
        "Description": behind,
        "Layer": BASE_LAYER,
        "Owner": "system",
        "Status": "Available",
        "Progress": "100%",
        "Size": 20,
        "OSName": distribution.name.replace("64 bit", "64位"),
        "OSNameEn": distribution.name,
        "OSType": "linux",
        "Platform": distribution.platform,
        "Architecture": "x86_64",
        "BootMode": "BIOS",
        "ImageFamily": f"acs:{distribution.family}",
        "ImageVersion": "v" + f"{date[:4]}.{int(date[4:6])}.{int(date[6:])}",
        "Tags": {},
    }
    return Resource("image", id, region, data)
