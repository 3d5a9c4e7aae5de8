"""Endpoints that work without an open barrier or without a token: init, unseal, status, health, leader, and the shareholders' ceremonies.

They stand before the core's steps: no policies, no audit (as in Vault). `OPERATIONS` is the whole list.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable
from typing import Any

from haechi.vault import BUILD_DATE, VERSION
from haechi.vault.ceremonies import read_number
from haechi.vault.core import Core
from haechi.vault.errors import VaultError, invalid
from haechi.vault.seal import SealConfig, describe, parse_share

Body = dict[str, Any]
Answer = tuple[int, Body | None]


class Operator:
    """The operator's side of one Vault."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.ceremonies = core.ceremonies

    # Status.

    def seal_status(self) -> Body:
        """The answer of sys/seal-status and sys/unseal."""
        core = self._core
        config = core.seal.config
        whole = {
            "type": "shamir",
            "initialized": config is not None,
            "sealed": not core.store.is_open,
            **describe(core.seal.unsealing, config),
            "version": VERSION,
            "build_date": BUILD_DATE,
            "migration": False,
            "recovery_seal": False,
            "storage_type": core.store.storage.kind,
        }
        if core.store.is_open:
            whole |= {"cluster_name": core.cluster["name"], "cluster_id": core.cluster["id"]}
        return whole

    def health(self, query: Body) -> Answer:
        """sys/health: the state as an HTTP status, which the query may replace. 400 for a code that is none."""
        core = self._core
        initialized, sealed = core.seal.config is not None, not core.store.is_open
        codes = {"activecode": 200, "sealedcode": 503, "uninitcode": 501}
        for name, value in query.items():
            if name in codes:
                if not re.fullmatch("[2-5][0-9]{2}", str(value)):
                    raise invalid(f"bad status code for {name}")
                codes[name] = int(value)
        status = codes["uninitcode"] if not initialized else codes["sealedcode"] if sealed else codes["activecode"]
        body = {
            "initialized": initialized,
            "sealed": sealed,
            "standby": sealed or not initialized,
            "performance_standby": False,
            "replication_performance_mode": "disabled" if initialized and not sealed else "unknown",
            "replication_dr_mode": "disabled" if initialized and not sealed else "unknown",
            "server_time_utc": int(core.now()),
            "version": VERSION,
            "enterprise": False,
            "echo_duration_ms": 0,
            "clock_skew_ms": 0,
            "replication_primary_canary_age_ms": 0,
        }
        if not sealed:
            body |= {"cluster_name": core.cluster["name"], "cluster_id": core.cluster["id"]}
        return status, body

    def leader(self) -> Body:
        """Without HA there is nothing to ask for, sealed or not."""
        return {
            "ha_enabled": False,
            "is_self": False,
            "active_time": "0001-01-01T00:00:00Z",
            "leader_address": "",
            "leader_cluster_address": "",
            "performance_standby": False,
            "performance_standby_last_remote_wal": 0,
        }

    # Init, unseal, seal.

    def initialize(self, body: Body) -> Body:
        """Make the keys and the first root token; the answer is the only copy of both. The Vault stays sealed.

        Nothing else runs meanwhile, and all is stored in one commit: of two at once one is refused, and a crash leaves all or nothing.
        """
        core = self._core
        if core.seal.config is not None:
            raise invalid("Vault is already initialized")
        for name in ("pgp_keys", "root_token_pgp_key", "recovery_pgp_keys"):
            if body.get(name):
                raise invalid(f"{name} is not supported by this server")
        if read_number(body, "recovery_shares") or read_number(body, "recovery_threshold"):
            raise invalid("parameters recovery_shares,recovery_threshold not applicable to seal type shamir")
        config = SealConfig(read_number(body, "secret_shares"), read_number(body, "secret_threshold"))
        config.check()
        if read_number(body, "stored_shares") not in (0, config.shares):
            raise invalid("parameters stored_shares not applicable to seal type shamir")
        shares, barrier, stored = core.seal.initialize(config)
        made: list[str] = []
        core.store.write_first(barrier, stored, lambda transaction: made.append(core.make_root_token(transaction)))
        return {
            "keys": [share.hex() for share in shares],
            "keys_base64": [base64.b64encode(share).decode() for share in shares],
            "root_token": made[0],
        }

    async def unseal(self, body: Body) -> Body:
        """One share, or a reset of those given before. A Vault that is open stays as it is."""
        core = self._core
        key = body.get("key")
        if body.get("reset"):
            if core.seal.config is not None:
                core.seal.reset()
            return self.seal_status()
        if not isinstance(key, str) or not key:
            raise invalid("'key' must be specified in request body as JSON, or 'reset' set to true")
        if body.get("migrate"):
            raise invalid("can't perform a seal migration: there is only one kind of seal")
        share = parse_share(key)
        if core.seal.config is None:
            raise invalid("Vault is not initialized")
        if core.store.is_open:
            return self.seal_status()
        barrier = core.seal.give(share)
        if barrier is not None:
            await core.open(barrier)
        return self.seal_status()

    # HTTP.

    def find(self, method: str, path: str) -> Callable[[Body], Awaitable[Answer]] | None:
        """The operation for a request path, or None when the core is to answer. Raises VaultError 405."""
        verbs = OPERATIONS.get(path.rstrip("/"))
        if verbs is None:
            return None
        run = verbs.get({"POST": "PUT", "HEAD": "GET"}.get(method, method))
        if run is None:
            raise VaultError(405)

        async def call(body: Body) -> Answer:
            answer = run(self, body)
            result: Any = await answer if hasattr(answer, "__await__") else answer
            if isinstance(result, tuple):
                return result[0], result[1]
            return (204, None) if result is None else (200, result)

        return call


Operation = Callable[[Operator, Body], Any]
OPERATIONS: dict[str, dict[str, Operation]] = {
    "sys/init": {"GET": lambda o, b: {"initialized": o._core.seal.config is not None}, "PUT": lambda o, b: o.initialize(b)},
    "sys/seal-status": {"GET": lambda o, b: o.seal_status()},
    "sys/unseal": {"PUT": lambda o, b: o.unseal(b)},
    "sys/health": {"GET": lambda o, b: o.health(b)},
    "sys/leader": {"GET": lambda o, b: o.leader()},
    "sys/generate-root/attempt": {
        "GET": lambda o, b: (o._core.store.barrier, o.ceremonies.root_status())[1],
        "PUT": lambda o, b: o.ceremonies.begin_root(b),
        "DELETE": lambda o, b: o.ceremonies.cancel_root(),
    },
    "sys/generate-root/update": {"PUT": lambda o, b: o.ceremonies.give_root(b)},
    "sys/rekey/init": {
        "GET": lambda o, b: (o._core.store.barrier, o.ceremonies.rekey_status())[1],
        "PUT": lambda o, b: o.ceremonies.begin_rekey(b),
        "DELETE": lambda o, b: o.ceremonies.cancel_rekey(),
    },
    "sys/rekey/update": {"PUT": lambda o, b: o.ceremonies.give_rekey(b)},
    "sys/rekey/verify": {
        "GET": lambda o, b: o.ceremonies.verification_status(),
        "PUT": lambda o, b: o.ceremonies.give_verification(b),
        "DELETE": lambda o, b: o.ceremonies.cancel_verification(),
    },
}
