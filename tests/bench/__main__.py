"""Runs every measurement on a site of its own and prints a table; --json for scripts, --cold also builds the base image anew."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.api import describe_rates
from tests.bench.bench import Bench
from tests.bench.dns import dns_figures
from tests.bench.edge import edge_figures
from tests.bench.hosts import banner_seconds, fifty_instances, rule_seconds
from tests.bench.images import image_figures
from tests.bench.logins import login_seconds
from tests.bench.tfe import tfe_figures
from tests.bench.vault import vault_figures


def main() -> None:
    figures: dict[str, object] = {"machine": machine(), "date": time.strftime("%Y-%m-%d")}
    with tempfile.TemporaryDirectory() as place:
        if "--cold" in sys.argv:
            with Bench(Path(place) / "cold", {"HAECHI_CACHE": f"{place}/cache"}) as bench:
                figures["cold up s"] = bench.timed("up", "--json")
        with Bench(Path(place) / "warm") as bench:
            bench.run("prepare")
            figures["warm up s"] = bench.timed("up", "--json")
            figures["second up s"] = bench.timed("up", "--json")
            figures |= login_seconds(bench)
            figures |= image_figures(bench)  # last: it leaves an image of its own
        figures |= vault_figures()
        figures |= tfe_figures()
        figures |= edge_figures()
        with Bench(Path(place) / "api") as bench:
            bench.run("prepare")
            figures["server start to first answer s"] = bench.start_seconds()
            figures["idle memory MiB (PSS)"] = bench.memory_mib()
            figures |= describe_rates(bench)
            figures |= dns_figures(bench)
        with Bench(Path(place) / "hosts") as bench:
            bench.run("prepare")
            bench.start_seconds()
            figures["RunInstances to SSH banner s"] = banner_seconds(bench)
            figures["security-group rule to effect s"] = rule_seconds(bench)
            figures |= fifty_instances(bench)
    if "--json" in sys.argv:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:48} {value}")


def machine() -> str:
    cpu = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), ""
    )
    load = subprocess.run(["uptime"], capture_output=True, text=True, check=True).stdout.rsplit("load average:", 1)[1].strip()
    return f"{cpu}, {os.cpu_count()} cores, Linux {platform.release()}, load before {load}"


if __name__ == "__main__":
    main()
