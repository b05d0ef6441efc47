"""Who changed what is written with the change, whatever changes it."""

import ast
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from bot.audit import (
    BY_BOT,
    BY_HOST,
    ActorKind,
    AuditAction,
    AuditActor,
    AuditEntry,
    AuditFilter,
    by_person,
)
from bot.database_content import RetentionPolicy
from bot.model import (
    AccessPause,
    Consent,
    Entitlement,
    Hook,
    HookKind,
    PauseReason,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.pending import LinkDetails
from bot.permissions import Audience
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle.tokens import Tokens, TokenScope
from bot.storage import Storage, Transaction
from tests.db.conftest import (
    HARBOUR_TOWER,
    MAREN_ODUYA,
    SERVER,
    STRUCTURE,
    STUDIO_KESTREL,
    Clock,
    Queue,
)

DB = Path(__file__).parents[2] / "bot/db"
FOR_PEOPLE = {"subscriptions", "hooks", "guilds", "accounts", "audit_channels"}
BY_HOST_ALONE = "outbox_admin"  # the bot sends cards all the time; what the host does is a change
WRITES = ("record(", "record_hooks(", "record_subscriptions(", "_audit", "audit_removal(")

# Each function that changes one of these tables writes into the audit log, but for these. Who adds
# one decides which.
WITH_ITS_CALLER = "the function that calls it writes it"
NOTED = "it notes what was seen or done, and changes nothing for people"
KEPT_OUT = {
    "access_pauses.forget_access": NOTED,
    "accounts.delete": "detach_account wrote it, while it was known what depends on the account",
    "accounts.mark_refused": NOTED,
    "accounts.mark_taken": NOTED,
    "accounts.replace_tokens": NOTED,
    "accounts.unconfirm_all": "it is no decision: the database is a restored copy",
    "audit_channels._begin": WITH_ITS_CALLER,
    "audit_channels._set": NOTED,
    "audit_channels.posted": NOTED,
    "event_results._note_access": NOTED,
    "guilds._set": WITH_ITS_CALLER,
    "guilds.add_guild": WITH_ITS_CALLER,
    "guilds.erase_left_before": "their audit log goes with them",
    "hooks._changed": WITH_ITS_CALLER,
    "hooks._void_answers": WITH_ITS_CALLER,
    "hooks.create": "a subscription is made with it, and that is written",
    "hooks.mark_reminded": NOTED,
    "hooks.mark_trouble_reported": NOTED,
    "hooks.record_project_visibility": NOTED,
    "hooks.record_trouble": NOTED,
    "hooks.write_visibility": NOTED,
    "missed_events._has_list_rows": NOTED,
    "missed_events.note_look": NOTED,
    "missed_events.readers": NOTED,
    "silent_webhooks.note": NOTED,
    "subscriptions.record_access": NOTED,
    "listening.end": "record_webhook wrote that a webhook brings the events now",
    "listening.move_on": NOTED,
}


def writers() -> Iterator[tuple[str, str]]:
    """Each function in bot/db that changes one of the tables, with its source."""
    for file in sorted(DB.glob("*.py")):
        tables = FOR_PEOPLE | ({"outbox"} if file.stem == BY_HOST_ALONE else set())
        text = file.read_text()
        for function in ast.walk(ast.parse(text)):
            if isinstance(function, ast.FunctionDef) and any(
                _changes(node, tables) for node in ast.walk(function)
            ):
                source = ast.get_source_segment(text, function) or ""
                yield f"{file.stem}.{function.name}", source


def _changes(node: ast.AST, tables: set[str]) -> bool:
    """Whether this is `update(subscriptions)`, or `hooks.insert()`."""
    if not isinstance(node, ast.Call):
        return False
    made = node.func
    if isinstance(made, ast.Attribute) and made.attr in ("insert", "update", "delete"):
        named = [made.value, *node.args[:1]]
    elif isinstance(made, ast.Name) and made.id in ("insert", "update", "delete"):
        named = node.args[:1]
    else:
        return False
    return any(isinstance(one, ast.Name) and one.id in tables for one in named)


def test_whatever_changes_what_people_decided_writes_into_the_audit_log() -> None:
    found = dict(writers())
    silent = {name for name, source in found.items() if not any(one in source for one in WRITES)}
    assert silent == set(KEPT_OUT)
    assert {"subscriptions.upsert", "hooks.detach_account", "outbox_admin.retry"} <= set(found)


# ── what is written ───────────────────────────────────────────────────────────────────────────

TOBIAS = 720_000_000_000_000_002
BY_MAREN, BY_TOBIAS = by_person(MAREN_ODUYA), by_person(TOBIAS)
PROJECT = {"server": SERVER, "project": HARBOUR_TOWER}
VERSIONS = SubscriptionOptions(
    events=("versions",), models=("struct/**",), ignore_authors=("Ines Falk",)
)


async def log(storage: Storage, wanted: AuditFilter | None = None) -> list[AuditEntry]:
    """The audit log, the oldest first."""
    newest = await storage.read(lambda tx: tx.audit_log.newest(wanted or AuditFilter(), 100))
    return [*newest][::-1]


def told(entries: list[AuditEntry]) -> list[tuple[AuditActor, AuditAction]]:
    return [(one.actor, one.action) for one in entries]


def set_state(
    subscription_id: int, state: SubscriptionState, reason: PauseReason | None, tx: Transaction
) -> None:
    tx.subscriptions.set_state(subscription_id, state, reason)


def record_webhook(
    hook_id: int, account_id: int, webhook_id: str, secret: str | None, tx: Transaction
) -> None:
    tx.hooks.record_webhook(hook_id, account_id, webhook_id, secret)


def set_defaults(options: SubscriptionOptions | None, tx: Transaction) -> None:
    tx.guilds.set_default_options(STUDIO_KESTREL, options)


def set_notice_channel(guild_id: int, channel_id: int, tx: Transaction) -> None:
    tx.guilds.set_notice_channel(guild_id, channel_id)


async def test_a_subscription_from_its_beginning_to_its_end(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    agreed = Consent(
        MAREN_ODUYA, clock(), Entitlement.OWNER, VERSIONS, "private",
        Audience(everyone=False, roles=(1, 2), members=(3,)),
    )  # fmt: skip
    _, made = await storage.write(
        lambda tx: tx.subscriptions.upsert(
            hook.id, STRUCTURE, SubscriptionOptions(), MAREN_ODUYA, consent=agreed
        ),
        by=BY_MAREN,
    )
    for _ in range(2):  # the second time nothing changes
        await storage.write(
            lambda tx: tx.subscriptions.upsert(hook.id, STRUCTURE, VERSIONS, TOBIAS), by=BY_TOBIAS
        )
    for state in (SubscriptionState.PAUSED, SubscriptionState.ACTIVE, SubscriptionState.ACTIVE):
        reason = PauseReason.MEMBER if state is SubscriptionState.PAUSED else None
        change = partial(set_state, made.id, state, reason)
        await storage.write(change, by=BY_TOBIAS)
    lost = AccessPause(PauseReason.ACCESS_LOST, PauseWhy.FORBIDDEN)
    await storage.write(lambda tx: tx.held_events.hold_back(made.id, clock(), lost))
    await storage.write(lambda tx: tx.subscriptions.delete(made.id), by=BY_MAREN)

    entries = await log(storage)
    assert told(entries) == [
        (BY_MAREN, AuditAction.SUBSCRIBED),
        (BY_MAREN, AuditAction.CONSENTED),
        (BY_TOBIAS, AuditAction.FILTERS_CHANGED),
        (BY_TOBIAS, AuditAction.PAUSED),
        (BY_TOBIAS, AuditAction.RESUMED),
        (BY_BOT, AuditAction.PAUSED),
        (BY_MAREN, AuditAction.UNSUBSCRIBED),
        (BY_MAREN, AuditAction.WEBHOOK_REMOVED),
    ]
    assert {(one.guild_id, one.channel_id) for one in entries} == {(STUDIO_KESTREL, STRUCTURE)}
    assert all(one.facts.items() >= PROJECT.items() for one in entries)
    assert entries[1].facts["audience"] == {
        "everyone": False, "people": None, "roles": 2, "members": 1,
    }  # fmt: skip
    assert entries[1].facts["visibility"] == "private"
    assert entries[2].facts["filters"] == {
        "events": [[], ["versions"]],
        "models": [[], ["struct/**"]],
        "ignore_authors": [0, 1],  # how many, and nobody's name
    }
    assert (entries[5].facts["reason"], entries[5].facts["why"]) == ("access_lost", "forbidden")


async def test_a_webhook_and_the_account_that_made_it(
    storage: Storage, hook: Hook, subscription: Subscription
) -> None:
    await storage.write(lambda tx: tx.link_requests.add("n", MAREN_ODUYA, SERVER, LinkDetails()))
    account = await storage.write(
        lambda tx: tx.accounts.link(
            "n", "maren00001", "Maren", Tokens("t"), frozenset(TokenScope), notified=False
        ),
        by=BY_MAREN,
    )
    assert account is not None
    start = (await log(storage))[-1].id
    for webhook_id, secret in (("w1", "s1"), ("w1", None), ("w1", "s2"), ("w2", "s3")):
        await storage.write(partial(record_webhook, hook.id, account.id, webhook_id, secret))
    await storage.write(lambda tx: tx.accounts.unconfirm_all())
    await storage.write(lambda tx: tx.accounts.confirm(account.id), by=BY_MAREN)
    await storage.write(lambda tx: tx.hooks.detach_account(account.id), by=BY_MAREN)
    await storage.write(lambda tx: tx.hooks.new_secret(hook.id, overlap=True), by=BY_TOBIAS)
    await storage.write(lambda tx: tx.hooks.convert(hook.id, HookKind.SHARED))
    entries = [one for one in await log(storage) if one.id > start]
    assert told(entries) == [
        (BY_BOT, AuditAction.WEBHOOK_CREATED),
        (BY_BOT, AuditAction.SECRET_RENEWED),
        (BY_BOT, AuditAction.WEBHOOK_REPAIRED),
        (BY_MAREN, AuditAction.CONFIRMED),
        (BY_MAREN, AuditAction.UNLINKED),
        (BY_MAREN, AuditAction.WEBHOOK_RESET),
        (BY_TOBIAS, AuditAction.SECRET_RENEWED),
        (BY_BOT, AuditAction.WEBHOOK_CONVERTED),
    ]
    # A server learns that it depends on an account, and neither where nor which one that is.
    assert entries[4].facts == {"channels": 1}
    assert not {"s1", "s2", "s3", "w1", "w2"} & set(str(entries).replace("'", " ").split())


async def test_what_a_server_chose_and_what_the_host_did(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    ids = await queue(subscription) + await queue(subscription)
    start = (await log(storage))[-1].id
    await storage.write(
        lambda tx: tx.guilds.set_notice_channel(STUDIO_KESTREL, STRUCTURE), by=BY_MAREN
    )
    for options in (VERSIONS, VERSIONS, None):
        await storage.write(partial(set_defaults, options), by=BY_MAREN)
    await storage.retry_cards(ids)
    await storage.drop_cards(ids)
    await storage.write(lambda tx: tx.audit_log.note(AuditAction.KEYS_ROTATED), by=BY_HOST)
    for _ in range(2):
        await storage.write(lambda tx: tx.guilds.leave(STUDIO_KESTREL))
    for _ in range(2):
        await storage.write(lambda tx: tx.guilds.join(STUDIO_KESTREL))
    entries = [one for one in await log(storage) if one.id > start]
    assert told(entries) == [
        (BY_MAREN, AuditAction.NOTICE_CHANNEL_CHANGED),
        (BY_MAREN, AuditAction.DEFAULTS_CHANGED),
        (BY_MAREN, AuditAction.DEFAULTS_CHANGED),
        (BY_HOST, AuditAction.CARDS_RETRIED),
        (BY_HOST, AuditAction.CARDS_DROPPED),
        (BY_HOST, AuditAction.KEYS_ROTATED),
        (BY_BOT, AuditAction.GUILD_LEFT),
        (BY_BOT, AuditAction.GUILD_JOINED),
    ]
    assert [one.facts["cards"] for one in entries[3:5]] == [2, 2]
    assert entries[5].guild_id is None


async def test_the_audit_log_is_read_by_server_person_channel_and_time(
    storage: Storage, subscription: Subscription, clock: Clock
) -> None:
    for guild_id, channel_id, who in ((1, 11, TOBIAS), (1, 12, TOBIAS), (2, 21, MAREN_ODUYA)):
        clock.forward(hours=1)
        await storage.write(partial(set_notice_channel, guild_id, channel_id), by=by_person(who))
    for wanted, channels in (
        (AuditFilter(guild_id=1), [11, 12]),
        (AuditFilter(user_id=MAREN_ODUYA), [21]),
        (AuditFilter(channel_id=12), [12]),
        (AuditFilter(since=clock()), [21]),
    ):
        assert [one.channel_id for one in await log(storage, wanted)] == channels
    last = (await log(storage))[-1]
    older = await log(storage, AuditFilter(before_id=last.id))
    assert [one.channel_id for one in older][-1] == 12


async def test_an_erased_person_is_nobody_in_the_audit_log(
    storage: Storage, subscription: Subscription
) -> None:
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription.id, SubscriptionState.PAUSED, PauseReason.MEMBER, str(MAREN_ODUYA)
        ),
        by=BY_MAREN,
    )
    await storage.erase_traces(MAREN_ODUYA)
    entries = await log(storage)
    nobody = AuditActor(ActorKind.PERSON)
    assert told(entries)[-2:] == [(nobody, AuditAction.PAUSED), (nobody, AuditAction.ERASED)]
    assert str(MAREN_ODUYA) not in str(entries)


async def test_the_audit_log_is_kept_for_a_year(
    storage: Storage, subscription: Subscription, clock: Clock
) -> None:
    keep = RetentionPolicy(timedelta(days=7), timedelta(days=30), timedelta(days=90))
    clock.forward(days=364)
    await storage.retention.tidy(keep)
    assert told(await log(storage)) == [(BY_BOT, AuditAction.SUBSCRIBED)]
    clock.forward(days=2)
    await storage.retention.tidy(keep)
    assert await log(storage) == []


async def test_what_waits_for_an_audit_channel_is_taken_once_and_in_order(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    def choose(channel_id: int | None, tx: Transaction) -> None:
        tx.audit_channels.choose(STUDIO_KESTREL, channel_id, MAREN_ODUYA)

    def take(tx: Transaction) -> list[int]:
        batch = tx.audit_channels.open_batch(STUDIO_KESTREL)
        assert tx.audit_channels.open_batch(STUDIO_KESTREL) == batch  # until it is noted
        if batch is None:
            return []
        tx.audit_channels.posted(batch)
        return [one.id for one in batch.entries]

    await storage.write(partial(set_defaults, VERSIONS))  # before there was a channel
    await storage.write(partial(choose, STRUCTURE), by=BY_MAREN)
    for number in range(13):
        await storage.write(partial(set_notice_channel, STUDIO_KESTREL, number + 1))
    assert await storage.read(lambda tx: tx.audit_channels.due()) == [STUDIO_KESTREL]
    taken = [await storage.write(take) for _ in range(3)]
    assert [len(one) for one in taken] == [12, 2, 0]
    ids = [one.id for one in await log(storage)]
    assert [*taken[0], *taken[1]] == ids[-14:]
    assert await storage.read(lambda tx: tx.audit_channels.due()) == []
    await storage.write(partial(choose, None), by=BY_MAREN)
    assert await storage.read(lambda tx: tx.audit_channels.get(STUDIO_KESTREL)) is None
