"""Discovery, ping, entitlements: what a client asks before anything else."""

from __future__ import annotations

import asyncio
import os

import orjson
from starlette.requests import Request
from starlette.responses import Response

from haechi.tfe.access import require_organization
from haechi.tfe.api.app import VERSION_HEADERS, caller_of
from haechi.tfe.api.call import Answer, Call, OpenRoute, Route, Services, shown
from haechi.tfe.jsonapi import resource

PORTS = (10000, 10010)
CLIENT = "terraform-cli"
SERVICES = {
    "tfe.v2": "/api/v2/",
    "tfe.v2.1": "/api/v2/",
    "tfe.v2.2": "/api/v2/",
    "state.v2": "/api/v2/",
    "modules.v1": "/api/registry/v1/modules/",  # terrasnek stops without it; there is no registry here, what it leads to answers 404
    "login.v1": {
        "client": CLIENT,
        "grant_types": ["authz_code"],
        "authz": "/oauth/authorization",
        "token": "/oauth/token",
        "ports": list(PORTS),
    },
}
ENTITLEMENTS = {  # what this server can do
    "operations": True,
    "state-storage": True,
    "sentinel": True,
    "policy-enforcement": True,
    "global-run-tasks": False,
    "run-tasks": False,
    "agents": False,
    "audit-logging": True,
    "configuration-designer": False,
    "cost-estimation": False,
    "private-module-registry": False,
    "private-policy-agents": False,
    "sso": False,
    "teams": False,
    "user-limit": None,
    "vcs-integrations": False,
    "versioned-policy-set-limit": None,
}


async def show_services(services: Services, request: Request, request_id: str) -> Response:
    """https://developer.hashicorp.com/terraform/internals/remote-service-discovery"""
    return Response(orjson.dumps(SERVICES), media_type="application/json")


async def ping(services: Services, request: Request, request_id: str) -> Response:
    """Clients read only the headers, whatever the status."""
    await asyncio.to_thread(caller_of, services, request.headers.get("authorization", ""))
    return Response(status_code=204, headers=VERSION_HEADERS)


async def show_health(services: Services, request: Request, request_id: str) -> Response:
    """For whoever starts and watches the server."""
    return Response(orjson.dumps({"server": "tfe", "ok": True, "pid": os.getpid()}), media_type="application/json")


def show_entitlements(call: Call) -> Answer:
    """organizations/:name/entitlement-set"""
    with call.store.read() as tx:
        organization = require_organization(tx, call.caller, call.path["organization"])
    return shown(resource("entitlement-sets", organization.id, ENTITLEMENTS))


ROUTES: list[Route] = [("GET", "/organizations/{organization}/entitlement-set", show_entitlements)]
OPEN_ROUTES: list[OpenRoute] = [
    (["GET"], "/.well-known/terraform.json", show_services),
    (["GET"], "/api/v2/ping", ping),
    (["GET"], "/_health", show_health),
]
