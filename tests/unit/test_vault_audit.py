"""Audit devices: what a line says and does not say, hashes, files, failing closed, reopening."""

from __future__ import annotations

import copy
import json
import logging
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from haechi.vault.audit import AuditBroker, AuditFailed, Device, open_device
from haechi.vault.audit_hmac import TOO_DEEP, client_id, hash_text, hash_values, render_entry
from haechi.vault.audit_sinks import FileSink, SocketSink, SyslogSink, make_sink
from haechi.vault.errors import VaultError
from haechi.vault.logical import LIST, READ, UPDATE, Request
from haechi.vault.mounts import Mount
from tests.vault_view import DictView
from tests.vaultlab import VaultLab

TOKEN, ACCESSOR = "hvs.canary-token", "canary-accessor"
PASSWORD, SECRET_ID, OTP, NEW_TOKEN = "canary-password", "canary-secret-id", "canary-otp", "hvs.canary-new-token"
CANARIES = (TOKEN, ACCESSOR, PASSWORD, SECRET_ID, OTP, NEW_TOKEN)
SALT = b"salt"
NOW = 1_700_000_000.25


class Table(DictView):
    """A transaction as the broker uses it."""


def request(operation: str = UPDATE, data: dict[str, Any] | None = None, **more: Any) -> Request:
    made = Request("req-1", operation, "login/mei", dict(data or {}), remote_address="192.0.2.1", remote_port=4711, **more)
    made.mount = Mount("auth/userpass/", "userpass", accessor="auth_userpass_1")
    made.full_path = "auth/userpass/login/mei"
    made.client_token = TOKEN
    return made


AUTH = {
    "client_token": TOKEN,
    "accessor": ACCESSOR,
    "display_name": "root",
    "policies": ["root"],
    "token_policies": ["root"],
    "policy_results": {"allowed": True},
    "metadata": {},
    "remaining_uses": 0,
    "token_type": "service",
}


def render(kind: str, asked: Request, **more: Any) -> dict[str, Any]:
    return render_entry(kind, asked, **{"auth": AUTH, "salt": SALT, "now": NOW, **more})


def h(text: str) -> str:
    return hash_text(SALT, text)


# Entries.


def test_the_hash_is_an_hmac_with_the_salt_as_key() -> None:
    # RFC 4231, test case 2
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hash_text(b"Jefe", "what do ya want for nothing?") == f"hmac-sha256:{expected}"
    assert hash_text(b"a", "x") != hash_text(b"b", "x")
    assert hash_text(b"a", "\ud800")  # JSON can carry it


def test_the_client_id_of_a_root_token_is_vaults() -> None:
    assert client_id(["root"]) == "0DHqvq2D77kL2/JTPSZkTMJbkFVmUu0TzMi0jiXcFy8="
    assert client_id(["b", "a"]) == client_id(["a", "b"]) != client_id(["a"])


def test_a_request_entry_in_full() -> None:
    asked = request(data={"password": PASSWORD, "n": 3, "on": True, "deep": {"list": [OTP, {"k": SECRET_ID}, None, 1.5]}}, wrap_ttl=60.0)
    entry = render("request", asked)
    assert entry == {
        "time": "2023-11-14T22:13:20.25Z",
        "type": "request",
        "auth": {
            "client_token": h(TOKEN),
            "accessor": h(ACCESSOR),
            "display_name": "root",
            "policies": ["root"],
            "token_policies": ["root"],
            "policy_results": {"allowed": True},
            "token_type": "service",
        },
        "request": {
            "id": "req-1",
            "client_id": "0DHqvq2D77kL2/JTPSZkTMJbkFVmUu0TzMi0jiXcFy8=",
            "operation": "update",
            "mount_point": "auth/userpass/",
            "mount_type": "userpass",
            "mount_accessor": "auth_userpass_1",
            "mount_running_version": "v1.17.6+builtin.vault",
            "mount_class": "auth",
            "client_token": h(TOKEN),
            "client_token_accessor": h(ACCESSOR),
            "namespace": {"id": "root"},
            "path": "auth/userpass/login/mei",
            "data": {"password": h(PASSWORD), "n": 3, "on": True, "deep": {"list": [h(OTP), {"k": h(SECRET_ID)}, None, 1.5]}},
            "remote_address": "192.0.2.1",
            "remote_port": 4711,
            "wrap_ttl": 60,
        },
    }
    assert list(entry) == ["time", "type", "auth", "request"]


