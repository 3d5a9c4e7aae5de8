"""The networks in an access control list."""

from __future__ import annotations

from ipaddress import IPv4Network

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError
from haechi.cloud.params import Id
from haechi.cloud.products.slb.kinds import AclEntries
from haechi.cloud.products.slb.lookup import get_acl
from haechi.cloud.products.slb.product import slb

QUOTA = 300  # entries of one list


def _network(text: str) -> IPv4Network:
    try:
        return IPv4Network(text, strict=False)
    except ValueError:
        raise ApiError("AclEntryIllegal", "The specified ACL entry is invalid.") from None


@slb.action("AddAccessControlListEntry", Effect.PACKETS)
def add_access_control_list_entry(call: Call, AclId: Id, AclEntrys: AclEntries = ()) -> Answer:
    """Add networks, kept as they were written; one that is there already is passed over."""
    acl = get_acl(call, AclId)
    entries = {str(_network(e["AclEntryIP"])): e for e in acl["Entries"]}
    for entry in AclEntrys:
        new = {"AclEntryIP": entry["entry"], "AclEntryComment": entry["comment"]}
        entries.setdefault(str(_network(entry["entry"])), new)
    if len(entries) > QUOTA:
        raise ApiError("AclEntryExceedLimit", "The maximum number of ACL entries is exceeded.")
    call.tx.change(acl, Entries=list(entries.values()))
    return {}


@slb.action("RemoveAccessControlListEntry", Effect.PACKETS)
def remove_access_control_list_entry(call: Call, AclId: Id, AclEntrys: AclEntries = ()) -> Answer:
    """Remove networks; those that are not in the list are passed over. Raises AclEntryEmpty when it has none at all."""
    acl = get_acl(call, AclId)
    gone = {_network(entry["entry"]) for entry in AclEntrys}
    if gone and not acl["Entries"]:
        raise ApiError("AclEntryEmpty", "Acl does not have any entry.")
    call.tx.change(acl, Entries=[e for e in acl["Entries"] if _network(e["AclEntryIP"]) not in gone])
    return {}
