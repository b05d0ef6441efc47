"""Who may see what: the one rule, as a pure function.

A channel sees what its project's webhook sends, and besides only what the account of the person
who subscribed that channel may see.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TypeAlias, TypeGuard

from bot.db.rows import Hook, HookKind, InboxSource, PauseReason, Subscription
from bot.model import Audience, Consent, PauseWhy, Standing
from bot.rights.passes import Pass
from bot.speckle.answers import PUBLIC
from bot.speckle.subscription_options import SubscriptionOptions

A_YES_COUNTS = timedelta(hours=1)  # while the server does not answer

QUALIFIED = frozenset({Standing.OWNER, Standing.READER, Standing.MANAGER})
"""Whose answer lets the operator's token read for a subscription in the operator's own servers."""


class Sight(Enum):
    """What came of asking whether somebody may see a project."""

    YES = auto()
    NO = auto()
    SILENT = auto()  # nobody answered, or nobody was asked


@dataclass(frozen=True, slots=True)
class Word:
    """A server's last word for one reader; `yes_at` is when it was last yes, `why` why it is no."""

    sight: Sight
    yes_at: datetime | None = None
    why: PauseWhy | None = None


NO_WORD = Word(Sight.SILENT)


@dataclass(frozen=True, slots=True)
class Seen:
    """What servers said of a project: to the subscription's account, and to who has no token.

    `operator`: the operator's token may be used in this Discord server, for this Speckle server.
    """

    account: Word = NO_WORD
    everyone: Word = NO_WORD
    operator: bool = False


class Person(Enum):
    """Whether the person of the account is still there, as Discord says."""

    SEES = auto()
    BLIND = auto()  # in the server, but does not see the channel
    LEFT = auto()
    UNKNOWN = auto()  # Discord could not be asked


@dataclass(frozen=True, slots=True)
class Show:
    """It is shown; `leave` is what may be read besides, None for nothing."""

    leave: Pass | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody could not be asked who has to be: the event is kept, and it is asked again."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The subscription stops, with what came meanwhile kept, until somebody answers for it."""

    reason: PauseReason
    why: PauseWhy


Decision: TypeAlias = Show | Wait | Pause


def decide(
    subscription: Subscription,
    hook: Hook,
    source: InboxSource,
    seen: Seen,
    person: Person,
    audience: Audience | None,
    now: datetime,
) -> Decision:
    """Whether a channel is shown an event of its project now, and what may be read for it.

    `audience` is None where the channel's cannot be found out now.
    """
    leave = _leave(subscription, hook, seen, person, now)
    if source is InboxSource.ACTIVITY:
        if subscription.account_id is None and not leave.as_operator:
            return Pause(PauseReason.ACCESS_LOST, PauseWhy.UNLINKED)
    elif _holds(seen.everyone, now):
        return Show(leave)
    if subscription.account_id is not None:
        hindrance = _of_account(seen.account, person, now)
        return hindrance or _of_consent(subscription, seen, audience, now) or Show(leave)
    if subscription.consent is None and is_by_hand(hook):
        # The project's owner entered the webhook's address; nothing else was asked of anybody.
        return Show(leave)
    return _of_consent(subscription, seen, audience, now) or Show(leave)


def is_by_hand(hook: Hook) -> bool:
    """Whether somebody entered the webhook's address and secret at Speckle, or is yet to do so."""
    return hook.kind is HookKind.OWN and hook.webhook_id is None


def may_read_lists(subscription: Subscription, *, operator: bool) -> bool:
    """Whether there is anybody to read a project's lists as for a subscription.

    `operator`: the operator's token may be used there.
    """
    return subscription.account_id is not None or _serves_operator(subscription, operator)


def _serves_operator(subscription: Subscription, operator: bool) -> bool:
    consent = subscription.consent
    answered = _stands(consent) and consent.standing in QUALIFIED
    return subscription.account_id is None and operator and answered


def depends_on_openness(subscription: Subscription, hook: Hook) -> bool:
    """Whether it matters for a subscription that everybody may read the project."""
    consent = subscription.consent
    if consent is None:
        return not is_by_hand(hook)
    return consent.unlinked or not is_private(consent.visibility)


def is_private(visibility: str | None) -> bool:
    """Whether a project counts as private: an unknown one does."""
    return visibility not in PUBLIC


def _holds(word: Word, now: datetime) -> bool | None:
    """Whether a yes holds; None where nobody can say."""
    match word.sight:
        case Sight.YES:
            return True
        case Sight.NO:
            return False
        case Sight.SILENT:
            lately = word.yes_at is not None and now - word.yes_at < A_YES_COUNTS
            return True if lately else None


def _leave(
    subscription: Subscription, hook: Hook, seen: Seen, person: Person, now: datetime
) -> Pass:
    """Read as the subscription's account where that serves, as the operator where that is agreed.

    Else without a token.
    """
    account_id = subscription.account_id
    serves = person is Person.SEES and _holds(seen.account, now) is True
    return Pass(
        subscription.id,
        hook.server_url,
        hook.project_id,
        account_id=account_id if serves else None,
        as_operator=_serves_operator(subscription, seen.operator),
    )


def _of_account(account: Word, person: Person, now: datetime) -> Wait | Pause | None:
    """None where the account serves: its person is there, and it may see the project."""
    match person:
        case Person.LEFT:
            return Pause(PauseReason.ACCESS_LOST, PauseWhy.PERSON_LEFT)
        case Person.BLIND:
            return Pause(PauseReason.ACCESS_LOST, PauseWhy.PERSON_BLIND)
        case Person.UNKNOWN:
            return Wait()
        case Person.SEES:
            pass
    holds = _holds(account, now)
    if holds is None:
        return Wait()
    return None if holds else Pause(PauseReason.ACCESS_LOST, account.why or PauseWhy.FORBIDDEN)


def _of_consent(
    subscription: Subscription, seen: Seen, audience: Audience | None, now: datetime
) -> Wait | Pause | None:
    """None where the answer that was given covers what the channel is about to see."""
    consent = subscription.consent
    if _stands(consent) and is_private(consent.visibility):
        return _of_private(consent, subscription.options, audience)
    # Nobody agreed to showing it while it is private, so all depends on whether it is.
    public = _holds(seen.everyone, now)
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
