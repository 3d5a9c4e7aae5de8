"""Hosts on this machine's kernel: boot, log in, power, disks, images, crashes. Needs root; uses site 11."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from haechi.dataplane import image, kernel, plan, sysctls
from haechi.dataplane.cgroup import Cgroups
from haechi.dataplane.host import Hosts, sysctls_needed
from haechi.dataplane.image import Images
from haechi.dataplane.site import Site

PASSWORD = "Tr0ub4dor&3"
PEER = "hx11-peer"


class Lan:
    """A namespace that every host has a wire to; it also answers as the metadata service."""

    def __init__(self) -> None:
        kernel.netns_delete(PEER)
        kernel.netns_add(PEER, [("net/ipv4/ip_forward", "0")])
        kernel.ip("addr add 100.100.100.200/32 dev lo", netns=PEER)
        self.user_data: dict[str, bytes] = {}  # by address
        self.asked: list[tuple[str, str]] = []
        lan = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                address = self.client_address[0]
                lan.asked.append((address, self.path))
                body = {"/latest/meta-data/instance-id": f"i-{address}".encode(), "/latest/user-data": lan.user_data.get(address)}
                body |= {"/2016-01-01/user-data": lan.user_data.get(address), "/2016-01-01/meta-data/instance-id": f"i-{address}".encode()}
                body |= {"/2016-01-01/meta-data/": b"instance-id\nhostname", "/2016-01-01/meta-data/hostname": b"from-metadata"}
                data = body.get(self.path)
                self.send_response(404 if data is None else 200)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = kernel.inside(PEER, lambda: ThreadingHTTPServer(("100.100.100.200", 80), Handler))
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def plug(self, site: Site, host: plan.Host) -> None:
        net = host.port.address.rpartition(".")[0]
        wire, netns = f"hx11p{net.split('.')[2]}", site.netns(host.id)
        kernel.ip(f"link add {wire} netns {PEER} type veth peer name eth0 netns {netns}")
        kernel.ip(f"addr add {net}.1/24 dev {wire}", f"link set {wire} up", netns=PEER)
        kernel.ip(f"addr add {host.port.address}/24 dev eth0", "link set eth0 up", f"route add default via {net}.1", netns=netns)

    def ssh(self, address: str, command: str, *, user: str = "root", password: str = PASSWORD, key: Path | None = None) -> str:
        """Output of a command; PermissionError when the login is refused."""
        options = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oConnectTimeout=10", "-oLogLevel=ERROR", "-F/dev/null"]
        if key:
            how = ["ssh", f"-i{key}", "-oIdentitiesOnly=yes", "-oBatchMode=yes"]
        else:
            how = ["sshpass", "-p", password, "ssh", "-oPubkeyAuthentication=no", "-oNumberOfPasswordPrompts=1"]
        full = ["ip", "netns", "exec", PEER, *how, *options, f"{user}@{address}", command]
        done = subprocess.run(full, capture_output=True, text=True, timeout=60)
        if "Permission denied (" in done.stderr or (not key and done.returncode == 5):
            raise PermissionError(done.stderr)
        if done.returncode == 255 and "reboot" not in command and "poweroff" not in command:
            raise ConnectionError(done.stderr)
        return done.stdout.strip()

    def host_key(self, address: str) -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", PEER, "ssh-keyscan", "-t", "ed25519", address], capture_output=True, text=True, timeout=20
        )
        return done.stdout.split()[-1]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        kernel.netns_delete(PEER)


class Field:
    """Hosts, images and wires of one site, with what tests do again and again."""

    def __init__(self, site: Site, lan: Lan) -> None:
        self.site, self.lan = site, lan
        self.images = Images(site)
        self.hosts = Hosts(site, self.images)
        self.groups = Cgroups(site.prefix)

    def start(self, host: plan.Host, wait: bool = True) -> plan.Host:
        self.hosts.prepare(host)
        if not kernel.run("ip", "-n", self.site.netns(host.id), "-o", "link", "show", "type", "veth"):
            self.lan.plug(self.site, host)
        self.hosts.boot(host)
        if wait:
            assert self.hosts.wait_ready(host.id, 30), self.hosts.console(host.id).decode()
        return host

    def ssh(self, host: plan.Host, command: str, **how: object) -> str:
        return self.lan.ssh(host.port.address, command, **how)  # type: ignore[arg-type]

    def left(self) -> list[str]:
        """Everything of the site that is still there, apart from images."""
        found = [str(path) for path in (self.site.home / "hosts").glob("*")]
        found += [str(path) for path in kernel.NETNS.glob("hx11-*") if path.name != PEER]
        found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if "hx11-" in line and PEER not in line]
        found += [f"group {id}" for id in self.groups.ids()]
        found += [str(path) for top in ("memory", "pids", "cpu") for path in Path(f"/sys/fs/cgroup/{top}/hx11").glob("i-*")]
        return found


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    home = tmp_path_factory.mktemp("site")
    site = Site(11, home / "home", home / "run", Path(os.environ.get("HAECHI_CACHE", "/var/cache/haechi")))
    sysctls.hold("hx11", sysctls_needed())
    lan = Lan()
    field = Field(site, lan)
    try:
        field.images.ensure_base(lambda words: None)
        yield field
    finally:
        field.hosts.destroy()
        lan.close()
        sysctls.release("hx11")
    assert field.left() == []
    assert not (site.home / "images").exists() and not (site.home / "hosts").exists()
    assert not field.groups.root.exists()


@pytest.fixture(scope="module")
def hashed() -> str:
    return subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, capture_output=True, text=True, check=True).stdout.strip()


def make_key(path: Path) -> tuple[Path, str]:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)], check=True)
    return path, path.with_suffix(".pub").read_text().strip()


@pytest.fixture
def make(field: Field, hashed: str) -> Iterator[Callable[..., plan.Host]]:
    """Plans of hosts with distinct addresses; whatever was started of them is deleted."""
    made: list[str] = []

    def new(**values: object) -> plan.Host:
        number = 1 + len(made)
        host = plan.Host(
            f"i-{number}", f"host-{number}", "base", plan.Port(f"eni-{number}", "n", "s", f"10.77.{number}.11", ""), password_hash=hashed
        )
        made.append(host.id)
        field.lan.user_data.pop(host.port.address, None)
        return replace(host, **values)  # type: ignore[arg-type]

    yield new
    for id in made:
        field.hosts.delete(id)
    assert field.left() == []


def wait_for(what: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def shim_of(field: Field, id: str) -> int:
    """The launcher of a host: the one that holds its lock."""
    inode = (field.site.home / "hosts" / id / "shim.lock").stat().st_ino
    pids = (field.groups.root / "_shims" / "cgroup.procs").read_text().split()
    for pid in pids:
        if any(fd.exists() and fd.stat().st_ino == inode for fd in Path(f"/proc/{pid}/fd").iterdir()):
            return int(pid)
    raise AssertionError(f"no launcher of {id} among {pids}")


def test_boot_and_log_in(field: Field, make: Callable[..., plan.Host], tmp_path: Path, hashed: str) -> None:
    key, public = make_key(tmp_path / "right")
    other, _ = make_key(tmp_path / "wrong")
    host = make(public_keys=(public,), nameservers=("192.0.2.53",))
    assert field.hosts.state(host.id) == "absent" and not field.hosts.wait_ready(host.id, 1)
    field.hosts.prepare(host)
    assert field.hosts.state(host.id) == "stopped" and field.hosts.states() == {host.id: "stopped"}
    field.start(host)
    assert field.hosts.state(host.id) == "running" and field.hosts.states() == {host.id: "running"}

    assert field.ssh(host, "hostname") == "host-1"
    assert field.ssh(host, "hostname", key=key) == "host-1"
    with pytest.raises(PermissionError):
        field.ssh(host, "true", password="wrong")
    with pytest.raises(PermissionError):
        field.ssh(host, "true", key=other)
    assert field.ssh(host, "systemctl is-system-running --wait") == "running"
    assert field.ssh(host, "cat /etc/resolv.conf") == "nameserver 192.0.2.53"
    assert "10.77.1.11 host-1" in field.ssh(host, "cat /etc/hosts")
    assert float(field.ssh(host, "cut -d. -f1 /proc/uptime")) < 60
    assert field.ssh(host, "readlink /proc/1/ns/user") != os.readlink("/proc/self/ns/user")
    assert b"Debian" in field.hosts.console(host.id)

    secrets = (hashed.encode(), public.split()[1].encode())
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in lines if any(secret in line for secret in secrets)]
    home = field.site.home / "hosts" / host.id
    assert home.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in home.iterdir() if path.is_file())


def test_without_a_password_hash_only_keys_are_accepted(field: Field, make: Callable[..., plan.Host], tmp_path: Path) -> None:
    key, public = make_key(tmp_path / "key")
    host = field.start(make(password_hash="", public_keys=(public,)))
    assert field.ssh(host, "id -u", key=key) == "0"
    with pytest.raises(PermissionError, match=r"\(publickey\)"):
        field.ssh(host, "true")


def test_another_user_logs_in_and_is_root_by_sudo(field: Field, make: Callable[..., plan.Host], tmp_path: Path) -> None:
    key, public = make_key(tmp_path / "key")
    host = field.start(make(user="ecs-user", public_keys=(public,)))
    assert field.ssh(host, "id -un; pwd; sudo -n id -u", user="ecs-user").split() == ["ecs-user", "/home/ecs-user", "0"]
    assert field.ssh(host, "id -un", user="ecs-user", key=key) == "ecs-user"
    with pytest.raises(PermissionError):
        field.ssh(host, "true", user="nobody-here")


def test_plan_changes_reach_the_guest_and_its_own_changes_stay(field: Field, make: Callable[..., plan.Host], tmp_path: Path) -> None:
    old, old_public = make_key(tmp_path / "old")
    new, new_public = make_key(tmp_path / "new")
    own, own_public = make_key(tmp_path / "own")
    host = field.start(make(public_keys=(old_public,)))
    identity = field.lan.host_key(host.port.address), field.ssh(host, "cat /etc/machine-id")
    field.ssh(host, f"echo '{own_public}' >> /root/.ssh/authorized_keys; echo 'root:Own-pass-1' | chpasswd; echo 10.0.0.1 db >> /etc/hosts")
    field.hosts.stop(host.id)
    field.start(host)  # nothing changed: the guest keeps its own password
    assert field.ssh(host, "id -u", password="Own-pass-1") == "0"
    field.hosts.prepare(replace(host, hostname="renamed", public_keys=(new_public,)))
    assert field.ssh(host, "hostname", password="Own-pass-1") == "host-1"  # not while it runs
    field.hosts.stop(host.id)
    field.start(replace(host, hostname="renamed", public_keys=(new_public,)))
    assert field.ssh(host, "hostname", key=new) == "renamed"
    assert field.ssh(host, "hostname", key=own) == "renamed"
    with pytest.raises(PermissionError):
        field.ssh(host, "hostname", key=old)
    hosts = field.ssh(host, "cat /etc/hosts", key=new)
    assert "10.0.0.1 db" in hosts and "10.77.1.11 renamed" in hosts and "host-1" not in hosts
    assert (field.lan.host_key(host.port.address), field.ssh(host, "cat /etc/machine-id", key=new)) == identity


def test_stop_and_start_keep_files_and_give_a_clean_network(field: Field, make: Callable[..., plan.Host]) -> None:
    host = field.start(make())
    field.ssh(host, "echo kept > /root/file; echo gone > /run/file; ip addr add 192.0.2.9/32 dev lo; sync")
    began = time.monotonic()
    field.hosts.stop(host.id)
    assert time.monotonic() - began < 10, "asked nicely, it ends long before it is killed"
    assert b"Powering off" in field.hosts.console(host.id)
    assert field.hosts.state(host.id) == "stopped"
    assert not kernel.netns_exists(field.site.netns(host.id)) and not field.groups.ids()
    assert "hx11p1" not in kernel.run("ip", "-n", PEER, "link", "show")
    field.hosts.stop(host.id)  # again: nothing to do
    field.start(host)
    assert field.ssh(host, "cat /root/file; cat /run/file 2>/dev/null; ip -o addr show lo | grep -c 192.0.2.9 || true") == "kept\n0"
    field.ssh(host, "echo kept > /root/file; sync")
    field.hosts.stop(host.id, force=True)
    assert field.hosts.state(host.id) == "stopped"
    with pytest.raises(ValueError, match="not running"):
        field.hosts.reboot(host.id)


@pytest.mark.parametrize("how", ["inside", "asked", "forced"])
def test_reboot(field: Field, make: Callable[..., plan.Host], how: str) -> None:
    host = field.start(make())
    field.ssh(host, "echo kept > /root/file; echo gone > /run/file; sync")
    first = field.groups.init(host.id)
    if how == "inside":
        field.ssh(host, "systemctl reboot")
        wait_for(lambda: field.groups.init(host.id) not in (0, first))
    else:
        field.hosts.reboot(host.id, force=how == "forced")
    assert field.groups.init(host.id) not in (0, first)
    assert field.hosts.wait_ready(host.id, 20)
    assert field.ssh(host, "cat /root/file; ls /run/file 2>/dev/null; cut -d. -f1 /proc/uptime").split()[0] == "kept"
    assert field.ssh(host, "ls /run/file 2>/dev/null || echo none") == "none"
    assert not (field.site.home / "hosts" / host.id / "reboot").exists()


def test_poweroff_inside_is_seen_and_it_starts_again(field: Field, make: Callable[..., plan.Host]) -> None:
    host = field.start(make())
    field.ssh(host, "echo kept > /root/file; systemctl poweroff")
    wait_for(lambda: field.hosts.state(host.id) == "stopped")
    time.sleep(0.3)
    assert field.hosts.state(host.id) == "stopped", "a poweroff is not a reboot"
    assert not field.hosts.wait_ready(host.id, 5)
    field.start(host)
    assert field.ssh(host, "cat /root/file") == "kept"


def test_prepare_and_boot_twice_change_nothing(field: Field, make: Callable[..., plan.Host]) -> None:
    host = make()
    field.hosts.prepare(host)
    field.lan.plug(field.site, host)
    field.hosts.prepare(host)  # between plug and boot: the wire stays
    field.hosts.boot(host)
    first = field.groups.init(host.id)
    field.hosts.boot(host)
    field.hosts.prepare(host)
    assert field.groups.init(host.id) == first
    assert field.hosts.wait_ready(host.id, 20) and field.ssh(host, "id -u") == "0"


def test_memory_limit_kills_the_greedy_process_and_not_the_host(field: Field, make: Callable[..., plan.Host]) -> None:
    host = field.start(make(memory_mib=128))
    eat = "python3 -c 'b = bytearray({} << 20); print(len(b) >> 20)' 2>/dev/null || echo killed"
    assert field.ssh(host, eat.format(40)) == "40"
    assert field.ssh(host, eat.format(300)) == "killed"
    assert field.hosts.state(host.id) == "running" and field.ssh(host, "id -u") == "0"
    field.hosts.resize(replace(host, memory_mib=512))
    assert field.ssh(host, eat.format(300)) == "300"


def test_processor_and_task_limits(field: Field, make: Callable[..., plan.Host]) -> None:
    host = field.start(make(cpus=1))
    spin = (
        "for i in 1 2 3; do (timeout 2 sh -c 'while :; do :; done' &) ; done; sleep 2.2; cut -d' ' -f1-2 /sys/fs/cgroup/cpu.stat | head -1"
    )
    used = int(field.ssh(host, spin).split()[1]) / 1e6
    assert used < 3.6, "three loops for two seconds on one processor take two seconds of it, not four"
    field.hosts.resize(replace(host, memory_mib=4096))
    bomb = """import os, time
