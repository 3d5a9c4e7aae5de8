"""Prices of ECS instance types: a formula, so that lists can be sorted by price. Nobody pays them."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError
from haechi.cloud.params import Choice, Id, Items, Number, Str, Struct, Text
from haechi.cloud.products.bssopenapi.product import bssopenapi

INVENTED = "prices are invented: 0.03 USD per vCPU and 0.004 USD per GiB an hour, 500 hours a month"
HOURS = 500  # a subscribed month costs this many pay-as-you-go hours
Modules = Annotated[
    tuple[dict[str, str], ...],
    Items(Struct({"ModuleCode": Text(64), "Config": Text(1024), "PriceType": Text(32)}, ("ModuleCode", "Config")), 50),
]
Subscription = Annotated[str, Choice(("Subscription",), "InvalidParameter.SubscriptionType")]
PayAsYouGo = Annotated[str, Choice(("PayAsYouGo",), "InvalidParameter.SubscriptionType")]
Order = Annotated[str, Choice(("NewOrder", "Renewal", "Upgrade"), "InvalidParameter.OrderType")]
Unit = Annotated[str, Choice(("Month", "Year"), "InvalidParameter.ServicePeriodUnit")]
Periods = Annotated[int, Number(1, 36)]
Quantity = Annotated[int, Number(1, 1000)]


def _hourly(product: str, module: dict[str, str]) -> float:
    """USD an hour of one module: an instance type by cores and memory, everything else nothing."""
    from haechi.cloud.products.ecs.instance_types import find_type

    config = dict(part.partition(":")[::2] for part in module["Config"].split(","))
    if product.lower() != "ecs" or module["ModuleCode"] != "InstanceType":
        return 0.0
    kind = find_type(config.get("InstanceType", ""))
    if kind is None:
        raise ApiError("InvalidParameter.InstanceType", "The module's configuration does not name an instance type of this cloud.")
    return round(0.03 * kind.cores + 0.004 * kind.memory_gib, 6)


def _details(product: str, modules: tuple[dict[str, str], ...], factor: float) -> list[dict[str, Any]]:
    rows = []
    for module in modules:
        cost = round(_hourly(product, module) * factor, 4)
        row = {"ModuleCode": module["ModuleCode"], "OriginalCost": cost, "CostAfterDiscount": cost, "UnitPrice": cost}
        rows.append({**row, "InvoiceDiscount": 0.0})
    return rows


def _answer(details: list[dict[str, Any]], **data: Any) -> Answer:
    parts = {"Currency": "USD", "ModuleDetails": {"ModuleDetail": details}, "PromotionDetails": {"PromotionDetail": []}}
    return {"Code": "Success", "Success": True, "Message": "Successful!", "Data": {**parts, **data}}


@bssopenapi.action("GetPayAsYouGoPrice", Effect.READ, limit=INVENTED)
def get_pay_as_you_go_price(
    call: Call,
    ProductCode: Id,
    SubscriptionType: PayAsYouGo,
    ModuleList: Modules,
    ProductType: Id = "",
    Region: Id = "",
    OrderType: Order = "NewOrder",
) -> Answer:
    """USD an hour, one row for each module in its order."""
    return _answer(_details(ProductCode, ModuleList, 1))


@bssopenapi.action("GetSubscriptionPrice", Effect.READ, limit=INVENTED)
def get_subscription_price(
    call: Call,
    ProductCode: Id,
    SubscriptionType: Subscription,
    ModuleList: Modules,
    OrderType: Order,
    ProductType: Id = "",
    Region: Id = "",
    InstanceId: Str = "",
    ServicePeriodQuantity: Periods = 1,
    ServicePeriodUnit: Unit = "Month",
    Quantity: Quantity = 1,
) -> Answer:
    """USD for the whole period, one row for each module in its order."""
    months = ServicePeriodQuantity * (12 if ServicePeriodUnit == "Year" else 1)
    details = _details(ProductCode, ModuleList, HOURS * months * Quantity)
    total = round(sum(d["OriginalCost"] for d in details), 4)
    return _answer(details, OriginalPrice=total, TradePrice=total, DiscountPrice=0.0, Quantity=Quantity)
