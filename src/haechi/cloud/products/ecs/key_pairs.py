"""SSH key pairs: made here or brought along, and bound to instances."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid, missing, not_found
from haechi.cloud.paging import has_tags, iso_minute, page, tag_dict
from haechi.cloud.params import Flag, Id, Ids, Items, JsonList, PageNumber, PageSize, Tags, Text
from haechi.cloud.products.ecs.kinds import NAME
from haechi.cloud.products.ecs.matching import matches
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.store import Resource, View

KEY_PAIRS_OF_A_REGION = 500
INSTANCES_OF_A_REQUEST = 50
RSA_BITS = 2048
ALGORITHMS = ("ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")


@dataclass(frozen=True)
class Names(Items):
    """Names as one JSON array, or repeated."""

    def parse_all(self, name: str, raw: Mapping[int, Any]) -> tuple[Any, ...]:
        only = raw.get(1)
        if len(raw) == 1 and isinstance(only, str) and only.startswith("["):
            return JsonList(self.most).parse(name, only)
        return super().parse_all(name, raw)


KeyPairName = Annotated[str, Text(128, 2, NAME, "InvalidKeyPairName.Malformed")]
AskedName = Annotated[str, Text(128)]
PublicKey = Annotated[str, Text(16384)]
KeyPairNames = Annotated[tuple[str, ...], Names(Text(128), 100)]


def find_key_pair(view: View, region: str, name: str) -> Resource | None:
    """The key pair of that exact name; its PublicKey is an OpenSSH line."""
    return view.get("key_pair", f"{region}/{name}")


def users(view: View, pair: Resource) -> list[Resource]:
    """The instances a key pair is bound to."""
    return view.find("instance", pair.region, KeyPairName=pair["KeyPairName"])


def read_public_key(body: str) -> tuple[str, str]:
    """A public key as one OpenSSH line, and its fingerprint: the MD5 of its DER form. Raises ApiError."""
    line = body.strip()
    parts = line.split(" ", 2)
    try:
        if len(parts) < 2 or parts[0] not in ALGORITHMS or not line.isprintable():
            raise ValueError("not an OpenSSH public key line")
        key = serialization.load_ssh_public_key(" ".join(parts[:2]).encode())
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < 1024:
            raise ValueError("too short")
    except (ValueError, UnsupportedAlgorithm):
        raise ApiError("InvalidPublicKeyBody.Malformed", "The PublicKeyBody format is not supported.") from None
    return line, hashlib.md5(der, usedforsecurity=False).hexdigest()


def _put(call: Call, name: str, public: str, fingerprint: str, group: str, tags: Sequence[Mapping[str, str]]) -> None:
    data = {
        "KeyPairName": name,
        "KeyPairFingerPrint": fingerprint,
        "PublicKey": public,
        "ResourceGroupId": group,
        "Tags": tag_dict(tags),
    }
    call.create("key_pair", "", data, id=f"{call.region}/{name}")


def _check_new(call: Call, name: str) -> None:
    if find_key_pair(call.view, call.region, name) is not None:
        raise ApiError("KeyPair.AlreadyExist", "The key pair already exist.")
    if len(call.find("key_pair")) >= KEY_PAIRS_OF_A_REGION:
        raise ApiError("QuotaExceed.KeyPair", "The key pair quota exceeds.", 403)


@ecs.action("CreateKeyPair", Effect.RECORD)
def create_key_pair(call: Call, KeyPairName: KeyPairName, ResourceGroupId: Id = "", Tag: Tags = ()) -> Answer:
    """An RSA key pair. Its private half is in this answer (PEM, PKCS #1) and nowhere else."""
    _check_new(call, KeyPairName)
    tag_dict(Tag)
    private = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    line = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    public, fingerprint = read_public_key(line)
    _put(call, KeyPairName, f"{public} {KeyPairName}", fingerprint, ResourceGroupId, Tag)
    body = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    id = f"ssh-{fingerprint[:20]}"
    return {"KeyPairId": id, "KeyPairName": KeyPairName, "KeyPairFingerPrint": fingerprint, "PrivateKeyBody": body}


@ecs.action("ImportKeyPair", Effect.RECORD)
def import_key_pair(call: Call, KeyPairName: KeyPairName, PublicKeyBody: PublicKey, ResourceGroupId: Id = "", Tag: Tags = ()) -> Answer:
    _check_new(call, KeyPairName)
    public, fingerprint = read_public_key(PublicKeyBody)
    _put(call, KeyPairName, public, fingerprint, ResourceGroupId, Tag)
    return {"KeyPairName": KeyPairName, "KeyPairFingerPrint": fingerprint}


@ecs.action("DescribeKeyPairs", Effect.READ)
def describe_key_pairs(
    call: Call,
    KeyPairName: AskedName = "",
    KeyPairFingerPrint: Id = "",
    IncludePublicKey: Flag = False,
    ResourceGroupId: Id = "",
    Tag: Tags = (),
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
) -> Answer:
    """Key pairs of a region; KeyPairName is exact, or a pattern with *."""
    pairs = [
        p
        for p in call.find("key_pair")
        if matches(KeyPairName, p["KeyPairName"])
        and KeyPairFingerPrint in ("", p["KeyPairFingerPrint"])
        and ResourceGroupId in ("", p["ResourceGroupId"])
        and has_tags(p, Tag)
    ]
    shown, counts = page(pairs, PageNumber, PageSize)
    rows = [
        {
            "KeyPairName": p["KeyPairName"],
            "KeyPairFingerPrint": p["KeyPairFingerPrint"],
            "CreationTime": iso_minute(p["CreatedAt"]),
            "ResourceGroupId": p["ResourceGroupId"],
            "PublicKey": p["PublicKey"] if IncludePublicKey else "",
            "Tags": {"Tag": [{"TagKey": k, "TagValue": v} for k, v in p["Tags"].items()]},
        }
        for p in shown
    ]
    return {**counts, "KeyPairs": {"KeyPair": rows}}


@ecs.action("DeleteKeyPairs", Effect.RECORD)
def delete_key_pairs(call: Call, KeyPairNames: KeyPairNames) -> Answer:
    """All of them or none."""
    if not KeyPairNames:
        raise missing("KeyPairNames")
    for name in dict.fromkeys(KeyPairNames):
        pair = find_key_pair(call.view, call.region, name)
        if pair is None:
            raise not_found("InvalidKeyPair.NotFound", "The specified key pair does not exist.")
        if users(call.view, pair):
            raise ApiError(
                "InvalidParameter.KeypairAlreadyAttachedInstance",
                'The specified parameter "KeyPairNames" attached to instances can not be deleted.',
            )
        call.tx.delete(pair)
    return {}


def _each(call: Call, name: str, ids: Sequence[str], change: Callable[[Resource], str]) -> Answer:
    """Do something to each instance; `change` returns why it cannot, or ""."""
    if find_key_pair(call.view, call.region, name) is None:
        raise not_found("InvalidKeyPairName.NotFound", "The specified KeyPairName does not exist in our records.")
    if not ids:
        raise invalid("InstanceIds", "", "InvalidInstanceIds.ValueNotSupported")
    if len(ids) > INSTANCES_OF_A_REQUEST:
        raise ApiError("InstanceKeyPairLimitExceeded", "The specified instances are beyond the permitted range.", 403)
    rows = []
    for id in ids:
        instance = call.get("instance", id)
        why = "InvalidInstanceId.NotFound" if instance is None or instance.get("Deleting") else change(instance)
        done = {"Code": why or "200", "Message": "failed" if why else "successful", "Success": "false" if why else "true"}
        rows.append({"InstanceId": id, **done})
    failed = sum(row["Success"] == "false" for row in rows)
    return {"KeyPairName": name, "TotalCount": str(len(rows)), "FailCount": str(failed), "Results": {"Result": rows}}


@ecs.action("AttachKeyPair", Effect.HOST)
def attach_key_pair(call: Call, KeyPairName: AskedName, InstanceIds: Ids) -> Answer:
    """Bind a key pair in place of the one an instance has; a running host takes it over at its next start, as in the public cloud."""

    def attach(instance: Resource) -> str:
        call.tx.change(instance, KeyPairName=KeyPairName)
        return ""

    return _each(call, KeyPairName, InstanceIds, attach)


@ecs.action("DetachKeyPair", Effect.HOST)
def detach_key_pair(call: Call, KeyPairName: AskedName, InstanceIds: Ids) -> Answer:
    def detach(instance: Resource) -> str:
        if instance.get("KeyPairName", "") != KeyPairName:
            return "InvalidKeyPairName.NotAttached"
        call.tx.change(instance, KeyPairName="")
        return ""

    return _each(call, KeyPairName, InstanceIds, detach)
