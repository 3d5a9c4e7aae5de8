#!/usr/bin/python3 -IS
"""Asks Vault whether a one-time password opens this host to this user: vault-ssh-helper 0.2's flags, config, stdin and exit codes.

Runs under PAM (pam_exec expose_authtok) with the standard library of Debian's python3-minimal only: no json, no http, no uuid, no ctypes.
Exit 0 lets the user in, anything else does not. What can be found wrong without asking Vault is, because asking spends the password.
"""

from __future__ import annotations

import os
import socket
import sys
import time

TYPE_CHECKING = False  # typing and collections.abc would cost a login some milliseconds
if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO, TextIO

VERSION = "0.2.4+haechi"
ECHO_REQUEST, ECHO_RESPONSE = "verify-echo-request", "verify-echo-response"
SECONDS = 10.0  # for connecting, asking and the answer together
MOST_ANSWER = 65536
MOST_DEPTH = 16
LEVELS = {"trace": 0, "debug": 1, "info": 2, "warn": 3, "error": 4}
HELP = """Usage: vault-ssh-helper [options]

  Reads a one-time password from standard input, as PAM's pam_exec gives it
  with expose_authtok, and asks Vault whether it opens this host to PAM_USER.

Options:

  -config=<path>       The configuration file, in HCL or JSON. Needed.
  -dev                 Talk http:// to Vault. Without it only https:// is used.
  -verify-only         Check configuration and connection, with no password.
  -log-level=<level>   trace, debug, info (the default), warn or error.
  -version             Print the version."""


class RefusedError(Exception):
    """The login does not happen; the text is the reason for the log and holds no secret."""


class Log:
    """Lines for pam_exec's log file: a stamp, a level, printable ASCII, never the password."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.level, self.secret = stream, "info", ""

    def write(self, level: str, text: str) -> None:
        """One line, if the level is wanted."""
        if LEVELS[level] < LEVELS[self.level]:
            return
        for form in (self.secret, self.secret.lower(), self.secret.upper()):
            text = text.replace(form, "<otp>") if form else text
        text = "".join(c if " " <= c <= "~" else "?" for c in " ".join(text.split())[:500])
        try:
            self.stream.write(f"{time.strftime('%Y/%m/%d %H:%M:%S')} [{level.upper()}] {text}\n")
            self.stream.flush()
        except OSError:  # a full disk must not close the host: the verdict stands without its line, as with the original
            pass


# ---------------------------------------------------------------------------------------------------------------------- flags


class Flags:
    """What the command line asked for."""

    config = ""
    log_level = "info"
    dev = verify_only = version = help = False


TEXT_FLAGS = {"config": "config", "log-level": "log_level"}
BOOL_FLAGS = {"dev": "dev", "verify-only": "verify_only", "version": "version", "v": "version", "help": "help", "h": "help"}
TRUE, FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


def parse_flags(argv: Sequence[str]) -> Flags:
    """Flags as Go's flag package reads them: one dash or two, `-x=v`, and `-x v` for those that are not switches."""
    flags, left = Flags(), list(argv)
    while left:
        word = left.pop(0)
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        if not word.startswith("-") or not name:
            raise RefusedError(f"unexpected argument '{word}'")
        if name in BOOL_FLAGS:
            if equals and value not in TRUE + FALSE:
                raise RefusedError(f"invalid boolean value '{value}' for -{name}")
            setattr(flags, BOOL_FLAGS[name], not equals or value in TRUE)
        elif name in TEXT_FLAGS:
            if not equals and not left:
                raise RefusedError(f"flag needs an argument: -{name}")
            setattr(flags, TEXT_FLAGS[name], value if equals else left.pop(0))
        else:
            raise RefusedError(f"flag provided but not defined: -{name}")
    flags.log_level = flags.log_level.lower()
    if flags.log_level not in LEVELS:
        raise RefusedError(f"unknown log level '{flags.log_level}'")
    return flags


# ---------------------------------------------------------------------------------------------------------------- JSON and HCL


ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
WORDS = {"true": True, "false": False, "null": None}


