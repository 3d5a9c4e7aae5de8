"""The API client: signature, flattening, errors, repeats, proxies; and how the provider finds keys and hosts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from haechi.clients.aliyun import Aliyun, ApiError, Keys, client_token, flatten
from haechi.clients.endpoints import endpoint_of
from haechi.cloud import acs
from haechi.provider.alicloud import cloud as provider_cloud
from haechi.provider.resource import Problem


class Api:
    """A little RPC server; `answers` are given in turn, then the last one again."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answers: list[tuple[int, Any]] = [(200, {"RequestId": "r"})]
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"] or 0))
                headers = {k.lower(): v for k, v in self.headers.items()}
                form = {k: v[0] for k, v in parse_qs(body.decode(), keep_blank_values=True).items()}
                api.requests.append({"path": self.path, "headers": headers, "form": form, "body": body, "peer": self.client_address})
                status, answer = api.answers.pop(0) if len(api.answers) > 1 else api.answers[0]
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALIBABA_CLOUD_ENDPOINT_ECS", "ECS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    api = Api()
    yield api
    api.server.shutdown()
    api.server.server_close()


def connect(api: Api, **options: Any) -> Aliyun:
    return Aliyun("ap-southeast-1", "id", "secret", endpoints={"ecs": api.host}, protocol="http", **options)


def test_a_request_is_signed_as_the_cloud_checks_it(api: Api) -> None:
    connect(api).call(
        "ecs", "2014-05-26", "RunInstances", {"Tag": [{"Key": "a b", "Value": "~*"}], "Amount": 1, "DryRun": False, "Nope": None}
    )
    [sent] = api.requests
    assert sent["form"] == {"RegionId": "ap-southeast-1", "Tag.1.Key": "a b", "Tag.1.Value": "~*", "Amount": "1", "DryRun": "false"}
    assert sent["headers"]["x-acs-action"] == "RunInstances" and sent["headers"]["x-acs-version"] == "2014-05-26"
    request = acs.parse_request("POST", "/", b"", sent["headers"], sent["body"])
    credential = acs.read_credential(request)
    assert credential.access_key == "id"
    acs.check_signature(request, credential, "secret")
    with pytest.raises(Exception, match="SignatureDoesNotMatch"):
        acs.check_signature(request, credential, "other")


def test_a_session_token_is_sent_and_signed(api: Api) -> None:
    client = Aliyun("r", endpoints={"ecs": api.host}, protocol="http", credentials=lambda: Keys("id", "secret", "token"))
    client.call("ecs", "1", "DescribeRegions")
    sent = api.requests[0]["headers"]
    assert sent["x-acs-security-token"] == "token" and "x-acs-security-token" in sent["authorization"]


def test_flatten() -> None:
    assert dict(flatten({"A": {"B": [True, {"C": 1.5}]}, "D": b"x", "E": [], "F": ""})) == {
        "A.B.1": "true",
        "A.B.2.C": "1.5",
        "D": "eA==",
        "F": "",
    }


REFUSAL = {"Code": "InvalidVpcId.NotFound", "Message": "no", "RequestId": "r-1"}


def test_errors(api: Api) -> None:
    api.answers = [(404, REFUSAL)]
    with pytest.raises(ApiError) as caught:
        connect(api).call("ecs", "1", "DescribeVpcs")
    error = caught.value
    assert (error.code, error.message, error.status, error.request_id, error.action) == (
        "InvalidVpcId.NotFound",
        "no",
        404,
        "r-1",
        "DescribeVpcs",
    )
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    "answer", [(503, {"Code": "ServiceUnavailable"}), (400, {"Code": "Throttling.User"}), (500, b"<html>"), (200, b"[]")]
)
def test_passing_trouble_is_tried_again(api: Api, answer: tuple[int, Any]) -> None:
    api.answers = [answer, answer, (200, {"RequestId": "x"})]
    assert connect(api).call("ecs", "1", "DescribeZones") == {"RequestId": "x"}
    nonces = {r["headers"]["x-acs-signature-nonce"] for r in api.requests}
    assert len(api.requests) == 3 == len(nonces)


def test_not_for_ever(api: Api) -> None:
    api.answers = [(500, {"Code": "InternalError"})]
    with pytest.raises(ApiError):
        connect(api).call("ecs", "1", "DescribeZones")
    assert len(api.requests) == 4


def test_what_changes_things_is_repeated_only_with_a_token(api: Api) -> None:
    api.answers = [(500, {"Code": "InternalError"})]
    with pytest.raises(ApiError):
        connect(api).call("ecs", "1", "AuthorizeSecurityGroup", {})
    assert len(api.requests) == 1
    with pytest.raises(ApiError):
        connect(api).call("ecs", "1", "RunInstances", {"ClientToken": client_token("RunInstances")})
    assert len(api.requests) == 5
    assert len({r["form"]["ClientToken"] for r in api.requests[1:]}) == 1


def test_connections_are_kept(api: Api) -> None:
    client = connect(api)
    for _ in range(3):
        client.call("ecs", "1", "DescribeZones")
    assert len({r["peer"] for r in api.requests}) == 1


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    client = Aliyun("r", "id", "very-secret", endpoints={"ecs": "127.0.0.1:1"}, protocol="http")
    with pytest.raises(ApiError, match="Unreachable") as caught:
        client.call("ecs", "1", "DescribeZones")
    assert caught.value.status == 0 and "very-secret" not in str(caught.value)


def test_the_proxy_variable_is_followed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{api.host}")
    monkeypatch.setenv("NO_PROXY", "other.example")
    Aliyun("ap-southeast-1", "id", "secret", protocol="http").call("ecs", "1", "DescribeZones")
    [sent] = api.requests
    assert sent["path"] == "http://ecs.ap-southeast-1.aliyuncs.com/" and sent["headers"]["host"] == "ecs.ap-southeast-1.aliyuncs.com"


