"""The contract between the core and a backend (secrets engine or auth method): requests, responses, routes.

A backend is a class with ROUTES. A handler is a method `name(self, request, **captures)` that returns a Response, or None for
204, or raises VaultError; it may be `async` when it must wait or compute long (then: first compute, then read and write storage
without awaiting in between). Handlers run one at a time on the event loop, each in a storage transaction of its own: what it wrote is
kept, all of it and durably, before the caller gets an answer; when it raises, nothing of it is.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from haechi.vault.errors import unsupported_operation, unsupported_path
from haechi.vault.fields import Fields, convert

if TYPE_CHECKING:
    from haechi.vault.mounts import Mount
    from haechi.vault.store import Transaction
    from haechi.vault.tokens import Token

CREATE, READ, UPDATE, PATCH, DELETE, LIST = "create", "read", "update", "patch", "delete", "list"


class View(Protocol):
    """A backend's part of the storage within one request. Values are JSON objects; keys are paths without a leading "/"."""

    def get(self, key: str) -> dict[str, Any] | None: ...
    def put(self, key: str, value: Mapping[str, Any]) -> None: ...
    def delete(self, key: str) -> None: ...

    def list(self, prefix: str = "") -> list[str]:
        """Sorted names directly below `prefix` (which is "" or ends with "/"); those with more below them end with "/"."""
        ...

    def delete_all(self, prefix: str = "") -> None: ...


@dataclass
class Request:
    """One request, addressed to a mount. `path` is below the mount, without leading "/"; a LIST keeps no trailing "/"."""

    id: str
    operation: str
    path: str
    data: dict[str, Any] = field(default_factory=dict, repr=False)  # JSON or form body; for reads the query
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # lower-case names
    method: str = "GET"
    remote_address: str = ""
    remote_port: int = 0
    wrap_ttl: float = 0.0  # seconds; 0: no response wrapping asked for
    client_token: str = field(default="", repr=False)
    # filled in by the core on the way:
    mount: Mount = field(default=None)  # type: ignore[assignment]
    full_path: str = ""
    view: View = field(default=None, repr=False)  # type: ignore[assignment]
    transaction: Transaction = field(default=None, repr=False)  # type: ignore[assignment]
    token: Token | None = field(default=None, repr=False)
    fields: Fields = field(default_factory=dict, repr=False)
    captures: dict[str, str] = field(default_factory=dict)
    after: Callable[[], Awaitable[None]] | None = field(default=None, repr=False)  # done once the answer is stored and audited
    granting: tuple[str, ...] = ()  # policies that allowed it

    @cached_property
    def values(self) -> dict[str, Any]:
        """Declared fields of the route that were sent, converted; absent ones are absent."""
        return convert(self.fields, self.data)


@dataclass
class Lease:
    """A secret that ends. `data` is kept with the lease and comes back in `Backend.revoke` and `renew`."""

    ttl: float  # seconds; 0: the mount's default
    max_ttl: float = 0.0
    renewable: bool = False
    data: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass
class Auth:
    """A login that succeeded: the core makes the token. Seconds; 0 means the mount's own limits."""

    policies: list[str]
    display_name: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    ttl: float = 0.0
    max_ttl: float = 0.0
    explicit_max_ttl: float = 0.0
    period: float = 0.0
    num_uses: int = 0
    renewable: bool = True
    no_default_policy: bool = False
    bound_cidrs: list[str] = field(default_factory=list)
    token_type: str = "service"  # or batch
    orphan: bool = True
    data: dict[str, Any] = field(default_factory=dict, repr=False)  # comes back in Backend.renew_login


