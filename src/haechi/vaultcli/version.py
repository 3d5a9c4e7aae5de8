"""The version line, alone in a file that imports next to nothing: hvac's suite asks for it before every server it starts."""

from __future__ import annotations

from haechi import __version__
from haechi.vault import VERSION


def render_version() -> str:
    """The line of `vault -version`, in the form that hvac and others read a version from."""
    return f"Vault v{VERSION} (haechi {__version__})"
