"""Whose turn it is, where several tenants want the same few places.

A tenant is one who must not wait for the work of another: here a guild. Two forms: `FairScheduler`
deals out places to work that waits in the database, `FairSemaphore` lets tasks in that wait in
this process.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

# For whom the running task works; None: for nobody in particular, such as the bot itself.
current_tenant: ContextVar[Hashable] = ContextVar("tenant", default=None)

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


class FairScheduler(Generic[Item, Key]):
    """Deals out places, tenant by tenant, and within one tenant ordering key by ordering key.

    A tenant gets no more places than it leaves free, so that the next one nearly always finds one
    at once: of 32, the first takes up to 16, a second one 8. Who has the fewest goes first, then
    who has waited longest since its last turn.
    """

    def __init__(
        self,
        slots: int,
        *,
        key_of: Callable[[Item], Key],
        tenant_of: Callable[[Item], Hashable],
    ) -> None:
        self._slots = slots
        self._key_of = key_of
        self._tenant_of = tenant_of
        self._assigned: dict[Key, Hashable] = {}  # by whom
        self._turn = 0
        self._last_of_tenant: dict[Hashable, int] = {}
        self._last_of_key: dict[Key, int] = {}

    @property
    def busy_keys(self) -> frozenset[Key]:
        """The keys that have a place."""
        return frozenset(self._assigned)

    @property
    def free_slots(self) -> int:
        """How many places nobody has."""
        return self._slots - len(self._assigned)

    def assign(self, waiting: Sequence[Item]) -> list[Item]:
        """Give places to some of these, which are of different keys, and say to which."""
        queues: dict[Hashable, deque[Item]] = {}
        for item in sorted(waiting, key=lambda item: self._last_of_key.get(self._key_of(item), 0)):
            queues.setdefault(self._tenant_of(item), deque()).append(item)
        taken = []
        while (whose := self._next(queues)) is not None:
            taken.append(queues[whose].popleft())
            self._place(taken[-1], whose)
        self._forget({self._key_of(item) for item in waiting}, queues.keys())
        return taken

    def release(self, item: Item) -> None:
        """The work on this is over."""
        del self._assigned[self._key_of(item)]

    def _next(self, queues: dict[Hashable, deque[Item]]) -> Hashable | None:
        has = Counter(self._assigned.values())
        wanting = [t for t, queue in queues.items() if queue and has[t] < self.free_slots]
        return min(wanting, key=lambda t: (has[t], self._last_of_tenant.get(t, 0)), default=None)

    def _place(self, item: Item, whose: Hashable) -> None:
        self._turn += 1
        key = self._key_of(item)
        self._assigned[key] = whose
        self._last_of_key[key] = self._last_of_tenant[whose] = self._turn

    def _forget(self, keys: set[Key], tenants: Collection[Hashable]) -> None:
        """A key that does not wait and does not work counts as new the next time."""
        self._last_of_key = {
            key: turn
            for key, turn in self._last_of_key.items()
            if key in keys or key in self._assigned
        }
        working = set(self._assigned.values())
        self._last_of_tenant = {
            whose: turn
            for whose, turn in self._last_of_tenant.items()
            if whose in tenants or whose in working
        }


class FairSemaphore:
    """Lets so many tasks in at once, so many of one tenant; the others wait, tenants take turns.

    Whose task one is, `tenant` says.
    """

    def __init__(self, slots: int, *, each: int = 1) -> None:
        self._free = slots
        self._each = each
        self._inside = Counter[Hashable]()
        # The tenant whose turn is next is the first.
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Be inside for as long as the block lasts."""
        whose = await self.acquire()
        try:
            yield
        finally:
            self.release(whose)

    async def acquire(self) -> Hashable:
        """Wait for a place; gives what to leave with, which may happen in another task."""
        whose = current_tenant.get()
        let_in: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(whose, deque()).append(let_in)
        self._let_in()
        try:
            await let_in
        except asyncio.CancelledError:
            if not let_in.cancelled():  # let in, and cancelled before it could continue
                self.release(whose)
            raise
        return whose

    def release(self, whose: Hashable) -> None:
        """Give the place back."""
        self._free += 1
        self._inside[whose] -= 1
        if not self._inside[whose]:
            del self._inside[whose]
        if whose in self._waiting:
            self._waiting.move_to_end(whose)  # it has just had its turn
        self._let_in()

    def _let_in(self) -> None:
        while self._free and (next_ones := self._may_enter()):
            self._let_in_one_of(next_ones[0])

    def _may_enter(self) -> list[Hashable]:
        return [whose for whose in self._waiting if self._inside[whose] < self._each]

    def _let_in_one_of(self, whose: Hashable) -> None:
        queue = self._waiting.pop(whose)
        let_in = queue.popleft()
        if not let_in.done():  # else it has given up
            let_in.set_result(None)
            self._inside[whose] += 1
            self._free -= 1
        if queue:
            self._waiting[whose] = queue  # behind the others
