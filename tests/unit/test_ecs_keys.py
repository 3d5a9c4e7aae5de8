"""Key pairs: made, brought along, listed, bound."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tests.localcloud import LocalCloud, Refused
from tests.unit.test_ecs_groups import make_group, make_instance, make_vpc

OPENSSH = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def names(cloud: LocalCloud, **params: object) -> list[str]:
    return [p["KeyPairName"] for p in cloud.call("DescribeKeyPairs", **params)["KeyPairs"]["KeyPair"]]


def test_private_key_is_given_once_and_kept_nowhere(cloud: LocalCloud) -> None:
    answer = cloud.call("CreateKeyPair", KeyPairName="packer_1-2", Tag=[{"Key": "a", "Value": "b"}])
    private = load_pem_private_key(answer["PrivateKeyBody"].encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey) and private.key_size == 2048
    assert answer["PrivateKeyBody"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert answer["KeyPairFingerPrint"] == hashlib.md5(der).hexdigest()
    (pair,) = cloud.call("DescribeKeyPairs", KeyPairName="packer_1-2", IncludePublicKey=True)["KeyPairs"]["KeyPair"]
    assert pair["KeyPairFingerPrint"] == answer["KeyPairFingerPrint"] and pair["CreationTime"].endswith("Z")
    assert pair["Tags"] == {"Tag": [{"TagKey": "a", "TagValue": "b"}]}
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    stored = cloud.store.view().get("key_pair", "ap-southeast-1/packer_1-2")
    assert stored is not None and stored["PublicKey"] == pair["PublicKey"] == f"{line} packer_1-2"
    assert "PRIVATE" not in str(cloud.store.view().find("key_pair") + cloud.store.view().find("client_token"))


def test_imported_keys(cloud: LocalCloud) -> None:
    answer = cloud.call("ImportKeyPair", KeyPairName="mine", PublicKeyBody=f"{OPENSSH} me@home\n")
    assert answer["KeyPairName"] == "mine" and len(answer["KeyPairFingerPrint"]) == 32
    (pair,) = cloud.call("DescribeKeyPairs", IncludePublicKey=True)["KeyPairs"]["KeyPair"]
    assert pair["PublicKey"] == f"{OPENSSH} me@home"
    assert cloud.call("DescribeKeyPairs")["KeyPairs"]["KeyPair"][0]["PublicKey"] == ""


@pytest.mark.parametrize(
    "body", ["ssh-rsa AAAA", "hello", "ssh-dss AAAA", f"{OPENSSH}\nssh-ed25519 more", f"command=x {OPENSSH}", "ssh-rsa é"]
)
def test_bad_public_keys(cloud: LocalCloud, body: str) -> None:
    with pytest.raises(Refused) as refused:
        cloud.call("ImportKeyPair", KeyPairName="mine", PublicKeyBody=body)
    assert refused.value.code == "InvalidPublicKeyBody.Malformed"
    assert names(cloud) == []


def test_names_are_checked_and_used_once_per_region(cloud: LocalCloud) -> None:
    for name, code in (("", "MissingParameter"), ("1x", "InvalidKeyPairName.Malformed"), ("https://x", "InvalidKeyPairName.Malformed")):
        with pytest.raises(Refused) as refused:
            cloud.call("ImportKeyPair", KeyPairName=name, PublicKeyBody=OPENSSH)
        assert refused.value.code == code
    cloud.call("ImportKeyPair", KeyPairName="mine", PublicKeyBody=OPENSSH)
    for action, params in (("ImportKeyPair", {"PublicKeyBody": OPENSSH}), ("CreateKeyPair", {})):
        with pytest.raises(Refused) as refused:
            cloud.call(action, KeyPairName="mine", **params)
        assert refused.value.code == "KeyPair.AlreadyExist"
    cloud.call("ImportKeyPair", KeyPairName="mine", PublicKeyBody=OPENSSH, RegionId="cn-hangzhou")


def test_listing(cloud: LocalCloud) -> None:
    made = [f"web{n}" for n in range(3)] + ["db", "web"]
    for name in made:
        cloud.call("ImportKeyPair", KeyPairName=name, PublicKeyBody=OPENSSH, Tag=[{"Key": "n", "Value": name}])
    assert names(cloud) == made
    assert names(cloud, KeyPairName="web") == ["web"]
    assert names(cloud, KeyPairName="web*") == ["web0", "web1", "web2", "web"]
    assert names(cloud, KeyPairName="*1") == ["web1"]
    assert names(cloud, KeyPairName="w*b*2") == ["web2"]
    assert names(cloud, KeyPairName="*") == made
    assert names(cloud, KeyPairName="nothing*") == []
    assert names(cloud, Tag=[{"Key": "n", "Value": "db"}]) == ["db"]
    assert names(cloud, KeyPairFingerPrint="0" * 32) == []
    assert names(cloud, PageNumber=2, PageSize=3) == ["db", "web"]
    assert cloud.call("DescribeKeyPairs", PageSize=2)["TotalCount"] == 5


def test_deleting(cloud: LocalCloud) -> None:
    for name in ("a1", "a2", "a3"):
        cloud.call("ImportKeyPair", KeyPairName=name, PublicKeyBody=OPENSSH)
    with pytest.raises(Refused) as refused:
        cloud.call("DeleteKeyPairs", KeyPairNames='["a1","none"]')
    assert (refused.value.code, refused.value.status) == ("InvalidKeyPair.NotFound", 404)
    assert names(cloud) == ["a1", "a2", "a3"]
    cloud.call("DeleteKeyPairs", KeyPairNames='["a1"]')
    cloud.call("DeleteKeyPairs", KeyPairNames=["a2"])
    cloud.call("DeleteKeyPairs", KeyPairNames="a3")
    assert names(cloud) == []
    for value in ("", "[]", "[1"):
        with pytest.raises(Refused):
            cloud.call("DeleteKeyPairs", KeyPairNames=value)


def test_binding_to_instances(cloud: LocalCloud) -> None:
    vpc = make_vpc(cloud)
    instance = make_instance(cloud, vpc, make_group(cloud, vpc))
    for name in ("one", "two"):
        cloud.call("ImportKeyPair", KeyPairName=name, PublicKeyBody=OPENSSH)
    answer = cloud.call("AttachKeyPair", KeyPairName="one", InstanceIds=f'["{instance}","i-none"]')
    assert {k: answer[k] for k in ("KeyPairName", "TotalCount", "FailCount")} == {"KeyPairName": "one", "TotalCount": "2", "FailCount": "1"}
    good, bad = answer["Results"]["Result"]
    assert good == {"InstanceId": instance, "Code": "200", "Message": "successful", "Success": "true"}
    assert (bad["Code"], bad["Success"]) == ("InvalidInstanceId.NotFound", "false")
    assert cloud.dataplane.plan.hosts[instance].public_keys == (OPENSSH,)
    with pytest.raises(Refused) as refused:
        cloud.call("DeleteKeyPairs", KeyPairNames='["one"]')
    assert refused.value.code == "InvalidParameter.KeypairAlreadyAttachedInstance"
    cloud.call("AttachKeyPair", KeyPairName="two", InstanceIds=f'["{instance}"]')  # takes the place of the first
    assert cloud.call("DetachKeyPair", KeyPairName="one", InstanceIds=f'["{instance}"]')["FailCount"] == "1"
    assert cloud.call("DetachKeyPair", KeyPairName="two", InstanceIds=f'["{instance}"]')["FailCount"] == "0"
    assert cloud.dataplane.plan.hosts[instance].public_keys == ()
    cloud.call("DeleteKeyPairs", KeyPairNames='["one","two"]')


@pytest.mark.parametrize("action", ["AttachKeyPair", "DetachKeyPair"])
def test_refused_bindings(cloud: LocalCloud, action: str) -> None:
    cloud.call("ImportKeyPair", KeyPairName="one", PublicKeyBody=OPENSSH)
    many = "[" + ",".join(f'"i-{n}"' for n in range(51)) + "]"
    for params, code in (
        ({"KeyPairName": "none", "InstanceIds": '["i-1"]'}, "InvalidKeyPairName.NotFound"),
        ({"KeyPairName": "one", "InstanceIds": "[]"}, "InvalidInstanceIds.ValueNotSupported"),
        ({"KeyPairName": "one", "InstanceIds": many}, "InstanceKeyPairLimitExceeded"),
        ({"KeyPairName": "one"}, "MissingParameter"),
        ({"InstanceIds": '["i-1"]'}, "MissingParameter"),
    ):
        with pytest.raises(Refused) as refused:
            cloud.call(action, **params)
        assert refused.value.code == code
