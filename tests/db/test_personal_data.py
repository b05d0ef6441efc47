"""After /privacy's erasing, nothing that is kept names the person, in whatever column it stood."""

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from bot.audit import by_person
from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.personal_data import erase_from_texts, unnamed
from bot.db.tables import channel_queues, metadata, notices, outbox
from bot.model import (
    NOBODY,
    Consent,
    Entitlement,
    Hook,
    PauseReason,
    Subscription,
    SubscriptionState,
)
from bot.pending import LINK_VALID, LinkDetails, PendingSubscribe
from bot.permissions import Audience
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.trace import TraceLine
from bot.work import (
    EventResult,
    HookResult,
    NewCard,
    SubscriptionResult,
)
from tests.db.conftest import (
    FACADE,
    MAREN_ODUYA,
    SERVER,
    STRUCTURE,
    STUDIO_KESTREL,
    Clock,
    NewDelivery,
)
from tests.db.test_accounts import linked

TOBIAS = MAREN_ODUYA + 1
LONGER = MAREN_ODUYA * 10  # begins with the same digits and is somebody else
NOTE = "the Speckle token of <@{}> lacks the scope `streams:read`"


async def everything_in(database_url: str) -> str:
    """All rows of all tables, as text."""
    async with Database.open(parse_url(database_url)) as database:
        with database.reading() as reading:
            rows = [
                dict(row)
                for table in metadata.sorted_tables
                for row in reading.execute(select(table)).mappings()
            ]
    return str(rows)


async def write_down(
    storage: Storage, subscription: Subscription, delivery: NewDelivery, clock: Clock, text: str
) -> int:
    """An event whose trace says so; gives the id of its row."""
    receipt = await storage.intake.accept(delivery())
    card = NewCard(subscription.id, STUDIO_KESTREL, STRUCTURE, {"title": "card"})
    one = HookResult(
        subscription.hook_id, clock(), True, results=[SubscriptionResult(subscription.id, card)]
    )
    trace = [TraceLine(clock(), "access", text, {"channel_id": STRUCTURE, "by": MAREN_ODUYA})]
    await storage.write(
        lambda tx: tx.inbox.finish(
            [EventResult(receipt.id, trace, "commit_create", of_hooks=[one])]
        )
    )
    return receipt.id


async def test_nothing_that_is_kept_names_a_person_who_was_erased(
    storage: Storage,
    hook: Hook,
    subscription: Subscription,
    delivery: NewDelivery,
    clock: Clock,
    database_url: str,
) -> None:
    account = await linked(storage)
    ids = [
        await write_down(storage, subscription, delivery, clock, NOTE.format(who))
        for who in (MAREN_ODUYA, TOBIAS, LONGER, MAREN_ODUYA)
    ]
    database = storage._database
    with database.writing() as connection:
        connection.execute(update(outbox).values(last_error=f"<@!{MAREN_ODUYA}> left"))
        waiting = update(channel_queues).where(channel_queues.c.channel_id == STRUCTURE)
        connection.execute(waiting.values(last_error=f"no answer to {MAREN_ODUYA}"))
    paused = NOTE.format(MAREN_ODUYA)
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription.id, SubscriptionState.PAUSED, PauseReason.ACCESS_LOST, paused
        )
    )
    _, other = await storage.write(
        lambda tx: tx.subscriptions.upsert(hook.id, FACADE, subscription.options, TOBIAS)
    )
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            other.id, SubscriptionState.PAUSED, PauseReason.MEMBER, str(MAREN_ODUYA)
        )
    )
    sees = Audience(False, (), (MAREN_ODUYA, TOBIAS))
    answer = Consent(
        MAREN_ODUYA, clock(), Entitlement.MANAGER, subscription.options, "private", sees
    )
    await storage.write(lambda tx: tx.subscriptions.answered(other.id, answer))
    await storage.write(lambda tx: tx.hooks.detach_account(account.id))
    await storage.write(lambda tx: tx.accounts.delete(account.id))

    await storage.erase_traces(MAREN_ODUYA)

    left = await everything_in(database_url)
    assert str(MAREN_ODUYA) not in left.replace(str(LONGER), "")
    rows = [await storage.read(lambda tx: tx.inbox.get(row_id)) for row_id in ids]
    lines = [row.trace[0] for row in rows if row is not None]
    assert [line.step for line in lines] == [
        NOTE.replace("<@{}>", "somebody"),
        NOTE.format(TOBIAS),
        NOTE.format(LONGER),
        NOTE.replace("<@{}>", "somebody"),
    ]
    assert {line.facts["channel_id"] for line in lines} == {STRUCTURE}
    answered = await storage.read(lambda tx: tx.subscriptions.get(other.id))
    assert answered is not None
    assert answered.consent == replace(
        answer, by=NOBODY, audience=replace(sees, members=(NOBODY, TOBIAS))
    )


