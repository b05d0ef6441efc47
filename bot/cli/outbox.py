"""`python -m bot outbox`: which cards wait or were refused and why; once more, or drop them.

It works while the bot runs, which sees within seconds what was changed here.
"""

import json
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from datetime import datetime

import click

from bot.cli.outbox_texts import (
    HEADS,
    RUN,
    CardView,
    by_reason,
    listed,
    more_cards,
    no_card,
    nothing_found,
    remedy,
    table,
)
from bot.cli.stored import opened
from bot.cli.terminal import print_line
from bot.lookups import (
    CardFilter,
    CardStatus,
    OutboxActionResult,
)
from bot.settings import Settings
from bot.storage import Storage
from bot.timing import utc_now
from bot.work import InboxEvent, OutboxState


class OutboxCommand:
    """What a host reads and does. Each returns whether it found anything."""

    def __init__(self, storage: Storage, settings: Settings) -> None:
        self._storage = storage
        self._view = CardView(settings)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator["OutboxCommand"]:
        """On the database that the settings name. Errors: those of `opened`."""
        async with opened(settings) as storage:
            yield cls(storage, settings)

    async def list(self, wanted: CardFilter, limit: int) -> bool:
        """The newest cards, a line each."""
        cards = await self._newest(wanted, limit)
        if not cards:
            print_line(nothing_found(wanted))
            return False
        self._print_table(cards)
        total = await self._storage.read(lambda tx: tx.outbox_admin.count(wanted))
        print_line("")
        print_line(more_cards(len(cards), total))
        return True

    async def list_json(self, wanted: CardFilter, limit: int) -> bool:
        """The newest cards, for programs."""
        cards = await self._newest(wanted, limit)
        print_line(json.dumps([self._view.facts(card) for card in cards], indent=2))
        return bool(cards)

    async def show(self, card_id: int) -> bool:
        """All that is known of one card, with the way of its event."""
        found = await self._with_event(card_id)
        if found is None:
            print_line(no_card([card_id]))
            return False
        for line in self._view.all_of(*found, utc_now()):
            print_line(line)
        return True

    async def show_json(self, card_id: int) -> bool:
        """The same for programs."""
        found = await self._with_event(card_id)
        if found is None:
            print_line("null")
            return False
        card, event = found
        facts = self._view.facts(card) | {"event": self._view.event_facts(event)}
        print_line(json.dumps(facts, indent=2))
        return True

    async def retry(self, cards: Sequence[int]) -> bool:
        """Have cards tried again now, in their old place."""
        done = await self._storage.retry_cards(cards)
        again = _of(done, OutboxActionResult.REQUEUED)
        sooner = _of(done, OutboxActionResult.HASTENED)
        if again:
            print_line(f"✔ Waiting again, in their old place: {listed(again)}.")
        if sooner:
            print_line(f"✔ Waiting already; their channels are tried now: {listed(sooner)}.")
        waiting = [*again, *sooner, *_of(done, OutboxActionResult.HELD)]
        held = [card for card in await self._get(waiting) if card.held]
        for why, some in by_reason(held, utc_now()):
            ids = listed([card.id for card in some])
            print_line(f"– Kept for now ({why}): {ids}. {remedy(some[0])}")
        if len(held) < len(waiting):
            print_line(f"A running bot sends them within seconds; {RUN} list shows what is left.")
        self._not_done(done)
        return bool(waiting)

    async def _show_before_drop(self, ids: Sequence[int]) -> bool:
        """Show what would be dropped; whether there is any of it."""
        cards = await self._get(ids)
        going = [card for card in cards if card.state is not OutboxState.SENT]
        self._print_table(going)
        if not going:
            self._not_done(
                dict.fromkeys(ids, OutboxActionResult.ABSENT)
                | {c.id: OutboxActionResult.SENT for c in cards}
            )
        return bool(going)

    async def drop(self, ids: Sequence[int]) -> bool:
        """Delete cards permanently."""
        done = await self._storage.drop_cards(ids)
        dropped = _of(done, OutboxActionResult.DROPPED)
        if dropped:
            print_line(f"✔ Dropped permanently: {listed(dropped)}.")
        self._not_done(done)
        return bool(dropped)

    async def retry_undeliverable(
        self, channel_id: int | None, since: datetime | None = None
    ) -> bool:
        """Try again all that Discord did not accept, since then if that is given."""
        wanted = CardFilter((OutboxState.UNDELIVERABLE,), channel_id=channel_id, since=since)
        ids = await self._storage.read(lambda tx: tx.outbox_admin.ids(wanted))
        if not ids:
            print_line(f"{nothing_found(wanted)} So there is nothing to try again.")
            return False
        return await self.retry(ids)

    async def confirm_and_drop(self, ids: Sequence[int]) -> bool:
        """Show what would be deleted and ask first. Errors: click.Abort for a no."""
        if not await self._show_before_drop(ids):
            return False
        click.confirm("Drop these cards permanently?", abort=True)
        return await self.drop(ids)

    def _print_table(self, cards: Iterable[CardStatus]) -> None:
        now = utc_now()
        for line in table(HEADS, [self._view.cells(card, now) for card in cards]):
            print_line(line)

    async def _newest(self, wanted: CardFilter, limit: int) -> Sequence[CardStatus]:
        return await self._storage.read(lambda tx: tx.outbox_admin.newest(wanted, limit))

    async def _with_event(self, card_id: int) -> tuple[CardStatus, InboxEvent | None] | None:
        card = next(iter(await self._get([card_id])), None)
        if card is None:
            return None
        inbox_id = card.inbox_id
        if inbox_id is None:
            return card, None
        return card, await self._storage.read(lambda tx: tx.inbox.get(inbox_id))

    async def _get(self, ids: Sequence[int]) -> Sequence[CardStatus]:
        return await self._storage.read(lambda tx: tx.outbox_admin.get(ids))

    def _not_done(self, done: Mapping[int, OutboxActionResult]) -> None:
        if flying := _of(done, OutboxActionResult.IN_FLIGHT):
            print_line(
                f"✘ Left alone, as Discord may have the message already: {listed(flying)}. The "
                f"next try finds out; when that is: {RUN} show {flying[0]}"
            )
        if sent := _of(done, OutboxActionResult.SENT):
            print_line(f"✘ Left alone, as it was sent: {listed(sent)}. Delete it in Discord.")
        if absent := _of(done, OutboxActionResult.ABSENT):
            print_line(no_card(absent))


def _of(done: Mapping[int, OutboxActionResult], kind: OutboxActionResult) -> Sequence[int]:
    """The cards that this became of."""
    return [card_id for card_id, what in done.items() if what is kind]


async def on_outbox(settings: Settings, do: Callable[[OutboxCommand], Awaitable[bool]]) -> bool:
    """Do it on the database of the settings; whether it found anything."""
    async with OutboxCommand.open(settings) as cards:
        return await do(cards)