class Reader:
    """Reads JSON, and the flat HCL of the config file, out of a text. Errors are ValueErrors that name the line."""

    def __init__(self, text: str, comments: bool = False) -> None:
        self.text, self.at, self.comments = text, 0, comments

    def line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def error(self, what: str) -> ValueError:
        return ValueError(f"{what} on line {self.line()}")

    def peek(self) -> str:
        """The next character that is neither blank nor inside a comment; "" at the end."""
        while self.at < len(self.text):
            if self.text[self.at] in " \t\r\n":
                self.at += 1
            elif self.comments and self.text.startswith(("#", "//"), self.at):
                end = self.text.find("\n", self.at)
                self.at = end if end >= 0 else len(self.text)
            elif self.comments and self.text.startswith("/*", self.at):
                end = self.text.find("*/", self.at + 2)
                if end < 0:
                    raise self.error("comment without an end")
                self.at = end + 2
            else:
                return self.text[self.at]
        return ""

    def take(self, mark: str) -> None:
        if self.peek() != mark:
            raise self.error(f"expected '{mark}'")
        self.at += 1

    def word(self) -> str:
        """A bare word: a key, a number, true, false, null."""
        self.peek()
        start = self.at
        while self.at < len(self.text) and (self.text[self.at].isalnum() or self.text[self.at] in "_-+."):
            self.at += 1
        return self.text[start : self.at]

    def string(self) -> str:
        self.take('"')
        parts: list[str] = []
        wide = False
        while True:
            if self.at >= len(self.text) or self.text[self.at] == "\n":
                raise self.error("string without an end")
            letter = self.text[self.at]
            self.at += 1
            if letter == '"':
                text = "".join(parts)
                return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le") if wide else text
            if letter == "\\":
                kind = self.text[self.at : self.at + 1]
                self.at += 1
                if kind == "u":
                    digits = self.text[self.at : self.at + 4]
                    if len(digits) != 4 or not is_hex(digits):
                        raise self.error("bad \\u escape")
                    self.at += 4
                    wide, letter = True, chr(int(digits, 16))
                elif kind in ESCAPES and kind:
                    letter = ESCAPES[kind]
                else:
                    raise self.error("unknown escape")
            parts.append(letter)

    def value(self, depth: int = 0) -> object:
        """Any JSON value: None, bool, int, float, str, list or dict."""
        mark = self.peek()
        if mark == '"':
            return self.string()
        if mark and mark in "{[":
            if depth >= MOST_DEPTH:
                raise self.error("too many levels")
            return self.items(depth) if mark == "[" else self.fields(depth)
        word = self.word()
        if word in WORDS:
            return WORDS[word]
        if not word or word.strip("0123456789+-.eE"):
            raise self.error(f"unknown value '{word[:40]}'")
        return int(word) if word.lstrip("-").isdigit() else float(word)

    def items(self, depth: int) -> list[object]:
        self.take("[")
        found: list[object] = []
        while self.peek() != "]":
            if found:
                self.take(",")
            found.append(self.value(depth + 1))
        self.take("]")
        return found

    def fields(self, depth: int) -> dict[str, object]:
        self.take("{")
        found: dict[str, object] = {}
        while self.peek() != "}":
            if found:
                self.take(",")
            key = self.string()
            self.take(":")
            found[key] = self.value(depth + 1)
        self.take("}")
        return found


def is_hex(text: str) -> bool:
    """Whether every character is one of 0-9, a-f, A-F."""
    return not text.strip("0123456789abcdefABCDEF")


def parse_json(text: str) -> object:
    """The value of a JSON text; ValueError when it is none."""
    reader = Reader(text)
    value = reader.value()
    if reader.peek():
        raise reader.error("text after the end")
    return value


# --------------------------------------------------------------------------------------------------------------- configuration


class Config:
    """The config file; see files/config.hcl.example. `cidrs` is allowed_cidr_list, parsed: (length in bytes, network, bits to drop)."""

    vault_addr = ""
    ssh_mount_point = "ssh"
    namespace = ""
    ca_cert = ""
    ca_path = ""
    tls_server_name = ""
    tls_skip_verify = False
    allowed_roles = ""
    allowed_cidr_list = ""
    cidrs: Sequence[tuple[int, int, int]] = ()


