"""Makes large pictures of authors small, in threads, and each only once."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256

import structlog
from cachetools import LRUCache

from bot.cards.avatars import is_large, smaller
from bot.fairness import FairSemaphore
from bot.speckle.events import Delivery

log = structlog.get_logger()

MOST = 64  # kept, of about 10 kB each
# Each unpacks up to 10 megapixels, some 100 MB with what is made of them.
THREADS = 2


class AvatarResizer:
    """Authors' pictures as cards carry them.

    One of a tenant is worked on at a time, so that another one finds a free thread.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="avatars")
        self._semaphore = FairSemaphore(THREADS)
        self._kept = LRUCache[str, str | None](MOST)

    async def shrink(self, delivery: Delivery) -> Delivery:
        """The delivery with a small picture of its author, or none where it is no picture."""
        actor = delivery.actor
        if actor is None or actor.avatar is None or not is_large(actor.avatar):
            return delivery
        digest = sha256(actor.avatar.encode()).hexdigest()
        if digest in self._kept:
            small = self._kept[digest]
        else:
            async with self._semaphore.slot():
                small = await self._smaller_once(digest, actor.avatar)
        return replace(delivery, actor=replace(actor, avatar=small))

    async def _smaller_once(self, digest: str, avatar: str) -> str | None:
        if digest not in self._kept:  # nobody did it while this waited for its turn
            self._kept[digest] = await self._smaller(avatar)
        return self._kept[digest]

    async def _smaller(self, avatar: str) -> str | None:
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, smaller, avatar)
        except Exception:  # whatever a stranger's picture does to Pillow: the event continues
            log.exception("avatars.failed")
            return None

    def close(self) -> None:
        """Drop what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)
