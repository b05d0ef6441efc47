"""Posting each change in a server's audit channel, in the sandbox Discord."""

from collections.abc import Iterable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import update

from bot.audit import AuditChannel, by_person
from bot.db.tables import audit_channels
from bot.discord_api.client import SpeckleBot
from bot.model import Hook, HookKind
from bot.notifiers.audit_poster import AuditPoster
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage, Transaction
from bot.timing import utc_now
from sandbox.discord import SandboxChannel, SandboxMessage
from tests.cogs.conftest import RunClient, Studio
from tests.services.conftest import CLOUD, TOWER


@pytest.fixture
async def audit(storage: Storage, studio: Studio) -> SandboxChannel:
    """The audit channel, which everyone sees; Maren chose it."""
    channel = studio.guild.add_channel("audit")
    await choose(storage, studio, channel)
    return channel


async def choose(storage: Storage, studio: Studio, channel: SandboxChannel) -> None:
    maren = studio.maren.id
    await storage.write(
        lambda tx: tx.audit_channels.choose(studio.guild.id, channel.id, maren),
        by=by_person(maren),
    )


@pytest.fixture
async def hook(storage: Storage, studio: Studio) -> Hook:
    guild_id, maren = studio.guild.id, studio.maren.id
    return await storage.write(
        lambda tx: tx.hooks.create(guild_id, CLOUD, TOWER, HookKind.OWN, maren, None)
    )


def subscribe(hook_id: int, channel_id: int, who: int, filters: str, tx: Transaction) -> None:
    options = SubscriptionOptions(models=(filters,))
    tx.subscriptions.upsert(hook_id, channel_id, options, who)


async def change(
    storage: Storage, studio: Studio, hook: Hook, channel: SandboxChannel, filters: Iterable[str]
) -> None:
    """Maren changes what the channel shows, once for each of these."""
    maren = studio.maren.id
    for one in filters:
        work = partial(subscribe, hook.id, channel.id, maren, one)
        await storage.write(work, by=by_person(maren))


def poster(bot: SpeckleBot, storage: Storage) -> AuditPoster:
    return AuditPoster(bot, storage, lambda: 0.0, 5.0)


def posted(studio: Studio, channel: SandboxChannel) -> list[str]:
    """The lines that are in the channel, the oldest first."""
    messages: list[SandboxMessage] = studio.sandbox.messages(channel)
    return [line for one in messages for line in one.embeds[0]["description"].splitlines()]


def footers(studio: Studio, channel: SandboxChannel) -> list[str]:
    messages: list[SandboxMessage] = studio.sandbox.messages(channel)
    return [one.embeds[0]["footer"]["text"] for one in messages]


async def channel_of(storage: Storage, studio: Studio) -> AuditChannel:
    found = await storage.read(lambda tx: tx.audit_channels.get(studio.guild.id))
    assert found is not None
    return found


async def test_each_change_is_posted_in_order_and_once_over_starts(
    run_client: RunClient, studio: Studio, storage: Storage, hook: Hook, audit: SandboxChannel
) -> None:
    await change(storage, studio, hook, studio.structure, [f"level {n}" for n in range(14)])
    async with run_client() as bot:
        await poster(bot, storage).post_due()
        await poster(bot, storage).post_due()
    lines = posted(studio, audit)
    assert f"<@{studio.maren.id}> chose <#{audit.id}> for the audit log." in lines[0]
    assert [f"`level {n}`" in lines[n + 1] for n in range(14)] == [True] * 14
    assert footers(studio, audit) == ["Changes 1 to 12", "Changes 13 to 15"]
    elsewhere = by_person(studio.maren.id)
    await storage.write(lambda tx: tx.guilds.set_notice_channel(4711, 1), by=elsewhere)
    await change(storage, studio, hook, studio.structure, ["level 14"])
    async with run_client() as bot:
        await poster(bot, storage).post_due()
    assert len(posted(studio, audit)) == 16
    assert footers(studio, audit)[-1] == "Change 16"  # another server's changes are not counted


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(hours=1)])
async def test_a_message_that_a_kill_kept_from_being_noted_is_there_once(
    run_client: RunClient,
    studio: Studio,
    storage: Storage,
    hook: Hook,
    audit: SandboxChannel,
    ago: timedelta,
) -> None:
    """Discord knows its nonce for some minutes; after that it is looked for in the channel."""

    def open_again(nonce: str | None, tx: Transaction) -> None:
        begun = utc_now() - ago
        change = update(audit_channels).values(nonce=nonce, nonce_at=begun)
        tx.session.execute(change)

    async with run_client() as bot:
        batch = await storage.write(lambda tx: tx.audit_channels.open_batch(studio.guild.id))
        assert batch is not None
        await poster(bot, storage).post_due()
        (message,) = studio.sandbox.messages(audit)
        await storage.write(partial(open_again, batch.channel.nonce))
        await change(storage, studio, hook, studio.structure, ["level 1"])
        await poster(bot, storage).post_due()
        first, second = studio.sandbox.messages(audit)
    assert first == message
    assert "`level 1`" in second.embeds[0]["description"]


