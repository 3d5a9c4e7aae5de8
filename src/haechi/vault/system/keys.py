"""sys/seal, key-status, rotate and the rest of sys/ that needs a token: the barrier's keys, tools."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets

from haechi.vault.clock import render_time
from haechi.vault.errors import invalid
from haechi.vault.logical import Request, Response, Route
from haechi.vault.system.base import CoreBackend, top

HASHES = {"sha2-224": "sha224", "sha2-256": "sha256", "sha2-384": "sha384", "sha2-512": "sha512"} | {
    f"sha3-{bits}": f"sha3_{bits}" for bits in (224, 256, 384, 512)
}
MOST_RANDOM = 128 << 10  # bytes
RANDOM = {"bytes": "int", "urlbytes": "int", "format": "text", "source": "text", "urlsource": "text"}
HASH = {"input": "text", "algorithm": "text", "urlalgorithm": "text", "format": "text"}


class KeyPaths(CoreBackend):
    """Handlers."""

    ROUTES = (
        Route("seal", {"update": "seal"}, sudo=True),
        Route("step-down", {"update": "step_down"}, sudo=True),
        Route("key-status", {"read": "read_key_status"}),
        Route("rotate", {"update": "rotate"}, sudo=True),
        Route("rekey/backup", {"read": "read_backup", "delete": "delete_backup"}),
        Route("rekey/recovery-key-backup", {"read": "read_backup", "delete": "delete_backup"}),
        Route("rekey-recovery-key/{step}", {"read": "no_recovery", "update": "no_recovery", "delete": "no_recovery"}, any_field=True),
        Route("tools/random", {"update": "make_random"}, RANDOM),
        Route("tools/random/{urlbytes}", {"update": "make_random"}, RANDOM),
        Route("tools/hash", {"update": "make_hash"}, HASH),
        Route("tools/hash/{urlalgorithm}", {"update": "make_hash"}, HASH),
    )

    def seal(self, request: Request) -> None:
        """Once this is answered and audited, the keys are forgotten."""
        request.after = self.core.seal_now

    def step_down(self, request: Request) -> None:
        """There is no standby to hand over to; a single active node stays what it is."""

    def read_key_status(self, request: Request) -> Response:
        keyring = self.core.store.barrier.keyring
        installed = render_time(keyring.installed[keyring.term])
        return top({"term": keyring.term, "install_time": installed, "encryptions": keyring.sealings})

    def rotate(self, request: Request) -> None:
        """A new key for what is written from now on. It is on disk before anything is sealed with it."""
        self.core.rotate()

    def read_backup(self, request: Request) -> Response:
        raise invalid("no backed-up keys found")

    def delete_backup(self, request: Request) -> None:
        """There never is a backup: pgp_keys are refused."""

    def no_recovery(self, request: Request, step: str) -> Response:
        raise invalid("recovery rekeying not supported")

    def make_random(self, request: Request, urlbytes: str = "") -> Response:
        values = request.values
        count = int(urlbytes) if urlbytes.isdecimal() and len(urlbytes) < 9 else values.get("bytes", 32)
        if not 1 <= count <= MOST_RANDOM:
            raise invalid(f'"bytes" must be 1 to {MOST_RANDOM}')
        return Response({"random_bytes": _encode(secrets.token_bytes(count), values.get("format", "base64"))})

    def make_hash(self, request: Request, urlalgorithm: str = "") -> Response:
        values = request.values
        algorithm = urlalgorithm or values.get("algorithm", "sha2-256")
        if algorithm not in HASHES:
            raise invalid(f"unsupported algorithm {algorithm[:40]}")
        try:
            data = base64.b64decode(values.get("input", ""), validate=True)
        except (binascii.Error, ValueError):
            raise invalid("unable to decode input as base64") from None
        return Response({"sum": _encode(hashlib.new(HASHES[algorithm], data).digest(), values.get("format", "hex"))})


def _encode(data: bytes, form: str) -> str:
    if form not in ("hex", "base64"):
        raise invalid(f'unsupported encoding format {form[:40]}; must be "hex" or "base64"')
    return data.hex() if form == "hex" else base64.b64encode(data).decode()
