"""The wire rules of Alibaba Cloud's RPC style, without IO: what a request says, and how it is signed.

Both signature families: V1 (HMAC-SHA1 over the sorted parameters) and ACS3-HMAC-SHA256 (headers).
Source: "Request syntax and signature method V2/V3" of the vendor, and the official SDKs' signers.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass
from json import loads
from time import strptime
from urllib.parse import parse_qsl, quote

from haechi.cloud.errors import ApiError, missing

SYSTEM = frozenset(
    [
        "Action",
        "Version",
        "Format",
        "AccessKeyId",
        "Signature",
        "SignatureMethod",
        "SignatureVersion",
        "SignatureNonce",
        "SignatureType",
        "Timestamp",
        "RegionId",
        "SecurityToken",
        "SourceIp",
        "SecureTransport",
        "ClientToken",
        "DryRun",
        "OwnerId",
        "OwnerAccount",
        "ResourceOwnerId",
        "ResourceOwnerAccount",
        "AcceptLanguage",
    ]
)
CLOCK_SKEW = 15 * 60  # seconds
ALGORITHM = "ACS3-HMAC-SHA256"


@dataclass(frozen=True)
class Request:
    """A request as it came. `params` is query plus form; `headers` have lower-case names."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def params(self) -> dict[str, str]:
        return {**self.query, **self.form}

    @property
    def v3(self) -> bool:
        return self.headers.get("authorization", "").startswith(ALGORITHM)

    def system(self, name: str, header: str = "") -> str:
        """A system parameter: by its x-acs- header, else by name. Only V3 signs headers, so V1's are not believed."""
        return (self.headers.get(header, "") if header and self.v3 else "") or self.params.get(name, "")


@dataclass(frozen=True)
class Credential:
    """What a request claims about its signer, before anything is checked."""

    access_key: str
    signature: str
    nonce: str
    time: float  # epoch seconds
    token: str


def parse_request(method: str, path: str, query: bytes, headers: Mapping[str, str], body: bytes) -> Request:
    """Query, form and JSON bodies as parameters. Raises ApiError InvalidParameter on a body or query that is not UTF-8 text."""
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    form: dict[str, str] = {}
    try:
        pairs = dict(parse_qsl(query.decode(), keep_blank_values=True, errors="strict", max_num_fields=2000))
        if body and kind == "application/json":
            form = _json_params(loads(body))
        elif body and kind in ("", "application/x-www-form-urlencoded"):
            form = dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=2000))
    except (ValueError, RecursionError):
        raise ApiError("InvalidParameter", "The request's query or body cannot be read.") from None
    return Request(method, path or "/", pairs, form, headers, body)


def _json_params(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError("not an object")
    flat: dict[str, str] = {}

    def walk(name: str, node: object) -> None:
        if isinstance(node, dict):
            for key, item in node.items():
                walk(f"{name}.{key}" if name else str(key), item)
        elif isinstance(node, list):
            for number, item in enumerate(node, 1):
                walk(f"{name}.{number}", item)
        elif isinstance(node, bool):
            flat[name] = "true" if node else "false"
        elif node is not None:
            flat[name] = str(node)

    walk("", value)
    "".join((*flat, *flat.values())).encode()  # a lone surrogate is no text: UnicodeEncodeError is a ValueError
    return flat


def percent(text: str) -> str:
    """RFC 3986 encoding: everything but letters, digits and -_.~"""
    return quote(text, safe="-_.~")


def sign_v1(method: str, params: Mapping[str, str], secret: str) -> str:
    """HMAC-SHA1 signature over all parameters but Signature, as base64."""
    joined = "&".join(f"{percent(k)}={percent(v)}" for k, v in sorted(params.items()) if k != "Signature")
    text = f"{method}&%2F&{percent(joined)}"
    return b64encode(hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()).decode()


def sign_v3(request: Request, signed: list[str], secret: str) -> str:
    """ACS3-HMAC-SHA256 signature over method, path, query, the named headers and the body's hash, as hex."""
    query = "&".join(f"{percent(k)}={percent(v)}" for k, v in sorted(request.query.items()))
    lines = "".join(f"{name}:{request.headers.get(name, '').strip()}\n" for name in signed)
    hashed = hashlib.sha256(request.body).hexdigest()
    canonical = f"{request.method}\n{request.path}\n{query}\n{lines}\n{';'.join(signed)}\n{hashed}"
    text = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _time(text: str) -> float:
    try:
        return float(timegm(strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        raise ApiError("InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted.") from None


def _authorization(request: Request) -> dict[str, str]:
    fields = request.headers["authorization"][len(ALGORITHM) :].strip().split(",")
    return {k.strip(): v for k, _, v in (f.partition("=") for f in fields)}


def read_credential(request: Request) -> Credential:
    """Who the request says signed it. Raises the documented error for each part that is missing or malformed."""
    if request.v3:
        fields = _authorization(request)
        key, signature = fields.get("Credential", ""), fields.get("Signature", "")
        stamp, nonce = request.headers.get("x-acs-date", ""), request.headers.get("x-acs-signature-nonce", "")
        token = request.headers.get("x-acs-security-token", "")
        if not signature or not fields.get("SignedHeaders"):
            raise ApiError("IncompleteSignature", "The request signature does not conform to the standards.")
    else:
        params = request.params
        key, signature = params.get("AccessKeyId", ""), params.get("Signature", "")
        stamp, nonce = params.get("Timestamp", ""), params.get("SignatureNonce", "")
        token = params.get("SecurityToken", "")
        if key and not signature:
            raise ApiError("IncompleteSignature", "The request signature does not conform to the standards.")
        method, version = params.get("SignatureMethod", "HMAC-SHA1"), params.get("SignatureVersion", "1.0")
        if signature and (method, version) != ("HMAC-SHA1", "1.0"):
            raise ApiError("InvalidSignatureMethod", "Specified signature method is not supported; use HMAC-SHA1 or ACS3-HMAC-SHA256.")
    if not key:
        raise ApiError("MissingAccessKeyId", "AccessKeyId is mandatory for this action.")
    if not stamp:
        raise missing("Timestamp")
    if not nonce:
        raise missing("SignatureNonce")
    return Credential(key, signature, nonce, _time(stamp), token)


def check_signature(request: Request, credential: Credential, secret: str) -> None:
    """Raise SignatureDoesNotMatch unless the request was signed with this secret."""
    if request.v3:
        signed = _authorization(request)["SignedHeaders"].lower().split(";")
        claimed = request.headers.get("x-acs-content-sha256", "")
        own = {name for name in request.headers if name.startswith("x-acs-")}
        whole = {"host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce"} | own <= set(signed)
        good = sign_v3(request, signed, secret) if whole else ""
        if claimed and claimed != hashlib.sha256(request.body).hexdigest():
            good = ""
    else:
        good = sign_v1(request.method, request.params, secret)
    if not hmac.compare_digest(good.encode(), credential.signature.encode()):
        raise ApiError(
            "SignatureDoesNotMatch",
            "Specified signature is not matched with our calculation. server string to sign is:(withheld, it may hold secrets)",
        )


def render_error(error: ApiError, request_id: str, host: str) -> dict[str, str]:
    """The body of an error; every field is a string, as the SDKs insist."""
    recommend = "https://next.api.alibabacloud.com/troubleshoot?q=" + percent(error.code)
    return {"RequestId": request_id, "HostId": host, "Code": error.code, "Message": error.message, "Recommend": recommend}
