"""Queries per second of the local internet's name server with ten thousand names, at its own address over UDP."""

from __future__ import annotations

import random
import socket
import statistics
import time

from dnslib import DNSRecord

from haechi.dataplane.site import read_site
from tests.bench.bench import Bench

NAMES = 3_000
SECONDS = 5.0
TOGETHER = 32  # questions under way
DOMAIN = "bench-names.test"


def dns_figures(bench: Bench) -> dict[str, object]:
    """Records stored per second, queries answered per second, milliseconds of one alone."""
    client = bench.client()
    client.call("alidns", "2015-01-09", "AddDomain", {"DomainName": DOMAIN})
    started = time.monotonic()
    for number in range(NAMES):
        value = {"DomainName": DOMAIN, "RR": f"n{number}", "Type": "A", "Value": f"203.0.{number // 250}.{number % 250 + 1}"}
        client.call("alidns", "2015-01-09", "AddDomainRecord", value)
    stored = round(NAMES / (time.monotonic() - started))
    server = (read_site({**bench.environment}).outside, 53)
    queries = [DNSRecord.question(f"n{n}.{DOMAIN}").pack() for n in random.sample(range(NAMES), 1000)]
    rate, lost = _load(server, queries)
    return {
        f"DNS records stored per s (to {NAMES})": stored,
        "DNS queries per s": f"{rate}, {lost} lost",
        "DNS, one query alone, ms": _alone(server, queries[:200]),
    }


def _load(server: tuple[str, int], queries: list[bytes]) -> tuple[int, int]:
    """(answers per second, questions that got none within a second)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(server)
        one.settimeout(1.0)
        sent = answered = lost = 0
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            while sent - answered - lost < TOGETHER:
                one.send(queries[sent % len(queries)])
                sent += 1
            try:
                if one.recv(512)[3] & 15 == 0:
                    answered += 1
            except TimeoutError:
                lost = sent - answered
    return round(answered / SECONDS), lost


def _alone(server: tuple[str, int], queries: list[bytes]) -> float:
    times = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(server)
        one.settimeout(1.0)
        for query in queries:
            started = time.monotonic()
            one.send(query)
            one.recv(512)
            times.append(time.monotonic() - started)
    return round(statistics.median(times) * 1000, 2)
