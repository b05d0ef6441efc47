"""Reading who changed what, in the sandbox Discord."""

from datetime import timedelta

import pytest

from bot.audit import by_person
from bot.model import Hook, HookKind
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from tests.cogs.conftest import RunClient, Studio, labels_of, text_of
from tests.services.conftest import CLOUD, TOWER, Clock

FILTERS = SubscriptionOptions(models=("secret `wing`/**",), ignore_authors=("Ines Falk",))


@pytest.fixture
async def hook(storage: Storage, studio: Studio) -> Hook:
    guild_id, maren = studio.guild.id, studio.maren.id
    return await storage.write(
        lambda tx: tx.hooks.create(guild_id, CLOUD, TOWER, HookKind.OWN, maren, None)
    )


async def subscribe(
    storage: Storage, hook: Hook, channel_id: int, who: int, options: SubscriptionOptions = FILTERS
) -> None:
    await storage.write(
        lambda tx: tx.subscriptions.upsert(hook.id, channel_id, options, who), by=by_person(who)
    )


async def test_who_may_read_the_audit_log_reads_sentences(
    run_client: RunClient, studio: Studio, storage: Storage, hook: Hook, clock: Clock
) -> None:
    auditor = studio.guild.add_member("Ines Falk", permissions="view_audit_log")
    board = studio.guild.add_channel("board *of* [directors](https://evil.example)")
    board.deny(auditor, "view_channel")
    maren, tobias = studio.maren.id, studio.tobias.id
    await subscribe(storage, hook, studio.structure.id, maren)
    clock.time += timedelta(hours=3)
    await subscribe(storage, hook, board.id, tobias)
    for who in (auditor, studio.tobias):
        studio.guild.allow_command("audit", who)
    async with run_client():
        page = text_of(await studio.type("audit", who=auditor))
        lines = page.splitlines()
        assert lines[1].endswith(f"<@{tobias}> subscribed a channel that you cannot see.")
        assert f"<@{maren}> subscribed <#{studio.structure.id}> ([project]({CLOUD}" in lines[2]
        assert ": models `secret ˋwingˋ/**`; ignored authors 1." in lines[2]
        assert str(board.id) not in page
        assert page.count("secret") == 1
        assert "Ines Falk" not in page
        recent = text_of(await studio.type("audit", who=auditor, since=1))
        assert f"<@{tobias}>" in recent
        assert f"<@{maren}>" not in recent
        hers = text_of(await studio.type("audit", who=auditor, person=studio.maren))
        assert f"Only by <@{maren}>." in hers
        assert f"<@{tobias}>" not in hers
        there = await studio.type("audit", who=auditor, channel=studio.facade)
        assert "Nothing was changed that fits" in text_of(there)
        refused = text_of(await studio.type("audit", who=studio.tobias))
        assert "*View Audit Log* or *Manage Server*" in refused


async def test_the_pages_turn_and_an_old_page_is_for_those_who_may_read_it_now(
    run_client: RunClient, studio: Studio, storage: Storage, hook: Hook
) -> None:
    manager = studio.guild.add_member("Ines Falk", permissions="manage_guild")
    other = await storage.write(
        lambda tx: tx.hooks.create(4711, CLOUD, TOWER, HookKind.OWN, manager.id, None)
    )
    for number in range(30):
        where = hook if number % 2 else other  # every second change is another server's
        options = SubscriptionOptions(models=(f"level {number}",))
        await subscribe(storage, where, studio.facade.id, manager.id, options)
    async with run_client():
        first = await studio.type("audit", who=manager)
        assert labels_of(first) == ["Older"]
        newest = text_of(first)
        refused = await studio.press(first, "Older", who=studio.tobias)
        assert "*View Audit Log*" in text_of(refused)
        second = await studio.press(first, "Older", who=manager)
        assert labels_of(second) == ["Newest"]
        assert "level 29" in newest
        assert "level 28" not in newest + text_of(second)
        assert "level 1`" in text_of(second)
        again = await studio.press(second, "Newest", who=manager)
        assert "level 29" in text_of(again)
        there = await studio.type("audit", who=manager, channel=studio.facade)
        assert labels_of(there) == ["Older"], text_of(there)
        studio.facade.deny(manager, "view_channel")
        refused = await studio.press(there, "Older", who=manager)
        assert "You cannot see" in text_of(refused)
