"""Buying: recorded, at once, and free."""

from __future__ import annotations

from typing import Annotated

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.params import Id, Items, Number, Str, Struct, Text
from haechi.cloud.products.bssopenapi.product import bssopenapi
from haechi.cloud.products.cloudfw import instance as cloudfw
from haechi.cloud.products.cloudfw.lookup import INSTANCE as CLOUDFW
from haechi.cloud.products.ddoscoo import instances as ddoscoo
from haechi.cloud.products.ddoscoo.lookup import INSTANCE as DDOSCOO

Parameters = Annotated[tuple[dict[str, str], ...], Items(Struct({"Code": Text(128), "Value": Text(4096)}, ("Code",)), 100)]
Months = Annotated[int, Number(1, 60)]
SOLD = {  # by ProductType and by ProductCode: how it is bought
    **dict.fromkeys(("ddoscoo", "ddoscoo_intl", "ddoscoo_dgpostpaid", "ddosDip", "ddos"), ddoscoo.buy),
    **dict.fromkeys(("vipcloudfw", "vipcloudfw_intl", "cfw", "cfw_elasticity_public_cn", "cfw_elasticity_public_intl"), cloudfw.buy),
}
GIVEN_BACK = {DDOSCOO: ddoscoo.release, CLOUDFW: cloudfw.release}


@bssopenapi.action("CreateInstance", Effect.PACKETS, idempotent=True, limit="only Anti-DDoS and Cloud Firewall; nobody is charged")
def create_instance(
    call: Call,
    ProductCode: Id,
    ProductType: Id = "",
    SubscriptionType: Str = "Subscription",
    Period: Months = 1,
    RenewalStatus: Str = "ManualRenewal",
    RenewPeriod: Months = 1,
    Parameter: Parameters = (),
    ClientToken: Id = "",
    OwnerId: Id = "",
    Logistics: Str = "",
) -> Answer:
    """A subscription, whose instance is there at once."""
    buy = SOLD.get(ProductType) or SOLD.get(ProductCode)
    if buy is None:
        raise ApiError("UnsupportedOperation", "Only Anti-DDoS (ProductType ddoscoo) and Cloud Firewall (vipcloudfw) can be bought here.")
    if SubscriptionType not in ("Subscription", "PayAsYouGo"):
        raise invalid("SubscriptionType", "It is Subscription or PayAsYouGo.")
    given = {item["Code"]: item.get("Value", "") for item in Parameter}
    instance = buy(call, given, Period)
    row = {
        "ProductCode": ProductCode,
        "ProductType": ProductType or ProductCode,
        "SubscriptionType": SubscriptionType,
        "RenewStatus": RenewalStatus,
    }
    call.tx.put("bss_instance", instance.id, call.region, {"CreatedAt": call.now(), "RenewalDuration": RenewPeriod, **row})
    return {
        "Code": "Success",
        "Success": True,
        "Message": "Successful!",
        "Data": {"InstanceId": instance.id, "OrderId": str(int(call.now() * 1000))},
    }


@bssopenapi.action("RefundInstance", Effect.PACKETS, limit="nothing was paid, nothing is paid back")
def refund_instance(
    call: Call, InstanceId: Id, ProductCode: Id = "", ProductType: Id = "", ImmediatelyRelease: Str = "1", ClientToken: Id = ""
) -> Answer:
    """Give a subscription back; what was bought is gone."""
    bought = call.tx.get("bss_instance", InstanceId)
    if bought is None:
        raise ApiError("InvalidInstanceId.NotFound", "There is no such subscription.", 404)
    for kind, give_back in GIVEN_BACK.items():
        instance = call.tx.get(kind, InstanceId)
        if instance is not None:
            give_back(call, instance)
    remaining = call.tx.get("bss_instance", InstanceId)
    if remaining is not None:
        call.tx.delete(remaining)
    return _done(call)


def _done(call: Call, **data: str) -> Answer:
    return {"Code": "Success", "Success": True, "Message": "Successful!", "Data": {**data, "OrderId": str(int(call.now() * 1000))}}
