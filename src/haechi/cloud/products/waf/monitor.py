"""Reads the firewall's logs every second and writes down requests, attacks and counts."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from haechi.cloud.products.waf.lookup import INSTANCE
from haechi.cloud.products.waf.telemetry import WafTelemetry
from haechi.cloud.store import Store
from haechi.dataplane.waf_rules import attack_type

log = logging.getLogger("haechi.waf")
PERIOD = 1.0
PRUNE_TURNS = 3600
MOST_BYTES = 8 << 20  # of a file in one turn
KEPT = 512  # characters of one field
WAITS = 5  # turns that hits of core rules wait for their request's line
SCENES = {"black": "ip_blacklist", "custom": "custom_acl", "cc": "cc", "core": "waf_base"}
TOTAL = ("949110", "949111", "980130")  # they only add up


class WafMonitor:
    """One thread. `files` tells the logs of an instance: of requests, and of hits of core rules."""

    def __init__(self, store: Store, telemetry: WafTelemetry, files: Callable[[str], tuple[Path, Path]]) -> None:
        self.telemetry = telemetry
        self._store, self._files = store, files
        self._hits: dict[str, tuple[int, list[str]]] = {}  # age and rules, by request
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="waf-monitor", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        self.telemetry.close()

    def _run(self) -> None:
        turn = 0
        while not self._closing.wait(PERIOD):
            try:
                self.look()
                turn += 1
                if turn % PRUNE_TURNS == 1:
                    self.telemetry.prune(int(self._store.now()))
            except Exception:
                log.exception("the monitor goes on")

    def look(self) -> None:
        """One turn: what was logged since the last."""
        for instance in self._store.view().find(INSTANCE):
            requests, hits = self._files(instance.id)
            places: dict[str, tuple[int, int]] = {}
            for line in self._new_lines(hits, places):
                self._hear(line)
            self._count([line for line in self._new_lines(requests, places) if "id" in line], places)
        self._hits = {id: (age + 1, rules) for id, (age, rules) in self._hits.items() if age < WAITS}

    def _hear(self, line: dict[str, Any]) -> None:
        transaction = line.get("transaction") or {}
        rules = [str(message["details"]["ruleId"]) for message in transaction.get("messages") or []]
        named = [rule for rule in rules if rule not in TOTAL]
        if named:
            _, before = self._hits.get(transaction["unique_id"], (0, []))
            self._hits[transaction["unique_id"]] = (0, before + [rule for rule in named if rule not in before])

    def _count(self, lines: list[dict[str, Any]], places: dict[str, tuple[int, int]]) -> None:
        minutes: dict[tuple[int, str], list[int]] = {}
        counts: Counter[tuple[int, str, str, str]] = Counter()
        seconds: Counter[tuple[int, str]] = Counter()
        attacks = []
        for line in lines:
            time, domain = int(line["time"]), str(line["domain"])
            minute = time // 60 * 60
            seconds[time, domain] += 1
            sums = minutes.setdefault((minute, domain), [0, 0, 0, 0])
            sums[0] += 1
            sums[1] = max(sums[1], seconds[time, domain])
            sums[2] += int(line["in"])
            sums[3] += int(line["out"])
            values = {"status": line["status"], "ip": line["ip"], "path": str(line["path"])[:KEPT], "agent": str(line["agent"])[:KEPT]}
            values["upstream"] = "" if str(line["upstream"]).startswith("unix:") else str(line["upstream_status"]).split(",")[-1].strip()
            for kind, value in values.items():
                counts[minute, domain, kind, str(value)] += 1
            attack = self._attack(line, time, domain)
            if attack:
                attacks.append(attack)
        if places:
            self.telemetry.write(minutes, dict(counts), attacks, places)

    def _attack(self, line: dict[str, Any], time: int, domain: str) -> dict[str, Any] | None:
        """What a request's line and the hits of core rules say together; None for a request that nothing met."""
        _, rules = self._hits.pop(str(line["id"]), (0, []))
        blocked = str(line["upstream"]).startswith("unix:")
        if line["scene"]:
            scene, rule, action, kind = str(line["scene"]), str(line["rule"]), str(line["action"]), ""
        elif rules:
            scene, rule, action, kind = "core", rules[0], "block" if blocked else "watch", attack_type(rules[0])
        else:
            return None
        action = "monitor" if action == "watch" else action
        scene = SCENES.get(scene, scene)
        row = {
            "time": time,
            "request_traceid": line["id"],
            "matched_host": f"{domain}-waf",
            "host": line["host"],
            "real_client_ip": line["ip"],
            "remote_addr": line["peer"],
            "remote_port": line["port"],
            "request_method": line["method"],
            "request_path": str(line["path"])[:KEPT],
            "querystring": str(line["query"])[:KEPT],
            "https": "true" if line["https"] else "false",
            "http_user_agent": str(line["agent"])[:KEPT],
            "http_referer": str(line["referer"])[:KEPT],
            "http_x_forwarded_for": str(line["forwarded"])[:KEPT],
            "content_type": line["type"],
            "request_length": line["in"],
            "body_bytes_sent": line["out"],
            "request_time_msec": round(float(line["took"]) * 1000),
            "status": line["status"],
            "upstream_addr": "" if blocked else line["upstream"],
            "upstream_status": "" if blocked else line["upstream_status"],
            "final_action": action,
            "final_plugin": scene,
            "final_rule_id": rule,
            "final_rule_type": kind,
            "rule_ids": rules,
            "web_attack_type": kind,
            "user_id": "",
        }
        shown = {"time": time, "domain": domain, "ip": line["ip"], "path": str(line["path"])[:KEPT], "agent": str(line["agent"])[:KEPT]}
        return {**shown, "scene": scene, "rule": rule, "type": kind, "action": action, "row": row}

    def _new_lines(self, path: Path, places: dict[str, tuple[int, int]]) -> list[dict[str, Any]]:
        """Whole JSON lines of a file since it was read last; from its beginning when it is another file or was cut short."""
        if not path.exists():
            return []
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            inode, offset = self.telemetry.place(str(path))
            if inode != status.st_ino or status.st_size < offset:
                offset = 0
            if status.st_size == offset:
                return []
            file.seek(offset)
            data = file.read(MOST_BYTES)
        end = data.rfind(b"\n") + 1
        places[str(path)] = (status.st_ino, offset + end)
        found = []
        for line in data[:end].splitlines():
            try:
                found.append(json.loads(line.decode(errors="replace")))
            except ValueError:
                log.debug("%s: not JSON: %r", path, line[:200])
        return found
