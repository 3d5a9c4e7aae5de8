"""Rules for variables of a workspace; shared by the API and by the worker that hands them to terraform."""

from __future__ import annotations

import re
from typing import Any

from haechi.tfe.errors import invalid
from haechi.tfe.jsonapi import Sent

CATEGORIES = ("terraform", "env")
KEYS = {"terraform": re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,254}"), "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")}
MOST = 256 << 10  # characters of a value
# The run's own frame: who could set these would run terraform elsewhere, with other plugins, or other programs in its place.
REFUSED_ENVIRONMENT = (
    "HOME",
    "IFS",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "PATH",
    "TF_CLI_CONFIG_FILE",
    "TF_DATA_DIR",
    "TF_FORCE_LOCAL_BACKEND",
    "TF_INPUT",
    "TF_IN_AUTOMATION",
    "TF_PLUGIN_CACHE_DIR",
    "TF_REATTACH_PROVIDERS",
    "TF_WORKSPACE",
    "TMPDIR",
)
REFUSED_PREFIXES = ("TFC_", "TF_TOKEN_")


def parse_variable(sent: Sent, old: Any = None) -> dict[str, Any]:
    """Columns of a new variable, or of `old` with what was sent changed. Raises invalid."""
    category = sent.text("category") or (old.category if old else "")
    if category not in CATEGORIES:
        raise invalid("Category must be terraform or env.", "category")
    if old and category != old.category:
        raise invalid("The category cannot change.", "category")
    key = sent.text("key") or (old.key if old else "")
    if not KEYS[category].fullmatch(key):
        raise invalid("Key must be the name of a variable.", "key")
    if category == "env" and (key in REFUSED_ENVIRONMENT or key.startswith(REFUSED_PREFIXES)):
        raise invalid(f"{key} belongs to the run itself and cannot be set.", "key")
    hcl = sent.flag("hcl", bool(old and old.hcl))
    if hcl and category == "env":
        raise invalid("Only terraform variables can be HCL.", "hcl")
    sensitive = sent.flag("sensitive", bool(old and old.sensitive))
    if old and old.sensitive and not sensitive:
        raise invalid("A sensitive variable stays sensitive; delete it and make another.", "sensitive")
    return {
        "category": category,
        "key": key,
        "hcl": hcl,
        "sensitive": sensitive,
        "value": sent.text("value", most=MOST) if sent.has("value") else (old.value if old else ""),
        "description": sent.text("description", most=4096) if sent.has("description") else (old.description if old else ""),
    }
