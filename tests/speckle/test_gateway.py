"""specklepy over a real socket, against a server that answers as recorded."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from bot.errors import SpeckleUnavailable
from bot.speckle.events import ModelRef, VersionCreated, VersionFacts
from bot.speckle.gateway import SpeckleGateway

VERSION = VersionCreated(
    version_id="e068f087f5",
    model=ModelRef(id="b72f8f6b47", name="arch/building a"),
    message="sent by specklepy v2",
    application="py",
    object_id="fcefd2c2604554ad02702b0311c50f3c",
    parents=("9ab6568657",),
)
ANSWER = {
    "data": {
        "project": {
            "object": {"data": {"name": "Root", "__closure": {f"{n:032x}": 1 for n in range(223)}}},
            "model": {"versions": {"items": [{"id": "e068f087f5"}, {"id": "9ab6568657"}]}},
        }
    }
}
BAD_TOKEN = {"error": "Your token is not valid."}
NO_ACCESS = {
    "data": None,
    "errors": [
        {"message": "You do not have access to the project", "extensions": {"code": "FORBIDDEN"}}
    ],
}


class Answering:
    """A Speckle server for one answer; keeps the tokens that it was sent."""

    def __init__(self, answer: dict[str, Any], status: int = 200, delay_s: float = 0.0) -> None:
        self.answer, self.status, self.delay_s = answer, status, delay_s
        self.tokens: list[str | None] = []
        self.url = ""

    async def graphql(self, request: web.Request) -> web.Response:
        question = await request.json()
        if "VersionFacts" in question["query"]:
            self.tokens.append(request.headers.get("Authorization"))
        await asyncio.sleep(self.delay_s)
        return web.json_response(self.answer, status=self.status)


@asynccontextmanager
async def serving(answering: Answering) -> AsyncIterator[Answering]:
    app = web.Application()
    app.router.add_post("/graphql", answering.graphql)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    answering.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield answering
    finally:
        await runner.cleanup()


async def ask(gateway: SpeckleGateway, url: str, *, with_token: bool = True) -> VersionFacts:
    try:
        return await gateway.version_facts(url, "47e09e5a62", VERSION, with_token=with_token)
    finally:
        gateway.close()


async def test_the_count_is_the_closures_and_the_version_before_is_the_next_older_one() -> None:
    async with serving(Answering(ANSWER)) as server:
        gateway = SpeckleGateway(token="t", token_server=server.url, deadline_s=10.0)
        facts = await ask(gateway, server.url)
    assert facts == VersionFacts(object_count=223, previous_version_id="9ab6568657")
    assert server.tokens == ["Bearer t"]


@pytest.mark.parametrize(
    ("token_server", "with_token"), [("https://other.example", True), (None, False)]
)
async def test_the_token_goes_to_its_own_server_and_only_when_allowed(
    token_server: str | None, with_token: bool
) -> None:
    async with serving(Answering(ANSWER)) as server:
        gateway = SpeckleGateway(
            token="t", token_server=token_server or server.url, deadline_s=10.0
        )
        await ask(gateway, server.url, with_token=with_token)
    assert server.tokens == [None]


@pytest.mark.parametrize(("answer", "status"), [(BAD_TOKEN, 403), (NO_ACCESS, 200)])
async def test_a_refusal_is_an_unavailable_server_and_names_no_token(
    answer: dict[str, Any], status: int
) -> None:
    async with serving(Answering(answer, status)) as server:
        gateway = SpeckleGateway(token="secret-t", token_server=server.url, deadline_s=10.0)
        with pytest.raises(SpeckleUnavailable) as refusal:
            await ask(gateway, server.url)
    assert "secret-t" not in str(refusal.value)


async def test_a_server_that_is_down_is_unavailable() -> None:
    gateway = SpeckleGateway(token=None, token_server="http://127.0.0.1:9", deadline_s=10.0)
    with pytest.raises(SpeckleUnavailable):
        await ask(gateway, "http://127.0.0.1:9")


async def test_a_hanging_server_is_given_up_at_the_deadline_and_holds_up_no_other() -> None:
    async with serving(Answering(ANSWER, delay_s=3.0)) as slow, serving(Answering(ANSWER)) as good:
        gateway = SpeckleGateway(token=None, token_server=slow.url, deadline_s=1.0)
        questions = [
            gateway.version_facts(slow.url, "47e09e5a62", VERSION, with_token=False)
            for _ in range(4)
        ]
        outcomes = asyncio.gather(*questions, return_exceptions=True)
        await asyncio.sleep(0)
        assert all(isinstance(outcome, SpeckleUnavailable) for outcome in await outcomes)
        assert (await ask(gateway, good.url, with_token=False)).object_count == 223


@pytest.mark.parametrize("odd", [{}, {"project": None}, {"project": {"object": {"data": 5}}}])
async def test_an_answer_of_another_shape_adds_nothing(odd: dict[str, Any]) -> None:
    async with serving(Answering(json.loads(json.dumps({"data": odd})))) as server:
        gateway = SpeckleGateway(token=None, token_server=server.url, deadline_s=10.0)
        assert await ask(gateway, server.url) == VersionFacts()
