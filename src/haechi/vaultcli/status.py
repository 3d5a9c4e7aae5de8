"""status and version; also how a seal status is printed, which unseal shares."""

from __future__ import annotations

from typing import Any

from haechi.vaultcli.command import Call, Command, failing
from haechi.vaultcli.errors import ApiError
from haechi.vaultcli.output import render_table
from haechi.vaultcli.version import render_version

STATUS = (
    *("type", "initialized", "sealed", "t", "n", "progress", "nonce", "version", "build_date", "migration"),
    *("cluster_name", "cluster_id", "recovery_seal", "storage_type"),
)
HIDDEN_WHEN_EMPTY = ("cluster_name", "cluster_id", "storage_type")
LEADER = ("is_self", "active_time", "leader_address", "leader_cluster_address", "performance_standby", "last_wal", "raft_committed_index")


def version(call: Call) -> int:
    """Print the version."""
    call.screen.out(render_version())
    return 0


def status(call: Call) -> int:
    """Print whether the server is sealed: 0 unsealed, 2 sealed, 1 for every error."""
    call.client.namespace = ""
    with failing("Error checking seal status", 1):
        answer = call.client.expect("GET", "sys/seal-status")
    code = show_seal_status(call, answer)
    return 2 if answer.get("sealed") else code


def show_seal_status(call: Call, answer: dict[str, Any]) -> int:
    """Print a seal status together with what sys/leader says."""
    with failing("Error checking leader status", 1):
        try:
            leader = call.client.expect("GET", "sys/leader")
        except ApiError as error:
            if "Vault is sealed" not in str(error):
                raise
            leader = {"ha_enabled": True}  # only a server with others beside it hides its leader while sealed
    merged = {name: answer[name] for name in STATUS if name in answer and (answer[name] or name not in HIDDEN_WHEN_EMPTY)}
    merged |= {"ha_enabled": bool(leader.get("ha_enabled"))}
    merged |= {name: leader[name] for name in LEADER if leader.get(name)}
    merged.setdefault("active_time", "0001-01-01T00:00:00Z")
    if call.screen.table:
        call.screen.out(render_table([["Key", "Value"], *_rows(merged)]))
    else:
        call.screen.data(merged)
    return 0


def _rows(s: dict[str, Any]) -> list[list[Any]]:
    kind = "Recovery " if s.get("recovery_seal") else ""
    rows: list[list[Any]] = [["Seal Type", s.get("type", "")]]
    rows += [["Recovery Seal Type", s.get("recovery_seal_type", "shamir")]] if kind else []
    rows += [["Initialized", s["initialized"]], ["Sealed", s["sealed"]], [f"Total {kind}Shares", s["n"]], ["Threshold", s["t"]]]
    if s["sealed"]:
        rows += [["Unseal Progress", f"{s['progress']}/{s['t']}"], ["Unseal Nonce", s.get("nonce", "")]]
    rows += [["Seal Migration in Progress", True]] if s.get("migration") else []
    names = (("Version", "version"), ("Build Date", "build_date"), ("Storage Type", "storage_type"))
    rows += [[title, s[name]] for title, name in names if s.get(name)]
    if s.get("cluster_name") and s.get("cluster_id"):
        rows += [["Cluster Name", s["cluster_name"]], ["Cluster ID", s["cluster_id"]]]
    rows += [["HA Enabled", s["ha_enabled"]]]
    if s["ha_enabled"] and not s["sealed"]:
        rows += [["HA Cluster", s.get("leader_cluster_address", "")], ["HA Mode", "active" if s.get("is_self") else "standby"]]
        active = s["active_time"]
        rows += [["Active Since", active]] if s.get("is_self") and not active.startswith("0001-") else []
        rows += [["Active Node Address", s["leader_address"]]] if not s.get("is_self") and s.get("leader_address") else []
    return rows


COMMANDS = (
    Command("status", status, "Print whether the server is sealed. Exits 0 when unsealed, 1 on an error, 2 when sealed."),
    Command("version", version, "Print the version.", output=()),
)
