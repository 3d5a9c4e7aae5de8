"""The seal: who holds enough shares of the unseal key opens the barrier.

In the clear lie core/seal-config {shares, threshold}, core/root-key (the root key, sealed by the unseal key) and core/keyring (sealed by
the root key). The unseal key itself exists only while shares are being combined.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from haechi.vault import shamir
from haechi.vault.barrier import Barrier, BarrierError, Keyring, open_with, seal_with
from haechi.vault.errors import invalid
from haechi.vault.storage import Storage

CONFIG, ROOT_KEY, KEYRING = "core/seal-config", "core/root-key", "core/keyring"
KEY_BYTES = 32
WRONG_SHARES = "failed to decrypt encrypted stored keys: cipher: message authentication failed"


@dataclass(frozen=True)
class SealConfig:
    """How many shares there are, and how many of them open."""

    shares: int
    threshold: int

    def check(self) -> None:
        """Raises VaultError 400 with Vault's words."""
        if self.shares < 1:
            raise invalid("shares must be at least one")
        if self.threshold < 1:
            raise invalid("threshold must be at least one")
        if self.shares > 255:
            raise invalid("shares must be less than 256")
        if self.threshold > 255:
            raise invalid("threshold must be less than 256")
        if self.threshold > self.shares:
            raise invalid("threshold cannot be larger than shares")
        if self.shares > 1 and self.threshold == 1:
            raise invalid("threshold must be greater than one for multiple shares")


@dataclass
class Progress:
    """Shares given so far towards one purpose."""

    nonce: str = ""
    parts: list[bytes] = field(default_factory=list, repr=False)

    def add(self, share: bytes) -> bool:
        """False for a share that was given before: it counts once."""
        self.nonce = self.nonce or str(uuid.uuid4())
        if any(hmac.compare_digest(share, part) for part in self.parts):
            return False
        self.parts.append(share)
        return True


def parse_share(text: str) -> bytes:
    """A share or key in hex or base64. Raises VaultError 400."""
    try:
        share = bytes.fromhex(text)
    except ValueError:
        try:
            share = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise invalid("'key' must be a valid hex or base64 string") from None
    if len(share) < KEY_BYTES:
        raise invalid(f"key is shorter than minimum {KEY_BYTES} bytes")
    if len(share) > KEY_BYTES + 1:
        raise invalid(f"key is longer than maximum {KEY_BYTES + 1} bytes")
    return share


def split_key(key: bytes, config: SealConfig) -> list[bytes]:
    """One share per holder; with a single one, the key itself."""
    return [key] if config.shares == 1 else shamir.split(key, config.shares, config.threshold)


class Seal:
    """The seal's stored part, and the shares given so far."""

    def __init__(self, storage: Storage, now: Callable[[], float]) -> None:
        self._storage, self._now = storage, now
        self.unsealing = Progress()

    @property
    def config(self) -> SealConfig | None:
        """None until initialised."""
        found = self._storage.get(CONFIG)
        return SealConfig(**json.loads(found)) if found else None

    def initialize(self, config: SealConfig) -> tuple[list[bytes], Barrier, dict[str, bytes | None]]:
        """Make the keys: the shares, a barrier for whoever makes the first entries, and what to store together with those."""
        keyring = Keyring.generate(self._now())
        unseal_key = os.urandom(KEY_BYTES)
        stored = {**self._sealed_root(unseal_key, keyring, config), **self._sealed_keyring(keyring)}
        return split_key(unseal_key, config), Barrier(keyring), stored

    def _sealed_root(self, unseal_key: bytes, keyring: Keyring, config: SealConfig) -> dict[str, bytes | None]:
        stored = json.dumps({"shares": config.shares, "threshold": config.threshold}).encode()
        return {CONFIG: stored, ROOT_KEY: seal_with(unseal_key, ROOT_KEY, keyring.root_key)}

    def _sealed_keyring(self, keyring: Keyring) -> dict[str, bytes | None]:
        return {KEYRING: seal_with(keyring.root_key, KEYRING, keyring.dump())}

    def save_keyring(self, keyring: Keyring) -> None:
        """Keep a keyring that was rotated or counted."""
        self._storage.commit(self._sealed_keyring(keyring))

    def save_unseal_key(self, unseal_key: bytes, keyring: Keyring, config: SealConfig) -> None:
        """From now on shares of this key open."""
        self._storage.commit(self._sealed_root(unseal_key, keyring, config))

    def reset(self) -> None:
        """Forget the shares given so far."""
        self.unsealing = Progress()

    def give(self, share: bytes) -> Barrier | None:
        """One more share: the open barrier when it was the last that was needed. Raises VaultError 400 when they do not open."""
        config = self.config
        assert config is not None
        self.unsealing.add(share)
        if len(self.unsealing.parts) < config.threshold:
            return None
        parts, self.unsealing = self.unsealing.parts, Progress()
        return Barrier(self.open_keyring(self.combine(parts, config)))

    def combine(self, parts: list[bytes], config: SealConfig) -> bytes:
        """The unseal key that these shares give; it is not known yet to be the right one."""
        if config.threshold == 1:
            return parts[0]
        try:
            return shamir.combine(parts)
        except ValueError as error:
            raise invalid(f"failed to compute unseal key: {error}") from None

    def open_keyring(self, unseal_key: bytes) -> Keyring:
        """The keyring, if this is the unseal key. Raises VaultError 400."""
        sealed_root, sealed_keyring = self._storage.get(ROOT_KEY), self._storage.get(KEYRING)
        assert sealed_root is not None and sealed_keyring is not None
        try:
            root_key = open_with(unseal_key, ROOT_KEY, sealed_root)
            return Keyring.load(root_key, open_with(root_key, KEYRING, sealed_keyring))
        except BarrierError:
            raise invalid(WRONG_SHARES) from None


def describe(progress: Progress, config: SealConfig | None) -> Mapping[str, object]:
    """Threshold, count and progress as the status endpoints show them."""
    return {
        "t": config.threshold if config else 0,
        "n": config.shares if config else 0,
        "progress": len(progress.parts),
        "nonce": progress.nonce,
    }
