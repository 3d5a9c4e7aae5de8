"""The barrier: keys, and the encryption of everything that goes to the storage, names included.

A value on disk is: term of its key (4 bytes, big-endian), version 2 (1 byte), nonce (12), AES-256-GCM ciphertext and tag (16). Its
path is the associated data, so entries cannot be swapped. Each segment of a path is encrypted with AES-SIV under its parent, which
is deterministic: entries can be found and listed, and read from the disk tell only how many segments they have.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import struct
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

VERSION = 2
HEADER = struct.Struct(">IB")
MOST_SEALINGS = 3_865_470_566  # with one key; then a new term begins (NIST SP 800-38D, as Vault counts)
FOLDERS, LONGEST = 4096, 1024  # encrypted folder names remembered, and how long one may be


class BarrierError(Exception):
    """A value does not open: wrong key, or it was changed or moved on disk."""


def seal_with(key: bytes, path: str, plain: bytes, term: int = 0) -> bytes:
    """A value sealed with one key."""
    nonce = os.urandom(12)
    return HEADER.pack(term, VERSION) + nonce + AESGCM(key).encrypt(nonce, plain, path.encode())


def open_with(key: bytes, path: str, blob: bytes) -> bytes:
    """The opposite of `seal_with`. Raises BarrierError."""
    try:
        return AESGCM(key).decrypt(blob[5:17], blob[17:], path.encode())
    except (InvalidTag, ValueError):
        raise BarrierError(f"an entry of {len(blob)} bytes does not open") from None


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _bytes(text: str) -> bytes:
    """UTF-8, also of text that is not valid Unicode: JSON can carry it."""
    return text.encode("utf-8", "surrogatepass")


@dataclass
class Keyring:
    """Keys by term, the key of names, the key of hashes. Lives in memory only while unsealed."""

    root_key: bytes = field(repr=False)
    terms: dict[int, bytes] = field(repr=False)
    names: bytes = field(repr=False)
    hashes: bytes = field(repr=False)
    installed: dict[int, float]  # term: epoch seconds
    sealings: int = 0  # values sealed with the newest key, up to the last time the keyring was stored

    @classmethod
    def generate(cls, now: float) -> Keyring:
        return cls(os.urandom(32), {1: os.urandom(32)}, os.urandom(64), os.urandom(32), {1: now})

    @property
    def term(self) -> int:
        return max(self.terms)

    def rotated(self, now: float) -> Keyring:
        """With a new key for what is written from now on; the old ones still open what they sealed."""
        term = self.term + 1
        return replace(self, terms={**self.terms, term: os.urandom(32)}, installed={**self.installed, term: now}, sealings=0)

    def dump(self) -> bytes:
        """As JSON, without the root key, which seals it."""
        return json.dumps(
            {
                "terms": {str(term): _text(key) for term, key in self.terms.items()},
                "names": _text(self.names),
                "hashes": _text(self.hashes),
                "installed": {str(term): at for term, at in self.installed.items()},
                "sealings": self.sealings,
            }
        ).encode()

    @classmethod
    def load(cls, root_key: bytes, text: bytes) -> Keyring:
        known: dict[str, Any] = json.loads(text)
        return cls(
            root_key,
            {int(term): base64.b64decode(key) for term, key in known["terms"].items()},
            base64.b64decode(known["names"]),
            base64.b64decode(known["hashes"]),
            {int(term): at for term, at in known["installed"].items()},
            known["sealings"],
        )


class Barrier:
    """An open barrier over one keyring. Forgetting this object seals."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self._ciphers = {term: AESGCM(key) for term, key in keyring.terms.items()}
        self._names = AESSIV(keyring.names)
        self._folders: dict[str, str] = {}

    def adopt(self, keyring: Keyring) -> None:
        """Seal with the newest key of this keyring from now on. It must be on disk already."""
        self._ciphers = {term: AESGCM(key) for term, key in keyring.terms.items()}
        self.keyring = keyring

    def seal_value(self, path: str, plain: bytes) -> bytes:
        nonce = os.urandom(12)
        self.keyring.sealings += 1
        term = self.keyring.term
        return HEADER.pack(term, VERSION) + nonce + self._ciphers[term].encrypt(nonce, plain, _bytes(path))

    def open_value(self, path: str, blob: bytes) -> bytes:
        """Raises BarrierError."""
        try:
            term, version = HEADER.unpack_from(blob)
            if version != VERSION:
                raise BarrierError(f"an entry has version {version}")
            return self._ciphers[term].decrypt(blob[5:17], blob[17:], _bytes(path))
        except (InvalidTag, KeyError, ValueError, struct.error):
            raise BarrierError(f"an entry of {len(blob)} bytes does not open") from None

    def hide(self, path: str) -> str:
        """The path as it stands on disk. A trailing "/" stays."""
        folder, slash, name = path.rpartition("/")
        above = self._hide_folder(folder + slash)
        return above + self._hide_name(folder + slash, name) if name else above

    def _hide_folder(self, folder: str) -> str:
        """`folder` is "" or ends with "/"."""
        if not folder:
            return ""
        known = self._folders.get(folder)
        if known is not None:
            return known
        known, above = "", ""
        for name in folder[:-1].split("/"):
            below = f"{above}{name}/"
            hidden = self._folders.get(below)
            known = hidden if hidden is not None else f"{known}{self._hide_name(above, name)}/"
            above = below
        if len(self._folders) >= FOLDERS:
            self._folders.clear()
        if len(folder) <= LONGEST:
            self._folders[folder] = known
        return known

    def _hide_name(self, folder: str, name: str) -> str:
        sealed = self._names.encrypt(_bytes(name), [_bytes(folder) or b"/"])
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def show(self, folder: str, hidden: str) -> str:
        """The name below `folder` that stands on disk as `hidden` (a trailing "/" stays). Raises BarrierError."""
        bare = hidden.rstrip("/")
        try:
            sealed = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
            name = self._names.decrypt(sealed, [_bytes(folder) or b"/"])
        except (InvalidTag, ValueError):
            raise BarrierError("a name does not open") from None
        return name.decode("utf-8", "surrogatepass") + hidden[len(bare) :]

    def keyed_hash(self, text: str) -> str:
        """HMAC-SHA256 in hex."""
        return hmac.digest(self.keyring.hashes, _bytes(text), "sha256").hex()
