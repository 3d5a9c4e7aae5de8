"""Control groups in both layouts, on plain directories standing in for the kernel's."""

from pathlib import Path

import pytest

from haechi.dataplane import kernel
from haechi.dataplane.cgroup import Cgroups, parse_mounts

HYBRID = """\
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nsdelegate 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0
"""


def test_both_layouts_are_recognised() -> None:
    v2, v1 = parse_mounts(HYBRID)
    assert v2 == Path("/sys/fs/cgroup/unified")
    assert v1 == {name: Path(f"/sys/fs/cgroup/{path}") for name, path in (("cpu", "cpu,cpuacct"), ("memory", "memory"), ("pids", "pids"))}
    assert parse_mounts("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n") == (Path("/sys/fs/cgroup"), {})
    with pytest.raises(kernel.KernelError, match="cgroup2"):
        parse_mounts("cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n")


def test_limits_in_version_2(tmp_path: Path) -> None:
    groups = Cgroups("hx11", (tmp_path, {}))
    for path in (tmp_path, tmp_path / "hx11"):
        path.mkdir(exist_ok=True)
        (path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
        (path / "cgroup.subtree_control").write_text("")
    groups.create("i-1")
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory +cpu +pids"
    assert groups.paths("i-1") == [tmp_path / "hx11/i-1"]
    for name in ("memory.max", "memory.swap.max", "cpu.max", "pids.max"):
        (tmp_path / "hx11/i-1" / name).write_text("max")
    groups.limit("i-1", memory_mib=512, cpus=2, pids=100)
    found = {path.name: path.read_text() for path in (tmp_path / "hx11/i-1").iterdir()}
    assert found == {"memory.max": str(512 << 20), "memory.swap.max": "0", "cpu.max": "200000 100000", "pids.max": "100"}


def test_limits_in_version_1(tmp_path: Path) -> None:
    v1 = {name: tmp_path / name for name in ("memory", "cpu", "pids")}
    (tmp_path / "v2/hx11").mkdir(parents=True)
    for path in (tmp_path / "v2", tmp_path / "v2/hx11"):
        (path / "cgroup.controllers").write_text("hugetlb\n")
    groups = Cgroups("hx11", (tmp_path / "v2", v1))
    groups.create("i-1")
    assert not (tmp_path / "v2/cgroup.subtree_control").exists(), "nothing to hand down"
    files = ("memory/hx11/i-1/memory.limit_in_bytes", "cpu/hx11/i-1/cpu.cfs_quota_us", "pids/hx11/i-1/pids.max")
    for name in files:
        (tmp_path / name).write_text("max")
    groups.limit("i-1", memory_mib=64, cpus=1, pids=10)
    assert [(tmp_path / name).read_text() for name in files] == [str(64 << 20), "100000", "10"]


def test_what_is_alive_is_read_from_the_events(tmp_path: Path) -> None:
    groups = Cgroups("hx11", (tmp_path, {}))
    assert groups.ids() == [] and not groups.populated("i-1")
    (tmp_path / "hx11/i-1").mkdir(parents=True)
    (tmp_path / "hx11/_shims").mkdir()
    (tmp_path / "hx11/i-1/cgroup.events").write_text("populated 1\nfrozen 0\n")
    assert groups.ids() == ["i-1"] and groups.populated("i-1") and not groups.frozen("i-1")
    (tmp_path / "hx11/i-1/cgroup.events").write_text("populated 0\nfrozen 0\n")
    assert not groups.populated("i-1")
