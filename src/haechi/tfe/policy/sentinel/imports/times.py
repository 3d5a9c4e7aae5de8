"""The time import. One moment per evaluation; nanoseconds are integers, as Go's durations are."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.imports.arguments import need, strict
from haechi.tfe.policy.sentinel.values import Namespace, Native, members, type_of, wrap

if TYPE_CHECKING:
    from haechi.tfe.policy.sentinel.interpreter import Interpreter

_NANO = 1_000_000_000
_UNITS = {"nanosecond": 1, "microsecond": 1000, "millisecond": 1_000_000, "second": _NANO, "minute": 60 * _NANO, "hour": 3600 * _NANO}
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def parse_moment(value: Any) -> tuple[int, int]:
    """Nanoseconds since 1970 and the zone's offset in seconds, of an RFC 3339 text or of seconds. PolicyError for anything else."""
    if value.__class__ is Namespace:
        shown = value.shown()
        if "unix_nano" in shown:
            return shown["unix_nano"], shown["zone"]
    if value.__class__ is int:
        return value * _NANO, 0
    if value.__class__ is float and abs(value) < 1e12:
        return int(value) * _NANO, 0
    found = _RFC3339.fullmatch(value) if value.__class__ is str and len(value) < 64 else None
    if found is None:
        raise PolicyError(f"{type_of(value)} is no time: RFC 3339 text or seconds since 1970 are")
    day, clock, fraction, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError:
        raise PolicyError("the time is out of range") from None
    offset = int((moment.utcoffset() or timedelta()).total_seconds())
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return seconds * _NANO + int((fraction or "").ljust(9, "0")), offset


def moment_value(nanoseconds: int, offset: int = 0) -> Namespace:
    """A timespace."""
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=nanoseconds // _NANO)
        moment = moment.astimezone(timezone(timedelta(seconds=offset)))
    except (OverflowError, ValueError):
        raise PolicyError("the time is out of range") from None
    minutes = abs(offset) // 60
    zone = f"{'-' if offset < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"
    fraction = f".{nanoseconds % _NANO:09}".rstrip("0") if nanoseconds % _NANO else ""
    fields = {
        "year": moment.year,
        "month": moment.month,
        "month_name": _MONTHS[moment.month - 1],
        "day": moment.day,
        "weekday": (moment.weekday() + 1) % 7,
        "weekday_name": _DAYS[moment.weekday()],
        "hour": moment.hour,
        "minute": moment.minute,
        "second": moment.second,
        "unix": nanoseconds // _NANO,
        "unix_nano": wrap(nanoseconds),
        "rfc3339": moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction + ("Z" if offset == 0 else zone),
        "zone": offset,
        "zone_string": zone,
    }

    def add(run: Interpreter, duration: Any) -> Any:
        return moment_value(nanoseconds + need(duration, int, "add"), offset)

    functions = [
        strict("before", lambda run, other: nanoseconds < parse_moment(other)[0], 1),
        strict("after", lambda run, other: nanoseconds > parse_moment(other)[0], 1),
        strict("equal", lambda run, other: nanoseconds == parse_moment(other)[0], 1),
        strict("sub", lambda run, other: wrap(nanoseconds - parse_moment(other)[0]), 1),
        strict("add", add, 1),
    ]
    return members("timespace", fields | {each.name: each for each in functions}, fields)


def time(run: Interpreter) -> Namespace:
    """The import's value; `now` is the evaluation's moment."""
    now = moment_value(run.now)
    load = strict("load", lambda run, value: moment_value(*parse_moment(value)), 1)
    found: dict[str, Any] = {"now": now, "load": load, **_UNITS}
    # The names of before version 0.14, when `time.hour` was the hour of now.
    old = {name: value for name, value in now.shown().items() if name not in found}
    functions = {name: value for name in ("before", "after", "equal", "add", "sub") if isinstance(value := now.get(name), Native)}
    return members("time", {**old, **functions, **found})
