"""Who may see what, where commands decide it: each kind of way around the rule, as values."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.db.event_results import write_event_results
from bot.model import (
    AccessPause,
    Entitlement,
    HookKind,
    HookState,
    PauseReason,
    PauseWhy,
    SubscriptionState,
)
from bot.permissions import Actor, Audience
from bot.services.access_rules import AccessAnswer
from bot.services.project_followers import entry_of
from bot.services.public_access import PRIVATE, PublicAnswer
from bot.services.refusals import CommandRefused, ProjectNotPublic
from bot.services.subscribe_results import (
    CommandCaller,
    Followed,
    MadeSetUp,
    NeedsAccount,
    NeedsConsent,
    NotFollowed,
    Subscribed,
    SubscribeRequest,
)
from bot.services.subscribing import SubscribeOutcome
from bot.services.webhook_results import Ensured, WebhookChange
from bot.services.webhook_setup import WebhookSetup
from bot.speckle.events import EventKind
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.work import (
    EventResult,
    HookResult,
    NameChanges,
)
from sandbox.speckle import Release
from tests.services.conftest import (
    ALL,
    CLOUD,
    FACADE,
    KESTREL,
    STRUCTURE,
    TEAM,
    TOWER,
    Clock,
    MakeDesk,
    edit_request,
    manager,
    manager_of,
    place,
)
from tests.services.speckle import MAREN, TOBIAS, Office, open_office
from tests.stored import note_event

ROOF = FACADE + 1
PUBLIC = PublicAnswer(AccessAnswer.YES, "public")


@pytest.fixture
async def office(storage: Storage, clock: Clock, release: Release) -> AsyncIterator[Office]:
    async with open_office(storage, clock, release=release) as opened:
        yield opened


async def by_hand(
    office: Office, channel_id: int = FACADE, *, live: bool = True, events: str = "all"
) -> Followed:
    """A member who manages one channel sets the project up by hand, and forges an event."""
    caller = manager_of([channel_id])
    outcome = await office.subscribe(
        caller=caller, channel_id=channel_id, by_hand=True, events=events
    )
    if live:
        await office.storage.write(lambda tx: note_event(tx, outcome.entry.hook.id, "Made up"))
    return await office.services.subscriptions.entry(KESTREL, caller, outcome.entry.subscription.id)


async def edited(
    office: Office,
    caller: Actor,
    channel_id: int,
    options: SubscriptionOptions,
    audience: Audience = TEAM,
) -> SubscribeOutcome:
    there = await office.at(channel_id)
    hook = await office.storage.read(lambda tx: tx.hooks.get(there.hook_id))
    assert hook is not None
    where = place(channel_id, audience=audience)
    return await office.services.subscriptions.subscribe(
        edit_request(caller, Followed(hook, there), options, where)
    )


@pytest.mark.parametrize(("visibility", "named"), [("PUBLIC", True), ("PRIVATE", False)])
async def test_a_set_up_by_hand_has_the_name_that_everybody_can_read(
    visibility: str, named: bool, office: Office
) -> None:
    office.tower.visibility = visibility
    entry = await by_hand(office, live=False)
    assert entry.label == (office.tower.name if named else office.tower.id)
    await office.storage.write(lambda tx: note_event(tx, entry.hook.id, "As its event says"))
    await office.subscribe(caller=manager_of([FACADE]), channel_id=FACADE, by_hand=True)
    assert (await office.hook()).project_name == "As its event says"


# ── a forged event is nobody's consent ────────────────────────────────────────────────────────


@pytest.mark.parametrize("live", [True, False])
async def test_the_owners_question_names_a_channel_by_hand_whatever_state_its_hook_is_in(
    office: Office, live: bool
) -> None:
    theirs = await by_hand(office, live=live)
    await office.linked(MAREN, office.ilse)
    asked = await office.ask(shown=False)
    assert isinstance(asked, NeedsConsent)
    assert dict(asked.also) == {FACADE: TEAM}
    outcome = await office.subscribe()
    assert outcome.also == (FACADE,)
    there = await office.at(FACADE)
    assert there.hook_id == outcome.entry.hook.id
    assert there.consent is not None
    assert (there.consent.by, there.consent.entitlement) == (MAREN, Entitlement.OWNER)
    assert (there.account_id, there.consent.audience) == (None, TEAM)
    assert await office.storage.read(lambda tx: tx.hooks.get(theirs.hook.id)) is None


async def test_a_channel_that_the_owner_leaves_out_stays_with_what_its_own_webhook_sends(
    office: Office,
) -> None:
    theirs = await by_hand(office)
    await office.linked(MAREN, office.ilse)
    outcome = await office.subscribe(left_out=frozenset({FACADE}))
    assert (outcome.also, outcome.unanswered) == ((), 0)
    assert outcome.entry.hook.id != theirs.hook.id
    assert await office.at(FACADE) == theirs.subscription
    assert await office.storage.read(lambda tx: tx.hooks.get(theirs.hook.id)) == theirs.hook


async def test_a_channel_that_the_owner_does_not_see_is_counted_and_not_named(
    office: Office,
) -> None:
    theirs = await by_hand(office)
    await office.linked(MAREN, office.ilse)
    owner = manager_of([STRUCTURE], MAREN)
    asked = await office.ask(caller=owner, shown=False)
    assert isinstance(asked, NeedsConsent)
    assert (dict(asked.also), asked.others) == ({}, 1)
    await office.subscribe(caller=owner)
    assert await office.at(FACADE) == theirs.subscription


async def test_what_is_taken_over_by_the_owner_is_removed_at_speckle_too(office: Office) -> None:
    theirs = await by_hand(office)
    office.server.add_webhook(
        office.tower,
        url=f"{office.public_url}/webhooks/{theirs.hook.key}",
        triggers=("commit_create",),
        secret=theirs.hook.secrets[0],
    )
    await office.linked(MAREN, office.ilse)
    outcome = await office.subscribe()
    assert [one.url for one in office.made] == [
        f"{office.public_url}/webhooks/{outcome.entry.hook.key}"
    ]


async def test_a_channel_that_shares_the_adopted_webhook_and_is_left_out_pauses_with_a_notice(
    office: Office,
) -> None:
    mine = (await office.subscribe(by_hand=True)).entry
    await office.storage.write(lambda tx: note_event(tx, mine.hook.id, "Kestrel Tower"))
    await office.subscribe(channel_id=FACADE)  # as a member who manages the whole server
    await office.linked(MAREN, office.ilse)
    outcome = await office.subscribe(channel_id=FACADE, left_out=frozenset({STRUCTURE}))
    assert outcome.entry.hook.id == mine.hook.id
    assert outcome.unanswered == 1
    paused = await office.at(STRUCTURE)
    assert (paused.pause_reason, paused.pause_detail) == (
        PauseReason.ASK_AGAIN,
        PauseWhy.NOT_ANSWERED,
    )
    assert [
        one.channel_id for one in await office.storage.read(lambda tx: tx.pause_notices.due(9))
    ] == [STRUCTURE]


async def test_nothing_changes_for_others_while_the_owners_webhook_could_not_be_made(
    office: Office,
) -> None:
    theirs = await by_hand(office)
    await office.linked(MAREN, office.ilse)
    asked = await office.ask(shown=False)
    assert isinstance(asked, NeedsConsent)
    for number in range(100):
        url = f"https://elsewhere.example/{number}"
        office.server.add_webhook(office.tower, url=url, triggers=("commit_create",), secret="x")
    outcome = await office.services.subscriptions.subscribe(
        replace(asked.request, agreed=asked.agreed)
    )
    assert isinstance(outcome, Subscribed)
    assert outcome.also == ()
    assert await office.at(FACADE) == theirs.subscription


async def test_an_owner_whose_webhook_could_not_be_made_at_first_is_asked_again_once_it_can(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    waits = await office.with_public_url(None).subscribe()
    assert waits.setup is not None
    await office.storage.write(lambda tx: note_event(tx, waits.entry.hook.id))
    await office.linked(TOBIAS, office.bob)
    await office.subscribe(caller=manager(TOBIAS), channel_id=ROOF)
    _, joined = await office.storage.write(
        lambda tx: tx.subscriptions.upsert(
            waits.entry.hook.id, FACADE, SubscriptionOptions(), TOBIAS
        )
    )
    asked = await office.ask(shown=False)
    assert isinstance(asked, NeedsConsent)
    assert list(asked.also) == [FACADE]  # the reader's channel has an answer of its own
    outcome = await office.subscribe(left_out=frozenset({FACADE}))
    assert outcome.unanswered == 1
    assert (await office.at(FACADE)).id == joined.id
    assert (await office.at(FACADE)).state is SubscriptionState.PAUSED
    assert (await office.at(ROOF)).state is SubscriptionState.ACTIVE


async def test_an_answer_covers_what_was_read_and_not_what_came_meanwhile(office: Office) -> None:
    await by_hand(office)
    await office.linked(MAREN, office.ilse)
    asked = await office.ask(shown=False)
    assert isinstance(asked, NeedsConsent)
    later = await by_hand(office, ROOF)
    wider = replace(asked.request, agreed=asked.agreed, channel=place(audience=ALL))
    outcome = await office.services.subscriptions.subscribe(wider)
    assert isinstance(outcome, Subscribed)
    assert outcome.also == (FACADE,)
    assert await office.at(ROOF) == later.subscription
    consent = outcome.entry.subscription.consent
    assert consent is not None
    assert consent.audience == TEAM


# ── an account serves the channels of its person ──────────────────────────────────────────────


async def test_a_readers_account_reads_for_the_readers_channel_alone(office: Office) -> None:
    theirs = await by_hand(office)
    reader = await office.linked(TOBIAS, office.bob)
    outcome = await office.subscribe(caller=manager_of([STRUCTURE], TOBIAS))
    assert outcome.entry.subscription.account_id == reader.id
    assert outcome.entry.hook.account_id is None
    assert await office.at(FACADE) == theirs.subscription


async def test_a_mere_reader_joins_a_live_webhook_by_hand_and_gets_an_own_one_else(
    office: Office,
) -> None:
    waits = await by_hand(office, live=False)
    await office.linked(TOBIAS, office.bob)
    own = await office.subscribe(caller=manager(TOBIAS))
    assert own.entry.hook.id != waits.hook.id
    assert own.setup is not None
    # Further channels of theirs wait for the same one, and none for anybody else's.
    again = await office.subscribe(caller=manager(TOBIAS), channel_id=ROOF)
    assert again.entry.hook.id == own.entry.hook.id
    await office.linked(MAREN + 9, office.bob)
    await office.storage.write(lambda tx: note_event(tx, waits.hook.id))
    joined = await office.subscribe(caller=manager(MAREN + 9), channel_id=ROOF + 1)
    assert joined.entry.hook.id == waits.hook.id


async def test_after_access_was_lost_a_member_without_an_account_reads_on_nowhere(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    made = (await office.subscribe()).entry
    await office.storage.write(
        lambda tx: tx.held_events.hold_back(
            made.subscription.id,
            office.clock(),
            AccessPause(PauseReason.ACCESS_LOST, PauseWhy.FORBIDDEN),
        )
    )
    for caller in (manager(TOBIAS), manager_of([FACADE], TOBIAS)):
        assert isinstance(await office.ask(caller=caller, channel_id=FACADE), NeedsAccount)
    outcome = await office.subscribe(caller=manager(TOBIAS), channel_id=FACADE, by_hand=True)
    assert outcome.entry.hook.id != made.hook.id
    assert outcome.entry.hook.state is HookState.WAITING
    # Nor in the channel itself.
    again = await office.ask(caller=manager(TOBIAS), by_hand=True)
    assert isinstance(again, NeedsAccount)
    assert again.paused
    assert (await office.at(STRUCTURE)).state is SubscriptionState.PAUSED


async def test_whoever_changes_filters_in_an_answered_channel_does_not_become_its_account(
    office: Office,
) -> None:
    mine = await office.linked(MAREN, office.ilse)
    await office.subscribe()
    await office.linked(TOBIAS, office.bob)
    outcome = await office.ask(caller=manager(TOBIAS), events="versions", shown=False)
    assert isinstance(outcome, Subscribed)
    there = await office.at(STRUCTURE)
    assert there.options.events == ("versions",)
    assert there.account_id == mine.id
    assert there.consent is not None
    assert there.consent.by == MAREN


# ── whether a project is followed is nobody's business who may not see it ─────────────────────


async def probed(office: Office, caller: Actor, project: str) -> list[object]:
    """All that commands tell somebody of a project, without what differs for every set-up."""
    subscriptions = office.services.subscriptions
    answers: list[object] = []
    for channel_id, hand in ((FACADE, False), (FACADE, True), (ROOF, True)):
        try:
            outcome = await office.ask(
                caller=caller, channel_id=channel_id, project=project, by_hand=hand, shown=False
            )
        except CommandRefused as refused:
            answers.append(refused.refusal)
            continue
        answers.append(_without_its_own(outcome, project))
    for text in (project, "Kestrel Tower"):
        try:
            gone = await subscriptions.unsubscribe(KESTREL, caller, text, ROOF + 1)
        except CommandRefused as refused:
            answers.append(refused.refusal)
        else:
            assert isinstance(gone, NotFollowed)
            answers.append(len(gone.elsewhere))
    offered = await subscriptions.autocomplete.projects(KESTREL, caller, "")
    answers.append([choice.name.replace(project.rpartition("/")[2], "ID") for choice in offered])
    answers.append(
        [one.name for one in await subscriptions.autocomplete.projects(KESTREL, caller, "kestrel")]
    )
    answers.append(
        await subscriptions.autocomplete.models(CommandCaller(KESTREL, caller, FACADE), project, "")
    )
    # And once more with a webhook of their own that works, as they can make that up.
    for one in await office.storage.read(lambda tx: tx.subscriptions.of_channel(FACADE)):
        await office.storage.write(lambda tx: note_event(tx, one.hook_id, "Made up"))
    try:
        outcome = await office.ask(caller=caller, channel_id=ROOF + 1, project=project, shown=False)
        answers.append(_without_its_own(outcome, project))
    except CommandRefused as refused:
        answers.append(refused.refusal)
    for one in await office.storage.read(lambda tx: tx.subscriptions.of_channel(FACADE)):
        await office.storage.write(lambda tx: tx.subscriptions.delete(one.id))
    for one in await office.storage.read(lambda tx: tx.subscriptions.of_channel(ROOF)):
        await office.storage.write(lambda tx: tx.subscriptions.delete(one.id))
    return answers


def _without_its_own(outcome: SubscribeOutcome, project: str) -> object:
    if not isinstance(outcome, Subscribed):
        return type(outcome), outcome.server_url, getattr(outcome, "why", None)
    setup = outcome.setup
    return (
        outcome.change,
        outcome.entry.label == project.rpartition("/")[2],
        outcome.entry.hook.state,
        outcome.webhook,
        outcome.new_triggers,
        outcome.also,
        outcome.unanswered,
        outcome.lacking,
        None if setup is None else (setup.triggers, setup.live, len(setup.secret)),
    )


@pytest.mark.parametrize("whole_server", [True, False])
@pytest.mark.parametrize("account", [True, False])
async def test_a_stranger_is_told_the_same_of_a_followed_project_as_of_any_other(
    office: Office, whole_server: bool, account: bool
) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe()
    hook = await office.hook()
    await office.storage.write(lambda tx: note_event(tx, hook.id, "Kestrel Tower", office.clock()))
    if account:
        await office.linked(TOBIAS, office.nadia)
    # The channel that follows it is not one that they see.
    there = frozenset({FACADE, ROOF, ROOF + 1})
    caller = Actor(TOBIAS, whole_server, there.__contains__, there.__contains__)
    hidden = office.server.add_project("Heron Bridge", owner=office.ilse, visibility="PRIVATE")
    followed = await probed(office, caller, office.link)
    other = await probed(office, caller, f"{office.server.url}/projects/{hidden.id}")
    nowhere = await probed(office, caller, f"{office.server.url}/projects/ffffffffff")
    assert followed == other == nowhere
    assert followed[5] == [] if account else followed[5] == ["ID"]


async def test_where_somebody_linked_an_account_a_manager_without_one_joins_nothing(
    office: Office,
) -> None:
    await by_hand(office)
    await office.linked(MAREN, office.ilse)
    await office.subscribe(left_out=frozenset({FACADE}))
    outcome = await office.ask(caller=manager(TOBIAS), channel_id=ROOF)
    assert isinstance(outcome, NeedsAccount)
    hand = await office.subscribe(caller=manager(TOBIAS), channel_id=ROOF, by_hand=True)
    assert hand.setup is not None
    assert len(await office.storage.read(lambda tx: tx.hooks.of_guild(KESTREL))) == 3


async def test_a_manager_who_sets_up_by_hand_gets_one_address_for_all_channels_that_wait(
    office: Office,
) -> None:
    first = await office.subscribe(caller=manager(TOBIAS), by_hand=True)
    second = await office.subscribe(caller=manager(TOBIAS), channel_id=FACADE, by_hand=True)
    assert second.entry.hook.id == first.entry.hook.id
    other = await office.subscribe(caller=manager(MAREN), channel_id=ROOF, by_hand=True)
    assert other.entry.hook.id != first.entry.hook.id


async def test_the_bare_id_of_a_project_on_another_server_tells_nothing_either(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk()
    await desk.subscribe(f"https://speckle.kestrel.example/projects/{TOWER}")
    stranger = manager_of([FACADE])
    outcome = await desk.subscribe(TOWER, channel_id=FACADE, caller=stranger)
    assert outcome.entry.hook.server_url == "https://app.speckle.systems"


async def test_a_project_of_the_same_name_that_one_may_not_see_is_not_in_the_way(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk()
    await desk.subscribed_live(name="Harbour Tower")
    stranger = manager_of([FACADE])
    mine = await desk.subscribe("f6a7b8c9d0", channel_id=FACADE, caller=stranger)
    await desk.storage.write(lambda tx: note_event(tx, mine.entry.hook.id, "Harbour Tower"))
    removed = await desk.service.unsubscribe(KESTREL, stranger, "Harbour Tower", FACADE)
    assert not isinstance(removed, NotFollowed)


async def test_a_channel_that_was_left_out_does_not_learn_the_name_from_the_owners_webhook(
    office: Office,
) -> None:
    mine = (await office.subscribe(by_hand=True)).entry
    await office.storage.write(lambda tx: note_event(tx, mine.hook.id, "Made up"))
    await office.subscribe(channel_id=FACADE)
    await office.linked(MAREN, office.ilse)
    await office.subscribe(channel_id=FACADE, left_out=frozenset({STRUCTURE}))
    await office.storage.write(
        lambda tx: note_event(tx, mine.hook.id, "Kestrel Tower, secret", office.clock())
    )
    service = office.services.subscriptions
    labels = {
        one.subscription.channel_id: one.label for one in await service.listing(KESTREL, manager())
    }
    assert labels == {STRUCTURE: office.tower.id, FACADE: "Kestrel Tower, secret"}
    offered = await service.autocomplete.followed_projects(KESTREL, manager_of([STRUCTURE]), "")
    assert [choice.name for choice in offered] == [office.tower.id]


async def test_whose_channel_lost_access_reads_the_name_that_was_agreed_to(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    made = (await office.subscribe()).entry
    await office.storage.write(
        lambda tx: note_event(tx, made.hook.id, "Kestrel Tower, renamed", office.clock())
    )
    entry = await entry_of(office.storage, KESTREL, made.subscription.id)
    assert entry.label == "Kestrel Tower, renamed"
    await office.storage.write(
        lambda tx: tx.held_events.hold_back(
            made.subscription.id,
            office.clock(),
            AccessPause(PauseReason.ACCESS_LOST, PauseWhy.FORBIDDEN),
        )
    )
    await office.storage.write(
        lambda tx: note_event(tx, made.hook.id, "Kestrel Tower, secret", office.clock())
    )
    entry = await entry_of(office.storage, KESTREL, made.subscription.id)
    assert entry.label == "Kestrel Tower"


# ── a made webhook's secret is nobody's ───────────────────────────────────────────────────────


async def test_no_path_shows_a_secret_of_a_webhook_that_the_bot_made_or_took_over(
    office: Office,
) -> None:
    by_hand_first = await office.subscribe(by_hand=True)
    assert by_hand_first.setup is not None
    office.server.add_webhook(
        office.tower,
        url=by_hand_first.setup.url or "",
        triggers=("commit_create",),
        secret=by_hand_first.setup.secret,
    )
    await office.storage.write(
        lambda tx: note_event(tx, by_hand_first.entry.hook.id, "Kestrel Tower")
    )
    account = await office.linked(MAREN, office.ilse)
    adopted = await office.subscribe()
    assert adopted.webhook == Ensured(WebhookChange.FOUND)
    assert adopted.setup is None
    used = {by_hand_first.setup.secret, *(await secrets(office))}
    assert len(used) == 2
    assert used & set(await secrets(office)) == {office.made[0].secret}

    service = office.services.subscriptions
    subscription_id = adopted.entry.subscription.id
    assert isinstance(await service.setups.show(KESTREL, manager(), subscription_id), MadeSetUp)
    renewed = await service.setups.new_secret(KESTREL, manager(), subscription_id, overlap=True)
    assert isinstance(renewed, MadeSetUp)
    used |= set(await secrets(office))
    by_hand_again = await office.ask(by_hand=True)
    assert isinstance(by_hand_again, Subscribed)
    assert by_hand_again.setup is None

    await office.services.linking.unlink(account)
    shown = await service.setups.show(KESTREL, manager(), subscription_id)
    assert isinstance(
        shown, WebhookSetup
    )  # the way by hand is open again, with a secret of its own
    assert shown.secret not in used
    assert len(await secrets(office)) == 1


async def secrets(office: Office) -> tuple[str, ...]:
    return (await office.hook()).secrets


# ── the answer, and what goes beyond it ───────────────────────────────────────────────────────


async def test_fewer_events_are_free_and_more_renew_the_givers_answer(office: Office) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe(events="versions, comments")
    less = await edited(
        office, manager_of([STRUCTURE]), STRUCTURE, SubscriptionOptions(("versions",))
    )
    assert isinstance(less, Subscribed)
    assert less.paused is None
    office.clock.forward(hours=1)
    more = await edited(office, manager(MAREN), STRUCTURE, SubscriptionOptions())
    assert isinstance(more, Subscribed)
    consent = (await office.at(STRUCTURE)).consent
    assert consent is not None
    assert (consent.options, consent.at, consent.audience) == (
        SubscriptionOptions(),
        office.clock(),
        TEAM,
    )


async def test_the_giver_reads_the_question_again_where_more_people_see_the_channel_by_now(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe(events="versions")
    asked = await edited(office, manager(MAREN), STRUCTURE, SubscriptionOptions(), ALL)
    assert isinstance(asked, NeedsConsent)
    assert (await office.at(STRUCTURE)).options == SubscriptionOptions(("versions",))


async def test_more_events_by_somebody_else_with_access_are_theirs_to_answer_for(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe(events="versions")
    reader = await office.linked(TOBIAS, office.bob)
    asked = await edited(office, manager(TOBIAS), STRUCTURE, SubscriptionOptions())
    assert isinstance(asked, NeedsConsent)
    assert (await office.at(STRUCTURE)).options == SubscriptionOptions(("versions",))
    outcome = await office.services.subscriptions.subscribe(
        replace(asked.request, agreed=asked.agreed)
    )
    assert isinstance(outcome, Subscribed)
    there = await office.at(STRUCTURE)
    assert there.consent is not None
    assert (there.consent.by, there.consent.entitlement) == (TOBIAS, Entitlement.READER)
    assert (there.account_id, there.options) == (reader.id, SubscriptionOptions())


@pytest.mark.parametrize("typed", [True, False])
async def test_more_events_by_anybody_else_pause_the_channel_and_ask(
    office: Office, typed: bool
) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe(events="versions")
    stranger = manager_of([STRUCTURE])
    if typed:
        outcome = await office.ask(caller=stranger, events="all", by_hand=True)
    else:
        outcome = await edited(office, stranger, STRUCTURE, SubscriptionOptions())
    assert isinstance(outcome, Subscribed)
    assert outcome.paused is PauseWhy.FILTERS_WIDER
    there = await office.at(STRUCTURE)
    assert (there.state, there.options) == (SubscriptionState.PAUSED, SubscriptionOptions())
    assert (there.pause_reason, there.pause_detail) == (
        PauseReason.ASK_AGAIN,
        PauseWhy.FILTERS_WIDER,
    )
    assert [
        one.user_id for one in await office.storage.read(lambda tx: tx.pause_notices.due(9))
    ] == [MAREN]
    # One answer helps, as in all such cases.
    again = await office.subscribe()
    assert again.resumed
    assert (await office.at(STRUCTURE)).state is SubscriptionState.ACTIVE


@pytest.mark.parametrize(
    ("agreed", "models", "paused"),
    [
        ("structure/**", ("structure/level 1",), None),
        ("structure/**, !**/draft*", ("structure/level 1",), None),
        ("structure/**, !**/draft*", ("structure/draft 1",), PauseWhy.FILTERS_WIDER),
        ("structure/**", ("facade/east",), PauseWhy.FILTERS_WIDER),
        ("structure/**, 0*", ("0a1b2c3d4e",), PauseWhy.FILTERS_WIDER),  # perhaps another's id
        ("structure/**, !0a1b2c3d4e", ("structure/level 1",), PauseWhy.FILTERS_WIDER),
        ("structure/**", ("structure/*",), PauseWhy.FILTERS_WIDER),  # of two globs nobody can say
    ],
)
async def test_one_model_out_of_those_that_were_agreed_to_is_no_more_than_that(
    office: Office, agreed: str, models: tuple[str, ...], paused: PauseWhy | None
) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe(models=agreed)
    options = SubscriptionOptions(models=models)
    outcome = await edited(office, manager_of([STRUCTURE]), STRUCTURE, options)
    assert isinstance(outcome, Subscribed)
    assert outcome.paused is paused


async def test_an_id_typed_into_a_filter_is_no_way_to_a_name_that_nobody_agreed_to_show(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe(models="public/**")
    hook = (await office.at(STRUCTURE)).hook_id
    models = NameChanges({"a1b2c3d4e5": "public/y", "0a1b2c3d4e": "secret/x"})
    result = EventResult(0, of_hooks=[HookResult(hook, office.clock(), True, models=models)])
    await office.storage.write(lambda tx: write_event_results(tx.session, [result], office.clock()))
    stranger = manager_of([STRUCTURE])
    options = SubscriptionOptions(models=("a1b2c3d4e5", "0a1b2c3d4e"))
    outcome = await edited(office, stranger, STRUCTURE, options)
    assert isinstance(outcome, Subscribed)
    assert outcome.paused is PauseWhy.FILTERS_WIDER
    (listed,) = await office.services.subscriptions.listing(KESTREL, stranger)
    assert (outcome.entry.models, listed.models) == ({"a1b2c3d4e5": "public/y"},) * 2


async def test_by_hand_filters_are_free(office: Office) -> None:
    await by_hand(office, events="versions")
    outcome = await edited(office, manager_of([FACADE], TOBIAS + 1), FACADE, SubscriptionOptions())
    assert isinstance(outcome, Subscribed)
    assert outcome.paused is None
    assert (await office.at(FACADE)).consent is None


async def test_a_reader_adds_no_events_to_the_owners_webhook_and_reads_which_do_not_come(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe(events="versions")
    before = list(office.made[0].triggers)
    await office.linked(TOBIAS, office.bob)
    joined = await office.subscribe(
        caller=manager(TOBIAS), channel_id=FACADE, events="version_created, comment_created"
    )
    assert office.made[0].triggers == before
    assert joined.lacking == (EventKind.COMMENT_CREATED,)
    # An owner who answers for that channel adds them.
    office.server.set_role(office.tower, office.bob, "stream:owner")
    owner = await office.subscribe(
        caller=manager(TOBIAS), channel_id=FACADE, events="version_created, comment_replied"
    )
    assert owner.lacking == ()
    assert "comment_replied" in office.made[0].triggers


@pytest.mark.parametrize("giver", [True, False])
async def test_an_owner_adds_events_of_a_public_project_too(office: Office, giver: bool) -> None:
    office.tower.visibility = "PUBLIC"
    await office.linked(MAREN, office.ilse)
    await office.subscribe(events="version_created")
    office.server.set_role(office.tower, office.bob, "stream:owner")
    await office.linked(TOBIAS, office.bob)
    caller = manager(MAREN if giver else TOBIAS)
    outcome = await edited(
        office, caller, STRUCTURE, SubscriptionOptions(("version_created", "issues"))
    )
    assert isinstance(outcome, Subscribed)
    assert outcome.lacking == ()
    assert "comment_created" in office.made[0].triggers


async def test_what_others_got_through_the_webhook_goes_on_when_the_owners_channel_ends(
    office: Office,
) -> None:
    await office.linked(MAREN, office.ilse)
    await office.subscribe(events="versions, comments")
    await office.linked(TOBIAS, office.bob)
    await office.subscribe(caller=manager(TOBIAS), channel_id=FACADE, events="comment_created")
    await office.services.subscriptions.unsubscribe(KESTREL, manager(), office.link, STRUCTURE)
    assert office.made[0].triggers == ["comment_created"]


async def test_an_owners_answer_for_other_channels_adds_their_events(office: Office) -> None:
    await by_hand(office, events="comment_created")
    await office.linked(MAREN, office.ilse)
    await office.subscribe(events="version_created")
    assert set(office.made[0].triggers) == {"commit_create", "comment_created"}


async def test_what_a_member_paused_stays_paused_when_the_owner_answers_for_it(
    office: Office,
) -> None:
    theirs = await by_hand(office)
    await office.services.subscriptions.pause(KESTREL, manager_of([FACADE]), theirs.subscription.id)
    await office.linked(MAREN, office.ilse)
    await office.subscribe()
    there = await office.at(FACADE)
    assert (there.state, there.pause_reason) == (SubscriptionState.PAUSED, PauseReason.MEMBER)


# ── the operator's own servers ────────────────────────────────────────────────────────────────


def asking(caller: Actor, channel_id: int = STRUCTURE) -> SubscribeRequest:
    return SubscribeRequest(KESTREL, caller, place(channel_id), TOWER)


async def test_in_the_operators_servers_a_private_project_takes_somebody_who_may_see_it(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk(served=frozenset({KESTREL}))
    desk.public_answers.answer = PRIVATE
    refusals = set()
    for _ in ("unfollowed", "followed"):
        with pytest.raises(CommandRefused) as refused:
            await desk.service.subscribe(asking(manager_of([FACADE]), FACADE))
        by_hand = replace(asking(manager_of([FACADE]), FACADE), by_hand=True)
        with pytest.raises(CommandRefused) as hand:
            await desk.service.subscribe(by_hand)
        refusals |= {refused.value.refusal, hand.value.refusal}
        asked = await desk.service.subscribe(asking(manager()))
        if isinstance(asked, NeedsConsent):
            await desk.service.subscribe(replace(asked.request, agreed=asked.agreed))
    assert refusals == {ProjectNotPublic(CLOUD)}


async def test_in_the_operators_servers_the_question_is_asked_too_and_the_answer_kept(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk(served=frozenset({KESTREL}))
    asked = await desk.service.subscribe(asking(manager()))
    assert isinstance(asked, NeedsConsent)  # nobody could tell whether it is public
    outcome = await desk.subscribe()
    consent = outcome.entry.subscription.consent
    assert outcome.entry.hook.kind is HookKind.SHARED
    assert consent is not None
    assert (consent.entitlement, consent.visibility, consent.audience) == (
        Entitlement.MANAGER,
        None,
        TEAM,
    )


async def test_in_the_operators_servers_a_public_project_is_for_everybody(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk(served=frozenset({KESTREL}))
    desk.public_answers.answer = PUBLIC
    outcome = await desk.service.subscribe(asking(manager_of([STRUCTURE])))
    assert isinstance(outcome, Subscribed)
    consent = outcome.entry.subscription.consent
    assert consent is not None
    assert (consent.entitlement, consent.visibility) == (Entitlement.ANYONE, "public")
    assert outcome.entry.hook.visibility == "public"


# ── public ones ───────────────────────────────────────────────────────────────────────────────


async def test_a_public_project_is_joined_without_an_account_and_without_a_question(
    office: Office,
) -> None:
    office.tower.visibility = "PUBLIC"
    await office.linked(MAREN, office.ilse)
    made = await office.subscribe()
    joined = await office.ask(caller=manager_of([FACADE]), channel_id=FACADE, shown=False)
    assert isinstance(joined, Subscribed)
    assert joined.entry.hook.id == made.entry.hook.id
    consent = joined.entry.subscription.consent
    assert consent is not None
    assert (consent.entitlement, consent.visibility) == (Entitlement.ANYONE, "public")


async def test_an_unlisted_project_is_public_and_one_that_cannot_be_asked_about_is_not(
    office: Office,
) -> None:
    office.tower.visibility = "UNLISTED"
    assert isinstance(await office.ask(shown=False), NeedsAccount)  # nobody follows it: how, then?
    await office.linked(MAREN, office.ilse)
    assert isinstance(await office.ask(shown=False), Subscribed)
    office.server.faults.status = 502
    # A new breaker: servers that are away are not asked again for a while.
    away = office.with_public_url(office.public_url)
    outcome = await away.ask(caller=manager_of([FACADE]), channel_id=FACADE)
    assert isinstance(outcome, NeedsAccount)
