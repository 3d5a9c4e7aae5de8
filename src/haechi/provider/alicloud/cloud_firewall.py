"""alicloud_cloud_firewall_control_policy, its order, alicloud_cloud_firewall_address_book and alicloud_cloud_firewall_instance.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/cloud_firewall_control_policy
"""

from __future__ import annotations

from typing import Any

from haechi.provider.alicloud.cloud import Cloud
from haechi.provider.alicloud.common import sent
from haechi.provider.resource import Data, Problem, Resource
from haechi.provider.schema import Fields, computed, one_of, optional, required
from haechi.provider.types import BOOL, NUMBER, STRING_SET, STRINGS

_GONE = ("ErrorAclNotExist",)
_NO_BOOK = ("ErrorAddressGroupNotExist",)
_APPLICATIONS = (
    "ANY",
    "HTTP",
    "HTTPS",
    "MySQL",
    "SMTP",
    "SMTPS",
    "RDP",
    "VNC",
    "SSH",
    "Redis",
    "MQTT",
    "MongoDB",
    "Memcache",
    "SSL",
    "FTP",
)
POLICY_FIELDS: Fields = {
    "acl_action": required(check=one_of("accept", "drop", "log")),
    "description": required(),
    "destination": required(),
    "destination_type": required(check=one_of("net", "group", "domain", "location")),
    "direction": required(force_new=True, check=one_of("in", "out")),
    "proto": required(check=one_of("ANY", "TCP", "UDP", "ICMP")),
    "source": required(),
    "source_type": required(check=one_of("net", "group", "location")),
    "application_name": optional(computed=True, check=one_of(*_APPLICATIONS)),
    "application_name_list": optional(STRINGS, computed=True),
    "dest_port": optional(computed=True),
    "dest_port_group": optional(),
    "dest_port_type": optional(computed=True, check=one_of("port", "group")),
    "domain_resolve_type": optional(),
    "ip_version": optional(computed=True, force_new=True),
    "lang": optional(),
    "release": optional(computed=True, check=one_of("true", "false")),
    "repeat_type": optional(computed=True),
    "source_ip": optional(),
    "acl_uuid": computed(),
    "create_time": computed(NUMBER),
}
_WIRE = {
    "AclAction": "acl_action",
    "Description": "description",
    "Destination": "destination",
    "DestinationType": "destination_type",
    "Direction": "direction",
    "Proto": "proto",
    "Source": "source",
    "SourceType": "source_type",
    "ApplicationName": "application_name",
    "ApplicationNameList": "application_name_list",
    "DestPort": "dest_port",
    "DestPortGroup": "dest_port_group",
    "DestPortType": "dest_port_type",
    "DomainResolveType": "domain_resolve_type",
    "RepeatType": "repeat_type",
    "Release": "release",
}


def _parts(d: Data) -> tuple[str, str]:
    """(AclUuid, Direction) of an id."""
    uuid, _, direction = d.id.partition(":")
    if direction not in ("in", "out"):
        raise Problem(f"{d.id!r} is not the id of a control policy", "It is <AclUuid>:<in or out>.")
    return uuid, direction


def _sent(d: Data) -> dict[str, Any]:
    """Every argument that has a value; of application_name and its list the one that is written or changed."""
    params = sent(d, _WIRE)
    if d.changed("application_name") and not d.changed("application_name_list"):
        params.pop("ApplicationNameList", None)
    elif "ApplicationNameList" in params:
        params.pop("ApplicationName", None)
    return params


def _create_policy(cloud: Cloud, d: Data) -> None:
    params = {**_sent(d), **sent(d, {"IpVersion": "ip_version"}), "NewOrder": "-1"}
    answer = cloud.call("cloudfw", "AddControlPolicy", params, timeout=d.timeout)
    d.id = f"{answer['AclUuid']}:{d['direction']}"


def _read_policy(cloud: Cloud, d: Data) -> None:
    uuid, direction = _parts(d)
    answer = cloud.call("cloudfw", "DescribeControlPolicy", {"AclUuid": uuid, "CurrentPage": 1, "PageSize": 50})
    found = next((p for p in answer.get("Policys") or [] if p["AclUuid"] == uuid and p["Direction"] == direction), None)
    if found is None:
        d.id = ""
        return
    d.update(**{name: found.get(wire) or None for wire, name in _WIRE.items()})
    d.update(
        acl_uuid=uuid, create_time=found.get("CreateTime"), ip_version=str(found.get("IpVersion")), release=str(found["Release"]).lower()
    )


def _update_policy(cloud: Cloud, d: Data) -> None:
    uuid, direction = _parts(d)
    cloud.call("cloudfw", "ModifyControlPolicy", {**_sent(d), "AclUuid": uuid, "Direction": direction}, timeout=d.timeout)


def _delete_policy(cloud: Cloud, d: Data) -> None:
    uuid, direction = _parts(d)
    cloud.delete("cloudfw", "DeleteControlPolicy", {"AclUuid": uuid, "Direction": direction}, _GONE, timeout=d.timeout)


POLICY = Resource(POLICY_FIELDS, _create_policy, _read_policy, _delete_policy, _update_policy)

ORDER_FIELDS: Fields = {
    "acl_uuid": required(force_new=True),
    "direction": required(force_new=True, check=one_of("in", "out")),
    "order": required(NUMBER),
}


def _write_order(cloud: Cloud, d: Data) -> None:
    place = {"AclUuid": d["acl_uuid"], "Direction": d["direction"], "Order": d["order"]}
    cloud.call("cloudfw", "ModifyControlPolicyPriority", place, timeout=d.timeout)
    d.id = f"{d['acl_uuid']}:{d['direction']}"