async def test_what_not_everyone_there_may_see_is_not_named(
    run_client: RunClient, studio: Studio, storage: Storage, hook: Hook, audit: SandboxChannel
) -> None:
    board = studio.guild.add_channel("board")
    board.deny(None, "view_channel")
    await change(storage, studio, hook, board, ["merger"])
    await change(storage, studio, hook, studio.structure, ["level 1"])
    async with run_client() as bot:
        await poster(bot, storage).post_due()
        hidden, named = posted(studio, audit)[1:]
        assert hidden.endswith("subscribed a channel that not everyone here may see.")
        assert f"subscribed <#{studio.structure.id}> ([project]({CLOUD}" in named
        audit.deny(None, "view_channel")
        audit.allow(studio.guild.bot, "view_channel")
        await change(storage, studio, hook, studio.structure, ["level 2"])
        await poster(bot, storage).post_due()
    assert f"<#{studio.structure.id}>" in posted(studio, audit)[-1]  # fewer people read it
    assert "merger" not in str(posted(studio, audit))


async def test_a_channel_that_is_closed_pauses_it_and_who_chose_it_is_notified_once(
    run_client: RunClient, studio: Studio, storage: Storage, hook: Hook, audit: SandboxChannel
) -> None:
    audit.deny(studio.guild.bot, "send_messages")
    async with run_client() as bot:
        for _ in range(2):
            await poster(bot, storage).post_due()
        (notice,) = studio.sandbox.messages(studio.sandbox.world.private_channel(studio.maren.id))
        assert f"no longer posted in <#{audit.id}>" in notice.content
        assert "`/settings`" in notice.content
        await change(storage, studio, hook, studio.structure, ["level 1"])
        assert (await channel_of(storage, studio)).paused_at is not None
        audit.clear_overwrites()
        await choose(storage, studio, audit)
        await poster(bot, storage).post_due()
    chosen, stopped, subscribed = posted(studio, audit)
    assert f"<@{studio.maren.id}> chose <#{audit.id}> for the audit log." in chosen
    assert f"The bot stopped posting the audit log in <#{audit.id}>" in stopped
    assert "`level 1`" in subscribed


@pytest.mark.parametrize("is_seen", [True, False])
async def test_a_channel_that_is_left_is_told_who_left_it_and_where_it_goes_on(
    run_client: RunClient,
    studio: Studio,
    storage: Storage,
    audit: SandboxChannel,
    is_seen: bool,
) -> None:
    board = studio.guild.add_channel("board")
    if not is_seen:
        board.deny(None, "view_channel")
        board.allow(studio.guild.bot, "view_channel")
    async with run_client() as bot:
        await poster(bot, storage).post_due()
        await choose(storage, studio, board)
        for _ in range(2):
            await poster(bot, storage).post_due()
        _, went_on, ended = posted(studio, audit)
        where = f"<#{board.id}>" if is_seen else "a channel that not everyone here may see"
        assert went_on.endswith(f"<@{studio.maren.id}> chose {where} for the audit log.")
        assert ended.startswith("Changes are no longer posted here.")
        assert len(posted(studio, board)) == 1
        await storage.write(
            lambda tx: tx.audit_channels.choose(studio.guild.id, None, studio.maren.id),
            by=by_person(studio.maren.id),
        )
        for _ in range(2):
            await poster(bot, storage).post_due()
    _, off, _ = posted(studio, board)
    assert f"<@{studio.maren.id}> ended the posting of the audit log" in off
    assert len(posted(studio, audit)) == 3