@pytest.mark.parametrize("portion_rows", [1, 2, 3])
async def test_erasing_goes_through_all_portions(
    portion_rows: int,
    storage: Storage,
    subscription: Subscription,
    delivery: NewDelivery,
    clock: Clock,
    database_url: str,
) -> None:
    for who in (TOBIAS, MAREN_ODUYA, TOBIAS, MAREN_ODUYA, MAREN_ODUYA):
        await write_down(storage, subscription, delivery, clock, NOTE.format(who))
    await erase_from_texts(storage._database, MAREN_ODUYA, portion_rows)
    left = await everything_in(database_url)
    assert left.count(f"<@{MAREN_ODUYA}>") == 0
    assert left.count(f"<@{TOBIAS}>") == 2


def test_other_numbers_that_hold_the_same_digits_stay() -> None:
    text = '<@12> <@!12> 12 123 312 <@123> {"by": 12}'
    assert unnamed(text, 12) == 'somebody somebody 0 123 312 <@123> {"by": 0}'


async def test_erasing_a_persons_traces_leaves_the_subscriptions_of_the_guild(
    storage: Storage, database_url: str, hook: Hook, subscription: Subscription, clock: Clock
) -> None:
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription.id, SubscriptionState.PAUSED, PauseReason.MEMBER, str(MAREN_ODUYA)
        ),
        by=by_person(MAREN_ODUYA),
    )
    await storage.write(
        lambda tx: tx.link_requests.add("nonce", MAREN_ODUYA, SERVER, LinkDetails())
    )
    async with Database.open(parse_url(database_url)) as database:
        with database.writing() as writing:
            writing.execute(
                notices.insert().values(
                    guild_id=STUDIO_KESTREL, channel_id=STRUCTURE, user_id=MAREN_ODUYA,
                    reason="no_permission", detail="", nonce="n", created_at=clock(), attempts=0,
                )
            )  # fmt: skip
    command = PendingSubscribe(MAREN_ODUYA, STUDIO_KESTREL, STRUCTURE, SERVER, "a1b2c3d4e5", {})
    await storage.write(lambda tx: tx.pending_commands.add("token", command, LINK_VALID))
    by_another = Consent(
        TOBIAS, clock(), Entitlement.OWNER, SubscriptionOptions(), "private",
        Audience(everyone=False, members=(MAREN_ODUYA,)),
    )  # fmt: skip
    await storage.write(lambda tx: tx.subscriptions.answered(subscription.id, by_another))
    before = await storage.read(lambda tx: tx.personal_traces.count(MAREN_ODUYA))
    assert before == {
        "link_requests": 1,
        "pending_commands": 1,
        "notices": 1,
        "hooks": 1,
        "subscriptions": 1,
        "audit_log": 1,
        "audit_channels": 0,
        "answers": 1,
        "paused": 1,
    }
    await storage.erase_traces(MAREN_ODUYA)
    assert set((await storage.read(lambda tx: tx.personal_traces.count(MAREN_ODUYA))).values()) == {
        0
    }
    kept = await storage.read(lambda tx: tx.subscriptions.get(subscription.id))
    kept_hook = await storage.read(lambda tx: tx.hooks.get(hook.id))
    assert kept is not None
    assert kept_hook is not None
    assert (kept.created_by, kept.pause_detail, kept_hook.created_by) == (NOBODY, None, NOBODY)
    assert kept.state is SubscriptionState.PAUSED


async def test_erasing_a_person_takes_them_out_of_what_others_are_told(
    storage: Storage, database_url: str, subscription: Subscription, clock: Clock
) -> None:
    detail = f"<@{TOBIAS}> unlinked the account that it depended on"
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription.id, SubscriptionState.PAUSED, PauseReason.ACCESS_LOST, detail
        )
    )
    await storage.erase_traces(MAREN_ODUYA)
    kept = await storage.read(lambda tx: tx.subscriptions.get(subscription.id))
    assert kept is not None
    assert kept.pause_detail == detail
    await storage.erase_traces(TOBIAS)
    kept = await storage.read(lambda tx: tx.subscriptions.get(subscription.id))
    assert kept is not None
    assert kept.pause_detail == "somebody unlinked the account that it depended on"
