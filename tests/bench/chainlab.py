"""Origin, load balancer, firewall, scrubber and Internet firewall on one site, and plain proxies beside the load balancer."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from haechi.dataplane import core_rules, kernel, sysctls, waf_nginx, waf_rules
from haechi.dataplane.host import sysctls_needed
from haechi.dataplane.machine import FORWARDING
from haechi.dataplane.plan import Backend, Front, Origin, Plan, Policy, Scrubber, Wall
from haechi.dataplane.scrubber import Scrubbers
from haechi.dataplane.waf import Wafs
from haechi.dataplane.waf_plan import Guarded, Waf, WafBackend
from haechi.dataplane.wall import InternetFirewall
from tests.bench.bench import pss_kib
from tests.packets.balancerlab import ADDRESSES, SOURCE, Lab, web

HOST = "shop.test"
ORIGIN_PORT = 8090
PLAIN = {"nginx": 8081, "haproxy": 8082, "modsecurity": 8083}  # beside the load balancer, in its namespace
PAGE = "<html><body>" + "cat " * 250 + "</body></html>"


class ChainLab(Lab):
    """Site 13 with one nginx as origin. `url(chain)` is where a chain of hops begins; every address is in 198.18.0.0/15."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder
        self.wafs, self.scrubbers, self.wall = Wafs(self.site), Scrubbers(self.site), InternetFirewall(self.site)
        self.waf_address, self.scrubber_address = str(self.site.public[21]), str(self.site.public[22])
        self.programs: list[subprocess.Popen[bytes]] = []
        sysctls.hold(self.site.prefix, [*sysctls_needed(), *FORWARDING])
        self._run("a", "origin", ["nginx", "-c", str(self._origin())], f"{ADDRESSES['a']}:{ORIGIN_PORT}")
        self.apply(web(Backend("a", ADDRESSES["a"], ORIGIN_PORT)))
        self._plain()

    def down(self) -> None:
        for program in self.programs:
            program.terminate()
            program.wait()
        self.wall.destroy()
        self.scrubbers.destroy()
        self.wafs.destroy()
        sysctls.release(self.site.prefix)
        super().down()

    def edge(self, mode: str = "", *, scrubber: bool = False, policies: int = 0) -> str:
        """Put hops in front of the load balancer: a firewall (core rules off, watch or block), a scrubber, policies; the URL."""
        wafs, scrubbers, origin = {}, {}, self.address
        if mode:
            domain = Guarded(HOST, (("http", 80),), (WafBackend(self.address),), mode=mode, balance="roundRobin")
            wafs, origin = {"waf-1": Waf("waf-1", self.waf_address, (domain,))}, self.waf_address
        if scrubber:
            front = Front(HOST, (("http", 80),), (Origin(origin, 80),), challenge="off")
            options = {"syn_per_source": 0, "concurrent": 0}
            scrubbers, origin = {"ddos-1": Scrubber("ddos-1", self.scrubber_address, (front,), **options)}, self.scrubber_address
        others = (f"203.{n // 62500}.{n // 250 % 250}.{n % 250}/32" for n in range(policies))
        drops = tuple(Policy(f"p{n}", "in", "drop", "tcp", sources=(other,)) for n, other in enumerate(others))
        plan = Plan(wafs=wafs, scrubbers=scrubbers, wall=Wall((self.address, self.waf_address), drops) if drops else Wall())
        for part in (self.wafs, self.scrubbers, self.wall):
            part.apply(plan)  # type: ignore[attr-defined]
        return f"http://{origin}"

    def memory_mib(self) -> dict[str, float]:
        """Proportional set sizes of each hop's programs."""
        found = {}
        for hop, id in (("SLB", "lb-1"), ("WAF", "waf-1"), ("Anti-DDoS", "ddos-1")):
            pids = kernel.run("ip", "netns", "pids", self.site.netns(id)).split()
            ours = [pid for pid in pids if str(self.folder / "run") in self._command(pid)]
            found[hop] = round(sum(pss_kib(int(pid)) for pid in ours) / 1024, 1)
        return found

    def _command(self, pid: str) -> str:
        """A program's command line, or that of the one that started it (nginx names its workers)."""
        status = Path(f"/proc/{pid}/status").read_text()
        parent = next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:"))
        return "".join(Path(f"/proc/{one}/cmdline").read_text() for one in (pid, parent))

    def plain(self, program: str) -> str:
        """The URL of a plain proxy."""
        return f"http://{self.address}:{PLAIN[program]}"

    def _origin(self) -> Path:
        path = self.folder / "origin.conf"
        page = self.folder / "index.html"
        page.write_text(PAGE)
        os.chmod(self.folder, 0o755)
        path.write_text(_nginx(self.folder, "origin", f"server {{ listen {ORIGIN_PORT}; root {self.folder}; }}"))
        return path

    def _plain(self) -> None:
        upstream = f"upstream o {{ server {ADDRESSES['a']}:{ORIGIN_PORT}; keepalive 64; }} proxy_http_version 1.1;"
        proxy = f'location / {{ proxy_bind {SOURCE}; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_pass http://o; }}'
        core = self.folder / "core.conf"
        recommended = Path("/etc/nginx/modsecurity.conf").read_text().replace("SecRuleEngine DetectionOnly", "SecRuleEngine On")
        recommended = recommended.replace("/var/log/nginx/modsec_audit.log", str(self.folder / "audit.log"))
        recommended = recommended.replace("SecUnicodeMapFile unicode.mapping", f"SecUnicodeMapFile {waf_rules.UNICODE}")
        setup = "Include /etc/modsecurity/crs/crs-setup.conf\n"
        core.write_text(recommended + setup + f"Include {core_rules.DEBIAN}/*.conf\n")
        guarded = f"modsecurity on; modsecurity_rules_file {core};"
        for name, inside in (("nginx", ""), ("modsecurity", guarded)):
            path = self.folder / f"{name}.conf"
            path.write_text(_nginx(self.folder, name, f"{upstream} server {{ listen {PLAIN[name]}; {inside} {proxy} }}"))
            self._run("lb-1", name, ["nginx", "-c", str(path)], f"{self.address}:{PLAIN[name]}")
        path = self.folder / "haproxy.cfg"
        path.write_text(
            "global\n  maxconn 4000\n  nbthread 2\ndefaults\n  mode http\n  timeout client 30s\n"
            "  timeout server 30s\n  timeout connect 5s\n"
            f"listen plain\n  bind :{PLAIN['haproxy']}\n  source {SOURCE}\n  http-reuse always\n  server a {ADDRESSES['a']}:{ORIGIN_PORT}\n"
        )
        self._run("lb-1", "haproxy", ["haproxy", "-db", "-f", str(path)], f"{self.address}:{PLAIN['haproxy']}")

    def _run(self, place: str, name: str, command: list[str], answers: str) -> None:
        """Start a program at a place and wait until it serves the page there."""
        inside = ("ip", "netns", "exec", self.site.netns(place))
        with (self.folder / f"{name}.log").open("wb") as log:
            self.programs.append(subprocess.Popen([*inside, *command], stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        deadline = time.monotonic() + 20
        while subprocess.run([*inside, "curl", "-sf", "-o", "/dev/null", f"http://{answers}/"], check=False).returncode:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not serve: {(self.folder / f'{name}.log').read_text()[-400:]}")
            time.sleep(0.05)


def _nginx(folder: Path, name: str, inside: str) -> str:
    module = f"load_module {waf_nginx.MODULES}/ngx_http_modsecurity_module.so;" if name == "modsecurity" else ""
    temporary = " ".join(f"{kind}_temp_path {folder}/{name}-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return (
        f"{module} worker_processes 2; daemon off; user root; pid {folder}/{name}.pid; error_log {folder}/{name}.log crit;"
        f"events {{ worker_connections 4096; }} http {{ access_log off; keepalive_requests 100000; {temporary} {inside} }}\n"
    )
