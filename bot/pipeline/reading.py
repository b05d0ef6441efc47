"""Reads what waits in the inbox; a large body in a thread, so that the event loop continues."""

import asyncio
from typing import Final

from bot.speckle.activity import event_key
from bot.speckle.events import Delivery
from bot.speckle.payloads import parse_delivery, read_envelope

LARGE_BODY_BYTES: Final = 256 * 1024


async def read(body: bytes) -> tuple[Delivery, str]:
    """What a body says, and its key. Errors: NotADelivery."""
    if len(body) > LARGE_BODY_BYTES:
        return await asyncio.to_thread(_read, body)
    return _read(body)


def _read(body: bytes) -> tuple[Delivery, str]:
    envelope = read_envelope(body)
    return parse_delivery(envelope), event_key(envelope)
