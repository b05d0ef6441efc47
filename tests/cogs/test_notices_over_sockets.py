"""Telling people what the bot paused, and their pressing Resume, in the sandbox Discord."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import sha256

import pytest

from bot.cogs.interaction import why_posting_failed
from bot.cogs.refusal_texts import cannot_post_text
from bot.discord_api.client import SpeckleBot
from bot.model import PauseReason, SubscriptionState
from bot.notifiers.pause_notifier import NotifierTimings, PauseNotifier
from bot.services.pause_notices import GIVE_UP_AFTER, PauseNoticeService
from bot.services.refusals import CannotPost
from bot.storage import Storage
from bot.work import (
    EventResult,
    HookResult,
    NewCard,
    NewInboxEvent,
    SubscriptionResult,
)
from sandbox.discord import NotOffered, SandboxMember, SandboxMessage
from tests.cogs.conftest import ClientWithServices, MakeStudio, RunClient, Studio, text_of
from tests.services.conftest import CLOUD, PAVILION, TOWER, Clock
from tests.stored import note_event
from tests.waiting import until

DETAIL = "The bot lacks there:\n- Embed Links\n- Attach Files"
OPEN_PRIVATE = "POST /users/@me/channels"


@pytest.fixture
def teller(storage: Storage, clock: Clock) -> Callable[[SpeckleBot], PauseNotifier]:
    return lambda bot: PauseNotifier(bot, PauseNoticeService(storage, clock), lambda: 0.0)


MakeTeller = Callable[[SpeckleBot], PauseNotifier]
Pause = Callable[..., Awaitable[None]]
Notified = Callable[[], AbstractAsyncContextManager[ClientWithServices]]


@pytest.fixture
def pause(storage: Storage, clock: Clock, studio: Studio) -> Pause:
    """Discord refused #structure: its subscriptions pause, with some cards waiting."""

    async def refused(
        cards: int = 0, reason: PauseReason = PauseReason.NO_PERMISSION, detail: str = DETAIL
    ) -> None:
        first = (await storage.read(lambda tx: tx.subscriptions.of_channel(studio.structure.id)))[0]
        await storage.write(lambda tx: note_event(tx, first.hook_id, "Harbour *Tower*"))
        for number in range(cards):
            body = b"event %d" % number
            kept = await storage.intake.accept(
                NewInboxEvent(None, "shared", TOWER, CLOUD, sha256(body).hexdigest(), body, clock())
            )
            card = NewCard(first.id, first.guild_id, first.channel_id, {"title": "card"})
            one = HookResult(
                first.hook_id, clock(), True, results=[SubscriptionResult(first.id, card)]
            )
            await storage.write(
                lambda tx: tx.inbox.finish(
                    [EventResult(kept.id, [], "commit_create", of_hooks=[one])]
                )
            )
        await storage.write(lambda tx: tx.outbox.pause_channel(studio.structure.id, reason, detail))

    return refused


@pytest.fixture
def notified(run_client: RunClient, studio: Studio, pause: Pause, teller: MakeTeller) -> Notified:
    """The bot, right after #structure's one subscription was paused and its maker notified."""

    @asynccontextmanager
    async def running() -> AsyncIterator[ClientWithServices]:
        async with run_client() as bot:
            await studio.type("subscribe", stream_id=TOWER)
            await pause()
            await teller(bot).notify_due()
            yield bot

    return running


def private(studio: Studio, who: SandboxMember | None = None) -> list[SandboxMessage]:
    """What is in somebody's direct messages."""
    channel = studio.sandbox.world.private_channel((who or studio.maren).id)
    return studio.sandbox.messages(channel)


def words(message: SandboxMessage) -> str:
    """All that a notice says."""
    embed = message.embeds[0]
    parts = [message.content, embed["title"], embed["description"]]
    parts += [f"{field['name']}\n{field['value']}" for field in embed.get("fields", ())]
    return "\n".join(parts)


async def states(storage: Storage, studio: Studio) -> list[SubscriptionState]:
    there = await storage.read(lambda tx: tx.subscriptions.of_channel(studio.structure.id))
    return [subscription.state for subscription in there]


async def leave(studio: Studio, storage: Storage) -> None:
    """The bot is removed from the server, and has noted it."""
    studio.sandbox.remove_guild(studio.guild)

    async def noted() -> bool:
        (guild,) = await storage.read(lambda tx: tx.guilds.all())
        return guild.left_at is not None

    await until(noted, 5)


# ── notices ───────────────────────────────────────────────────────────────────────────────────


