"""Each thing that can happen to an event has words for the people of its channel."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest

from bot import trace_texts
from bot.cards.text import units
from bot.cogs.diagnosis.doctor_texts import findings
from bot.cogs.events import nothing_texts, stages, step_texts, texts
from bot.cogs.events.step_texts import STEPS, StageName
from bot.cogs.subscriptions.panel_texts import pause_remedy
from bot.lookups import HeldSince
from bot.model import (
    Hook,
    HookKind,
    HookState,
    InboxSource,
    PauseReason,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.problems import SendProblem, SendReason
from bot.quota import QuotaUse
from bot.services.channel_event import OUTCOME_OF, ChannelEvent, Outcome, channel_event
from bot.services.doctor import AccountLook, Diagnosis
from bot.services.event_log import ChannelLog, NothingArrived, OneEvent
from bot.services.event_reference import (
    EventNumber,
    EventReference,
    LastEvent,
    MessageReference,
    Moments,
    ThingReference,
)
from bot.services.quotas import GuildLimits, Usage
from bot.services.subscribe_results import Followed
from bot.services.webhook_results import EnsureFailed, EnsureProblem, WebhookLook
from bot.services.webhook_triggers import triggers_of
from bot.speckle.filters import FilterWhy
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle_api.types import CallStatus, RecordedCall
from bot.trace import HeardBy, MissingWhy, ReadWith, TraceLine, TraceStep
from bot.work import (
    FallbackLevel,
    InboxState,
    OutboxState,
)
from tests.logged_event import AT, CARD, CHANNEL, EVENT, GUILD

NOT_OF_A_STAGE = {
    TraceStep.READ,
    TraceStep.FROM_HISTORY,
    TraceStep.FROM_ACTIVITY,
    TraceStep.HEARD,
    TraceStep.IN_ACTIVITY_TOO,
}
"""Said by how the event came."""

HOOK = Hook(
    id=5,
    guild_id=GUILD,
    server_url="https://app.speckle.systems",
    project_id="a1b2c3d4e5",
    project_name="Harbour *Tower*",
    kind=HookKind.OWN,
    key="k",
    secrets=("s",),
    state=HookState.LIVE,
    setup_channel_id=None,
    created_by=1,
    created_at=AT,
    live_at=AT,
    last_event_at=AT,
)
SUBSCRIPTION = Subscription(
    id=9,
    hook_id=5,
    guild_id=GUILD,
    channel_id=CHANNEL,
    options=SubscriptionOptions(models=("structure/**", "!secret/**")),
    state=SubscriptionState.ACTIVE,
    pause_reason=None,
    pause_detail=None,
    created_by=1,
    created_at=AT - timedelta(days=1),
    updated_at=AT - timedelta(days=1),
    last_event_at=None,
)


def line(step: TraceStep, **facts: int | str) -> TraceLine:
    return TraceLine(AT, "route", step, {"subscription_id": 9, **facts})


def seen(
    *lines: TraceLine, named: bool = False, titled: bool = True, **changes: Any
) -> ChannelEvent:
    read = TraceLine(AT, "parse", TraceStep.READ, {"kind": "version_created"})
    event = replace(EVENT, trace=(read, *lines), **changes)
    return channel_event(event, Followed(HOOK, SUBSCRIPTION), named=named, titled=titled)


def text_of(event: ChannelEvent, *, manages: bool = True) -> str:
    embed = texts.event_embed(OneEvent(CHANNEL, event, manages))
    fields = "\n".join(f"{field.name}\n{field.value}" for field in embed.fields)
    return f"{embed.title}\n{embed.description}\n{fields}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (FilterWhy, step_texts.FILTERS),
        (ReadWith, step_texts.READERS),
        (MissingWhy, step_texts.MISSING),
        (InboxSource, stages.SOURCES),
        (HeardBy, stages.HEARD),
        (FallbackLevel, stages.FORMS),
        (Outcome, trace_texts.OUTCOMES),
        (Outcome, texts.HEADLINES),
        (Outcome, texts.MARKS),
    ],
)
def test_each_word_has_a_text(words: type[StrEnum], said: Mapping[str, str]) -> None:
    assert set(said) == set(words)


def test_each_step_of_a_trace_has_a_text_in_one_stage_and_what_decides_has_an_outcome() -> None:
    assert set(STEPS) == set(TraceStep) - NOT_OF_A_STAGE
    positive = {TraceStep.WANTED, TraceStep.ACCESS_GRANTED, TraceStep.ACCESS_BY_LAST_YES}
    decisive = {step for step, text in STEPS.items() if text.stage is not StageName.DETAILS}
    assert set(OUTCOME_OF) == decisive - positive


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("step", sorted(set(TraceStep) - NOT_OF_A_STAGE))
def test_each_step_reads_as_sentences_whatever_is_known_of_it(step: TraceStep, named: bool) -> None:
    text = text_of(seen(line(step), named=named))
    assert "{" not in text
    assert "None" not in text


def test_a_card_that_was_shown_says_when_where_and_why() -> None:
    wanted = line(TraceStep.WANTED, filter="pattern_fits", model="structure/a", pattern="struct*")
    granted = line(TraceStep.ACCESS_GRANTED, reader="account")
    text = text_of(seen(wanted, granted, cards=(CARD,)))
    assert "✅ This is shown here" in text
    assert "New version of structure/level 1" in text
    assert "*structure/a* fits `struct*`, which this channel follows." in text
    assert "linked account of the person who subscribed" in text
    assert "2 s after it came: [the message](<https://discord.com/channels/71/73/77>)" in text


def test_a_yes_that_speckle_took_back_later_is_not_said_beside_its_no() -> None:
    granted = line(TraceStep.ACCESS_GRANTED, reader="account")
    paused = line(TraceStep.ACCESS_PAUSED, pause="token_refused")
    assert "can see the project" not in text_of(seen(granted, paused))
    resumed = text_of(seen(granted, paused, granted, cards=(CARD,)))
    assert resumed.index("The channel was paused") < resumed.index("can see the project")


def test_facts_that_were_late_are_not_said_to_be_missing_once_they_have_come() -> None:
    missing = line(TraceStep.FACTS_MISSING, missing="token_refused")
    added = line(TraceStep.FACTS_ADDED)
    assert "The card lacks" in text_of(seen(missing, cards=(CARD,)))
    assert "The card lacks" not in text_of(seen(missing, added, cards=(CARD,)))


def test_where_a_sign_in_was_refused_its_person_is_asked_first_to_link_again() -> None:
    paused = replace(
        SUBSCRIPTION,
        state=SubscriptionState.PAUSED,
        pause_reason=PauseReason.ACCESS_LOST,
        pause_detail=PauseWhy.TOKEN_REFUSED,
    )
    entry = Followed(HOOK, paused)
    assert pause_remedy(entry).startswith("That person types `/link` again")
    forbidden = replace(entry, subscription=replace(paused, pause_detail=PauseWhy.FORBIDDEN))
    assert pause_remedy(forbidden).startswith("Someone who can see the project")


def test_of_a_deleted_project_the_doctor_asks_for_nothing_but_to_clean_up() -> None:
    paused = replace(
        SUBSCRIPTION,
        state=SubscriptionState.PAUSED,
        pause_reason=PauseReason.PROJECT_DELETED,
    )
    look = AccountLook(1, True, EnsureProblem.NOT_OWNER)
    channel = Followed(HOOK, paused)
    found = findings(Diagnosis(channel, (), None, None, (), (look,), (), 0, 0))
    assert [one.remedy for one in found] == [None, None]
    assert "or use `/unsubscribe`" in found[-1].text


@pytest.mark.parametrize("used_up", [True, False])
def test_a_call_that_the_quota_refused_is_no_reason_to_repair_the_webhook(used_up: bool) -> None:
    failed = RecordedCall("c1", CallStatus.FAILED, AT)
    look = WebhookLook(True, calls=(failed,))
    usage = Usage(GuildLimits(1, 1, 1, 1, 1), QuotaUse(1, 1, 1, 1), AT) if used_up else None
    channel = Followed(HOOK, SUBSCRIPTION)
    found = findings(Diagnosis(channel, (), None, look, (), (), (), 0, 0, usage))
    text = "\n".join(one.text for one in found)
    assert ("Today's quota is used up" in text) is used_up
    assert ("last call, <t:1772442000:R>, failed" in text) is not used_up


def test_what_a_card_says_is_not_read_by_who_cannot_read_the_channels_earlier_messages() -> None:
    wanted = line(TraceStep.WANTED, filter="pattern_fits", model="structure/a", pattern="struct*")
    text = text_of(seen(wanted, titled=False, cards=(CARD,)), manages=False)
    assert "✅ This is shown here" in text
    assert "struct" not in text


SECRETS = ("secret/vault", "Ilse Brandt", "!secret/**")


@pytest.mark.parametrize(
    "filtered",
    [
        line(TraceStep.FILTERED, filter="no_pattern_fits", model="secret/vault"),
        line(
            TraceStep.FILTERED,
            filter="pattern_excludes",
            model="secret/vault",
            pattern="!secret/**",
        ),
        line(TraceStep.FILTERED_AS_CONFIRMED, filter="author_ignored", author="Ilse Brandt"),
        line(TraceStep.NOT_A_DELIVERY, reason="secret/vault"),
    ],
)
def test_what_a_filter_keeps_out_is_named_only_to_who_could_let_it_in(filtered: TraceLine) -> None:
    waiting = replace(CARD, state=OutboxState.WAITING, title="secret/vault by Ilse Brandt")
    for event in (seen(filtered), seen(filtered, cards=(waiting,))):
        everything = f"{text_of(event)}{texts.choice_text(event, AT)}{texts.outcome_text(event)}"
        assert [one for one in SECRETS if one in everything] == []
    named = text_of(seen(filtered, named=True))
    shown = [value for name, value in filtered.facts.items() if name in ("model", "author")]
    assert all(str(value) in named for value in shown)


def test_lines_of_other_channels_and_servers_are_not_read() -> None:
    others = [
        TraceLine(AT, "route", TraceStep.FILTERED, {"subscription_id": 10, "channel_id": 74}),
        TraceLine(AT, "enrich", TraceStep.FACTS_ADDED, {"subscriptions": "10 99"}),
        TraceLine(AT, "route", TraceStep.NOT_FOLLOWED_HERE, {"guild_id": 72}),
        TraceLine(AT, "enrich", TraceStep.FACTS_MISSING, {"guild_id": GUILD}),  # an older release's
    ]
    mine = TraceLine(AT, "enrich", TraceStep.FACTS_ADDED, {"subscriptions": "8 9"})
    assert [one.step for one in seen(*others, mine).lines] == [TraceStep.READ, mine.step]


@pytest.mark.parametrize(
    ("changes", "outcome", "said"),
    [
        ({"state": InboxState.NEW}, Outcome.WAITING, "waits for its turn"),
        (
            {"held": (HeldSince(9, AT, AT + timedelta(minutes=5)),)},
            Outcome.WAITING,
            "tried again <t:1772442300:R>",
        ),
        (
            {"cards": (replace(CARD, state=OutboxState.WAITING, pause=PauseReason.MEMBER),)},
            Outcome.PAUSED,
            "kept until the channel continues",
        ),
        (
            {
                "cards": (
                    replace(
                        CARD,
                        state=OutboxState.WAITING,
                        due_at=AT,
                        channel_error=SendReason(SendProblem.SLOWER).to_stored(),
                    ),
                )
            },
            Outcome.WAITING,
            "Discord asked for a slower pace. It is tried again <t:",
        ),
        (
            {
                "cards": (
                    replace(
                        CARD,
                        state=OutboxState.UNDELIVERABLE,
                        error=SendReason(
                            SendProblem.REFUSED, {"status": 400, "code": 50035, "said": "no"}
                        ).to_stored(),
                    ),
                )
            },
            Outcome.REFUSED,
            "Discord answered 400",
        ),
        ({}, Outcome.NOT_SHOWN, "no card of it any more"),
    ],
)
def test_where_an_event_is_by_now_says_what_became_of_it(
    changes: Mapping[str, Any], outcome: Outcome, said: str
) -> None:
    event = seen(line(TraceStep.WANTED, filter="no_filter"), **changes)
    assert event.outcome is outcome
    assert said in text_of(event)


def test_a_filter_that_was_changed_since_is_said_to_be() -> None:
    filtered = line(TraceStep.FILTERED, filter="event_not_wanted", wanted="issues", kind="x_y")
    event = seen(filtered, named=True)
    assert "Decided by the setting `events`. Now:" in text_of(event)
    changed = replace(event, changed_at={"events": AT + timedelta(hours=1)})
    said = "Decided by the setting `events`, which was changed after that, <t:1772445600:R>."
    assert said in text_of(changed)
    for other in ({"models": AT + timedelta(hours=1)}, {"events": AT - timedelta(hours=1)}):
        assert "changed after" not in text_of(replace(event, changed_at=other))


UNNAMED = {
    FilterWhy.EVENT_NOT_WANTED: "This channel does not follow events of this kind.",
    FilterWhy.AUTHOR_IGNORED: "This channel ignores what its author does.",
    FilterWhy.PATTERN_FITS: "Its model is one of those that this channel follows.",
    FilterWhy.NO_PATTERN_FITS: "Its model is none of those that this channel follows.",
    FilterWhy.PATTERN_EXCLUDES: "Its model is one of those that this channel leaves out.",
}


def test_a_filter_has_a_whole_sentence_for_who_may_not_know_its_names() -> None:
    with_names = {why for why, one in step_texts.FILTERS.items() if "{" in one.text}
    assert set(UNNAMED) == with_names
    for why, said in UNNAMED.items():
        told = line(TraceStep.FILTERED, filter=why, model="a", pattern="b", author="c")
        (wanted,) = (one for one in stages.stages(seen(told)) if one.name is StageName.WANTED)
        assert wanted.text == said


def test_the_end_of_a_time_out_is_in_each_readers_own_time() -> None:
    until = AT + timedelta(hours=1)
    reason = SendReason(SendProblem.TIME_OUT, {"until": until.isoformat()})
    card = replace(CARD, state=OutboxState.WAITING, channel_error=reason.to_stored())
    event = replace(seen(line(TraceStep.WANTED, filter="no_filter")), card=card)
    (waits,) = (stage.text for stage in stages.stages(event) if stage.name is StageName.DISCORD)
    assert f"time-out until <t:{int(until.timestamp())}:f>." in waits


@pytest.mark.parametrize("over_quota", [True, False])
def test_a_list_says_first_that_further_events_were_refused(over_quota: bool) -> None:
    event = seen(line(TraceStep.FILTERED, filter="event_not_wanted"))
    log = ChannelLog(CHANNEL, AT, [event.followed], [event], over_quota)
    text = texts.log_embed(log).description or ""
    assert f"In <#{CHANNEL}>:" in text
    assert text.startswith("❌ This server's quota for today is used up") is over_quota
    assert text.endswith("🔕 <t:1772442000:R> **version created**: filtered (by `events`)")


def test_a_list_of_the_longest_lines_fits_into_one_message() -> None:
    card = replace(CARD, title="𝔸" * 300, channel_id=10**18, message_id=10**18, guild_id=10**18)
    event = seen(line(TraceStep.WANTED, filter="no_filter"), cards=(card,))
    other = replace(event, followed=Followed(replace(HOOK, id=6), SUBSCRIPTION))
    log = ChannelLog(CHANNEL, AT, [event.followed], [event, other] * 12, over_quota=True)
    assert units(texts.log_embed(log).description or "") <= 4096


def test_events_with_one_title_are_distinguished_by_what_was_said_if_one_can_read_it() -> None:
    card = replace(CARD, first_line="Beam *C/4* lowered")
    event = seen(line(TraceStep.WANTED, filter="no_filter"), cards=(card,))
    unread = seen(line(TraceStep.WANTED, filter="no_filter"), titled=False, cards=(card,))
    for one, said in ((event, True), (unread, False)):
        log = ChannelLog(CHANNEL, AT, [one.followed], [one, one], over_quota=False)
        for text in (texts.log_embed(log).description or "", texts.choice_text(one, AT)):
            assert ("Beam C/4 lowered" in text) is said


def test_of_a_time_before_the_channel_followed_the_project_that_is_said_first() -> None:
    long_ago = Moments(AT - timedelta(days=3), AT - timedelta(days=2))
    channel = Followed(HOOK, SUBSCRIPTION)
    last = seen(line(TraceStep.WANTED, filter="no_filter"))
    answer = NothingArrived(CHANNEL, long_ago, [channel], {9: None}, last, (), False, True)
    (field,) = nothing_texts.nothing_embed(answer).fields  # and no guesses, as that is why
    known = field.value or ""
    assert known.startswith("- ⚪ This channel has followed it since <t:1772355600:f>.")
    recently = replace(answer, reference=Moments(AT - timedelta(hours=2), AT))
    field, *more = nothing_texts.nothing_embed(recently).fields
    known = field.value or ""
    assert [one.name for one in more] == ["What it usually is, the most likely first", "What to do"]
    assert "has followed it since" not in known


def call(minutes_before: int, status: CallStatus = CallStatus.DELIVERED) -> RecordedCall:
    return RecordedCall(f"c{minutes_before}", status, AT - timedelta(minutes=minutes_before))


ALL_TRIGGERS = triggers_of([SubscriptionOptions()])


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (WebhookLook(there=False), ["has no webhook that leads here"]),
        (WebhookLook(True, enabled=False), ["switched off", "was never called"]),
        (WebhookLook(True, has_secret=False), ["another address or no secret"]),
        (WebhookLook(True, triggers=("commit_create",)), ["not set to send `version_updated`"]),
        (
            WebhookLook(True, triggers=ALL_TRIGGERS, calls=(call(5),), total=1),
            ["no call at that time failed (1 call)", "last call <t:1772441700:R> arrived"],
        ),
        (
            WebhookLook(True, calls=(call(5, CallStatus.FAILED),), total=1),
            ["1 call at that time did not get through", "If all calls fail"],
        ),
        (
            WebhookLook(True, calls=(call(900),), total=1),
            ["was not called at that time: nothing happened that it is set to send"],
        ),
        (
            WebhookLook(True, calls=(call(0, CallStatus.QUEUED),), total=7),
            ["was looked at back to <t:1772442000:f> only", "is still on its way"],
        ),
        (EnsureFailed(EnsureProblem.NOT_OWNER), ["Speckle shows it to owners of the project only"]),
        (None, ["An owner types `/link`, then `/why` again"]),
    ],
)
def test_where_nothing_came_speckles_word_comes_first_and_then_the_usual_causes(
    look: WebhookLook | EnsureFailed | None, said: list[str]
) -> None:
    at = AT - timedelta(minutes=5)
    reference = Moments(at - timedelta(minutes=2), at + timedelta(minutes=2))
    answer = NothingArrived(
        CHANNEL, reference, [Followed(HOOK, SUBSCRIPTION)], {9: look}, None, (), False, True
    )
    embed = nothing_texts.nothing_embed(answer)
    known, causes, then = (field.value or "" for field in embed.fields)
    assert [one for one in said if one not in known] == []
    assert causes.startswith("1. **The webhook is not set to send it.**")
    assert "`/doctor`" in then
    assert "Harbour \\*Tower\\*" in (embed.fields[0].name or "")


@pytest.mark.parametrize(
    ("reference", "entries", "elsewhere", "said"),
    [
        (EventNumber(3), [Followed(HOOK, SUBSCRIPTION)], (), "no event with that number"),
        (MessageReference(None, 3), [], (), "no event behind this message"),
        (
            LastEvent(),
            [],
            (74,),
            "any Speckle project, so nothing of it comes here. Projects are fol",
        ),
        (ThingReference("x"), [], (), "does not follow that project"),
    ],
)
def test_where_there_is_no_cause_to_look_for_a_sentence_says_it(
    reference: EventReference, entries: list[Followed], elsewhere: tuple[int, ...], said: str
) -> None:
    answer = NothingArrived(CHANNEL, reference, entries, {}, None, elsewhere, False, False)
    assert said in (nothing_texts.nothing_text(answer) or "")
