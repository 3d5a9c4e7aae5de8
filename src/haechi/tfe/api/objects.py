"""Objects behind signed addresses: uploads, downloads, logs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from haechi.tfe.api import configuration_versions, state_versions
from haechi.tfe.api.app import read_body
from haechi.tfe.api.call import OpenRoute, Services
from haechi.tfe.api.logs import follow_log
from haechi.tfe.errors import ApiError
from haechi.tfe.policy import sets
from haechi.tfe.signing import PREFIX

UPLOADS: dict[str, tuple[int, Callable[[Services, str, bytes], None]]] = {  # kind: most bytes, what takes them
    "configuration": (configuration_versions.MOST, configuration_versions.upload),
    "policy-set": (sets.MOST, sets.upload_version),
    "state": (state_versions.MOST, state_versions.upload_state),
    "json-state": (state_versions.MOST, state_versions.upload_json),
}
DOWNLOADS: dict[str, tuple[str, Callable[[Services, str], bytes]]] = {  # kind: media type, what gives them
    "configuration-download": ("application/x-gzip", configuration_versions.read_archive),
    "state-download": ("application/json", state_versions.read_state),
    "json-state-download": ("application/json", lambda services, id: state_versions.read_state(services, id, printed=True)),
}


async def handle_object(services: Services, request: Request, request_id: str) -> Response:
    """PUT or GET of what the path is signed for."""
    kind, id = services.signer.read(request.path_params["token"])
    if request.method == "PUT" and kind in UPLOADS:
        most, take = UPLOADS[kind]
        data = await read_body(request, most)
        await asyncio.to_thread(take, services, id, data)
        return Response(status_code=200)
    if request.method == "GET" and kind == "log":
        return await follow_log(services, request, id)
    if request.method == "GET" and kind in DOWNLOADS:
        type, give = DOWNLOADS[kind]
        return Response(await asyncio.to_thread(give, services, id), media_type=type, headers={"Cache-Control": "no-store"})
    raise ApiError(405, "method not allowed", "The address is not for this.")


OPEN_ROUTES: list[OpenRoute] = [(["GET", "PUT"], PREFIX + "{token}", handle_object)]