async def test_the_maker_is_told_once_in_a_direct_message_with_all_that_is_to_know(
    run_client: RunClient, studio: Studio, pause: Pause, teller: MakeTeller
) -> None:
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        await pause(cards=3)
        await teller(bot).notify_due()
        await teller(bot).notify_due()
    [message] = private(studio)
    text = words(message)
    assert message.embeds[0]["title"] == "Paused: #structure"
    assert r"Harbour \*Tower\*" in text
    assert f"<#{studio.structure.id}> of **Studio Kestrel**" in text
    assert "3 cards are kept" in text
    assert "The bot is no longer allowed to post there." in text
    assert "Edit Channel → Permissions" in text
    assert "Press *Resume*" in text
    assert message.allowed_mentions == {"parse": []}


async def test_what_is_missing_now_is_named_and_what_has_come_back_is_not(
    run_client: RunClient, studio: Studio, pause: Pause, teller: MakeTeller
) -> None:
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        await pause()
        studio.structure.deny(studio.guild.bot, "attach_files")
        await teller(bot).notify_due()
    text = words(private(studio)[0])
    assert "It lacks there:\n- Attach Files\n" in text
    assert "- Embed Links" not in text
    assert "Allow it what is listed above" in text


@pytest.mark.parametrize("reason", [PauseReason.CHANNEL_GONE, PauseReason.THREAD_CLOSED])
async def test_each_reason_has_its_own_remedy(
    run_client: RunClient, studio: Studio, pause: Pause, teller: MakeTeller, reason: PauseReason
) -> None:
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        await pause(reason=reason, detail="Discord answered")
        if reason is PauseReason.CHANNEL_GONE:
            studio.structure.delete()
        await teller(bot).notify_due()
    text = words(private(studio)[0])
    remedies = {
        PauseReason.CHANNEL_GONE: "`/subscribe` in another channel",
        PauseReason.THREAD_CLOSED: "unlock it",
    }
    assert remedies[reason] in text
    assert "no card waits yet" in text


async def test_the_notice_channel_is_used_if_one_is_set_and_mentions_that_member_alone(
    run_client: RunClient, studio: Studio, pause: Pause, teller: MakeTeller
) -> None:
    ops = studio.guild.add_channel("bim-ops")
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        await studio.report_in(ops)
        await pause()
        await teller(bot).notify_due()
    [message] = studio.sandbox.messages(ops)
    assert f"<@{studio.maren.id}>" in message.content
    assert message.allowed_mentions is not None
    assert message.allowed_mentions.get("parse") == []
    assert [int(one) for one in message.allowed_mentions["users"]] == [studio.maren.id]
    assert private(studio) == []


async def test_a_notice_channel_that_refuses_is_passed_by(
    run_client: RunClient, studio: Studio, pause: Pause, teller: MakeTeller
) -> None:
    ops = studio.guild.add_channel("bim-ops")
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        await studio.report_in(ops)
        await pause()
        ops.deny(studio.guild.bot, "view_channel")
        await teller(bot).notify_due()
    assert studio.sandbox.messages(ops) == []
    assert len(private(studio)) == 1


async def test_two_makers_are_told_each_of_their_own(
    run_client: RunClient, studio: Studio, pause: Pause, teller: MakeTeller
) -> None:
    studio.tobias.set_permissions("manage_webhooks")
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        await studio.type("subscribe", stream_id=PAVILION, who=studio.tobias)
        await pause()
        await teller(bot).notify_due()
    assert r"Harbour \*Tower\*" in words(private(studio)[0])
    [his] = private(studio, studio.tobias)
    assert PAVILION in words(his)
    assert "Harbour" not in words(his)


async def test_who_lets_no_messages_in_is_not_told_and_nothing_breaks(
    notified: Notified,
    studio: Studio,
    storage: Storage,
    clock: Clock,
) -> None:
    studio.maren.user.takes_messages = False
    async with notified():
        clock.forward(days=1)
        assert await storage.read(lambda tx: tx.pause_notices.due(10)) == []
        shown = await studio.open_entry(r"Harbour *Tower*")
    assert private(studio) == []
    assert "paused" in text_of(shown)


async def test_what_went_on_meanwhile_is_not_told_any_more(
    run_client: RunClient, studio: Studio, pause: Pause, teller: MakeTeller, storage: Storage
) -> None:
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        await pause()
        await studio.press(await studio.open_entry("Harbour *Tower*"), "Resume")
        await teller(bot).notify_due()
        assert await storage.read(lambda tx: tx.pause_notices.due(10)) == []
    assert private(studio) == []


async def test_a_lost_answer_is_sent_again_and_shown_once(
    run_client: RunClient, studio: Studio, pause: Pause, teller: MakeTeller, clock: Clock
) -> None:
    channel = studio.sandbox.world.private_channel(studio.maren.id)
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        await pause()
        studio.sandbox.faults.reset_after(f"POST /channels/{channel.id}/messages")
        await teller(bot).notify_due()
        assert len(private(studio)) == 1
        clock.forward(minutes=1)
        await teller(bot).notify_due()
        assert len(private(studio)) == 1


