"""A guild that sends more than it may: the whole bot, between real servers."""

import json
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.app import App, Timings
from bot.model import Hook, HookKind
from bot.pipeline.catch_up.from_history import CatchUpLimits
from bot.speckle.subscription_options import SubscriptionOptions
from sandbox.discord import SandboxChannel, SandboxMessage
from tests.pipeline.conftest import QUICK_NOTICES, TIMINGS, Recorded, Run, StartBot, Studio, post
from tests.pipeline.deliveries import SERVER, follow, numbered, numbers_in, wait_for_numbers
from tests.pipeline.tower import Tower
from tests.waiting import until


@pytest.fixture
def timings() -> Timings:
    return replace(TIMINGS, notifier=QUICK_NOTICES)


async def statuses(app: App, hook: Hook, numbers: range) -> list[int]:
    return [await post(app, hook, numbered(number)) for number in numbers]


async def said(studio: Studio, channel_id: int, count: int = 1) -> list[SandboxMessage]:
    """What was told in a channel, as soon as there is so much."""
    await studio.sandbox.wait_for_messages(channel_id, count, 15)
    return studio.sandbox.messages(channel_id)


async def other_hook(app: App, studio: Studio, channel: SandboxChannel) -> Hook:
    hook = await app.storage.write(
        lambda tx: tx.hooks.create(
            studio.guild.id, SERVER, "0000000001", HookKind.OWN, studio.maren.id, channel.id
        )
    )
    await app.storage.write(
        lambda tx: tx.subscriptions.upsert(
            hook.id, channel.id, SubscriptionOptions(), studio.maren.id
        )
    )
    return hook


def of_other(number: int) -> Recorded:
    payload = numbered(number).payload | {"streamId": "0000000001"}
    return replace(numbered(number), body=json.dumps({"payload": payload}).encode())


