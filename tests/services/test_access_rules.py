"""Who may see what: the one rule, over everything that it depends on."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.model import (
    Consent,
    Entitlement,
    Hook,
    HookKind,
    HookState,
    InboxSource,
    PauseReason,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.permissions import Audience, MemberPresence
from bot.services.access_rules import (
    A_YES_COUNTS,
    NEVER_ANSWERED,
    AccessAnswer,
    AccessAnswers,
    Decision,
    LastAnswer,
    LiveFor,
    Pause,
    Show,
    Wait,
    decide,
)
from bot.speckle.subscription_options import SubscriptionOptions

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SERVER = "https://speckle.studio-kestrel.example"
MAREN, ILSE = 101, 102
THEIRS = 7  # the account of the person who subscribed the channel
FEW = Audience(everyone=False, roles=(11, 12), members=(21,))
ALL = Audience(everyone=True)

BY_HAND = Hook(
    id=1,
    guild_id=5,
    server_url=SERVER,
    project_id="a1b2c3d4e5",
    project_name=None,
    kind=HookKind.OWN,
    key="key",
    secrets=("secret",),
    state=HookState.LIVE,
    setup_channel_id=None,
    created_by=ILSE,
    created_at=NOW - timedelta(days=3),
    live_at=NOW - timedelta(days=3),
    last_event_at=None,
)
HEARD = replace(BY_HAND, listens=True)
MADE = replace(BY_HAND, webhook_id="webhook001", account_id=8)
SHARED = replace(BY_HAND, kind=HookKind.SHARED, key=None, secrets=())
HOOKS = {"by hand": BY_HAND, "made": MADE, "shared": SHARED}

YES = LastAnswer(AccessAnswer.YES, NOW)
NO = LastAnswer(AccessAnswer.NO, NOW - timedelta(minutes=20), PauseWhy.FORBIDDEN)
SILENT_LATELY = LastAnswer(AccessAnswer.NO_ANSWER, NOW - A_YES_COUNTS + timedelta(seconds=1))
SILENT_LONG = LastAnswer(AccessAnswer.NO_ANSWER, NOW - A_YES_COUNTS)
WORDS = (YES, NO, SILENT_LATELY, SILENT_LONG)


def consent(
    standing: Entitlement = Entitlement.READER,
    *,
    options: SubscriptionOptions = SubscriptionOptions(),
    visibility: str | None = "private",
    audience: Audience | None = FEW,
) -> Consent:
    return Consent(MAREN, NOW - timedelta(days=1), standing, options, visibility, audience)


def subscription(
    *,
    account_id: int | None = THEIRS,
    answer: Consent | None = None,
    options: SubscriptionOptions = SubscriptionOptions(),
) -> Subscription:
    return Subscription(
        id=3,
        hook_id=1,
        guild_id=5,
        channel_id=55,
        options=options,
        state=SubscriptionState.ACTIVE,
        pause_reason=None,
        pause_detail=None,
        created_by=MAREN,
        created_at=NOW - timedelta(days=1),
        updated_at=NOW,
        last_event_at=None,
        account_id=account_id,
        access_ok_at=None,
        consent=answer,
    )


def rule(
    one: Subscription,
    hook: Hook = MADE,
    *,
    source: InboxSource = InboxSource.WEBHOOK,
    account: LastAnswer = YES,
    everyone: LastAnswer = NEVER_ANSWERED,
    operator: bool = False,
    person: MemberPresence = MemberPresence.SEES,
    audience: Audience | None = FEW,
) -> Decision:
    return decide(
        one, hook, source, AccessAnswers(account, everyone, operator), person, audience, NOW
    )


def as_whom(decision: Decision) -> object:
    """Who reads: an account, the operator, a stranger; or how the subscription stops."""
    match decision:
        case Show(leave) if leave is not None:
            if leave.account_id is not None:
                return leave.account_id
            return "operator" if leave.as_operator else "stranger"
        case Show():
            return "nothing is read"
        case Wait():
            return "waits"
        case Pause(_, why):
            return why


# ── the whole table ───────────────────────────────────────────────────────────────────────────

ANSWERS = (
    None,
    consent(),
    consent(Entitlement.MANAGER),
    consent(Entitlement.ANYONE, visibility="public"),
    consent(visibility=None),
)


def every_case() -> Iterator[
    tuple[Subscription, Hook, InboxSource, AccessAnswers, MemberPresence, Audience | None]
]:
    subscriptions = [
        subscription(account_id=account_id, answer=answer)
        for account_id in (None, THEIRS)
        for answer in ANSWERS
    ]
    seen = [
        AccessAnswers(account, everyone, operator)
        for account in (*WORDS, NEVER_ANSWERED)
        for everyone in (*WORDS, NEVER_ANSWERED)
        for operator in (False, True)
    ]
    return itertools.product(
        subscriptions, HOOKS.values(), InboxSource, seen, MemberPresence, (FEW, ALL, None)
    )


def test_no_case_reads_with_what_may_not_be_used() -> None:
    count = 0
    for case in every_case():
        one, _, _, seen, person, _ = case
        decision = decide(*case, NOW)
        count += 1
        if not isinstance(decision, Show) or decision.permit is None:
            continue
        leave = decision.permit
        assert leave.subscription_id == one.id
        if leave.account_id is not None:
            assert leave.account_id == one.account_id, "an account serves its own channels alone"
            assert person is MemberPresence.SEES
            assert seen.account in (YES, SILENT_LATELY)
        if leave.as_operator:
            assert seen.operator
            assert one.consent is not None
            assert one.consent.entitlement is not Entitlement.ANYONE
    assert count > 10_000


def test_no_case_shows_a_private_project_without_an_answer_but_by_hand() -> None:
    for case in every_case():
        one, hook, _, seen, _, audience = case
        if not isinstance(decide(*case, NOW), Show):
            continue
        if seen.everyone in (YES, SILENT_LATELY):
            continue  # what Speckle answers without a token is everybody's
        if one.consent is None:
            assert hook is BY_HAND
            assert one.account_id is None
        elif one.consent.visibility in (None, "private"):
            assert audience is not None
            assert not audience.goes_beyond(FEW)
        else:
            pytest.fail("agreed to while it was public, and it is not any more")


def test_no_case_shows_what_was_read_with_an_account_that_no_longer_serves() -> None:
    for case in every_case():
        one, _, source, seen, person, _ = case
        if source is not InboxSource.ACTIVITY or not isinstance(decide(*case, NOW), Show):
            continue
        if one.account_id is None:
            assert seen.operator
        else:
            assert person is MemberPresence.SEES
            assert seen.account in (YES, SILENT_LATELY)


def test_could_not_ask_never_pauses() -> None:
    for case in every_case():
        one, hook, source, _, _, audience = case
        silent = AccessAnswers(SILENT_LONG, SILENT_LONG, False)
        decision = decide(one, hook, source, silent, MemberPresence.UNKNOWN, audience, NOW)
        if isinstance(decision, Pause):
            assert one.account_id is None
            assert decision.why in (PauseWhy.AUDIENCE_WIDER, PauseWhy.UNLINKED)


# ── one by one ────────────────────────────────────────────────────────────────────────────────


def test_the_account_of_who_subscribed_reads_for_the_channel() -> None:
    for hook in HOOKS.values():
        assert as_whom(rule(subscription(answer=consent()), hook)) == THEIRS


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        (NO, PauseWhy.FORBIDDEN),
        (LastAnswer(AccessAnswer.NO, NOW, PauseWhy.TOKEN_REFUSED), PauseWhy.TOKEN_REFUSED),
        (SILENT_LATELY, THEIRS),
        (SILENT_LONG, "waits"),
    ],
)
def test_no_pauses_and_could_not_ask_waits(word: LastAnswer, outcome: object) -> None:
    assert as_whom(rule(subscription(answer=consent()), account=word)) == outcome


@pytest.mark.parametrize(
    ("person", "outcome"),
    [
        (MemberPresence.LEFT, PauseWhy.PERSON_LEFT),
        (MemberPresence.BLIND, PauseWhy.PERSON_BLIND),
        (MemberPresence.UNKNOWN, "waits"),
    ],
)
def test_an_account_serves_while_its_person_is_there(
    person: MemberPresence, outcome: object
) -> None:
    assert as_whom(rule(subscription(answer=consent()), person=person)) == outcome
    # What everybody may read goes on, read as everybody does.
    shown = rule(subscription(answer=consent()), person=person, everyone=YES)
    assert as_whom(shown) == "stranger"


def test_set_up_by_hand_shows_what_its_webhook_sends_and_reads_as_a_stranger() -> None:
    assert as_whom(rule(subscription(account_id=None), BY_HAND)) == "stranger"
    assert as_whom(rule(subscription(account_id=None), BY_HAND, operator=True)) == "stranger"


@pytest.mark.parametrize("hook", [MADE, SHARED])
def test_nobody_answered_so_nothing_is_shown(hook: Hook) -> None:
    decision = rule(subscription(account_id=None), hook, everyone=NO)
    assert decision == Pause(PauseReason.ASK_AGAIN, PauseWhy.NOT_ANSWERED)
    assert as_whom(rule(subscription(account_id=None), hook, everyone=SILENT_LONG)) == "waits"
    assert as_whom(rule(subscription(account_id=None), hook, everyone=YES)) == "stranger"


def test_the_operators_token_serves_where_somebody_qualified_answered() -> None:
    for standing in Entitlement:
        visibility = "public" if standing is Entitlement.ANYONE else "private"
        one = subscription(account_id=None, answer=consent(standing, visibility=visibility))
        outcome = as_whom(rule(one, SHARED, operator=True, everyone=YES))
        assert outcome == ("stranger" if standing is Entitlement.ANYONE else "operator")
        assert as_whom(rule(one, SHARED, everyone=YES)) == "stranger"


def test_more_people_than_were_agreed_to_pause_it() -> None:
    decision = rule(subscription(answer=consent()), audience=ALL)
    assert decision == Pause(PauseReason.ASK_AGAIN, PauseWhy.AUDIENCE_WIDER)
    assert as_whom(rule(subscription(answer=consent()), audience=None)) == "waits"
    assert as_whom(rule(subscription(answer=consent()), audience=ALL, everyone=YES)) == THEIRS


@pytest.mark.parametrize(
    ("now", "agreed", "wider"),
    [
        (FEW, FEW, False),
        (Audience(False, (11,)), FEW, False),
        (Audience(False, (11, 13), (21,)), FEW, True),
        (Audience(False, (11, 12), (21, 22)), FEW, True),
        (ALL, FEW, True),
        (FEW, ALL, False),
        (replace(FEW, announcement=True), FEW, True),
        (replace(ALL, announcement=True), ALL, True),
        (replace(FEW, announcement=True), replace(FEW, announcement=True), False),
        (Audience(False, in_thread=True), Audience(False, in_thread=True), False),
        (replace(FEW, people=900), replace(FEW, people=3), False),
    ],
)
def test_which_audience_goes_beyond_which(now: Audience, agreed: Audience, wider: bool) -> None:
    assert now.goes_beyond(agreed) is wider


def test_a_project_that_turns_private_asks_again() -> None:
    agreed = consent(visibility="unlisted")
    for account_id in (None, THEIRS):
        one = subscription(account_id=account_id, answer=agreed)
        decision = rule(one, everyone=NO)
        assert decision == Pause(PauseReason.ASK_AGAIN, PauseWhy.TURNED_PRIVATE)
        assert as_whom(rule(one, everyone=SILENT_LONG)) == "waits"


@pytest.mark.parametrize(
    ("options", "wider"),
    [
        (SubscriptionOptions(("version_created",), ("structure/**",), ("ci", "bot")), False),
        (SubscriptionOptions(("versions",), ("structure/**",)), True),
    ],
)
def test_wider_options_ask_again(options: SubscriptionOptions, wider: bool) -> None:
    agreed = SubscriptionOptions(("versions",), ("structure/**",), ("ci",))
    one = subscription(answer=consent(options=agreed), options=options)
    assert as_whom(rule(one)) == (PauseWhy.FILTERS_WIDER if wider else THEIRS)


def test_consent_and_audience_come_back_from_the_database_as_they_went() -> None:
    answer = consent(options=SubscriptionOptions(("versions",), ("a/**", "!b"), ("ci",)))
    assert Consent.from_json(answer.to_json()) == answer
    assert Consent.from_json(replace(answer, audience=None).to_json()).audience is None


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
@pytest.mark.parametrize("everyone", [YES, NO, SILENT_LONG])
def test_an_answer_goes_with_the_account_that_it_was_given_with(
    hook: Hook, everyone: LastAnswer
) -> None:
    void = subscription(account_id=None, answer=replace(consent(), unlinked=True))
    decision = rule(void, hook, everyone=everyone, operator=True)
    said = {
        AccessAnswer.YES: "stranger",
        AccessAnswer.NO: Pause(PauseReason.ACCESS_LOST, PauseWhy.UNLINKED),
        AccessAnswer.NO_ANSWER: Wait(),
    }
    assert said[everyone.answer] in (decision, as_whom(decision))


@pytest.mark.parametrize("standing", [Entitlement.OWNER, Entitlement.READER])
@pytest.mark.parametrize("live_for", LiveFor)
@pytest.mark.parametrize("visibility", ["private", "public"])
@pytest.mark.parametrize("owner", [True, False, None])
@pytest.mark.parametrize("everyone", [YES, NO, NEVER_ANSWERED])
def test_of_what_is_live_the_host_says_whose_account_is_heard(
    standing: Entitlement,
    live_for: LiveFor,
    visibility: str,
    owner: bool | None,
    everyone: LastAnswer,
) -> None:
    one = subscription(answer=consent(standing, visibility=visibility))
    answers = AccessAnswers(replace(YES, owner=owner), everyone, live_for=live_for)
    owns = standing is Entitlement.OWNER and owner is not False
    heard = visibility == "public" or live_for.allows(private=True, owner=owns)

    def of(source: InboxSource) -> Decision:
        return decide(one, HEARD, source, answers, MemberPresence.SEES, FEW, NOW)

    without = of(InboxSource.ACTIVITY)
    if heard or everyone is YES:
        assert of(InboxSource.LIVE) == without
    elif everyone is NO:
        assert of(InboxSource.LIVE) == Pause(PauseReason.ACCESS_LOST, PauseWhy.NOT_LIVE)
    else:
        assert of(InboxSource.LIVE) == Wait()
