"""Reads the lists of projects that are listened to: in turns, and at once where a socket rings.

An account is asked about all of its projects in one question; what is new in one is then read by
`ListsCatchUp`, which knows what was taken in before. A socket is no proof of anything, so the
turns do not depend on it.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

import structlog

from bot.errors import (
    ACCOUNT_REFUSED,
    SpeckleError,
    SpeckleFault,
    SpeckleUnavailable,
    StorageUnavailable,
)
from bot.fairness import current_tenant
from bot.model import Hook, Subscription
from bot.pipeline.catch_up.from_lists import ListsCatchUp
from bot.pipeline.listening.ear import FALSE_RINGS, LATER, Ear, are_told, read_from
from bot.pipeline.listening.pace import ListeningPace
from bot.pipeline.listening.rings import Rings, Wanted
from bot.quota import DayQuota
from bot.services.access_rules import LiveFor, hears_if_public
from bot.services.token_lending import TokenLender
from bot.services.webhook_triggers import sends_all
from bot.speckle.activity import Activity
from bot.speckle_api.activity_list import NEWEST
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.live_socket import LiveSockets
from bot.speckle_api.types import Login
from bot.storage import Storage, Transaction
from bot.timing import set_within
from bot.work import Listened, ToldEntry

log = structlog.get_logger()

ASK_WITHIN_S = 20.0
NONE: frozenset[str] = frozenset()
FALSE_RINGS_S = 60.0  # FALSE_RINGS within these, and what rings waits as long as a turn would


class Listener:
    """Asks account by account, servers side by side, until cancelled."""

    def __init__(
        self,
        storage: Storage,
        client: SpeckleClient,
        lender: TokenLender,
        lists: ListsCatchUp,
        sockets: LiveSockets,
        *,
        live_for: LiveFor,
        quota: Callable[[int], DayQuota | None],
        on_full: Callable[[Hook], Awaitable[object]],
        on_checks: Callable[[str, str, str], None],
        pace: ListeningPace,
        sure_now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage = storage
        self._client = client
        self._lender = lender
        self._lists = lists
        self._live_for = live_for
        self._quota = quota
        self._on_full = on_full
        self._pace = pace
        self._sure_now = sure_now
        self._clock = clock
        self._ears: dict[int, Ear] = {}
        self._changed = asyncio.Event()
        self._servers: dict[str, asyncio.Event] = {}
        self._tasks = asyncio.TaskGroup()
        self._rings = Rings(
            sockets,
            lender,
            start=self._start,
            on_ring=self._rang,
            on_settled=self._settled,
            on_checks=on_checks,
        )

    def changed(self) -> None:
        """Say that something may be listened to that was not, or no longer is."""
        self._changed.set()

    @property
    def longest_unread_s(self) -> float:
        """How long ago the account was read where that is longest; 0 where none listens."""
        now = self._clock()
        return max((now - one.looked_at for one in self._ears.values()), default=0.0)

    async def read(self, hook: Hook) -> None:
        """Read now what a hook that listens has not heard yet.

        Errors: SpeckleUnavailable, StorageUnavailable.
        """
        await self._lists.take([hook])

    async def run(self) -> None:
        """Listen until cancelled."""
        current_tenant.set("listening")  # people's questions to a server take turns with it
        async with self._tasks:
            self._start(self._pause_barred(), "barred")
            while True:
                self._changed.clear()
                with suppress(StorageUnavailable):
                    await self._plan()
                    for server_url in {one.server_url for one in self._ears.values()}:
                        if server_url not in self._servers:
                            self._servers[server_url] = asyncio.Event()
                            self._start(self._server(server_url), "listening")
                    self._rings.keep(self._sockets_wanted())
                await set_within(self._changed, self._pace.plan_s)

    async def _pause_barred(self) -> None:
        """Pause what the operator lets accounts hear no more, since the last start.

        Where that fails, the first event does.
        """
        try:
            for hook, subscriptions in await self._storage.read(_listened):
                barred = [one for one in subscriptions if hears_if_public(one, self._live_for)]
                if barred and hook.is_heard:
                    await self._pause_barred_of(hook, barred)
        except StorageUnavailable as error:
            log.error("worker.database_unavailable", worker="listening", reason=error.reason)

    async def _pause_barred_of(self, hook: Hook, barred: Sequence[Subscription]) -> None:
        try:
            await self._lists.ask_again(hook, barred)
        except StorageUnavailable:
            raise
        except Exception:  # a fault of ours over one hook concerns no other
            log.exception("listening.failed", hook_id=hook.id)
        self._changed.set()

    async def _barred(self, subscription_ids: Collection[int]) -> Collection[int]:
        """Those that the operator lets no account hear: what a webhook sends them is enough."""
        followed = await self._storage.read(lambda tx: tx.hooks.followed_by(subscription_ids))
        found = [one for of_hook in followed for one in of_hook.subscriptions]
        return {one.id for one in found if hears_if_public(one, self._live_for)}

    async def _plan(self) -> None:
        """Learn what is listened to now; an account that is new is asked at once."""
        wanted: defaultdict[int, list[Listened]] = defaultdict(list)
        listened = await self._storage.read(lambda tx: tx.listening.all())
        with_webhook = {one.subscription_id for one in listened if one.made}
        barred = await self._barred(with_webhook) if with_webhook else ()
        for one in listened:
            if one.subscription_id not in barred:
                wanted[one.account_id].append(one)
        for gone in self._ears.keys() - wanted.keys():
            del self._ears[gone]
        for account_id, those in wanted.items():
            ear = self._ears.get(account_id)
            if ear is None:
                ear = self._ears[account_id] = Ear(account_id, those[0].server_url, self._clock())
            if ear.follow(those):
                ear.due = self._clock()
                if ear.server_url in self._servers:
                    self._servers[ear.server_url].set()
        await self._hand_over({one.hook_id for one in listened if one.made})

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

    def _start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        return self._tasks.create_task(work, name=name)

    def _rang(self, account_id: int, project_id: str) -> None:
        """Read a project soon, with all that rings until then."""
        ear = self._ears.get(account_id)
        if ear is None:
            return
        if not ear.rung:
            self._start(self._answer_rings(ear), "ring")
        ear.rung.add(project_id)

    async def _answer_rings(self, ear: Ear) -> None:
        await asyncio.sleep(self._ring_pause_s(ear))
        reads = ear.reads
        try:
            if not await self.look(ear.account_id, rung=True):
                self._settled(ear.account_id)
            elif ear.reads == reads:
                ear.rung_for_nothing.append(self._clock())
        except (SpeckleUnavailable, StorageUnavailable) as error:
            log.info("listening.retry_later", reason=error.reason)
            self._settled(ear.account_id)
        except Exception:  # a fault of ours over one ring; the account's turn comes
            log.exception("listening.failed", account_id=ear.account_id)

    def _ring_pause_s(self, ear: Ear) -> float:
        """Until what rings is read: a server that rings without an end is not asked without one."""
        false = ear.rung_for_nothing
        storm = len(false) == FALSE_RINGS and self._clock() - false[0] < FALSE_RINGS_S
        return self._pace.soonest_s if storm else self._pace.debounce_s

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

    async def _turn(self, ear: Ear, mine: Sequence[Ear]) -> None:
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

    async def look(self, account_id: int, *, rung: bool = False) -> bool:
        """Ask an account about its projects, or those that rang, and read where something is new.

        False: something is left to be read a little later.
        Errors: SpeckleUnavailable, StorageUnavailable.
        """
        ear = self._ears.get(account_id)
        if ear is None:
            return True
        async with ear.looking:
            projects: Collection[str] | None = None
            if rung:  # also what rang while others were read
                projects, ear.rung = ear.rung, set()
            try:
                done = await self._look(ear, projects)
                if projects is None:
                    ear.looked_at = self._clock()
                return done
            except (SpeckleUnavailable, StorageUnavailable):
                ear.current.clear()
                raise

    async def _look(self, ear: Ear, projects: Collection[str] | None) -> bool:
        wanted = [one for one in ear.since if projects is None or one in projects]
        rung = NONE if projects is None else projects
        after = {one: read_from(ear.since[one]) for one in wanted}
        question = partial(self._ask, after)
        try:
            found = await self._lender.as_account(ear.account_id, question)
        except ACCOUNT_REFUSED as error:
            await self._lost(ear, wanted, error)
            return True
        ear.lists = found is not None
        if found is None:
            return all([await self._read_apart(ear, project_id, rung) for project_id in wanted])
        await self._know_again(ear, found)
        done = True
        for project_id, answer in found.items():
            if isinstance(answer, SpeckleError):
                await self._lost(ear, [project_id], answer)
            elif not await self._note(ear, project_id, answer, rung):
                done = False
        return done

    async def _read_apart(
        self,
        ear: Ear,
        project_id: str,
        rung: Collection[str],
        known: Sequence[Activity] = (),
    ) -> bool:
        """As `_read`; a project that the server fails at keeps none of the others waiting."""
        try:
            return await self._read(ear, project_id, rung, known)
        except SpeckleFault as error:
            log.info("listening.retry_later", project_id=project_id, reason=error.reason)
            return False

    async def _know_again(
        self, ear: Ear, found: Mapping[str, Sequence[Activity] | SpeckleError]
    ) -> None:
        """Find out what was taken in before this start, so that it is not read once more."""
        new = {
            project_id: answer
            for project_id, answer in found.items()
            if project_id not in ear.seen and not isinstance(answer, SpeckleError) and answer
        }
        if not new:
            return
        told = await self._storage.read(partial(_told, ear, new))
        for project_id, lines in new.items():
            if are_told(lines, ear.listened.get(project_id, ()), told[project_id]):
                ear.seen[project_id] = frozenset(line.id for line in lines)

    async def _note(
        self, ear: Ear, project_id: str, lines: Sequence[Activity], rung: Collection[str]
    ) -> bool:
        """Read a project if its newest lines have some that were not there before; False if that
        is not done.
        """
        ids = frozenset(line.id for line in lines)
        # Of the future, where its clock was wrong: what is newer now is behind those.
        now = self._sure_now()
        hidden = len(lines) >= NEWEST and min(line.at for line in lines) > now
        if not hidden and not ids - ear.seen.get(project_id, frozenset()):
            ear.current |= ear.subscription_ids(project_id)
            return True
        if not await self._read_apart(ear, project_id, rung, lines):
            return False
        ear.seen[project_id] = ids
        since = ear.since.get(project_id)
        past = [line.at for line in lines if line.at <= now]
        if project_id in ear.since and past and (since is None or since < max(past)):
            ear.since[project_id] = max(past)
        return True

    async def _ask(
        self, after: Mapping[str, datetime | None], login: Login
    ) -> Mapping[str, Sequence[Activity] | SpeckleError] | None:
        return await self._client.activity.of_many(login, after, within_s=ASK_WITHIN_S)

    async def _read(
        self,
        ear: Ear,
        project_id: str,
        rung: Collection[str],
        known: Sequence[Activity] = (),
    ) -> bool:
        """Read what is new in a project, where some lines are known to be; whether that is done."""
        ear.reads += 1
        hooks = await self._storage.read(lambda tx: tx.hooks.these(ear.hook_ids(project_id)))
        listening = [one for one in hooks if one.listens and await self._has_room(one)]
        expected = ear.heard(project_id, rung)
        ear.current -= expected.keys()
        left = await self._lists.take(listening, [ear.account_id], expected, LATER, known)
        if left:
            self._changed.set()  # who is expected may have been paused
        if left or len(listening) < len(hooks):
            return False
        ear.current |= expected.keys()
        return True

    async def _has_room(self, hook: Hook) -> bool:
        """Whether today has room for anything of a hook; a later turn asks again."""
        quota = self._quota(hook.guild_id)
        if quota is None or await self._storage.read(
            lambda tx: tx.day_use.has_room_now(quota, hook.id)
        ):
            return True
        await self._on_full(hook)
        return False

    async def _lost(self, ear: Ear, projects: Sequence[str], error: SpeckleError) -> None:
        """Ask the rule about channels whose account was refused, and pause those it says."""
        log.info("listening.refused", account_id=ear.account_id, reason=error.reason)
        for project_id in projects:
            for hook, mine in await self._storage.read(partial(_channels, ear, project_id)):
                await self._lists.ask_again(hook, mine)
        self._changed.set()


def _listened(tx: Transaction) -> Sequence[tuple[Hook, Sequence[Subscription]]]:
    ids = {one.subscription_id for one in tx.listening.all()}
    return [(found.hook, found.subscriptions) for found in tx.hooks.followed_by(ids)]


def _followed(
    hook_ids: Collection[int], tx: Transaction
) -> Sequence[tuple[Hook, Sequence[Subscription]]]:
    return [(hook, tx.subscriptions.of_hook(hook.id)) for hook in tx.hooks.these(hook_ids)]


def _end(hook_id: int, tx: Transaction) -> None:
    tx.listening.end(hook_id)


def _told(
    ear: Ear, project_ids: Collection[str], tx: Transaction
) -> Mapping[str, Counter[ToldEntry]]:
    return {
        one: tx.listening.told(ear.hook_ids(one), NEWEST * len(ear.listened.get(one, ())))
        for one in project_ids
    }


def _channels(
    ear: Ear, project_id: str, tx: Transaction
) -> Sequence[tuple[Hook, Sequence[Subscription]]]:
    """The hooks of an account's project, with the subscriptions that it listens for."""
    return [
        (hook, [o for o in tx.subscriptions.of_hook(hook.id) if o.account_id == ear.account_id])
        for hook in tx.hooks.these(ear.hook_ids(project_id))
    ]
