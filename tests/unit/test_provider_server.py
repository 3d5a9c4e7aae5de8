"""The plugin protocol's edges: failures, partial states, old states, and the mirror terraform installs from."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tf.gen import tfplugin_pb2 as pb

from haechi.provider import wire
from haechi.provider.mirror import ALICLOUD, install
from haechi.provider.resource import Data, Problem, Provider, Resource
from haechi.provider.schema import Fields, computed, optional, required
from haechi.provider.server import Servicer
from tests.localcloud import LocalCloud
from tests.unit.provider_bench import Terraform, open_door, provider_block
from tests.unit.provider_cases import IMAGE, NETWORK

FIELDS: Fields = {"name": required(), "secret": optional(sensitive=True), "address": computed(), "gone": optional()}


def serve(**operations: Callable[[Any, Data], None]) -> tuple[Servicer, Fields]:
    def create(context: Any, d: Data) -> None:
        d.id = "x-1"

    def nothing(context: Any, d: Data) -> None:
        pass

    resource = Resource(FIELDS, **{"create": create, "read": nothing, "delete": nothing, "update": nothing} | operations)
    return Servicer(Provider("p", {}, lambda config: None, {"thing": resource}, {})), resource.schema()


def apply(servicer: Servicer, fields: Fields, prior: dict[str, Any] | None, planned: dict[str, Any] | None) -> tuple[Any, list[Any]]:
    request = pb.ApplyResourceChange.Request(
        type_name="thing", prior_state=wire.render_value(fields, prior), planned_state=wire.render_value(fields, planned)
    )
    response = servicer.ApplyResourceChange(request, None)
    return wire.parse_value(fields, response.new_state), list(response.diagnostics)


def test_create_keeps_what_exists_after_an_error() -> None:
    def create(context: Any, d: Data) -> None:
        d.id = "x-1"
        raise Problem("no luck", "really", ("name",))

    servicer, fields = serve(create=create)
    state, [error] = apply(servicer, fields, None, {"name": "n", "secret": "s3cret"})
    assert state["id"] == "x-1" and state["address"] is None
    assert (error.summary, error.detail, error.attribute.steps[0].attribute_name) == ("no luck", "really", "name")


def test_create_that_made_nothing_leaves_nothing() -> None:
    def create(context: Any, d: Data) -> None:
        raise Problem("no luck")

    servicer, fields = serve(create=create)
    state, errors = apply(servicer, fields, None, {"name": "n"})
    assert state is None and len(errors) == 1


def test_a_bug_is_told_without_values() -> None:
    def create(context: Any, d: Data) -> None:
        raise RuntimeError(f"unexpected {d['secret']}")

    servicer, fields = serve(create=create)
    _, [error] = apply(servicer, fields, None, {"name": "n", "secret": "s3cret"})
    assert "RuntimeError" in error.summary and "create" in error.detail
    assert "s3cret" not in error.summary + error.detail


def test_a_failed_update_leaves_what_the_cloud_says() -> None:
    def update(context: Any, d: Data) -> None:
        raise Problem("refused")

    def read(context: Any, d: Data) -> None:
        d["name"] = "as it is"

    servicer, fields = serve(update=update, read=read)
    state, errors = apply(servicer, fields, {"id": "x-1", "name": "old"}, {"id": "x-1", "name": "new"})
    assert state["name"] == "as it is" and len(errors) == 1


def test_a_failed_delete_keeps_the_state() -> None:
    def delete(context: Any, d: Data) -> None:
        raise Problem("in use")

    servicer, fields = serve(delete=delete)
    state, errors = apply(servicer, fields, {"id": "x-1", "name": "n"}, None)
    assert state["id"] == "x-1" and len(errors) == 1
    state, errors = apply(serve()[0], fields, {"id": "x-1", "name": "n"}, None)
    assert state is None and not errors


def test_gone_right_after_create_is_an_error() -> None:
    def read(context: Any, d: Data) -> None:
        d.id = ""

    servicer, fields = serve(read=read)
    state, [error] = apply(servicer, fields, None, {"name": "n"})
    assert state is None and "vanished" in error.summary


def test_old_states_are_fitted() -> None:
    servicer, fields = serve()
    stored = json.dumps({"id": "x-1", "name": 5, "removed_long_ago": {"a": 1}, "gone": ["not", "a", "string"]}).encode()
    request = pb.UpgradeResourceState.Request(type_name="thing", version=0, raw_state=pb.RawState(json=stored))
    upgraded = wire.parse_value(fields, servicer.UpgradeResourceState(request, None).upgraded_state)
    assert upgraded == {"id": "x-1", "name": "5", "secret": None, "address": None, "gone": None}


def test_the_mirror_is_the_same_everywhere(tmp_path: Path) -> None:
    install(tmp_path / "one", sys.executable)
    install(tmp_path / "two", "/somewhere/else/python")
    files = [p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("terraform-provider-*")]
    assert len(files) > 20 and all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)
    before = {f: (tmp_path / "one" / f).stat().st_mtime_ns for f in files}
    install(tmp_path / "one", sys.executable)
    assert before == {f: (tmp_path / "one" / f).stat().st_mtime_ns for f in files}


def test_old_configurations_and_a_plugin_cache(tmp_path: Path) -> None:
    """No source given (hashicorp/alicloud), an exact old version, and terraform copying the program instead of linking it."""
    terraform = Terraform(tmp_path, {"TF_PLUGIN_CACHE_DIR": str(tmp_path / "cache"), "HAECHI_MIRROR": str(tmp_path / "mirror")})
    (tmp_path / "cache").mkdir()
    terraform.write('provider "alicloud" {\n  version = "1.140.0"\n}\nresource "alicloud_vpc" "v" {\n  cidr_block = "10.0.0.0/8"\n}\n')
    terraform.init()
    assert "hashicorp/alicloud" in (tmp_path / ".terraform.lock.hcl").read_text()
    terraform.run("validate")
    assert ALICLOUD not in (tmp_path / ".terraform.lock.hcl").read_text()


def test_without_terraform_it_says_what_it_is(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "haechi.provider", "alicloud"], capture_output=True, text=True)
    assert done.returncode == 1 and "terraform starts it" in done.stderr
    done = subprocess.run([sys.executable, "-m", "haechi.provider", "aws"], capture_output=True, text=True)
    assert done.returncode == 1 and "no such provider" in done.stderr


def test_ctrl_c_keeps_what_was_begun(cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole process group gets the signal; the instance that is still starting is saved as tainted, and nothing stays behind."""
    monkeypatch.setattr(cloud.dataplane, "start_host", lambda plan, id: time.sleep(5))
    door = open_door(cloud)
    terraform = Terraform(tmp_path, {})
    terraform.write(provider_block(door.port), "provider.tf")
    instance = f"""
resource "alicloud_instance" "i" {{
  image_id        = "{IMAGE}"
  instance_type   = "ecs.n1.tiny"
  security_groups = [alicloud_security_group.g.id]
  vswitch_id      = alicloud_vswitch.s.id
}}
"""
    terraform.write(NETWORK + instance)
    terraform.init()
    command = ["terraform", "apply", "-auto-approve", "-no-color"]
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=terraform.environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert running.stdout is not None
    for line in running.stdout:
        if re.match(r"alicloud_instance.i: Creating", line):
            break
    time.sleep(1.5)
    os.killpg(running.pid, signal.SIGINT)
    rest = running.communicate(timeout=60)[0]
    assert "interrupted" in rest and "Plugin did not respond" not in rest
    shown = json.loads(terraform.run("show", "-json").stdout)["values"]["root_module"]["resources"]
    [saved] = [r for r in shown if r["type"] == "alicloud_instance"]
    assert saved["tainted"] and saved["values"]["id"].startswith("i-")
    door.close()
