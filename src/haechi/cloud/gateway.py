"""One request from top to bottom: the list STEPS, in order. What a step raises becomes the answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from haechi.cloud import acs, leftovers, regions
from haechi.cloud.action import Action, Answer, Call, Caller, Effect
from haechi.cloud.errors import ApiError, invalid, missing, not_found
from haechi.cloud.products import PRODUCTS
from haechi.cloud.products.ram.access import check_permission, find_caller
from haechi.cloud.runtime import Runtime
from haechi.cloud.store import Resource, Transaction
from haechi.cloud.trace import Trace

log = logging.getLogger("haechi.gateway")
BODY_LIMIT = 4 << 20  # bytes
NONCES = 200_000
TOKEN_SECONDS = 24 * 3600
SETTLE_SECONDS = 0.02
MOVING = ("Pending", "Starting", "Stopping", "Creating", "progressing")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ACTIONS: dict[tuple[str, str], Action] = {key: action for product in PRODUCTS for key, action in product.actions.items()}
_REGIONLESS = ("ram", "sts", "location", "bssopenapi", "ddoscoo", "alidns", "cloudfw", "waf-openapi")
GLOBAL = frozenset(product.version for product in PRODUCTS if product.code in _REGIONLESS)


@dataclass
class Exchange:
    """One request on its way; each step fills in what it found."""

    request: acs.Request
    request_id: str
    host: str
    caller: Caller | None = None
    action: Action | None = None
    region: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    answer: Answer = field(default_factory=dict)
    begun: list[tuple[str, str]] = field(default_factory=list)


class Gateway:
    """The ASGI application that serves every product's API on one port."""

    def __init__(self, runtime: Runtime, trace: Trace) -> None:
        self._runtime = runtime
        self._trace = trace
        self._nonces: dict[str, float] = {}
        self._nonce_lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = str(uuid.uuid4()).upper()
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        exchange = Exchange(acs.Request(scope["method"], scope["path"], {}, {}, headers, b""), request_id, headers.get("host", ""))
        status = 200
        try:
            body = await _read_body(receive)
            query = scope["query_string"]
            exchange.request = acs.parse_request(scope["method"], scope["path"], query, headers, body)
            for step in (self.authenticate, self.find_action, self.find_region, self.authorize, self.bind):
                step(exchange)
            assert exchange.action is not None
            if exchange.action.writes:
                exchange.answer = await asyncio.to_thread(self.run_writing, exchange)
                await self.settle(exchange)
            else:
                exchange.answer = self.run_reading(exchange)
            payload: Mapping[str, Any] = {"RequestId": request_id, **exchange.answer}
        except ApiError as error:
            status = error.status
            payload = acs.render_error(error, request_id, exchange.host)
        except Exception:
            log.exception("%s %s", request_id, exchange.action.name if exchange.action else "")
            status = 500
            hidden = ApiError("InternalError", "The request processing has failed due to some unknown error; see haechi's log.")
            payload = acs.render_error(hidden, request_id, exchange.host)
        self._record(exchange, status, payload, time.perf_counter() - started)
        await _respond(send, status, payload)

    # The steps, in order.

    def authenticate(self, exchange: Exchange) -> None:
        """Who signed it; unknown, disabled, wrong, late and repeated are each refused with their own code."""
        credential = acs.read_credential(exchange.request)
        now = self._runtime.store.now()
        if abs(now - credential.time) > acs.CLOCK_SKEW:
            raise ApiError("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
        caller, secret = find_caller(self._runtime.store.view(), credential, self._runtime.account, now)
        acs.check_signature(exchange.request, credential, secret)
        self._use_nonce(f"{credential.access_key} {credential.nonce}", now)
        exchange.caller = caller

    def find_action(self, exchange: Exchange) -> None:
        """What is asked for, by (Version, Action)."""
        name = exchange.request.system("Action", "x-acs-action")
        version = exchange.request.system("Version", "x-acs-version")
        if not name:
            raise missing("Action")
        if not version:
            raise missing("Version")
        action = ACTIONS.get((version, name))
        if action is None:
            raise ApiError("InvalidAction.NotFound", "The specified action is not served by this cloud; see docs/reference/coverage.md.")
        exchange.action = action

    def find_region(self, exchange: Exchange) -> None:
        """The region: by parameter, by host name, else the cloud's own."""
        asked = exchange.request.system("RegionId", "x-acs-region-id")
        if not asked:
            labels = exchange.host.split(":")[0].replace("-cn-", ".cn-").split(".")
            asked = next((label for label in labels if label in regions.REGIONS), self._runtime.region)
        if asked not in regions.REGIONS:
            assert exchange.action is not None
            if exchange.action.version not in GLOBAL:
                raise not_found("InvalidRegionId.NotFound", "The specified RegionId does not exist.")
            asked = self._runtime.region
        exchange.region = asked

    def authorize(self, exchange: Exchange) -> None:
        """The caller's policies."""
        assert exchange.caller is not None and exchange.action is not None
        check_permission(self._runtime.store.view(), exchange.caller, exchange.action, exchange.region)

    def bind(self, exchange: Exchange) -> None:
        """Parameters as values."""
        assert exchange.action is not None
        values, unread = exchange.action.signature.bind(exchange.request.params)
        exchange.values, exchange.unread = values, [n for n in unread if n not in acs.SYSTEM]

    def run_reading(self, exchange: Exchange) -> Answer:
        """The action, on what is committed now."""
        call = self._call(exchange, None)
        try:
            return call.action.run(call, **exchange.values)
        except RuntimeError as error:  # the data plane could not be asked
            log.exception("%s could not be read", exchange.request_id)
            raise ApiError("OperationFailed.NotRead", f"The state could not be read: {error}") from error

    def run_writing(self, exchange: Exchange) -> Answer:
        """The action, the data plane, the commit: all of it or nothing. A repeated ClientToken gets its first answer."""
        runtime = self._runtime
        dry = exchange.request.params.get("DryRun", "").lower() == "true"
        apply = runtime.apply if exchange.action and exchange.action.effect in (Effect.PACKETS, Effect.HOST) else None
        try:
            with runtime.store.write(apply) as tx:
                call = self._call(exchange, tx)
                remembered = self._token(exchange, tx)
                if remembered is not None and "Answer" in remembered:
                    answer: Answer = remembered["Answer"]
                else:
                    answer = call.action.run(call, **exchange.values)
                    if remembered is not None:
                        tx.put("client_token", remembered["Id"], "", {**remembered, "Answer": answer, "CreatedAt": call.now()})
                if dry:
                    raise ApiError("DryRunOperation", "Request validation has been passed with DryRun flag set.")
        except RuntimeError as error:  # KernelError and its like: the data plane could not do it
            log.exception("%s could not be applied", exchange.request_id)
            raise ApiError("OperationFailed.NotApplied", f"The change could not be made real, so nothing is stored: {error}") from error
        for work in call.after:
            work()
        exchange.begun = call.begun
        return answer

    async def settle(self, exchange: Exchange) -> None:
        """Answer when what was begun is done, or after a moment: who looks at once and then every five seconds (Packer) saves those."""
        end = time.monotonic() + self._runtime.patience
        while exchange.begun and time.monotonic() < end:
            view = self._runtime.store.view()
            exchange.begun = [key for key in exchange.begun if _is_moving(view.get(*key))]
            if exchange.begun:
                await asyncio.sleep(SETTLE_SECONDS)

    def _call(self, exchange: Exchange, tx: Transaction | None) -> Call:
        assert exchange.action is not None and exchange.caller is not None
        view = tx if tx is not None else self._runtime.store.view()
        params = exchange.request.params
        agent = leftovers.read_agent(exchange.request.headers.get("user-agent", ""))
        return Call(exchange.action, exchange.caller, exchange.region, exchange.request_id, self._runtime, view, params, agent)

    def _token(self, exchange: Exchange, tx: Transaction) -> dict[str, Any] | None:
        """The memory of a ClientToken: with Answer when it was used before; None when the call carries none."""
        assert exchange.action is not None
        params = exchange.request.params
        token = params.get("ClientToken", "")
        if not token or not exchange.action.idempotent:
            return None
        if len(token) > 64 or not token.isascii():
            raise invalid("ClientToken", "It must be at most 64 ASCII characters.", "InvalidClientToken.Malformed")
        id = f"{exchange.action.name} {token}"
        own = sorted((k, v) for k, v in params.items() if k not in acs.SYSTEM)
        digest = hashlib.sha256(json.dumps([exchange.region, own]).encode()).hexdigest()
        now = self._runtime.store.now()
        for old in [r for r in tx.find("client_token") if r["CreatedAt"] < now - TOKEN_SECONDS]:
            tx.delete(old)
        known = tx.get("client_token", id)
        if known is None:
            return {"Id": id, "Digest": digest}
        if known["Digest"] != digest:
            raise ApiError(
                "IdempotentParameterMismatch", "The request uses the same client token as a previous, but non-identical request."
            )
        return dict(known.data)

    def _use_nonce(self, nonce: str, now: float) -> None:
        with self._nonce_lock:
            while self._nonces:  # oldest first
                oldest = next(iter(self._nonces))
                if self._nonces[oldest] > now - 2 * acs.CLOCK_SKEW and len(self._nonces) < NONCES:
                    break
                del self._nonces[oldest]
            if nonce in self._nonces:
                raise ApiError("SignatureNonceUsed", "Specified signature nonce was used already.")
            self._nonces[nonce] = now

    def _record(self, exchange: Exchange, status: int, payload: Mapping[str, Any], seconds: float) -> None:
        action, caller = exchange.action, exchange.caller
        params = exchange.request.params
        kinds = action.signature.kinds if action else {}
        hidden = action.signature.secrets if action else frozenset()
        shown = {k: v for k, v in params.items() if k.split(".")[0] in kinds and k.split(".")[0] not in hidden}
        self._trace.write(
            {
                "time": round(self._runtime.store.now(), 3),
                "request_id": exchange.request_id,
                "caller": caller.arn if caller else "",
                "access_key": caller.access_key if caller else "",
                "product": action.product if action else "",
                "action": action.name if action else exchange.request.system("Action", "x-acs-action")[:64],
                "region": exchange.region,
                "params": {k: v if len(v) <= 512 else v[:512] + "..." for k, v in shown.items()},
                "hidden": sorted(k for k in params if k.split(".")[0] in hidden),
                "unread": exchange.unread,
                "status": status,
                "code": payload.get("Code", "") if status != 200 else "",
                "ms": round(seconds * 1000, 2),
            }
        )


def _is_moving(resource: Resource | None) -> bool:
    return resource is not None and (resource["Status"] in MOVING or bool(resource.get("Deleting")))


async def _read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ApiError("IncompleteBody", "The request ended before its body was complete.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_LIMIT:
            raise ApiError("RequestEntityTooLarge", f"The request body is larger than {BODY_LIMIT} bytes.", 413)
        if not message.get("more_body"):
            return b"".join(parts)


async def _respond(send: Send, status: int, payload: Mapping[str, Any]) -> None:
    body = orjson.dumps(payload)
    headers = [
        (b"content-type", b"application/json;charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"x-acs-request-id", str(payload["RequestId"]).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