def test_a_response_entry_in_full() -> None:
    response = {
        "auth": {"client_token": NEW_TOKEN, "accessor": ACCESSOR, "policies": ["a"], "metadata": {"username": "mei"}, "token_ttl": 60},
        "secret": {"lease_id": "ssh/creds/r/1"},
        "data": {"key": OTP, "port": 22, "created_time": "2023-11-14T22:13:20Z"},
        "warnings": ["careful"],
        "wrap_info": {
            "ttl": 60,
            "token": NEW_TOKEN,
            "accessor": ACCESSOR,
            "creation_time": "t",
            "creation_path": "p",
            "wrapped_accessor": OTP,
        },
    }
    entry = render("response", request(), response=response, error="bad")
    assert list(entry) == ["time", "type", "auth", "request", "response", "error"]
    assert entry["error"] == "bad"
    assert entry["response"] == {
        "auth": {
            "client_token": h(NEW_TOKEN),
            "accessor": h(ACCESSOR),
            "policies": ["a"],
            "metadata": {"username": "mei"},
            "token_type": "default",
            "token_ttl": 60,
        },
        "mount_point": "auth/userpass/",
        "mount_type": "userpass",
        "mount_accessor": "auth_userpass_1",
        "mount_running_plugin_version": "v1.17.6+builtin.vault",
        "mount_class": "auth",
        "secret": {"lease_id": "ssh/creds/r/1"},
        "data": {"key": h(OTP), "port": 22, "created_time": h("2023-11-14T22:13:20Z")},
        "warnings": ["careful"],
        "wrap_info": {
            "ttl": 60,
            "token": h(NEW_TOKEN),
            "accessor": h(ACCESSOR),
            "creation_time": "t",
            "creation_path": "p",
            "wrapped_accessor": h(OTP),
        },
    }


def test_an_entry_without_anything() -> None:
    entry = render_entry("request", Request("id", READ, "sys/x"), auth=None, salt=SALT, now=0)
    assert entry == {
        "time": "1970-01-01T00:00:00Z",
        "type": "request",
        "auth": {"token_type": "default"},
        "request": {"id": "id", "operation": "read", "namespace": {"id": "root"}, "path": "sys/x"},
    }
    denied = render("request", request(), auth=AUTH | {"policy_results": {"allowed": False}}, error="no")
    assert denied["auth"]["policy_results"] == {"allowed": False} and denied["error"] == "no"


def test_raw_shows_everything() -> None:
    entry = render("response", request(data={"password": PASSWORD}), response={"data": {"key": OTP}}, raw=True)
    text = json.dumps(entry)
    assert PASSWORD in text and OTP in text and TOKEN in text and "hmac" not in text


def test_accessors_in_the_clear_when_asked() -> None:
    wrap = {"token": NEW_TOKEN, "accessor": "acc-1", "wrapped_accessor": "acc-2"}
    entry = render("response", request(), response={"auth": AUTH, "wrap_info": wrap}, hmac_accessor=False)
    assert entry["auth"]["accessor"] == entry["request"]["client_token_accessor"] == entry["response"]["auth"]["accessor"] == ACCESSOR
    assert entry["response"]["wrap_info"] == {"token": h(NEW_TOKEN), "accessor": "acc-1", "wrapped_accessor": "acc-2"}
    assert entry["auth"]["client_token"] == h(TOKEN)


def test_named_keys_stay_clear_at_every_depth() -> None:
    data = {"a": "1", "b": "2", "c": [{"a": "3", "b": "4"}], "d": {"a": ["5", {"e": "6"}]}}
    wanted = {"a": "1", "b": h("2"), "c": [{"a": "3", "b": h("4")}], "d": {"a": ["5", {"e": h("6")}]}}
    both = render("response", request(data=data), response={"data": data}, non_hmac_request_keys=["a"], non_hmac_response_keys=["a"])
    assert both["request"]["data"] == both["response"]["data"] == wanted
    one = render("response", request(data=data), response={"data": data}, non_hmac_request_keys=["a"])
    assert one["response"]["data"]["a"] == h("1")


