"""With which accounts an image is shared."""

from __future__ import annotations

from typing import Annotated

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.paging import iso_second, page
from haechi.cloud.params import Flag, Id, Items, PageNumber, PageSize, Text
from haechi.cloud.products.ecs.images import get_own_image
from haechi.cloud.products.ecs.product import ecs

ACCOUNTS_OF_AN_IMAGE = 50
Accounts = Annotated[tuple[str, ...], Items(Text(16, 1, r"[0-9]+", "InvalidAccount.NotFound"), 10)]


@ecs.action("ModifyImageSharePermission", Effect.RECORD, limit="there is one account, so nobody sees a shared image")
def modify_image_share_permission(
    call: Call, ImageId: Id, AddAccount: Accounts = (), RemoveAccount: Accounts = (), LaunchPermission: Id = "", IsPublic: Flag = False
) -> Answer:
    image = get_own_image(call, ImageId)
    if image["Status"] != "Available":
        raise ApiError("IncorrectImageStatus", "The specified Image is not available.")
    if call.runtime.account in AddAccount:
        raise ApiError("InvalidAccount.Forbbiden", "The specified Account does not yourself.")
    if IsPublic:
        raise invalid("IsPublic", "There are no community images here.")
    added = {**image["ShareAccounts"], **{a: iso_second(call.now()) for a in AddAccount if a not in image["ShareAccounts"]}}
    left = {a: time for a, time in added.items() if a not in RemoveAccount}
    if len(left) > ACCOUNTS_OF_AN_IMAGE:
        raise ApiError("QuotaExceed.ShareImageUser", "The shared Image user Quota exceeds.", 403)
    call.tx.change(image, ShareAccounts=left)
    return {}


@ecs.action("DescribeImageSharePermission", Effect.READ)
def describe_image_share_permission(call: Call, ImageId: Id, PageNumber: PageNumber = 1, PageSize: PageSize = 10) -> Answer:
    image = get_own_image(call, ImageId)
    shown, counts = page(list(image["ShareAccounts"].items()), PageNumber, PageSize)
    accounts = [{"AliyunId": account, "SharedTime": time} for account, time in shown]
    return {
        "RegionId": call.region,
        "ImageId": image.id,
        **counts,
        "Accounts": {"Account": accounts},
        "ShareGroups": {"ShareGroup": []},
    }
