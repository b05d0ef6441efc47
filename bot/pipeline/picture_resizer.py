"""Makes large pictures of events small, in threads: their authors', and screenshots."""

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256

import structlog
from cachetools import LRUCache

from bot.cards.avatars import is_large, smaller
from bot.cards.pictures import MAX_SCREENSHOT_BYTES, content_of
from bot.cards.scaling import scaled
from bot.fairness import FairSemaphore
from bot.speckle.events import CommentCreated, Delivery

log = structlog.get_logger()

MOST = 64  # authors' pictures that are kept, of about 10 kB each
# Each unpacks up to 36 megapixels, some 250 MB with what is made of them.
THREADS = 2
# The listener takes no larger body.
MAX_GIVEN_BYTES = 25 * 1024 * 1024


class PictureResizer:
    """Pictures as cards carry them.

    One of a tenant is worked on at a time, so that another one finds a free thread.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="pictures")
        self._semaphore = FairSemaphore(THREADS)
        self._kept = LRUCache[str, str | None](MOST)

    async def shrink(self, delivery: Delivery) -> Delivery:
        """The delivery with small pictures, or none where they are no pictures."""
        return await self._with_small_screenshot(await self._with_small_avatar(delivery))

    async def small_avatar(self, avatar: str) -> str | None:
        """An author's picture, small; the same where it is small enough, or an address."""
        if not is_large(avatar):
            return avatar
        digest = sha256(avatar.encode()).hexdigest()
        if digest in self._kept:
            return self._kept[digest]
        async with self._semaphore.slot():
            return await self._smaller_once(digest, avatar)

    async def _with_small_avatar(self, delivery: Delivery) -> Delivery:
        actor = delivery.actor
        if actor is None or actor.avatar is None:
            return delivery
        small = await self.small_avatar(actor.avatar)
        return replace(delivery, actor=replace(actor, avatar=small))

    async def _smaller_once(self, digest: str, avatar: str) -> str | None:
        if digest not in self._kept:  # nobody did it while this waited for its turn
            self._kept[digest] = await self._in_thread(smaller, avatar)
        return self._kept[digest]

    async def _with_small_screenshot(self, delivery: Delivery) -> Delivery:
        event = delivery.event
        if not isinstance(event, CommentCreated) or event.screenshot is None:
            return delivery
        if len(event.screenshot) <= MAX_SCREENSHOT_BYTES:  # as base64 it is longer than that
            return delivery
        async with self._semaphore.slot():
            small = await self._in_thread(_small_screenshot, event.screenshot)
        return replace(delivery, event=replace(event, screenshot=small))

    async def _in_thread(self, work: Callable[[str], str | None], picture: str) -> str | None:
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, work, picture)
        except Exception:  # whatever a stranger's picture does to Pillow: the event continues
            log.exception("pictures.failed")
            return None

    def close(self) -> None:
        """Drop what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _small_screenshot(data_url: str) -> str | None:
    """One that Discord takes; the same where it is small enough."""
    content = content_of(data_url, MAX_GIVEN_BYTES)
    if content is None or len(content) <= MAX_SCREENSHOT_BYTES:
        return data_url
    small = scaled(content, MAX_SCREENSHOT_BYTES)
    if small is None:
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(small).decode()}"
