"""What is read beside GraphQL: /object-stream as a 2.31 server has it, files, issues' pictures."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from aiohttp import web

from sandbox.speckle.entities import ServerProject, Token
from sandbox.speckle.speckle_world import SpeckleWorld

MOST_IDS: Final = 5_000
CHUNK: Final = "Speckle.Core.Models.DataChunk"
OBJECT: Final = "Objects.Data.DataObject"


def may_read(project: ServerProject, token: Token | None) -> bool:
    """Whether these routes answer about the project with this token, or without any."""
    if token is not None and token.only is not None and project.id not in token.only:
        return False
    if project.is_public:
        return True
    reader = token is not None and "streams:read" in token.scopes
    return reader and token is not None and project.role_of(token.user) is not None


def readable(
    world: SpeckleWorld, token: Token | None, request: web.Request
) -> ServerProject | web.Response:
    """The project of a route, or why there is none."""
    project = world.projects.get(request.match_info["project"])
    if project is None:
        return web.json_response({"error": "Project not found"}, status=404)
    if not may_read(project, token):
        return web.json_response({"error": "You do not have access to the project"}, status=403)
    return project


async def object_stream(
    world: SpeckleWorld, token: Token | None, request: web.Request
) -> web.Response:
    """The objects that were asked for, a line each; ids that there are none of are left out."""
    project = readable(world, token, request)
    if isinstance(project, web.Response):
        return project
    asked = await request.json()
    ids, mask = asked.get("objectIds"), asked.get("attributeMask", {})
    if not isinstance(ids, list) or not 0 < len(ids) <= MOST_IDS or len(mask) > 1:
        return web.json_response({"error": "Invalid request body"}, status=400)
    lines = [
        f"{object_id}\t{json.dumps(_masked(data, mask), separators=(',', ':'))}\n"
        for object_id, data in _objects(project, dict.fromkeys(ids))
    ]
    answer = web.Response(text="".join(lines), content_type="text/plain")
    answer.enable_compression(web.ContentCoding.gzip)
    return answer


def blob(world: SpeckleWorld, token: Token | None, request: web.Request) -> web.Response:
    """A file that was attached to a comment or an issue."""
    project = readable(world, token, request)
    if isinstance(project, web.Response):
        return project
    content = project.blobs.get(request.match_info["blob"])
    if content is None:
        return web.json_response({"error": "File not found"}, status=404)
    return web.Response(body=content, content_type="application/octet-stream")


def issue_picture(world: SpeckleWorld, token: Token | None, request: web.Request) -> web.Response:
    """What was seen when an issue was opened, where there is a picture of it."""
    project = readable(world, token, request)
    if isinstance(project, web.Response):
        return project
    content = project.issue_pictures.get(request.match_info["issue"])
    if content is None:
        return web.json_response({"error": "Not found"}, status=404)
    return web.Response(body=content, content_type="image/png")


def _objects(project: ServerProject, ids: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Those of these that a project has; some below a root are known by their ids alone."""
    unknown = []
    for one in ids:
        if one in project.lost:
            continue
        if one in project.objects:
            yield one, project.objects[one]
        else:
            unknown.append(one)
    if unknown:
        roots = [root.get("__closure") or {} for root in project.objects.values()]
        below = {one for closure in roots for one in closure}
        for one in below.intersection(unknown):
            yield one, {"id": one, "speckle_type": CHUNK if one in project.chunks else OBJECT}


def _masked(data: dict[str, Any], mask: dict[str, list[str]]) -> dict[str, Any]:
    if "include" in mask:
        return {key: value for key, value in data.items() if key in mask["include"]}
    return {key: value for key, value in data.items() if key not in mask.get("exclude", ())}
