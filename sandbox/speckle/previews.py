"""/preview/…: nearly always a picture and HTTP 200; the headers tell which."""

import base64
import json
from functools import cache
from pathlib import Path

from aiohttp import web

from sandbox.speckle.entities import Token, Version
from sandbox.speckle.speckle_world import SpeckleWorld

RECORDED = Path(__file__).with_name("recorded_previews")
HEADERS = ("Cache-Control", "Content-Type", "X-Preview-Error", "X-Preview-Error-Code")


@cache
def _recorded(name: str) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
    read = json.loads((RECORDED / f"{name}.json").read_text())
    headers = tuple((key, read["headers"][key]) for key in HEADERS if key in read["headers"])
    return read["status"], base64.b64decode(read["body_b64"]), headers


def as_recorded(name: str) -> web.Response:
    """An answer out of recorded_previews/."""
    status, body, headers = _recorded(name)
    return web.Response(status=status, body=body, headers=dict(headers))


def answer(world: SpeckleWorld, token: Token | None, request: web.Request) -> web.Response:
    """The picture of a version, or its placeholder. Asking starts the rendering."""
    project = world.projects.get(request.match_info["project"])
    if project is None:
        return as_recorded("missing_project")
    reader = token is not None and "streams:read" in token.scopes
    limited = token is not None and token.only is not None and project.id not in token.only
    member = project.role_of(token.user if token else None) is not None
    if limited or (not project.is_public and not (reader and member)):
        return as_recorded("private_no_token")
    version = _version(project.versions, request.match_info["version"])
    if version is None:
        return as_recorded("missing_version_public")
    version.preview_asked += 1
    if not version.rendered:
        return as_recorded("public_pending")
    if request.match_info.get("angle", "0") not in ("0", "all"):
        return as_recorded("rendered_public_angle_1")
    rendered = as_recorded("rendered_public")
    if world.draw is not None:
        rendered.body = world.draw(version)
    return rendered


def _version(versions: list[Version], version_id: str) -> Version | None:
    return next((version for version in versions if version.id == version_id), None)
