"""Whose turn it is, as values."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from bot.fairness import FairScheduler, FairSemaphore, current_tenant


@dataclass(frozen=True)
class Work:
    tenant: str
    key: str


def turns(places: int) -> FairScheduler[Work, str]:
    return FairScheduler(places, key_of=lambda work: work.key, tenant_of=lambda work: work.tenant)


def of(tenant: str, count: int) -> list[Work]:
    return [Work(tenant, f"{tenant}{number}") for number in range(count)]


def served(waiting: Sequence[Work], how_many: int) -> str:
    """Whose work is done, one place after the other, while all go on waiting."""
    turn = turns(1)
    done = []
    for _ in range(how_many):
        [work] = turn.assign(waiting)
        turn.release(work)
        done.append(work.key)
    return " ".join(done)


def test_one_tenant_leaves_as_many_places_free_as_it_takes() -> None:
    assert len(turns(32).assign(of("a", 100))) == 16
    assert len(turns(2).assign(of("a", 100))) == 1
    assert len(turns(1).assign(of("a", 100))) == 1


def test_the_next_tenants_find_places_at_once() -> None:
    turn = turns(32)
    counts = [len(turn.assign(of(name, 100))) for name in "abcdef"]
    assert counts == [16, 8, 4, 2, 1, 1]
    assert turn.free_slots == 0
    assert turn.assign(of("g", 1)) == []


def test_who_has_the_fewest_places_gets_the_next_one() -> None:
    turn = turns(4)
    [first, second] = turn.assign(of("a", 9))
    assert [work.tenant for work in turn.assign([*of("b", 1), *of("c", 1)])] == ["b", "c"]
    turn.release(first)
    assert [work.tenant for work in turn.assign([*of("a", 9)[2:], *of("d", 1)])] == ["d"]
    turn.release(second)
    assert [work.tenant for work in turn.assign([*of("a", 9)[2:], *of("b", 9)[1:]])] == ["a"]


def test_tenants_take_turns_and_within_one_its_keys() -> None:
    waiting = [*of("a", 3), *of("b", 1), *of("c", 2)]
    assert served(waiting, 9) == "a0 b0 c0 a1 b0 c1 a2 b0 c0"


def test_a_newcomer_is_next_whoever_has_been_waiting_for_long() -> None:
    turn = turns(1)
    waiting = of("a", 50)
    for _ in range(7):
        [work] = turn.assign(waiting)
        turn.release(work)
    assert [work.key for work in turn.assign([*waiting, *of("b", 1)])] == ["b0"]


def test_a_project_with_one_event_does_not_wait_for_one_with_many() -> None:
    """Both have one waiting at any time; the older rows are always those of the busy one."""
    busy, rare = of("a", 2)
    assert served([busy, rare], 4) == "a0 a1 a0 a1"


def test_nothing_is_remembered_of_who_is_gone() -> None:
    turn = turns(8)
    for number in range(1000):
        for work in turn.assign(of(str(number), 3)):
            turn.release(work)
    turn.assign([])
    assert (turn._last_of_key, turn._last_of_tenant) == ({}, {})


class Room:
    """Counts who is inside a door, and remembers in which order they came in."""

    def __init__(self, door: FairSemaphore) -> None:
        self._door = door
        self.inside: list[str] = []
        self.came: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._leave = asyncio.Queue[None]()

    async def enters(self, *tenants: str) -> None:
        for whose in tenants:
            self.tasks.append(asyncio.create_task(self._stay(whose)))
        await self.settled()

    async def _stay(self, whose: str) -> None:
        current_tenant.set(whose)
        async with self._door.slot():
            self.inside.append(whose)
            self.came.append(whose)
            try:
                await self._leave.get()
            finally:
                self.inside.remove(whose)

    async def one_leaves(self) -> None:
        self._leave.put_nowait(None)
        await self.settled()

    async def settled(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


async def test_a_door_lets_one_of_a_tenant_in_and_another_tenant_beside_it() -> None:
    room = Room(FairSemaphore(2))
    await room.enters("a", "a", "a", "b")
    assert room.inside == ["a", "b"]
    await room.enters("c")
    assert room.inside == ["a", "b"]
    await room.one_leaves()  # the first "a"
    assert room.inside == ["b", "c"]


async def test_tenants_take_turns_at_a_door_whoever_came_first() -> None:
    room = Room(FairSemaphore(1))
    await room.enters("a", "a", "a", "a", "b", "b", "c")
    for _ in range(6):
        await room.one_leaves()
    assert "".join(room.came) == "abcabaa"


async def test_a_wider_door_lets_several_of_a_tenant_in_turn_by_turn() -> None:
    room = Room(FairSemaphore(3, each=2))
    await room.enters("a", "a", "a", "a", "b", "b")
    assert room.inside == ["a", "a", "b"]
    for _ in range(3):
        await room.one_leaves()
    assert "".join(room.came) == "aabbaa"


async def test_who_gives_up_at_a_door_holds_up_nobody() -> None:
    room = Room(FairSemaphore(1))
    await room.enters("a", "b", "c")
    waiting, inside = room.tasks[1], room.tasks[0]
    waiting.cancel()
    await room.settled()
    inside.cancel()
    await room.settled()
    assert room.inside == ["c"]
    await room.one_leaves()
    await room.enters("d")
    assert room.inside == ["d"]


async def test_who_is_let_in_and_gives_up_in_the_same_moment_leaves_again() -> None:
    door = FairSemaphore(1)
    first = door.slot()
    await first.__aenter__()
    waiting = asyncio.create_task(door.slot().__aenter__())
    await asyncio.sleep(0)
    await first.__aexit__(None, None, None)  # lets the other in, which has not noticed yet
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(5), door.slot():
        pass
