"""Waiting for what nobody sets an event for: another process, a database, a library's cache."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")
LOOK_S = 0.01  # the first pause; what is long in coming is looked for less and less often
LONGEST_LOOK_S = 0.05


@overload
async def until(found: Callable[[], Awaitable[T | None]], within_s: float = ...) -> T: ...
@overload
async def until(found: Callable[[], T | None], within_s: float = ...) -> T: ...
async def until(found: Callable[[], object], within_s: float = 15.0) -> object:
    """Ask again and again until there is something true; TimeoutError if there never is."""
    pause_s = LOOK_S
    async with asyncio.timeout(within_s):
        while True:
            value = found()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(pause_s)
            pause_s = min(1.25 * pause_s, LONGEST_LOOK_S)
