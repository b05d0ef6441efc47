"""What the way of an event and trouble by switch are asked to do is read strictly."""

from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from sandbox.demo.page import events_view, faults_view
from sandbox.demo.page.actions import say_what_is_wrong
from sandbox.demo.page.changes import Changes
from sandbox.demo.stage import Stage
from sandbox.http_site import serving

NO_STAGE = cast("Stage", object())  # nothing of it is touched


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults/switch", {"trouble": "everything", "on": True}),
        ("faults/switch", {"trouble": "discord_down"}),
        ("faults/switch", {"trouble": "channel_deleted", "on": True, "channel": ["1"]}),
        ("faults/bot", {"do": "explode"}),
        ("faults/bot", []),
        ("faults/send", {"count": 0}),
        ("faults/send", {"count": 1_000_000}),
        ("faults/send", {"count": 1, "to": "elsewhere"}),
        ("faults/retry", {"all": True}),
        ("events/deliver", {"signed": "maybe"}),
        ("events/curl", None),
    ],
)
async def test_what_is_malformed_changes_nothing_and_says_where(path: str, body: Any) -> None:
    app = web.Application(middlewares=[say_what_is_wrong])
    for view in (events_view, faults_view):
        app.router.add_routes(view.routes(NO_STAGE, Changes()))
    async with (
        serving(app) as url,
        aiohttp.ClientSession() as http,
        http.post(f"{url}/api/{path}", json=body) as answer,
    ):
        assert answer.status == 400
        assert (await answer.json())["error"].startswith("The request is malformed at ")
