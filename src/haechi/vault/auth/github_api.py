"""The four questions that the github method asks of GitHub's REST API. Blocking, standard library only: call it in a thread.

https://docs.github.com/rest. The personal access token goes to the configured address and nowhere else (redirects are not
followed, the next page's address is our own), and it is never part of an error.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import re
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

PUBLIC = "https://api.github.com/"
CALL_SECONDS, ALL_SECONDS = 10.0, 20.0  # for one socket operation, for everything about one login
MOST_BYTES = 4 << 20  # of one answer
MOST_PAGES = 100  # of 100 entries
LONGEST_TOKEN = 8192
_NEXT = re.compile(r'<[^<>]*[?&]page=([0-9]{1,9})[^<>]*>\s*;[^,]*\brel="?next"?')


class GitHubError(Exception):
    """GitHub refused, could not be reached, or said something that is not its API. The text is fit for the caller."""


@dataclass(frozen=True)
class Membership:
    """What a token's owner is. `organization` is the login of the required organization, `teams` names and slugs within it."""

    user: str
    organization: str
    teams: tuple[str, ...]


@dataclass
class GitHub:
    """One conversation with the API at `base_url` (which ends with "/"), with or without a token."""

    base_url: str
    token: str = field(default="", repr=False)
    deadline: float = field(default_factory=lambda: time.monotonic() + ALL_SECONDS)

    def fetch_organization_id(self, name: str) -> int:
        """The number of an organization. Raises GitHubError."""
        found = self._get(f"orgs/{quote(name, safe='')}")[0]
        if not isinstance(found, dict) or not isinstance(found.get("id"), int) or not found["id"]:
            raise GitHubError(f"organization_id not found for {name}")
        return int(found["id"])

    def fetch_membership(self, organization_id: int) -> Membership | None:
        """Who the token belongs to; None when the owner is not in that organization. Raises GitHubError."""
        user = _text(self._get("user")[0], "login")
        own = [entry for entry in self._all("user/orgs") if entry.get("id") == organization_id]
        if not own:
            return None
        teams: list[str] = []
        for team in self._all("user/teams"):
            organization = team.get("organization")
            if isinstance(organization, dict) and organization.get("id") == organization_id:
                teams += dict.fromkeys((_text(team, "name"), _text(team, "slug")))
        return Membership(user, _text(own[0], "login"), tuple(teams))

    def _all(self, path: str) -> list[dict[str, Any]]:
        """Every entry of a list, page by page."""
        entries: list[dict[str, Any]] = []
        page = ""
        for _ in range(MOST_PAGES):
            found, links = self._get(f"{path}?per_page=100" + (f"&page={page}" if page else ""))
            if found is None:
                found = []
            if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
                raise GitHubError(f"GET {self.base_url}{path}: not a list of objects")
            entries += found
            following = _NEXT.search(links)
            if following is None:
                return entries
            page = following[1]
        raise GitHubError(f"GET {self.base_url}{path}: more than {MOST_PAGES} pages")

    def _get(self, path: str) -> tuple[Any, str]:
        """The JSON at a path (None where the answer is empty) and its Link header."""
        url = self.base_url + path
        headers = {"Accept": "application/vnd.github+json", "User-Agent": "haechi-vault"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise GitHubError(f"GET {url}: GitHub took too long")
        try:
            with _opener(url).open(urllib.request.Request(url, headers=headers), timeout=min(CALL_SECONDS, left)) as answer:
                status, links, body = answer.status, answer.headers.get("Link") or "", self._read(answer, url)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise GitHubError(self._clean(f'Get "{url}": {type(error).__name__}: {reason}')) from None
        try:
            content = json.loads(body) if body.strip() else None
        except (ValueError, RecursionError):
            if status == 200:
                raise GitHubError(f"GET {url}: the answer is not JSON") from None
            content = None
        if status != 200:
            said = content.get("message") if isinstance(content, dict) else None
            raise GitHubError(self._clean(f"GET {url}: {status} {said if isinstance(said, str) else ''} []"))
        return content, links

    def _read(self, answer: http.client.HTTPResponse, url: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        while part := answer.read1(1 << 16):
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise GitHubError(f"GET {url}: the answer is larger than {MOST_BYTES} bytes")
            if time.monotonic() > self.deadline:
                raise GitHubError(f"GET {url}: GitHub took too long")
        return b"".join(parts)

    def _clean(self, text: str) -> str:
        """Without the token, should GitHub have repeated it, and short."""
        return (text.replace(self.token, "[token]") if self.token else text)[:500]


def check_base_url(text: str) -> str:
    """The address with its last "/". Raises ValueError."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("an http or https address is expected")
    parts.port  # noqa: B018 (raises ValueError)
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("invalid character in URL")
    return text if text.endswith("/") else text + "/"


def valid_token(text: str) -> bool:
    """Whether it can be sent in a header at all."""
    return text.isascii() and text.isprintable() and " " not in text and 0 < len(text) <= LONGEST_TOKEN


def _opener(url: str) -> urllib.request.OpenerDirector:
    """No redirects, no other schemes; the environment's proxy, but none for this machine (as Go's programs do)."""
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.ProxyHandler({} if _is_local(urlsplit(url).hostname or "") else None))
    opener.add_handler(urllib.request.HTTPHandler())
    opener.add_handler(urllib.request.HTTPSHandler())
    return opener


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _text(found: Mapping[str, Any] | Any, name: str) -> str:
    value = found.get(name) if isinstance(found, dict) else None
    if not isinstance(value, str):
        raise GitHubError(f"GitHub's answer has no {name}")
    return value
