"""Response wrapping: an answer laid into the cubbyhole of a token that can be used once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from haechi.vault.clock import render_time
from haechi.vault.render import envelope
from haechi.vault.tokens import Token

if TYPE_CHECKING:
    from haechi.vault.core import Core, Outcome


def cubby(token_id: str) -> str:
    """Where a wrapping token's answer lies in the store."""
    return f"cubbyhole/{token_id}/response"


def wrap(core: Core, outcome: Outcome) -> dict[str, Any]:
    """Store the answer of `outcome` and return the `wrap_info` that stands in its place."""
    request = outcome.request
    now = core.now()
    token = Token(
        "",
        "",
        ["response-wrapping"],
        request.full_path,
        display_name="token",
        num_uses=1,
        created=now,
        ttl=request.wrap_ttl,
        explicit_max_ttl=request.wrap_ttl,
        renewable=False,
        expires=now + request.wrap_ttl,
        wrapped_accessor=(outcome.auth or {}).get("accessor", ""),
    )
    auth = core.hand_out(request.transaction, token)
    request.transaction.put(cubby(token.id), {"response": json.dumps(envelope(outcome)), "path": request.full_path})
    info = {
        "token": auth["client_token"],
        "accessor": token.accessor,
        "ttl": int(request.wrap_ttl),
        "creation_time": render_time(now),
        "creation_path": request.full_path,
    }
    return info | ({"wrapped_accessor": token.wrapped_accessor} if token.wrapped_accessor else {})