@dataclass
class Response:
    """What a handler answers. `status` only where it is neither 200 nor 204; `raw` replaces the JSON envelope."""

    data: dict[str, Any] | None = field(default=None, repr=False)
    lease: Lease | None = None
    lease_duration: int = 0  # seconds to show where there is no lease (kv v1)
    renewed: tuple[str, int, bool] | None = None  # lease id, seconds, renewable: of a lease that lives on
    auth: Auth | None = None
    token: dict[str, Any] | None = field(default=None, repr=False)  # the answer's `auth` object, of a token that exists already
    warnings: list[str] = field(default_factory=list)
    status: int = 0
    raw: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    top: bool = False  # data stands beside the envelope's own keys as well (some sys endpoints)
    bare: bool = False  # data alone, without an envelope (sys/seal-status and its like)
    envelope: dict[str, Any] | None = field(default=None, repr=False)  # a whole answer made before: unwrapping


Handler = Callable[..., Any]


def listing(keys: list[str], info: Mapping[str, Any] | None = None) -> Response:
    """The answer to a LIST. No keys become 404 in the core."""
    return Response({"keys": keys} | ({"key_info": dict(info)} if info else {}))


@dataclass(frozen=True)
class Route:
    """One endpoint. In `pattern`, {name} is one segment, {path...} the rest (may be empty).

    `handlers` maps an operation to the name of a method; where only "update" is given it serves create as well. `exists` names a
    method (request, **captures) -> bool that decides between create and update for the policies. `free`: no token needed.
    `sudo`: the policies must grant sudo too.
    """

    pattern: str
    handlers: Mapping[str, str]
    fields: Fields = field(default_factory=dict)
    exists: str = ""
    free: bool = False
    sudo: bool = False
    any_field: bool = False  # the body is data, not parameters

    @cached_property
    def regex(self) -> re.Pattern[str]:
        text = re.escape(self.pattern).replace(r"\{", "{").replace(r"\}", "}").replace(r"\.\.\.", "...")
        text = re.sub(r"\{(\w+)\.\.\.\}", r"(?P<\1>.*)", text)
        text = re.sub(r"\{(\w+)\}", r"(?P<\1>\\w(?:[\\w.@-]*\\w)?)", text)
        return re.compile(text + "/?", re.DOTALL)


class Services(Protocol):
    """What the core offers to every backend."""

    def now(self) -> float:
        """Epoch seconds."""
        ...

    def keyed_hash(self, text: str) -> str:
        """HMAC-SHA256 in hex with a key of this Vault: for storing things that must be found again but not read."""
        ...

    def default_ttl(self, mount: Mount) -> float:
        """Seconds: the mount's tuned value, else the system's."""
        ...

    def max_ttl(self, mount: Mount) -> float: ...


class Backend:
    """Base of every secrets engine and auth method. One instance per mount; all state is in the storage."""

    TYPE: ClassVar[str]
    ROUTES: ClassVar[tuple[Route, ...]] = ()

    def __init__(self, services: Services, mount: Mount) -> None:
        self.services = services
        self.mount = mount

    def find_route(self, path: str) -> tuple[Route, dict[str, str]] | None:
        """The first route whose pattern fits the whole path."""
        for route in self.ROUTES:
            found = route.regex.fullmatch(path)
            if found:
                return route, found.groupdict()
        return None

    def handler(self, route: Route | None, operation: str) -> Handler:
        """The method for an operation. Raises VaultError 404 or 405."""
        if route is None:
            raise unsupported_path()
        name = route.handlers.get(operation) or (route.handlers.get(UPDATE) if operation == CREATE else None)
        if name is None:
            raise unsupported_operation()
        found: Handler = getattr(self, name)
        return found

    def setup(self, view: View) -> None:
        """Called once, when the mount is made."""

    def clean_up(self, view: View) -> None:
        """Called about once a minute: remove what has ended and is only taking up room."""

    def revoke(self, view: View, data: dict[str, Any]) -> None:
        """A lease of this mount ended: undo what it stood for. Called again if the first time failed."""

    def renew(self, view: View, lease: Lease) -> Lease:
        """The lease with the ttl it may have from now on."""
        return lease

    def renew_login(self, view: View, auth: Auth) -> Auth | Awaitable[Auth]:
        """The login as its role allows it today; raises VaultError when it is no longer allowed."""
        return auth
