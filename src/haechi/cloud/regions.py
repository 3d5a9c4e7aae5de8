"""Regions and zones of the public cloud (names as the vendor lists them)."""

from __future__ import annotations

DEFAULT = "ap-southeast-1"
REGIONS: dict[str, tuple[str, str]] = {  # id: (name, zone letters)
    "cn-qingdao": ("华北1（青岛）", "bc"),
    "cn-beijing": ("华北2（北京）", "cfghijkl"),
    "cn-zhangjiakou": ("华北3（张家口）", "abc"),
    "cn-huhehaote": ("华北5（呼和浩特）", "ab"),
    "cn-wulanchabu": ("华北6（乌兰察布）", "abc"),
    "cn-hangzhou": ("华东1（杭州）", "bghijk"),
    "cn-shanghai": ("华东2（上海）", "abefglmn"),
    "cn-shenzhen": ("华南1（深圳）", "acdef"),
    "cn-heyuan": ("华南2（河源）", "ab"),
    "cn-guangzhou": ("华南3（广州）", "ab"),
    "cn-chengdu": ("西南1（成都）", "ab"),
    "cn-hongkong": ("中国香港", "bcd"),
    "ap-southeast-1": ("新加坡", "abc"),
    "ap-southeast-3": ("马来西亚（吉隆坡）", "ab"),
    "ap-southeast-5": ("印度尼西亚（雅加达）", "abc"),
    "ap-southeast-6": ("菲律宾（马尼拉）", "a"),
    "ap-southeast-7": ("泰国（曼谷）", "a"),
    "ap-northeast-1": ("日本（东京）", "abc"),
    "ap-northeast-2": ("韩国（首尔）", "ab"),
    "us-west-1": ("美国（硅谷）", "ab"),
    "us-east-1": ("美国（弗吉尼亚）", "ab"),
    "eu-central-1": ("德国（法兰克福）", "abc"),
    "eu-west-1": ("英国（伦敦）", "ab"),
    "me-east-1": ("阿联酋（迪拜）", "a"),
}


def zones(region: str) -> list[str]:
    """Zone ids of a region, such as ap-southeast-1a (cn-hangzhou-b where the region has no number at its end)."""
    dash = "" if region[-1].isdigit() else "-"
    return [f"{region}{dash}{letter}" for letter in REGIONS[region][1]]
