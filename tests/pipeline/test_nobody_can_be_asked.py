"""Where nobody can be asked who may see something, one channel waits; and the operator's guilds."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest

from bot.app import Timings
from bot.model import Entitlement, Hook, HookKind, PauseWhy, SubscriptionState
from bot.speckle.signature import sign
from sandbox.speckle import commit_create_data
from tests.conftest import over_postgresql
from tests.pipeline.conftest import Studio
from tests.pipeline.tower import Tower, answer
from tests.pipeline.world import OBJECTS, BotWorld, OpenStage, stage, timings
from tests.waiting import until

__all__ = ["stage", "timings"]

LONG_AGO = timedelta(hours=2)


Break = Callable[[Studio, Tower], Awaitable[None]]


async def speckle_is_away(studio: Studio, tower: Tower) -> None:
    tower.server.faults.when = lambda operation: operation == "Project"
    tower.server.faults.status = 502


async def discord_knows_nobody(studio: Studio, tower: Tower) -> None:
    route = "GET /guilds/{guild_id}/members/{user_id}"
    studio.sandbox.faults.fail(route, 503, times=None)


async def discord_hangs(studio: Studio, tower: Tower) -> None:
    route = "GET /guilds/{guild_id}/members/{user_id}"
    studio.sandbox.faults.slow(route, 60.0)


@pytest.mark.parametrize("broken", [speckle_is_away, discord_knows_nobody, discord_hangs])
async def test_where_nobody_can_be_asked_one_channel_waits_and_the_others_go_on(
    stage: OpenStage, studio: Studio, tower: Tower, broken: Break, timings: Timings
) -> None:
    access = replace(timings.access, discord_within_s=1.0)
    async with stage(timings=replace(timings, access=access)) as at:
        there = await at.follow(studio.structure, await at.link())
        covered = answer(studio.maren.id, audience=await at.audience(studio.facade))
        await at.follow(studio.facade, hook=at.hook, consent=covered)
        await at.the_last_yes_was(LONG_AGO)
        await broken(studio, tower)
        numbers = [f"version no {number}" for number in range(3)]
        for number in numbers:
            await at.publish(number)
        await at.shows(studio.facade, *numbers)
        assert at.quotes(studio.facade) == numbers
        assert at.messages(studio.structure) == []
        assert (await at.again(there)).state is SubscriptionState.ACTIVE
        tower.server.faults.clear()
        studio.sandbox.faults.heal()
        await at.publish("version no 3")
        await at.shows(studio.structure, "version no 3")
        assert at.quotes(studio.structure) == [*numbers, "version no 3"]
        assert at.quotes(studio.facade) == [*numbers, "version no 3"]


@over_postgresql
async def test_an_event_that_waits_for_long_does_not_fill_its_trace(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        await at.the_last_yes_was(LONG_AGO)
        await speckle_is_away(studio, tower)
        await at.publish("version no 0")
        await at.holds(there, 1)
        before = await at.app.storage.read(lambda tx: tx.inbox.get(1))

        async def tried() -> bool:
            held = await at.app.storage.read(lambda tx: tx.held_events.due(1))
            return bool(held) and held[0].attempts > 1

        await until(tried, 20.0)
        row = await at.app.storage.read(lambda tx: tx.inbox.get(1))
        assert row is not None
        assert before is not None
        assert row.trace == before.trace
        tower.server.faults.clear()
        await at.shows(studio.structure, "version no 0")


# ── the operator's guilds ─────────────────────────────────────────────────────────────────────

SHARED_SECRET = "shared between the operator and the server"


async def shared_event(at: BotWorld, message: str) -> None:
    version = at.version(message=message)
    body = json.dumps(
        {
            "payload": {
                "streamId": at.tower.project.id,
                "userId": at.tower.ilse.id,
                "event": {"event_name": "commit_create", "data": commit_create_data(version)},
                "server": {"canonicalUrl": at.tower.server.url},
                "stream": {"id": at.tower.project.id, "name": at.tower.project.name},
                "user": {"id": at.tower.ilse.id, "name": "Ilse Brandt"},
            }
        }
    ).encode()
    headers = {
        "Content-Type": "application/json",
        "X-WEBHOOK-SIGNATURE": sign(body, SHARED_SECRET),
    }
    url = f"http://127.0.0.1:{at.app.port}/webhook"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=body, headers=headers) as answered,
    ):
        assert answered.status == 202


def shared(studio: Studio, tower: Tower, *guilds: int) -> dict[str, object]:
    return {
        "organisation": {"guilds": guilds},
        "speckle_token": tower.token,
        "speckle_webhook_secret": SHARED_SECRET,
    }


async def shared_hook(at: BotWorld, guild_id: int) -> Hook:
    tower = at.tower
    return await at.app.storage.write(
        lambda tx: tx.hooks.create(
            guild_id, tower.server.url, tower.project.id, HookKind.SHARED, at.studio.maren.id, None
        )
    )


@pytest.mark.parametrize(
    ("standing", "adds"),
    [
        (Entitlement.MANAGER, True),
        (Entitlement.OWNER, True),
        (Entitlement.READER, True),
        (Entitlement.ANYONE, False),
    ],
)
async def test_the_operators_token_adds_only_where_somebody_who_may_has_answered(
    stage: OpenStage, studio: Studio, tower: Tower, standing: Entitlement, adds: bool
) -> None:
    async with stage(**shared(studio, tower, studio.guild.id)) as at:
        hook = await shared_hook(at, studio.guild.id)
        consent = answer(studio.maren.id, standing=standing)
        await at.follow(studio.facade, hook=hook, consent=consent)
        await shared_event(at, "version no 0")
        await at.shows(studio.facade, "version no 0", *([OBJECTS] if adds else []))
        await shared_event(at, "version no 1")
        await at.shows(studio.facade, "version no 1")
        assert (OBJECTS in at.shown(studio.facade)) is adds


async def test_nobody_has_answered_for_a_shared_hook_so_it_pauses(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage(**shared(studio, tower, studio.guild.id)) as at:
        hook = await shared_hook(at, studio.guild.id)
        there = await at.follow(studio.facade, hook=hook)
        await shared_event(at, "version no 0")
        await at.paused(there, PauseWhy.NOT_ANSWERED)
        assert at.messages(studio.facade) == []


async def test_another_guild_never_gets_what_the_shared_hook_brings(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    elsewhere = studio.sandbox.add_guild("Elsewhere")
    lobby = elsewhere.add_channel("lobby")
    consent = answer(studio.maren.id, standing=Entitlement.MANAGER)
    async with stage(**shared(studio, tower, studio.guild.id, elsewhere.id)) as at:
        mine = await shared_hook(at, studio.guild.id)
        await at.follow(studio.facade, hook=mine, consent=consent)
        theirs = await shared_hook(at, elsewhere.id)
        there = await at.follow(lobby, hook=theirs)
        await shared_event(at, "version no 0")
        await at.paused(there, PauseWhy.NOT_ANSWERED)
        await at.holds(there, 1)
    async with stage(**shared(studio, tower, studio.guild.id)) as at:
        await at.app.storage.write(lambda tx: tx.subscriptions.answered(there.id, consent))
        await at.app.storage.write(
            lambda tx: tx.subscriptions.set_state(there.id, SubscriptionState.ACTIVE)
        )
        await shared_event(at, "version no 1")
        await at.shows(studio.facade, "version no 1")
        await at.holds(there, 0)
        assert at.messages(lobby) == []
