"""Runs of a Terraform Enterprise: configuration, queueing, following, answering. Every function takes the client first."""

from __future__ import annotations

import codecs
import gzip
import io
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from haechi.clients.tfe import Resource, Tfe, TfeRefused, TfeSilent

FINAL = frozenset({"applied", "planned_and_finished", "policy_soft_failed", "discarded", "errored", "canceled", "force_canceled"})
LOG_BYTES = 65536
READY_SECONDS = 60.0
LEFT_OUT = (".terraform", ".git")
BROKEN_READS = 10  # of a log, one after the other
PASSING = (403, 404, 429, 500, 502, 503, 504)


def pack(directory: Path, left_out: tuple[str, ...] = LEFT_OUT) -> bytes:
    """A directory as .tar.gz without plugins and states and links: the same files give the same bytes."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(directory.rglob("*")):
            inside = path.relative_to(directory)
            named = any(part in left_out or part.startswith("terraform.tfstate") for part in inside.parts)
            if path.is_symlink() or not path.is_file() or named:
                continue
            info = tarfile.TarInfo(str(inside))
            data = path.read_bytes()
            info.size, info.mode = len(data), 0o755 if path.stat().st_mode & 0o100 else 0o644
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(plain.getbuffer(), mtime=0)


def upload_configuration(tfe: Tfe, workspace: str, archive: bytes, *, speculative: bool = False) -> str:
    """The id of a new configuration version, ready for a run. Raises TfeRefused when the server cannot use it."""
    attributes = {"auto-queue-runs": False, "speculative": speculative}
    made = tfe.create(f"workspaces/{workspace}/configuration-versions", "configuration-versions", attributes)
    tfe.upload(made["attributes"]["upload-url"], archive)
    path = f"configuration-versions/{made['id']}"
    deadline = time.monotonic() + READY_SECONDS
    while True:
        attributes = tfe.request("GET", path)["data"]["attributes"]
        if attributes["status"] == "uploaded":
            return str(made["id"])
        if attributes["status"] == "errored":
            raise TfeRefused(422, [attributes.get("error-message") or "the configuration could not be read"], f"upload of {path}")
        if time.monotonic() > deadline:
            raise TfeSilent(f"{path} is still {attributes['status']}")
        time.sleep(0.1)


def create_run(tfe: Tfe, workspace: str, message: str, configuration: str = "", **attributes: Any) -> Resource:
    """Queue a run, of the newest configuration unless told. Attributes by name, like is_destroy, plan_only, auto_apply."""
    relationships = {"workspace": {"data": {"type": "workspaces", "id": workspace}}}
    if configuration:
        relationships["configuration-version"] = {"data": {"type": "configuration-versions", "id": configuration}}
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    return tfe.create("runs", "runs", {"message": message, **named}, relationships)


def read_run(tfe: Tfe, run: str) -> Resource:
    found: Resource = tfe.request("GET", f"runs/{run}")["data"]
    return found


def list_runs(tfe: Tfe, workspace: str) -> Iterator[Resource]:
    """Runs of a workspace, the newest first."""
    return tfe.every(f"workspaces/{workspace}/runs")


def is_final(run: Mapping[str, Any]) -> bool:
    return run["attributes"]["status"] in FINAL


def related(run: Mapping[str, Any], name: str) -> str:
    """The id of a related resource, "" when there is none."""
    data = (run["relationships"].get(name) or {}).get("data")
    return str(data["id"]) if data else ""


def act(tfe: Tfe, run: str, action: str, comment: str = "") -> None:
    """apply, discard, cancel or force-cancel. Raises TfeRefused: 409 when the run is not there yet, or any more."""
    tfe.request("POST", f"runs/{run}/actions/{action}", {"comment": comment} if comment else {})


def policy_checks(tfe: Tfe, run: str) -> list[Resource]:
    return list(tfe.every(f"runs/{run}/policy-checks"))


def policy_output(tfe: Tfe, check: str) -> str:
    """What the policies of a check printed, for people."""
    return tfe.download(f"{tfe.address}/api/v2/policy-checks/{check}/output", authorized=True).decode(errors="replace")


def override(tfe: Tfe, run: str, check: str, comment: str) -> None:
    """Let a run pass policies that failed softly. HCP Terraform has no comment of an override, so it stands at the run, too."""
    tfe.request("POST", f"runs/{run}/comments", {"data": {"type": "comments", "attributes": {"body": comment}}})
    tfe.request("POST", f"policy-checks/{check}/actions/override", {"comment": comment})


def follow_log(tfe: Tfe, phase: str, id: str) -> Iterator[str]:
    """The text of a log (`phase` is plans or applies) as it is written, until its end or until the phase has ended without one."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    offset, broken, url = 0, 0, ""
    while True:
        attributes = tfe.request("GET", f"{phase}/{id}")["data"]["attributes"] if not url else {}
        url = url or attributes.get("log-read-url") or ""
        ended = _phase_ended(tfe, phase, id) if offset == 0 else False  # asked before the log is: nothing can come in between
        try:
            chunk = tfe.download(f"{url}?limit={LOG_BYTES}&offset={offset}", authorized=False) if url else b""
        except (TfeSilent, TfeRefused) as error:  # the server starts again, or the address has expired
            broken += 1
            if broken > BROKEN_READS or (isinstance(error, TfeRefused) and error.status not in PASSING):
                raise
            url = ""
            time.sleep(0.5)
            continue
        broken = 0
        offset += len(chunk)
        finished = chunk.endswith(b"\x03")
        text = decoder.decode(chunk.translate(None, b"\x02\x03"), final=finished)
        if text:
            yield text
        if finished:
            return
        if not chunk:
            if ended or (offset and _phase_ended(tfe, phase, id) and not _more(tfe, url, offset)):
                return
            time.sleep(0.2)


def _more(tfe: Tfe, url: str, offset: int) -> bool:
    """Whether something came between the last read and the phase's end."""
    return bool(tfe.download(f"{url}?limit=1&offset={offset}", authorized=False))


def _phase_ended(tfe: Tfe, phase: str, id: str) -> bool:
    status = tfe.request("GET", f"{phase}/{id}")["data"]["attributes"]["status"]
    return status in ("finished", "errored", "canceled", "unreachable")