def test_lists_can_be_left_out() -> None:
    response = {"data": {"keys": ["a", "b"], "key_info": {"a": {}, "b": {}, "c": {}}, "other": ["x"]}}
    entry = render("response", request(LIST), response=response, elide=True)
    assert entry["response"]["data"] == {"keys": 2, "key_info": 3, "other": [h("x")]}
    entry = render("response", request(READ), response=response, elide=True)  # no LIST
    assert entry["response"]["data"]["keys"] == [h("a"), h("b")]
    raw = render("response", request(LIST), response=response, elide=True, raw=True)
    assert raw["response"]["data"] == {"keys": 2, "key_info": 3, "other": ["x"]}


def test_only_configured_headers_are_shown() -> None:
    headers = {"x-vault-token": TOKEN, "user-agent": "curl", "correlation-id": "c-1", "x-secret": OTP}
    asked = request(headers=headers)
    assert render("request", asked)["request"]["headers"] == {"correlation-id": ["c-1"]}
    shown = render("request", asked, headers={"user-agent": False, "x-secret": True})["request"]["headers"]
    assert shown == {"user-agent": ["curl"], "x-secret": [h(OTP)]}
    raw = render("request", asked, headers={"x-secret": True}, raw=True)["request"]["headers"]
    assert raw == {"x-secret": [h(OTP)]}  # asked for by name, so also here


def test_what_is_logged_is_not_changed() -> None:
    data = {"a": {"b": ["x"]}, "keys": ["k"]}
    asked, auth = request(LIST, data), copy.deepcopy(AUTH)
    response = {"data": copy.deepcopy(data), "auth": copy.deepcopy(AUTH)}
    before = copy.deepcopy((asked.data, response))
    render("response", asked, auth=auth, response=response, elide=True)
    assert (asked.data, response) == before and auth == AUTH


def test_very_deep_data_does_not_break_the_log() -> None:
    deep: Any = OTP
    for _ in range(5000):
        deep = [deep]
    text = json.dumps(render("request", request(data={"x": deep})))
    assert TOO_DEEP in text and OTP not in text
    with pytest.raises(TypeError):
        hash_values({"x": object()}, SALT)


# Devices.


def file_device(path: Path, **options: str) -> Device:
    return Device("file/", "file", options={"file_path": str(path), **options})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def broker_with(*devices: Device) -> tuple[AuditBroker, Table]:
    broker, table = AuditBroker(lambda: NOW), Table()
    for device in devices:
        broker.enable(table, device)  # type: ignore[arg-type]
    return broker, table


def refusal(device: Device) -> tuple[int, list[str]]:
    with pytest.raises(VaultError) as caught:
        broker_with(device)
    return caught.value.status, caught.value.errors


def talk(broker: AuditBroker) -> None:
    """A request and its response, full of secrets."""
    asked = request(data={"password": PASSWORD, "secret_id": SECRET_ID, "otp": OTP})
    broker.log_request(asked, AUTH)
    broker.log_response(asked, AUTH, {"auth": {"client_token": NEW_TOKEN}, "data": {"key": OTP}})


