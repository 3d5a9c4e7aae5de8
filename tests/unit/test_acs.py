"""Wire rules: signatures against answers of the official signers, and what is refused before a key is looked at.

The expected signatures were made once with aliyun-python-sdk-core 2.16.1 (rpc_signature_composer) and alibabacloud_tea_openapi 0.4.6
(Utils.get_rpcsignature, Utils.get_authorization) for key testid, secret testsecret.
"""

from __future__ import annotations

import hashlib

import pytest

from haechi.cloud import acs
from haechi.cloud.errors import ApiError

V1 = {
    "Action": "CreateVpc",
    "Version": "2016-04-28",
    "Format": "JSON",
    "RegionId": "cn-beijing",
    "AccessKeyId": "testid",
    "SignatureMethod": "HMAC-SHA1",
    "SignatureVersion": "1.0",
    "SignatureType": "",
    "SecurityToken": "",
    "SignatureNonce": "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf",
    "Timestamp": "2016-02-23T12:46:24Z",
    "VpcName": "a b*c~d/é中+&=",
    "Tag.1.Key": "k",
    "Description": "",
}
V3_HEADERS = {
    "host": "vpc.cn-beijing.aliyuncs.com",
    "x-acs-action": "CreateVpc",
    "x-acs-version": "2016-04-28",
    "x-acs-date": "2023-10-26T09:01:01Z",
    "x-acs-signature-nonce": "d410180a5abf7fe235dd9b74aca91fc0",
    "user-agent": "x",
    "accept": "application/json",
}
FORM = "application/x-www-form-urlencoded"
V3 = [
    (
        "POST",
        b"RegionId=cn-beijing&VpcName=a%20b%2Ac~d%2F%C3%A9%E4%B8%AD%2B%26%3D&Description=",
        b"",
        {},
        "0c03c5cf229d73caedb0734ee4ecf7397d0f3166db40844a6e44a01a7b3982c1",
    ),
    (
        "POST",
        b"RegionId=cn-beijing",
        b"Tag.1.Key=k&VpcName=a%20b",
        {"content-type": FORM},
        "86f7291f27d4f719ea4f96c1861411ee91585faa11162f88522c1df5f79916ca",
    ),
    ("GET", b"", b"", {"x-acs-security-token": "tok"}, "f525733ce6b14b1709df4630adcef6173c2f08587dd30cb2da4840e785de0fcb"),
]


def refused_code(request: acs.Request, secret: str = "testsecret") -> str:
    """The code of the refusal, "" when the signature is right."""
    try:
        acs.check_signature(request, acs.read_credential(request), secret)
    except ApiError as error:
        return error.code
    return ""


