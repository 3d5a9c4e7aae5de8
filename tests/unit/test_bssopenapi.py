"""Purchases and prices."""

from __future__ import annotations

from typing import Any

from tests.localcloud import LocalCloud
from tests.unit.test_vpc_vpcs import refused


def test_purchases(cloud: LocalCloud) -> None:
    asked = {"ProductCode": "vipcloudfw", "ProductType": "vipcloudfw", "SubscriptionType": "Subscription", "PageSize": 50, "PageNum": 1}
    answer = cloud.call("QueryAvailableInstances", **asked)
    assert (answer["Code"], answer["Success"]) == ("Success", True)
    assert answer["Data"] == {"InstanceList": [], "TotalCount": 0, "PageNum": 1, "PageSize": 50}
    with cloud.store.write() as tx:
        for n in range(3):
            data = {"ProductCode": "vipcloudfw", "ProductType": "vipcloudfw", "SubscriptionType": "Subscription", "CreatedAt": n}
            tx.put("bss_instance", f"vipcloudfw-{n}", "cn-hangzhou", data)
    data = cloud.call("QueryAvailableInstances", **{**asked, "PageSize": 2, "PageNum": 2})["Data"]
    assert (data["TotalCount"], [i["InstanceID"] for i in data["InstanceList"]]) == (3, ["vipcloudfw-2"])
    assert data["InstanceList"][0]["Region"] == "cn-hangzhou" and data["InstanceList"][0]["Status"] == "Normal"

    def count(**filters: str) -> int:
        number: int = cloud.call("QueryAvailableInstances", **filters)["Data"]["TotalCount"]
        return number

    assert count(ProductCode="waf") == count(Region="x") == count(CreateTimeStart="2020-01-01T00:00:00Z") == 0
    assert count(InstanceIDs="vipcloudfw-1,no") == 1 and count(CreateTimeEnd="2020-01-01T00:00:00Z") == 3


def modules(*types: str) -> list[dict[str, Any]]:
    return [{"ModuleCode": "InstanceType", "Config": f"InstanceType:{t},ImageOs:linux", "PriceType": "Hour"} for t in types]


def test_prices_sort_by_size(cloud: LocalCloud) -> None:
    base = {"ProductCode": "ecs", "SubscriptionType": "PayAsYouGo", "Region": "cn-beijing"}
    rows = cloud.call("GetPayAsYouGoPrice", **base, ModuleList=modules("ecs.g6.xlarge", "ecs.g6.large"))["Data"]["ModuleDetails"][
        "ModuleDetail"
    ]
    assert rows[0]["OriginalCost"] > rows[1]["OriginalCost"] > 0
    period = {"ProductCode": "ecs", "SubscriptionType": "Subscription", "OrderType": "NewOrder"}
    month = cloud.call("GetSubscriptionPrice", **period, ModuleList=modules("ecs.g6.large"))["Data"]
    year = cloud.call("GetSubscriptionPrice", **period, ModuleList=modules("ecs.g6.large"), ServicePeriodUnit="Year")["Data"]
    assert month["TradePrice"] == month["ModuleDetails"]["ModuleDetail"][0]["OriginalCost"] > 0
    assert round(year["TradePrice"] / month["TradePrice"]) == 12
    bad = refused(cloud, "GetPayAsYouGoPrice", **base, ModuleList=modules("ecs.x"))
    assert bad == (400, "InvalidParameter.InstanceType")
    assert refused(cloud, "GetPayAsYouGoPrice", **base) == (400, "MissingParameter")
    assert refused(cloud, "GetPayAsYouGoPrice", **{**base, "SubscriptionType": "x"}, ModuleList=modules("a"))[0] == 400
