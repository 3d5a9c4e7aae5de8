"""Where audit lines go: a file, standard output, a syslog daemon, a socket. A sink writes a line whole or raises OSError."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import time
from collections.abc import Mapping
from typing import Protocol

from haechi.vault.durations import parse_duration
from haechi.vault.errors import VaultError, invalid

FILE_MODE = 0o600
FOLDER_MODE = 0o700
_STANDARD = ["KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV", "FTP"]
FACILITIES = {name: code for code, name in enumerate(_STANDARD)} | {f"LOCAL{n}": 16 + n for n in range(8)}
INFO = 6  # syslog severity
DEV_LOG = "/dev/log"
SYSLOG_TIMEOUT = 2.0  # seconds


class Sink(Protocol):
    def write(self, line: bytes) -> None:
        """One line with its newline. Raises OSError."""
        ...

    def reopen(self) -> None:
        """Begin anew, after the file was moved away or the peer restarted. Raises OSError."""
        ...

    def close(self) -> None: ...


def describe_failure(failure: OSError | ValueError) -> str:
    """What went wrong, in Go's words: "open /a/b: permission denied"."""
    if isinstance(failure, OSError) and failure.errno:
        where = f"open {failure.filename}: " if failure.filename else ""
        return where + (failure.strerror or os.strerror(failure.errno)).lower()
    return str(failure) or type(failure).__name__


class FileSink:
    """Appends to a file with one write() a line, without waiting for the disk. A file that is moved away is followed until `reopen`."""

    def __init__(self, path: str, mode: int | None) -> None:
        self._path, self._mode = path, mode
        self._file = -1

    def open(self) -> None:
        """Open, make what is missing, and set the file's mode. Raises OSError and (for an impossible path) ValueError."""
        if self._file >= 0:
            return
        os.makedirs(os.path.dirname(self._path) or ".", FOLDER_MODE, exist_ok=True)
        # O_NONBLOCK: a FIFO without a reader must fail, not stop the server
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
        file = os.open(self._path, flags, FILE_MODE if self._mode is None else self._mode)
        try:
            if self._mode is not None and stat.S_ISREG(os.fstat(file).st_mode):
                os.fchmod(file, self._mode)
        except OSError:
            os.close(file)
            raise
        self._file = file

    def write(self, line: bytes) -> None:
        self.open()
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:  # once more, on a file opened anew; a torn line is ended first
            self.close()
            self.open()
            rest = b"\n" + line if written else line
            if os.write(self._file, rest) != len(rest):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None

    def reopen(self) -> None:
        self.close()
        self.open()

    def close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


class StdoutSink:
    def write(self, line: bytes) -> None:
        while line:
            line = line[os.write(1, line) :]

    def reopen(self) -> None:
        """Nothing to do: it is not ours."""

    def close(self) -> None:
        """Nothing to do: it is not ours."""


