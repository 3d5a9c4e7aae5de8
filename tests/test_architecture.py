"""The rules of the house, held: who may import whom, how large a file may grow, where a word may stand."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "haechi"
FILES = sorted(SOURCE.rglob("*.py"))
FORBIDDEN = {  # room: rooms it must not import
    "dataplane": {"cloud", "vault", "tfe", "pipeline", "clients", "provider", "console", "posture", "drill", "serve", "cli", "settings"},
    "cloud": {"vault", "tfe", "pipeline", "clients", "provider", "console", "posture", "drill", "serve", "cli", "settings"},
    "clients": {"cloud", "vault", "tfe", "dataplane", "pipeline", "provider", "serve", "cli"},
    "vault": {"cloud", "tfe", "dataplane", "pipeline", "clients", "provider", "serve", "cli", "settings", "vaultcli", "sshhelper"},
    "tfe": {"cloud", "vault", "dataplane", "pipeline", "clients", "provider", "serve", "cli", "settings", "vaultcli", "sshhelper"},
    "hcl": {"cloud", "vault", "tfe", "dataplane", "pipeline", "clients", "provider", "serve", "cli", "settings", "vaultcli", "sshhelper"},
    "vaultcli": {"cloud", "tfe", "dataplane", "pipeline", "clients", "provider", "serve", "cli", "settings", "sshhelper"},
    "sshhelper": {"cloud", "vault", "tfe", "dataplane", "pipeline", "clients", "provider", "serve", "cli", "settings", "vaultcli"},
    "pipeline": {"cloud", "vault", "tfe", "dataplane", "serve", "cli"},
    "provider": {"cloud", "vault", "tfe", "dataplane", "pipeline", "serve", "cli", "settings"},
}
PRODUCT_NAMES = re.compile(r"aliyun|alibaba|alicloud|\becs\b|\bslb\b|\bvpc\b|\beip\b", re.I)
MOST_LINES = 800


def room(path: Path) -> str:
    parts = path.relative_to(SOURCE).parts
    return parts[0] if len(parts) > 1 else path.stem


def imports(path: Path) -> set[str]:
    """Rooms of haechi that a file imports, also inside functions; what stands under TYPE_CHECKING counts too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        found |= {n.split(".")[1] for n in names if n.startswith("haechi.")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_rooms(path: Path) -> None:
    assert not imports(path) & FORBIDDEN.get(room(path), set())
    assert len(path.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", [p for p in FILES if room(p) == "dataplane"], ids=lambda p: p.name)
def test_the_data_plane_knows_no_product(path: Path) -> None:
    text = path.read_text().replace("DataSourceAliYun", "")  # the name of a module of cloud-init
    assert not PRODUCT_NAMES.findall(text)


def test_the_rules_bite(tmp_path: Path) -> None:
    bad = tmp_path / "x.py"
    bad.write_text("def f():\n    from haechi.cloud import store\n    return store\n")
    assert imports(bad) & FORBIDDEN["dataplane"]
    assert PRODUCT_NAMES.findall("an ECS host")
    assert not PRODUCT_NAMES.findall("specs")
