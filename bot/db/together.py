"""Transactions that are asked for at the same time, done in one: each one costs a thread's turn."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from bot.db.engine import Database
from bot.db.group_commit import GroupCommit
from bot.db.session import Session
from bot.errors import StorageUnavailable
from bot.fairness import current_tenant

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[Session], T]

READS_TOGETHER = 16
WITHIN_S = 60.0  # longer than the databases themselves wait for anything
# Few, because one may write what 32 events led to, and a delivery's own commit waits for all.
WRITES_TOGETHER = 8


class Together(Generic[T, R]):
    """Does what is asked for at the same time in one go, `do(items)` giving one result an item.

    Where that fails, one by one: what is wrong with one concerns no other. It is done for nobody
    in particular: `name` takes the turn.
    """

    def __init__(
        self, name: str, do: Callable[[Sequence[T]], Awaitable[Sequence[R]]], *, most: int
    ) -> None:
        self._name = name
        self._do = do
        self._group = GroupCommit[T, R | Exception](
            name, self._all, within_s=WITHIN_S, max_items=most
        )
        self.close = self._group.close

    async def __call__(self, item: T) -> R:
        """The result of this one. Errors: its own, and StorageUnavailable."""
        result = await self._group.submit(item)
        if isinstance(result, Exception):
            raise result
        return result

    async def _all(self, items: Sequence[T]) -> Sequence[R | Exception]:
        current_tenant.set(self._name)
        try:
            return list(await self._do(items))
        except StorageUnavailable:
            raise
        except Exception as error:  # raised again for who asked for it
            if len(items) == 1:
                return [error]
        return [(await self._all([item]))[0] for item in items]


def reads_together(database: Database, name: str) -> Together[Work[Any], Any]:
    """Short reads, one after the other in one thread; a long one would hold up the others."""

    async def read(works: Sequence[Work[Any]]) -> Sequence[Any]:
        return await database.read(lambda session: [work(session) for work in works])

    return Together(name, read, most=READS_TOGETHER)


def writes_together(database: Database) -> Together[Work[Any], Any]:
    """Short writes, one after the other in one transaction. One may be done twice: the first time
    is undone with what failed beside it.
    """

    async def write(works: Sequence[Work[Any]]) -> Sequence[Any]:
        return await database.write(lambda session: [work(session) for work in works])

    return Together("writes", write, most=WRITES_TOGETHER)
