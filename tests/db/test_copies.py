"""A dump that is put back, also while the bot runs: PostgreSQL takes one at any time."""

import asyncio

from bot.db.restored_copy import IDENTITY_KEY
from bot.services.restored_copy import RestoredCopyCheck
from bot.storage import Storage
from bot.vault import Vault
from tests.db.test_accounts import linked

EARLIER = "1:2"  # the server's names for the tables that the dump was made of


async def test_a_dump_that_is_put_back_at_work_is_noticed(postgres_url: str, vault: Vault) -> None:
    async with Storage.open(postgres_url, vault) as storage:
        await linked(storage)
        copies = RestoredCopyCheck(storage, every_s=0.01)
        await copies.check_at_start()
        assert await storage.read(lambda tx: tx.accounts.unconfirmed()) == 0
        running = asyncio.create_task(copies.run())
        try:
            await storage.write(lambda tx: tx.key_values.set(IDENTITY_KEY, EARLIER))
            async with asyncio.timeout(10):
                while await storage.restored_copy.is_restored():  # noqa: ASYNC110  its word in SQL
                    await asyncio.sleep(0.01)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert await storage.read(lambda tx: tx.accounts.unconfirmed()) == 1


async def test_a_restored_dump_is_found_at_the_start_and_asked_for_once(
    postgres_url: str, vault: Vault
) -> None:
    async with Storage.open(postgres_url, vault) as storage:
        account = await linked(storage)
        await RestoredCopyCheck(storage).check_at_start()
        await storage.write(lambda tx: tx.key_values.set(IDENTITY_KEY, EARLIER))
    async with Storage.open(postgres_url, vault) as storage:
        await RestoredCopyCheck(storage).check_at_start()
        assert await storage.read(lambda tx: tx.accounts.unconfirmed()) == 1
        await storage.write(lambda tx: tx.accounts.confirm(account.id))
    for _ in range(2):  # a container whose files are new at each start
        async with Storage.open(postgres_url, vault) as storage:
            await RestoredCopyCheck(storage).check_at_start()
            assert await storage.read(lambda tx: tx.accounts.unconfirmed()) == 0
