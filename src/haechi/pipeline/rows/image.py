"""Rows 4.5.5, 4.6 and 4.7: the golden image, whose keys come from Vault, and what a build leaves behind."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from haechi.pipeline import golden, remote
from haechi.pipeline.cloud import ECS, VPC, connect, every
from haechi.pipeline.failure import Failure
from haechi.pipeline.run import Run
from haechi.pipeline.vault import client
from haechi.pipeline.vault_setup import KV, SECRET

SEARCHED = "/boot /etc /home /opt /root /srv /tmp /usr/local /var"
BROKEN = "#!/bin/sh\nexit 3\n"


def row_4_5_5(run: Run) -> str:
    """deploy_app.sh of the image wrote each host's own page; no user data did."""
    outputs = run.outputs("03_app")
    for id, address in zip(outputs["ecs_ids"], outputs["public_ips"], strict=True):
        page = remote.read(run.target, address, "systemctl is-active deploy-app apache2 && curl -sf http://127.0.0.1/")
        assert f'id="instance">{id}<' in page and 'src="cat.svg"' in page, f"the page at {address} is not {id}'s"
        state = remote.run(run.target, address, "systemctl is-system-running").stdout.strip()
        assert state == "running", f"systemd at {address} is {state}"
        data = connect(run.target).call("ecs", ECS, "DescribeUserData", {"InstanceId": id}).get("UserData", "")
        assert not data, f"{id} has user data"
    keys = {remote.read(run.target, address, "cat /etc/ssh/ssh_host_ed25519_key.pub") for address in outputs["public_ips"]}
    assert len(keys) == len(outputs["public_ips"]), "hosts share a host key"
    return f"{len(keys)} hosts wrote their own page at boot, without user data; systemd running; host keys differ"


def row_4_6(run: Run) -> str:
    """The template has no key: Packer reads them from Vault, is refused without a token, and none got into hosts of the image."""
    text = "".join(path.read_text() for path in (run.blueprint / golden.PART).glob("*.pkr.hcl"))
    for name in ("access_key", "secret_key"):
        assert f'vault("/{KV}/data/{SECRET}", "{name}")' in text, f"the template does not read {name} from Vault"
    with golden.vault_token(run) as token, client(run.target) as vault:
        vault.token = token
        found = vault.read(f"{KV}/data/{SECRET}")
        assert found is not None, f"there is no {KV}/{SECRET}"
        secret = found["data"]["secret_key"]
        assert secret not in text, "the secret key is in the template"
        assert _validates(run, token), "packer validate fails with a token"
        wrong = token[::-1]
        assert not _validates(run, wrong), "packer validate needs no token of Vault"
        address = run.outputs("03_app")["public_ips"][0]
        search = remote.run(run.target, address, f"grep -rlsF -f - {SEARCHED}", f"{secret}\n{token}\n")
    assert search.returncode == 1, f"a secret is in {search.stdout.split()} at {address}"
    return f"keys from {KV}/{SECRET}; packer validate with a token, refused with a wrong one; neither key nor token in {SEARCHED} of a host"


def _validates(run: Run, token: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / golden.PART
        golden.copy_template(run, place)
        words = ["-var", f"vault_addr={run.target.vault_addr}", "-var", f"ssh_helper={place / 'vault-ssh-helper'}"]
        command = ["packer", "validate", *words, "."]
        done = subprocess.run(command, cwd=place, env=golden.environment(run, token), capture_output=True, text=True, timeout=120)
    return done.returncode == 0


def row_4_7(run: Run) -> str:
    """The image is there, made of a build that left nothing; a build that fails leaves nothing either; a taken name needs -force."""
    cloud = connect(run.target)
    (image,) = golden.find_images(cloud, golden.image_name(run))
    outputs = run.outputs("03_app")
    instances = every(cloud, "ecs", ECS, "DescribeInstances", "Instances.Instance")
    booted = {i["ImageId"] for i in instances if i["InstanceId"] in outputs["ecs_ids"]}
    assert booted == {image["ImageId"]}, f"03_app runs from {booted}"
    before = _things(run)
    with tempfile.TemporaryDirectory() as folder, golden.vault_token(run) as token:
        place = Path(folder) / golden.PART
        golden.copy_template(run, place)
        taken = _failure(run, place, token)
        assert "is used by an existing" in taken, f"without -force: {taken}"
        (place / "scripts" / "vault_otp.sh").write_text(BROKEN)
        (place / "image.pkr.hcl").write_text((place / "image.pkr.hcl").read_text().replace("-golden-", "-broken-"))
        broken = _failure(run, place, token)
        assert "exit" in broken, f"a failing provisioner: {broken}"
    after = _things(run)
    assert after == before, f"a failed build left {sorted(set(after) ^ set(before))}"
    left = f"a failed build left nothing ({len(before)} things before and after)"
    return f"{image['ImageName']} runs all of 03_app; its name without -force refused; {left}"


def _failure(run: Run, place: Path, token: str) -> str:
    try:
        golden.build(run, place, token)
    except Failure as failure:
        return failure.what
    raise AssertionError("packer build ended well")


def _things(run: Run) -> list[str]:
    """Ids of everything that a build makes one of."""
    cloud = connect(run.target)
    listings = (
        ("ecs", ECS, "DescribeInstances", "Instances.Instance", "InstanceId"),
        ("ecs", ECS, "DescribeKeyPairs", "KeyPairs.KeyPair", "KeyPairName"),
        ("ecs", ECS, "DescribeSecurityGroups", "SecurityGroups.SecurityGroup", "SecurityGroupId"),
        ("ecs", ECS, "DescribeSnapshots", "Snapshots.Snapshot", "SnapshotId"),
        ("vpc", VPC, "DescribeVpcs", "Vpcs.Vpc", "VpcId"),
        ("vpc", VPC, "DescribeVSwitches", "VSwitches.VSwitch", "VSwitchId"),
        ("vpc", VPC, "DescribeEipAddresses", "EipAddresses.EipAddress", "AllocationId"),
    )
    found = [item[key] for product, version, action, path, key in listings for item in every(cloud, product, version, action, path)]
    images = every(cloud, "ecs", ECS, "DescribeImages", "Images.Image", ImageOwnerAlias="self")
    return sorted([*found, *(image["ImageId"] for image in images)])
