"""Host names of Alibaba Cloud's APIs. https://api.alibabacloud.com/product lists them per product and region."""

from __future__ import annotations

import os
from collections.abc import Mapping

# Products with one host for all regions.
_CENTRAL = {
    "ram": "ram.aliyuncs.com",
    "location": "location.aliyuncs.com",
    "cloudfw": "cloudfw.aliyuncs.com",
    "alidns": "alidns.aliyuncs.com",
    "bssopenapi": "business.aliyuncs.com",
    "resourcemanager": "resourcemanager.aliyuncs.com",
    "ims": "ims.aliyuncs.com",
}
# The oldest regions of the load balancer share one host.
_SLB_CENTRAL = {
    "cn-qingdao", "cn-beijing", "cn-hangzhou", "cn-shanghai", "cn-shenzhen", "cn-hongkong", "ap-southeast-1", "us-east-1", "us-west-1",
}  # fmt: skip
# Products with one host inside China and one outside.
_TWO_SITES = {
    "sas": ("tds.aliyuncs.com", "tds.ap-southeast-1.aliyuncs.com"),
    "waf_openapi": ("wafopenapi.cn-hangzhou.aliyuncs.com", "wafopenapi.ap-southeast-1.aliyuncs.com"),
    "ddoscoo": ("ddoscoo.cn-hangzhou.aliyuncs.com", "ddoscoo.ap-southeast-1.aliyuncs.com"),
}


def key_of(product: str) -> str:
    """The name a product has in endpoint settings: lower case, with underscores."""
    return product.lower().replace("-", "_")


def endpoint_of(product: str, region: str, given: Mapping[str, str] | None = None) -> str:
    """host[:port] of a product: given, else from the environment, else the public one.

    Environment: ALIBABA_CLOUD_ENDPOINT_<CODE>, then <CODE>_ENDPOINT, as the official Terraform provider reads them.
    """
    key = key_of(product)
    for value in (
        (given or {}).get(key),
        os.environ.get(f"ALIBABA_CLOUD_ENDPOINT_{key.upper()}"),
        os.environ.get(f"{key.upper()}_ENDPOINT"),
    ):
        if value:
            return value
    return public_endpoint(key, region)


def public_endpoint(key: str, region: str) -> str:
    """host of a product in the public cloud."""
    if key in _CENTRAL:
        return _CENTRAL[key]
    if key in _TWO_SITES:
        inside = region.startswith("cn-") and region != "cn-hongkong"
        return _TWO_SITES[key][0 if inside else 1]
    if key == "slb" and region in _SLB_CENTRAL:
        return "slb.aliyuncs.com"
    return f"{key.replace('_', '-')}.{region}.aliyuncs.com"
