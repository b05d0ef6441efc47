"""Waiting for what nobody sets an event for: another process, a database, a library's cache."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")
LOOK_S = 0.01


@overload
async def until(found: Callable[[], Awaitable[T | None]], within_s: float = ...) -> T: ...
@overload
async def until(found: Callable[[], T | None], within_s: float = ...) -> T: ...
async def until(found: Callable[[], object], within_s: float = 15.0) -> object:
    """Ask again and again until there is something true; TimeoutError if there never is."""
    async with asyncio.timeout(within_s):
        while True:
            value = found()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(LOOK_S)