for n in range(6000):
    try:
        if not os.fork(): time.sleep(3); os._exit(0)
    except BlockingIOError: break
print(n)"""
    assert 3000 < int(field.ssh(host, f"python3 -c '{bomb}'")) < 4096
    wait_for(lambda: field.hosts.state(host.id) == "running" and field.ssh(host, "id -u") == "0")


def test_user_data_runs_once(field: Field, make: Callable[..., plan.Host]) -> None:
    host = make()
    padding = "# " + "x" * 98 + "\n"
    script = "#!/bin/bash\n" + padding * 1000 + "echo out $HOME; echo run >> /root/runs; systemctl is-active ssh >> /root/runs; exit 3\n"
    field.lan.user_data[host.port.address] = script.encode()
    field.start(host)
    done = "/var/lib/cloud/instance/boot-finished"
    wait_for(lambda: field.ssh(host, f"ls {done} 2>/dev/null"))
    assert field.ssh(host, "cat /root/runs /var/lib/cloud/instance/exit-status").split() == ["run", "active", "3"]
    assert field.ssh(host, "cat /var/log/cloud-init-output.log; stat -c %a /var/log/cloud-init-output.log") == "out /root\n600"
    field.hosts.reboot(host.id)
    field.hosts.wait_ready(host.id)
    wait_for(lambda: "inactive" not in field.ssh(host, "systemctl is-active user-data"))
    wait_for(lambda: field.ssh(host, "systemctl show -p SubState --value user-data") == "exited")
    assert field.ssh(host, "grep -c run /root/runs") == "1"


def test_user_data_started_counts_as_run(field: Field, make: Callable[..., plan.Host]) -> None:
    host = make()
    field.lan.user_data[host.port.address] = gzip.compress(
        b"#!/bin/sh\necho run >> /root/runs\nsync\nreboot\nsleep 60\necho never >> /root/runs\n"
    )
    field.start(host)
    first = field.groups.init(host.id)
    wait_for(lambda: field.groups.init(host.id) not in (0, first))
    assert field.hosts.wait_ready(host.id)
    wait_for(lambda: field.ssh(host, "systemctl show -p SubState --value user-data") == "exited")
    assert field.ssh(host, "cat /root/runs") == "run"


def test_user_data_of_cloud_init(field: Field, make: Callable[..., plan.Host]) -> None:
    host, none = make(), make()
    config = "#cloud-config\nwrite_files:\n- {path: /root/written, content: yes-it-is }\nruncmd:\n- [sh, -c, 'echo ran >> /root/ran']\n"
    field.lan.user_data[host.port.address] = config.encode()
    field.start(host)
    field.start(none)
    wait_for(lambda: field.ssh(host, "ls /var/lib/cloud/instance/exit-status 2>/dev/null"), 60)
    log = field.ssh(host, "cat /var/log/cloud-init-output.log")
    assert field.ssh(host, "cat /root/written; echo; cat /root/ran").split() == ["yes-it-is", "ran"], log
    assert field.ssh(host, "cat /var/lib/cloud/instance/exit-status") == "0", log
    assert field.ssh(host, "id -u") == "0", "cloud-init left the identity alone"
    assert field.ssh(none, "ls /var/lib/cloud/instance/cloud-init 2>/dev/null || echo none") == "none"
    assert field.ssh(none, "systemctl is-system-running --wait") == "running"


@pytest.mark.parametrize("running", [True, False])
def test_image_of_a_host(field: Field, make: Callable[..., plan.Host], tmp_path: Path, running: bool) -> None:
    key, public = make_key(tmp_path / "old")
    host = make(public_keys=(public,))
    field.lan.user_data[host.port.address] = b"#!/bin/sh\necho run >> /root/runs\n"
    field.start(host)
    wait_for(lambda: field.ssh(host, "ls /var/lib/cloud/instance/boot-finished 2>/dev/null"))
    field.ssh(host, "echo baked > /opt/file; rm /usr/bin/unzip; mkdir -p /var/lib/app; echo x > /var/lib/app/y; sync")
    keys = field.lan.host_key(host.port.address), field.ssh(host, "cat /etc/machine-id")
    if not running:
        field.hosts.stop(host.id)
    name = f"m-{running}"
    field.images.commit(host.id, name)
    field.images.commit(host.id, name)  # again: it is there
    assert field.images.exists(name) and field.images.size_mib(name) >= field.images.size_mib("base")
    if running:
        assert field.ssh(host, "cat /opt/file; cat /etc/machine-id").split() == ["baked", keys[1]], "the host goes on"
    layer = field.images.layers(name)[0]
    assert field.images.layers(name)[1:] == field.images.layers("base")
    assert (layer / "opt/file").read_text() == "baked\n"
    text = b"".join(path.read_bytes() for path in layer.rglob("*") if path.is_file() and not path.is_symlink())
    assert b"$6$" not in text and public.split()[1].encode() not in text and keys[1].encode() not in text
    assert not list(layer.glob("etc/ssh/ssh_host_*"))

    new = field.start(make(image=name))
    assert field.ssh(new, "cat /opt/file; hostname; ls /usr/bin/unzip 2>/dev/null || echo removed").split() == [
        "baked",
        "host-2",
        "removed",
    ]
    fresh = field.lan.host_key(new.port.address), field.ssh(new, "cat /etc/machine-id")
    assert fresh[0] != keys[0] and fresh[1] != keys[1] and len(fresh[1]) == 32
    with pytest.raises(PermissionError):
        field.ssh(new, "true", key=key)
    assert "host-1" not in field.ssh(new, "cat /etc/hosts")
    assert field.ssh(new, "ls /var/log/journal") == fresh[1]
    wait_for(lambda: field.ssh(new, "ls /var/lib/cloud/instances") == f"i-{new.port.address}")

    field.images.delete(name)  # the host that lies on it keeps its layer, until it goes itself
    assert not field.images.exists(name) and layer.exists()
    assert field.ssh(new, "cat /opt/file") == "baked"
    field.hosts.stop(new.id)
    field.start(new)
    field.hosts.delete(new.id)
    assert not layer.exists()
    with pytest.raises(KeyError):
        field.start(make(image=name))
    with pytest.raises(ValueError, match="base"):
        field.images.delete("base")


def test_deep_images_are_made_flat(field: Field, make: Callable[..., plan.Host], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "DEPTH", 2)
    host = field.start(make())
    field.ssh(host, "echo one > /opt/one; rm /usr/bin/unzip; sync")
    field.images.commit(host.id, "m-one")
    two = field.start(make(image="m-one"))
    field.ssh(two, "echo two > /opt/two; sync")
    field.images.commit(two.id, "m-two")
    assert [len(field.images.layers(name)) for name in ("m-one", "m-two")] == [2, 1]
    three = field.start(make(image="m-two"))
    assert (
        field.ssh(three, "cat /opt/one /opt/two; ls /usr/bin/unzip || echo removed; getcap /usr/bin/ping | grep -c raw")
        == "one\ntwo\nremoved\n1"
    )
    assert field.ssh(three, "systemctl is-system-running --wait") == "running"
    for name in ("m-one", "m-two"):
        field.images.delete(name)


def test_an_image_of_another_kind_replaces_the_disk(field: Field, make: Callable[..., plan.Host]) -> None:
    host = field.start(make())
    field.ssh(host, "echo old > /opt/old; sync")
    field.images.commit(host.id, "m-disk")
    field.ssh(host, "echo newer > /opt/newer")
    field.hosts.stop(host.id)
    field.start(replace(host, image="m-disk"))
    assert field.ssh(host, "ls /opt") == "old"
    field.images.delete("m-disk")


def test_a_link_planted_by_the_guest_leads_nowhere_outside(field: Field, make: Callable[..., plan.Host], tmp_path: Path) -> None:
    _, public = make_key(tmp_path / "key")
    trap = tmp_path / "trap"
    trap.mkdir()
    trap.chmod(0o777)
    host = field.start(make())
    wait_for(lambda: field.ssh(host, "ls /var/lib/cloud/instance/boot-finished 2>/dev/null"))
    for path, target in (("/root/.ssh", trap), ("/etc/hosts", trap / "hosts"), ("/var/lib/cloud", trap)):
        field.ssh(host, f"rm -rf {path}; ln -s {target} {path}")
    (trap / "precious").write_text("here")
    field.hosts.stop(host.id)
    changed = replace(host, hostname="other", public_keys=(public,))
    field.hosts.prepare(changed)
    field.lan.plug(field.site, changed)
    field.hosts.boot(changed)
    field.images.commit(host.id, "m-trap")
    field.images.delete("m-trap")
    assert [path.name for path in trap.iterdir()] == ["precious"]


def test_ten_at_once_in_ranges_of_their_own(field: Field, make: Callable[..., plan.Host]) -> None:
    hosts = [make() for _ in range(10)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(field.start, hosts))
    assert field.hosts.states() == {host.id: "running" for host in hosts}
    owners = {Path(f"/proc/{field.groups.init(host.id)}").stat().st_uid for host in hosts}
    assert len(owners) == 10 and all(owner >= 0x40000000 and owner % 65536 == 0 for owner in owners)
    assert {field.ssh(host, "hostname") for host in hosts} == {host.hostname for host in hosts}
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda host: field.hosts.stop(host.id), hosts))
    assert set(field.hosts.states().values()) == {"stopped"}


def test_the_launcher_killed_leaves_the_host_alone(field: Field, make: Callable[..., plan.Host]) -> None:
    host = field.start(make())
    os.kill(shim_of(field, host.id), signal.SIGKILL)
    time.sleep(0.2)
    assert field.hosts.state(host.id) == "running" and field.ssh(host, "echo kept > /root/file; sync; echo up") == "up"
    first = field.groups.init(host.id)
    field.hosts.reboot(host.id)
    assert field.groups.init(host.id) not in (0, first) and field.hosts.wait_ready(host.id)
    assert field.ssh(host, "cat /root/file") == "kept"
    os.kill(shim_of(field, host.id), signal.SIGKILL)
    time.sleep(0.2)
    Hosts(field.site, field.images)  # a server that starts tells the host not to wait for its dead console
    field.ssh(host, "systemctl poweroff")
    wait_for(lambda: field.hosts.state(host.id) == "stopped")
    field.start(host)
    os.kill(shim_of(field, host.id), signal.SIGKILL)
    time.sleep(0.2)
    began = time.monotonic()
    field.hosts.stop(host.id)
    assert time.monotonic() - began < 20 and field.hosts.state(host.id) == "stopped"


def test_a_new_server_finds_the_hosts_of_the_old_one(field: Field, make: Callable[..., plan.Host]) -> None:
    host = field.start(make())
    again = Hosts(field.site, Images(field.site))
    assert again.states() == {host.id: "running"}
    again.prepare(host)
    again.boot(host)
    assert field.ssh(host, "id -u") == "0"
    again.stop(host.id)
    assert field.hosts.state(host.id) == "stopped"


def test_a_commit_killed_halfway_lets_the_host_go_on(field: Field, make: Callable[..., plan.Host]) -> None:
    host = field.start(make())
    field.ssh(host, "head -c 300M /dev/urandom > /opt/big; sync")
    program = (
        "from pathlib import Path; from haechi.dataplane.site import Site; from haechi.dataplane.image import Images;"
        f"Images(Site(11, Path({str(field.site.home)!r}), Path('/'), Path('/'))).commit({host.id!r}, 'm-half')"
    )
    server = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    wait_for(lambda: field.groups.frozen(host.id))
    server.kill()
    server.wait()
    assert not field.images.exists("m-half")
    wait_for(lambda: not field.groups.frozen(host.id))
    field.images.commit(host.id, "m-half")
    assert (field.images.layers("m-half")[0] / "opt/big").stat().st_size == 300 << 20
    field.images.delete("m-half")
    (field.groups.root / host.id / "cgroup.freeze").write_text("1")  # the copying program killed as well
    wait_for(lambda: field.groups.frozen(host.id))
    Hosts(field.site, field.images)
    assert field.ssh(host, "id -u") == "0"


def test_leftovers_of_crashes_are_mended(field: Field, make: Callable[..., plan.Host]) -> None:
    host = make()
    stale = kernel.NETNS / field.site.netns(host.id)
    stale.write_text("")  # /run on disk after a reboot of the machine
    half = field.site.home / "hosts" / host.id
    (half / "rw").mkdir(parents=True)  # a prepare killed before it wrote anything down
    gone = field.site.home / "hosts" / f".{host.id}"
    (gone / "rw").mkdir(parents=True)  # a delete killed halfway
    field.start(host)
    assert field.ssh(host, "id -u") == "0"
    field.hosts.delete(host.id)
    assert field.left() == []
    field.groups.create(host.id)  # groups without a host
    field.hosts.delete(host.id)


@pytest.mark.parametrize("what", ["start", "stop", "delete"])
def test_a_server_killed_at_any_moment_is_followed_by_one_that_can(field: Field, make: Callable[..., plan.Host], what: str) -> None:
    host = make()
    program = f"""
