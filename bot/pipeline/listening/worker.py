"""Reads the lists of projects that are listened to: in turns, and at once where a socket rings.

An account is asked about all of its projects in one question; what is new in one is then read by
`ListsCatchUp`, which knows what was taken in before. A socket is no proof of anything, so the
turns do not depend on it.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import structlog

from bot.errors import (
    AccountUnconfirmed,
    AccountUnopenable,
    SpeckleError,
    SpeckleForbidden,
    SpeckleNotFound,
    SpeckleScopeMissing,
    SpeckleTokenRefused,
    SpeckleUnavailable,
    StorageUnavailable,
)
from bot.fairness import current_tenant
from bot.model import DayQuota, Hook, InboxSource, Subscription
from bot.pipeline.access import AccessCheck
from bot.pipeline.catch_up.from_lists import ListsCatchUp
from bot.pipeline.listening.pace import ListeningPace
from bot.pipeline.listening.rings import Rings, Wanted
from bot.services.access_rules import Pause
from bot.services.token_lending import TokenLender
from bot.services.webhook_triggers import sends_all
from bot.speckle.activity import Activity
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.live_socket import LiveSockets
from bot.speckle_api.types import Login
from bot.storage import Storage, Transaction
from bot.timing import set_within
from bot.trace import HEARD_FACT, HeardBy, TraceFacts
from bot.work import LISTENED_AGAIN, Listened

log = structlog.get_logger()

REFUSED = (
    SpeckleForbidden,
    SpeckleNotFound,
    SpeckleScopeMissing,
    SpeckleTokenRefused,
    AccountUnconfirmed,
    AccountUnopenable,
)
ASK_WITHIN_S = 20.0
QUESTIONS_WITHOUT_LIST = 4  # versions, models, issues that moved, issues that are there
NOBODY: frozenset[int] = frozenset()
NONE: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Ear:
    """One account that listens: its projects, and what it last saw of each.

    `subscriptions` are those that it listens for, by project. `seen` are the ids of the entries
    that its last answer had, by project; `rung` the projects that are to be read before its turn,
    which comes every `every_s`; `failures` are those in a row; `lists`: its server has activity
    lists. `current` are the subscriptions that have all there was when their project was last
    looked at: what they lack happened since.
    """

    account_id: int
    server_url: str
    since: dict[str, datetime | None] = field(default_factory=dict)
    hook_ids: Mapping[str, frozenset[int]] = field(default_factory=dict)
    subscriptions: Mapping[str, frozenset[int]] = field(default_factory=dict)  # their ids
    seen: dict[str, frozenset[str]] = field(default_factory=dict)
    current: set[int] = field(default_factory=set)
    rung: set[str] = field(default_factory=set)
    every_s: float = 0.0
    due: float = 0.0
    failures: int = 0
    lists: bool = True
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def questions(self) -> int:
        """How many questions' worth its turn is: without activity lists, each project has four."""
        return len(self.since) * (1 if self.lists else QUESTIONS_WITHOUT_LIST)

    def follow(self, those: Sequence[Listened]) -> bool:
        """Take over what is listened to through the account; whether some of it is new.

        What was seen was not read for a subscription that is new, or was paused meanwhile.
        """
        lacking = [one for one in those if self._is_ahead_of(one)]
        new = {one.project_id for one in lacking}
        there = {one.subscription_id for one in those}
        self.current &= there.difference(one.subscription_id for one in lacking)
        self.since, self.hook_ids = _since(those), _hook_ids(those)
        self.subscriptions = _subscriptions(those)
        self.seen = {one: ids for one, ids in self.seen.items() if one in self.since.keys() - new}
        return bool(new)

    def _is_ahead_of(self, one: Listened) -> bool:
        """Whether more was read of the project than this subscription was given."""
        known = self.subscriptions.get(one.project_id, NOBODY)
        since = self.since.get(one.project_id)
        if one.subscription_id not in known or one.listened_until is None:
            return True
        return since is not None and one.listened_until < since

    def heard(self, project_id: str, rung: Collection[str]) -> Mapping[int, TraceFacts]:
        """What leads to reading a project now, by subscription; `rung`: what is read has rung."""
        by: TraceFacts = {HEARD_FACT: HeardBy.TURN, "every_s": round(self.every_s)}
        if project_id in rung or project_id in self.rung:
            by = {HEARD_FACT: HeardBy.RING}
        later: TraceFacts = {HEARD_FACT: HeardBy.LATER}
        expected = self.subscriptions.get(project_id, NOBODY)
        return {one: by if one in self.current else later for one in expected}


