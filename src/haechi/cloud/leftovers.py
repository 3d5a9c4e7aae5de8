"""What image builds make for themselves: instance, address, network, filter, key pair. A build deletes all of it at its end.

A build that was killed cannot, and nothing else tells its things from the user's: so what Packer makes keeps the name that Packer
gave itself. Whether that build still lives is for the asker to find out.
"""

from __future__ import annotations

import re
from typing import Any

from haechi.cloud.store import View

AGENT = re.compile(r"\bHashiCorp-Packer/[0-9A-Za-z.+-]{1,40}")
KINDS = ("instance", "eip", "security_group", "vswitch", "vpc", "key_pair")  # in the order in which they can be deleted


def read_agent(header: str) -> str:
    """The program of a User-Agent header that makes temporary things, like HashiCorp-Packer/1.6.6; "" for all others."""
    found = AGENT.search(header)
    return found[0] if found else ""


def list_temporaries(view: View) -> list[dict[str, Any]]:
    """What exists of it, as {kind, id, region, agent, created}; `created` in epoch seconds, a key pair's id is its name."""
    return [
        {
            "kind": kind,
            "id": resource.get("KeyPairName", resource.id) if kind == "key_pair" else resource.id,
            "region": resource.region,
            "agent": resource["Agent"],
            "created": resource["CreatedAt"],
        }
        for kind in KINDS
        for resource in view.find(kind)
        if resource.get("Agent")
    ]
