"""A server behind a balancer, run in a namespace: `backend.py http|tcp|udp|proxy PORT NAME`. It answers with its name."""

import base64
import hashlib
import http.server
import json
import os
import socketserver
import sys
import time

MODE, PORT, NAME = sys.argv[1], int(sys.argv[2]), sys.argv[3]
STATE = {"status": 200}


class Web(http.server.BaseHTTPRequestHandler):
    """/who name; /headers what came; /fail N: checks get status N from now on; /slow; /big; an upgrade is a websocket that echoes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, value = self.path.partition("?")
        if self.headers.get("Upgrade") == "websocket":
            return self.upgrade()
        status, body = 200, NAME
        if path == "/check":
            status = STATE["status"] if self.headers.get("Host", "") in ("", "check.example") else 400
        elif path == "/fail":
            STATE["status"] = int(value)
        elif path == "/headers":
            body = json.dumps(self.headers.items())
        elif path == "/slow":
            time.sleep(float(value))
        elif path == "/big":
            body = "x" * 20000
        self.send_response(status)
        if path == "/login":
            self.send_header("Set-Cookie", "APP=secret; Path=/")
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body.encode())

    do_HEAD = do_GET

    def upgrade(self) -> None:
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while data := os.read(self.connection.fileno(), 4096):
            self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


class Tcp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(4096):
            self.request.sendall(data[:12].hex().encode() if MODE == "proxy" else NAME.encode())


class Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, one = self.request
        if data != b"haechi":  # a probe
            one.sendto(f"{NAME} {self.client_address[0]}".encode(), self.client_address)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *args: object) -> None:  # a client that went away
        pass


server = socketserver.UDPServer(("", PORT), Udp) if MODE == "udp" else Server(("", PORT), Web if MODE == "http" else Tcp)
print("ready", flush=True)
server.serve_forever()