async def test_while_discord_is_away_it_is_tried_less_and_less_often_and_given_up_in_the_end(
    run_client: RunClient,
    studio: Studio,
    pause: Pause,
    teller: MakeTeller,
    storage: Storage,
    clock: Clock,
) -> None:
    studio.sandbox.faults.fail(OPEN_PRIVATE, status=503, times=None)  # discord.py tries it once
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        await pause()
        for minutes in (1, 5, 30, 60, 60):
            await teller(bot).notify_due()
            clock.forward(minutes=minutes, seconds=-1)
            assert await storage.read(lambda tx: tx.pause_notices.due(10)) == []
            clock.forward(seconds=1)
            assert len(await storage.read(lambda tx: tx.pause_notices.due(10))) == 1
        clock.forward(seconds=GIVE_UP_AFTER.total_seconds())
        await teller(bot).notify_due()
        clock.forward(days=9)
        assert await storage.read(lambda tx: tx.pause_notices.due(10)) == []


async def test_opening_private_messages_too_fast_is_no_refusal(
    notified: Notified, studio: Studio, teller: MakeTeller, clock: Clock
) -> None:
    studio.sandbox.faults.fail(OPEN_PRIVATE, status=403, code=40003)
    async with notified() as bot:
        assert private(studio) == []
        clock.forward(minutes=1)
        await teller(bot).notify_due()
        assert len(private(studio)) == 1


