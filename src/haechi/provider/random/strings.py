"""random_password and random_string."""

from __future__ import annotations

import base64
import ctypes
import secrets
import string
import threading
from collections.abc import Mapping
from typing import Any

from haechi.provider.random.common import KEEPERS, nothing
from haechi.provider.resource import Data, Problem, Resource
from haechi.provider.schema import Attribute, Fields, Values, between, computed, optional, required
from haechi.provider.types import BOOL, NUMBER, UNKNOWN

_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
_libcrypt_lock = threading.Lock()


def _fields(secret: bool) -> Fields:
    def switch() -> Attribute:
        return optional(BOOL, default=True, force_new=True)

    def least() -> Attribute:
        return optional(NUMBER, default=0, force_new=True)

    return {
        "keepers": KEEPERS,
        "length": required(NUMBER, force_new=True, check=between(1, 1 << 20)),
        "special": switch(),
        "upper": switch(),
        "lower": switch(),
        "number": optional(BOOL, computed=True, force_new=True, deprecated="**NOTE**: This is deprecated, use `numeric` instead."),
        "numeric": optional(BOOL, computed=True, force_new=True),
        "min_numeric": least(),
        "min_upper": least(),
        "min_lower": least(),
        "min_special": least(),
        "override_special": optional(force_new=True),
        "result": computed(sensitive=secret),
        **({"bcrypt_hash": computed(sensitive=True)} if secret else {}),
    }


def _create(context: Any, d: Data) -> None:
    d["result"] = generate(d.values)
    d.id = "none" if "bcrypt_hash" in d.fields else d["result"]
    if "bcrypt_hash" in d.fields:
        d["bcrypt_hash"] = bcrypt(d["result"])


def generate(v: Mapping[str, Any]) -> str:
    """A string with at least the minimum of each kind, the rest from all allowed kinds, in a random order."""
    classes = [
        (v["override_special"] or _SPECIAL, v["special"], v["min_special"]),
        (string.digits, v["numeric"], v["min_numeric"]),
        (string.ascii_lowercase, v["lower"], v["min_lower"]),
        (string.ascii_uppercase, v["upper"], v["min_upper"]),
    ]
    allowed = "".join(letters for letters, on, _ in classes if on)
    chosen = [secrets.choice(letters) for letters, _, least in classes for _ in range(int(least or 0))]
    if not allowed and len(chosen) < v["length"]:
        raise Problem("the character set specified is empty", "At least one of special, numeric, lower and upper has to be true.")
    chosen += [secrets.choice(allowed) for _ in range(int(v["length"]) - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


def bcrypt(text: str) -> str:
    """The bcrypt hash of a text, by the C library's own crypt(3)."""
    table = bytes.maketrans(
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    )
    salt = base64.b64encode(secrets.token_bytes(16)).rstrip(b"=").translate(table)
    try:
        crypt = ctypes.CDLL("libcrypt.so.1").crypt
    except OSError as error:
        raise Problem("Hash Generation Error", "libcrypt.so.1 is needed for bcrypt_hash.") from error
    crypt.restype, crypt.argtypes = ctypes.c_char_p, [ctypes.c_char_p, ctypes.c_char_p]
    with _libcrypt_lock:
        result = crypt(text.encode()[:72], b"$2a$10$" + salt)
    if not result or not result.startswith(b"$2a$"):
        raise Problem("Hash Generation Error", "libcrypt.so.1 has no bcrypt.")
    return bytes(result).decode()


def _customize(prior: Mapping[str, Any] | None, planned: Values) -> None:
    """`number` and `numeric` are one switch with two names, true when neither is given."""
    given = next((planned[n] for n in ("numeric", "number") if planned[n] not in (None, UNKNOWN)), True)
    if prior is not None:
        changed = [n for n in ("numeric", "number") if planned[n] not in (None, UNKNOWN, prior.get(n))]
        given = planned[changed[0]] if changed else given
    planned["numeric"] = planned["number"] = given


def _refuse(config: Mapping[str, Any]) -> Problem | None:
    lengths = [config.get(n) for n in ("length", "min_upper", "min_lower", "min_numeric", "min_special")]
    if any(v is UNKNOWN for v in lengths):
        return None
    total = sum(v or 0 for v in lengths[1:])
    if lengths[0] is not None and lengths[0] < total:
        text = f"Attribute length value must be at least sum of min_upper + min_lower + min_numeric + min_special, got: {lengths[0]}"
        return Problem("Invalid Attribute Value", text, ("length",))
    return None


def _import_password(given: str) -> Mapping[str, Any]:
    return {**_import_string(given), "id": "none", "bcrypt_hash": bcrypt(given)}


def _import_string(given: str) -> Mapping[str, Any]:
    switches = dict.fromkeys(("special", "upper", "lower", "number", "numeric"), True)
    least = dict.fromkeys(("min_special", "min_upper", "min_lower", "min_numeric"), 0)
    return {"id": given, "result": given, "length": len(given), **switches, **least}


PASSWORD = Resource(_fields(True), _create, nothing, nothing, version=3, import_id=_import_password, customize=_customize, refuse=_refuse)
STRING = Resource(_fields(False), _create, nothing, nothing, version=2, import_id=_import_string, customize=_customize, refuse=_refuse)
