"""A subscription out of a file shows nothing before somebody with the right to it has answered."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.model import HookState, PauseReason, SubscriptionState
from bot.permissions import Actor
from bot.services.quotas import GuildLimits
from bot.services.refusals import CommandRefused
from bot.services.subscribe_results import Followed, NeedsAccount, NeedsConsent, Subscribed
from bot.services.subscribing import SubscribeOutcome
from bot.services.subscription_import import (
    ImportOutcome,
    ImportRules,
    PortableSubscription,
    import_all,
)
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from sandbox.speckle import Release
from tests.conftest import only_2_31
from tests.services.conftest import KESTREL, STRUCTURE, TEAM, Clock, manager, manager_of, place
from tests.services.speckle import MAREN, TOBIAS, Office, open_office

pytestmark = only_2_31


@pytest.fixture
async def office(storage: Storage, clock: Clock, release: Release) -> AsyncIterator[Office]:
    """Its private project is followed by #structure, as a file said."""
    async with open_office(storage, clock, release=release) as opened:
        opened.tower.visibility = "PRIVATE"
        await storage.write(lambda tx: tx.guilds.join(KESTREL))
        wanted = PortableSubscription(
            opened.server.url, opened.tower.id, KESTREL, STRUCTURE, SubscriptionOptions(), TOBIAS
        )
        rules = ImportRules([opened.server.url], GuildLimits(9, 9, 9, 9, 9), ())
        done = await storage.write(lambda tx: import_all(tx, [wanted], rules))
        assert done == [ImportOutcome.MADE]
        yield opened


async def pressed(office: Office, caller: Actor, *, agrees: bool) -> SubscribeOutcome | Followed:
    """*Resume*, and what is asked then is agreed to, or not."""
    there = await office.at(STRUCTURE)
    service = office.services.subscriptions
    outcome = await service.resume(KESTREL, caller, there.id, place(STRUCTURE), lambda _id: TEAM)
    if isinstance(outcome, NeedsConsent) and agrees:
        return await service.subscribe(replace(outcome.request, agreed=outcome.agreed))
    return outcome


async def test_it_waits_for_the_answer_of_who_may_see_the_project(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    assert isinstance(await pressed(office, manager(MAREN), agrees=False), NeedsConsent)
    assert (await office.at(STRUCTURE)).pause_reason is PauseReason.ASK_AGAIN
    assert isinstance(await pressed(office, manager(MAREN), agrees=True), Subscribed)
    there = await office.at(STRUCTURE)
    assert there.state is SubscriptionState.ACTIVE
    assert there.consent is not None
    assert there.consent.by == MAREN
    assert [webhook.url for webhook in office.made] != []  # the bot made it, with Ilse's account


async def test_nobody_else_can_have_it_shown(office: Office) -> None:
    """Neither a member without an account, nor one whose account may not see the project."""
    outcome = await pressed(office, manager_of([STRUCTURE]), agrees=True)
    assert isinstance(outcome, NeedsAccount)
    await office.linked(TOBIAS, office.nadia)
    with pytest.raises(CommandRefused):
        await pressed(office, manager_of([STRUCTURE]), agrees=True)
    there = await office.at(STRUCTURE)
    assert (there.state, there.consent) == (SubscriptionState.PAUSED, None)
    hook = await office.storage.read(lambda tx: tx.hooks.get(there.hook_id))
    assert hook is not None
    assert hook.state is HookState.WAITING
    assert office.made == []
