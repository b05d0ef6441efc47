"""What a project's lists tell of and the inbox lacks, where no history can be read.

A list says what happened, not what was delivered; so only kinds are taken from it that the webhook
has brought before, and only what was not taken in and does not wait to be looked at. It is read for
a subscription with that subscription's account, and shown there alone.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

import structlog

from bot.cards.notes import CardNote, NoteKind
from bot.errors import ACCOUNT_REFUSED, NotADelivery, SpeckleError, SpeckleUnavailable
from bot.log import MOST_EVENTS
from bot.model import (
    KEEPING_PAUSES,
    AccessPause,
    Hook,
    InboxSource,
    Subscription,
    SubscriptionState,
)
from bot.quota import DayQuota
from bot.services.access_rules import Decision, Pause, ReadPermit, Show, Wait, may_read_lists
from bot.services.token_lending import TokenLender
from bot.speckle.activity import Activity, body_of, event_key, without_content
from bot.speckle.listed import ListedEntry, entries_of
from bot.speckle.payloads import event_name_of, read_envelope
from bot.speckle.remembered import ProjectState, differences
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.types import Login
from bot.storage import Storage, Transaction
from bot.trace import TraceFacts
from bot.work import CLOCKS_APART, LISTENED_AGAIN, FetchedEvent, SeenProject, TakenIn

log = structlog.get_logger()

ASK_WITHIN_S = 30.0
KEYS_SINCE = "catch_up.content_keys_since"
SUBJECTS_SINCE = "catch_up.subjects_since"
LISTED = 500
LISTED_LIVE = 20_000  # whatever happened while nobody listened is read
OVERLAP = timedelta(minutes=15)
SETTLED = timedelta(minutes=2)  # until then its webhook may still come
NOBODY: Mapping[int, TraceFacts] = {}
NO_FACTS: TraceFacts = {}

Decide: TypeAlias = Callable[
    [Hook, Sequence[Subscription], InboxSource], Awaitable[Mapping[int, Decision]]
]
"""What the rule says of some subscriptions of a hook, by their ids."""


@dataclass(frozen=True, slots=True)
class _ListReader:
    """A subscription that the list is read for, with leave, from a moment on.

    `heard`: what led to it, for the traces.
    """

    hook: Hook
    subscription: Subscription
    permit: ReadPermit
    after: datetime
    heard: TraceFacts


@dataclass(frozen=True, slots=True)
class _Portion:
    """Entries of a list, oldest first; `whole_since`: the list was cut, and begins there.

    `state`: what there is now, of a server without an activity list.
    """

    entries: Sequence[ListedEntry]
    whole_since: datetime | None
    state: ProjectState | None = None

    @property
    def last_at(self) -> datetime | None:
        """The time of its last entry."""
        return self.entries[-1].entry.at if self.entries else None


class ListsCatchUp:
    """Takes in what lists tell of beyond what came."""

    def __init__(
        self,
        storage: Storage,
        client: SpeckleClient,
        lender: TokenLender,
        decide: Decide,
        *,
        on_stored: Callable[[], None],
        look_back: timedelta,
        now: Callable[[], datetime],
        quota: Callable[[int], DayQuota | None],
        on_full: Callable[[Hook], Awaitable[object]] | None = None,
        decide_again: Decide | None = None,
        sure_now: Callable[[], datetime] | None = None,
    ) -> None:
        """`on_full` is told of a hook that the day has no room for; `decide_again` is the rule that
        believes no last yes; `sure_now` is a time that does not go by this machine's clock, for
        what is live.
        """
        self._decide_again = decide_again or decide
        self._quota = quota
        self._on_full = on_full
        self._storage = storage
        self._client = client
        self._lender = lender
        self._decide = decide
        self._on_stored = on_stored
        self._look_back = look_back
        self._now = now
        self._sure_now = sure_now or now

    async def take(
        self,
        hooks: Sequence[Hook],
        accounts: Collection[int] | None = None,
        expected: Mapping[int, TraceFacts] = NOBODY,
        others: TraceFacts = NO_FACTS,
        known: Sequence[Activity] = (),
    ) -> set[int]:
        """Take in what is missing, for hooks of one project; those where it is not settled.

        Hooks that listen are for themselves, as they are read to the end and no webhook is there to
        pause their channels. With `accounts`, for their channels alone. Each reader is asked for
        once. It is not settled either while one of the `expected` subscriptions is paused, or the
        list lacks lines that are `known` to be in it; with each is given what its events' traces
        are to say, with `others` what those of others are to say. Errors:
            SpeckleUnavailable: the server cannot be asked.
            StorageUnavailable: the database does not answer.
        """
        at = self._now()
        left: set[int] = set()
        live = hooks[0].listens if hooks else False
        by_reader: defaultdict[object, list[_ListReader]] = defaultdict(list)
        missing = set(expected)
        for hook in hooks:
            decisions = await self._decisions(hook, at, accounts)
            if any(isinstance(decision, Wait) for _, decision in decisions):
                left.add(hook.id)
            missing.difference_update(
                one.id for one, decision in decisions if not isinstance(decision, Pause)
            )
            for subscription, decision in decisions:
                if isinstance(decision, Pause) and hook.listens:
                    await self._pause(subscription.id, decision)
                if isinstance(decision, Show) and decision.permit is not None:
                    after = await self._after(hook, subscription, at)
                    heard = expected.get(subscription.id, others)
                    reading = _ListReader(hook, subscription, decision.permit, after, heard)
                    by_reader[decision.permit.reader].append(reading)
        for readings in by_reader.values():
            left |= await self._read(readings, at, known, live=live)
        if missing:
            left.update(hook.id for hook in hooks)
        looked = [hook.id for hook in hooks if hook.id not in left]

        def note(tx: Transaction) -> None:
            for hook_id in looked:
                tx.missed_events.note_look(hook_id, at)

        if looked:
            await self._storage.write(note)
        return left

    async def ask_again(self, hook: Hook, subscriptions: Sequence[Subscription]) -> None:
        """Ask the rule about channels that are live, and pause those that it says."""
        decisions = await self._decide_again(hook, subscriptions, InboxSource.LIVE)
        for subscription_id, decision in decisions.items():
            if isinstance(decision, Pause):
                await self._pause(subscription_id, decision)

    async def _pause(self, subscription_id: int, why: Pause) -> None:
        """Pause a channel; its events are fetched once somebody has answered for it."""
        pause = AccessPause(why.reason, why.why)
        await self._storage.write(
            lambda tx: tx.held_events.hold_back(subscription_id, self._now(), pause)
        )

    async def _decisions(
        self, hook: Hook, at: datetime, accounts: Collection[int] | None
    ) -> Sequence[tuple[Subscription, Decision]]:
        """What the rule says of the subscriptions that somebody can read the list for.

        What happens while a member has paused one is not fetched afterwards; while it is paused
        for another reason it is.
        """
        followers = await self._storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
        paused = [one for one in followers if one.state is SubscriptionState.PAUSED]
        passed_by = [one.id for one in paused if one.pause_reason not in KEEPING_PAUSES]
        if passed_by and not hook.listens:
            await self._storage.write(lambda tx: tx.missed_events.readers(passed_by, at))
        operator = self._lender.serves_as_operator(hook)
        source = InboxSource.LIVE if hook.listens else InboxSource.ACTIVITY
        asking = [
            one
            for one in followers
            if one not in paused
            and may_read_lists(one, operator=operator)
            and (accounts is None or one.account_id in accounts)
        ]
        decisions = await self._decide(hook, asking, source)
        return [(one, decisions[one.id]) for one in asking]

    async def _after(self, hook: Hook, subscription: Subscription, at: datetime) -> datetime:
        """From when on it is read: never from before the hook first heard of the project."""
        if hook.listens and subscription.listened_until is not None:
            horizon = self._sure_now() - self._look_back
            return max(subscription.listened_until - LISTENED_AGAIN, horizon)
        live_at = at if hook.live_at is None else hook.live_at
        moments = [subscription.shows_since, live_at, at - self._look_back]
        if subscription.caught_up_at is not None:
            moments.append(subscription.caught_up_at - OVERLAP)
        return max(*moments, await self.keys_since(at))

    async def _read(
        self,
        readings: Sequence[_ListReader],
        at: datetime,
        known: Sequence[Activity],
        *,
        live: bool,
    ) -> set[int]:
        """Read once for all of one reader; the hooks where it is not settled."""
        lacking: set[str] = set()
        to_note = {one.subscription.id for one in readings}
        going = list(readings)
        try:
            async for portion in self._portions(readings, at, known, lacking, live=live):
                for one in tuple(going):
                    noted = one.subscription.id not in to_note
                    done = await self._take_in(one, portion, at, noted=noted)
                    if done is None or done.full:
                        going.remove(one)
                    elif done.rows:
                        to_note.discard(one.subscription.id)
        except SpeckleUnavailable:
            raise
        except SpeckleError as error:
            project_id = readings[0].hook.project_id
            log.warning("catch_up.refused", project_id=project_id, reason=error.reason)
            if not live:
                return set()
            if isinstance(error, ACCOUNT_REFUSED):
                for one in readings:
                    await self.ask_again(one.hook, [one.subscription])
            return {one.hook.id for one in readings}
        done_with = [one.subscription.id for one in going]
        await self._storage.write(lambda tx: tx.missed_events.readers(done_with, at))
        if lacking:
            log.warning("listening.list_lacks_entries", count=len(lacking))
            return {one.hook.id for one in readings}
        return {one.hook.id for one in readings if one not in going}

    async def _portions(
        self,
        readings: Sequence[_ListReader],
        at: datetime,
        known: Sequence[Activity],
        lacking: set[str],
        *,
        live: bool,
    ) -> AsyncIterator[_Portion]:
        """What is settled of the lists: of the activity list as much at a time as can be read with
        pictures, else of what there is. The ids of `known` lines that are not in it are added to
        those `lacking`.
        """
        permit, project_id = readings[0].permit, readings[0].hook.project_id
        after = min(one.after for one in readings)
        limit = LISTED_LIVE if live else LISTED
        settled = None if live else at - SETTLED
        lines = await self._lender.with_permit(
            permit,
            lambda login: self._client.activity.since(
                login, project_id, after=after, limit=limit, within_s=ASK_WITHIN_S
            ),
        )
        if lines is None:
            yield await self._without_activity(permit, project_id, after, at, settled)
            return
        lacking |= {line.id for line in known if line.at >= after} - {line.id for line in lines}
        whole_since = lines[0].at if len(lines) >= limit else None
        rest = [line for line in lines if settled is None or line.at <= settled]
        count = len(rest)
        while rest:
            some = await self._lender.with_permit(
                permit, partial(self._with_info, project_id, rest[:count])
            )
            yield _Portion([ListedEntry(line) for line in some], whole_since)
            count, rest = 2 * len(some), rest[len(some) :]

    async def _without_activity(
        self,
        permit: ReadPermit,
        project_id: str,
        after: datetime,
        at: datetime,
        until: datetime | None,
    ) -> _Portion:
        """What a server without an activity list has of versions, models and issues."""
        since = max(after, await self._kept_once(SUBJECTS_SINCE, at))
        changes = await self._lender.with_permit(
            permit,
            lambda login: self._client.changes_since(
                login,
                project_id,
                after=since,
                limit=LISTED,
                with_state=until is None,
                within_s=ASK_WITHIN_S,
            ),
        )
        found = entries_of(changes, since)
        settled = [one for one in found if until is None or one.entry.at <= until]
        return _Portion(settled, changes.whole_since, changes.state)

    async def _with_info(
        self, project_id: str, lines: Sequence[Activity], login: Login
    ) -> Sequence[Activity]:
        return await self._client.activity.with_info(
            login, project_id, lines, within_s=ASK_WITHIN_S
        )

    async def _take_in(
        self, reading: _ListReader, portion: _Portion, at: datetime, *, noted: bool
    ) -> TakenIn | None:
        """Take in what one subscription lacks; None where that is not settled.

        `noted`: it was said before that the list was cut.
        """
        hook, subscription, whole_since = reading.hook, reading.subscription, portion.whole_since
        fetched = [
            found
            for one in portion.entries
            if one.entry.at >= reading.after and (found := _fetched(hook, one)) is not None
        ]
        seen = None if portion.state is None else await self._seen(reading, portion.state, at)
        short = None
        if whole_since is not None and whole_since > reading.after and not noted:
            note = CardNote(NoteKind.ACTIVITY_TOO_LONG)
            short = note.to_stored()
            log.warning("catch_up.history_incomplete", hook_id=hook.id, why=note.kind.value)
            await self._storage.write(lambda tx: tx.missed_events.note_gap(hook.id))
        done = await self._storage.write(
            lambda tx: tx.missed_events.add_from_lists(
                hook,
                subscription,
                fetched,
                short,
                self._quota(hook.guild_id),
                live=hook.listens,
                heard=reading.heard,
                live_until=_live_until(reading, portion.last_at, self._sure_now() + CLOCKS_APART),
                seen=seen,
            )
        )
        if done is None:
            log.info("catch_up.activity_retry_later", subscription_id=subscription.id)
            return None
        if done.rows:
            self._on_stored()
            log.info(
                "listening.read" if hook.listens else "catch_up.activity",
                subscription_id=subscription.id,
                taken=len(done.rows),
                events=done.rows[:MOST_EVENTS],
                **reading.heard,
            )
        if done.full:
            log.info("catch_up.quota_full", hook_id=hook.id)
            if self._on_full is not None:
                await self._on_full(hook)
        return done

    async def _seen(self, reading: _ListReader, now: ProjectState, at: datetime) -> SeenProject:
        """What is otherwise than it was for a subscription; nothing at its first look."""
        subscription_id = reading.subscription.id
        stored = await self._storage.read(lambda tx: tx.remembered_projects.of(subscription_id))
        if stored is None or stored[1] < at - self._look_back:
            return SeenProject(stored, now.to_json(), at)
        before = ProjectState.from_json(stored[0])
        note = CardNote(NoteKind.COMPARED).to_stored()
        changes = tuple(
            (replace(event, note=note), partial(one.state.to_json))
            for one in differences(before, now, at)
            if (event := _fetched(reading.hook, ListedEntry(one.entry, one.subject))) is not None
        )
        return SeenProject(stored, before.after(now).to_json(), at, changes)

    async def keys_since(self, at: datetime) -> datetime:
        """Since when rows of the inbox have such keys; before, nobody knows what had come."""
        await self._kept_once(SUBJECTS_SINCE, at)
        return await self._kept_once(KEYS_SINCE, at)

    async def _kept_once(self, name: str, at: datetime) -> datetime:
        return datetime.fromisoformat(
            await self._storage.write(lambda tx: tx.key_values.set_once(name, at.isoformat()))
        )


def _live_until(
    reading: _ListReader, last_at: datetime | None, latest: datetime
) -> datetime | None:
    """Until when the list is read now, of what is live; not beyond `latest`.

    Where a server's clock was ahead for a while it has entries of the future, and what happens
    until then is not read yet. At a first read that nothing was noted before, as the bot was killed
    then, what is from before its beginning is not to be read again with what overlaps.
    """
    if not reading.hook.listens or last_at is None:
        return None
    until = min(last_at, latest)
    begins = reading.subscription.listened_until is None
    return max(until, reading.after + LISTENED_AGAIN) if begins else until


def _fetched(hook: Hook, listed: ListedEntry) -> FetchedEvent | None:
    """The entry as an event to take in, without its content if that cannot be read; None for what
    is none.
    """
    found = None if listed.entry.cut else _event_of(hook, listed.entry, listed.subject, None)
    if found is not None:
        return found
    note = CardNote(NoteKind.CONTENT_TOO_LARGE).to_stored()
    return _event_of(hook, without_content(listed.entry, hook.project_id), listed.subject, note)


def _event_of(
    hook: Hook, entry: Activity, subject: str | None, note: str | None
) -> FetchedEvent | None:
    try:
        body = body_of(
            entry,
            server_url=hook.server_url,
            project_id=hook.project_id,
            project_name=hook.project_name,
            visibility=hook.visibility,
        )
        envelope = read_envelope(body)
        name, key = event_name_of(envelope), event_key(envelope)
        return FetchedEvent(entry.at, name, key, body, subject, note)
    except (NotADelivery, RecursionError):
        return None
