"""Which host names the cloud hands out."""

from __future__ import annotations

from tests.localcloud import LocalCloud
from tests.unit.test_vpc_vpcs import refused


def host(cloud: LocalCloud, service: str, region: str, **params: str) -> str:
    rows = cloud.call("DescribeEndpoints", Id=region, ServiceCode=service, **params)["Endpoints"]["Endpoint"]
    return rows[0]["Endpoint"] if rows else ""


def test_shape(cloud: LocalCloud) -> None:
    answer = cloud.call("DescribeEndpoints", Id="cn-beijing", ServiceCode="ecs", Type="openAPI")
    assert answer["Success"] is True
    assert answer["Endpoints"]["Endpoint"] == [
        {
            "Endpoint": "ecs.cn-beijing.aliyuncs.com",
            "Id": "cn-beijing",
            "Namespace": "",
            "SerivceCode": "ecs",
            "Type": "openAPI",
            "Protocols": {"Protocols": ["HTTP", "HTTPS"]},
        }
    ]


def test_hosts(cloud: LocalCloud) -> None:
    for service, region, name in (
        ("vpc", "ap-southeast-1", "vpc.ap-southeast-1.aliyuncs.com"),
        ("slb", "us-west-1", "slb.us-west-1.aliyuncs.com"),
        ("sts", "cn-hangzhou", "sts.cn-hangzhou.aliyuncs.com"),
        ("ram", "cn-hangzhou", "ram.aliyuncs.com"),
        ("cloudfirewall", "cn-hangzhou", "cloudfw.aliyuncs.com"),
        ("cloudfirewall", "ap-southeast-1", "cloudfw.ap-southeast-1.aliyuncs.com"),
        ("waf", "cn-hongkong", "wafopenapi.ap-southeast-1.aliyuncs.com"),
        ("ddoscoo", "cn-shanghai", "ddoscoo.cn-hangzhou.aliyuncs.com"),
    ):
        assert host(cloud, service, region) == name
    assert host(cloud, "teapot", "cn-beijing") == host(cloud, "ecs", "mars") == host(cloud, "ecs", "cn-beijing", Type="innerAPI") == ""
    assert refused(cloud, "DescribeEndpoints", ServiceCode="ecs") == (400, "MissingParameter")
