"""Signed DescribeInstances per second with 100 instances stored, beside moto's EC2 on the same machine with the same client."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime
from urllib.parse import urlencode

from haechi.cloud import acs
from tests.bench.bench import Bench
from tests.bench.load import get, load

REQUESTS = 3000
CONNECTIONS = 8
INSTANCES = 100


def describe_rates(bench: Bench) -> dict[str, object]:
    """Rates and p99 latencies of both servers."""
    client = bench.client()
    where = bench.network(client)
    for _ in range(INSTANCES):
        client.call("ecs", "2014-05-26", "CreateInstance", where)
    keys = bench.keys()
    requests = [_signed(bench.port, keys["access_key_id"], keys["access_key_secret"]) for _ in range(REQUESTS)]
    ours, p99 = asyncio.run(load(bench.port, [get(request) for request in requests], CONNECTIONS))
    theirs, their_p99 = _moto()
    return {
        "signed DescribeInstances per s (100 stored, all returned)": ours,
        "  p99 ms": p99,
        "moto DescribeInstances per s (same)": theirs,
        "  moto p99 ms": their_p99,
        "  ratio": round(ours / theirs, 1),
    }


def _signed(port: int, key: str, secret: str) -> bytes:
    query = {
        "Action": "DescribeInstances",
        "Version": "2014-05-26",
        "Format": "JSON",
        "RegionId": "ap-southeast-1",
        "PageSize": "100",
        "AccessKeyId": key,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": uuid.uuid4().hex,
        "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    query["Signature"] = acs.sign_v1("GET", query, secret)
    return f"GET /?{urlencode(query)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()


def _moto() -> tuple[float, float]:
    port = 7699
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        headers = f"Host: 127.0.0.1:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n" + (
            "Authorization: AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=x\r\n"
        )

        def request(body: str) -> bytes:
            return f"POST / HTTP/1.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode()

        run = request(f"Action=RunInstances&Version=2016-11-15&ImageId=ami-12c6146b&MinCount={INSTANCES}&MaxCount={INSTANCES}")
        for _ in range(200):
            try:
                asyncio.run(load(port, [get(run)], 1))
                break
            except OSError:
                time.sleep(0.1)
        return asyncio.run(load(port, [get(request("Action=DescribeInstances&Version=2016-11-15"))] * (REQUESTS // 30), CONNECTIONS))
    finally:
        server.terminate()
        server.wait()