class Listener:
    """Asks account by account, servers side by side, until cancelled."""

    def __init__(
        self,
        storage: Storage,
        client: SpeckleClient,
        lender: TokenLender,
        lists: ListsCatchUp,
        access: AccessCheck,
        sockets: LiveSockets,
        *,
        quota: Callable[[int], DayQuota | None],
        pace: ListeningPace,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage = storage
        self._client = client
        self._lender = lender
        self._lists = lists
        self._access = access
        self._quota = quota
        self._pace = pace
        self._now = now
        self._clock = clock
        self._ears: dict[int, _Ear] = {}
        self._changed = asyncio.Event()
        self._servers: dict[str, asyncio.Event] = {}
        self._rings = Rings(sockets, lender, on_ring=self._rang, on_settled=self._settled)
        self._tasks: asyncio.TaskGroup | None = None

    def changed(self) -> None:
        """Say that something may be listened to that was not, or no longer is."""
        self._changed.set()

    async def read(self, hook: Hook) -> None:
        """Read now what a hook that listens has not heard yet.

        Errors: SpeckleUnavailable, StorageUnavailable.
        """
        await self._lists.take([hook])

    async def run(self) -> None:
        """Listen until cancelled."""
        current_tenant.set("listening")  # people's questions to a server take turns with it
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            while True:
                self._changed.clear()
                with suppress(StorageUnavailable):
                    await self._plan()
                    for server_url in {one.server_url for one in self._ears.values()}:
                        if server_url not in self._servers:
                            self._servers[server_url] = asyncio.Event()
                            tasks.create_task(self._server(server_url), name="listening")
                    self._rings.keep(self._sockets_wanted(), self._start)
                await set_within(self._changed, self._pace.plan_s)

    async def _plan(self) -> None:
        """Learn what is listened to now; an account that is new is asked at once."""
        wanted: defaultdict[int, list[Listened]] = defaultdict(list)
        for one in await self._storage.read(lambda tx: tx.listening.all()):
            wanted[one.account_id].append(one)
        for gone in self._ears.keys() - wanted.keys():
            del self._ears[gone]
        made = {one.hook_id for those in wanted.values() for one in those if one.made}
        for account_id, those in wanted.items():
            ear = self._ears.get(account_id)
            if ear is None:
                ear = self._ears[account_id] = _Ear(account_id, those[0].server_url)
            if ear.follow(those):
                ear.due = self._clock()
                if ear.server_url in self._servers:
                    self._servers[ear.server_url].set()
        await self._hand_over(made)

    async def _hand_over(self, hook_ids: Collection[int]) -> None:
        """Read to the end what a webhook brings by now, and listen no more.

        What happens between the two comes both ways, and is shown once. A webhook sends what owners
        agreed to for their channels; where others want more, both go on.
        """
        if not hook_ids:
            return
        for hook, followers in await self._storage.read(partial(_followed, hook_ids)):
            if not sends_all(followers):
                continue
            try:
                if not await self._lists.take([hook]):
                    await self._storage.write(partial(_end, hook.id))
                    self._changed.set()
            except StorageUnavailable:
                raise
            except SpeckleUnavailable as error:
                log.info("listening.retry_later", hook_id=hook.id, reason=error.reason)
            except Exception:  # a fault of ours over one hook must not end the bot
                log.exception("listening.failed", hook_id=hook.id)

    # ── what sockets say ──────────────────────────────────────────────────────────────────────

    def _sockets_wanted(self) -> Mapping[int, Wanted]:
        """Of servers with so many projects that questions alone come too seldom."""
        count: Counter[str] = Counter()
        for ear in self._ears.values():
            count[ear.server_url] += len(ear.since)
        return {
            ear.account_id: Wanted(ear.server_url, frozenset(ear.since), ear.lists)
            for ear in self._ears.values()
            if self._pace.holds_sockets(count[ear.server_url])
        }

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        assert self._tasks is not None, "it runs"  # noqa: S101
        return self._tasks.create_task(work, name="socket")

    def _rang(self, account_id: int, project_id: str) -> None:
        """Read a project soon, with all that rings until then."""
        ear = self._ears.get(account_id)
        if ear is None:
            return
        if not ear.rung:
            self._start(self._answer_rings(ear))
        ear.rung.add(project_id)

    async def _answer_rings(self, ear: _Ear) -> None:
        await asyncio.sleep(self._pace.debounce_s)
        projects, ear.rung = ear.rung, set()
        try:
            if not await self.look(ear.account_id, projects):
                self._settled(ear.account_id)
        except (SpeckleUnavailable, StorageUnavailable) as error:
            log.info("listening.retry_later", reason=error.reason)
            self._settled(ear.account_id)
        except Exception:  # a fault of ours over one ring; the account's turn comes
            log.exception("listening.failed", account_id=ear.account_id)

    def _settled(self, account_id: int) -> None:
        """An account's turn is now: its socket may have missed something until now."""
        ear = self._ears.get(account_id)
        if ear is not None:
            ear.due = self._clock()
            self._servers[ear.server_url].set()

    # ── one server ────────────────────────────────────────────────────────────────────────────

    async def _server(self, server_url: str) -> None:
        """One account of a server after the other, whose turn it is."""
        wake = self._servers[server_url]
        while True:
            wake.clear()
            mine = [one for one in self._ears.values() if one.server_url == server_url]
            now = self._clock()
            for ear in sorted(mine, key=lambda one: one.due):
                if ear.due > now:
                    break
                await self._turn(ear, mine)
            nearest = min((one.due for one in mine), default=now + self._pace.latest_s)
            await set_within(wake, max(0.0, nearest - self._clock()))

    async def _turn(self, ear: _Ear, mine: Sequence[_Ear]) -> None:
        ear.every_s = every_s = self._pace.every_s(sum(one.questions for one in mine))
        # Before, as a socket may ask for another look while this one is under way.
        ear.due = self._pace.next_turn(ear.account_id, self._clock(), every_s)
        failures, ear.failures = ear.failures, 0
        try:
            if not await self.look(ear.account_id):
                soon = self._clock() + self._pace.retry.delay_s(failures)
                ear.failures, ear.due = failures + 1, min(ear.due, soon)
        except SpeckleUnavailable as error:
            log.info("listening.retry_later", server=error.server_url, reason=error.reason)
            wait_s = max(error.retry_in_s or 0.0, self._pace.retry.delay_s(failures))
            ear.failures, ear.due = failures + 1, self._clock() + wait_s
        except StorageUnavailable as error:
            log.error("worker.database_unavailable", worker="listening", reason=error.reason)
            ear.due = self._clock() + self._pace.retry.delay_s(0)
        except Exception:  # a fault of ours over one account must not keep the others waiting
            log.exception("listening.failed", account_id=ear.account_id)

    # ── one account ───────────────────────────────────────────────────────────────────────────

    async def look(self, account_id: int, projects: Collection[str] | None = None) -> bool:
        """Ask an account about its projects, or these, and read those where something is new.

        False: something is left to be read a little later.
        Errors: SpeckleUnavailable, StorageUnavailable.
        """
        ear = self._ears.get(account_id)
        if ear is None:
            return True
        async with ear.looking:
            try:
                return await self._look(ear, projects)
            except (SpeckleUnavailable, StorageUnavailable):
                ear.current.clear()
                raise

    async def _look(self, ear: _Ear, projects: Collection[str] | None) -> bool:
        wanted = [one for one in ear.since if projects is None or one in projects]
        rung = NONE if projects is None else projects
        after = {one: _after(ear.since[one]) for one in wanted}
        question = partial(self._ask, after)
        try:
            found = await self._lender.as_account(ear.account_id, question)
        except REFUSED as error:
            await self._lost(ear, wanted, error)
            return True
        ear.lists = found is not None
        if found is None:
            return all([await self._read(ear, project_id, rung) for project_id in wanted])
        done = True
        for project_id, answer in found.items():
            if isinstance(answer, SpeckleError):
                await self._lost(ear, [project_id], answer)
            elif not await self._note(ear, project_id, answer, rung):
                done = False
        return done

    async def _note(
        self, ear: _Ear, project_id: str, lines: Sequence[Activity], rung: Collection[str]
    ) -> bool:
        """Read a project if its newest lines have some that were not there before; False if that
        is not done.
        """
        ids = frozenset(line.id for line in lines)
        if not ids - ear.seen.get(project_id, frozenset()):
            ear.current |= ear.subscriptions.get(project_id, NOBODY)
            return True
        if not await self._read(ear, project_id, rung):
            return False
        ear.seen[project_id] = ids
        newest, since = max(line.at for line in lines), ear.since.get(project_id)
        if project_id in ear.since and (since is None or since < newest):
            ear.since[project_id] = newest
        return True

    async def _ask(
        self, after: Mapping[str, datetime | None], login: Login
    ) -> Mapping[str, Sequence[Activity] | SpeckleError] | None:
        return await self._client.activity.of_many(login, after, within_s=ASK_WITHIN_S)

    async def _read(self, ear: _Ear, project_id: str, rung: Collection[str]) -> bool:
        """Read what is new in a project; whether that is done."""
        hooks = await self._storage.read(
            lambda tx: tx.hooks.these(ear.hook_ids.get(project_id, frozenset()))
        )
        listening = [one for one in hooks if one.listens and await self._has_room(one)]
        expected = ear.heard(project_id, rung)
        ear.current -= expected.keys()
        left = await self._lists.take(listening, [ear.account_id], expected)
        if left:
            self._changed.set()  # who is expected may have been paused
        if left or len(listening) < len(hooks):
            return False
        ear.current |= expected.keys()
        return True

    async def _has_room(self, hook: Hook) -> bool:
        """Whether today has room for anything of a hook; a later turn asks again."""
        quota = self._quota(hook.guild_id)
        return quota is None or await self._storage.read(
            lambda tx: tx.day_use.has_room_now(quota, hook.id)
        )

    async def _lost(self, ear: _Ear, projects: Sequence[str], error: SpeckleError) -> None:
        """Ask the rule about channels whose account was refused, and pause those it says."""
        log.info("listening.refused", account_id=ear.account_id, reason=error.reason)
        for project_id in projects:
            for hook, mine in await self._storage.read(partial(_channels, ear, project_id)):
                decisions = await self._access.decide_and_record(
                    hook, mine, InboxSource.LIVE, fresh=True
                )
                for subscription_id, decision in decisions.items():
                    if isinstance(decision, Pause):
                        await self._lists.pause(subscription_id, decision)
        self._changed.set()


def _followed(
    hook_ids: Collection[int], tx: Transaction
) -> Sequence[tuple[Hook, Sequence[Subscription]]]:
    return [(hook, tx.subscriptions.of_hook(hook.id)) for hook in tx.hooks.these(hook_ids)]


def _end(hook_id: int, tx: Transaction) -> None:
    tx.listening.end(hook_id)


def _channels(
    ear: _Ear, project_id: str, tx: Transaction
) -> Sequence[tuple[Hook, Sequence[Subscription]]]:
    """The hooks of an account's project, with the subscriptions that it listens for."""
    return [
        (hook, [o for o in tx.subscriptions.of_hook(hook.id) if o.account_id == ear.account_id])
        for hook in tx.hooks.these(ear.hook_ids.get(project_id, frozenset()))
    ]


def _since(those: Sequence[Listened]) -> dict[str, datetime | None]:
    """From when on each project is to be read: as the subscription that has read least."""
    times: defaultdict[str, list[datetime | None]] = defaultdict(list)
    for one in those:
        times[one.project_id].append(one.listened_until)
    return {
        project_id: None if None in some else min(filter(None, some))
        for project_id, some in times.items()
    }


def _hook_ids(those: Sequence[Listened]) -> Mapping[str, frozenset[int]]:
    found: defaultdict[str, set[int]] = defaultdict(set)
    for one in those:
        found[one.project_id].add(one.hook_id)
    return {project_id: frozenset(ids) for project_id, ids in found.items()}


def _subscriptions(those: Sequence[Listened]) -> Mapping[str, frozenset[int]]:
    found: defaultdict[str, set[int]] = defaultdict(set)
    for one in those:
        found[one.project_id].add(one.subscription_id)
    return {project_id: frozenset(ids) for project_id, ids in found.items()}


def _after(until: datetime | None) -> datetime | None:
    return None if until is None else until - LISTENED_AGAIN
