"""Access control lists: networks that listeners let in or keep out."""

from __future__ import annotations

from typing import Annotated

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, in_use, invalid
from haechi.cloud.paging import has_tags, iso_second, page, tag_dict
from haechi.cloud.params import Id, Number, PageNumber, Str, Tags
from haechi.cloud.products.slb.kinds import IpVersion, Label
from haechi.cloud.products.slb.lookup import acl_ids, get_acl, render_tags
from haechi.cloud.products.slb.product import slb
from haechi.cloud.store import Resource, View

FiftyAtMost = Annotated[int, Number(1, 50)]


def _users(view: View, acl: Resource) -> list[Resource]:
    return [r for r in view.find("listener", acl.region) if acl.id in acl_ids(r)]


def _check_name(call: Call, name: str, own: str = "") -> None:
    if any(acl.id != own for acl in call.find("acl", AclName=name)):
        raise ApiError("AclNameExist", "The specified AclName is used by another access control list of the region.")


@slb.action("CreateAccessControlList", Effect.RECORD)
def create_access_control_list(
    call: Call, AclName: Label, AddressIPVersion: IpVersion = "ipv4", ResourceGroupId: Id = "", Tag: Tags = ()
) -> Answer:
    """An empty list with a name of its own in the region."""
    if AddressIPVersion == "ipv6":
        raise invalid("AddressIPVersion", "This cloud serves ipv4 only.")
    _check_name(call, AclName)
    data = {
        "AclName": AclName,
        "AddressIPVersion": AddressIPVersion,
        "ResourceGroupId": ResourceGroupId,
        "Entries": [],
        "Tags": tag_dict(Tag),
    }
    return {"AclId": call.create("acl", "acl", data).id}


@slb.action("SetAccessControlListAttribute", Effect.RECORD)
def set_access_control_list_attribute(call: Call, AclId: Id, AclName: Label) -> Answer:
    acl = get_acl(call, AclId)
    _check_name(call, AclName, acl.id)
    call.tx.change(acl, AclName=AclName)
    return {}


@slb.action("DeleteAccessControlList", Effect.RECORD)
def delete_access_control_list(call: Call, AclId: Id) -> Answer:
    """Raises AclInUsed while a listener obeys the list."""
    acl = get_acl(call, AclId)
    if _users(call.view, acl):
        raise in_use("AclInUsed", "The specified acl is in use.")
    call.tx.delete(acl)
    return {}


def _render(acl: Resource) -> Answer:
    return {
        "AclId": acl.id,
        "AclName": acl["AclName"],
        "AddressIPVersion": acl["AddressIPVersion"],
        "ResourceGroupId": acl["ResourceGroupId"],
        "CreateTime": iso_second(acl["CreatedAt"]),
        "Tags": render_tags(acl),
    }


@slb.action("DescribeAccessControlLists", Effect.READ)
def describe_access_control_lists(
    call: Call,
    AclName: Str = "",
    AddressIPVersion: IpVersion = "",
    ResourceGroupId: Id = "",
    Tag: Tags = (),
    PageNumber: PageNumber = 1,
    PageSize: FiftyAtMost = 10,
) -> Answer:
    """Lists of the region; `AclName` may be a part of the name."""
    found = [
        acl
        for acl in call.find("acl")
        if AclName in acl["AclName"]
        and AddressIPVersion in ("", acl["AddressIPVersion"])
        and ResourceGroupId in ("", acl["ResourceGroupId"])
        and has_tags(acl, Tag)
    ]
    chosen, numbers = page(found, PageNumber, PageSize)
    return {**numbers, "Count": len(chosen), "Acls": {"Acl": [_render(acl) for acl in chosen]}}


@slb.action("DescribeAccessControlListAttribute", Effect.READ)
def describe_access_control_list_attribute(
    call: Call, AclId: Id, AclEntryComment: Str = "", Page: PageNumber = 1, PageSize: FiftyAtMost = 0
) -> Answer:
    """One list with its entries (all of them unless PageSize is given) and the listeners that obey it."""
    acl = get_acl(call, AclId)
    entries = [e for e in acl["Entries"] if AclEntryComment in e["AclEntryComment"]]
    chosen = page(entries, Page, PageSize)[0] if PageSize else entries
    users = [
        {
            "LoadBalancerId": r["LoadBalancerId"],
            "ListenerPort": r["ListenerPort"],
            "Protocol": r["ListenerProtocol"],
            "AclType": r["AclType"],
        }
        for r in _users(call.view, acl)
    ]
    return {
        **_render(acl),
        "AclEntrys": {"AclEntry": [dict(e) for e in chosen]},
        "TotalAclEntry": len(entries),
        "RelatedListeners": {"RelatedListener": users},
    }
