"""The public host names of products: tools reach this cloud by them, through its door."""

from __future__ import annotations

from haechi.cloud import regions
from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.params import Id, Str
from haechi.cloud.products.location.product import location

REGIONAL = frozenset(["ecs", "vpc", "vpcpeer", "slb", "sts", "eip", "eipanycast", "kms", "rds", "nlb", "alb", "tag", "cms"])
CENTRAL = {
    "ram": "ram.aliyuncs.com",
    "ims": "ims.aliyuncs.com",
    "alidns": "alidns.aliyuncs.com",
    "bssopenapi": "business.aliyuncs.com",
    "location": "location.aliyuncs.com",
    "resourcemanager": "resourcemanager.aliyuncs.com",
}
HALVES = {  # code: host names in the mainland and outside of it
    "cloudfirewall": ("cloudfw.aliyuncs.com", "cloudfw.ap-southeast-1.aliyuncs.com"),
    "waf-openapi": ("wafopenapi.cn-hangzhou.aliyuncs.com", "wafopenapi.ap-southeast-1.aliyuncs.com"),
    "cloudfw": ("cloudfw.aliyuncs.com", "cloudfw.ap-southeast-1.aliyuncs.com"),
    "waf": ("wafopenapi.cn-hangzhou.aliyuncs.com", "wafopenapi.ap-southeast-1.aliyuncs.com"),
    "ddoscoo": ("ddoscoo.cn-hangzhou.aliyuncs.com", "ddoscoo.ap-southeast-1.aliyuncs.com"),
    "sas": ("tds.aliyuncs.com", "tds.ap-southeast-1.aliyuncs.com"),
}


def find_endpoint(service: str, region: str) -> str:
    """The host name of a product in a region, "" when there is none."""
    if region not in regions.REGIONS:
        return ""
    if service in REGIONAL:
        return f"{service}.{region}.aliyuncs.com"
    if service in HALVES:
        inside, outside = HALVES[service]
        return inside if region.startswith("cn-") and region != "cn-hongkong" else outside
    return CENTRAL.get(service, "")


@location.action("DescribeEndpoints", Effect.READ)
def describe_endpoints(call: Call, Id: Id, ServiceCode: Str, Type: Str = "openAPI") -> Answer:
    """`Id` is the region. Unknown products and regions have no row: clients then use their own table."""
    service = ServiceCode.lower()
    host = find_endpoint(service, Id) if Type.lower() == "openapi" else ""
    row = {
        "Endpoint": host,
        "Id": Id,
        "Namespace": "",
        "SerivceCode": service,  # spelled so by the vendor, and clients read it
        "Type": "openAPI",
        "Protocols": {"Protocols": ["HTTP", "HTTPS"]},
    }
    return {"Success": True, "Endpoints": {"Endpoint": [row] if host else []}}
