"""A Terraform Enterprise server for unit tests: in a thread of this process, over real HTTP, with no worker."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from haechi.tfe import schema
from haechi.tfe.access import create_token
from haechi.tfe.accounts import add_member, create_user, ensure_admin
from haechi.tfe.api.app import make_app
from haechi.tfe.api.call import Services
from haechi.tfe.pages.routes import make_pages
from haechi.tfe.runs import jobs, lifecycle
from haechi.tfe.settings import Settings
from haechi.tfe.signing import Signer
from haechi.tfe.store import Store, one
from tests.tfeworker import pack


class TfeLab:
    """`admin` is the token of a site administrator. Requests return (status, document)."""

    def __init__(self, home: Path, database: str = "") -> None:
        self.settings = Settings(home, port=0, worker_slots=0, database=database)
        self.store = Store(self.settings.database_url)
        self.services = Services(self.settings, self.store, Signer(self.store.secret("signing")))
        self.admin = ensure_admin(self.store, home / "token")
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(make_app(self.services, make_pages(self.services)), log_config=None, lifespan="off", ws="none")
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=60)

    def close(self) -> None:
        """Stop serving."""
        self.client.close()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self.store.close()

    def call(self, method: str, path: str, document: Any = None, token: str | None = None) -> tuple[int, Any]:
        """One request below /api/v2; `token` "" sends none."""
        token = self.admin if token is None else token
        headers = {"Content-Type": "application/vnd.api+json", **({"Authorization": f"Bearer {token}"} if token else {})}
        answer = self.client.request(method, "/api/v2" + path, json=document, headers=headers)
        return answer.status_code, answer.json() if answer.content and "json" in answer.headers["content-type"] else answer.text

    def get(self, path: str, token: str | None = None) -> Any:
        """The document of a GET that must be 200."""
        status, document = self.call("GET", path, token=token)
        assert status == 200, (status, document)
        return document

    def create(self, path: str, type: str, attributes: dict[str, Any] | None = None, relationships: dict[str, Any] | None = None) -> Any:
        """The `data` of a POST that must be 200 or 201."""
        body = {"data": {"type": type, "attributes": attributes or {}, "relationships": relationships or {}}}
        status, document = self.call("POST", path, body)
        assert status in (200, 201), (status, document)
        return document["data"]

    def organization(self, name: str = "acme") -> str:
        """Make one; its name."""
        self.create("/organizations", "organizations", {"name": name, "email": "a@b.test"})
        return name

    def workspace(self, name: str = "app", organization: str = "acme", **attributes: Any) -> str:
        """Make one; its id."""
        return str(self.create(f"/organizations/{organization}/workspaces", "workspaces", {"name": name, **attributes})["id"])

    def user(self, name: str, organization: str = "", workspace_access: str = "read", role: str = "member") -> tuple[str, str]:
        """(id, token) of a new user, member of the organization if one is named."""
        with self.store.write() as tx:
            id = create_user(tx, name, f"{name}@b.test")
            if organization:
                found = one(tx, schema.organizations, schema.organizations.c.name == organization)
                assert found is not None
                add_member(tx, found.id, id, role, workspace_access)
            return id, create_token(tx, "user", user_id=id)[1]

    def configuration(self, workspace: str, files: dict[str, str] | None = None, **attributes: Any) -> str:
        """An uploaded configuration version; its id."""
        attributes = {"auto-queue-runs": False, **attributes}
        version = self.create(f"/workspaces/{workspace}/configuration-versions", "configuration-versions", attributes)
        answer = self.client.put(version["attributes"]["upload-url"], content=pack(files or {"main.tf": ""}))
        assert answer.status_code == 200, answer.text
        return str(version["id"])

    def run(self, workspace: str, **attributes: Any) -> str:
        """A new run of the newest configuration; its id."""
        links = {"workspace": {"data": {"type": "workspaces", "id": workspace}}}
        return str(self.create("/runs", "runs", {k.replace("_", "-"): v for k, v in attributes.items()}, links)["id"])

    def status(self, run: str) -> str:
        """Of a run."""
        return str(self.get(f"/runs/{run}")["data"]["attributes"]["status"])

    def planned(self, run: str, has_changes: bool = True, has_policies: bool = False) -> None:
        """What a worker does: take the run's plan and finish it."""
        self._take(run)
        with self.store.write() as tx:
            lifecycle.finish_plan(self.store, tx, run, lifecycle.PlanResult("finished", has_changes, 1, 0, 0, 0), has_policies)

    def judged(self, run: str, status: str = "passed") -> None:
        """What a worker does after a plan with policies."""
        with self.store.write() as tx:
            lifecycle.finish_policies(self.store, tx, run, status, {"result": status == "passed"}, "said")

    def applied(self, run: str, status: str = "finished") -> None:
        """What a worker does: take the run's apply and finish it."""
        self._take(run)
        with self.store.write() as tx:
            lifecycle.finish_apply(self.store, tx, run, lifecycle.ApplyResult(status, 1, 0, 0, 0))

    def _take(self, run: str) -> None:
        job = jobs.take(self.store, "worker-1")
        assert job is not None and job.run_id == run, (job, run)


@contextmanager
def tfe_lab(home: Path, database: str = "") -> Iterator[TfeLab]:
    """A lab that is taken down at the end; `database` as in Settings."""
    lab = TfeLab(home, database)
    try:
        yield lab
    finally:
        lab.close()