import sys, pickle
from pathlib import Path
from haechi.dataplane import host, image, site
where = site.Site(11, Path({str(field.site.home)!r}), Path("/"), Path("/"))
hosts = host.Hosts(where, image.Images(where))
planned = pickle.load(sys.stdin.buffer)
print("ready", flush=True)
if {what == "start"}:
    hosts.prepare(planned); hosts.boot(planned)
else:
    hosts.{what if what != "start" else "state"}(planned.id)
"""
    for delay in (0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15):
        if what != "start":
            field.start(host)
        with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdin and server.stdout
            server.stdin.write(pickle.dumps(host))
            server.stdin.close()
            server.stdout.readline()
            time.sleep(delay)
            server.kill()
        if what == "start":
            field.hosts.prepare(host)
            field.hosts.boot(host)
            assert field.hosts.wait_ready(host.id, 20)
        field.hosts.stop(host.id)
        if what == "delete":
            field.hosts.delete(host.id)
            assert field.left() == []
        field.start(host)
        assert field.ssh(host, "id -u") == "0"
        field.hosts.delete(host.id)
        assert field.left() == []


def test_a_host_that_cannot_start_says_why(field: Field, make: Callable[..., plan.Host]) -> None:
    host = make()
    field.hosts.prepare(host)
    path = field.site.home / "hosts" / host.id / "machine.json"
    machine = json.loads(path.read_text())
    path.write_text(json.dumps(machine | {"layers": ["missing"]}))
    with pytest.raises(kernel.KernelError, match="missing"):
        field.hosts.boot(host)
    assert field.hosts.state(host.id) == "stopped"
    path.write_text(json.dumps(machine))
    field.start(host)
    assert field.ssh(host, "id -u") == "0"


def test_the_console_log_is_bounded(field: Field, make: Callable[..., plan.Host]) -> None:
    host = field.start(make())
    field.ssh(host, "yes 0123456789 | head -c 2M > /dev/console; echo the-end > /dev/console")
    wait_for(lambda: b"the-end" in field.hosts.console(host.id))
    assert len(field.hosts.console(host.id)) <= 64 << 10
    assert (field.site.home / "hosts" / host.id / "console.log").stat().st_size <= 600 << 10
