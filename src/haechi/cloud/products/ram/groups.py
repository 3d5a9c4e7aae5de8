"""Groups of users."""

from __future__ import annotations

from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import not_found
from haechi.cloud.paging import iso_second
from haechi.cloud.params import Id, Str
from haechi.cloud.products.ram.kinds import Comments, GroupName, MaxItems, conflict, find_named, get_group, get_user, marker_page
from haechi.cloud.products.ram.product import ram
from haechi.cloud.store import Resource

QUOTA = 300


def _render(g: Resource) -> dict[str, Any]:
    return {
        "GroupId": g.id,
        "GroupName": g["GroupName"],
        "Comments": g["Comments"],
        "CreateDate": iso_second(g["CreatedAt"]),
        "UpdateDate": iso_second(g["UpdatedAt"]),
    }


@ram.action("CreateGroup", Effect.RECORD)
def create_group(call: Call, GroupName: GroupName, Comments: Comments = "") -> Answer:
    if find_named(call.view, "ram_group", "GroupName", GroupName):
        raise conflict("EntityAlreadyExists.Group", "The group already exists.")
    if len(call.view.find("ram_group")) >= QUOTA:
        raise conflict("LimitExceeded.Group", f"This cloud holds {QUOTA} groups.")
    data = {"GroupName": GroupName, "Comments": Comments, "UpdatedAt": call.now()}
    return {"Group": _render(call.create("ram_group", "", data, f"g-{call.store.token(16)}"))}


@ram.action("GetGroup", Effect.READ)
def get_group_action(call: Call, GroupName: Id) -> Answer:
    return {"Group": _render(get_group(call.view, GroupName))}


@ram.action("ListGroups", Effect.READ)
def list_groups(call: Call, Marker: Str = "", MaxItems: MaxItems = 100) -> Answer:
    shown, more = marker_page(call.view.find("ram_group"), Marker, MaxItems, lambda g: g.id)
    return {"Groups": {"Group": [_render(g) for g in shown]}, **more}


@ram.action("UpdateGroup", Effect.RECORD)
def update_group(call: Call, GroupName: Id, NewGroupName: GroupName = "", NewComments: Comments = "") -> Answer:
    group = get_group(call.view, GroupName)
    changes = {"Comments": NewComments} if "NewComments" in call.sent else {}
    if NewGroupName:
        other = find_named(call.view, "ram_group", "GroupName", NewGroupName)
        if other is not None and other.id != group.id:
            raise conflict("EntityAlreadyExists.Group", "The group already exists.")
        changes["GroupName"] = NewGroupName
    return {"Group": _render(call.tx.change(group, **changes, UpdatedAt=call.now()))}


@ram.action("DeleteGroup", Effect.RECORD)
def delete_group(call: Call, GroupName: Id) -> Answer:
    """Only a group without users and policies."""
    group = get_group(call.view, GroupName)
    if call.view.find("ram_member", GroupId=group.id):
        raise conflict("DeleteConflict.Group.User", "The group still has users.")
    if call.view.find("ram_attachment", Target="Group", TargetId=group.id):
        raise conflict("DeleteConflict.Group.Policy", "The group still has policies attached.")
    call.tx.delete(group)
    return {}


@ram.action("AddUserToGroup", Effect.RECORD)
def add_user_to_group(call: Call, UserName: Id, GroupName: Id) -> Answer:
    user, group = get_user(call.view, UserName), get_group(call.view, GroupName)
    id = f"{group.id}/{user.id}"
    if call.view.get("ram_member", id):
        raise conflict("EntityAlreadyExists.User.Group", "The user is already in the group.")
    call.create("ram_member", "", {"GroupId": group.id, "UserId": user.id}, id)
    return {}


@ram.action("RemoveUserFromGroup", Effect.RECORD)
def remove_user_from_group(call: Call, UserName: Id, GroupName: Id) -> Answer:
    user, group = get_user(call.view, UserName), get_group(call.view, GroupName)
    member = call.view.get("ram_member", f"{group.id}/{user.id}")
    if member is None:
        raise not_found("EntityNotExist.User.Group", "The user is not in the group.")
    call.tx.delete(member)
    return {}


@ram.action("ListGroupsForUser", Effect.READ)
def list_groups_for_user(call: Call, UserName: Id) -> Answer:
    rows = []
    for member in call.view.find("ram_member", UserId=get_user(call.view, UserName).id):
        group = call.view.get("ram_group", member["GroupId"])
        if group is not None:
            joined = iso_second(member["CreatedAt"])
            rows.append({"GroupId": group.id, "GroupName": group["GroupName"], "Comments": group["Comments"], "JoinDate": joined})
    return {"Groups": {"Group": rows}}


@ram.action("ListUsersForGroup", Effect.READ)
def list_users_for_group(call: Call, GroupName: Id, Marker: Str = "", MaxItems: MaxItems = 100) -> Answer:
    members = call.view.find("ram_member", GroupId=get_group(call.view, GroupName).id)
    shown, more = marker_page(members, Marker, MaxItems, lambda m: m.id)
    rows = []
    for member in shown:
        user = call.view.get("ram_user", member["UserId"])
        if user is not None:
            joined = iso_second(member["CreatedAt"])
            rows.append({"UserName": user["UserName"], "DisplayName": user["DisplayName"], "JoinDate": joined})
    return {"Users": {"User": rows}, **more}
