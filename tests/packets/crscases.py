"""Runs a folder of regression cases of the OWASP Core Rule Set (its YAML, older and newer form) against a firewall of ours.

    python -m tests.packets.crscases FOLDER [RULES]

RULES is a folder or an archive of core rules, as HAECHI_CRS takes it. The firewall watches with its strict group (paranoia level 2), so
cases of rules above that are left out and counted. Their 403 is an answer of 400 or a request that would have been blocked.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from haechi.dataplane import core_rules, waf_nginx
from tests.packets.balancerlab import until
from tests.packets.waflab import ID, WafLab

LEVEL = 2  # of the strict group
BLOCKED = 949110
EARLY = (0, 400, 414, 505)  # nginx says that it is no HTTP, to be found in no log of ours
SECONDS = 5.0
SETTLE = 0.03  # nginx writes the log of requests first, then at once the other
OUTCOMES = ("passed", "failed", "left out")


@dataclass(frozen=True)
class Case:
    """One test: requests with what each must lead to. `rule` is 0 where neither name nor file tells it."""

    name: str
    rule: int
    stages: tuple[tuple[dict[str, Any], dict[str, Any]], ...]


def read_cases(folder: Path) -> Iterator[Case]:
    """Every enabled case of every YAML file below a folder."""
    for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        document = yaml.safe_load(path.read_text())
        if not document.get("meta", {}).get("enabled", True):
            continue
        for test in document.get("tests") or ():
            name = str(test.get("test_title") or f"{document.get('rule_id', path.stem)}-{test.get('test_id', '')}")
            stages = [stage.get("stage", stage) for stage in test["stages"]]
            number = re.match(r"\d{6}", name)
            yield Case(name, int(number[0]) if number else 0, tuple((stage["input"], stage["output"]) for stage in stages))


def read_levels(rules: Path) -> dict[int, int]:
    """The paranoia level of each rule that has one."""
    found: dict[int, int] = {}
    for path in rules.glob("*.conf"):
        for block in re.split(r"\n(?=SecRule |SecAction )", path.read_text()):
            id, level = re.search(r"\bid:(\d+)", block), re.search(r"paranoia-level/(\d)", block)
            if id and level:
                found[int(id[1])] = int(level[1])
    return found


class Runner:
    """Sends cases to the firewall of a lab, one after the other, and reads which rules they met."""

    def __init__(self, lab: WafLab, hosts: set[str]) -> None:
        self._lab = lab
        self._log, self._audit = lab.wafs.logs(ID)
        names = sorted({"localhost", *hosts})
        lab.apply(*(lab.domain(domain=name, mode="watch", group="strict", balance="roundRobin") for name in names))

    def failures(self, case: Case) -> list[str]:
        """What did not come as the case says."""
        return [word for given, wanted in case.stages for word in _judge(wanted, *self._send(given))]

    def _send(self, given: dict[str, Any]) -> tuple[int, set[int]]:
        """The status (0: none) and the rules that were met."""
        logged = self._log.stat().st_size if self._log.exists() else 0
        audited = self._audit.stat().st_size if self._audit.exists() else 0
        answer = b""
        with socket.create_connection((self._lab.address, 80), SECONDS) as one:
            one.sendall(_request(given))
            deadline = time.monotonic() + SECONDS
            try:
                while time.monotonic() < deadline and (part := one.recv(65536)):
                    answer += part
            except (TimeoutError, ConnectionError):
                pass
        status = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0
        if status not in EARLY:  # both logs are written at the end of a request
            until(lambda: self._log.exists() and self._log.stat().st_size > logged)
            time.sleep(SETTLE)
        if not self._audit.exists():
            return status, set()
        with self._audit.open("rb") as file:
            file.seek(audited)
            records = [json.loads(line)["transaction"] for line in file.read().splitlines()]
        return status, {int(message["details"]["ruleId"]) for record in records for message in record["messages"]}


def _request(given: dict[str, Any]) -> bytes:
    whole = given.get("encoded_request")
    if whole:
        return base64.b64decode(whole)
    data = base64.b64decode(given["encoded_data"]) if "encoded_data" in given else str(given.get("data") or "").encode()
    headers = {str(name): str(value) for name, value in (given.get("headers") or {}).items()}
    if given.get("autocomplete_headers", not given.get("stop_magic")):
        known = {name.lower() for name in headers}
        if data and "content-length" not in known and "transfer-encoding" not in known:
            headers["Content-Length"] = str(len(data))
        if "connection" not in known:
            headers["Connection"] = "close"
    head = f"{given.get('method', 'GET')} {given.get('uri', '/')} {given.get('version', 'HTTP/1.1')}\r\n"
    return (head + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode() + data


def _judge(wanted: dict[str, Any], status: int, rules: set[int]) -> Iterator[str]:
    log = wanted.get("log") or {}
    expected = [*map(int, log.get("expect_ids") or ()), *_ids(wanted.get("log_contains")), *_ids(log.get("match_regex"))]
    unwanted = [*map(int, log.get("no_expect_ids") or ()), *_ids(wanted.get("no_log_contains")), *_ids(log.get("no_match_regex"))]
    yield from (f"rule {id} was not met" for id in expected if id not in rules and status != 400)
    yield from (f"rule {id} was met" for id in unwanted if id in rules)
    statuses = wanted.get("status")
    if statuses is not None:
        statuses = [int(one) for one in (statuses if isinstance(statuses, list) else [statuses])]
        if status not in statuses and not (403 in statuses and (status == 400 or BLOCKED in rules)):
            yield f"status {status}, not {' or '.join(map(str, statuses))}"
    if wanted.get("expect_error") and status:
        yield f"status {status}, not an error"


def _ids(text: str | None) -> list[int]:
    return [int(id) for id in re.findall(r"id[^\d]{1,6}(\d{6})", text or "")]


def run_cases(folder: Path, lab: WafLab) -> tuple[Counter[str], list[str]]:
    """(how many of each outcome, a line for each that failed)."""
    cases = list(read_cases(folder))
    levels = read_levels(core_rules.folder(lab.site))
    given = [(stage.get("headers") or {}).get("Host", "") for case in cases for stage, _ in case.stages]
    runner = Runner(lab, {host for host in given if isinstance(host, str) and waf_nginx.NAME.fullmatch(host)})
    counts: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
    failed = []
    for case in cases:
        if case.rule and levels.get(case.rule, LEVEL + 1) > LEVEL:
            counts["left out"] += 1
        elif found := runner.failures(case):
            counts["failed"] += 1
            failed.append(f"{case.name}: {'; '.join(found)}")
        else:
            counts["passed"] += 1
    return counts, failed


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        lab = WafLab(Path(place), str(Path(sys.argv[2]).absolute()) if len(sys.argv) > 2 else "")
        try:
            core_rules.prepare(lab.site, print)
            counts, failed = run_cases(Path(sys.argv[1]), lab)
        finally:
            lab.down()
    print("\n".join([*failed, ", ".join(f"{count} {outcome}" for outcome, count in counts.items())]))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
