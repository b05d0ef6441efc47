"""Looks for what happened while nobody listened: when to look, at which hooks, and in what order.

It is fetched from Speckle's own lists: from a webhook's history (`from_history`), else from the
project's lists (`from_lists`). A look that is done twice, or that a kill cuts short,
changes nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta

import structlog

from bot.errors import (
    NOT_FOR_ACCOUNT,
    SpeckleError,
    SpeckleUnavailable,
    StorageUnavailable,
)
from bot.model import Hook
from bot.pipeline.catch_up.from_history import CatchUpLimits, HistoryCatchUp
from bot.pipeline.catch_up.from_lists import Decide, ListsCatchUp
from bot.quota import DayQuota
from bot.services.token_lending import TokenLender
from bot.speckle_api.client import SpeckleClient
from bot.storage import Storage

log = structlog.get_logger()

EVERY_S = 3600.0
# After an outage; until then, what was under way at Speckle has failed, or is stuck.
FOLLOW_UP_S = 330.0
LONGEST_WAIT_S = 60.0  # that a server may ask for before the rest of its hooks wait for the retry


class CatchUp:
    """Looks into Speckle's lists: at the start, hourly, and when the database can write again.

    `on_stored` is called when events came into the inbox. What is older than `look_back` is left
    alone: the inbox no longer knows whether it had that.
    """

    def __init__(
        self,
        storage: Storage,
        client: SpeckleClient,
        lender: TokenLender,
        *,
        decide: Decide,
        on_stored: Callable[[], None],
        max_body_bytes: int,
        look_back: timedelta,
        now: Callable[[], datetime],
        quota: Callable[[int], DayQuota | None],
        limits: CatchUpLimits = CatchUpLimits(),
    ) -> None:
        """`decide` says who may read a project's list for a subscription. Larger bodies than the
        listener takes do not come in this way either. `quota` is how much of a guild's day may be
        used up before nothing more is fetched for it, None for no such limit.
        """
        self._storage = storage
        self._quota = quota
        self._limits = limits
        self._now = now
        self._history = HistoryCatchUp(
            storage,
            client,
            lender,
            on_stored=on_stored,
            max_body_bytes=max_body_bytes,
            look_back=look_back,
            now=now,
            quota=quota,
            limits=limits,
        )
        self._lists = ListsCatchUp(
            storage,
            client,
            lender,
            decide,
            on_stored=on_stored,
            look_back=look_back,
            now=now,
            quota=quota,
        )
        self._missed = asyncio.Event()

    def missed(self) -> None:
        """Say that a delivery could not be taken: look as soon as the database can write."""
        self._missed.set()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        todo: Sequence[int] | None = None
        tries, soon_again, retry = 0, True, self._limits.retry
        while True:
            left = await self._check(todo)
            tries = tries + 1 if left else 0
            if 0 < tries <= len(retry.delays_s):
                todo, pause_s = left, retry.delay_s(tries - 1)
            else:
                todo, pause_s = None, FOLLOW_UP_S if soon_again else EVERY_S
                soon_again = False
            if await self._woken(pause_s):
                todo, tries, soon_again = None, 0, True

    async def _woken(self, pause_s: float) -> bool:
        """Wait; True if deliveries were missed meanwhile and the database can write again."""
        try:
            async with asyncio.timeout(pause_s):
                await asyncio.sleep(min(pause_s, self._limits.soonest_s))
                await self._missed.wait()
        except TimeoutError:
            return False
        while True:
            self._missed.clear()
            try:
                await self._storage.ping_write()
            except StorageUnavailable:
                pass
            else:
                if not self._missed.is_set():
                    return True
            await asyncio.sleep(self._limits.writable_poll_s)

    async def _check(self, hook_ids: Sequence[int] | None) -> Sequence[int]:
        """Look at these hooks, else at all; those where something is left to do."""
        try:
            await self._lists.keys_since(self._now())
            return await self.check_hooks(hook_ids)
        except StorageUnavailable as error:
            log.error("catch_up.database_unavailable", reason=error.reason)
            self.missed()
            return ()

    async def check_hooks(self, hook_ids: Sequence[int] | None = None) -> Sequence[int]:
        """Look at these hooks once, else at all, each server's in turn, servers side by side.

        Gives the ids of those where something is left: the server could not be asked, or what it
        said was not settled.
        """
        ids = (
            await self._storage.read(lambda tx: tx.missed_events.hook_ids())
            if hook_ids is None
            else hook_ids
        )
        by_server: defaultdict[str, list[Hook]] = defaultdict(list)
        for hook in await self._hooks(ids):
            if await self._has_room(hook):
                by_server[hook.server_url].append(hook)
        left = await asyncio.gather(*(self._server(hooks) for hooks in by_server.values()))
        return [hook_id for some in left for hook_id in some]

    async def _has_room(self, hook: Hook) -> bool:
        """Whether today has room for anything of a hook; the next hour asks again."""
        quota = self._quota(hook.guild_id)
        if quota is None or await self._storage.read(
            lambda tx: tx.day_use.has_room_now(quota, hook.id)
        ):
            return True
        log.info("catch_up.quota_full", hook_id=hook.id)
        return False

    async def _hooks(self, hook_ids: Sequence[int]) -> Sequence[Hook]:
        """Those that are still there."""
        return await self._storage.read(lambda tx: tx.hooks.these(hook_ids))

    async def _server(self, hooks: Sequence[Hook]) -> Sequence[int]:
        """One server's hooks: histories, then for the others each project's lists."""
        by_project: defaultdict[str, list[int]] = defaultdict(list)
        with_history = []
        for hook in hooks:
            if hook.account_id is not None and hook.webhook_id:
                with_history.append([hook.id])
            else:
                by_project[hook.project_id].append(hook.id)

        async def by_history(some: Sequence[Hook]) -> Collection[int]:
            settled = [one for one in some if await self._by_history(one, by_project)]
            return {one.id for one in some if one not in settled}

        left, away = await self._in_turn(with_history, by_history)
        lists = list(by_project.values())
        if away:
            return [*left, *(hook_id for some in lists for hook_id in some)]
        more, _ = await self._in_turn(lists, self._lists.take)
        return [*left, *more]

    async def _by_history(self, hook: Hook, lists: defaultdict[str, list[int]]) -> bool:
        """Whether a hook is done for an hour; one without a history is left to the lists."""
        if hook.account_id is None or not hook.webhook_id:
            return True
        try:
            return await self._history.take(hook, hook.account_id, hook.webhook_id)
        except NOT_FOR_ACCOUNT as error:
            log.warning("catch_up.no_history", hook_id=hook.id, reason=error.reason)
            lists[hook.project_id].append(hook.id)
            return True

    async def _in_turn(
        self,
        groups: Sequence[Sequence[int]],
        work: Callable[[Sequence[Hook]], Awaitable[Collection[int]]],
    ) -> tuple[Sequence[int], bool]:
        """Do it for one group of a server's hooks after the other.

        Gives those where something is left, and whether the server is not to be asked any more.
        """
        left: list[int] = []
        for position, group in enumerate(groups):
            try:
                left += await work(await self._hooks(group))
            except SpeckleUnavailable as error:
                log.warning("catch_up.retry_later", server=error.server_url, reason=error.reason)
                left += group
                if error.retry_in_s is None or error.retry_in_s > LONGEST_WAIT_S:
                    return [*left, *(one for some in groups[position + 1 :] for one in some)], True
                await asyncio.sleep(error.retry_in_s)
            except SpeckleError as error:
                log.warning("catch_up.refused", hook_ids=list(group), reason=error.reason)
            except StorageUnavailable:
                raise
            except Exception:  # a fault of ours over one hook must not keep the others waiting
                log.exception("catch_up.failed", hook_ids=list(group))
            await asyncio.sleep(self._limits.pace_s)
        return left, False
