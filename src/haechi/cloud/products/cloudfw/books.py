"""Address books: named lists of CIDRs, domains or ports that policies refer to."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.paging import page
from haechi.cloud.params import Choice, Id, Items, Str, Text
from haechi.cloud.products.cloudfw.kinds import Note, Paged, Rows, domain, network, ports
from haechi.cloud.products.cloudfw.lookup import BOOK, get_book, users_of
from haechi.cloud.products.cloudfw.product import cloudfw
from haechi.cloud.store import Resource

GroupType = Annotated[str, Choice(("ip", "domain", "port"))]
Mode = Annotated[str, Choice(("Cover", "Append", "Delete"))]
Name = Annotated[str, Text(128, 1)]
AddressList = Annotated[str, Text(65536)]
Nothing = Annotated[tuple[str, ...], Items(Text(256), 100)]
MOST = 2000


def _entries(kind: str, text: str) -> list[str]:
    """The entries of a comma list, each once, as they are kept. Raises InvalidParameter."""
    found = []
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        if kind == "ip":
            found.append(network("AddressList", part))
        elif kind == "domain":
            found.append(domain("AddressList", part))
        else:
            low, high = ports("AddressList", part)
            found.append("0/0" if (low, high) == (0, 65535) else f"{low}/{high}")
    if not 1 <= len(found) <= MOST:
        raise invalid("AddressList", f"It holds 1 to {MOST} entries.")
    return list(dict.fromkeys(found))


def _named(call: Call, name: str, but: str = "") -> None:
    if any(book.id != but for book in call.view.find(BOOK, GroupName=name)):
        raise ApiError("ErrorAddressGroupNameExist", "An address book has this name already.")


@cloudfw.action("AddAddressBook", Effect.RECORD)
def add_address_book(
    call: Call,
    GroupName: Name,
    GroupType: GroupType,
    Description: Note,
    AddressList: AddressList = "",
    AutoAddTagEcs: Str = "0",
    TagRelation: Str = "and",
    TagList: Nothing = (),
    Lang: Str = "",
    SourceIp: Str = "",
) -> Answer:
    """A book of addresses, domains or ports."""
    _named(call, GroupName)
    if TagList or AutoAddTagEcs not in ("0", ""):
        raise ApiError("ErrorUnsupported", "Books of tags are not supported by this cloud.")
    id = call.store.new_id("book")
    values = {"GroupName": GroupName, "GroupType": GroupType, "Description": Description, "TagRelation": TagRelation}
    call.tx.put(BOOK, id, "", {**values, "AddressList": _entries(GroupType, AddressList)})
    return {"GroupUuid": id}


@cloudfw.action("ModifyAddressBook", Effect.PACKETS)
def modify_address_book(
    call: Call,
    GroupUuid: Id,
    GroupName: Str = "",
    Description: Note = "",
    AddressList: AddressList = "",
    ModifyMode: Mode = "Cover",
    AutoAddTagEcs: Str = "0",
    TagRelation: Str = "",
    TagList: Nothing = (),
    Lang: Str = "",
    SourceIp: Str = "",
) -> Answer:
    """Other entries (Cover), more (Append) or fewer (Delete); policies that name the book follow at once."""
    book = get_book(call, GroupUuid)
    changed: dict[str, Any] = {"Description": Description} if Description else {}
    if GroupName and GroupName != book["GroupName"]:
        _named(call, GroupName, book.id)
        _rename(call, book, GroupName)
        changed["GroupName"] = GroupName
    if AddressList:
        given, kept = _entries(book["GroupType"], AddressList), book["AddressList"]
        if ModifyMode == "Append":
            given = list(dict.fromkeys([*kept, *given]))
        elif ModifyMode == "Delete":
            given = [entry for entry in kept if entry not in given]
        if not 1 <= len(given) <= MOST:
            raise invalid("AddressList", f"A book holds 1 to {MOST} entries.")
        changed["AddressList"] = given
    call.tx.change(book, **changed)
    return {"DryRun": False}


def _rename(call: Call, book: Resource, name: str) -> None:
    for policy in users_of(call.tx, book):
        names = {key: name for key in ("Source", "Destination", "DestPortGroup") if policy[key] == book["GroupName"]}
        call.tx.change(policy, **names)


@cloudfw.action("DeleteAddressBook", Effect.RECORD)
def delete_address_book(call: Call, GroupUuid: Id, Lang: Str = "", SourceIp: Str = "") -> Answer:
    """Raises ErrorAddressGroupUsed while a policy names it."""
    book = get_book(call, GroupUuid)
    if users_of(call.view, book):
        raise ApiError("ErrorAddressGroupUsed", "The address book is referenced by policies.")
    call.tx.delete(book)
    return {}


@cloudfw.action("DescribeAddressBook", Effect.READ)
def describe_address_book(
    call: Call,
    CurrentPage: Paged = 1,
    PageSize: Rows = 10,
    GroupType: Str = "",
    Query: Str = "",
    ContainPort: Str = "",
    Lang: Str = "",
) -> Answer:
    """A page of books. Numbers of pages are texts."""
    found = [
        book
        for book in call.view.find(BOOK)
        if GroupType in ("", "all", book["GroupType"])
        and (Query in book["GroupName"] or Query in book["Description"] or Query in book["AddressList"])
        and (not ContainPort or (book["GroupType"] == "port" and _holds(book, ContainPort)))
    ]
    chosen, _ = page(found, CurrentPage, PageSize)
    rows = [_render(call, book) for book in chosen]
    return {"PageNo": str(CurrentPage), "PageSize": str(PageSize), "TotalCount": str(len(found)), "Acls": rows}


def _holds(book: Resource, port: str) -> bool:
    spans = [ports("AddressList", entry) for entry in book["AddressList"]]
    return port.isascii() and port.isdigit() and any(low <= int(port[:6]) <= high for low, high in spans)


def _render(call: Call, book: Resource) -> dict[str, Any]:
    return {
        "GroupUuid": book.id,
        "GroupName": book["GroupName"],
        "GroupType": book["GroupType"],
        "Description": book["Description"],
        "AddressList": book["AddressList"],
        "AddressListCount": len(book["AddressList"]),
        "Addresses": [{"Address": entry, "Note": ""} for entry in book["AddressList"]],
        "ReferenceCount": len(users_of(call.view, book)),
        "AutoAddTagEcs": 0,
        "TagRelation": book["TagRelation"],
        "TagList": [],
    }