def test_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    assert endpoint_of("Vpc", "eu-central-1") == "vpc.eu-central-1.aliyuncs.com"
    assert endpoint_of("ram", "eu-central-1") == "ram.aliyuncs.com"
    assert endpoint_of("slb", "ap-southeast-1") == "slb.aliyuncs.com"
    assert endpoint_of("sas", "ap-southeast-1") == "tds.ap-southeast-1.aliyuncs.com"
    monkeypatch.setenv("SLB_ENDPOINT", "second:1")
    assert endpoint_of("slb", "r") == "second:1"
    monkeypatch.setenv("ALIBABA_CLOUD_ENDPOINT_SLB", "first:1")
    assert endpoint_of("slb", "r") == "first:1"
    assert endpoint_of("slb", "r", {"slb": "given:1"}) == "given:1"
    monkeypatch.setenv("ALIBABA_CLOUD_ENDPOINT_WAF_OPENAPI", "waf:1")
    assert endpoint_of("waf-openapi", "r") == "waf:1"


def test_keys_are_never_shown() -> None:
    assert "very-secret" not in repr(Keys("id", "very-secret", "very-secret-too"))


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., provider_cloud.Cloud]:
    import os

    for name in list(os.environ):
        if name.startswith(("ALICLOUD", "ALIBABA")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(**config: Any) -> provider_cloud.Cloud:
        return provider_cloud.configure({name: config.get(name) for name in provider_cloud.with_environment({})} | config)

    return run


def test_keys_of_the_provider(configure: Callable[..., provider_cloud.Cloud], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no valid credential sources"):
        configure()
    cloud = configure(access_key="a", secret_key="b")
    assert cloud.region == "cn-beijing" and cloud.client.credentials() == Keys("a", "b", "")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "env-id")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "env-secret")
    monkeypatch.setenv("ALIBABA_CLOUD_SECURITY_TOKEN", "env-token")
    monkeypatch.setenv("ALICLOUD_REGION", "ap-southeast-1")
    cloud = configure()
    assert cloud.region == "ap-southeast-1" and cloud.client.credentials() == Keys("env-id", "env-secret", "env-token")


def test_profile(configure: Callable[..., provider_cloud.Cloud], tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot be read"):
        configure(profile="p")
    (tmp_path / ".aliyun").mkdir()
    profile = {
        "name": "p",
        "mode": "StsToken",
        "access_key_id": "i",
        "access_key_secret": "s",
        "sts_token": "t",
        "region_id": "eu-central-1",
    }
    (tmp_path / ".aliyun/config.json").write_text(json.dumps({"profiles": [profile]}))
    cloud = configure(profile="p")
    assert cloud.region == "eu-central-1" and cloud.client.credentials() == Keys("i", "s", "t")
    with pytest.raises(Problem, match="no profile other"):
        configure(profile="other")


def test_region_is_checked(configure: Callable[..., provider_cloud.Cloud]) -> None:
    with pytest.raises(Problem, match="Invalid Alibaba Cloud region"):
        configure(access_key="a", secret_key="b", region="moon-1")
    assert configure(access_key="a", secret_key="b", region="moon-1", skip_region_validation=True).region == "moon-1"


SESSION = {"AccessKeyId": "sts-id", "AccessKeySecret": "sts-secret", "SecurityToken": "sts-token", "Expiration": "2099-01-01T00:00:00Z"}


def test_assume_role(configure: Callable[..., provider_cloud.Cloud], api: Api) -> None:
    api.answers = [(200, {"Credentials": SESSION})]
    role = [{"role_arn": "acs:ram::1:role/r", "session_name": "s", "session_expiration": 999, "policy": None, "external_id": None}]
    endpoints = [{"sts": api.host, "ecs": api.host}]
    cloud = configure(access_key="a", secret_key="b", protocol="HTTP", assume_role=role, endpoints=endpoints)
    assert api.requests == []
    assert cloud.client.credentials() == Keys("sts-id", "sts-secret", "sts-token") == cloud.client.credentials()
    [sent] = api.requests
    assert sent["form"]["RoleArn"] == "acs:ram::1:role/r" and sent["form"]["DurationSeconds"] == "999"


def test_credentials_uri(configure: Callable[..., provider_cloud.Cloud], api: Api) -> None:
    api.answers = [(200, {"Code": "Success", **SESSION})]
    cloud = configure(credentials_uri=f"http://{api.host}/keys")
    assert cloud.client.credentials() == Keys("sts-id", "sts-secret", "sts-token")
    api.answers = [(200, {"Code": "Failed"})]
    with pytest.raises(Problem, match="No credentials"):
        configure(credentials_uri=f"http://{api.host}/keys").client.credentials()


def test_a_wait_ends_when_terraform_is_interrupted(configure: Callable[..., provider_cloud.Cloud]) -> None:
    cloud = configure(access_key="a", secret_key="b")
    threading.Timer(0.1, cloud.stop).start()
    with pytest.raises(Problem, match="interrupted"):
        cloud.wait("ever", lambda: 1, lambda found: False, 60)


def test_a_wait_gives_up(configure: Callable[..., provider_cloud.Cloud]) -> None:
    cloud = configure(access_key="a", secret_key="b")
    with pytest.raises(Problem, match="waiting for x") as caught:
        cloud.wait("x", lambda: "Stopping", lambda found: False, 60, lambda found: f"unexpected state {found}")
    assert "unexpected state Stopping" in caught.value.detail
    with pytest.raises(Problem, match="waiting for x"):
        cloud.wait("x", lambda: 1, lambda found: False, 0)
