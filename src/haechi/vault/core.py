"""One request, top to bottom: `Core.respond`. What a step raises becomes the answer.

The core owns the mount table, tokens, leases, policies and audit devices; endpoints of sys/ and auth/token/ are backends that are
handed the core, all others see only `Services`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from haechi.vault.acl import ACL
from haechi.vault.audit import AuditBroker
from haechi.vault.auth.common import check_cidrs
from haechi.vault.backends import kinds
from haechi.vault.barrier import MOST_SEALINGS, Barrier
from haechi.vault.ceremonies import Ceremonies
from haechi.vault.errors import Unavailable, VaultError, denied, invalid, not_found
from haechi.vault.leases import Leases
from haechi.vault.logical import CREATE, LIST, UPDATE, Auth, Backend, Lease, Request, Response, Route, View
from haechi.vault.mounts import Mount, MountTable
from haechi.vault.policies import Policies
from haechi.vault.redact import redact
from haechi.vault.seal import Seal
from haechi.vault.storage import Storage
from haechi.vault.store import PrefixView, Store, Transaction
from haechi.vault.tokens import ID, SPENT, Token, Tokens
from haechi.vault.ttl import Limits, grant
from haechi.vault.wrapping import wrap

log = logging.getLogger("haechi.vault")
COUNT_EVERY = 1 << 16  # sealed values
TIDY_SECONDS = 60.0
SYSTEM_TTL = 768 * 3600.0  # seconds
BUILT_IN = (("sys/", "system", "system endpoints used for control, policy and debugging"),)
CUBBYHOLE = ("cubbyhole/", "cubbyhole", "per-token private secret storage")
TOKEN_AUTH = ("auth/token/", "token", "token based credentials")


@dataclass
class Settings:
    """What the configuration decides. Seconds."""

    default_ttl: float = SYSTEM_TTL
    max_ttl: float = SYSTEM_TTL
    cluster_name: str = ""
    api_address: str = ""


@dataclass
class Outcome:
    """A response with what the core added to it."""

    response: Response | None
    request: Request
    mount: Mount | None = None
    lease: dict[str, Any] = field(default_factory=dict)  # lease_id, lease_duration, renewable
    auth: dict[str, Any] | None = field(default=None, repr=False)
    wrap: dict[str, Any] | None = field(default=None, repr=False)


class Core:
    """A whole Vault over one storage. All methods run on one event loop."""

    def __init__(self, storage: Storage, settings: Settings, now: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.now = now
        self.store = Store(storage, self._lost)
        self.mounts = MountTable()
        self.policies = Policies()
        self.tokens = Tokens(self.store)
        self.leases = Leases(self.store, self.tokens, self._lease_owner)
        self.audit = AuditBroker(now)
        self.seal = Seal(storage, now)
        self.ceremonies = Ceremonies(self)
        self.cluster: dict[str, str] = {}
        self._backends: dict[str, Backend] = {}  # by mount uuid
        self._sweeper: asyncio.Task[None] | None = None

    # Services of backends.

    def keyed_hash(self, text: str) -> str:
        return self.store.barrier.keyed_hash(text)

    def default_ttl(self, mount: Mount) -> float:
        return float(mount.default_lease_ttl) or min(self.settings.default_ttl, self.max_ttl(mount))

    def max_ttl(self, mount: Mount) -> float:
        return float(mount.max_lease_ttl) or self.settings.max_ttl

    # Life.

    async def open(self, barrier: Barrier) -> None:
        """The barrier was unsealed: read the tables, begin to serve."""
        if not await self.store.open(barrier):
            return
        try:
            transaction = self.store.begin()
            self._load(transaction)
            self._end_overdue(transaction)
            self._sweeper = asyncio.create_task(self._sweep())
            await self.store.settle(transaction)
        except BaseException:
            await self.close()
            raise

    def _end_overdue(self, transaction: Transaction) -> None:
        """What came to its end while this Vault was sealed, and tokens whose last use a crash cut off: before anything is served."""
        while self.leases.end_due(transaction, self.now()):
            pass
        for token in list(self.tokens.all(transaction)):
            if token.num_uses == SPENT:
                self.leases.revoke_token(transaction, token.id)

    def _load(self, transaction: Transaction) -> None:
        self.policies.forget()
        self._backends.clear()
        self.mounts.load(transaction)
        for path, type, description in (*BUILT_IN, CUBBYHOLE, TOKEN_AUTH):
            if self.mounts.get(path) is None:
                self.add_mount(transaction, Mount(path, type, description, local=type == "cubbyhole", seal_wrap=type == "system"))
        cluster = transaction.get("core/cluster")
        if cluster is None:
            cluster = {"id": str(uuid.uuid4()), "name": self.settings.cluster_name or f"vault-cluster-{uuid.uuid4().hex[:8]}"}
            transaction.put("core/cluster", cluster)
        self.cluster = cluster
        self.leases.forget_all()
        self.leases.load(transaction)
        self.audit.load(transaction)

    def _lost(self) -> None:
        """A write failed: what is in memory may not be what is on disk."""
        if not self.store.is_open:
            return
        try:
            self._load(self.store.begin())
        except Exception:  # whatever it was: half-read tables must not serve
            log.exception("the tables could not be read again after a failed write; sealing")
            self._sealing = asyncio.get_running_loop().create_task(self.seal_now())

    async def close(self) -> None:
        """Seal, at once: nothing decrypted stays, and requests on their way are refused. Then wait for what is being written."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self.store.shut()
        self._backends.clear()
        self.mounts = MountTable()
        self.policies.forget()
        self.leases.forget_all()
        self.audit.close()
        await self.store.written()

    async def seal_now(self) -> None:
        """Forget the keys and whatever shareholders were doing."""
        self.seal.reset()
        self.ceremonies.forget()
        await self.close()

    def rotate(self) -> None:
        """A new encryption key. What the store seals from now on is sealed with it; it is on disk before that."""
        fresh = self.store.barrier.keyring.rotated(self.now())
        self.seal.save_keyring(fresh)
        self.store.barrier.adopt(fresh)

    async def _sweep(self) -> None:
        """End leases and tokens when their time has come; keep count of what each key has sealed."""
        counted, tidied = self.store.barrier.keyring.sealings, self.now()
        while True:
            await asyncio.sleep(1.0)
            try:
                counted = self._count_sealings(counted)
                transaction = self.store.begin()
                if self.now() >= tidied + TIDY_SECONDS:
                    tidied = self.now()
                    for mount in self.mounts.all():
                        self.backend(mount).clean_up(PrefixView(transaction, mount.prefix))
                more = True
                while more:
                    more = self.leases.end_due(transaction, self.now())
                    await self.store.settle(transaction)
                    transaction = self.store.begin()
            except Exception:  # whatever it was: without sweeping nothing would end any more
                log.exception("what is due could not be ended")

    def _count_sealings(self, counted: int) -> int:
        """Store how many values the newest key has sealed, now and then; a new key when they are too many. What is stored now."""
        keyring = self.store.barrier.keyring
        if keyring.sealings >= MOST_SEALINGS:
            self.rotate()
            return 0
        if keyring.sealings - counted < COUNT_EVERY:
            return min(counted, keyring.sealings)
        self.seal.save_keyring(keyring)
        return keyring.sealings

    # Mounts.

    def add_mount(self, transaction: Transaction, mount: Mount) -> None:
        """Add to the table and let the backend prepare its storage."""
        self.mounts.save(transaction, mount)
        self.backend(mount).setup(PrefixView(transaction, mount.prefix))

    def backend(self, mount: Mount) -> Backend:
        found = self._backends.get(mount.uuid)
        if found is None or found.mount is not mount:
            found = self._backends[mount.uuid] = kinds(mount.auth)[mount.type](self, mount)
        return found

    def has_kind(self, type: str, auth: bool) -> bool:
        """Whether there is such a secrets engine or auth method."""
        return type in kinds(auth)

    def forget_backend(self, mount: Mount) -> None:
        self._backends.pop(mount.uuid, None)

    def make_root_token(self, transaction: Transaction) -> str:
        """A new root token, without parent and end."""
        token = Token("", "", ["root"], "auth/token/root", display_name="root", created=self.now(), renewable=False)
        return str(self.hand_out(transaction, token)["client_token"])

    def _lease_owner(self, transaction: Transaction, accessor: str) -> tuple[Backend, View] | None:
        mount = self.mounts.by_accessor(accessor)
        return None if mount is None else (self.backend(mount), PrefixView(transaction, mount.prefix))

    # One request.

    async def respond(self, request: Request) -> Outcome:
        """The answer to a request whose `path` is everything after /v1/. Raises VaultError and Unavailable; both are audited."""
        self.store.barrier  # noqa: B018 (refuses while sealed)
        request.full_path = request.path
        request.transaction = self.store.begin()
        mount, backend, route = self._find(request)
        outcome = Outcome(None, request, mount)
        try:
            if route is not None and route.free:  # a token says more, but nobody is refused for it
                request.token = self._known(request)
                if request.wrap_ttl and request.token is None and not (mount is not None and mount.auth):
                    raise invalid("response wrapping of this answer needs a token")  # or anyone could fill the storage
            else:
                self._authorize(request, self._identify(request), route)
        except VaultError as refusal:
            try:
                self._audit("request", outcome, str(refusal))
                self._audit("response", outcome, str(refusal))
            finally:
                await self._count_use(request, route)
                await self._revoke_spent(request)
            raise
        self._audit("request", outcome)
        try:
            await self._count_use(request, route)
            outcome.response = await self._run(request, mount, backend, route)
            if outcome.response is not None:
                self._finish(outcome)
            await self.store.settle(request.transaction)
            self.store.barrier  # noqa: B018 (refuses what was sealed meanwhile: its audit devices are closed)
        except (VaultError, Unavailable) as failure:
            if isinstance(failure, VaultError) and mount is not None:
                failure.mount_type = mount.type
            self._audit("response", outcome, str(failure))
            raise
        except Exception as failure:
            self._audit("response", outcome, f"internal error: {type(failure).__name__}")
            raise
        finally:
            await self._revoke_spent(request)
        self._audit("response", outcome)
        if request.after is not None:
            await request.after()
        return outcome

    def _find(self, request: Request) -> tuple[Mount | None, Backend | None, Route | None]:
        """Mount, backend and route; the request's path becomes the one below the mount."""
        mount = self.mounts.find(request.full_path)
        if mount is None:
            return None, None, None
        backend = self.backend(mount)
        request.mount = mount
        request.path = request.full_path[len(mount.path) :]
        if request.operation == LIST:
            request.path = request.path.rstrip("/")
        request.view = PrefixView(request.transaction, mount.prefix)
        found = backend.find_route(request.path)
        if found is None:
            return mount, backend, None
        route, request.captures = found
        request.fields = route.fields
        return mount, backend, route

    def _identify(self, request: Request) -> ACL:
        """Whose token it is. Raises VaultError 403."""
        if not request.client_token:
            raise VaultError(403, "permission denied")
        token = self.tokens.find(request.transaction, request.client_token, self.now())
        if token is None:
            raise denied("invalid token")
        if not check_cidrs(token.bound_cidrs, request.remote_address):
            raise denied()
        request.token = token
        return self.policies.access(request.transaction, token.policies)

    def _known(self, request: Request) -> Token | None:
        """The token of a request that needs none, if it has one that is good."""
        token = self.tokens.find(request.transaction, request.client_token, self.now())
        return token if token is not None and check_cidrs(token.bound_cidrs, request.remote_address) else None

    def _authorize(self, request: Request, acl: ACL, route: Route | None) -> None:
        """The token's policies. A write is a create where the backend says that nothing is there yet."""
        if request.operation == UPDATE and route is not None and route.exists:
            backend = self.backend(request.mount)
            if not getattr(backend, route.exists)(request, **request.captures):
                request.operation = CREATE
        full = request.full_path
        bare = full.rstrip("/")
        paths = (bare + "/",) if request.operation == LIST else (full,) if bare == full else (full, bare)
        for path in paths:  # routes take a "/" too many at their end: it must not lead around a rule for the path without it
            verdict = acl.check(request.operation, path, request.data, request.wrap_ttl)
            if not verdict.allowed or (route is not None and route.sudo and not verdict.sudo):
                raise denied()
            request.granting = verdict.granting

    async def _count_use(self, request: Request, route: Route | None) -> None:
        """One use less of a token that has a limited number of them; also when it is refused what it asked for."""
        token = request.token
        if token is None or not token.num_uses or (route is not None and route.free):
            return
        left = token.num_uses - 1 or SPENT
        transaction = self.store.begin()
        self.tokens.save(transaction, replace(token, num_uses=left))
        token.num_uses = left
        await self.store.settle(transaction)
        if left != SPENT and self.store.begin().get(ID + token.id) is None:
            raise denied("invalid token")  # revoked meanwhile

    async def _revoke_spent(self, request: Request) -> None:
        if request.token is not None and request.token.num_uses == SPENT and self.store.is_open:
            transaction = self.store.begin()
            self.leases.revoke_token(transaction, request.token.id)
            await self.store.settle(transaction)

    async def _run(self, request: Request, mount: Mount | None, backend: Backend | None, route: Route | None) -> Response | None:
        """The backend's handler."""
        full = request.full_path
        if mount is None or backend is None:
            raise VaultError(404, f'no handler for route "{full}". route entry not found.')
        if request.operation in (CREATE, UPDATE) and full.endswith("/"):
            raise invalid("cannot write to a path ending in '/'")
        handler = backend.handler(route, request.operation)
        assert route is not None
        answer = handler(request, **request.captures)
        response: Response | None = await answer if inspect.isawaitable(answer) else answer
        self.store.barrier  # noqa: B018 (refuses what was sealed while it waited)
        if getattr(self.mounts.get(mount.path), "uuid", "") != mount.uuid:
            raise VaultError(404, f'no handler for route "{full}". route entry not found.')  # unmounted or moved while it waited
        if request.operation == LIST and response is not None and not (response.data or {}).get("keys", True):
            raise not_found()
        if response is not None:
            response.warnings += _stray_parameters(request, route)
        return response

    def _finish(self, outcome: Outcome) -> None:
        """Lease, token and wrapping of a response."""
        response, request, mount = outcome.response, outcome.request, outcome.mount
        assert response is not None and mount is not None
        if response.lease is not None:
            outcome.lease = self._issue(request, mount, response, response.lease)
        elif response.renewed is not None:
            outcome.lease = dict(zip(("lease_id", "lease_duration", "renewable"), response.renewed, strict=True))
        elif response.lease_duration:
            outcome.lease = {"lease_duration": response.lease_duration}
        outcome.auth = response.token
        if response.auth is not None:
            outcome.auth = self.log_in(request.transaction, mount, request.full_path, response.auth, response.warnings)
        if request.wrap_ttl and response.raw is None and not response.bare:
            outcome.wrap = wrap(self, outcome)

    def _issue(self, request: Request, mount: Mount, response: Response, lease: Lease) -> dict[str, Any]:
        token = request.token
        if token is not None and token.num_uses == SPENT:
            raise VaultError(400, "Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.")
        limits = Limits(self.default_ttl(mount), self.max_ttl(mount), max_ttl=lease.max_ttl)
        now = self.now()
        ttl, warnings = grant(limits, lease.ttl, now, now)
        response.warnings += warnings
        owner = "" if token is None else token.id
        if token is not None and token.type == "batch":  # which nobody can revoke: its parent's end, or its own, is the lease's
            owner, ttl = token.parent or token.id, min(ttl, token.expires - now)
        entry = self.leases.issue(request.transaction, request.full_path, mount.accessor, owner, lease, ttl, now)
        return {"lease_id": entry.id, "lease_duration": int(ttl), "renewable": lease.renewable}

    def log_in(self, transaction: Transaction, mount: Mount, path: str, auth: Auth, warnings: list[str]) -> dict[str, Any]:
        """Make the token of a login that succeeded; the `auth` object of the answer."""
        policies = sorted({*(name.lower() for name in auth.policies if name), *(() if auth.no_default_policy else ("default",))})
        if "root" in policies:
            raise invalid("auth methods cannot create root tokens")
        limits = Limits(self.default_ttl(mount), self.max_ttl(mount), auth.ttl, auth.max_ttl, auth.period, auth.explicit_max_ttl)
        now = self.now()
        ttl, more = grant(limits, 0, now, now)
        warnings += more
        name = mount.path.removeprefix("auth/").rstrip("/").replace("/", "-")
        token = Token(
            "",
            "",
            policies,
            path,
            display_name=f"{name}-{auth.display_name}" if auth.display_name else name,
            meta=auth.metadata,
            num_uses=auth.num_uses,
            created=now,
            ttl=ttl,
            explicit_max_ttl=auth.explicit_max_ttl,
            period=auth.period,
            type=auth.token_type,
            bound_cidrs=auth.bound_cidrs,
            renewable=auth.renewable and auth.token_type != "batch",
            expires=now + ttl,
            mount=mount.accessor,
            login=auth.data,
        )
        return self.hand_out(transaction, token)

    def hand_out(self, transaction: Transaction, token: Token, id: str = "") -> dict[str, Any]:
        """Store a token; the `auth` object that gives it to its owner."""
        text = self.tokens.create(transaction, token, id)
        if token.type != "batch":
            self.leases.watch("token", token.id, token.expires)
        return {"client_token": text, **self.render_auth(token)}

    def render_auth(self, token: Token) -> dict[str, Any]:
        """The `auth` object of an answer, without the token itself."""
        left = max(round(token.expires - self.now()), 0) if token.expires else 0
        return {
            "accessor": token.accessor,
            "policies": token.policies,
            "token_policies": token.policies,
            "metadata": token.meta,
            "lease_duration": left,
            "renewable": token.renewable,
            "entity_id": "",
            "token_type": token.type,
            "orphan": token.orphan,
            "mfa_requirement": None,
            "num_uses": max(token.num_uses, 0),
        }

    def _audit(self, kind: str, outcome: Outcome, error: str = "") -> None:
        if self.audit.devices:
            self.audit.log(kind, outcome, redact(error, outcome.request.data) if error else "")


def _stray_parameters(request: Request, route: Route) -> list[str]:
    """Warnings about what was sent and not used; an endpoint with nothing to say says nothing of them either, as in Vault."""
    unknown = [] if route.any_field else sorted(set(request.data) - set(route.fields))
    ours = sorted(name for name in request.captures if request.data.get(name) is not None)
    strangers = [name for name in unknown if name not in ours]
    warnings = [f"Endpoint ignored these unrecognized parameters: [{' '.join(strangers)}]"] if strangers else []
    if ours:
        what = "Endpoint replaced the value of these parameters with the values captured from the endpoint's path"
        warnings.append(f"{what}: [{' '.join(ours)}]")
    return warnings