async def test_what_was_taken_is_shown_and_another_project_goes_on(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(quotas={"events_a_day": 12}) as app:
        busy = await follow(app, studio, studio.structure)
        quiet = await other_hook(app, studio, studio.facade)
        assert await statuses(app, busy, range(14)) == [*[202] * 9, *[429] * 5]
        assert [await post(app, quiet, of_other(number)) for number in range(3)] == [202] * 3
        await wait_for_numbers(studio, studio.structure, range(9))
        await wait_for_numbers(studio, studio.facade, range(3))


async def test_the_maker_of_the_webhook_is_told_once_a_day_also_after_a_restart(
    studio: Studio, start_bot: StartBot
) -> None:
    private = studio.sandbox.world.private_channel(studio.maren.id)
    async with start_bot(quotas={"events_a_day": 3}) as app:
        hook = await follow(app, studio, studio.structure)
        assert await statuses(app, hook, range(6)) == [*[202] * 3, *[429] * 3]
        [notice] = await said(studio, private.id)
        [embed] = notice.embeds
        assert embed["title"] == "Today's quota is used up"
        assert "Studio Kestrel" in embed["description"]
        assert "3 of 3 events" in embed["fields"][0]["value"]
        assert "*New secret*" in embed["fields"][1]["value"]
        for command in ("events", "status"):
            answer = await studio.sandbox.command(
                studio.guild, studio.structure, studio.maren, command
            )
            assert "refused until tomorrow (UTC)" in str((await answer.settled()).embeds)
    async with start_bot(quotas={"events_a_day": 3}) as app:
        assert await statuses(app, hook, range(6, 9)) == [429] * 3
        assert await app.storage.read(lambda tx: tx.day_use.due_notices()) == []
        assert len(studio.sandbox.messages(private.id)) == 1


async def test_it_is_told_in_the_notice_channel_if_there_is_one(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(quotas={"events_a_day": 3}) as app:
        hook = await follow(app, studio, studio.structure)
        await app.storage.write(
            lambda tx: tx.guilds.set_notice_channel(studio.guild.id, studio.facade.id)
        )
        await statuses(app, hook, range(6))
        [notice] = await said(studio, studio.facade.id)
        assert notice.content.startswith(f"<@{studio.maren.id}> Speckle events are refused")


async def test_the_servers_owner_is_told_where_nobody_else_can_be(
    studio: Studio, start_bot: StartBot
) -> None:
    studio.maren.user.takes_messages = False
    async with start_bot(quotas={"events_a_day": 3}) as app:
        hook = await follow(app, studio, studio.structure)
        await statuses(app, hook, range(6))
        owner = studio.sandbox.world.private_channel(studio.guild.owner.id)
        await said(studio, owner.id)

        async def settled() -> bool:
            return not await app.storage.read(lambda tx: tx.day_use.due_notices())

        await until(settled)


async def test_who_left_the_server_is_not_told_of_its_quota(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(quotas={"events_a_day": 3}) as app:
        hook = await follow(app, studio, studio.structure)
        studio.guild.members.pop(studio.maren.id)
        await statuses(app, hook, range(6))
        owner = studio.sandbox.world.private_channel(studio.guild.owner.id)
        await said(studio, owner.id)
        theirs = studio.sandbox.world.private_channel(studio.maren.id)
        assert studio.sandbox.messages(theirs.id) == []


@pytest.mark.parametrize(
    "unclear", [{"status": 404, "page": "<html>nothing here</html>"}, {"status": 403, "code": 1}]
)
async def test_a_refusal_that_says_nothing_of_the_person_does_not_count_as_told(
    studio: Studio, start_bot: StartBot, unclear: dict[str, Any]
) -> None:
    async with start_bot(quotas={"events_a_day": 3}) as app:
        hook = await follow(app, studio, studio.structure)
        studio.sandbox.faults.fail("POST /users/@me/channels", times=None, **unclear)
        with capture_logs() as logs:
            await statuses(app, hook, range(6))

            async def tried() -> bool:
                return any(line["event"] == "notice.retry_later" for line in logs)

            await until(tried)
        (notice,) = await app.storage.read(lambda tx: tx.day_use.due_notices())
        assert notice.guild_id == studio.guild.id


async def test_settings_shows_how_much_is_used(studio: Studio, start_bot: StartBot) -> None:
    async with start_bot(quotas={"events_a_day": 1234}) as app:
        hook = await follow(app, studio, studio.structure)
        await statuses(app, hook, range(2))
        manager = studio.guild.add_member("Ines Falk", permissions="manage_guild")
        answer = await studio.sandbox.command(studio.guild, studio.structure, manager, "settings")
        shown = str(answer.embeds)
        assert "2 of 1,234 events" in shown
        assert "1 of 100 webhooks and live projects, 1 of 500 subscriptions" in shown


async def test_one_subscription_too_many_is_refused_at_the_command(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(quotas={"subscriptions": 1}) as app:
        await follow(app, studio, studio.structure)
        answer = await studio.sandbox.command(
            studio.guild, studio.facade, studio.maren, "subscribe", stream_id="0000000001"
        )
        assert "cannot have another subscription: it has 1 of 1" in answer.content
        assert len(await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))) == 1


async def test_what_was_refused_is_fetched_when_there_is_room_again(
    studio: Studio, tower: Tower, run: Run
) -> None:
    soon = replace(TIMINGS, catch_up=CatchUpLimits(soonest_s=0.05))
    async with run(timings=soon, quotas={"events_a_day": 6}) as app:
        await tower.follow(app.storage, studio)
        assert await tower.fire(range(10)) == [*[2] * 6, *[3] * 4]
        await wait_for_numbers(studio, studio.structure, range(6))
        assert await app.catch_up.check_hooks() == []  # today is full: it is left for later
        assert numbers_in(studio, studio.structure) == [*range(6)]
    async with run(timings=soon, quotas={"events_a_day": 16}):  # half of which may be fetched
        await wait_for_numbers(studio, studio.structure, range(8))
    async with run(quotas={"events_a_day": 30}):
        await wait_for_numbers(studio, studio.structure, range(10))
    cards = [card for m in studio.sandbox.messages(studio.structure.id) for card in m.embeds]
    assert ["Delayed:" in card.get("description", "") for card in cards] == [
        *[False] * 6,
        *[True] * 4,
    ]


async def test_a_project_has_no_more_names_of_models_than_it_may(
    studio: Studio, start_bot: StartBot
) -> None:
    async with start_bot(quotas={"model_names": 3}) as app:
        hook = await follow(app, studio, studio.structure)
        for number in range(6):
            assert await post(app, hook, model(number)) == 202

        async def named() -> Any:
            names = (await app.storage.read(lambda tx: tx.hooks.names(hook.id))).models
            return names if "model 5" in names.values() else None

        names = await until(named)
        assert len(names) == 3


def model(number: int) -> Recorded:
    branch = {"id": f"{number:010}", "name": f"model {number}"}
    event = {"event_name": "branch_create", "data": {"branch": branch}}
    payload = numbered(number).payload | {"event": event}
    return replace(numbered(number), body=json.dumps({"payload": payload}).encode())
