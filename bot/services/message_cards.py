"""The cards behind a message: for which subscription each is there, and which event it shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.errors import NotADelivery
from bot.model import InboxSource
from bot.services.project_followers import followed_entries
from bot.services.subscribe_results import Followed
from bot.speckle.events import Delivery
from bot.speckle.payloads import parse_delivery, read_envelope
from bot.storage import Storage, Transaction
from bot.work import InboxEvent, OutboxCard

MAX_BODY_BYTES: Final = 256 * 1024  # a message has ten cards; larger ones carry a picture


@dataclass(frozen=True, slots=True)
class MessageCard:
    """A card that a message shows.

    `event` is the row of its event and `delivery` what that says, as it came; each is None once it
    is no longer kept, and what a very large one says is not read.
    """

    card: OutboxCard
    entry: Followed
    event: InboxEvent | None = None
    delivery: Delivery | None = None

    @property
    def is_test(self) -> bool:
        """Whether it is a sample that /test made."""
        return self.event is not None and self.event.source is InboxSource.TEST


class MessageCards:
    """Finds what a message of the bot shows. Who may know of it is for the caller to ask."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def of(self, guild_id: int, channel_id: int, message_id: int) -> Sequence[MessageCard]:
        """The cards of a message in this guild, in their order; none where it is not known."""
        found = await self._storage.read(lambda tx: _found(tx, guild_id, channel_id, message_id))
        return [_with_event(*one) for one in found]


def _found(
    tx: Transaction, guild_id: int, channel_id: int, message_id: int
) -> list[tuple[OutboxCard, Followed, InboxEvent | None]]:
    cards = tx.outbox.of_message(channel_id, message_id)
    there = followed_entries(tx, {one.subscription_id for one in cards})
    entries = {entry.subscription.id: entry for entry in there}
    return [
        (card, entry, _event(tx, card))
        for card in cards
        if (entry := entries.get(card.subscription_id)) is not None
        and entry.subscription.guild_id == guild_id
    ]


def _event(tx: Transaction, card: OutboxCard) -> InboxEvent | None:
    return None if card.inbox_id is None else tx.inbox.get_small(card.inbox_id, MAX_BODY_BYTES)


def _with_event(card: OutboxCard, entry: Followed, event: InboxEvent | None) -> MessageCard:
    if event is None:
        return MessageCard(card, entry)
    try:
        delivery = parse_delivery(read_envelope(event.body, pictures=False))
    except NotADelivery:  # its body has been erased, or is too large
        return MessageCard(card, entry, event)
    return MessageCard(card, entry, event, delivery)
