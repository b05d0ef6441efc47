import asyncio

from bot.storage import Storage, Transaction
from tests.pipeline.test_statements import counted


class Refused(Exception):
    """What is wrong with one of several writes."""


def refuse(tx: Transaction) -> None:
    tx.key_values.set("refused", "half")
    raise Refused


async def test_writes_that_are_asked_for_together_share_commits(storage: Storage) -> None:
    names = [f"n{number}" for number in range(9)]

    async def write(name: str) -> str:
        await storage.write_together(lambda tx: tx.key_values.set(name, "there"))
        return name

    with counted() as found:
        assert await asyncio.gather(*map(write, names)) == names
    assert found.commits == 2  # eight go together
    assert await storage.read(lambda tx: [tx.key_values.get(one) for one in names]) == ["there"] * 9


async def test_what_is_wrong_with_one_write_concerns_no_other(storage: Storage) -> None:
    results = await asyncio.gather(
        storage.write_together(lambda tx: tx.key_values.set("before", "there")),
        storage.write_together(refuse),
        storage.write_together(lambda tx: tx.key_values.set("after", "there")),
        return_exceptions=True,
    )
    assert [type(one) for one in results] == [type(None), Refused, type(None)]
    kept = await storage.read(
        lambda tx: [tx.key_values.get(one) for one in ("before", "refused", "after")]
    )
    assert kept == ["there", None, "there"]


async def test_reads_that_are_asked_for_together_each_get_their_answer(storage: Storage) -> None:
    await storage.write(lambda tx: tx.key_values.set("one", "1"))

    def fail(_tx: Transaction) -> str:
        raise Refused

    results = await asyncio.gather(
        storage.read_together(lambda tx: tx.key_values.get("one")),
        storage.read_together(fail),
        storage.read_together(lambda tx: tx.key_values.get("two")),
        return_exceptions=True,
    )
    assert results[0] == "1"
    assert isinstance(results[1], Refused)
    assert results[2] is None
