"""The step that bakes the golden image: the real Packer on a working copy of 02_image, with keys that it reads from Vault.

The image's name ends with a digest of everything it is made of, so an image that is there and current is not built again.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from haechi.clients.aliyun import Aliyun
from haechi.clients.control import ControlClient
from haechi.pipeline.bundle import HELPER, SOURCE
from haechi.pipeline.cloud import ECS, connect, every
from haechi.pipeline.failure import Failure
from haechi.pipeline.leftovers import find_leftovers, remove_leftovers
from haechi.pipeline.run import Run
from haechi.pipeline.vault import client, read_known
from haechi.pipeline.vault_setup import MOUNT, ROLE, USER, log_in
from haechi.settings import Target

PART = "02_image"
NAME = "meow"
HIDDEN = ("ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET")
NOISE = re.compile(r"^(==>|\s+)?\s*alicloud-ecs\.golden:\s*")
ERRORED = re.compile(r"errored after [^:]+: (.*)")
TOKEN_TTL = "1h"
MISSES = 3  # of the cloud server's health, a second apart


def bake(run: Run) -> str:
    """The image that 03_app boots from: found, or built by `packer build -force`."""
    name = run.values["image"] = image_name(run)
    found = find_images(connect(run.target), name)
    if found:
        return f"{name} ({found[0]['ImageId']}) is there"
    place = run.target.work / "meow" / PART
    _remove_cut_off(run, place)
    copy_template(run, place)
    mark = _mark(place)
    mark.write_text(str(time.time()))
    with vault_token(run) as token:
        build(run, place, token, "-force")
    mark.unlink()
    image = find_images(connect(run.target), name)
    if not image:
        raise Failure(f"Packer ended well, but there is no image {name}.", "See `haechi trace`.")
    return f"{name} ({image[0]['ImageId']})"


def _mark(place: Path) -> Path:
    """A file that is there while a build is under way: since when, in epoch seconds."""
    return place.with_name(f"{place.name}.building")


def _remove_cut_off(run: Run, place: Path) -> None:
    """What a build of ours made that could not clean up, for it or the cloud's server was killed."""
    mark = _mark(place)
    if not (run.target.local and mark.exists()):
        return
    since = float(mark.read_text() or 0)
    temporaries = [t for t in ControlClient(run.target.control).doctor(False)["temporaries"] if t["created"] >= since]
    for line in remove_leftovers(connect(run.target), find_leftovers(temporaries, run.target.port)):
        run.say(line)


def image_name(run: Run) -> str:
    """The name of the image that the blueprint, the helper and this Vault make."""
    return f"{NAME}-golden-{_digest(run.blueprint / PART, _variables(run))}"


def copy_template(run: Run, place: Path) -> None:
    """A working copy of the template, with the helper beside it."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(run.blueprint / PART, place)
    shutil.copy(SOURCE / HELPER, place / "vault-ssh-helper")


def delete_images(target: Target, keep: str = "") -> list[str]:
    """Delete the golden images and their snapshots, all but the one named `keep`; their names."""
    cloud = connect(target)
    removed = []
    for image in find_images(cloud, f"{NAME}-golden-*"):
        if image["ImageName"] == keep:
            continue
        cloud.call("ecs", ECS, "DeleteImage", {"ImageId": image["ImageId"], "Force": True})
        for mapping in image["DiskDeviceMappings"]["DiskDeviceMapping"]:
            if mapping.get("SnapshotId"):
                cloud.call("ecs", ECS, "DeleteSnapshot", {"SnapshotId": mapping["SnapshotId"], "Force": True})
        removed.append(image["ImageName"])
    return removed


def _variables(run: Run) -> dict[str, str]:
    return {
        "region": run.target.region,
        "name": NAME,
        "vault_addr": run.target.vault_addr,
        "ssh_otp_mount": MOUNT,
        "ssh_otp_role": ROLE,
        "ssh_otp_user": USER,
    }


def _digest(blueprint: Path, variables: dict[str, str]) -> str:
    """Eight hexadecimal digits over every file of the template, the helper, and what they are given."""
    files = sorted(path for path in blueprint.rglob("*") if path.is_file())
    parts = [(str(path.relative_to(blueprint)), path.read_bytes()) for path in files]
    parts.append((HELPER, (SOURCE / HELPER).read_bytes()))
    return hashlib.sha256(repr([parts, sorted(variables.items())]).encode()).hexdigest()[:8]


def find_images(cloud: Aliyun, name: str) -> list[dict[str, Any]]:
    """One's own available images of a name, which may end in `*`."""
    query = {"ImageOwnerAlias": "self", "ImageName": name, "Status": "Available"}
    return list(every(cloud, "ecs", ECS, "DescribeImages", "Images.Image", **query))


