"""Guilds that come and go."""

from datetime import timedelta

from bot.model import HookState
from bot.services.guilds import GuildService
from bot.storage import Storage
from tests.services.conftest import HERON, HERON_LOG, KESTREL, Clock, Desk


async def _left(storage: Storage) -> set[int]:
    return {
        guild.guild_id
        for guild in await storage.read(lambda tx: tx.guilds.all())
        if guild.left_at is not None
    }


async def test_what_happened_while_the_bot_was_off_is_caught_up_with(
    desk: Desk, clock: Clock
) -> None:
    guilds = GuildService(desk.storage, clock)
    await guilds.joined(KESTREL)
    ours = (await desk.subscribe()).entry.hook
    theirs = (await desk.subscribe(guild_id=HERON, channel_id=HERON_LOG)).entry.hook
    await guilds.left(HERON)
    await guilds.reconcile(iter([HERON, 99]))
    assert await _left(desk.storage) == {KESTREL}
    closed, reopened = (
        await desk.storage.read(lambda tx: tx.hooks.get(ours.id)),
        await desk.storage.read(lambda tx: tx.hooks.get(theirs.id)),
    )
    assert closed is not None
    assert reopened is not None
    assert (closed.state, reopened.state) == (HookState.CLOSED, HookState.WAITING)


async def test_a_guild_that_returns_in_time_finds_everything_again(
    desk: Desk, clock: Clock
) -> None:
    guilds = GuildService(desk.storage, clock)
    entry = await desk.subscribed_live()
    await guilds.left(KESTREL)
    clock.forward(days=29)
    assert await guilds.erase_left(timedelta(days=30)) == 0
    await guilds.joined(KESTREL)
    hook = await desk.storage.read(lambda tx: tx.hooks.get(entry.hook.id))
    assert hook is not None
    assert (hook.state, hook.key, hook.secrets) == (
        HookState.LIVE,
        entry.hook.key,
        entry.hook.secrets,
    )


async def test_after_the_time_of_grace_nothing_is_left(desk: Desk, clock: Clock) -> None:
    guilds = GuildService(desk.storage, clock)
    await desk.subscribe()
    await guilds.left(KESTREL)
    clock.forward(days=31)
    assert await guilds.erase_left(timedelta(days=30)) == 1
    assert await desk.storage.read(lambda tx: tx.hooks.of_guild(KESTREL)) == []
