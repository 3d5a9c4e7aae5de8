"""Small imports: json, base64, types, units, sockaddr, runtime."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
from typing import TYPE_CHECKING, Any

from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.imports.arguments import need, strict
from haechi.tfe.policy.sentinel.values import Namespace, Native, Undefined, from_python, members, to_bytes, to_python, to_text, type_of

if TYPE_CHECKING:
    from haechi.tfe.policy.sentinel.interpreter import Interpreter


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < 19 else float(digits)


def _read_json(run: Interpreter, text: Any) -> Any:
    text = need(text, str, "json.unmarshal")
    run.meter.text(8 * len(text))
    run.meter.work(len(text) >> 4)
    return from_python(json.loads(text, parse_constant=_refuse, parse_int=_whole), run.meter)


def _unmarshal(run: Interpreter, text: Any) -> Any:
    try:
        return _read_json(run, text)
    except (ValueError, RecursionError) as error:
        message = error.msg if isinstance(error, json.JSONDecodeError) else "a value that is no JSON"
        raise PolicyError(f"json.unmarshal: {message}") from None


def _valid(run: Interpreter, text: Any) -> Any:
    try:
        _read_json(run, text)
    except (ValueError, RecursionError):
        return False
    return True


def _marshal(run: Interpreter, value: Any) -> Any:
    try:
        text = json.dumps(to_python(value, run.meter), separators=(",", ":"), sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        raise PolicyError("json.marshal: a value that JSON cannot hold") from None
    run.meter.text(len(text))
    for char, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(char, code)
    return text


def json_import(run: Interpreter) -> Namespace:
    functions = [strict("marshal", _marshal, 1), strict("unmarshal", _unmarshal, 1), strict("valid", _valid, 1)]
    return members("json", {each.name: each for each in functions})


def base64_import(run: Interpreter) -> Namespace:
    def encode(run: Interpreter, text: Any, url: bool) -> Any:
        run.meter.text(2 * len(need(text, str, "base64")))
        data = to_bytes(text)
        return (base64.urlsafe_b64encode if url else base64.b64encode)(data).decode()

    def decode(run: Interpreter, text: Any, url: bool) -> Any:
        run.meter.text(len(need(text, str, "base64")))
        try:
            return to_text(base64.b64decode(text, b"-_" if url else None, validate=True))
        except (binascii.Error, ValueError):
            raise PolicyError("the text is no base64") from None

    return members(
        "base64",
        {
            "encode": strict("encode", lambda run, text: encode(run, text, False), 1),
            "decode": strict("decode", lambda run, text: decode(run, text, False), 1),
            "urlencode": strict("urlencode", lambda run, text: encode(run, text, True), 1),
            "urldecode": strict("urldecode", lambda run, text: decode(run, text, True), 1),
        },
    )


def types(run: Interpreter) -> Namespace:
    return members("types", {"type_of": Native("type_of", lambda run, value: type_of(value), 1, 1)})


def units(run: Interpreter) -> Namespace:
    names = ("byte", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte")
    return members("units", {name: 1024**power for power, name in enumerate(names)})


def runtime(run: Interpreter) -> Namespace:
    return members("runtime", {"version": "0.40.0"}, {"version": "0.40.0"})


def _network(value: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if value.__class__ is Undefined or len(need(value, str, "sockaddr")) > 64:
        return None
    try:
        return ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None


def _network_or_fail(value: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    found = _network(value)
    if found is None:
        raise PolicyError("sockaddr: no address or network")
    return found


def _contained(run: Interpreter, outer: Any, inner: Any) -> Any:
    network, part = _network_or_fail(outer), _network_or_fail(inner)
    if isinstance(network, ipaddress.IPv4Network):
        return isinstance(part, ipaddress.IPv4Network) and part.subnet_of(network)
    return isinstance(part, ipaddress.IPv6Network) and part.subnet_of(network)


def sockaddr(run: Interpreter) -> Namespace:
    functions = [
        strict("is_contained", _contained, 2),
        strict("is_equal", lambda run, one, other: _network_or_fail(one) == _network_or_fail(other), 2),
        strict("is_ipv4", lambda run, value: isinstance(_network(value), ipaddress.IPv4Network), 1),
        strict("is_ipv6", lambda run, value: isinstance(_network(value), ipaddress.IPv6Network), 1),
    ]
    return members("sockaddr", {each.name: each for each in functions})