KEYS = tuple(name for name in vars(Config) if name[0] != "_" and name != "cidrs")


def parse_config(text: str) -> Config:
    """The configuration out of HCL or JSON. Raises RefusedError, with the original's texts for an unknown key and a missing address."""
    reader, config = Reader(text, comments=True), Config()
    pairs: list[tuple[str, object, str]] = []
    try:
        if reader.peek() == "{":
            found = parse_json(text)
            assert isinstance(found, dict)
            pairs = [(key, value, "") for key, value in found.items()]
        while not pairs and reader.peek() != "{" and reader.peek():
            pairs += read_assignments(reader)
    except ValueError as error:
        raise RefusedError(f"ssh_helper: error parsing config: {error}") from None
    for key, value, where in pairs:
        if key not in KEYS:
            raise RefusedError(f"ssh_helper: invalid key '{key}'{where}")
        setattr(config, key, decode(key, value, where))
    if not config.vault_addr:
        raise RefusedError("ssh_helper: missing config 'vault_addr'")
    config.ssh_mount_point = config.ssh_mount_point.strip("/")
    for key in ("ssh_mount_point", "namespace", "tls_server_name"):  # they go into the head of the request, and into TLS
        if any(not "!" <= c <= "~" or c in "?#%" for c in getattr(config, key)):
            raise RefusedError(f"ssh_helper: '{key}' may hold printable ASCII only, without blanks, '?', '#' and '%'")
    config.cidrs = [parse_cidr(entry.strip()) for entry in config.allowed_cidr_list.split(",")] if config.allowed_cidr_list else []
    return config


def read_assignments(reader: Reader) -> list[tuple[str, object, str]]:
    """All `key = value` of an HCL text, each with the place it stands at."""
    pairs: list[tuple[str, object, str]] = []
    while reader.peek():
        where = f" on line {reader.line()}"
        key = reader.string() if reader.peek() == '"' else reader.word()
        reader.take("=")
        pairs.append((key, reader.value(), where))
        if reader.peek() == ",":
            reader.take(",")
    return pairs


def decode(key: str, value: object, where: str) -> str | bool:
    """A value in the type its key wants, as loosely as HCL: numbers pass as strings, "true" and 1 as booleans."""
    if key != "tls_skip_verify":
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise RefusedError(f"ssh_helper: '{key}' must be a string{where}")
        return str(value)
    word = str(value).lower()
    if word not in ("true", "1", "false", "0"):
        raise RefusedError(f"ssh_helper: '{key}' must be true or false{where}")
    return word in ("true", "1")


def read_config(path: str) -> Config:
    """The configuration at this path; a file that is not there is one without an address."""
    try:
        with open(path, encoding="utf-8") as file:
            return parse_config(file.read())
    except FileNotFoundError:
        raise RefusedError(f"ssh_helper: missing config 'vault_addr': there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"ssh_helper: cannot read {path}: {error}") from None


# ------------------------------------------------------------------------------------------------------------------- addresses


def pack(text: str) -> bytes | None:
    """An IP address as 4 or 16 bytes (an IPv4 address in IPv6's clothes as 4), None when it is none."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            packed = socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return packed[12:] if packed.startswith(b"\0" * 10 + b"\xff\xff") else packed
    return None


def parse_cidr(text: str) -> tuple[int, int, int]:
    """A block as (length of its addresses in bytes, number of its network, host bits). Raises RefusedError."""
    address, slash, prefix = text.partition("/")
    packed = pack(address)
    if packed is None or not slash or not prefix.isascii() or not prefix.isdigit() or int(prefix) > len(packed) * 8:
        raise RefusedError(f"invalid CIDR address in allowed_cidr_list: {text}")
    drop = len(packed) * 8 - int(prefix)
    return len(packed), int.from_bytes(packed, "big") >> drop, drop


def read_addresses() -> set[bytes]:
    """All addresses of this host's interfaces, packed, as the kernel tells over netlink (RTM_GETADDR)."""
    found: set[bytes] = set()

    def number(data: bytes, at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], sys.byteorder)

    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.settimeout(SECONDS)
        request = ((24, 4), (22, 2), (0x301, 2), (1, 4), (0, 4), (0, 8))  # length, RTM_GETADDR, request + dump, sequence, port, any family
        kernel.send(b"".join(value.to_bytes(size, sys.byteorder) for value, size in request))
        while True:
            data = kernel.recv(65536)
            while data:
                length, kind = number(data, 0, 4), number(data, 4, 2)
                if kind == 3:  # NLMSG_DONE
                    return found
                if kind == 2 or not 16 <= length <= len(data):  # NLMSG_ERROR, or not whole
                    raise RefusedError("the kernel does not tell this host's addresses")
                at, fields = 24, {}
                while at + 4 <= length:
                    size = max(number(data, at, 2), 4)
                    fields[number(data, at + 2, 2)] = data[at + 4 : at + size]
                    at += (size + 3) & ~3
                found.add(fields.get(2) or fields.get(1) or b"")  # IFA_LOCAL: on point-to-point links IFA_ADDRESS is the peer's
                data = data[(length + 3) & ~3 :]


