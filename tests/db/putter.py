"""A process of its own that puts deliveries and prints the digest of each one that was taken.

putter.py <database url> <how many> <first number>
"""

import asyncio
import sys
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice

from cryptography.fernet import Fernet

from bot.storage import Storage
from bot.vault import Vault
from bot.work import NewInboxEvent

TASKS = 16


async def main(database_url: str, how_many: int, first: int) -> None:
    """Put bodies that are numbered from `first`, several at a time."""
    numbers = iter(range(first, first + how_many))
    async with Storage.open(database_url, Vault([Fernet.generate_key().decode()])) as storage:

        async def put() -> None:
            for number in islice(numbers, None):
                body = b"event %d " % number * 300
                digest = sha256(body).hexdigest()
                new = NewInboxEvent(None, "lane", "project", None, digest, body, datetime.now(UTC))
                receipt = await storage.intake.accept(new)
                print(digest, "twice" if receipt.duplicate else "once", flush=True)  # noqa: T201

        await asyncio.gather(*(put() for _ in range(TASKS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
