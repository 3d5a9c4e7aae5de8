"""One request from top to bottom: who is let in, what is refused on the way, and that a change is made wholly or not at all."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from haechi.cloud import acs
from haechi.dataplane.plan import Plan
from tests.localcloud import KEY, SECRET, LocalCloud, Refused


def signed(action: str = "DescribeVpcs", secret: str = SECRET, age: float = 0, **params: str) -> dict[str, str]:
    """A V1 query; an empty value given here is left out before signing."""
    query = {
        "Action": action,
        "Version": "2016-04-28",
        "AccessKeyId": KEY,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": uuid.uuid4().hex,
        "Timestamp": (datetime.now(UTC) - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **params,
    }
    query = {k: v for k, v in query.items() if v}
    return {**query, "Signature": acs.sign_v1("POST", query, secret)}


def answer(response: httpx.Response) -> tuple[int, str]:
    """Status and code; checks the form of the body."""
    body: dict[str, Any] = json.loads(response.content)
    assert response.headers["x-acs-request-id"] == body["RequestId"]
    if response.status_code == 200:
        return 200, ""
    assert set(body) == {"RequestId", "HostId", "Code", "Message", "Recommend"} and all(isinstance(v, str) for v in body.values())
    return response.status_code, body["Code"]


def test_the_good_case(cloud: LocalCloud) -> None:
    assert answer(cloud.send("POST", signed())) == (200, "")
    query = signed(VpcName="a b")
    form = {"VpcName": query.pop("VpcName")}
    assert answer(cloud.send("POST", query, data=form)) == (200, "")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (dict, (400, "MissingAccessKeyId")),
        (lambda: {"Action": "DescribeVpcs", "AccessKeyId": KEY}, (400, "IncompleteSignature")),
        (lambda: signed(AccessKeyId="LTAInobody"), (404, "InvalidAccessKeyId.NotFound")),
        (lambda: signed(secret="wrong"), (400, "SignatureDoesNotMatch")),
        (lambda: signed(age=16 * 60), (400, "InvalidTimeStamp.Expired")),
        (lambda: signed(age=-16 * 60), (400, "InvalidTimeStamp.Expired")),
        (lambda: signed(Timestamp="x"), (400, "InvalidTimeStamp.Format")),
        (lambda: signed(SignatureNonce=""), (400, "MissingParameter")),
        (lambda: signed(action=""), (400, "MissingParameter")),
        (lambda: signed(Version=""), (400, "MissingParameter")),
        (lambda: signed(action="MakeCoffee"), (400, "InvalidAction.NotFound")),
        (lambda: signed(Version="1999-01-01"), (400, "InvalidAction.NotFound")),
        (lambda: signed(RegionId="mars-1"), (404, "InvalidRegionId.NotFound")),
        (lambda: signed(PageSize="many"), (400, "InvalidParameter")),
        (lambda: signed(**{"VpcName.1": "a"}), (400, "InvalidParameter")),
    ],
)
def test_refusals(cloud: LocalCloud, query: Callable[[], dict[str, str]], expected: tuple[int, str]) -> None:
    assert answer(cloud.send("POST", query())) == expected


def test_an_unserved_action_does_not_look_like_a_missing_object(cloud: LocalCloud) -> None:
    body = json.loads(cloud.send("POST", signed(action="MakeCoffee")).content)
    assert "NotFound" not in body["Message"]


def test_a_request_counts_once(cloud: LocalCloud) -> None:
    query = signed()
    assert answer(cloud.send("POST", query)) == (200, "")
    assert answer(cloud.send("POST", query)) == (400, "SignatureNonceUsed")
    wrong = signed(secret="wrong")  # whoever cannot sign uses up nobody's nonce
    assert answer(cloud.send("POST", wrong)) == (400, "SignatureDoesNotMatch")
    right = signed(SignatureNonce=wrong["SignatureNonce"])
    assert answer(cloud.send("POST", right)) == (200, "")


def test_unsigned_headers_change_nothing(cloud: LocalCloud) -> None:
    made = cloud.call("CreateVpc")["VpcId"]
    query = signed(VpcId=made)
    assert answer(cloud.send("POST", query, headers={"x-acs-action": "DeleteVpc", "x-acs-region-id": "cn-beijing"})) == (200, "")
    assert cloud.call("DescribeVpcs")["TotalCount"] == 1


def test_v3(cloud: LocalCloud) -> None:
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    headers = {
        "host": "vpc.cn-beijing.aliyuncs.com",
        "x-acs-action": "CreateVpc",
        "x-acs-version": "2016-04-28",
        "x-acs-date": stamp,
        "x-acs-signature-nonce": uuid.uuid4().hex,
        "content-type": "application/json",
    }
    body = b'{"VpcName":"three"}'
    names = sorted(headers)
    signature = acs.sign_v3(acs.Request("POST", "/", {}, {}, headers, body), names, SECRET)
    headers["authorization"] = f"ACS3-HMAC-SHA256 Credential={KEY},SignedHeaders={';'.join(names)},Signature={signature}"
    assert answer(cloud.send("POST", headers=headers, content=body)) == (200, "")
    vpcs = cloud.call("DescribeVpcs", RegionId="cn-beijing")["Vpcs"]["Vpc"]  # the region came from the host name
    assert [v["VpcName"] for v in vpcs] == ["three"]
    assert answer(cloud.send("POST", headers=headers, content=body)) == (400, "SignatureNonceUsed")
    assert answer(cloud.send("POST", headers=headers, content=b'{"VpcName":"four"}')) == (400, "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("vpc.cn-beijing.aliyuncs.com", "cn-beijing"),
        ("ecs-cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
        ("vpc.us-west-1.aliyuncs.com:443", "us-west-1"),
        ("127.0.0.1:4566", "ap-southeast-1"),
    ],
)
def test_region_by_host_name(cloud: LocalCloud, host: str, region: str) -> None:
    assert answer(cloud.send("POST", signed("CreateVpc"), headers={"host": host})) == (200, "")
    assert cloud.call("DescribeVpcs", RegionId=region)["TotalCount"] == 1


def test_bodies_have_a_limit(cloud: LocalCloud) -> None:
    assert answer(cloud.send("POST", signed(), content=b"x" * ((4 << 20) + 1))) == (413, "RequestEntityTooLarge")
    assert answer(cloud.send("POST", {}, content=b"\xff\xfe")) == (400, "InvalidParameter")


def test_client_tokens(cloud: LocalCloud) -> None:
    first = cloud.call("CreateVpc", ClientToken="t", VpcName="a")
    again = cloud.call("CreateVpc", ClientToken="t", VpcName="a")
    assert again["VpcId"] == first["VpcId"] and again["RequestId"] != first["RequestId"]
    assert cloud.call("DescribeVpcs")["TotalCount"] == 1
    for change in ({"VpcName": "b"}, {"VpcName": "a", "RegionId": "cn-beijing"}):
        with pytest.raises(Refused, match="IdempotentParameterMismatch"):
            cloud.call("CreateVpc", ClientToken="t", **change)
    for token in ("x" * 65, "é"):
        with pytest.raises(Refused, match=r"InvalidClientToken\.Malformed"):
            cloud.call("CreateVpc", ClientToken=token)
    # another action may use the same token, and a refused call leaves none behind
    with pytest.raises(Refused, match=r"InvalidVpcID\.NotFound"):
        cloud.call("DeleteVpc", ClientToken="t2", VpcId="vpc-no")
    cloud.call("DeleteVpc", ClientToken="t", VpcId=first["VpcId"])
    cloud.call("DeleteVpc", ClientToken="t", VpcId=first["VpcId"])
    assert cloud.store.view().get("client_token", "DeleteVpc t2") is None


def test_the_token_of_one_region_is_not_anothers(cloud: LocalCloud) -> None:
    for host in ("vpc.cn-beijing.aliyuncs.com", "vpc.us-west-1.aliyuncs.com"):
        last = answer(cloud.send("POST", signed("CreateVpc", ClientToken="t"), headers={"host": host}))
    assert last == (400, "IdempotentParameterMismatch")


def test_client_tokens_are_forgotten_after_a_day(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cloud.call("CreateVpc", ClientToken="t")["VpcId"]
    stored = cloud.store.view().get("client_token", "CreateVpc t")
    assert stored is not None
    with cloud.store.write() as tx:
        tx.change(stored, CreatedAt=cloud.store.now() - 90_000)
    assert cloud.call("CreateVpc", ClientToken="t")["VpcId"] != first


def test_dry_run(cloud: LocalCloud) -> None:
    before = cloud.store.view().tables
    with pytest.raises(Refused, match="DryRunOperation") as caught:
        cloud.call("CreateVpc", DryRun=True, ClientToken="t")
    assert caught.value.status == 400
    with pytest.raises(Refused, match=r"InvalidCidrBlock\.Malformed"):
        cloud.call("CreateVpc", DryRun=True, CidrBlock="10.0.0.0/30")
    assert cloud.store.view().tables is before and cloud.dataplane.plan == Plan()
    cloud.call("CreateVpc", DryRun=False, ClientToken="t")


def test_what_cannot_be_applied_is_not_stored(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = cloud.call("CreateVpc")["VpcId"]
    before, plan = cloud.store.view().tables, cloud.dataplane.plan
    tried: list[Plan] = []
    apply = cloud.dataplane.apply
    monkeypatch.setattr(cloud.dataplane, "apply", lambda p: (tried.append(p), apply(p)))
    cloud.dataplane.fail = "no such device"
    with pytest.raises(Refused, match=r"OperationFailed\.NotApplied.*no such device") as caught:
        cloud.call("CreateVpc", ClientToken="t")
    assert caught.value.status == 400
    assert cloud.store.view().tables is before and [v["VpcId"] for v in cloud.call("DescribeVpcs")["Vpcs"]["Vpc"]] == [kept]
    assert len(tried) == 2 and len(tried[0].networks) == 2 and tried[1] == plan == cloud.dataplane.plan
    cloud.call("CreateVpc", ClientToken="t")
    assert cloud.call("DescribeVpcs")["TotalCount"] == 2


def test_what_only_is_recorded_leaves_the_data_plane_alone(cloud: LocalCloud) -> None:
    cloud.dataplane.fail = "must not be called"
    cloud.call("CreateUser", UserName="ann")
    assert cloud.dataplane.fail


def test_a_bug_is_a_500_without_its_details(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haechi.cloud.gateway.check_permission", lambda *a: 1 / 0)
    response = cloud.send("POST", signed())
    assert answer(response) == (500, "InternalError") and b"division" not in response.content


def test_the_trace_tells_calls_and_no_secrets(cloud: LocalCloud) -> None:
    cloud.call("CreateUser", UserName="ann")
    cloud.call("CreateLoginProfile", UserName="ann", Password="Sesame-open-9")
    key = cloud.call("CreateAccessKey", UserName="ann")["AccessKey"]
    cloud.call("DescribeVpcs", key=key["AccessKeyId"], secret=key["AccessKeySecret"], Unknown="Sesame-open-8")
    cloud.send("POST", signed("CreateLoginProfile", Version="2015-05-01", secret="wrong", Password="Sesame-open-7"))
    text = (cloud.runtime.site.home / "calls.jsonl").read_text()
    assert "Sesame-open" not in text and SECRET not in text and key["AccessKeySecret"] not in text
    *_, login, _, describe, bad = (json.loads(line) for line in text.splitlines())
    assert (login["action"], login["hidden"], login["params"]) == ("CreateLoginProfile", ["Password"], {"UserName": "ann"})
    assert describe["caller"].endswith("user/ann") and describe["unread"] == ["Unknown"] and describe["status"] == 200
    assert (bad["status"], bad["code"], bad["caller"], bad["params"]) == (400, "SignatureDoesNotMatch", "", {})