# ------------------------------------------------------------------------------------------------------------- asking Vault


def parse_address(address: str, dev: bool) -> tuple[bool, str, int, str, str]:
    """vault_addr as (TLS, host, port, Host header, path before /v1). -dev wants http, its absence https. Raises RefusedError."""
    scheme, mark, rest = address.partition("://")
    authority, _, path = rest.partition("/")
    secure = scheme.lower() == "https"
    if dev and mark and scheme.lower() != "http":
        raise RefusedError("unsupported scheme in 'dev' mode")
    if not dev and mark and not secure:
        raise RefusedError("unsupported scheme. use 'dev' mode" if scheme.lower() == "http" else "unsupported scheme")
    if authority.startswith("["):
        host, end, port = authority[1:].partition("]")
        good = bool(end) and pack(host) is not None and (not port or port.startswith(":"))
        port = port[1:]
    else:
        host, _, port = authority.partition(":")
        good = bool(host)
    good = good and (not port or (port.isdigit() and int(port) < 65536))
    if not mark or not good or any(not "!" <= c <= "~" or c in "@?#" for c in rest):
        raise RefusedError("invalid vault_addr: it must be like https://vault.example.com:8200")
    return secure, host, int(port or (443 if secure else 80)), authority, "/" + path.strip("/") if path.strip("/") else ""