def test_a_file_gets_a_test_line_and_one_line_each(tmp_path: Path) -> None:
    path = tmp_path / "new" / "audit.log"
    broker, _ = broker_with(file_device(path))
    (test,) = lines(path)
    assert (test["type"], test["request"]["path"], test["request"]["operation"]) == ("request", "sys/audit/test", "update")
    talk(broker)
    assert [line["type"] for line in lines(path)] == ["request", "request", "response"]
    assert path.read_bytes().endswith(b"\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_no_secret_in_the_log_unless_raw(tmp_path: Path) -> None:
    kept, raw = tmp_path / "kept", tmp_path / "raw"
    broker, _ = broker_with(file_device(kept), Device("raw", "file", options={"path": str(raw), "log_raw": "true"}))
    talk(broker)
    assert [canary for canary in CANARIES if canary in kept.read_text()] == []
    assert [canary for canary in CANARIES if canary not in raw.read_text()] == []


def test_audit_hash_finds_lines_of_its_device(tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    broker, _ = broker_with(file_device(one), Device("second", "file", options={"file_path": str(two)}))
    talk(broker)
    assert broker.hash("file", PASSWORD) == lines(one)[1]["request"]["data"]["password"]
    assert broker.hash("second/", PASSWORD) == lines(two)[1]["request"]["data"]["password"]
    assert broker.hash("file", PASSWORD) != broker.hash("second", PASSWORD)
    with pytest.raises(VaultError) as caught:
        broker.hash("none", "x")
    assert (caught.value.status, caught.value.errors) == (400, ['unknown audit backend "none/"'])


def test_the_mounts_tuning_decides_what_stays_clear(tmp_path: Path) -> None:
    broker, _ = broker_with(file_device(tmp_path / "a"))
    asked = request(data={"user": "mei", "password": PASSWORD})
    asked.mount.config["audit_non_hmac_request_keys"] = ["user"]
    asked.mount.config["audit_non_hmac_response_keys"] = ["shown"]
    broker.log_response(asked, AUTH, {"data": {"shown": "yes", "user": "mei"}})
    line = lines(tmp_path / "a")[-1]
    assert line["request"]["data"]["user"] == "mei" and line["response"]["data"]["shown"] == "yes"
    assert line["response"]["data"]["user"].startswith("hmac-sha256:")
    assert PASSWORD not in (tmp_path / "a").read_text()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "file_path is required"),
        ({"file_path": " "}, "file_path is required"),
        ({"file_path": "discard", "format": "jsonx"}, 'format type "jsonx" is not offered: use "json"'),
        ({"file_path": "discard", "format": "xml"}, 'unknown format type "xml"'),
        (
            {"file_path": "discard", "log_raw": "perhaps"},
            'unable to parse option "log_raw": strconv.ParseBool: parsing "perhaps": invalid syntax',
        ),
        ({"file_path": "/tmp/x", "mode": "999"}, 'strconv.ParseUint: parsing "999": invalid syntax'),
        ({"file_path": "/tmp/x", "mode": "0755"}, "file mode 0755 is not allowed: a log is not executable"),
    ],
)
def test_options_that_are_refused(options: dict[str, str], text: str) -> None:
    assert refusal(Device("file", "file", options=options)) == (400, [text])


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, errors = refusal(file_device(tmp_path / "file" / "below" / "log"))
    assert status == 400
    assert errors[0].startswith(f'sanity check failed; unable to open "{tmp_path}/file/below/log" for writing: ')
    assert errors[0].endswith(": not a directory")
    assert refusal(file_device(tmp_path))[1][0].endswith(f"open {tmp_path}: is a directory")
    assert refusal(Device("file", "file", options={"file_path": "/tmp/\0"}))[0] == 400
    os.mkfifo(tmp_path / "fifo")  # without a reader: must not hang
    assert refusal(file_device(tmp_path / "fifo"))[1][0].startswith("sanity check failed")


def test_the_table() -> None:
    discard = {"file_path": "discard"}
    broker, table = broker_with(Device("a/b/", "file", "mine", discard, True))
    assert broker.listed() == {"a/b/": {"path": "a/b/", "type": "file", "description": "mine", "options": discard, "local": True}}
    for path in ("a/b", "a", "a/b/c", "", "/"):
        with pytest.raises(VaultError) as caught:
            broker.enable(table, Device(path, "file", options=discard))  # type: ignore[arg-type]
        assert caught.value.status == 400
    assert caught.value.errors == ["backend path must be specified"]
    with pytest.raises(VaultError, match="path already in use"):
        broker.enable(table, Device("a/b", "file", options=discard))  # type: ignore[arg-type]
    with pytest.raises(VaultError, match='unknown backend type: "wood"'):
        broker.enable(table, Device("w", "wood"))  # type: ignore[arg-type]
    assert broker.disable(table, "a/b") is True  # type: ignore[arg-type]
    assert broker.disable(table, "a/b") is False  # type: ignore[arg-type]
    assert broker.listed() == {} and table.entries == {}


