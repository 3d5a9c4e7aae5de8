"""Policy sets: taking their archives, and finding those that judge a workspace's runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from haechi.tfe import archive, schema
from haechi.tfe.errors import conflict, invalid
from haechi.tfe.policy import rego
from haechi.tfe.policy.sentinel.config import read_config, read_text, source_path
from haechi.tfe.policy.sentinel.errors import PolicyError, Source
from haechi.tfe.policy.sentinel.parser import parse_policy
from haechi.tfe.runs.blobs import policy_set_key
from haechi.tfe.store import Tx, get_blob, now, one, put_blob

if TYPE_CHECKING:
    from haechi.tfe.api.call import Services

MOST = 10 << 20  # bytes of an archive


@dataclass(frozen=True)
class LoadedSet:
    """A set that judges a run, with what its policies need."""

    name: str
    kind: str  # sentinel | opa
    version_id: str
    data: bytes
    params: dict[str, Any]
    overridable: bool


def sets_for(tx: Tx, workspace: Row[Any]) -> list[LoadedSet]:
    """The sets that judge the runs of a workspace: global ones and its own, without those it is excluded from; by name."""
    s, a, p = schema.policy_sets, schema.policy_set_workspaces, schema.policy_set_parameters
    mine = sa.select(a.c.policy_set_id).where(a.c.workspace_id == workspace.id)
    applies = sa.and_(
        sa.or_(s.c.global_.is_(True), s.c.id.in_(mine.where(a.c.excluded.is_(False)))), s.c.id.not_in(mine.where(a.c.excluded.is_(True)))
    )
    query = sa.select(s).where(s.c.organization_id == workspace.organization_id, s.c.current_version_id.is_not(None), applies)
    found = []
    for row in tx.execute(query.order_by(s.c.name)).all():
        data = get_blob(tx, policy_set_key(row.current_version_id))
        assert data is not None, "a ready version has its archive"
        params = {key: value for key, value in tx.execute(sa.select(p.c.key, p.c.value).where(p.c.policy_set_id == row.id))}
        found.append(LoadedSet(row.name, row.kind, row.current_version_id, data, dict(params), row.overridable))
    return found


def upload_version(services: Services, version_id: str, data: bytes) -> None:
    """Take the archive of a pending version. Raises conflict, or invalid for a bad one, which the version then tells too."""
    v, s = schema.policy_set_versions, schema.policy_sets
    with services.store.read() as tx:
        row = one(tx, v, v.c.id == version_id, v.c.status == "pending")
        owner = one(tx, s, s.c.id == row.policy_set_id) if row is not None else None
    if row is None or owner is None:
        raise conflict("The policy set version has its policies already.")
    count, reason = _judge(data, owner.kind)
    with services.store.write() as tx:
        row = one(tx, v, v.c.id == version_id, v.c.status == "pending", lock=True)
        if row is None:
            raise conflict("The policy set version has its policies already.")
        status = "errored" if reason else "ready"
        stamps = {**row.status_timestamps, f"{status}-at": now()}
        values = {"status": status, "error": reason, "policy_count": count, "updated_at": now(), "status_timestamps": stamps}
        tx.execute(sa.update(v).where(v.c.id == version_id).values(**values))
        if not reason:
            put_blob(tx, policy_set_key(version_id), data)
            tx.execute(sa.update(s).where(s.c.id == row.policy_set_id).values(current_version_id=version_id, updated_at=now()))
    if reason:
        raise invalid(reason, title="unprocessable entity")


def _judge(data: bytes, kind: str) -> tuple[int, str]:
    """(how many policies are in an archive, why it is no policy set: "" when it is one)."""
    with tempfile.TemporaryDirectory(prefix="haechi-policy-") as directory:
        try:
            archive.unpack(data, Path(directory))
            return CHECKS[kind](Path(directory)), ""
        except (archive.ArchiveError, PolicyError) as error:
            return 0, str(error)


def check_sentinel(directory: Path) -> int:
    """How many policies a set names; PolicyError where one is missing or cannot be parsed."""
    path = next((each for each in (directory / "sentinel.hcl", directory / "sentinel.json") if each.is_file()), None)
    if path is None:
        raise PolicyError("the policy set has no sentinel.hcl", "config")
    policies = read_config(source_path(path.name, directory, directory)).policies
    for policy in policies:
        text = read_text(source_path(policy.source, directory, directory))
        parse_policy(Source(Path(policy.source).name, text))
    return len(policies)


CHECKS: dict[str, Callable[[Path], int]] = {"sentinel": check_sentinel, "opa": rego.check_modules}


def unpacked(loaded: LoadedSet, work: Path) -> Path:
    """The directory of a set's files; unpacked once per version and process-safe: it appears whole."""
    directory = work / loaded.version_id
    if not directory.is_dir():
        work.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=work))
        archive.unpack(loaded.data, temporary)
        try:
            temporary.rename(directory)
        except OSError:  # another thread was faster
            shutil.rmtree(temporary)
    return directory
