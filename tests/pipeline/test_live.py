"""A project that is followed through an account: no webhook, no public address."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from bot.app import App, Timings
from bot.pipeline.listening.pace import ListeningPace
from sandbox.discord import InteractionView, SandboxChannel
from sandbox.speckle import Release, ServerProject, SpeckleServer, User
from tests.pipeline.conftest import TIMINGS, StartBot, Studio
from tests.pipeline.test_owner_end_to_end import text_of, until

QUICK = replace(TIMINGS, listening=ListeningPace(plan_s=0.2, s_a_project=0.0))


@dataclass(frozen=True)
class Workshop:
    """Ilse owns Kestrel Tower; Maren types with her token, and the bot has no public address."""

    studio: Studio
    server: SpeckleServer
    ilse: User
    tower: ServerProject
    start: Callable[..., AbstractAsyncContextManager[App]]

    async def type(
        self, name: str, *, where: SandboxChannel | None = None, **options: object
    ) -> InteractionView:
        studio = self.studio
        answer = await studio.sandbox.command(
            studio.guild, where or studio.structure, studio.maren, name, **options
        )
        return await answer.settled()

    async def link(self) -> None:
        offer = await self.type("link")
        form = await self.studio.sandbox.press(offer, "Paste it", self.studio.maren)
        token = {"Token": self.server.token(self.ilse)}
        linked = await self.studio.sandbox.submit_modal(form, token, self.studio.maren)
        await until(lambda: "is linked" in text_of(linked))

    def publish(self, message: str) -> None:
        model = self.server.add_model(self.tower, f"structure/{message}")
        self.server.add_version(self.tower, model, author=self.ilse, message=message)

    def shown(self, channel: SandboxChannel | None = None) -> str:
        where = (channel or self.studio.structure).id
        return str([(m.content, m.embeds) for m in self.studio.sandbox.messages(where)])


@pytest.fixture
def timings() -> Timings:
    return QUICK


@pytest.fixture
async def workshop(
    studio: Studio, start_bot: StartBot, release: Release
) -> AsyncIterator[Workshop]:
    async with SpeckleServer.start(release=release) as server:
        ilse = server.add_user("Ilse Brandt")
        tower = server.add_project("Kestrel Tower", owner=ilse, visibility="PUBLIC")

        @asynccontextmanager
        async def start(**live: object) -> AsyncIterator[App]:
            async with start_bot(
                public_url=None,
                speckle_servers=(server.url,),
                speckle={"enrich_deadline_s": 3.0},
                live={"every_s": 1.0} | live,
            ) as app:
                yield app

        yield Workshop(studio, server, ilse, tower, start)


async def test_a_project_is_followed_without_a_public_address(workshop: Workshop) -> None:
    workshop.publish("before anybody followed")
    async with workshop.start():
        await workshop.link()
        answer = await workshop.type("subscribe", stream_id=workshop.tower.id)
        assert "Live through your account" in text_of(answer)
        for name in ("slab poured", "columns set"):
            workshop.publish(name)
            await until(lambda: name in workshop.shown())
    workshop.publish("while the bot was off")
    async with workshop.start():
        await until(lambda: "while the bot was off" in workshop.shown())
        await asyncio.sleep(2.5)
    shown = workshop.shown()
    assert "before anybody followed" not in shown
    for name in ("slab poured", "columns set", "while the bot was off"):
        assert shown.count(f"New version: structure/{name}") == 1, shown


async def test_a_socket_rings(workshop: Workshop) -> None:
    """The turns are minutes apart, so that what comes soon came by the socket."""
    async with workshop.start(every_s=300.0, sockets_from=0):
        await workshop.link()
        await workshop.type("subscribe", stream_id=workshop.tower.id)
        await until(lambda: workshop.server.live.subscriptions())
        await asyncio.sleep(0.5)
        for name in ("slab poured", "columns set"):
            workshop.publish(name)
            await until(lambda: name in workshop.shown())