@contextmanager
def vault_token(run: Run) -> Iterator[str]:
    """A token that may read the cloud's keys and nothing else, revoked at the end."""
    known = read_known(run.target)
    assert known is not None, "vault-apply comes first"
    with client(run.target) as vault:
        log_in(run, vault, known)
        asked = {"policies": ["packer"], "ttl": TOKEN_TTL, "display_name": "packer"}
        answer = vault.request("POST", "auth/token/create", asked)
        assert answer is not None
        token, accessor = answer["auth"]["client_token"], answer["auth"]["accessor"]
        try:
            yield token
        finally:
            vault.request("POST", "auth/token/revoke-accessor", {"accessor": accessor})


def build(run: Run, place: Path, token: str, *flags: str) -> None:
    """packer build in a working copy, each line told as it comes. Interrupted, it is let clean up first.

    Raises Failure with Packer's last error.
    """
    packer = shutil.which("packer")
    if packer is None:
        raise Failure("The program packer is not installed.", "apt-get install packer, then `haechi up` again.")
    variables = {**_variables(run), "release": image_name(run).rpartition("-")[2], "ssh_helper": str(place / "vault-ssh-helper")}
    words = [word for name, value in variables.items() for word in ("-var", f"{name}={value}")]
    said: list[str] = []
    with subprocess.Popen(
        [packer, "build", "-color=false", *flags, *words, "."],
        cwd=place,
        env=environment(run, token),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C reaches us alone: packer is told once, not twice, which would cut its clean-up short
    ) as process:
        assert process.stdout is not None
        watch = threading.Thread(target=_end_without_cloud, args=(run.target, process), daemon=True)
        watch.start()
        try:
            for line in process.stdout:
                words = NOISE.sub("", line).split()
                if words:
                    said.append(" ".join(words))
                    run.say(said[-1])
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.communicate()
            raise
    if process.returncode:
        if run.target.local and ControlClient(run.target.control).health() is None:
            raise Failure("The cloud server is gone, and Packer's build with it.", "Run `haechi up` again; it carries on.")
        raise Failure(f"packer build failed: {_why(said)}", f"Its template is in {place}; `haechi up` tries again.")


def _end_without_cloud(target: Target, process: subprocess.Popen[str]) -> None:
    """A build whose local cloud is gone can neither go on nor clean up, and Packer would wait minutes for it: end it."""
    control, missed = ControlClient(target.control), 0
    while target.local and process.poll() is None and missed < MISSES:
        missed = missed + 1 if control.health() is None else 0
        time.sleep(1)
    if process.poll() is None and missed:
        os.killpg(process.pid, signal.SIGKILL)  # its plugins too: they hold the output open


def _why(said: list[str]) -> str:
    """Packer's reason: behind "errored after ...:", or the line that begins with Error."""
    ended = [found[1] for line in said if (found := ERRORED.search(line))]
    return (ended or [line for line in said if line.startswith("Error")] or said[-1:] or ["it said nothing"])[0]


def environment(run: Run, token: str) -> dict[str, str]:
    """What Packer runs with: the way to the cloud and to Vault, and no key of the cloud."""
    given = {k: v for k, v in {**os.environ, **run.target.environment()}.items() if k not in HIDDEN}
    return {**given, "VAULT_ADDR": run.target.vault_addr, "VAULT_TOKEN": token, "CHECKPOINT_DISABLE": "1"}