async def test_the_loop_tells_by_itself_and_survives_what_goes_wrong(
    run_client: RunClient,
    studio: Studio,
    pause: Pause,
    storage: Storage,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notices, wrong = PauseNoticeService(storage, clock), [RuntimeError("a fault of ours")]
    tell = notices.group_for

    async def telling_with_a_fault(notice: object) -> object:
        if wrong:
            raise wrong.pop()
        return await tell(notice)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(notices, "group_for", telling_with_a_fault)
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        await pause()
        timings = NotifierTimings(poll_s=0.01, gather_s=0.01)
        loop = asyncio.create_task(PauseNotifier(bot, notices, lambda: 0.0, timings).run())
        bot.logged_in.set()

        async def put_off() -> bool:
            return not wrong and not await storage.read(lambda tx: tx.pause_notices.due(10))

        await until(put_off)
        clock.forward(minutes=1)
        channel = studio.sandbox.world.private_channel(studio.maren.id)
        await studio.sandbox.wait_for_messages(channel, 1, 5)
        loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loop
    assert wrong == []


async def test_nothing_is_told_while_discord_wants_nothing_from_the_bot(
    run_client: RunClient, studio: Studio, pause: Pause, storage: Storage, clock: Clock
) -> None:
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        await pause()
        await PauseNotifier(bot, PauseNoticeService(storage, clock), lambda: 30.0).notify_due()
        assert len(await storage.read(lambda tx: tx.pause_notices.due(10))) == 1
    assert private(studio) == []


# ── Resume ────────────────────────────────────────────────────────────────────────────────────


async def test_resume_in_the_direct_message_goes_on_where_it_stopped(
    run_client: RunClient, studio: Studio, pause: Pause, teller: MakeTeller, storage: Storage
) -> None:
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        await studio.type("subscribe", stream_id=PAVILION)
        await pause(cards=2)
        await teller(bot).notify_due()
        message = private(studio)[0]
        await studio.press(message, "Resume", studio.maren)
    assert await states(storage, studio) == [SubscriptionState.ACTIVE] * 2
    assert "2 cards were kept and come now" in words(message)
    assert f"Resumed by <@{studio.maren.id}>" in words(message)
    assert message.components == []
    assert await storage.write(lambda tx: tx.outbox.open_batch(studio.structure.id, 10)) is not None


async def test_resume_works_after_a_restart(
    notified: Notified, run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    async with notified():
        pass
    async with run_client():
        message = private(studio)[0]
        await studio.press(message, "Resume", studio.maren)
    assert await states(storage, studio) == [SubscriptionState.ACTIVE]
    assert "No card was waiting" in words(message)


async def test_what_is_still_missing_is_named_and_the_button_stays(
    notified: Notified, studio: Studio, storage: Storage
) -> None:
    async with notified():
        message = private(studio)[0]
        studio.structure.deny(studio.guild.bot, "embed_links")
        answer = await studio.press(message, "Resume", studio.maren)
        assert answer.ephemeral
        assert "- Embed Links\n" in text_of(answer)
        assert "Attach Files" not in text_of(answer)
        assert await states(storage, studio) == [SubscriptionState.PAUSED]
        studio.structure.clear_overwrites()
        await studio.press(message, "Resume", studio.maren)
        assert await states(storage, studio) == [SubscriptionState.ACTIVE]


async def test_nobody_resumes_what_he_may_not_manage(
    run_client: RunClient, studio: Studio, pause: Pause, teller: MakeTeller, storage: Storage
) -> None:
    ops = studio.guild.add_channel("bim-ops")
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        await studio.report_in(ops)
        await pause()
        await teller(bot).notify_due()
        [message] = studio.sandbox.messages(ops)
        answer = await studio.press(message, "Resume", studio.tobias)
        assert answer.ephemeral
        assert "Manage Webhooks" in text_of(answer)
        assert await states(storage, studio) == [SubscriptionState.PAUSED]
        await studio.press(message, "Resume", studio.maren)
        assert message.components == []
    assert await states(storage, studio) == [SubscriptionState.ACTIVE]


@pytest.mark.parametrize("lost", ["the permission", "the membership"])
async def test_in_the_direct_message_it_counts_who_may_now(
    notified: Notified,
    studio: Studio,
    storage: Storage,
    lost: str,
) -> None:
    async with notified():
        if lost == "the permission":
            studio.maren.set_permissions(0)
        else:
            del studio.guild.members[studio.maren.id]
        answer = await studio.press(private(studio)[0], "Resume", studio.maren)
    assert "Manage Webhooks" in text_of(answer)
    assert await states(storage, studio) == [SubscriptionState.PAUSED]


async def test_what_somebody_else_resumed_is_said_and_a_members_own_pause_stays(
    notified: Notified, studio: Studio, storage: Storage
) -> None:
    async with notified():
        resumed = await studio.press(await studio.open_entry("Harbour *Tower*"), "Resume")
        await studio.press(resumed, "Pause")
        message = private(studio)[0]
        await studio.press(message, "Resume", studio.maren)
    assert "Nothing is paused there now" in words(message)
    assert message.components == []
    assert await states(storage, studio) == [SubscriptionState.PAUSED]


async def test_what_was_removed_is_said_too(
    notified: Notified,
    studio: Studio,
) -> None:
    async with notified():
        await studio.type("unsubscribe", project=TOWER)
        message = private(studio)[0]
        await studio.press(message, "Resume", studio.maren)
    assert "Nothing is paused there now" in words(message)


async def test_from_a_server_without_the_bot_nothing_is_resumed(
    notified: Notified, studio: Studio, storage: Storage
) -> None:
    async with notified():
        await leave(studio, storage)
        answer = await studio.press(private(studio)[0], "Resume", studio.maren)
    assert "does not reach that server" in text_of(answer)


async def test_of_a_server_without_the_bot_nobody_is_told(
    run_client: RunClient, studio: Studio, pause: Pause, teller: MakeTeller, storage: Storage
) -> None:
    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        await pause()
        await leave(studio, storage)
        await teller(bot).notify_due()
    assert private(studio) == []
    assert await storage.read(lambda tx: tx.pause_notices.due(10)) == []


async def test_a_direct_message_is_for_whom_it_was_sent_to(
    notified: Notified,
    studio: Studio,
) -> None:
    async with notified():
        with pytest.raises(NotOffered):
            await studio.press(private(studio)[0], "Resume", studio.tobias)


# ── what is missing ───────────────────────────────────────────────────────────────────────────


async def test_what_is_missing_is_asked_of_discord_and_not_of_the_cache(
    run_client: RunClient, studio: Studio, make_studio: MakeStudio
) -> None:
    thread = studio.facade.add_thread("level 1", bot_joined=True)
    async with run_client() as bot:

        async def missing(channel_id: int) -> str | None:
            why = await why_posting_failed(bot, studio.guild.id, channel_id)
            return cannot_post_text(why) if isinstance(why, CannotPost) else None

        assert await missing(studio.structure.id) is None
        studio.sandbox.faults.silence_gateway()  # the cache hears nothing from here on
        studio.structure.deny(studio.guild.bot, "embed_links")
        assert "- Embed Links\n" in str(await missing(studio.structure.id))
        studio.structure.deny(studio.guild.bot, "view_channel")
        hidden = str(await missing(studio.structure.id))
        assert "- View Channel\n" in hidden
        studio.facade.deny(studio.guild.bot, "send_messages_in_threads")
        assert "- Send Messages in Threads\n" in str(await missing(thread.id))
        assert "parent channel" in str(await missing(thread.id))
        thread.archive(locked=True)
        studio.facade.clear_overwrites()
        assert "locked" in str(await missing(thread.id))
        assert "gone" in str(await missing(12345))


async def test_what_cannot_be_asked_is_not_made_up(run_client: RunClient, studio: Studio) -> None:
    async with run_client() as bot:
        studio.sandbox.faults.reset_before("GET /channels/{channel_id}", times=None)
        assert await why_posting_failed(bot, studio.guild.id, studio.structure.id) is None
        assert await why_posting_failed(bot, 12345, studio.structure.id) is None
