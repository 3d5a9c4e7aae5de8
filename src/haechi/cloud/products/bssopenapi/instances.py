"""What the account has bought."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.paging import iso_second
from haechi.cloud.params import Id, Number, Str
from haechi.cloud.products.bssopenapi.product import bssopenapi
from haechi.cloud.store import Resource

PageSize = Annotated[int, Number(1, 300)]
PageNum = Annotated[int, Number(1, 100000)]


@bssopenapi.action("QueryAvailableInstances", Effect.READ)
def query_available_instances(
    call: Call,
    ProductCode: Id = "",
    ProductType: Id = "",
    SubscriptionType: Str = "",
    Region: Id = "",
    RenewStatus: Str = "",
    InstanceIDs: Str = "",
    CreateTimeStart: Str = "",
    CreateTimeEnd: Str = "",
    EndTimeStart: Str = "",
    EndTimeEnd: Str = "",
    PageNum: PageNum = 1,
    PageSize: PageSize = 20,
) -> Answer:
    """Resources of kind "bss_instance", with data values named as below; times are texts and compare as such."""
    asked = {i.strip() for i in InstanceIDs.split(",") if i.strip()}
    equal = {"ProductCode": ProductCode, "ProductType": ProductType, "SubscriptionType": SubscriptionType}
    found = [
        row
        for row in map(_render, call.view.find("bss_instance"))
        if (not asked or row["InstanceID"] in asked)
        and all(row[k] == v for k, v in {**equal, "Region": Region, "RenewStatus": RenewStatus}.items() if v)
        and CreateTimeStart <= row["CreateTime"] <= (CreateTimeEnd or "9")
        and EndTimeStart <= row["EndTime"] <= (EndTimeEnd or "9")
    ]
    start = (PageNum - 1) * PageSize
    data = {"InstanceList": found[start : start + PageSize], "PageNum": PageNum, "PageSize": PageSize, "TotalCount": len(found)}
    return {"Code": "Success", "Success": True, "Message": "Successful!", "Data": data}


def _render(i: Resource) -> dict[str, Any]:
    texts = ("ProductCode", "ProductType", "SubscriptionType", "RenewStatus", "RenewalDurationUnit", "EndTime", "SubStatus")
    return {
        "InstanceID": i.id,
        "Region": i.region,
        "Status": i.get("Status", "Normal"),
        "CreateTime": iso_second(i["CreatedAt"]),
        "RenewalDuration": i.get("RenewalDuration", 0),
        "Seller": "26842",
        **{name: i.get(name, "") for name in texts},
    }
