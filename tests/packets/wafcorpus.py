"""Requests of the corpora in tests/cases/waf: [kind, what], where `what` is an argument's value unless it says otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

CASES = Path(__file__).parents[1] / "cases" / "waf"
BLOCKED = (405, 400, 444)  # the firewall's page; nginx's own refusal of what is no HTTP


def read(name: str) -> list[tuple[str, Any]]:
    return [(kind, what) for kind, what in json.loads((CASES / f"{name}.json").read_text())]


def send(client: httpx.Client, kind: str, what: Any) -> int:
    """The status that a request gets; 0 for a connection that was closed."""
    method, path, headers, body = "GET", "/", {}, b""
    if isinstance(what, list):
        path = f"/?{quote(what[0])}={quote(what[1])}"
    else:
        word, _, rest = what.partition(" ") if what.startswith("@") else (f"@{kind}", "", what)
        if word == "@path":
            path = quote(rest, safe="/%?=&,#+.:-_;!")
        elif word == "@agent":
            headers["User-Agent"] = rest
        elif word == "@cookie":
            headers["Cookie"] = rest
        elif word == "@header":
            name, _, value = rest.partition(": ")
            headers[name] = value
        elif word == "@method":
            method = rest
        elif word in ("@json", "@xml", "@form", "@body"):
            types = {"@json": "application/json", "@xml": "application/xml"}
            method, body = "PUT", rest.encode()
            headers["Content-Type"] = types.get(word, "application/x-www-form-urlencoded")
        elif word == "@text":
            method, body = "PUT", b"text=" + quote(rest).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        else:
            path = f"/?q={quote(rest, safe='%') if kind in ('traversal', 'crlf') and '%' in rest else quote(rest)}"
    given = {"Host": "shop.test", "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)", "Accept": "*/*", **headers}
    try:
        return client.request(method, path, headers=given, content=body or None).status_code
    except httpx.HTTPError:
        return 0
