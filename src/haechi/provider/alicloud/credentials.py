"""Where the provider's access keys come from, in the original's order: static, profile file, URI, ECS role; a role on top.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs#authentication
"""

from __future__ import annotations

import datetime
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from haechi.clients.aliyun import Aliyun, Keys
from haechi.provider.resource import Problem
from haechi.provider.schema import Values

Source: TypeAlias = Callable[[], Keys]
Connect: TypeAlias = Callable[[Source], Aliyun]
_METADATA = "http://100.100.100.200/latest/meta-data/ram/security-credentials/"


def read_profile(values: Values) -> None:
    """Fill empty values from the aliyun CLI's profile, if one is named; changes `values`."""
    if not values["profile"]:
        return
    path = Path(values["shared_credentials_file"] or "~/.aliyun/config.json").expanduser()
    try:
        profiles = json.loads(path.read_text()).get("profiles", [])
    except OSError as error:
        raise Problem(f"The shared credentials file {path} cannot be read", str(error.strerror), ("shared_credentials_file",)) from error
    except ValueError as error:
        raise Problem(f"The shared credentials file {path} is not JSON", "", ("shared_credentials_file",)) from error
    found = next((p for p in profiles if p.get("name") == values["profile"]), None)
    if found is None:
        raise Problem(f"There is no profile {values['profile']} in {path}", "", ("profile",))
    mode = found.get("mode", "AK")
    if mode not in ("AK", "StsToken", "RamRoleArn", "EcsRamRole"):
        values["vendor_profile"] = mode
    _fill(values, access_key=found.get("access_key_id"), secret_key=found.get("access_key_secret"), region=found.get("region_id"))
    if mode == "StsToken":
        _fill(values, security_token=found.get("sts_token"))
    if mode == "EcsRamRole":
        _fill(values, ecs_role_name=found.get("ram_role_name"))
    if mode == "RamRoleArn":
        given = {"role_arn": "ram_role_arn", "session_name": "ram_session_name", "session_expiration": "expired_seconds"}
        _fill(values["assume_role"], **{name: found.get(key) for name, key in given.items()})


def _fill(values: dict[str, Any], **defaults: Any) -> None:
    for name, value in defaults.items():
        values[name] = values[name] or value


def choose(values: Values, connect: Connect) -> Source:
    """The source of keys for the configured ways; `connect` makes a client for the calls to STS."""
    source = _base(values, connect)
    role = values["assume_role"]
    return Refreshed(lambda: _assume_role(connect(source), role)) if role.get("role_arn") and not _wants_oidc(values) else source


def _base(values: Values, connect: Connect) -> Source:
    if values["access_key"] and values["secret_key"]:
        fixed = Keys(values["access_key"], values["secret_key"], values["security_token"] or "")
        return lambda: fixed
    if values.get("vendor_profile"):
        from haechi.clients.aliyun import vendor_credentials

        return vendor_credentials()
    if values["credentials_uri"]:
        return Refreshed(lambda: _from_document(values["credentials_uri"]))
    if _wants_oidc(values):
        return Refreshed(lambda: _assume_with_oidc(connect(lambda: Keys("", "")), values["assume_role_with_oidc"]))
    if values["ecs_role_name"]:
        return Refreshed(lambda: _from_document(_METADATA + values["ecs_role_name"]))
    hint = "Set access_key and secret_key, their environment variables, a profile, credentials_uri, ecs_role_name or an assume_role block."
    raise Problem(
        "configuring Terraform Alibaba Cloud Provider: no valid credential sources for Terraform Alibaba Cloud Provider found.", hint
    )


class Refreshed:
    """Short-lived keys, fetched again five minutes before they end."""

    def __init__(self, fetch: Callable[[], tuple[Keys, float]]) -> None:
        self._fetch, self._lock = fetch, threading.Lock()
        self._keys, self._until = Keys("", ""), 0.0

    def __call__(self) -> Keys:
        with self._lock:
            if time.time() > self._until - 300:
                self._keys, self._until = self._fetch()
            return self._keys


def _wants_oidc(values: Values) -> bool:
    oidc = values["assume_role_with_oidc"]
    return bool(oidc["oidc_provider_arn"] and (oidc["oidc_token"] or oidc["oidc_token_file"]))


def _assume_role(sts: Aliyun, role: Mapping[str, Any]) -> tuple[Keys, float]:
    answer = sts.call(
        "sts",
        "2015-04-01",
        "AssumeRole",
        {
            "RoleArn": role["role_arn"],
            "RoleSessionName": role["session_name"] or "terraform",
            "DurationSeconds": role["session_expiration"] or 3600,
            "Policy": role.get("policy") or None,
            "ExternalId": role.get("external_id") or None,
        },
    )
    return _parse(answer["Credentials"])


def _assume_with_oidc(sts: Aliyun, oidc: Mapping[str, Any]) -> tuple[Keys, float]:
    token = oidc["oidc_token"] or Path(oidc["oidc_token_file"]).read_text().strip()
    answer = sts.call(
        "sts",
        "2015-04-01",
        "AssumeRoleWithOIDC",
        {
            "OIDCProviderArn": oidc["oidc_provider_arn"],
            "OIDCToken": token,
            "RoleArn": oidc["role_arn"],
            "RoleSessionName": oidc["role_session_name"] or "terraform",
            "DurationSeconds": oidc["session_expiration"] or 3600,
            "Policy": oidc.get("policy") or None,
        },
    )
    return _parse(answer["Credentials"])


def _from_document(uri: str) -> tuple[Keys, float]:
    """Keys from a URI or the metadata service: {"Code": "Success", "AccessKeyId": ...}."""
    try:
        with urllib.request.urlopen(uri, timeout=10) as response:
            document = json.load(response)
    except (OSError, ValueError) as error:
        raise Problem(f"No credentials could be fetched from {uri}", f"{type(error).__name__}") from error
    if document.get("Code") != "Success":
        raise Problem(f"No credentials could be fetched from {uri}", "The document's Code is not Success.")
    return _parse(document)


def _parse(document: Mapping[str, Any]) -> tuple[Keys, float]:
    until = datetime.datetime.fromisoformat(document["Expiration"].replace("Z", "+00:00")).timestamp()
    return Keys(document["AccessKeyId"], document["AccessKeySecret"], document["SecurityToken"]), until