def test_the_table_outlives_the_process_with_its_salts_and_headers(tmp_path: Path) -> None:
    broker, table = broker_with(file_device(tmp_path / "a"))
    broker.set_header(table, "X-Team", True)  # type: ignore[arg-type]
    broker.close()
    assert broker.devices == {}
    again = AuditBroker(lambda: NOW)
    again.load(table)  # type: ignore[arg-type]
    talk(again)
    assert len(lines(tmp_path / "a")) == 3  # loading writes no test line
    assert again.hash("file", PASSWORD) == lines(tmp_path / "a")[1]["request"]["data"]["password"]
    assert again.headers == {"correlation-id": False, "x-correlation-id": False, "x-team": True}
    again.remove_header(table, "x-TEAM")  # type: ignore[arg-type]
    assert "x-team" not in again.headers
    kept = again.devices["file/"]
    again.load(table)  # type: ignore[arg-type]
    assert again.devices["file/"] is kept


def test_loading_forgets_a_device_whose_entry_was_lost(tmp_path: Path) -> None:
    broker, table = broker_with(file_device(tmp_path / "a"))
    table.delete_all()
    broker.load(table)  # type: ignore[arg-type]
    assert broker.devices == {}


def test_without_devices_nothing_is_demanded() -> None:
    talk(AuditBroker())


