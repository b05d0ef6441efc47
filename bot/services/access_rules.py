"""Who may see what: the one rule, as a pure function.

A channel sees what its project's webhook sends, and otherwise only what the account of the person
who subscribed that channel may see.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import TypeAlias, TypeGuard

from bot.model import (
    Consent,
    Entitlement,
    Hook,
    InboxSource,
    PauseReason,
    PauseWhy,
    Subscription,
)
from bot.permissions import Audience, MemberPresence
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle.visibility import PUBLIC

A_YES_COUNTS = timedelta(hours=1)  # while the server does not answer

QUALIFIED = frozenset({Entitlement.OWNER, Entitlement.READER, Entitlement.MANAGER})
"""Whose answer lets the operator's token read for a subscription in the operator's own servers."""


@dataclass(frozen=True, slots=True)
class ReadPermit:
    """Leave to read one project for one subscription, as somebody who may; made in this file alone.

    With `account_id` it is the account of the person who subscribed the channel; `as_operator`
    reads with the operator's own token; with neither it reads without a token, what is everybody's.
    """

    subscription_id: int
    server_url: str
    project_id: str
    account_id: int | None = None
    as_operator: bool = False

    @property
    def reader(self) -> tuple[int | None, bool]:
        """Who reads: what one reader received may be shown in all its subscriptions."""
        return self.account_id, self.as_operator

    @property
    def is_anonymous(self) -> bool:
        """Whether it reads without a token, so that nothing it brings is anybody's secret."""
        return self.account_id is None and not self.as_operator


class AccessAnswer(Enum):
    """What came of asking whether somebody may see a project."""

    YES = auto()
    NO = auto()
    NO_ANSWER = auto()  # nobody answered, or nobody was asked


class LiveFor(StrEnum):
    """Of which projects the operator lets accounts hear; each includes those before it."""

    PUBLIC = "public"  # those that everybody may read
    OWNERS = "owners"  # private ones too, for those who own them
    READERS = "readers"  # private ones too, for anyone who may read them

    def allows(self, *, private: bool, owner: bool) -> bool:
        """Whether an account that may read a project may hear of it."""
        return not private or self is LiveFor.READERS or (self is LiveFor.OWNERS and owner)


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """A server's last word for one reader; `yes_at` is when it was last yes, `why` why it is no.

    `owner`: with that word it said whether the reader owns the project.
    """

    answer: AccessAnswer
    yes_at: datetime | None = None
    why: PauseWhy | None = None
    owner: bool | None = None


NEVER_ANSWERED = LastAnswer(AccessAnswer.NO_ANSWER)


@dataclass(frozen=True, slots=True)
class AccessAnswers:
    """What servers said of a project: to the subscription's account, and to who has no token.

    `operator`: the operator's token may be used in this Discord server, for this Speckle server.
    `live_for`: of which projects accounts may hear.
    """

    account: LastAnswer = NEVER_ANSWERED
    everyone: LastAnswer = NEVER_ANSWERED
    operator: bool = False
    live_for: LiveFor = LiveFor.READERS


@dataclass(frozen=True, slots=True)
class Show:
    """It is shown; `permit` is what else may be read, None for nothing."""

    permit: ReadPermit | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody could not be asked who has to be: the event is kept, and it is asked again."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The subscription stops, with what came meanwhile kept, until somebody answers for it."""

    reason: PauseReason
    why: PauseWhy


Decision: TypeAlias = Show | Wait | Pause

DecideAccess: TypeAlias = Callable[
    [Hook, Sequence[Subscription], InboxSource], Awaitable[Mapping[int, Decision]]
]
"""Finds out what the rule must know, and gives what it says, by the subscriptions' ids."""


def decide(
    subscription: Subscription,
    hook: Hook,
    source: InboxSource,
    answers: AccessAnswers,
    presence: MemberPresence,
    audience: Audience | None,
    now: datetime,
) -> Decision:
    """Whether a channel is shown an event of its project now, and what may be read for it.

    `audience` is None where the channel's cannot be found out now.
    """
    permit = _permit_for(subscription, hook, answers, presence, now)
    if source.is_listed:
        if subscription.account_id is None and not permit.as_operator:
            return Pause(PauseReason.ACCESS_LOST, PauseWhy.UNLINKED)
    elif _still_valid(answers.everyone, now):
        return Show(permit)
    if subscription.account_id is not None:
        hindrance = _of_account(answers.account, presence, now)
        if source is InboxSource.LIVE and hook.is_heard:
            hindrance = hindrance or _of_hearing(subscription, answers, now)
        return hindrance or _of_consent(subscription, answers, audience, now) or Show(permit)
    if subscription.consent is None and hook.is_by_hand:
        # The project's owner entered the webhook's address; nothing else was asked of anybody.
        return Show(permit)
    return _of_consent(subscription, answers, audience, now) or Show(permit)


