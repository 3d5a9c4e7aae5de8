"""The token_* parameters that users and roles share: from a request into the stored form, to the read endpoints, into an Auth.

The stored form is a dict with every name of TOKEN_FIELDS and "legacy", the old names (policies, ttl, ...) the caller last used.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from haechi.vault.errors import invalid
from haechi.vault.fields import Fields
from haechi.vault.mounts import Mount

TOKEN_FIELDS: Fields = {
    "token_bound_cidrs": "list",
    "token_explicit_max_ttl": "seconds",
    "token_max_ttl": "seconds",
    "token_no_default_policy": "bool",
    "token_num_uses": "int",
    "token_period": "seconds",
    "token_policies": "list",
    "token_ttl": "seconds",
    "token_type": "text",
}
DEFAULTS: Mapping[str, Any] = {
    "token_bound_cidrs": [],
    "token_explicit_max_ttl": 0,
    "token_max_ttl": 0,
    "token_no_default_policy": False,
    "token_num_uses": 0,
    "token_period": 0,
    "token_policies": [],
    "token_ttl": 0,
    "token_type": "default",
    "legacy": [],
}
LEGACY: Mapping[str, str] = {  # old name: what it is called now
    "policies": "token_policies",
    "ttl": "token_ttl",
    "max_ttl": "token_max_ttl",
    "period": "token_period",
    "bound_cidrs": "token_bound_cidrs",
    "num_uses": "token_num_uses",
}
LOGIN_TOKEN_TYPES = ("default", "service", "batch")
_MASK = re.compile("/[0-9]{1,3}")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def merge_token_params(
    stored: Mapping[str, Any], values: Mapping[str, Any], legacy: Iterable[str] = (), types: Collection[str] = LOGIN_TOKEN_TYPES
) -> dict[str, Any]:
    """`stored` (may be empty) changed by the converted parameters of a request. `legacy`: the old names this endpoint takes.

    Of an old and a new name for the same thing the new one wins. Raises VaultError 400.
    """
    params = {**DEFAULTS, **{name: stored[name] for name in DEFAULTS if name in stored}}
    for name in TOKEN_FIELDS:
        if name in values:
            params[name] = values[name]
    used = set(params["legacy"])
    for old in legacy:
        new = LEGACY[old]
        if new in values:
            used = used | {old} if old in values else used - {old}
        elif old in values:
            params[new] = parse_policies(values[old]) if old == "policies" else values[old]
            used |= {old}
    params["legacy"] = sorted(used)
    params["token_bound_cidrs"] = [short_form(text) for text in params["token_bound_cidrs"]]
    params["token_type"] = params["token_type"] or "default"
    _check(params, types)
    return params


def _check(params: Mapping[str, Any], types: Collection[str]) -> None:
    kind = params["token_type"]
    if kind not in types:
        raise invalid(f"invalid 'token_type' value {quoted(kind)}")
    for name in ("token_max_ttl", "token_period", "token_num_uses", "token_ttl", "token_explicit_max_ttl"):
        if params[name] < 0:
            raise invalid(f"'{name}' cannot be negative")
    if kind in ("batch", "default-batch"):
        if params["token_period"]:
            raise invalid("'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens")
        if params["token_num_uses"]:
            raise invalid("'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count")
    if 0 < params["token_max_ttl"] < params["token_ttl"]:
        raise invalid("'token_ttl' cannot be greater than 'token_max_ttl'")


def render_token_params(stored: Mapping[str, Any]) -> dict[str, Any]:
    """As the read endpoints show them; an old name beside the new one where the caller used it and it says something."""
    shown = {name: stored[name] for name in TOKEN_FIELDS}
    return shown | {old: stored[LEGACY[old]] for old in stored["legacy"] if stored[LEGACY[old]]}


def auth_values(stored: Mapping[str, Any], mount: Mount) -> dict[str, Any]:
    """Keyword values for logical.Auth. The mount's tuned token_type decides where the role leaves it open."""
    policies = parse_policies(stored["token_policies"])
    if "root" in policies:
        raise invalid("auth methods cannot create root tokens")
    return {
        "policies": policies,
        "ttl": float(stored["token_ttl"]),
        "max_ttl": float(stored["token_max_ttl"]),
        "explicit_max_ttl": float(stored["token_explicit_max_ttl"]),
        "period": float(stored["token_period"]),
        "num_uses": stored["token_num_uses"],
        "no_default_policy": stored["token_no_default_policy"],
        "bound_cidrs": list(stored["token_bound_cidrs"]),
        "token_type": _token_type(stored["token_type"], mount.config.get("token_type") or "default-service"),
    }


def _token_type(asked: str, tuned: str) -> str:
    if tuned in ("service", "batch"):  # the mount allows nothing else
        return tuned
    return tuned.removeprefix("default-") if asked == "default" else asked


def parse_policies(names: Iterable[str]) -> list[str]:
    """Policy names in lower case, sorted, each once; root goes with nothing else."""
    policies = sorted({name.strip().lower() for name in names} - {""})
    return ["root"] if "root" in policies else policies


def same_policies(ours: Iterable[str], others: Iterable[str]) -> bool:
    """Whether two lists grant the same; "default" does not count."""
    return set(parse_policies(ours)) - {"default"} == set(parse_policies(others)) - {"default"}


def check_cidrs(bound: Sequence[str], address: str) -> bool:
    """Whether an address lies in one of the blocks. No blocks: every address does. An IPv4 address in IPv6 dress counts as IPv4."""
    if not bound:
        return True
    try:
        found: Address = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in parse_block(block) for block in bound)


@lru_cache(4096)
def parse_block(text: str) -> Network:
    """A CIDR block (bits beyond the mask do not matter) or a single address. Raises ValueError."""
    address, slash, mask = text.strip().partition("/")
    if slash and not _MASK.fullmatch(slash + mask):  # ipaddress would also take 255.0.0.0
        raise ValueError("the mask is a number of bits")
    return ipaddress.ip_network(address + slash + mask, strict=False)


def check_blocks(blocks: Iterable[str], what: str = "failed to validate CIDR blocks") -> None:
    """Raises VaultError 400 unless every text is a block with its mask."""
    for text in blocks:
        try:
            parse_block(text)
        except ValueError:
            raise invalid(f"{what}: invalid CIDR address: {text}") from None
        if "/" not in text:
            raise invalid(f"{what}: invalid CIDR address: {text}")


def within(inner: str, outer: Iterable[str]) -> bool:
    """Whether a block lies in one of the others."""
    block = parse_block(inner)
    return any(block.version == other.version and block.subnet_of(other) for other in map(parse_block, outer))  # type: ignore[arg-type]


def short_form(text: str) -> str:
    """A block as Vault stores it for tokens: a single address without its mask. Raises VaultError 400."""
    try:
        block = parse_block(text)
    except ValueError:
        raise invalid(f"Unable to convert {quoted(text)} to an IPv4 or IPv6 address, or a UNIX Socket") from None
    address, _, _ = text.strip().partition("/")
    return address if block.prefixlen == block.max_prefixlen else text.strip()


def quoted(text: str) -> str:
    """In double quotes, as Go's %q writes it (for the texts that occur here)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