def v1(params: dict[str, str], form: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> acs.Request:
    return acs.Request("POST", "/", params, form or {}, headers or {}, b"")


def v3(method: str, query: bytes, body: bytes, more: dict[str, str], signature: str, **changes: str) -> acs.Request:
    headers = {**V3_HEADERS, "x-acs-content-sha256": hashlib.sha256(body).hexdigest(), **more}
    headers["authorization"] = f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={';'.join(sorted(headers))},Signature={signature}"
    return acs.parse_request(method, "/", query, {**headers, **changes}, body)


@pytest.mark.parametrize(("method", "signature"), [("GET", "rKHjPjy61cRUcdKX30IOj28U4lk="), ("POST", "X5Ogu+vJyNTq1u7zBHnrGoVX2g0=")])
def test_v1_as_the_official_signer(method: str, signature: str) -> None:
    assert acs.sign_v1(method, V1, "testsecret") == signature
    assert acs.sign_v1(method, {**V1, "Signature": "ignored"}, "testsecret") == signature


def test_v1_of_the_tea_sdk() -> None:
    names = ("Action", "Version", "AccessKeyId", "SignatureMethod", "SignatureVersion", "Timestamp", "VpcName")
    params = {**{n: V1[n] for n in names}, "Format": "json", "SignatureNonce": "n1"}
    assert acs.sign_v1("POST", params, "testsecret") == "Fyj4jFpLZuV+jLM1jgyaUdTDgWk="


def test_v1_is_over_query_and_form() -> None:
    good = {**V1, "Signature": "X5Ogu+vJyNTq1u7zBHnrGoVX2g0="}
    form = {"VpcName": good.pop("VpcName"), "Tag.1.Key": good.pop("Tag.1.Key")}
    assert refused_code(v1(good, form)) == ""
    for change in ({"VpcName": "other"}, {"Extra": "1"}):
        assert refused_code(v1(good, {**form, **change})) == "SignatureDoesNotMatch"
    assert refused_code(v1(good, form), "testsecre") == "SignatureDoesNotMatch"


def test_headers_of_v1_are_not_believed() -> None:
    request = v1(V1, headers={"x-acs-action": "DeleteVpc", "x-acs-version": "2014-05-26", "x-acs-region-id": "us-west-1"})
    assert request.system("Action", "x-acs-action") == "CreateVpc"
    assert request.system("Version", "x-acs-version") == "2016-04-28" and request.system("RegionId", "x-acs-region-id") == "cn-beijing"


@pytest.mark.parametrize("case", V3)
def test_v3_as_the_official_signer(case: tuple[str, bytes, bytes, dict[str, str], str]) -> None:
    request = v3(*case)
    assert refused_code(request) == "" and refused_code(request, "other") == "SignatureDoesNotMatch"
    assert request.system("Action", "x-acs-action") == "CreateVpc"
    credential = acs.read_credential(request)
    assert (credential.access_key, credential.token) == ("testid", case[3].get("x-acs-security-token", ""))
    assert credential.time == 1698310861.0


def test_v3_covers_everything() -> None:
    method, query, body, more, signature = V3[1]
    wrong = "SignatureDoesNotMatch"
    assert refused_code(v3(method, query + b"&A=1", body, more, signature)) == wrong
    assert refused_code(v3(method, query, body + b"&A=1", more, signature)) == wrong
    assert refused_code(v3("GET", query, body, more, signature)) == wrong
    for name in ("x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "host"):
        changed = "2023-10-26T09:01:02Z" if name == "x-acs-date" else "x"
        assert refused_code(v3(method, query, body, more, signature, **{name: changed})) == wrong
    # a header of the system that came without being signed
    assert refused_code(v3(method, query, body, more, signature, **{"x-acs-region-id": "us-west-1"})) == wrong
    assert refused_code(v3(method, query, body, more, signature, **{"x-acs-content-sha256": "0" * 64})) == wrong


def test_v3_must_sign_what_counts() -> None:
    headers = {**V3_HEADERS}
    signed = ["accept", "host"]
    signature = acs.sign_v3(acs.Request("POST", "/", {}, {}, headers, b""), signed, "testsecret")
    headers["authorization"] = f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={';'.join(signed)},Signature={signature}"
    assert refused_code(acs.Request("POST", "/", {}, {}, headers, b"")) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"AccessKeyId": ""}, "MissingAccessKeyId"),
        ({"Signature": ""}, "IncompleteSignature"),
        ({"Timestamp": ""}, "MissingParameter"),
        ({"SignatureNonce": ""}, "MissingParameter"),
        ({"Timestamp": "yesterday"}, "InvalidTimeStamp.Format"),
        ({"SignatureMethod": "HMAC-MD5"}, "InvalidSignatureMethod"),
        ({"SignatureVersion": "2.0"}, "InvalidSignatureMethod"),
        ({}, "SignatureDoesNotMatch"),
    ],
)
def test_v1_refusals(changes: dict[str, str], code: str) -> None:
    assert refused_code(v1({**V1, "Signature": "é", **changes})) == code


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("ACS3-HMAC-SHA256", "IncompleteSignature"),
        ("ACS3-HMAC-SHA256 Credential=testid,Signature=x", "IncompleteSignature"),
        ("ACS3-HMAC-SHA256 SignedHeaders=host,Signature=x", "MissingAccessKeyId"),
        ("ACS3-HMAC-SHA256 ;;;,,,===", "IncompleteSignature"),
        ("Bearer x", "MissingAccessKeyId"),
    ],
)
def test_v3_refusals(authorization: str, code: str) -> None:
    request = acs.Request("POST", "/", {}, {}, {**V3_HEADERS, "authorization": authorization}, b"")
    assert refused_code(request) == code


def test_bodies() -> None:
    json_type = {"content-type": "application/json; charset=utf-8"}
    request = acs.parse_request("POST", "", b"A=1", json_type, b'{"B":{"C":[true,{"D":2.5}]},"E":null,"F":"x"}')
    assert request.path == "/" and request.params == {"A": "1", "B.C.1": "true", "B.C.2.D": "2.5", "F": "x"}
    assert acs.parse_request("POST", "/", b"", {"content-type": FORM}, b"A=%20&B=").params == {"A": " ", "B": ""}
    assert acs.parse_request("POST", "/", b"", {"content-type": "image/png"}, b"\xff").params == {}
    for headers, query, body in (
        (json_type, b"", b"[1]"),
        (json_type, b"", b"{"),
        (json_type, b"", b'{"A":"\\ud800"}'),
        (json_type, b"", b'{"A":' * 5000),
        ({"content-type": FORM}, b"", b"A=%ff"),
        ({}, b"A=%ff", b""),
        ({}, b"\xff", b""),
        ({}, b"&".join(b"a%d=1" % n for n in range(2001)), b""),
    ):
        with pytest.raises(ApiError, match="InvalidParameter"):
            acs.parse_request("POST", "/", query, headers, body)


def test_errors_are_all_text() -> None:
    body = acs.render_error(ApiError("A.B", "m", 404), "id", "host:1")
    assert set(body) == {"RequestId", "HostId", "Code", "Message", "Recommend"} and all(isinstance(v, str) for v in body.values())
