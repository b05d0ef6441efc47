"""Finds out what the one rule has to know, and asks it: who may see what, at this moment.

Speckle is asked at most every ten minutes for each account and project. A server that does not
answer makes events wait an hour after its last yes, as the rule says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

import structlog
from cachetools import LRUCache, TTLCache

from bot.errors import (
    NOT_FOR_ACCOUNT,
    AccountUnconfirmed,
    AccountUnopenable,
    SpeckleError,
    SpeckleForbidden,
    SpeckleNotFound,
    SpeckleScopeMissing,
    SpeckleTokenRefused,
    SpeckleUnavailable,
)
from bot.model import Hook, InboxSource, PauseWhy, Subscription
from bot.permissions import Audience, MemberPresence
from bot.services.access_rules import (
    NEVER_ANSWERED,
    AccessAnswer,
    AccessAnswers,
    Decision,
    LastAnswer,
    LiveFor,
    Pause,
    decide,
    depends_on_openness,
    hears_if_public,
    is_private,
)
from bot.services.token_lending import TokenLender
from bot.single_flight import SingleFlightCache
from bot.speckle.visibility import NOT_PUBLIC
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.types import Login, ProjectRights
from bot.storage import Storage
from bot.timing import Backoff

log = structlog.get_logger()

ASK_AGAIN_AFTER = timedelta(minutes=10)
# An answer that comes later is good for the next event, or for this one when it is tried again.
LATE_WITHIN_S = 10.0
LATE_FOR_S = 400.0
MOST_LATE = 1000
MOST_KNOWN = 10_000

Answer = ProjectRights | SpeckleError
Answered = TypeVar("Answered")


@dataclass(frozen=True, slots=True)
class AccessTimings:
    """How long an answer may take, and how long one counts."""

    answer_within_s: float = 4.0  # renewing a token included; below the deadline of enrichment
    # Discord's library waits and tries again for half a minute on its own; events must not.
    discord_within_s: float = 4.0
    # Who did not answer is not asked for so long: each event would wait for it.
    silent_for_s: float = 15.0
    member_known_s: float = 600.0  # who left is noticed as soon as lost access is
    retry: Backoff = Backoff((15.0, 60.0, 300.0))  # of an event that waits


class ChannelAudience(Protocol):
    """What Discord knows of who sees a channel; asked for cheaply, from what the bot has heard."""

    async def audience(self, guild_id: int, channel_id: int) -> Audience | None:
        """Who can see a channel: nobody where it is gone, None if that cannot be found out now."""

    async def person(self, guild_id: int, channel_id: int, user_id: int) -> MemberPresence:
        """Whether somebody is in the guild and sees the channel."""


@dataclass(frozen=True, slots=True)
class AccessDecisions:
    """What the rule says, by subscription, and what was learned on the way.

    `seen` are subscriptions whose account was just found to have access; `visibility` is what a
    question without a token found, None where none was asked; `silence` is why a server did not
    answer.
    """

    decisions: Mapping[int, Decision] = field(default_factory=dict)
    seen: frozenset[int] = frozenset()
    visibility: str | None = None
    silence: str | None = None


class AccessCheck:
    """Asks once for all subscriptions of one account and project."""

    def __init__(
        self,
        storage: Storage,
        client: SpeckleClient,
        lender: TokenLender,
        channel_audience: ChannelAudience,
        now: Callable[[], datetime],
        timings: AccessTimings = AccessTimings(),
        live_for: LiveFor = LiveFor.READERS,
    ) -> None:
        self._live_for = live_for
        self._storage = storage
        self._client = client
        self._lender = lender
        self._channel_audience = channel_audience
        self._now = now
        self._late = SingleFlightCache[Answer](max_values=MOST_LATE, ttl_s=LATE_FOR_S)
        self._silent = TTLCache[str, str](MOST_KNOWN, timings.silent_for_s)  # why, by server
        self._timings = timings
        self._mute = TTLCache[Hashable, bool](MOST_KNOWN, timings.silent_for_s)
        self._people = LRUCache[int, int](MOST_KNOWN)  # Discord ids by account

    async def decide_and_record(
        self,
        hook: Hook,
        subscriptions: Sequence[Subscription],
        source: InboxSource,
        *,
        fresh: bool = False,
    ) -> Mapping[int, Decision]:
        """What the rule says of a hook's subscriptions, by their ids; what is learned is kept."""
        found = await self.ask(hook, subscriptions, source, fresh=fresh)
        if found.seen:
            await self._storage.write(lambda tx: tx.subscriptions.record_access(found.seen))
        if (visibility := found.visibility) is not None:
            await self._storage.write(
                lambda tx: tx.hooks.record_project_visibility(hook.id, visibility)
            )
        return found.decisions

    async def ask(
        self,
        hook: Hook,
        subscriptions: Sequence[Subscription],
        source: InboxSource,
        *,
        fresh: bool = False,
    ) -> AccessDecisions:
        """The same, for who writes down what is learned; `fresh` believes no last yes."""
        if not subscriptions:
            return AccessDecisions()
        answers, (everyone, visibility), people, audiences = await asyncio.gather(
            self._answers(hook, subscriptions, fresh=fresh),
            self._everyone(hook, subscriptions, fresh=fresh),
            self._persons(hook, subscriptions),
            self._audiences(hook, subscriptions),
        )
        words = {account_id: _word(answer, None) for account_id, answer in answers.items()}
        denied = any(word.answer is AccessAnswer.NO for word in words.values())
        asks = denied and not is_private(hook.visibility)
        if source is InboxSource.LIVE and hook.is_heard:
            asks |= any(self._hears_if_public(one, words) for one in subscriptions)
        if asks and everyone == NEVER_ANSWERED:
            everyone, visibility = await self._openness(hook, fresh=fresh)
        operator = self._lender.serves_as_operator(hook)
        now = self._now()
        decisions: dict[int, Decision] = {}
        for one in subscriptions:
            word = words.get(one.account_id or 0, NEVER_ANSWERED)
            decisions[one.id] = decide(
                one,
                hook,
                source,
                AccessAnswers(_fresh(one, word, fresh, now), everyone, operator, self._live_for),
                people.get(one.id, MemberPresence.UNKNOWN),
                audiences.get(one.channel_id),
                now,
            )
        asked = {
            account_id for account_id, word in words.items() if word.answer is AccessAnswer.YES
        }
        seen = frozenset(one.id for one in subscriptions if one.account_id in asked)
        _log_pauses(hook, decisions)
        silences = (SpeckleUnavailable, AccountUnopenable)
        silent = (one.reason for one in answers.values() if isinstance(one, silences))
        return AccessDecisions(decisions, seen, visibility, next(silent, None))

    def _hears_if_public(self, subscription: Subscription, words: Mapping[int, LastAnswer]) -> bool:
        word = words.get(subscription.account_id or 0, NEVER_ANSWERED)
        return hears_if_public(subscription, self._live_for, word)

    def wait_s(self, attempts: int) -> float:
        """Seconds until an event that waits is tried again."""
        return self._timings.retry.delay_s(attempts)

    # ── Speckle ───────────────────────────────────────────────────────────────────────────────

    async def _answers(
        self, hook: Hook, subscriptions: Sequence[Subscription], *, fresh: bool
    ) -> Mapping[int, Answer]:
        """What the server says to each account that has to be asked now, by its id."""
        now = self._now()
        ids = {
            one.account_id
            for one in subscriptions
            if one.account_id is not None and (fresh or not _is_fresh(one.access_ok_at, now))
        }
        asked = sorted(ids)
        answers = await asyncio.gather(*(self._ask_account(hook, one) for one in asked))
        return dict(zip(asked, answers, strict=True))

    async def _ask_account(self, hook: Hook, account_id: int) -> Answer:
        async def ask() -> Answer:
            return await self._lender.as_account(account_id, partial(self._answer, hook.project_id))

        return await self._in_time(hook.server_url, ask)

    async def _everyone(
        self, hook: Hook, subscriptions: Sequence[Subscription], *, fresh: bool
    ) -> tuple[LastAnswer, str | None]:
        """What the server says to who has no token, where a subscription depends on that."""
        if not any(depends_on_openness(one, hook) for one in subscriptions):
            return NEVER_ANSWERED, None
        return await self._openness(hook, fresh=fresh)

    async def _openness(self, hook: Hook, *, fresh: bool) -> tuple[LastAnswer, str | None]:
        now = self._now()
        # A no since then ends the last yes.
        yes_at = None if is_private(hook.visibility) else hook.public_at
        if not fresh and _is_fresh(yes_at, now):
            return LastAnswer(AccessAnswer.YES, yes_at), None
        answer = await self._in_time(
            hook.server_url,
            lambda: self._answer(hook.project_id, Login(hook.server_url)),
        )
        word = _word(answer, yes_at)
        match word.answer:
            case AccessAnswer.NO_ANSWER:
                return word, None
            case AccessAnswer.NO:
                return word, NOT_PUBLIC
            case AccessAnswer.YES:
                open_as = answer.visibility if isinstance(answer, ProjectRights) else None
                return LastAnswer(AccessAnswer.YES, now), open_as

    async def _in_time(self, server_url: str, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            async with asyncio.timeout(self._timings.answer_within_s):
                return await ask()
        except TimeoutError:
            error: SpeckleError = SpeckleUnavailable(server_url, "no answer in time")
        except SpeckleError as refused:
            error = refused
        if isinstance(error, SpeckleUnavailable) and server_url not in self._silent:
            self._silent[server_url] = error.reason
        return error

    async def _answer(self, project_id: str, login: Login) -> Answer:
        """What the server says, or has said since nobody waited for it any more; used once."""
        key = (login, project_id)
        silence = self._silent.get(login.server_url)
        if silence is not None and not self._late.has(key):
            raise SpeckleUnavailable(login.server_url, silence)
        answer = await self._late.get(key, partial(self._project, project_id, login))
        self._late.forget(key)
        return answer

    async def _project(self, project_id: str, login: Login) -> Answer:
        try:
            return await self._client.project(login, project_id, within_s=LATE_WITHIN_S)
        except NOT_FOR_ACCOUNT as no:
            return no  # an answer like another, which may come late, too

    # ── Discord ───────────────────────────────────────────────────────────────────────────────

    async def _persons(
        self, hook: Hook, subscriptions: Sequence[Subscription]
    ) -> Mapping[int, MemberPresence]:
        """Whether each account's person is still there, by subscription."""
        asked = [one for one in subscriptions if one.account_id is not None]
        found = await asyncio.gather(*(self._person(hook, one) for one in asked))
        return {one.id: presence for one, presence in zip(asked, found, strict=True)}

    async def _person(self, hook: Hook, subscription: Subscription) -> MemberPresence:
        user_id = await self._person_of(subscription.account_id or 0)
        if user_id is None:
            return MemberPresence.LEFT
        presence = await self._asked_discord(
            ("people", hook.guild_id),
            lambda: self._channel_audience.person(hook.guild_id, subscription.channel_id, user_id),
        )
        return presence or MemberPresence.UNKNOWN

    async def _asked_discord(
        self, about: Hashable, ask: Callable[[], Awaitable[Answered]]
    ) -> Answered | None:
        """What Discord says in time; None if it does not, or just did not about the same."""
        if about in self._mute:
            return None
        try:
            async with asyncio.timeout(self._timings.discord_within_s):
                return await ask()
        except TimeoutError:
            self._mute[about] = True
            return None

    async def _person_of(self, account_id: int) -> int | None:
        known = self._people.get(account_id)
        if known is not None:
            return known
        account = await self._storage.read(lambda tx: tx.accounts.get(account_id))
        if account is None:
            return None
        self._people[account_id] = account.discord_user_id
        return account.discord_user_id

    async def _audiences(
        self, hook: Hook, subscriptions: Iterable[Subscription]
    ) -> Mapping[int, Audience | None]:
        channels = sorted({one.channel_id for one in subscriptions if one.consent is not None})
        found = await asyncio.gather(*(self._audience(hook.guild_id, one) for one in channels))
        return dict(zip(channels, found, strict=True))

    async def _audience(self, guild_id: int, channel_id: int) -> Audience | None:
        return await self._asked_discord(
            ("channel", channel_id), lambda: self._channel_audience.audience(guild_id, channel_id)
        )


def _is_fresh(yes_at: datetime | None, now: datetime) -> bool:
    return yes_at is not None and now - yes_at < ASK_AGAIN_AFTER


def _fresh(subscription: Subscription, word: LastAnswer, fresh: bool, now: datetime) -> LastAnswer:
    """The word of the subscription's account: of now, else the last yes, which holds a while."""
    yes_at = subscription.access_ok_at
    if word.answer is not AccessAnswer.NO_ANSWER:
        return word
    if not fresh and _is_fresh(yes_at, now):
        return LastAnswer(AccessAnswer.YES, yes_at)
    return LastAnswer(AccessAnswer.NO_ANSWER, yes_at)


def _word(answer: Answer, yes_at: datetime | None) -> LastAnswer:
    match answer:
        case ProjectRights():
            return LastAnswer(AccessAnswer.YES, yes_at, owner=answer.may_webhooks)
        case AccountUnconfirmed():
            return LastAnswer(AccessAnswer.NO, yes_at, PauseWhy.UNCONFIRMED)
        case SpeckleTokenRefused():
            return LastAnswer(AccessAnswer.NO, yes_at, PauseWhy.TOKEN_REFUSED)
        case SpeckleScopeMissing():
            return LastAnswer(AccessAnswer.NO, yes_at, PauseWhy.SCOPE_MISSING)
        case SpeckleForbidden():
            return LastAnswer(AccessAnswer.NO, yes_at, PauseWhy.FORBIDDEN)
        case SpeckleNotFound():
            return LastAnswer(AccessAnswer.NO, yes_at, PauseWhy.NOT_FOUND)
        case _:
            return LastAnswer(AccessAnswer.NO_ANSWER, yes_at)


def _log_pauses(hook: Hook, decisions: Mapping[int, Decision]) -> None:
    for subscription_id, decision in decisions.items():
        if isinstance(decision, Pause):
            log.warning(
                "access.paused",
                hook_id=hook.id,
                subscription_id=subscription_id,
                reason=decision.reason.value,
                why=decision.why.value,
            )
