"""Looking up instances and what they are made of, with the errors the API documents."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any

from haechi.cloud.action import Call
from haechi.cloud.errors import ApiError, missing, not_found
from haechi.cloud.products.ecs.instance_types import InstanceType, find_type
from haechi.cloud.store import Resource, View

GROUPS_OF_AN_INSTANCE = 5


def get_instance(call: Call, id: str) -> Resource:
    """An instance of the caller's region, in whatever state."""
    instance = call.get("instance", id)
    if instance is None:
        raise not_found("InvalidInstanceId.NotFound", "The specified InstanceId does not exist.")
    return instance


def get_settled(call: Call, id: str, *states: str) -> Resource:
    """An instance in one of these states (Running or Stopped unless said) that is not being deleted."""
    instance = get_instance(call, id)
    if instance.get("Deleting") or instance["Status"] not in (states or ("Running", "Stopped")):
        raise ApiError("IncorrectInstanceStatus", "The current status of the resource does not support this operation.", 403)
    return instance


def get_vswitch(call: Call, id: str) -> Resource:
    vswitch = call.get("vswitch", id)
    if vswitch is None:
        raise not_found("InvalidVSwitchId.NotFound", "The specified VSwitchId does not exist.")
    return vswitch


def check_groups(call: Call, ids: Sequence[str], vpc: str) -> list[str]:
    """Security group ids, each once; all of one VPC."""
    unique = list(dict.fromkeys(ids))
    if not unique:
        raise missing("SecurityGroupId")
    for id in unique:
        group = call.get("security_group", id)
        if group is None:
            raise not_found("InvalidSecurityGroupId.NotFound", "The specified SecurityGroupId does not exist.")
        if group["VpcId"] != vpc:
            raise ApiError("InvalidParameter.Mismatch", "Specified security group and virtual switch are not in the same VPC.")
    if len(unique) > GROUPS_OF_AN_INSTANCE:
        raise ApiError("InstanceSecurityGroupLimitExceeded", "Exceeding the allowed amount of security groups that an instance can be in.")
    return unique


def get_type(name: str) -> InstanceType:
    found = find_type(name)
    if found is None:
        raise ApiError("InvalidInstanceType.ValueNotSupported", "The specified InstanceType beyond the permitted range.")
    return found


def get_image(call: Call, id: str, family: str = "") -> Resource:
    """An image to boot from, by id or as the newest of a family."""
    from haechi.cloud.products.ecs.images import find_image, newest_of_family  # images look up instances, too

    if not id and not family:
        raise missing("ImageId")
    image = find_image(call.view, call.region, id) if id else newest_of_family(call.view, call.region, family)
    if image is None:
        raise not_found("InvalidImageId.NotFound", "The specified ImageId does not exist.")
    if image.get("Status", "Available") != "Available":
        raise ApiError("OperationDenied.ImageNotValid", "The specified Image is disabled or is deleted.", 403)
    return image


def check_key_pair(call: Call, name: str) -> None:
    if name and call.get("key_pair", f"{call.region}/{name}") is None:
        raise not_found("InvalidKeyPairName.NotFound", "The specified parameter KeyPairName does not exist in our records.")


def hash_password(password: str) -> str:
    """crypt(3) SHA-512 of a password; "" stays "". The password goes by standard input, never by a command line."""
    if not password:
        return ""
    done = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def eip_of(view: View, instance: Resource) -> Resource | None:
    """The elastic address bound to an instance or its interface."""
    names = (instance.id, instance["NetworkInterfaceId"])
    return next((e for e in view.find("eip") if e["InstanceId"] in names), None)


def disks_of(view: View, instance: Resource) -> list[Resource]:
    return view.find("disk", InstanceId=instance.id)


def refuse_absent(named: dict[str, Any]) -> None:
    """Refuse parameters naming objects of services that do not exist here: {parameter: (value, code)}."""
    for parameter, (value, code) in named.items():
        if value:
            raise not_found(code, f"The specified {parameter} does not exist.")
