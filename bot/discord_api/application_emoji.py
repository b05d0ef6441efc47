"""The application's own emoji: created once, and found again after a restart."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Final

import discord
import structlog

from bot.cards.emoji import OF_KIND, CardEmoji, drawn
from bot.discord_api.outcomes import DISCORD_ERRORS, RetryLater, outcome_of
from bot.speckle.events import EventKind
from bot.timing import Backoff

log = structlog.get_logger()

RETRY: Final = Backoff((60.0, 600.0, 3600.0))


class ApplicationEmoji(Mapping[EventKind, str]):
    """What is shown before a card's title, by the kind of its event; empty until Discord has them.

    Cards need none of it: where Discord refuses, they come without.
    """

    def __init__(self, retry: Backoff = RETRY) -> None:
        self._retry = retry
        self._there: dict[EventKind, str] = {}

    def __getitem__(self, kind: EventKind) -> str:
        return self._there[kind]

    def __iter__(self) -> Iterator[EventKind]:
        return iter(self._there)

    def __len__(self) -> int:
        return len(self._there)

    async def run(self, client: discord.Client, logged_in: asyncio.Event) -> None:
        """Find or create them once the bot is logged in; then wait until cancelled."""
        await logged_in.wait()
        tries = 0
        while (wait_s := await self._try(client, self._retry.delay_s(tries))) is not None:
            tries += 1
            await asyncio.sleep(wait_s)
        await asyncio.Event().wait()

    async def _try(self, client: discord.Client, step_s: float) -> float | None:
        """None once all are there; else for how long to wait."""
        try:
            found = {one.name: str(one) for one in await client.fetch_application_emojis()}
            for name in CardEmoji:
                if name.value not in found:
                    image = await asyncio.to_thread(drawn, name)
                    made = await client.create_application_emoji(name=name.value, image=image)
                    found[name.value] = str(made)
        except DISCORD_ERRORS as error:
            outcome = outcome_of(error)
            asked_s = outcome.retry_in_s if isinstance(outcome, RetryLater) else None
            wait_s = max(step_s, asked_s or 0.0)
            log.warning("emoji.not_there", retry_in_s=round(wait_s), **outcome.reason.to_facts())
            return wait_s
        self._there |= {kind: found[name.value] for kind, name in OF_KIND.items()}
        log.info("emoji.there", count=len(CardEmoji))
        return None