def may_read_lists(subscription: Subscription, *, operator: bool) -> bool:
    """Whether there is anybody to read a project's lists as for a subscription.

    `operator`: the operator's token may be used there.
    """
    return subscription.account_id is not None or _serves_operator(subscription, operator)


def _serves_operator(subscription: Subscription, operator: bool) -> bool:
    consent = subscription.consent
    answered = _stands(consent) and consent.entitlement in QUALIFIED
    return subscription.account_id is None and operator and answered


def depends_on_openness(subscription: Subscription, hook: Hook) -> bool:
    """Whether it matters for a subscription that everybody may read the project."""
    consent = subscription.consent
    if consent is None:
        return not hook.is_by_hand
    return consent.unlinked or not is_private(consent.visibility)


def hears_if_public(
    subscription: Subscription, live_for: LiveFor, account: LastAnswer = NEVER_ANSWERED
) -> bool:
    """Whether its account may hear of the project only if that is public by now."""
    consent = subscription.consent
    private = consent is None or is_private(consent.visibility)
    owned = consent is not None and consent.entitlement is Entitlement.OWNER
    return not live_for.allows(private=private, owner=owned and account.owner is not False)


def is_private(visibility: str | None) -> bool:
    """Whether a project counts as private: an unknown one does."""
    return visibility not in PUBLIC


def _still_valid(word: LastAnswer, now: datetime) -> bool | None:
    """Whether a yes holds; None where nobody can say."""
    match word.answer:
        case AccessAnswer.YES:
            return True
        case AccessAnswer.NO:
            return False
        case AccessAnswer.NO_ANSWER:
            recent = word.yes_at is not None and now - word.yes_at < A_YES_COUNTS
            return True if recent else None


def _permit_for(
    subscription: Subscription,
    hook: Hook,
    answers: AccessAnswers,
    presence: MemberPresence,
    now: datetime,
) -> ReadPermit:
    """Read as the subscription's account where that serves, as the operator where that is agreed.

    Else without a token.
    """
    account_id = subscription.account_id
    serves = presence is MemberPresence.SEES and _still_valid(answers.account, now) is True
    return ReadPermit(
        subscription.id,
        hook.server_url,
        hook.project_id,
        account_id=account_id if serves else None,
        as_operator=_serves_operator(subscription, answers.operator),
    )


def _of_account(
    account: LastAnswer, presence: MemberPresence, now: datetime
) -> Wait | Pause | None:
    """None where the account serves: its person is there, and it may see the project."""
    match presence:
        case MemberPresence.LEFT:
            return Pause(PauseReason.ACCESS_LOST, PauseWhy.PERSON_LEFT)
        case MemberPresence.BLIND:
            return Pause(PauseReason.ACCESS_LOST, PauseWhy.PERSON_BLIND)
        case MemberPresence.UNKNOWN:
            return Wait()
        case MemberPresence.SEES:
            pass
    holds = _still_valid(account, now)
    if holds is None:
        return Wait()
    return None if holds else Pause(PauseReason.ACCESS_LOST, account.why or PauseWhy.FORBIDDEN)


def _of_hearing(
    subscription: Subscription, answers: AccessAnswers, now: datetime
) -> Wait | Pause | None:
    """None where the operator lets the account hear of the project."""
    if not hears_if_public(subscription, answers.live_for, answers.account):
        return None
    public = _still_valid(answers.everyone, now)
    if public is None:
        return Wait()
    return None if public else Pause(PauseReason.ACCESS_LOST, PauseWhy.NOT_LIVE)


def _of_consent(
    subscription: Subscription, answers: AccessAnswers, audience: Audience | None, now: datetime
) -> Wait | Pause | None:
    """None where the answer that was given covers what the channel is about to see."""
    consent = subscription.consent
    if _stands(consent) and is_private(consent.visibility):
        return _of_private(consent, subscription.options, audience)
    # Nobody agreed to showing it while it is private, so all depends on whether it is.
    public = _still_valid(answers.everyone, now)
    if public is None:
        return Wait()
    if public:
        return None
    if consent is None:
        return _ask_again(PauseWhy.NOT_ANSWERED)
    if consent.unlinked:
        return Pause(PauseReason.ACCESS_LOST, PauseWhy.UNLINKED)
    return _ask_again(PauseWhy.TURNED_PRIVATE)


def _stands(consent: Consent | None) -> TypeGuard[Consent]:
    """Whether there is an answer, and the account that it was given with is still linked."""
    return consent is not None and not consent.unlinked


def _of_private(
    consent: Consent, options: SubscriptionOptions, audience: Audience | None
) -> Wait | Pause | None:
    if options.widens(consent.options):
        return _ask_again(PauseWhy.FILTERS_WIDER)
    if consent.audience is None:
        return None
    if audience is None:
        return Wait()
    if audience.goes_beyond(consent.audience):
        return _ask_again(PauseWhy.AUDIENCE_WIDER)
    return None


def _ask_again(why: PauseWhy) -> Pause:
    return Pause(PauseReason.ASK_AGAIN, why)
