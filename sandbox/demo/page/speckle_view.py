"""What the page shows of the two Speckle servers, and what can be done there."""

import asyncio
from collections.abc import Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.demo.page.actions import CannotDo, read_action
from sandbox.demo.page.changes import Changes
from sandbox.demo.page.live_state import live_state
from sandbox.demo.page.speckle_actions import ACTIONS
from sandbox.demo.page.speckle_state import (
    access_of,
    fingerprint,
    overview,
    page_name,
    whole_call,
    whole_project,
)
from sandbox.demo.page.workplace import SpeckleAction, found, project_of, user_of
from sandbox.demo.stage import Stage
from sandbox.speckle import SpeckleServer
from sandbox.speckle.drawing import draw_screenshot_png, draw_thumbnail, draw_version
from sandbox.speckle.people_at_work import NotPossible

LOOK_AGAIN_S: Final = 0.2
PROJECT: Final = "/api/speckle/{server}/projects/{project}"
SIZES: Final = {"small": draw_thumbnail, "large": draw_version, "pinned": draw_screenshot_png}


def routes(stage: Stage, changes: Changes) -> Sequence[web.RouteDef]:
    """GET and POST below /api/speckle/."""
    view = _SpeckleView(stage, changes)
    return (
        web.get("/api/speckle", view.everything),
        web.get(PROJECT, view.project),
        web.get(f"{PROJECT}/webhooks/{{webhook}}/calls/{{call}}", view.call),
        web.get(f"{PROJECT}/versions/{{version}}/{{size}}.png", view.picture),
        web.get("/api/speckle/{server}/people/{person}/access", view.access),
        *(web.post(f"/api/speckle/{name}", view.doing(kind)) for name, kind in ACTIONS.items()),
    )


async def watch(stage: Stage, changes: Changes) -> None:
    """Runs while the page is served; marks "speckle" when there is something new to see."""
    seen = fingerprint(stage.servers), stage.bot.state
    while True:
        await asyncio.sleep(LOOK_AGAIN_S)
        now = fingerprint(stage.servers), stage.bot.state
        if now != seen:
            seen = now
            changes.mark("speckle")


class _SpeckleView:
    """The answers of the routes."""

    def __init__(self, stage: Stage, changes: Changes) -> None:
        self._stage = stage
        self._changes = changes

    async def everything(self, _: web.Request) -> web.Response:
        """Servers with their people and projects."""
        return web.json_response(overview(self._stage.servers))

    async def project(self, request: web.Request) -> web.Response:
        """One project with all that is in it."""
        server = self._server(request)
        project = project_of(server, request.match_info["project"])
        live = await live_state(self._stage, server, project)
        return web.json_response(whole_project(server, project) | {"live": live})

    async def call(self, request: web.Request) -> web.Response:
        """One call of a webhook: what was sent and what was answered."""
        project = project_of(self._server(request), request.match_info["project"])
        hook = found(project.webhooks, request.match_info["webhook"], "webhook")
        entry = found(hook.history, request.match_info["call"], "call")
        return web.json_response(whole_call(hook, entry))

    async def picture(self, request: web.Request) -> web.Response:
        """A version's picture, drawn when it is asked for."""
        project = project_of(self._server(request), request.match_info["project"])
        version = found(project.versions, request.match_info["version"], "version")
        draw = SIZES.get(request.match_info["size"])
        if draw is None:
            raise web.HTTPNotFound
        return web.Response(body=await asyncio.to_thread(draw, version), content_type="image/png")

    async def access(self, request: web.Request) -> web.Response:
        """What has access to a person's account."""
        server = self._server(request)
        return web.json_response(access_of(server, user_of(server, request.match_info["person"])))

    def doing(self, kind: type[SpeckleAction]) -> Handler:
        """What answers the requests for one kind of action."""

        async def do(request: web.Request) -> web.Response:
            action = await read_action(request, kind)
            try:
                there = action.at(self._stage)
                await asyncio.to_thread(action.prepare, there)
                fired = action.act(there)
            except NotPossible as problem:
                raise CannotDo(str(problem)) from problem
            self._changes.mark("speckle")
            events = list(dict.fromkeys(page_name(one) for one in fired.events))
            return web.json_response({"events": events, "calls": fired.calls, "made": fired.made})

        return do

    def _server(self, request: web.Request) -> SpeckleServer:
        wanted = request.match_info["server"]
        for index, one in enumerate(self._stage.servers):
            if str(index) == wanted:
                return one.server
        raise CannotDo("There is no such Speckle server here.")