def make_context(config: Config) -> ssl.SSLContext:
    """Whom to trust over TLS: anybody, ca_cert, else the files in ca_path, else the system's store. Raises RefusedError."""
    try:
        import ssl  # 15 ms that plain http need not pay
    except ImportError:
        hint = "apt-get install --reinstall libpython3.11-minimal libssl3"
        raise RefusedError(f"https needs Python's ssl module, which does not load here: {hint}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    path = config.ca_cert or config.ca_path
    try:
        if config.tls_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif config.ca_cert:
            context.load_verify_locations(cafile=path)
        elif config.ca_path:
            for name in sorted(os.listdir(config.ca_path)):  # plain PEM files as Go reads them; OpenSSL itself would want hashed names
                path = os.path.join(config.ca_path, name)
                context.load_verify_locations(cafile=path)
        else:
            context.load_default_certs()
    except OSError as error:
        raise RefusedError(f"cannot load the CA certificates of {path}: {error.strerror or error}") from None
    return context


class Wire:
    """A connection to Vault that ends at a deadline and after so many bytes."""

    def __init__(self, host: str, port: int, deadline: float) -> None:
        self.deadline, self.received, self.buffer = deadline, 0, b""
        reason: OSError | None = None
        # bytes, as a str would load the IDNA tables
        for family, kind, protocol, _, address in socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM):
            self.stream = socket.socket(family, kind, protocol)
            try:
                self.wait()
                self.stream.connect(address)
                return
            except OSError as error:
                self.stream.close()
                reason = error
        raise reason or OSError(f"{host} has no address")

    def wait(self) -> None:
        """Let the next call on the stream take what is left of the time."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.stream.settimeout(left)

    def secure(self, context: ssl.SSLContext, name: str) -> None:
        """TLS from here on, with the server of this name."""
        self.wait()
        self.stream = context.wrap_socket(self.stream, server_hostname=name.encode("ascii"))

    def send(self, data: bytes) -> None:
        self.wait()
        self.stream.sendall(data)

    def more(self) -> bool:
        """Receive some; False when the other side is through."""
        self.wait()
        data = self.stream.recv(16384)
        self.received += len(data)
        if self.received > MOST_ANSWER:
            raise ValueError("it is too long")
        self.buffer += data
        return bool(data)

    def take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not self.more():
                raise ValueError("it ends too early")
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def line(self) -> str:
        while b"\n" not in self.buffer:
            if not self.more():
                raise ValueError("it ends too early")
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode("latin-1").strip()


def read_answer(wire: Wire) -> tuple[int, str]:
    """Status and body of an HTTP/1.1 answer: by length, in chunks, or until the end. ValueError when it is none."""
    status, body = 100, b""
    while 100 <= status < 200:
        version, _, rest = wire.line().partition(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError("it is not HTTP; is vault_addr's scheme right?")
        status, headers = int(rest[:3]), {}
        while line := wire.line():
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int(wire.line().partition(";")[0], 16):
            body += wire.take(size)
            wire.line()
    elif "content-length" in headers:
        body = wire.take(int(headers["content-length"]))
    else:
        while wire.more():
            pass
        body = wire.buffer
    return status, body.decode("utf-8")


def fetch_verdict(config: Config, dev: bool, otp: str) -> dict[str, object]:
    """What Vault says of this password: its `data`. Asks once, as the password is spent by it. Raises RefusedError."""
    secure, host, port, authority, base = parse_address(config.vault_addr, dev)
    body = f'{{"otp":"{otp}"}}'  # the caller saw to it that this is a UUID or the echo request
    head = [
        f"PUT {base}/v1/{config.ssh_mount_point}/verify HTTP/1.1",
        f"Host: {authority}",
        f"User-Agent: vault-ssh-helper/{VERSION}",
        "X-Vault-Request: true",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if config.namespace:
        head.append(f"X-Vault-Namespace: {config.namespace}")
    context = make_context(config) if secure else None
    stage = "cannot reach Vault at"
    try:
        wire = Wire(host, port, time.monotonic() + SECONDS)
        try:
            if context:
                stage = "no TLS with Vault at"
                wire.secure(context, config.tls_server_name or host)
            stage = "no answer from Vault at"
            wire.send("\r\n".join([*head, "", body]).encode("ascii"))
            status, text = read_answer(wire)
        finally:
            wire.stream.close()
    except OSError as error:
        raise RefusedError(f"{stage} {config.vault_addr}: {error.strerror or error}") from None
    except ValueError as error:
        raise RefusedError(f"cannot read the answer from {config.vault_addr}: {error}") from None
    try:
        answer = parse_json(text) if text.strip() else None
    except ValueError:
        answer = None
    fields = answer if isinstance(answer, dict) else {}
    if status != 200:
        errors = fields.get("errors")
        reasons = "; ".join(str(error) for error in errors) if isinstance(errors, list) else ""
        silent = "Vault is sealed or not available" if status == 503 else "no reason given"
        raise RefusedError(f"Vault answered {status}: {reasons or silent}")
    data = fields.get("data")
    if not isinstance(data, dict):
        raise RefusedError("Vault's answer has no data")
    return data


# ------------------------------------------------------------------------------------------------------------------- the verdict


def read_otp(stdin: BinaryIO) -> str:
    """The password from pam_exec, less one NUL at its end. Raises RefusedError when it is no UUID, which is no reason to ask Vault."""
    raw = stdin.read(4096)
    text = raw.removesuffix(b"\0").decode("latin-1")
    if len(text) != 36:
        raise RefusedError("the OTP is no UUID: uuid string is wrong length")
    parts = text.split("-")
    if [len(part) for part in parts] != [8, 4, 4, 4, 12] or not all(is_hex(part) for part in parts):
        raise RefusedError("the OTP is no UUID: uuid string is improperly formatted")
    return text


def check_verdict(data: Mapping[str, object], config: Config, user: str) -> tuple[str, str, str]:
    """User name, address and role of a verified password, if they are this host's to accept, checked in this order. Raises RefusedError."""
    username, ip, role = (value if isinstance(value := data.get(key), str) else "" for key in ("username", "ip", "role_name"))
    if username != user:
        raise RefusedError(f"username mismatch: the OTP is for '{username}'")
    address = pack(ip)
    if address is None:
        raise RefusedError(f"invalid IP '{ip}'")
    if address not in read_addresses():
        if not config.cidrs:
            raise RefusedError(
                f"IP {ip} did not match any of the network interface addresses. "
                "If this was expected, configure the 'allowed_cidr_list' option to allow the IP."
            )
        if not any(len(address) == size and int.from_bytes(address, "big") >> drop == net for size, net, drop in config.cidrs):
            raise RefusedError(f"invalid IP: {ip} is neither an address of this host nor in allowed_cidr_list")
    if config.allowed_roles != "*":
        if not role.strip():
            raise RefusedError("missing role name in the verification response")
        if role.strip() not in [name.strip() for name in config.allowed_roles.split(",")]:
            raise RefusedError(f"role name in the verification response not matching any of the allowed_roles: '{role}'")
    return username, ip, role


