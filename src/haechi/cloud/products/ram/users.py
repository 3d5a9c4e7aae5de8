"""RAM users."""

from __future__ import annotations

from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.paging import iso_second
from haechi.cloud.params import Id, Str
from haechi.cloud.products.ram.kinds import (
    Comments,
    DisplayName,
    Email,
    MaxItems,
    Phone,
    UserName,
    conflict,
    find_named,
    get_user,
    marker_page,
    new_number,
)
from haechi.cloud.products.ram.product import ram
from haechi.cloud.store import Resource

QUOTA = 1000


def render_user(u: Resource) -> dict[str, Any]:
    """A user as CreateUser and GetUser write it; the optional texts are "" when unset."""
    return {
        "UserId": u.id,
        "UserName": u["UserName"],
        "DisplayName": u["DisplayName"],
        "MobilePhone": u["MobilePhone"],
        "Email": u["Email"],
        "Comments": u["Comments"],
        "CreateDate": iso_second(u["CreatedAt"]),
        "UpdateDate": iso_second(u["UpdatedAt"]),
    }


@ram.action("CreateUser", Effect.RECORD)
def create_user(
    call: Call, UserName: UserName, DisplayName: DisplayName = "", MobilePhone: Phone = "", Email: Email = "", Comments: Comments = ""
) -> Answer:
    if find_named(call.view, "ram_user", "UserName", UserName):
        raise conflict("EntityAlreadyExists.User", "The user already exists.")
    if len(call.view.find("ram_user")) >= QUOTA:
        raise conflict("LimitExceeded.User", f"This cloud holds {QUOTA} users.")
    data = {"UserName": UserName, "DisplayName": DisplayName, "MobilePhone": MobilePhone, "Email": Email, "Comments": Comments}
    made = call.create("ram_user", "", {**data, "UpdatedAt": call.now(), "LoginProfile": None}, new_number(call, "2"))
    return {"User": render_user(made)}


@ram.action("GetUser", Effect.READ)
def get_user_action(call: Call, UserName: Id) -> Answer:
    return {"User": {**render_user(get_user(call.view, UserName)), "LastLoginDate": ""}}


@ram.action("ListUsers", Effect.READ)
def list_users(call: Call, Marker: Str = "", MaxItems: MaxItems = 100) -> Answer:
    shown, more = marker_page(call.view.find("ram_user"), Marker, MaxItems, lambda u: u.id)
    return {"Users": {"User": [render_user(u) for u in shown]}, **more}


@ram.action("UpdateUser", Effect.RECORD)
def update_user(
    call: Call,
    UserName: Id,
    NewUserName: UserName = "",
    NewDisplayName: DisplayName = "",
    NewMobilePhone: Phone = "",
    NewEmail: Email = "",
    NewComments: Comments = "",
) -> Answer:
    """An empty text that is sent clears what it names, but not the name. Access keys follow a new name."""
    user = get_user(call.view, UserName)
    texts = {"NewDisplayName": NewDisplayName, "NewMobilePhone": NewMobilePhone, "NewEmail": NewEmail, "NewComments": NewComments}
    changes = {name.removeprefix("New"): value for name, value in texts.items() if name in call.sent}
    if NewUserName and NewUserName != user["UserName"]:
        other = find_named(call.view, "ram_user", "UserName", NewUserName)
        if other is not None and other.id != user.id:
            raise conflict("EntityAlreadyExists.User", "The user already exists.")
        for key in call.view.find("access_key", UserName=user["UserName"]):
            call.tx.change(key, UserName=NewUserName)
        changes["UserName"] = NewUserName
    return {"User": render_user(call.tx.change(user, **changes, UpdatedAt=call.now()))}


@ram.action("DeleteUser", Effect.RECORD)
def delete_user(call: Call, UserName: Id) -> Answer:
    """Only a user without access keys, groups, policies and login profile."""
    user = get_user(call.view, UserName)
    for kind, equal, what in (
        ("access_key", {"UserName": user["UserName"]}, "AccessKey"),
        ("ram_member", {"UserId": user.id}, "Group"),
        ("ram_attachment", {"Target": "User", "TargetId": user.id}, "Policy"),
    ):
        if call.view.find(kind, **equal):
            raise conflict(f"DeleteConflict.User.{what}", f"The user still has something attached: {what}.")
    if user["LoginProfile"]:
        raise conflict("DeleteConflict.User.LoginProfile", "The user still has a login profile.")
    call.tx.delete(user)
    return {}
