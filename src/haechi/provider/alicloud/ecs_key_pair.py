"""alicloud_ecs_key_pair (alicloud_key_pair). https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/ecs_key_pair"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import TAGS, join_resource_group, read_tags, tag_params, update_tags
from haechi.provider.resource import Data, Resource
from haechi.provider.schema import Fields, computed, length, optional

FIELDS: Fields = {
    "create_time": computed(),
    "finger_print": computed(),
    "key_file": optional(),
    "key_name": optional(
        computed=True,
        force_new=True,
        check=length(2, 128),
        conflicts_with=("key_pair_name",),
        deprecated="Field 'key_name' has been deprecated from provider version 1.121.0. New field 'key_pair_name' instead.",
    ),
    "key_name_prefix": optional(force_new=True, check=length(0, 100)),
    "key_pair_name": optional(computed=True, force_new=True, check=length(2, 128), conflicts_with=("key_name",)),
    # The cloud does not give it back; a trailing newline or a comment is no other key.
    "public_key": optional(force_new=True, same=lambda old, new, view: bool(old and new) and old.split()[:2] == new.split()[:2]),
    "resource_group_id": optional(computed=True),
    "tags": TAGS,
}


def _create(cloud: Cloud, d: Data) -> None:
    name = d.first("key_pair_name", "key_name") or f"{d['key_name_prefix'] or 'terraform-'}{secrets.token_hex(13)}"
    params = {"KeyPairName": name, "ResourceGroupId": d["resource_group_id"] or None, "Tag": tag_params(d["tags"])}
    if d["public_key"]:
        answer = cloud.call("ecs", "ImportKeyPair", {**params, "PublicKeyBody": d["public_key"].strip()}, timeout=d.timeout)
    else:
        answer = cloud.call("ecs", "CreateKeyPair", params, timeout=d.timeout)
        if d["key_file"]:
            write_secret(Path(d["key_file"]), answer["PrivateKeyBody"])
    d.id = answer["KeyPairName"]


def write_secret(path: Path, text: str) -> None:
    """Write a file only its owner can read, from the first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as file:
        file.write(text)


def _describe(cloud: Cloud, name: str) -> dict[str, Any] | None:
    found = items(cloud.find("ecs", "DescribeKeyPairs", {"KeyPairName": name}, ("InvalidKeyPair.NotFound",)), "KeyPairs", "KeyPair")
    return next((k for k in found if k.get("KeyPairName") == name), None)


def _read(cloud: Cloud, d: Data) -> None:
    pair = _describe(cloud, d.id)
    if pair is None:
        d.id = ""
        return
    d.update(
        key_pair_name=pair["KeyPairName"],
        key_name=pair["KeyPairName"],
        finger_print=pair.get("KeyPairFingerPrint"),
        create_time=pair.get("CreationTime"),
        resource_group_id=pair.get("ResourceGroupId"),
        tags=read_tags(items(pair, "Tags", "Tag")),
    )


def _update(cloud: Cloud, d: Data) -> None:
    join_resource_group(cloud, d, "keypair")
    update_tags(cloud, d, "ecs", "keypair")


def _delete(cloud: Cloud, d: Data) -> None:
    attached = ("InvalidParameter.KeypairAlreadyAttachedInstance",)
    cloud.delete("ecs", "DeleteKeyPairs", {"KeyPairNames": json.dumps([d.id])}, ("InvalidKeyPairName.NotFound",), attached, d.timeout)


RESOURCE = Resource(FIELDS, _create, _read, _delete, _update, timeouts={"create": 300, "update": 300, "delete": 300})
