"""The bot is killed while a project changes from live to a webhook, and back: each event once.

It is killed where it waits for the Speckle server, which has a certain question of it, and has done
what that asks or not.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest

from bot.app import Timings
from tests.conftest import only_2_31
from tests.pipeline.test_live import LIVE, QUICK, Workshop, handed_over
from tests.pipeline.test_live import workshop as workshop  # a fixture
from tests.pipeline.test_live_and_webhooks import keep_from_changing
from tests.pipeline.test_stopping import process
from tests.waiting import until

pytestmark = [
    only_2_31,
    pytest.mark.skipif(sys.platform == "win32", reason="these are signals of Unix"),
]

STARTED_S = 90.0  # until a hand-over that found Discord not ready is tried again
SHOWN_S = 60.0  # an event that waits for a busy server is tried again after 15 s


@pytest.fixture
def timings() -> Timings:
    return QUICK


@dataclass(frozen=True)
class Moment:
    """While a question is at the server; `done`: it has done what that asks, and not answered."""

    operation: str
    done: bool = False

    def __str__(self) -> str:
        return f"{'after' if self.done else 'before'} {self.operation}".lower()


@dataclass(frozen=True)
class Killer:
    """Starts the bot as a process of its own, and kills it."""

    workshop: Workshop
    database_url: str
    key: str

    async def kills(
        self, moment: Moment, typed: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        """At that moment, which comes at a start, or when somebody types something."""
        faults = self.workshop.server.faults
        workshop = self.workshop

        def strikes() -> None:
            faults.hang, faults.after = True, moment.done
            faults.when = lambda operation: operation == moment.operation

        if typed is None:
            strikes()
        sandbox = workshop.studio.sandbox
        async with process(sandbox, self.database_url, self.key, workshop.port) as bot:
            typing: asyncio.Future[object] | None = None
            if typed is not None:
                strikes()
                typing = asyncio.ensure_future(typed())
            await until(lambda: faults.hanging or (typing is not None and typing.done()), STARTED_S)
            if not faults.hanging and typing is not None:
                pytest.fail(f"It was answered before that: {await typing}")
            bot.send_signal(signal.SIGKILL)
            await bot.wait()
            if typing is not None:
                typing.cancel()
        faults.clear()


@pytest.fixture
def killer(
    workshop: Workshop, database_url: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> Killer:
    monkeypatch.setenv("SPECKLE_SERVERS", workshop.server.url)
    monkeypatch.setenv("PUBLIC_URL", f"http://127.0.0.1:{workshop.port}")
    return Killer(workshop, database_url, key)


async def all_are_shown_once(workshop: Workshop, names: list[str]) -> None:
    """In whatever order: what a webhook could not deliver comes late."""

    def count() -> dict[str, int]:
        shown = workshop.shown()
        return {one: shown.count(f"New version: structure/{one}'") for one in names}

    with suppress(TimeoutError):
        await until(lambda: all(count().values()), SHOWN_S)
    assert set(count().values()) == {1}, count()


async def jonas_is_heard(workshop: Workshop) -> None:
    """Live through a reader's account; an owner has linked one too."""
    await workshop.link(workshop.juno, workshop.jonas)
    assert LIVE in await workshop.subscribe(workshop.juno)
    workshop.publish("at first")
    await workshop.shows("at first")
    await workshop.link(workshop.studio.maren, workshop.ilse)


async def test_kills_while_an_owner_has_a_webhook_made(workshop: Workshop, killer: Killer) -> None:
    async with workshop.start():
        await jonas_is_heard(workshop)
    names = ["at first"]
    for moment in (
        Moment("Activity"),
        Moment("Webhooks"),
        Moment("CreateWebhook"),
        Moment("CreateWebhook", done=True),
    ):
        await killer.kills(moment, workshop.subscribe)
        names.append(f"killed {moment}")
        await workshop.happens(names[-1])
    async with workshop.start(public=True) as app:
        assert "nothing left to do" in await workshop.subscribe()
        assert len(workshop.server.webhooks(workshop.tower)) == 1
        await handed_over(app)
        names.append("roof on")
        await workshop.happens(names[-1])
        await all_are_shown_once(workshop, names)
    await workshop.starts_again()
    await all_are_shown_once(workshop, names)


async def test_kills_while_a_webhook_takes_over(workshop: Workshop, killer: Killer) -> None:
    async with workshop.start():
        await jonas_is_heard(workshop)
    async with workshop.start(public=True) as app:
        keep_from_changing(workshop)
        assert "in Speckle for you" in await workshop.subscribe()
        names = ["at first", "by the webhook"]
        await workshop.happens(names[-1])
        await all_are_shown_once(workshop, names)
        assert await app.storage.read(lambda tx: tx.listening.all())
    workshop.server.faults.clear()
    for moment in (Moment("Activity"), Moment("Activity", done=True)):
        names.append(f"killed {moment}")
        await workshop.happens(names[-1])
        await killer.kills(moment)
    async with workshop.start(public=True) as app:
        await handed_over(app)
        names.append("roof on")
        await workshop.happens(names[-1])
        await all_are_shown_once(workshop, names)
    await workshop.starts_again()
    await all_are_shown_once(workshop, names)


async def test_kills_while_what_had_a_webhook_becomes_live(
    workshop: Workshop, killer: Killer
) -> None:
    """Its owner unlinks their account, and a reader goes on with theirs."""
    studio = workshop.studio

    async def unlink() -> None:
        question = await workshop.type("unlink")
        answer = await studio.sandbox.press(question, "Yes, unlink it", studio.maren)
        await answer.settled()

    async def by_juno() -> str:
        return await workshop.subscribe(workshop.juno)

    async with workshop.start(public=True):
        await workshop.link(studio.maren, workshop.ilse)
        assert "in Speckle for you" in await workshop.subscribe(where=studio.facade)
        await workshop.link(workshop.juno, workshop.jonas)
        assert "now follows" in await by_juno()
        names = ["by the webhook"]
        await workshop.happens(names[-1])
        await all_are_shown_once(workshop, names)
    for moment in (Moment("DeleteWebhook"), Moment("DeleteWebhook", done=True)):
        await killer.kills(moment, unlink)
    async with workshop.start(public=True):
        await unlink()
        assert not workshop.server.webhooks(workshop.tower)
    await killer.kills(Moment("Activity"), by_juno)
    names.append("killed as it became live")
    await workshop.happens(names[-1])
    async with workshop.start(public=True) as app:
        await all_are_shown_once(workshop, names)
        names.append("roof on")
        await workshop.happens(names[-1])
        await all_are_shown_once(workshop, names)
        await workshop.two_turns_more(app)
    await workshop.starts_again()
    await all_are_shown_once(workshop, names)
