import asyncio
from collections.abc import Sequence

from bot.db.group_commit import GroupCommit
from bot.errors import StorageUnavailable
from bot.fairness import current_tenant


class Flushes:
    """Doubles numbers and remembers which came together; a gate holds each flush back."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(items))
        await self.gate.wait()
        if -1 in items:
            raise ValueError("no negative numbers")
        return [2 * item for item in items]


async def test_all_who_wait_share_one_flush_and_get_their_own_result() -> None:
    flushes = Flushes()
    batcher = GroupCommit[int, int]("test", flushes, within_s=9.0)
    results = await asyncio.gather(*(batcher.submit(n) for n in range(50)))
    assert results == [2 * n for n in range(50)]
    assert flushes.batches == [list(range(50))]


async def test_who_comes_during_a_flush_is_in_the_next_one_in_order() -> None:
    flushes = Flushes()
    flushes.gate.clear()
    batcher = GroupCommit[int, int]("test", flushes, within_s=9.0, max_items=3)
    tasks = [asyncio.create_task(batcher.submit(0))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(batcher.submit(n)) for n in range(1, 6)]
    await asyncio.sleep(0)
    flushes.gate.set()
    assert await asyncio.gather(*tasks) == [0, 2, 4, 6, 8, 10]
    assert flushes.batches == [[0], [1, 2, 3], [4, 5]]


async def test_tenants_take_turns_and_each_keeps_its_order() -> None:
    flushes = Flushes()
    flushes.gate.clear()
    batcher = GroupCommit[int, int]("test", flushes, within_s=9.0, max_items=4)

    async def submit(tenant: str, number: int) -> int:
        current_tenant.set(tenant)
        return await batcher.submit(number)

    tasks = [asyncio.create_task(submit("busy", 0))]
    await asyncio.sleep(0.01)
    tasks += [asyncio.create_task(submit("busy", n)) for n in range(1, 9)]
    tasks += [asyncio.create_task(submit("quiet", n)) for n in range(20, 22)]
    await asyncio.sleep(0.01)
    flushes.gate.set()
    await asyncio.gather(*tasks)
    assert flushes.batches == [[0], [1, 20, 2, 21], [3, 4, 5, 6], [7, 8]]


async def test_an_error_reaches_each_waiter_of_its_flush_and_no_other() -> None:
    batcher = GroupCommit[int, int]("test", Flushes(), within_s=9.0)
    results = await asyncio.gather(batcher.submit(1), batcher.submit(-1), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError, ValueError]
    assert await batcher.submit(4) == 8


async def test_a_cancelled_waiter_harms_no_other() -> None:
    flushes = Flushes()
    flushes.gate.clear()
    batcher = GroupCommit[int, int]("test", flushes, within_s=9.0)
    tasks = [asyncio.create_task(batcher.submit(n)) for n in range(3)]
    await asyncio.sleep(0.01)
    tasks[1].cancel()
    flushes.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0::2] == [0, 4]
    assert isinstance(results[1], asyncio.CancelledError)
    assert await batcher.submit(5) == 10


async def test_closing_waits_until_everything_is_flushed() -> None:
    flushes = Flushes()
    flushes.gate.clear()
    batcher = GroupCommit[int, int]("test", flushes, within_s=9.0)
    task = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    flushes.gate.set()
    await closing
    assert await task == 2
    await batcher.close()


async def test_too_few_results_are_an_error_and_no_wrong_answer() -> None:
    async def forgetful(items: Sequence[int]) -> Sequence[int]:
        return list(items)[1:]

    batcher = GroupCommit[int, int]("test", forgetful, within_s=9.0)
    results = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)
    assert isinstance(results[1], ValueError)


async def test_who_waits_too_long_gets_an_error_and_later_ones_have_their_own_time() -> None:
    flushes = Flushes()
    flushes.gate.clear()
    batcher = GroupCommit[int, int]("test", flushes, within_s=0.2)
    late = [asyncio.create_task(batcher.submit(n)) for n in range(2)]
    await asyncio.sleep(0.15)
    in_time = asyncio.create_task(batcher.submit(2))
    found = await asyncio.gather(*late, return_exceptions=True)
    assert [type(one) for one in found] == [StorageUnavailable] * 2
    assert not in_time.done()
    flushes.gate.set()
    assert await in_time == 4
    assert flushes.batches == [[0, 1], [2]]


async def test_an_item_whose_time_is_up_before_its_flush_is_not_flushed() -> None:
    flushes = Flushes()
    flushes.gate.clear()
    batcher = GroupCommit[int, int]("test", flushes, within_s=0.03, max_items=1)
    tasks = [asyncio.create_task(batcher.submit(n)) for n in range(2)]
    await asyncio.gather(*tasks, return_exceptions=True)
    flushes.gate.set()
    await batcher.close()
    assert flushes.batches == [[0]]
