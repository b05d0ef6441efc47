"""How much a guild may follow, and what it is told when that is reached."""

from dataclasses import replace

import pytest

from bot.quota import DayQuota
from bot.services.guild_settings import GuildSettingsService
from bot.services.quotas import GuildLimits, QuotaService
from bot.services.refusals import CommandRefused, Limited, NoRoom
from tests.services.conftest import (
    FACADE,
    HERON,
    HERON_LOG,
    KESTREL,
    PAVILION,
    STRUCTURE,
    TOWER,
    Clock,
    Desk,
    MakeDesk,
    manager,
    manager_of,
)

LIMITS = GuildLimits(events_a_day=10, bytes_a_day=1000, hooks=1, subscriptions=2, model_names=5)


@pytest.fixture
def quotas(desk: Desk, clock: Clock) -> QuotaService:
    return QuotaService(desk.storage, LIMITS, without=[HERON], now=clock)


@pytest.fixture
def limited(make_desk: MakeDesk, quotas: QuotaService) -> Desk:
    """A desk where each guild may follow one project in two channels."""
    return make_desk(quotas=quotas)


async def test_one_project_too_many_is_refused(limited: Desk) -> None:
    await limited.subscribe(TOWER)
    with pytest.raises(CommandRefused) as refused:
        await limited.subscribe(PAVILION)
    assert refused.value.refusal == NoRoom(Limited.HOOKS, 1, 1)
    assert len(await limited.storage.read(lambda tx: tx.hooks.of_guild(KESTREL))) == 1


async def test_one_subscription_too_many_is_refused_and_those_that_are_there_can_change(
    limited: Desk,
) -> None:
    await limited.subscribe(TOWER, channel_id=STRUCTURE)
    await limited.subscribe(TOWER, channel_id=FACADE)
    with pytest.raises(CommandRefused) as refused:
        await limited.subscribe(TOWER, channel_id=HERON_LOG)
    assert refused.value.refusal == NoRoom(Limited.SUBSCRIPTIONS, 2, 2)
    changed = await limited.subscribe(TOWER, channel_id=FACADE, events="issues")
    assert changed.old_options is not None


async def test_what_is_removed_makes_room(limited: Desk) -> None:
    first = await limited.subscribe(TOWER)
    await limited.service.remove(KESTREL, manager(), first.entry.subscription.id)
    assert (await limited.subscribe(PAVILION)).entry.hook.project_id == PAVILION


async def test_the_operators_own_guilds_have_no_quotas(limited: Desk, quotas: QuotaService) -> None:
    for project in (TOWER, PAVILION, "0123456789"):
        await limited.subscribe(project, guild_id=HERON, channel_id=HERON_LOG)
    assert (quotas.day(HERON), quotas.day_of_fetched(HERON)) == (None, None)
    assert (quotas.model_names(HERON), quotas.model_names(KESTREL)) == (None, 5)
    assert await quotas.usage(HERON) is None


async def test_what_is_fetched_later_may_fill_half_of_a_day(quotas: QuotaService) -> None:
    assert quotas.day(KESTREL) == DayQuota(KESTREL, 10, 1000)
    assert quotas.day_of_fetched(KESTREL) == DayQuota(KESTREL, 5, 500)


async def test_those_who_manage_a_guild_may_see_what_it_uses(
    limited: Desk, quotas: QuotaService, clock: Clock
) -> None:
    await limited.subscribe(TOWER)
    settings = GuildSettingsService(limited.storage, quotas)
    usage = (await settings.settings(KESTREL, replace(manager(), manages_server=True))).usage
    assert usage is not None
    assert (usage.used.hooks, usage.used.subscriptions, usage.used.events) == (1, 1, 0)
    with pytest.raises(CommandRefused):
        await settings.settings(KESTREL, manager_of([STRUCTURE]))
