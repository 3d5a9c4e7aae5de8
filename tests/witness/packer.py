"""The real packer on a site of its own, and what an account has before and after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from haechi.clients.aliyun import Aliyun
from haechi.pipeline.cloud import ECS, VPC, every
from tests.witness.conftest import Server

SECONDS = 300
DEBIAN = "debian_12_5_x64_20G_alibase_20240325.vhd"
LISTS = {  # Describe action: (product, version, where its items are, their id)
    "DescribeVpcs": ("vpc", VPC, "Vpcs.Vpc", "VpcId"),
    "DescribeVSwitches": ("vpc", VPC, "VSwitches.VSwitch", "VSwitchId"),
    "DescribeEipAddresses": ("vpc", VPC, "EipAddresses.EipAddress", "AllocationId"),
    "DescribeInstances": ("ecs", ECS, "Instances.Instance", "InstanceId"),
    "DescribeDisks": ("ecs", ECS, "Disks.Disk", "DiskId"),
    "DescribeNetworkInterfaces": ("ecs", ECS, "NetworkInterfaceSets.NetworkInterfaceSet", "NetworkInterfaceId"),
    "DescribeSecurityGroups": ("ecs", ECS, "SecurityGroups.SecurityGroup", "SecurityGroupId"),
    "DescribeKeyPairs": ("ecs", ECS, "KeyPairs.KeyPair", "KeyPairName"),
    "DescribeSnapshots": ("ecs", ECS, "Snapshots.Snapshot", "SnapshotId"),
    "DescribeImages": ("ecs", ECS, "Images.Image", "ImageId"),
}


def client(server: Server) -> Aliyun:
    """The root key's client of a server."""
    door = dict.fromkeys(("ecs", "vpc", "slb", "ram", "sts"), f"127.0.0.1:{server.port}")
    return Aliyun(server.tools["ALICLOUD_REGION"], server.key, server.secret, endpoints=door, protocol="http", use_proxy=False)


def inventory(server: Server) -> dict[str, set[str]]:
    """Ids of everything the account has, by the action that lists it."""
    cloud, found = client(server), {}
    for action, (product, version, where, id) in LISTS.items():
        more = {"ImageOwnerAlias": "self", "Status": "ALL"} if action == "DescribeImages" else {}
        found[action] = {item[id] for item in every(cloud, product, version, action, where, **more)}
    return found


def template(image: str, *inline: str, source: str = DEBIAN, upload: str = "") -> str:
    """A short one; keys come from the environment. `upload`: a file that is put to /tmp/upload."""
    file = f'provisioner "file" {{\n    source      = "{upload}"\n    destination = "/tmp/upload"\n  }}' if upload else ""
    lines = "\n".join(f"      {json.dumps(line)}," for line in inline)
    return f"""
source "alicloud-ecs" "short" {{
  image_name           = "{image}"
  source_image         = "{source}"
  instance_type        = "ecs.t6-c1m1.large"
  io_optimized         = true
  internet_charge_type = "PayByTraffic"
  ssh_username         = "root"

  internet_max_bandwidth_out = 100
}}
build {{
  sources = ["source.alicloud-ecs.short"]
  {file}
  provisioner "shell" {{
    inline = [
{lines}
    ]
  }}
}}
"""


@dataclass
class Packer:
    """Packer in a directory of its own. `log` gets everything a run prints, the debug log included."""

    server: Server
    place: Path
    more: dict[str, str] = field(default_factory=dict, repr=False)

    def write(self, text: str) -> None:
        (self.place / "image.pkr.hcl").write_text(text)

    @property
    def log(self) -> Path:
        return self.place / "packer.log"

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`packer WORDS .`, stdout and stderr in one pipe; its own process group, as a terminal gives it."""
        kept = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and not k.startswith(("VAULT_", "ALICLOUD_"))}
        own = {"CHECKPOINT_DISABLE": "1", "HOME": str(self.place), "TMPDIR": str(self.place), "PACKER_NO_COLOR": "1"}
        own |= {"PACKER_LOG": "1", "PACKER_LOG_PATH": str(self.log)}
        return subprocess.Popen(
            ["packer", *words, "."],
            cwd=self.place,
            env={**kept, **self.server.tools, **own, **self.more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, code: int = 0) -> str:
        """What it printed; fails the test on another exit code."""
        process = self.start(*words)
        try:
            out, _ = process.communicate(timeout=SECONDS)
        finally:
            end(process)
        assert process.returncode == code, f"packer {' '.join(words)}: {process.returncode}\n{out[-4000:]}"
        return out

    def signal_at(self, marker: str, number: signal.Signals, *words: str) -> str:
        """Run until a line holds `marker`, then signal the whole group; everything it printed."""
        process = self.start(*words)
        assert process.stdout is not None
        seen: list[str] = []
        try:
            for line in process.stdout:
                seen.append(line)
                if marker in line and not any(marker in old for old in seen[:-1]):
                    os.killpg(process.pid, number)
            process.wait(SECONDS)
        finally:
            end(process)
        out = "".join(seen)
        assert marker in out, out[-4000:]
        assert process.returncode == (-number if number == signal.SIGKILL else 1), out[-4000:]
        return out


def end(process: subprocess.Popen[str]) -> None:
    """Nothing of it outlives a test."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def image_of(out: str) -> str:
    """The image's id, from the last lines of a build."""
    return out.rstrip().rpartition(": ")[2]


def tree_holds(root: Path, secrets: Sequence[bytes]) -> list[str]:
    """Regular files below `root` in which one of the secrets stands."""
    files = (p for p in ([root] if root.is_file() else root.rglob("*")) if p.is_file() and not p.is_symlink())
    return [str(path) for path in files if any(secret in path.read_bytes() for secret in secrets)]