def run(argv: Sequence[str], stdin: BinaryIO, environ: Mapping[str, str], log: Log) -> None:
    """The program; returns when all is well. Raises RefusedError."""
    flags = parse_flags(argv)
    log.level = flags.log_level
    if "PAM_TYPE" in environ and (flags.version or flags.help or flags.verify_only):
        raise RefusedError("-version, -help and -verify-only check no password: they cannot stand in a PAM configuration")
    if flags.version or flags.help:
        print(f"vault-ssh-helper v{VERSION}" if flags.version else HELP)
        return
    if not flags.config:
        raise RefusedError("at least one config path must be specified with -config")
    config = read_config(flags.config)
    if flags.dev:
        log.write("warn", "==> WARNING: Dev mode is enabled!")
    elif config.tls_skip_verify:
        log.write("warn", "==> WARNING: TLS certificates are not verified!")
    parse_address(config.vault_addr, flags.dev)
    log.write("info", f"using SSH mount point: {config.ssh_mount_point}")
    log.write("info", f"using namespace: {config.namespace}")
    if flags.verify_only:
        if fetch_verdict(config, flags.dev, ECHO_REQUEST).get("message") != ECHO_RESPONSE:
            raise RefusedError("invalid echo response")
        log.write("info", "vault-ssh-helper verification successful!")
        return
    user = environ.get("PAM_USER", "")
    if not user:
        raise RefusedError("PAM_USER is not set")
    if not config.allowed_roles:
        raise RefusedError("missing allowed_roles")
    log.secret = read_otp(stdin)
    username, ip, role = check_verdict(fetch_verdict(config, flags.dev, log.secret), config, user)
    log.write("info", f"{username}@{ip} authenticated! (role '{role}', from '{environ.get('PAM_RHOST', '')}')")


def main(argv: Sequence[str], stdin: BinaryIO, environ: Mapping[str, str], stderr: TextIO) -> int:
    """Run with these arguments (without the program's name); 0 when the user may come in or the check passed, else 1."""
    log = Log(stderr)
    try:
        run(argv, stdin, environ, log)
    except (RefusedError, OSError) as refused:
        who = f" (user '{environ.get('PAM_USER', '')}' from '{environ.get('PAM_RHOST', '')}')" if "PAM_USER" in environ else ""
        log.write("error", f"{refused}{who}")
        return 1
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:], sys.stdin.buffer, os.environ, sys.stderr)
    sys.stdout.flush()
    os._exit(code)  # a stderr that cannot be flushed would otherwise turn a verdict into exit code 120
