"""The time now, when something is tried again, and work that is done again and again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

import structlog

from bot.errors import StorageUnavailable

log = structlog.get_logger()


def utc_now() -> datetime:
    """The time now, aware, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait between tries: the n-th delay after the n-th, the last one from then on.

    `jitter` is the part of a delay by which it may be shorter or longer, so that what failed
    together is not tried again together.
    """

    delays_s: tuple[float, ...]
    jitter: float = 0.0

    def delay_s(self, failures: int, rand: Callable[[], float] = random.random) -> float:
        """Seconds until the next try, after so many failures before the latest one."""
        delay_s = self.delays_s[min(failures, len(self.delays_s) - 1)]
        return delay_s * (1 + self.jitter * (2 * rand() - 1))


async def periodic(
    name: str,
    work: Callable[[], Awaitable[float | None]],
    *,
    every_s: float,
    wake: asyncio.Event | None = None,
) -> NoReturn:
    """Do work again and again until cancelled; it may give the seconds to wait instead.

    `wake` ends the wait at once. Work that fails is logged, and done again like any other.
    """
    wake = wake or asyncio.Event()
    while True:
        wake.clear()
        wait_s = None
        try:
            wait_s = await work()
        except StorageUnavailable as error:
            log.error("worker.database_unavailable", worker=name, reason=error.reason)
        except Exception:  # the top of the loop: the next round may go well
            log.exception("worker.failed", worker=name)
        await set_within(wake, every_s if wait_s is None else wait_s)


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, but no longer; whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
