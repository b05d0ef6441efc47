"""Webhooks made, kept right and removed at a Speckle server that answers as a real one."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bot.errors import SpeckleUnavailable
from bot.model import (
    AccessPause,
    Account,
    Consent,
    Entitlement,
    Hook,
    HookState,
    HookTrouble,
    PauseReason,
    PauseWhy,
    SubscriptionState,
)
from bot.permissions import Actor
from bot.services.public_url import ProbeProblem
from bot.services.refusals import CommandRefused, ProjectNotSeen
from bot.services.subscribe_results import (
    CommandCaller,
    Followed,
    MadeSetUp,
    NeedsAccount,
    NeedsConsent,
    NotFollowed,
    Resumed,
    Subscribed,
)
from bot.services.webhook_remover import leads_to
from bot.services.webhook_results import (
    Ensured,
    EnsureFailed,
    EnsureProblem,
    RemovalResult,
    WebhookChange,
)
from bot.services.webhook_triggers import triggers_of
from bot.services.webhooks import MOST_WEBHOOKS
from bot.speckle.event_subjects import is_of_issue
from bot.speckle.event_table import EVENTS
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from sandbox.speckle import Release
from tests.services.conftest import (
    FACADE,
    KESTREL,
    STRUCTURE,
    TEAM,
    Clock,
    edit_request,
    manager,
    manager_of,
    place,
)
from tests.services.speckle import MAREN, TOBIAS, Office, answering, open_office
from tests.stored import note_event

OWN = ("streams:read", "profile:read")


@pytest.fixture
async def office(storage: Storage, clock: Clock, release: Release) -> AsyncIterator[Office]:
    async with open_office(storage, clock, release=release) as opened:
        yield opened


# ── made ──────────────────────────────────────────────────────────────────────────────────────


async def test_an_owners_subscribe_makes_the_webhook_and_leaves_nothing_to_do(
    office: Office,
) -> None:
    account = await office.linked(MAREN, office.ilse)
    outcome = await office.subscribe()
    assert outcome.webhook == Ensured(WebhookChange.MADE, local_network=True)
    assert outcome.setup is None
    (made,), hook = office.made, await office.hook()
    assert made.url == f"{office.public_url}/webhooks/{hook.key}"
    assert made.secret == hook.secrets[0]
    assert made.enabled
    assert made.description == f"Events for {KESTREL}"
    assert set(made.triggers) == {name for row in EVENTS for name in row.triggers}
    assert (hook.webhook_id, hook.account_id) == (made.id, account.id)
    assert (hook.state, hook.project_name, hook.visibility) == (HookState.LIVE, None, "private")
    subscription = outcome.entry.subscription
    assert (subscription.account_id, subscription.access_ok_at) == (account.id, office.clock())
    assert subscription.consent == Consent(
        MAREN,
        office.clock(),
        Entitlement.OWNER,
        SubscriptionOptions(),
        "private",
        TEAM,
        "Kestrel Tower",
    )


def test_a_filter_asks_for_its_triggers_alone_the_unlisted_ones_too() -> None:
    assert triggers_of([SubscriptionOptions(events=("version_moved", "issues"))]) == (
        "commit_move",
        "issue_created",
        "issue_updated",
        "issue_reply_created",
        "issue_deleted",
        "comment_created",
        "comment_replied",
        "comment_archived",
        "comment_mention",
    )
    assert triggers_of([SubscriptionOptions(events=("other",))]) == ()


async def test_the_webhook_follows_what_all_channels_want(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe(events="version_created")
    await office.subscribe(channel_id=FACADE, events="model_created")
    assert set(office.made[0].triggers) == {"commit_create", "branch_create"}
    first, second = await office.storage.read(lambda tx: tx.subscriptions.of_guild(KESTREL))
    entry = Followed(await office.hook(), first)
    edited = await office.services.subscriptions.subscribe(
        edit_request(manager(), entry, SubscriptionOptions(events=("comment_created",)))
    )
    assert isinstance(edited, Subscribed)
    assert edited.webhook == Ensured(WebhookChange.CHANGED)
    assert set(office.made[0].triggers) == {"comment_created", "branch_create"}
    removed = await office.services.subscriptions.remove(KESTREL, manager(), second.id)
    assert removed.webhook == Ensured(WebhookChange.CHANGED)
    assert list(office.made[0].triggers) == ["comment_created"]


async def test_the_same_again_asks_speckle_to_change_nothing(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe()
    before = len(office.server.requests)
    again = await office.subscribe()
    assert again.webhook == Ensured(WebhookChange.NOTHING)
    asked = [one.operation for one in office.server.requests[before:]]
    assert not any("Update" in name or "Create" in name for name in asked), asked


async def test_after_a_crash_the_webhook_is_found_by_its_address(office: Office) -> None:
    """Killed between Speckle's answer and our write: nobody has written its id down."""
    account = await office.linked(MAREN, office.ilse)
    hook = (await office.subscribe(by_hand=True)).entry.hook
    there = office.server.add_webhook(
        office.tower,
        url=f"https://before.example/webhooks/{hook.key}",
        triggers=("commit_create",),
        secret="another",
    )
    kept = await office.webhooks.ensure(hook.id, account.id)
    assert isinstance(kept, Ensured)
    assert kept.change is WebhookChange.FOUND
    (made,) = office.made
    assert made.id == there.id
    assert made.url == f"{office.public_url}/webhooks/{hook.key}"
    adopted = await office.hook()
    assert adopted.webhook_id == there.id
    assert adopted.secrets == (made.secret,)
    assert made.secret not in ("another", *hook.secrets)