def _read_order(cloud: Cloud, d: Data) -> None:
    uuid, direction = _parts(d)
    answer = cloud.call("cloudfw", "DescribeControlPolicy", {"AclUuid": uuid, "CurrentPage": 1, "PageSize": 50})
    found = next((p for p in answer.get("Policys") or [] if p["AclUuid"] == uuid and p["Direction"] == direction), None)
    if found is None:
        d.id = ""
    else:
        d.update(acl_uuid=uuid, direction=direction, order=found["Order"])


def _keep_order(cloud: Cloud, d: Data) -> None:
    """A policy keeps its place when nobody asks for it any more."""


ORDER = Resource(ORDER_FIELDS, _write_order, _read_order, _keep_order, _write_order)

BOOK_FIELDS: Fields = {
    "group_name": required(),
    "group_type": required(force_new=True, check=one_of("ip", "port", "domain", "tag")),
    "description": required(),
    "address_list": optional(STRING_SET),
    "auto_add_tag_ecs": optional(NUMBER, computed=True),
    "tag_relation": optional(computed=True),
    "lang": optional(),
}


def _book(d: Data) -> dict[str, Any]:
    names = {"GroupName": "group_name", "GroupType": "group_type", "Description": "description", "TagRelation": "tag_relation"}
    return {**sent(d, names), "AddressList": ",".join(sorted(d["address_list"] or ()))}


def _create_book(cloud: Cloud, d: Data) -> None:
    d.id = cloud.call("cloudfw", "AddAddressBook", _book(d), timeout=d.timeout)["GroupUuid"]


def _read_book(cloud: Cloud, d: Data) -> None:
    books = cloud.pages("cloudfw", "DescribeAddressBook", {"GroupType": "all"}, "Acls", counter="CurrentPage")
    book = next((book for book in books if book["GroupUuid"] == d.id), None)
    if book is None:
        d.id = ""
        return
    d.update(group_name=book["GroupName"], group_type=book["GroupType"], description=book["Description"])
    d.update(address_list=_as_written(d, book["AddressList"]), auto_add_tag_ecs=book["AutoAddTagEcs"], tag_relation=book["TagRelation"])


def _as_written(d: Data, entries: list[str]) -> list[str]:
    """Entries as the configuration spells them: 22 is 22/22, an address is its /32."""
    written = d["address_list"] or ()
    spelled = {f"{text}/32": text for text in written} | {f"{text}/{text}": text for text in written}
    return sorted(spelled.get(entry, entry) for entry in entries)


def _update_book(cloud: Cloud, d: Data) -> None:
    cloud.call("cloudfw", "ModifyAddressBook", {**_book(d), "GroupUuid": d.id, "ModifyMode": "Cover"}, timeout=d.timeout)


def _delete_book(cloud: Cloud, d: Data) -> None:
    cloud.delete("cloudfw", "DeleteAddressBook", {"GroupUuid": d.id}, _NO_BOOK, timeout=d.timeout)


BOOK = Resource(BOOK_FIELDS, _create_book, _read_book, _delete_book, _update_book)

_SPECS = {"premium_version": 2, "enterprise_version": 3, "ultimate_version": 4, "payg_version": 10}
INSTANCE_FIELDS: Fields = {
    "payment_type": required(force_new=True, check=one_of("Subscription", "PayAsYouGo")),
    "spec": optional(computed=True, check=one_of(*_SPECS)),
    "ip_number": optional(NUMBER, computed=True),
    "band_width": optional(NUMBER, computed=True),
    "cfw_log": optional(BOOL, computed=True),
    "period": optional(NUMBER),
    "create_time": computed(),
    "status": computed(),
}


def _create_instance(cloud: Cloud, d: Data) -> None:
    prepaid = d["payment_type"] == "Subscription"
    product = ("vipcloudfw", "vipcloudfw") if prepaid else ("cfw", "cfw_elasticity_public_cn")
    codes = {"Spec": "spec", "IpNumber": "ip_number", "BandWidth": "band_width", "CfwLog": "cfw_log"}
    bought = [{"Code": code, "Value": str(d[name]).lower()} for code, name in codes.items() if d[name] is not None]
    params = {"ProductCode": product[0], "ProductType": product[1], "SubscriptionType": d["payment_type"], "Period": d["period"] or 1}
    d.id = cloud.call("bssopenapi", "CreateInstance", {**params, "Parameter": bought}, timeout=d.timeout)["Data"]["InstanceId"]


def _read_instance(cloud: Cloud, d: Data) -> None:
    rows = cloud.call("bssopenapi", "QueryAvailableInstances", {"InstanceIDs": d.id})["Data"]["InstanceList"]
    row = next((row for row in rows if row["InstanceID"] == d.id), None)
    if row is None:
        d.id = ""
        return
    bought = cloud.call("cloudfw", "DescribeUserBuyVersion", {"InstanceId": d.id})
    names = {number: name for name, number in _SPECS.items()}
    d.update(payment_type=row["SubscriptionType"], create_time=row.get("CreateTime"), status=bought["InstanceStatus"])
    d.update(
        spec=names.get(bought["Version"]), ip_number=bought["IpNumber"], band_width=bought["InternetBandwidth"], cfw_log=bought["LogStatus"]
    )


def _update_instance(cloud: Cloud, d: Data) -> None:
    raise Problem("What was bought of a firewall cannot be changed on the local cloud", "Make a new instance.")


def _delete_instance(cloud: Cloud, d: Data) -> None:
    cloud.delete("bssopenapi", "RefundInstance", {"InstanceId": d.id, "ProductCode": "vipcloudfw"}, ("InvalidInstanceId.NotFound",))


INSTANCE = Resource(INSTANCE_FIELDS, _create_instance, _read_instance, _delete_instance, _update_instance)
