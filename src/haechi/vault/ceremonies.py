"""What holders of unseal shares do together on an open Vault: make a new root token, or exchange the shares for new ones."""

from __future__ import annotations

import base64
import hmac
import os
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from haechi.vault.errors import VaultError, invalid
from haechi.vault.seal import KEY_BYTES, Progress, SealConfig, parse_share, split_key
from haechi.vault.tokens import random_text

if TYPE_CHECKING:
    from haechi.vault.core import Core

OTP_LENGTH = 28  # of a root token: "hvs." and 24 more


@dataclass
class Attempt(Progress):
    """One root generation."""

    otp: str = field(default="", repr=False)


@dataclass
class Rekey(Progress):
    """One exchange of shares. `fresh` is the new unseal key while its shares wait to be verified."""

    config: SealConfig = field(default_factory=lambda: SealConfig(1, 1))
    verify: bool = False
    fresh: bytes = field(default=b"", repr=False)
    verification: Progress = field(default_factory=Progress)


class Ceremonies:
    """State of the two ceremonies; forgotten when the Vault seals."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.root: Attempt | None = None
        self.rekey: Rekey | None = None

    def forget(self) -> None:
        self.root = self.rekey = None

    def _enough(self, progress: Progress, body: dict[str, Any], what: str) -> bytes | None:
        """Take a share; the unseal key, proved right, when there are enough. Raises VaultError 400; then the shares start anew."""
        self._core.store.barrier  # noqa: B018 (refuses while sealed)
        config = self._core.seal.config
        assert config is not None
        if not isinstance(body.get("key"), str) or not body["key"]:
            raise invalid("'key' must be specified in request body as JSON")
        if body.get("nonce") != progress.nonce:
            raise invalid(f'incorrect nonce supplied; nonce for this {what} operation is "{progress.nonce}"')
        if not progress.add(parse_share(body["key"])):
            raise invalid("given key has already been provided during this generation operation")
        if len(progress.parts) < config.threshold:
            return None
        parts, progress.parts = progress.parts, []
        key = self._core.seal.combine(parts, config)
        self._core.seal.open_keyring(key)
        return key

    # Root generation.

    def root_status(self) -> dict[str, Any]:
        config = self._core.seal.config
        attempt = self.root
        return {
            "nonce": attempt.nonce if attempt else "",
            "started": attempt is not None,
            "progress": len(attempt.parts) if attempt else 0,
            "required": config.threshold if config else 0,
            "complete": False,
            "encoded_token": "",
            "encoded_root_token": "",
            "pgp_fingerprint": "",
            "otp": "",
            "otp_length": OTP_LENGTH,
        }

    def begin_root(self, body: dict[str, Any]) -> dict[str, Any]:
        """Start; the one-time pad is given, or made and shown once."""
        self._core.store.barrier  # noqa: B018
        if body.get("pgp_key"):
            raise invalid("pgp_key is not supported by this server; use an otp")
        otp = body.get("otp") or ""
        if otp and (not isinstance(otp, str) or not otp.isascii() or len(otp) != OTP_LENGTH):
            raise invalid("OTP string is wrong length")
        if self.root is not None:
            raise invalid("root generation already in progress")
        self.root = Attempt(str(uuid.uuid4()), otp=otp or random_text(OTP_LENGTH))
        return self.root_status() | ({} if otp else {"otp": self.root.otp})

    def cancel_root(self) -> None:
        self._core.store.barrier  # noqa: B018
        self.root = None

    async def give_root(self, body: dict[str, Any]) -> dict[str, Any]:
        """One share; with the last, the encoded token."""
        self._core.store.barrier  # noqa: B018
        attempt = self.root
        if attempt is None:
            raise invalid("no root generation in progress")
        if self._enough(attempt, body, "root generation") is None:
            return self.root_status()
        self.root = None
        transaction = self._core.store.begin()
        text = self._core.make_root_token(transaction)
        await self._core.store.settle(transaction)
        mixed = bytes(a ^ b for a, b in zip(text.encode(), attempt.otp.encode(), strict=True))
        encoded = base64.b64encode(mixed).decode().rstrip("=")
        done = {"nonce": attempt.nonce, "started": True, "complete": True, "encoded_token": encoded, "encoded_root_token": encoded}
        config = self._core.seal.config
        return {**self.root_status(), **done, "progress": config.threshold if config else 0}

    # New shares.

    def rekey_status(self) -> dict[str, Any]:
        config = self._core.seal.config
        rekey = self.rekey
        whole = {
            "nonce": rekey.nonce if rekey else "",
            "started": rekey is not None,
            "t": rekey.config.threshold if rekey else 0,
            "n": rekey.config.shares if rekey else 0,
            "progress": len(rekey.parts) if rekey else 0,
            "required": config.threshold if config else 0,
            "pgp_fingerprints": None,
            "backup": False,
            "verification_required": rekey.verify if rekey else False,
        }
        return whole | ({"verification_nonce": rekey.verification.nonce} if rekey and rekey.fresh else {})

    def begin_rekey(self, body: dict[str, Any]) -> dict[str, Any]:
        self._core.store.barrier  # noqa: B018
        if body.get("pgp_keys") or body.get("backup"):
            raise invalid("pgp_keys and backup are not supported by this server")
        config = SealConfig(read_number(body, "secret_shares"), read_number(body, "secret_threshold"))
        config.check()
        if self.rekey is not None:
            raise invalid("rekey already in progress")
        self.rekey = Rekey(str(uuid.uuid4()), config=config, verify=bool(body.get("require_verification")))
        return self.rekey_status()

    def cancel_rekey(self) -> None:
        self._core.store.barrier  # noqa: B018
        self.rekey = None

    def give_rekey(self, body: dict[str, Any]) -> dict[str, Any]:
        """One old share; with the last, the new ones."""
        self._core.store.barrier  # noqa: B018
        rekey = self.rekey
        if rekey is None:
            raise invalid("no barrier rekey in progress")
        if rekey.fresh:
            raise invalid("rekey operation already finished, waiting for verification")
        if self._enough(rekey, body, "rekey") is None:
            return self.rekey_status()
        fresh = os.urandom(KEY_BYTES)
        shares = split_key(fresh, rekey.config)
        answer = {
            "nonce": rekey.nonce,
            "complete": True,
            "keys": [share.hex() for share in shares],
            "keys_base64": [base64.b64encode(share).decode() for share in shares],
            "pgp_fingerprints": None,
            "backup": False,
            "verification_required": rekey.verify,
        }
        if not rekey.verify:
            self._adopt(fresh, rekey.config)
            return answer
        rekey.fresh = fresh
        rekey.verification = Progress(str(uuid.uuid4()))
        return {**answer, "verification_nonce": rekey.verification.nonce}

    def _adopt(self, fresh: bytes, config: SealConfig) -> None:
        self._core.seal.save_unseal_key(fresh, self._core.store.barrier.keyring, config)
        self.rekey = None

    def verification_status(self) -> dict[str, Any]:
        rekey = self._verifying()
        progress = rekey.verification
        return {
            "nonce": progress.nonce,
            "started": True,
            "t": rekey.config.threshold,
            "n": rekey.config.shares,
            "progress": len(progress.parts),
        }

    def cancel_verification(self) -> dict[str, Any]:
        """Begin the verification anew, with a nonce of its own."""
        rekey = self._verifying()
        rekey.verification = Progress(str(uuid.uuid4()))
        return self.verification_status()

    def give_verification(self, body: dict[str, Any]) -> dict[str, Any]:
        """One new share; with the last, and if they are right, the new ones hold."""
        rekey = self._verifying()
        progress = rekey.verification
        if not isinstance(body.get("key"), str) or not body["key"]:
            raise invalid("'key' must be specified in request body as JSON")
        if body.get("nonce") != progress.nonce:
            raise invalid(f'incorrect nonce supplied; nonce for this verify operation is "{progress.nonce}"')
        if not progress.add(parse_share(body["key"])):
            raise invalid("given key has already been provided during this verify operation")
        if len(progress.parts) < rekey.config.threshold:
            return self.verification_status()
        parts, progress.parts = progress.parts, []
        if not hmac.compare_digest(self._core.seal.combine(parts, rekey.config), rekey.fresh):
            raise invalid("rekey verification failed; incorrect keys or nonce supplied")
        nonce = progress.nonce
        self._adopt(rekey.fresh, rekey.config)
        return {"nonce": nonce, "complete": True}

    def _verifying(self) -> Rekey:
        self._core.store.barrier  # noqa: B018
        if self.rekey is None or not self.rekey.fresh:
            raise VaultError(400, "no rekey verification operation in progress" if self.rekey else "no rekey operation in progress")
        return self.rekey


def read_number(body: dict[str, Any], name: str) -> int:
    value = body.get(name, 0)
    if isinstance(value, str) and value.isdecimal() and len(value) < 6:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(f"failed to parse JSON input: {name} must be a number")
    return value