def test_fails_closed_when_no_device_can_write(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    broker, table = broker_with(file_device(folder / "audit.log"))
    broker.close()
    folder.rename(tmp_path / "moved")
    folder.write_text("no folder any more")
    broker.load(table)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(AuditFailed) as caught:
            broker.log_request(request(), AUTH)
        assert (caught.value.status, caught.value.errors) == (500, ["1 error occurred:\n\t* internal error\n\n"])
    with pytest.raises(AuditFailed):
        broker.log_response(request(), AUTH, {})
    folder.unlink()
    talk(broker)  # as soon as it can be written again
    assert len(lines(folder / "audit.log")) == 2


class Broken:
    """A sink on a full disk."""

    full = True

    def write(self, line: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")

    def reopen(self) -> None:
        raise OSError(28, "No space left on device")

    def close(self) -> None:
        pass


def test_one_working_device_is_enough_and_the_other_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broker, _ = broker_with(file_device(tmp_path / "a"), Device("bad", "file", options={"file_path": "discard"}))
    broken = Broken()
    broker.devices["bad/"].sink = broken
    with caplog.at_level(logging.INFO, "haechi.vault.audit"):
        talk(broker)
        talk(broker)
        broken.full = False
        talk(broker)
    assert caplog.messages == [
        "audit device bad/ cannot be written: no space left on device",
        "audit device bad/ can be written again",
    ]
    assert not [canary for canary in CANARIES if canary in caplog.text]
    assert len(lines(tmp_path / "a")) == 7


def test_a_moved_file_is_followed_until_reopened(tmp_path: Path) -> None:
    path, old = tmp_path / "audit.log", tmp_path / "audit.log.1"
    broker, _ = broker_with(file_device(path))
    path.rename(old)
    talk(broker)
    assert not path.exists() and len(lines(old)) == 3
    broker.reopen()
    talk(broker)
    assert len(lines(path)) == 2 and len(lines(old)) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_device_that_cannot_be_reopened_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broker, _ = broker_with(file_device(tmp_path / "a"))
    broker.devices["file/"].sink = Broken()
    broker.reopen()
    assert caplog.messages == ["audit device file/ cannot be reopened: no space left on device"]


def test_file_modes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("")
    path.chmod(0o666)
    broker_with(file_device(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    broker_with(file_device(path, mode="0640"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    broker_with(file_device(path, mode="0000"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    broker_with(file_device(Path("/dev/null"), mode="0640"))
    assert stat.S_IMODE(os.stat("/dev/null").st_mode) == 0o666


def test_a_line_is_one_append(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker, _ = broker_with(file_device(tmp_path / "a", prefix="@cee: "))
    writes: list[bytes] = []
    real = os.write

    def spy(file: int, data: bytes) -> int:
        writes.append(bytes(data))
        return real(file, data)

    monkeypatch.setattr(os, "write", spy)
    talk(broker)
    assert len(writes) == 2
    assert all(data.startswith(b'@cee: {"time":') and data.count(b"\n") == 1 and data.endswith(b"\n") for data in writes)


def test_a_torn_line_is_written_again_on_a_line_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FileSink(str(tmp_path / "a"), 0o600)
    real, calls = os.write, []

    def flaky(file: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) == 1:
            return real(file, data[:3])
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        return real(file, data)

    monkeypatch.setattr(os, "write", flaky)
    sink.write(b"a whole line\n")
    monkeypatch.undo()
    assert (tmp_path / "a").read_text() == "a w\na whole line\n"
    sink.close()


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    broker, _ = broker_with(Device("out", "file", options={"file_path": "STDOUT"}))
    talk(broker)
    broker.reopen()
    assert [json.loads(line)["type"] for line in capfd.readouterr().out.splitlines()] == ["request", "request", "response"]


def receive(server: socket.socket, count: int) -> list[bytes]:
    return [server.recv(65536) for _ in range(count)]


def serve_lines(server: socket.socket, wanted: int) -> tuple[threading.Thread, list[bytes]]:
    """Accept one connection and read so many lines from it."""
    found: list[bytes] = []

    def run() -> None:
        peer, _ = server.accept()
        with peer, peer.makefile("rb") as reader:
            found.extend(reader.readline() for _ in range(wanted))

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_stream_socket(kind: str, tmp_path: Path) -> None:
    server = socket.socket(socket.AF_INET if kind == "tcp" else socket.AF_UNIX)
    with server:
        server.bind(("127.0.0.1", 0) if kind == "tcp" else str(tmp_path / "sock"))
        server.listen()
        server.settimeout(10)
        where = f"127.0.0.1:{server.getsockname()[1]}" if kind == "tcp" else str(tmp_path / "sock")
        thread, found = serve_lines(server, 3)
        broker, _ = broker_with(Device("net", "socket", options={"socket_type": kind, "address": where}))
        talk(broker)
        thread.join(10)
        broker.close()
    assert [json.loads(line)["type"] for line in found] == ["request", "request", "response"]


def test_a_datagram_socket() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        where = f"127.0.0.1:{server.getsockname()[1]}"
        broker, _ = broker_with(Device("net", "socket", options={"socket_type": "udp", "address": where}))
        talk(broker)
        found = receive(server, 3)
        broker.close()
    assert [json.loads(line)["type"] for line in found] == ["request", "request", "response"]


def test_a_dead_peer_is_refused_when_enabled_and_closes_later(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    device = Device("net", "socket", options={"socket_type": "unix", "address": path})
    assert refusal(device) == (400, ["audit backend failed test message: no such file or directory"])
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        broker, _ = broker_with(Device("net", "socket", options={"socket_type": "unix", "address": path}))
    os.unlink(path)
    with pytest.raises(AuditFailed):
        for _ in range(3):  # the first may still go into the dead connection's buffer
            broker.log_request(request(), AUTH)
    broker.close()


def test_a_restarted_peer_is_found_again(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    sink = SocketSink("unix", path, 2.0)
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            server.settimeout(10)
            sink.write(b"line\n")
            peer, _ = server.accept()
            with peer:
                assert peer.recv(100) == b"line\n"
        os.unlink(path)
    sink.close()


def test_syslog(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
        server.settimeout(10)
        sink = SyslogSink("LOCAL3", "vault", str(tmp_path / "log"))
        sink.write(b'{"a":1}\n')
        sink.reopen()
        sink.write(b'{"a":2}\n')
        first, second = receive(server, 2)
        sink.close()
    assert first.startswith(b"<158>") and first.endswith(f' vault[{os.getpid()}]: {{"a":1}}'.encode())  # local3 = 19, info = 6
    assert second.endswith(b'{"a":2}')
    with pytest.raises(OSError):
        SyslogSink("AUTH", "vault", str(tmp_path / "none")).write(b"x\n")


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        ("syslog", {"facility": "wood"}, "invalid syslog facility: WOOD"),
        ("socket", {}, "address is required"),
        ("socket", {"address": "host"}, "address host: missing port in address"),
        ("socket", {"address": "h:1", "socket_type": "ip"}, 'unknown socket_type "ip": tcp, udp or unix'),
        ("socket", {"address": "h:1", "write_timeout": "1"}, ""),
        ("socket", {"address": "h:1", "write_timeout": "soon"}, 'time: invalid duration "soon"'),
        ("socket", {"address": "h:1", "write_timeout": "1h"}, "write_timeout must be more than 0 and at most 30s"),
        ("kafka", {}, 'unknown backend type: "kafka"'),
    ],
)
def test_options_of_other_types(kind: str, options: dict[str, str], text: str) -> None:
    def refused(make: Callable[..., Any]) -> str:
        try:
            make(kind, options)
        except VaultError as refusal:
            return str(refusal)
        return ""

    assert refused(make_sink) == text


def test_the_salt_stays_out_of_reprs(tmp_path: Path) -> None:
    device = file_device(tmp_path / "a")
    assert device.salt not in repr(device) and device.salt not in json.dumps(device.listed())
    opened = open_device(device, NOW)
    assert device.salt not in repr(opened)
    opened.sink.close()


# Through the whole Vault.


@pytest.fixture
def vault() -> Iterator[VaultLab]:
    vault = VaultLab()
    yield vault
    vault.close()


def enable(vault: VaultLab, path: Path, name: str = "file", **options: str) -> None:
    vault.ok("PUT", f"sys/audit/{name}", {"type": "file", "options": {"file_path": str(path), **options}})


def test_every_request_and_answer_is_written(vault: VaultLab, tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    enable(vault, path)
    assert vault.ok("GET", "sys/audit")["data"]["file/"]["options"] == {"file_path": str(path)}
    before = len(lines(path))
    vault.ok("PUT", "sys/policies/acl/p", {"policy": 'path "x" { capabilities = ["read"] }'})
    vault.refused("GET", "nowhere/at/all")
    vault.refused("GET", "sys/mounts", token="hvs.unknown")
    found = lines(path)[before:]
    assert [(line["type"], line["request"]["path"]) for line in found] == [
        (kind, where) for where in ("sys/policies/acl/p", "nowhere/at/all", "sys/mounts") for kind in ("request", "response")
    ]
    asked, answered = found[0], found[1]
    assert asked["auth"]["policies"] == ["root"] and asked["auth"]["policy_results"]["allowed"] is True
    assert asked["request"]["remote_address"] == "127.0.0.1" and asked["request"]["mount_point"] == "sys/"
    assert asked["request"]["id"] == answered["request"]["id"]
    assert asked["auth"]["client_token"] == vault.ok("POST", "sys/audit-hash/file", {"input": vault.root})["data"]["hash"]
    assert "no handler for route" in found[3]["error"]
    assert "permission denied" in found[5]["error"]


def test_no_secret_of_any_kind_reaches_the_log(vault: VaultLab, tmp_path: Path) -> None:
    enable(vault, tmp_path / "kept")
    vault.ok("POST", "sys/auth/userpass", {"type": "userpass"})
    vault.ok("POST", "sys/auth/approle", {"type": "approle"})
    vault.ok("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    vault.ok("POST", "sys/mounts/ssh", {"type": "ssh"})
    secrets = [vault.root, PASSWORD, "canary-value"]
    vault.ok("POST", "auth/userpass/users/mei", {"password": PASSWORD, "policies": "default"})
    login = vault.ok("POST", "auth/userpass/login/mei", {"password": PASSWORD}, token="")["auth"]
    secrets += [login["client_token"], login["accessor"]]
    vault.refused("POST", "auth/userpass/login/mei", {"password": PASSWORD + "-mistyped"}, token="")
    vault.ok("POST", "kv/data/a", {"data": {"key": "canary-value", "deep": [{"x": "canary-value"}]}})
    vault.ok("GET", "kv/data/a")
    vault.ok("POST", "ssh/roles/r", {"key_type": "otp", "default_user": "mei", "cidr_list": "0.0.0.0/0"})
    otp = vault.ok("POST", "ssh/creds/r", {"ip": "192.0.2.1"})["data"]["key"]
    vault.ok("PUT", "ssh/verify", {"otp": otp}, token="")
    vault.refused("PUT", "ssh/verify", {"otp": otp}, token="")
    vault.ok("POST", "auth/approle/role/web", {"role_id": "web-id"})
    secret = vault.ok("POST", "auth/approle/role/web/secret-id", {})["data"]["secret_id"]
    vault.ok("POST", "auth/approle/login", {"role_id": "web-id", "secret_id": secret}, token="")
    vault.refused("POST", "auth/approle/login", {"role_id": "web-id", "secret_id": secret + "x"}, token="")
    wrapped = vault.ok("GET", "kv/data/a", headers={"X-Vault-Wrap-TTL": "60"})["wrap_info"]
    vault.ok("POST", "sys/wrapping/unwrap", {"token": wrapped["token"]})
    batch = vault.ok("POST", "auth/token/create", {"type": "batch", "policies": ["default"]})["auth"]["client_token"]
    vault.ok("POST", "auth/token/lookup", {"token": batch})
    secrets += [otp, secret, wrapped["token"], wrapped["accessor"], batch]
    text = (tmp_path / "kept").read_text()
    assert [found for found in secrets if found in text] == []
    assert text.count('"type":"response"') > 20


def test_raw_shows_what_is_asked_and_answered(vault: VaultLab, tmp_path: Path) -> None:
    enable(vault, tmp_path / "raw", log_raw="true")
    vault.ok("POST", "sys/mounts/kv", {"type": "kv"})
    vault.ok("POST", "kv/a", {"key": "canary-value"})
    assert "canary-value" in (tmp_path / "raw").read_text() and vault.root in (tmp_path / "raw").read_text()


def test_a_login_line_names_the_new_token(vault: VaultLab, tmp_path: Path) -> None:
    enable(vault, tmp_path / "a")
    vault.ok("POST", "sys/auth/userpass", {"type": "userpass"})
    vault.ok("POST", "auth/userpass/users/mei", {"password": PASSWORD})
    token = vault.ok("POST", "auth/userpass/login/mei", {"password": PASSWORD}, token="")["auth"]["client_token"]
    asked, answered = lines(tmp_path / "a")[-2:]
    hashed = vault.ok("POST", "sys/audit-hash/file", {"input": token})["data"]["hash"]
    assert "client_token" not in asked["auth"]
    assert answered["auth"]["client_token"] == answered["response"]["auth"]["client_token"] == hashed
    assert answered["auth"]["metadata"] == {"username": "mei"}
    assert "data" not in answered["response"] and answered["request"]["data"]["password"].startswith("hmac-sha256:")


def test_nothing_is_done_when_it_cannot_be_written(vault: VaultLab, tmp_path: Path) -> None:
    vault.ok("POST", "sys/mounts/kv", {"type": "kv"})
    vault.ok("POST", "kv/a", {"key": "old"})
    enable(vault, tmp_path / "a")
    broken = Broken()
    vault.core.audit.devices["file/"].sink = broken
    for method, path in (("POST", "kv/a"), ("GET", "kv/a"), ("DELETE", "sys/audit/file")):
        assert vault.refused(method, path, {"key": "new"} if method == "POST" else None)[0] == 500
    assert vault.call("GET", "sys/health")[0] == 200  # not audited
    broken.full = False
    assert vault.ok("GET", "kv/a")["data"] == {"key": "old"}
    vault.ok("DELETE", "sys/audit/file")
    assert vault.ok("GET", "sys/audit")["data"] == {}


def test_devices_come_back_after_a_seal(vault: VaultLab, tmp_path: Path) -> None:
    enable(vault, tmp_path / "a")
    hashed = vault.ok("POST", "sys/audit-hash/file", {"input": "x"})["data"]["hash"]
    vault.ok("PUT", "sys/seal")
    assert vault.core.audit.devices == {}
    vault.ok("PUT", "sys/unseal", {"key": vault.keys[0]})
    before = len(lines(tmp_path / "a"))
    assert vault.ok("POST", "sys/audit-hash/file", {"input": "x"})["data"]["hash"] == hashed
    assert len(lines(tmp_path / "a")) == before + 2


def test_refusals_over_http(vault: VaultLab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, errors = vault.refused("PUT", "sys/audit/x", {"type": "file", "options": {"file_path": f"{tmp_path}/file/log"}})
    assert status == 400 and errors[0].startswith("sanity check failed; unable to open ")
    assert vault.refused("PUT", "sys/audit/x", {"type": "wood"}) == (400, ['unknown backend type: "wood"'])
    assert vault.refused("POST", "sys/audit-hash/none", {"input": "x"}) == (400, ['unknown audit backend "none/"'])
    assert vault.call("DELETE", "sys/audit/none") == (204, None)
    assert vault.ok("GET", "sys/audit")["data"] == {}
