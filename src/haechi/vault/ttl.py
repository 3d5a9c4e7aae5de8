"""How long a token or lease may live: what was asked, capped by role, mount and an explicit end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from haechi.vault.durations import render_duration


@dataclass(frozen=True)
class Limits:
    """Seconds; 0: no own value. `default` and `maximum` are the mount's and never 0."""

    default: float
    maximum: float
    ttl: float = 0.0
    max_ttl: float = 0.0
    period: float = 0.0
    explicit_max_ttl: float = 0.0


def grant(limits: Limits, asked: float, start: float, now: float) -> tuple[float, list[str]]:
    """Seconds from now that are granted, and warnings about what was capped. `start` is when the token or lease was first issued."""
    warnings: list[str] = []
    maximum = min(limits.max_ttl, limits.maximum) if limits.max_ttl else limits.maximum
    if limits.max_ttl > limits.maximum:
        warnings.append(_capped("max TTL", limits.max_ttl, limits.maximum))
    if limits.period:
        ttl = limits.period
        if ttl > limits.maximum:
            warnings.append(_capped("period", ttl, limits.maximum))
            ttl = limits.maximum
    else:
        ttl = asked or limits.ttl or limits.default
        left = maximum - (now - start)
        if ttl > left:
            if asked or limits.ttl:
                warnings.append(_capped("TTL", ttl, max(left, 0)))
            ttl = left
    if limits.explicit_max_ttl and ttl > limits.explicit_max_ttl - (now - start):
        ttl = limits.explicit_max_ttl - (now - start)
        warnings += _explicit(asked, limits.explicit_max_ttl)
    return max(ttl, 0.0), warnings


def _capped(what: str, value: float, limit: float) -> str:
    return (
        f'{what} of "{render_duration(value)}" exceeded the effective max_ttl of "{render_duration(limit)}"; '
        f"{what} value is capped accordingly"
    )


def _explicit(asked: float, limit: float) -> Sequence[str]:
    if not asked or asked <= limit:
        return ()
    return (
        f'TTL of "{render_duration(asked)}" exceeded the explicit max TTL of "{render_duration(limit)}"; TTL value is capped accordingly',
    )
