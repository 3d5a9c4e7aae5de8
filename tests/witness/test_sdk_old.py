"""The vendor's older core SDK (HMAC-SHA1) as judge, and hand-made requests that must be refused."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest

from haechi.cloud import acs
from tests.witness.conftest import Server


def ask(server: Server, version: str, action: str, key: str = "", secret: str = "", **params: str) -> dict[str, Any]:
    client = AcsClient(key or server.key, secret or server.secret, "ap-southeast-1")
    request = CommonRequest(domain=f"127.0.0.1:{server.port}", version=version, action_name=action)
    request.set_protocol_type("http")
    request.set_method("POST")
    for name, value in params.items():
        request.add_query_param(name, value)
    answer: dict[str, Any] = json.loads(client.do_action_with_exception(request))
    return answer


def code(server: Server, *args: str, **params: str) -> str:
    with pytest.raises(ServerException) as caught:
        ask(server, *args, **params)
    return str(caught.value.get_error_code())


def test_create_list_delete(server: Server) -> None:
    group = ask(server, "2016-04-28", "CreateVpc", VpcName="old-sdk", CidrBlock="192.168.0.0/16")["VpcId"]
    listed = ask(server, "2016-04-28", "DescribeVpcs", VpcId=group)
    assert [v["VpcName"] for v in listed["Vpcs"]["Vpc"]] == ["old-sdk"]
    ask(server, "2016-04-28", "DeleteVpc", VpcId=group)
    assert ask(server, "2016-04-28", "DescribeVpcs", VpcId=group)["TotalCount"] == 0


def test_refusals(server: Server) -> None:
    assert code(server, "2014-05-26", "DescribeRegions", secret="wrong") == "SignatureDoesNotMatch"
    assert code(server, "2014-05-26", "DescribeRegions", key="LTAInobody") == "InvalidAccessKeyId.NotFound"
    assert code(server, "2014-05-26", "NoSuchAction") == "InvalidAction.NotFound"


def signed(server: Server, **change: str) -> dict[str, str]:
    query = {
        "Action": "DescribeRegions",
        "Version": "2014-05-26",
        "Format": "JSON",
        "AccessKeyId": server.key,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": uuid.uuid4().hex,
        "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **change,
    }
    query["Signature"] = acs.sign_v1("GET", query, server.secret)
    return query


def send(server: Server, query: dict[str, str]) -> tuple[int, str]:
    answer = httpx.get(f"http://127.0.0.1:{server.port}/", params=query, trust_env=False)
    return answer.status_code, answer.json().get("Code", "")


def test_stale_and_replayed(server: Server) -> None:
    old = (datetime.now(UTC) - timedelta(minutes=16)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert send(server, signed(server, Timestamp=old)) == (400, "InvalidTimeStamp.Expired")
    assert send(server, signed(server, Timestamp="yesterday")) == (400, "InvalidTimeStamp.Format")
    once = signed(server)
    assert send(server, once) == (200, "")
    assert send(server, once) == (400, "SignatureNonceUsed")
    unsigned = {k: v for k, v in signed(server).items() if k != "Signature"}
    assert send(server, unsigned) == (400, "IncompleteSignature")


def test_a_forged_signature_does_not_burn_the_nonce(server: Server) -> None:
    good = signed(server)
    assert send(server, {**good, "Signature": "AAAA"})[1] == "SignatureDoesNotMatch"
    assert send(server, good) == (200, "")