class DiscardSink:
    """Forgets everything, on purpose."""

    def write(self, line: bytes) -> None:
        """Nothing to do."""

    def reopen(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class SocketSink:
    """Lines to a TCP, UDP or Unix socket. The server waits for each write, at most `timeout` seconds, as it must before it answers."""

    def __init__(self, kind: str, address: str, timeout: float) -> None:
        self._kind, self._address, self._timeout = kind, address, timeout
        self._socket: socket.socket | None = None
        self._rest_until = 0.0  # a peer that was just found dead is not asked again at once: each try may cost the whole timeout

    def _connect(self) -> socket.socket:
        if self._socket is None:
            if time.monotonic() < self._rest_until:
                raise ConnectionError(errno.ECONNREFUSED, "the peer did not answer a moment ago")
            self._rest_until = time.monotonic() + self._timeout
            self._socket = self._connected()
            self._rest_until = 0.0
        return self._socket

    def _connected(self) -> socket.socket:
        if self._kind == "tcp":
            host, port = split_address(self._address)
            return socket.create_connection((host, port), self._timeout)
        family, where = (socket.AF_UNIX, self._address) if self._kind == "unix" else resolve(self._address)
        made = socket.socket(family, socket.SOCK_STREAM if self._kind == "unix" else socket.SOCK_DGRAM)
        try:
            made.settimeout(self._timeout)
            made.connect(where)
        except OSError:
            made.close()
            raise
        return made

    def write(self, line: bytes) -> None:
        try:
            self._connect().sendall(line)
        except OSError:  # once more, on a new connection
            had_one = self._socket is not None
            self.close()
            if not had_one:
                raise
            try:
                self._connect().sendall(line)
            except OSError:
                self.close()
                raise

    def reopen(self) -> None:
        self.close()
        self._rest_until = 0.0
        self._connect()

    def close(self) -> None:
        made, self._socket = self._socket, None
        if made is not None:
            with contextlib.suppress(OSError):
                made.close()


class SyslogSink:
    """Lines to the local syslog daemon, one datagram each; one that is too long for it fails."""

    def __init__(self, facility: str, tag: str, path: str = DEV_LOG) -> None:
        self._priority = FACILITIES[facility] * 8 + INFO
        self._tag, self._path = tag, path
        self._socket: socket.socket | None = None

    def write(self, line: bytes) -> None:
        head = f"<{self._priority}>{time.strftime('%b %e %H:%M:%S')} {self._tag}[{os.getpid()}]: "
        message = head.encode() + line.rstrip(b"\n")
        try:
            self._connect().send(message)
        except OSError:  # once more: the daemon may have been restarted
            self.close()
            self._connect().send(message)

    def _connect(self) -> socket.socket:
        if self._socket is None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                made.settimeout(SYSLOG_TIMEOUT)
                made.connect(self._path)
            except OSError:
                made.close()
                raise
            self._socket = made
        return self._socket

    def reopen(self) -> None:
        self.close()

    def close(self) -> None:
        made, self._socket = self._socket, None
        if made is not None:
            made.close()


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "host:port" or "[v6]:port". Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"address {address}: missing port in address")
    return host.strip("[]"), int(port)


def resolve(address: str) -> tuple[int, tuple[str, int]]:
    """Family and socket address for UDP."""
    host, port = split_address(address)
    family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    return family, (str(where[0]), port)


# From options.


def make_sink(kind: str, options: Mapping[str, str]) -> Sink:
    """The sink for a device type and its options; nothing is opened yet. Raises VaultError 400."""
    makers = {"file": _file, "syslog": _syslog, "socket": _socket}
    if kind not in makers:
        raise invalid(f'unknown backend type: "{kind}"')
    return makers[kind](options)


def refused(path: str, failure: OSError | ValueError) -> VaultError:
    """400 for a file that cannot be opened."""
    return invalid(f'sanity check failed; unable to open "{path}" for writing: {describe_failure(failure)}')


def _file(options: Mapping[str, str]) -> Sink:
    path = options.get("file_path", options.get("path", "")).strip()
    if not path:
        raise invalid("file_path is required")
    if path.lower() == "stdout":
        return StdoutSink()
    if path.lower() == "discard":
        return DiscardSink()
    return FileSink(path, _file_mode(options.get("mode", "")))


def _file_mode(text: str) -> int | None:
    """None: leave the file's mode as it is."""
    if not text:
        return FILE_MODE
    try:
        mode = int(text, 8)
    except ValueError:
        raise invalid(f'strconv.ParseUint: parsing "{text}": invalid syntax') from None
    if mode == 0:
        return None
    if not 0 < mode <= 0o777 or mode & 0o111:
        raise invalid(f"file mode {text} is not allowed: a log is not executable")
    return mode


def _syslog(options: Mapping[str, str]) -> Sink:
    facility = options.get("facility", "AUTH").upper()
    if facility not in FACILITIES:
        raise invalid(f"invalid syslog facility: {facility}")
    return SyslogSink(facility, options.get("tag", "vault"))


def _socket(options: Mapping[str, str]) -> Sink:
    kind, address = options.get("socket_type", "tcp"), options.get("address", "").strip()
    if not address:
        raise invalid("address is required")
    if kind not in ("tcp", "udp", "unix"):
        raise invalid(f'unknown socket_type "{kind}": tcp, udp or unix')
    try:
        timeout = parse_duration(options.get("write_timeout", "2s"))
        if kind != "unix":
            split_address(address)
    except ValueError as failure:
        raise invalid(str(failure)) from None
    if not 0 < timeout <= 30:
        raise invalid("write_timeout must be more than 0 and at most 30s")
    return SocketSink(kind, address, timeout)