async def test_what_an_owner_made_by_hand_is_looked_after_once_they_have_an_account(
    office: Office,
) -> None:
    setup = (await office.subscribe(by_hand=True, events="versions")).setup
    assert setup is not None
    by_hand = office.server.add_webhook(
        office.tower,
        url=setup.url or "",
        triggers=("commit_create",),
        secret=setup.secret,
        enabled=False,
    )
    await office.linked(MAREN, office.ilse)
    outcome = await office.subscribe(events="issues")
    assert outcome.webhook == Ensured(WebhookChange.FOUND, switched_off=True)
    assert office.made == [by_hand]
    assert not by_hand.enabled
    assert "comment_mention" in by_hand.triggers


async def test_two_at_once_make_one_webhook(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    await asyncio.gather(*(office.subscribe(channel_id=STRUCTURE + n) for n in range(4)))
    assert len(office.made) == 1


async def test_a_second_webhook_with_the_same_address_is_removed(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe()
    (first,) = office.made
    office.server.add_webhook(office.tower, url=first.url, triggers=("commit_create",), secret="x")
    kept = await office.webhooks.ensure((await office.hook()).id, reconciling=True)
    assert kept == Ensured(WebhookChange.NOTHING, duplicates=1)
    assert [one.id for one in office.made] == [first.id]


async def test_a_full_project_is_said(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    for number in range(MOST_WEBHOOKS):
        url = f"https://elsewhere.example/{number}"
        office.server.add_webhook(office.tower, url=url, triggers=("commit_create",), secret="x")
    outcome = await office.subscribe()
    assert isinstance(outcome.webhook, EnsureFailed)
    assert outcome.webhook.why is EnsureProblem.FULL
    assert outcome.setup is not None
    assert len(office.made) == MOST_WEBHOOKS


# ── who may ───────────────────────────────────────────────────────────────────────────────────


async def test_a_member_who_is_not_owner_gets_the_way_by_hand_and_whom_to_ask(
    office: Office,
) -> None:
    account = await office.linked(MAREN, office.bob)
    outcome = await office.subscribe()
    assert isinstance(outcome.webhook, EnsureFailed)
    assert outcome.webhook.why is EnsureProblem.NOT_OWNER
    assert outcome.webhook.owners == ("Ilse Brandt",)
    assert outcome.setup is not None
    assert office.made == []
    assert outcome.entry.subscription.account_id == account.id


async def test_an_owner_whose_token_lacks_the_scope_is_told_so(office: Office) -> None:
    await office.linked(MAREN, office.ilse, OWN)
    outcome = await office.subscribe()
    assert isinstance(outcome.webhook, EnsureFailed)
    assert (outcome.webhook.why, outcome.webhook.detail) == (
        EnsureProblem.NO_SCOPE,
        "streams:write",
    )
    assert office.made == []


async def test_a_project_that_one_may_not_see_reads_like_one_that_does_not_exist(
    office: Office,
) -> None:
    await office.linked(MAREN, office.nadia)
    refusals = set()
    for project in (office.link, f"{office.server.url}/projects/ffffffffff"):
        with pytest.raises(CommandRefused) as refused:
            await office.ask(project=project)
        with pytest.raises(CommandRefused) as by_hand:
            await office.ask(project=project, by_hand=True)
        refusals |= {refused.value.refusal, by_hand.value.refusal}
    assert refusals == {ProjectNotSeen(office.server.url)}
    assert await office.storage.read(lambda tx: tx.hooks.of_guild(KESTREL)) == []


async def test_without_an_account_nothing_is_done_until_a_way_is_chosen(office: Office) -> None:
    outcome = await office.ask()
    assert isinstance(outcome, NeedsAccount)
    assert (outcome.why, outcome.server_url) == (None, office.server.url)
    assert await office.storage.read(lambda tx: tx.hooks.of_guild(KESTREL)) == []
    by_hand = await office.subscribe(by_hand=True)
    assert by_hand.setup is not None
    assert by_hand.webhook is None
    assert by_hand.entry.subscription.consent is None
    assert office.made == []


async def test_a_revoked_token_asks_for_a_new_link(office: Office) -> None:
    token = office.server.token(office.ilse)
    linking = office.services.linking
    way = await linking.start_link(MAREN, office.server.url)
    await linking.link_by_token(MAREN, way.nonce, token)
    office.server.revoke(token)
    outcome = await office.ask()
    assert isinstance(outcome, NeedsAccount)
    assert outcome.why is EnsureProblem.TOKEN_REFUSED


async def test_a_server_that_is_down_keeps_nobody_from_the_way_by_hand(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    office.server.faults.status = 502
    outcome = await office.ask()
    assert isinstance(outcome, NeedsAccount)
    assert outcome.why is EnsureProblem.SPECKLE_AWAY
    assert (await office.subscribe(by_hand=True)).setup is not None


async def test_a_private_project_is_shown_only_after_a_yes_and_asked_once_a_channel(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    first = await office.ask(shown=False)
    assert isinstance(first, NeedsConsent)
    assert first.project_name == "Kestrel Tower"
    assert await office.storage.read(lambda tx: tx.hooks.of_guild(KESTREL)) == []
    assert office.made == []
    await office.subscribe()
    changed = await office.ask(shown=False, events="issues")
    assert not isinstance(changed, NeedsConsent)
    assert isinstance(await office.ask(shown=False, channel_id=FACADE), NeedsConsent)
    # Who has no account is not told that the project is followed here.
    assert isinstance(await office.ask(caller=manager(TOBIAS), channel_id=FACADE), NeedsAccount)


async def test_a_public_project_is_not_asked_about_and_the_answer_says_that_it_was(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    office.tower.visibility = "PUBLIC"
    outcome = await office.ask(shown=False)
    assert isinstance(outcome, Subscribed)
    consent = outcome.entry.subscription.consent
    assert consent is not None
    assert (consent.entitlement, consent.visibility) == (Entitlement.OWNER, "public")


# ── PUBLIC_URL ────────────────────────────────────────────────────────────────────────────────


async def test_no_webhook_is_made_for_an_address_that_leads_elsewhere(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    async with answering("somebody else") as other, answering("", 301, Location=other) as moved:
        for url, problem in (
            (None, ProbeProblem.MISSING),
            ("http://127.0.0.1:9", ProbeProblem.NO_ANSWER),
            (other, ProbeProblem.NOT_THIS_BOT),
            (moved, ProbeProblem.REDIRECTS),
        ):
            outcome = await office.with_public_url(url).subscribe()
            assert isinstance(outcome.webhook, EnsureFailed)
            assert outcome.webhook.result is not None
            assert outcome.webhook.result.problem is problem
            assert outcome.setup is not None
    assert office.made == []
    assert (await office.subscribe()).webhook == Ensured(WebhookChange.MADE, local_network=True)


async def test_a_new_public_url_reaches_the_webhook_at_the_next_look(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe()
    async with answering("0f0f") as moved:
        kept = await office.with_public_url(moved).webhooks.ensure(
            (await office.hook()).id, reconciling=True
        )
        assert isinstance(kept, Ensured)
        assert kept.repaired == ("address",)
        assert office.made[0].url.startswith(moved)


# ── repaired ──────────────────────────────────────────────────────────────────────────────────


async def looked(office: Office) -> list[Ensured | EnsureFailed]:
    return [kept async for _, kept in office.webhooks.reconcile_all()]


async def test_what_somebody_changed_is_set_right_and_told(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe(events="versions")
    assert await looked(office) == []
    (made,) = office.made
    broken: dict[str, Any] = {"url": "https://elsewhere.example", "secret": None}
    for name, value in broken.items():
        setattr(made, name, value)
    made.triggers = ["stream_update"]
    (kept,) = await looked(office)
    assert isinstance(kept, Ensured)
    assert (kept.change, set(kept.repaired)) == (
        WebhookChange.REPAIRED,
        {"address", "secret", "events"},
    )
    hook = await office.hook()
    assert (made.url, made.secret) == (
        f"{office.public_url}/webhooks/{hook.key}",
        hook.secrets[0],
    )
    assert "commit_create" in made.triggers
    assert await looked(office) == []


async def test_a_deleted_webhook_is_made_again_and_told(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe()
    office.tower.webhooks.clear()
    (kept,) = await looked(office)
    assert isinstance(kept, Ensured)
    assert kept.change is WebhookChange.MADE_AGAIN
    assert (await office.hook()).webhook_id == office.made[0].id
    assert await looked(office) == []


async def test_a_webhook_that_somebody_switched_off_stays_off_and_is_told(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe(events="versions")
    office.made[0].enabled = False
    outcome = await office.subscribe(events="issues")
    assert outcome.webhook == Ensured(WebhookChange.CHANGED, switched_off=True)
    assert not office.made[0].enabled
    assert "comment_created" in office.made[0].triggers


async def test_a_wrong_secret_shows_in_failed_calls_and_is_set_right(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe()
    office.made[0].secret = "somebody's"
    office.server.record(office.tower, "commit_create", {}, status=3)
    await looked(office)
    assert office.made[0].secret == (await office.hook()).secrets[0]


async def test_nothing_is_repaired_while_speckle_is_away(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe()
    office.server.faults.status = 502
    (kept,) = await looked(office)
    assert isinstance(kept, EnsureFailed)
    assert (kept.why, kept.made) == (EnsureProblem.SPECKLE_AWAY, True)


@pytest.mark.parametrize("events", ["all", "comments"])
async def test_what_an_earlier_release_did_not_ask_for_is_added_without_a_word(
    office: Office, events: str
) -> None:
    """After an update of the bot its webhooks lack the events of issues, and nobody did that."""
    await office.linked(MAREN, office.ilse)
    await office.subscribe(events=events)
    (made,) = office.made
    wanted = list(made.triggers)
    made.triggers = [name for name in wanted if not is_of_issue(name)]
    assert await looked(office) == [Ensured(WebhookChange.CHANGED)]
    assert made.triggers == wanted
    made.triggers = ["commit_create"]
    (kept,) = await looked(office)
    assert isinstance(kept, Ensured)
    assert kept.repaired == ("events",)


def refuse_issues(office: Office, operation: str) -> None:
    """A server that takes no name of an event that it has not got."""
    errors = [{"message": "Unknown trigger", "extensions": {"code": "BAD_USER_INPUT"}}]
    office.server.faults.status = 200
    office.server.faults.content_type = "application/json"
    office.server.faults.body = json.dumps({"errors": errors, "data": None})
    office.server.faults.when = lambda asked: asked == operation
    office.server.faults.times = 1


async def test_a_server_that_refuses_the_events_of_issues_gets_the_others(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    refuse_issues(office, "CreateWebhook")
    outcome = await office.subscribe()
    assert isinstance(outcome.webhook, Ensured)
    assert outcome.webhook.change is WebhookChange.MADE
    (made,) = office.made
    assert "commit_create" in made.triggers
    assert not any(map(is_of_issue, made.triggers))
    assert set(outcome.webhook.triggers) == set(made.triggers)
    assert outcome.lacking == ()
    refuse_issues(office, "UpdateWebhook")
    assert await looked(office) == []
    assert not any(map(is_of_issue, made.triggers))


async def test_another_refusal_is_not_tried_again(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    refuse_issues(office, "CreateWebhook")
    outcome = await office.subscribe(events="versions")
    assert isinstance(outcome.webhook, EnsureFailed)
    assert outcome.webhook.why is EnsureProblem.REFUSED
    assert len(office.server.asked("CreateWebhook")) == 1


# ── what cannot be looked after ───────────────────────────────────────────────────────────────


async def trouble(office: Office) -> HookTrouble | None:
    await looked(office)
    return (await office.hook()).trouble


async def untold(office: Office) -> list[Hook]:
    return await office.storage.read(lambda tx: tx.hooks.with_unreported_trouble())


@pytest.fixture
async def looked_after(office: Office) -> Account:
    """Maren's account, with which the bot made a webhook; it was looked after so far."""
    account = await office.linked(MAREN, office.ilse)
    await office.subscribe()
    assert await trouble(office) is None
    return account


@pytest.mark.usefixtures("looked_after")
async def test_a_webhook_that_is_switched_off_is_in_trouble_until_it_is_on(office: Office) -> None:
    office.made[0].enabled = False
    assert await trouble(office) is HookTrouble.SWITCHED_OFF
    office.made[0].enabled = True
    assert await trouble(office) is None


async def test_a_refused_token_is_a_trouble_that_linking_again_ends(
    office: Office, looked_after: Account
) -> None:
    for token in list(office.server.tokens):
        office.server.revoke(token)
    assert await trouble(office) is HookTrouble.TOKEN_REFUSED
    (hook,) = await untold(office)
    assert (hook.trouble_since, hook.account_id) == (office.clock(), looked_after.id)
    await office.linked(MAREN, office.ilse)
    assert [kept async for _, kept in office.webhooks.reconcile_all(looked_after.id)] == []
    assert (await office.hook()).trouble is None


@pytest.mark.usefixtures("looked_after")
async def test_a_right_that_is_lost_is_a_trouble_and_each_one_is_told_once(office: Office) -> None:
    bea = office.server.add_user("Bea Halloran")
    office.server.set_role(office.tower, bea, "stream:owner")
    office.server.set_role(office.tower, office.ilse, "stream:contributor")
    assert await trouble(office) is HookTrouble.NO_RIGHT
    (hook,) = await untold(office)
    await office.storage.write(lambda tx: tx.hooks.mark_trouble_reported(hook.id, hook.trouble))
    office.clock.forward(hours=1)
    assert await trouble(office) is HookTrouble.NO_RIGHT
    assert await untold(office) == []
    assert (await office.hook()).trouble_since == hook.trouble_since
    office.server.set_role(office.tower, office.ilse, "stream:owner")
    assert await trouble(office) is None
    office.made[0].enabled = False
    assert await trouble(office) is HookTrouble.SWITCHED_OFF
    assert await untold(office) != []


@pytest.mark.usefixtures("looked_after")
async def test_a_server_that_is_away_is_no_trouble_and_ends_none(office: Office) -> None:
    office.server.faults.status = 502
    assert await trouble(office) is None
    office.server.faults.clear()
    office.made[0].enabled = False
    await looked(office)
    office.server.faults.status = 502
    assert await trouble(office) is HookTrouble.SWITCHED_OFF


@pytest.mark.usefixtures("looked_after")
async def test_who_may_not_look_after_it_does_not_put_it_into_trouble(office: Office) -> None:
    await office.linked(TOBIAS, office.bob)
    await office.subscribe(caller=manager(TOBIAS), channel_id=FACADE)
    assert (await office.hook()).trouble is None


@pytest.mark.usefixtures("looked_after")
async def test_a_project_that_is_gone_is_looked_at_once_and_no_more(office: Office) -> None:
    office.server.remove_project(office.tower)
    assert await trouble(office) is HookTrouble.PROJECT_GONE
    before = len(office.server.requests)
    assert await looked(office) == []
    assert len(office.server.requests) == before
    assert await office.storage.read(lambda tx: tx.missed_events.hook_ids()) == []


@pytest.mark.usefixtures("looked_after")
@pytest.mark.parametrize("which", HookTrouble)
async def test_a_signed_event_ends_the_troubles_that_it_disproves(
    office: Office, which: HookTrouble
) -> None:
    hook = await office.hook()
    await office.storage.write(lambda tx: tx.hooks.record_trouble(hook.id, which))
    await office.storage.write(lambda tx: note_event(tx, hook.id, "Kestrel Tower"))
    unlooked_after = {HookTrouble.TOKEN_REFUSED, HookTrouble.NO_RIGHT, HookTrouble.UNOPENABLE}
    assert (await office.hook()).trouble is (which if which in unlooked_after else None)


@pytest.mark.usefixtures("looked_after")
async def test_what_cannot_be_made_again_is_a_trouble(office: Office) -> None:
    office.tower.webhooks.clear()
    away = office.with_public_url(None)
    assert await trouble(away) is HookTrouble.NOT_RESTORED
    assert await trouble(office) is None


async def test_unlinking_ends_a_trouble_as_the_webhook_waits_again(
    office: Office, looked_after: Account
) -> None:
    office.made[0].enabled = False
    assert await trouble(office) is HookTrouble.SWITCHED_OFF
    await office.webhooks.remover.detach_account(looked_after)
    assert (await office.hook()).trouble is None


# ── the panel ─────────────────────────────────────────────────────────────────────────────────


async def test_a_made_webhook_has_no_set_up_and_nobody_is_shown_its_secret(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    subscription_id = (await office.subscribe()).entry.subscription.id
    service = office.services.subscriptions
    shown = await service.setups.show(KESTREL, manager(), subscription_id)
    assert isinstance(shown, MadeSetUp)
    assert shown.made_by == MAREN
    assert shown.webhook == Ensured(WebhookChange.NOTHING)
    secret = (await office.hook()).secrets[0]
    assert secret not in repr(shown)


async def test_a_new_secret_is_set_at_speckle_itself_and_the_old_one_is_void_at_once(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    subscription_id = (await office.subscribe()).entry.subscription.id
    before = office.made[0].secret
    for overlap in (
        True,
        False,
    ):  # no transition is needed, whatever a button of today or before says
        renewed = await office.services.subscriptions.setups.new_secret(
            KESTREL, manager(), subscription_id, overlap=overlap
        )
        assert isinstance(renewed, MadeSetUp)
        assert renewed.renewed
        assert isinstance(renewed.webhook, Ensured)
        assert (await office.hook()).secrets == (office.made[0].secret,)
        assert office.made[0].secret != before


async def test_without_speckle_there_is_no_new_secret_and_the_old_one_works_on(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    subscription_id = (await office.subscribe()).entry.subscription.id
    office.server.faults.status = 502
    renewed = await office.services.subscriptions.setups.new_secret(
        KESTREL, manager(), subscription_id, overlap=False
    )
    assert isinstance(renewed, MadeSetUp)
    assert isinstance(renewed.webhook, EnsureFailed)
    assert (await office.hook()).secrets == (office.made[0].secret,)


# ── removed ───────────────────────────────────────────────────────────────────────────────────


async def test_the_last_subscription_takes_the_webhook_along(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe()
    removed = await office.services.subscriptions.unsubscribe(
        KESTREL, manager(), office.link, STRUCTURE
    )
    assert not isinstance(removed, NotFollowed)
    assert removed.removal is RemovalResult.REMOVED
    assert office.made == []
    assert await office.storage.read(lambda tx: tx.webhook_removals.due()) == []


async def test_a_webhook_that_could_not_be_removed_goes_later_even_after_a_restart(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    subscription_id = (await office.subscribe()).entry.subscription.id
    office.server.faults.status = 502
    removed = await office.services.subscriptions.remove(KESTREL, manager(), subscription_id)
    assert removed.removal is RemovalResult.LATER
    assert len(office.made) == 1
    office.server.faults.clear()
    office.clock.forward(hours=1)
    assert await looked(office.with_public_url(office.public_url)) == []
    assert office.made == []


async def test_who_is_no_owner_any_more_leaves_the_webhook_to_be_removed_by_hand(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    subscription_id = (await office.subscribe()).entry.subscription.id
    office.server.set_role(office.tower, office.ilse, "stream:reviewer")
    removed = await office.services.subscriptions.remove(KESTREL, manager(), subscription_id)
    assert removed.removal is RemovalResult.BY_HAND
    office.clock.forward(days=1)
    assert await office.storage.read(lambda tx: tx.webhook_removals.due()) == []


# ── unlinking, taking over ────────────────────────────────────────────────────────────────────


async def test_unlinking_removes_the_webhook_and_another_owner_takes_over(office: Office) -> None:
    account = await office.linked(MAREN, office.ilse)
    await office.subscribe()
    before = await office.hook()
    assert await office.services.linking.unlink(account)
    assert office.made == []
    paused = await office.at(STRUCTURE)
    assert paused.pause_reason is PauseReason.ACCESS_LOST
    assert paused.pause_detail == PauseWhy.UNLINKED

    office.server.set_role(office.tower, office.bob, "stream:owner")
    taker = await office.linked(TOBIAS, office.bob)
    asked = await taken_over(office, manager(TOBIAS))
    assert isinstance(asked, NeedsConsent)
    outcome = await office.services.subscriptions.subscribe(
        replace(asked.request, agreed=asked.agreed)
    )
    assert isinstance(outcome, Subscribed)
    assert outcome.resumed
    there, hook = await office.at(STRUCTURE), await office.hook()
    assert there.state is SubscriptionState.ACTIVE
    assert there.account_id == taker.id
    assert there.consent is not None
    assert there.consent.by == TOBIAS
    assert (hook.key, hook.account_id) == (before.key, taker.id)
    assert hook.secrets != before.secrets
    assert [one.url for one in office.made] == [f"{office.public_url}/webhooks/{hook.key}"]


async def taken_over(office: Office, caller: Actor) -> Resumed | NeedsAccount | NeedsConsent:
    """Press the button of the notice."""
    return await office.services.subscriptions.take_over(
        KESTREL, caller, place(), lambda _channel_id: TEAM
    )


async def test_taking_over_needs_an_account_with_access(office: Office) -> None:
    account = await office.linked(MAREN, office.ilse)
    await office.subscribe()
    await office.subscribe(channel_id=FACADE)
    await office.services.linking.unlink(account)
    await office.linked(MAREN + 7, office.ilse)  # somebody else shows it elsewhere again
    left_out = frozenset({STRUCTURE})
    await office.subscribe(caller=manager(MAREN + 7), channel_id=FACADE, left_out=left_out)
    asked = await taken_over(office, manager(TOBIAS))
    assert isinstance(asked, NeedsAccount)
    assert asked.paused
    await office.linked(TOBIAS, office.nadia)
    with pytest.raises(CommandRefused, match="ProjectNotSeen"):
        await taken_over(office, manager(TOBIAS))
    assert (await office.at(STRUCTURE)).state is SubscriptionState.PAUSED


async def test_where_nobody_linked_a_member_with_manage_webhooks_everywhere_may_answer(
    office: Office,
) -> None:
    account = await office.linked(MAREN, office.ilse)
    await office.subscribe()
    await office.services.linking.unlink(account)
    asked = await taken_over(office, manager_of([STRUCTURE]))
    assert isinstance(asked, NeedsAccount)
    asked = await taken_over(office, manager(TOBIAS))
    assert isinstance(asked, NeedsConsent)
    assert asked.project_name is None


async def test_a_member_takes_over_and_the_owners_webhook_stays_as_it_is(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe()
    await lose_access(office, STRUCTURE)
    office.server.set_role(office.tower, office.ilse, None)
    taker = await office.linked(TOBIAS, office.bob)
    outcome = await office.subscribe(caller=manager(TOBIAS))
    assert outcome.resumed
    there = await office.at(STRUCTURE)
    assert (there.state, there.account_id) == (SubscriptionState.ACTIVE, taker.id)
    assert (await office.hook()).account_id != taker.id
    assert len(office.made) == 1


async def lose_access(office: Office, channel_id: int) -> None:
    """As the pipeline writes it down."""
    there = await office.at(channel_id)
    await office.storage.write(
        lambda tx: tx.held_events.hold_back(
            there.id, office.clock(), AccessPause(PauseReason.ACCESS_LOST, PauseWhy.FORBIDDEN)
        )
    )


async def test_subscribing_again_where_access_was_lost_needs_an_account(office: Office) -> None:
    account = await office.linked(MAREN, office.ilse)
    await office.subscribe()
    await office.services.linking.unlink(account)
    outcome = await office.ask(caller=manager_of([STRUCTURE]), by_hand=True)
    assert isinstance(outcome, NeedsAccount)
    assert outcome.paused
    await office.linked(MAREN, office.ilse)
    again = await office.subscribe()
    assert again.resumed
    assert isinstance(again.webhook, Ensured)
    assert len(office.made) == 1


async def test_unlinking_while_speckle_is_away_pauses_all_the_same_and_says_so(
    office: Office,
) -> None:
    account = await office.linked(MAREN, office.ilse)
    await office.subscribe()
    office.server.faults.status = 502
    with pytest.raises(SpeckleUnavailable):
        await office.webhooks.remover.detach_account(account)
    (paused,) = await office.storage.read(lambda tx: tx.subscriptions.of_guild(KESTREL))
    assert paused.pause_reason is PauseReason.ACCESS_LOST


def caller_of(user_id: int) -> CommandCaller:
    return CommandCaller(KESTREL, manager(user_id), STRUCTURE)


# ── what is offered while one types ───────────────────────────────────────────────────────────


async def test_projects_and_models_complete_from_the_callers_own_account(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    office.server.add_project("Heron Bridge", owner=office.ilse)
    office.server.add_project("Heron Hidden", owner=office.nadia)
    office.server.add_model(office.tower, "structure/level 1")
    office.server.add_model(office.tower, "facade")
    service = office.services.subscriptions
    found = await service.autocomplete.projects(KESTREL, manager(MAREN), "heron")
    assert [choice.name for choice in found] == ["Heron Bridge"]
    assert await service.autocomplete.projects(KESTREL, manager(TOBIAS), "heron") == []
    models = await service.autocomplete.models(caller_of(MAREN), office.link, "facade, !struc")
    assert [choice.value for choice in models] == ["facade, !structure/level 1"]
    assert await service.autocomplete.models(caller_of(TOBIAS), office.link, "struc") == []
    assert await service.autocomplete.models(caller_of(MAREN), "no link", "struc") == []


async def test_the_same_text_is_asked_once_and_a_slow_server_offers_what_is_followed(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe()
    service = office.services.subscriptions
    before = len(office.server.requests)
    for _ in range(3):
        await service.autocomplete.projects(KESTREL, manager(MAREN), "kestrel")
    assert len(office.server.requests) == before + 1
    office.server.faults.hang = True
    offered = await service.autocomplete.projects(KESTREL, manager(MAREN), "tower")
    assert [choice.value for choice in offered] == [office.link]


def test_an_address_that_is_none_leads_nowhere() -> None:
    assert leads_to("https://bot.example/webhooks/k", "k")
    assert not leads_to("https://[bot.example/webhooks/k", "k")  # as anybody may enter it
