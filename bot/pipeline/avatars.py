"""Makes large pictures of authors small, in a thread, and each only once."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256

import structlog

from bot.cards.avatars import is_large, smaller
from bot.speckle.events import Delivery

log = structlog.get_logger()

MOST = 64  # kept, of about 10 kB each


class Avatars:
    """Authors' pictures as cards carry them."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="avatars")
        self._kept: dict[str, str | None] = {}

    async def made_small(self, delivery: Delivery) -> Delivery:
        """The delivery with a small picture of its author, or none where it is no picture."""
        actor = delivery.actor
        if actor is None or actor.avatar is None or not is_large(actor.avatar):
            return delivery
        digest = sha256(actor.avatar.encode()).hexdigest()
        if digest in self._kept:
            small = self._kept[digest]
        else:
            small = self._kept[digest] = await self._smaller(actor.avatar)
            while len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
        return replace(delivery, actor=replace(actor, avatar=small))

    async def _smaller(self, avatar: str) -> str | None:
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, smaller, avatar)
        except Exception:  # whatever a stranger's picture does to Pillow: the event goes on
            log.exception("avatars.failed")
            return None

    def close(self) -> None:
        """Drop what waits."""
        self._thread.shutdown(wait=False, cancel_futures=True)
