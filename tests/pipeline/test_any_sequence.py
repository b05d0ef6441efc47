"""Whatever Discord answers, in whatever order: no card is lost, doubled or out of its place."""

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from cryptography.fernet import Fernet
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.cards.card import MAX_TOTAL, Card
from bot.discord_api.outcomes import (
    TOKEN_REFUSED,
    ChannelUnavailable,
    Fault,
    Outcome,
    Rejected,
    RetryLater,
    Sent,
)
from bot.model import SubscriptionState
from bot.pipeline.batching import MAX_EMBEDS
from bot.problems import SendProblem, SendReason
from bot.storage import Storage
from bot.vault import Vault
from bot.work import (
    Batch,
    FallbackLevel,
    OutboxState,
)
from tests.pipeline.test_sender_rules import CHANNEL, Clock, delivering, queue_card
from tests.stored import new_database, stored_card, waiting_count

ANSWERS = ("taken", "taken, answer lost", "error", "slower", "refused", "closed", "token")
LONGEST_TEXT = 3_000


class Channel:
    """A channel that answers as it was told to, then well; it knows the nonces that it has seen."""

    def __init__(self, answers: Sequence[str]) -> None:
        self._answers = iter(answers)
        self.by_nonce: dict[str, list[str]] = {}
        self.refused: set[str] = set()
        self.tried_at: list[object] = []

    async def send(self, batch: Batch, cards: Sequence[Card], form: FallbackLevel) -> Outcome:
        nonce = batch.nonce
        titles = [card.title for card in cards]
        assert len(cards) <= (MAX_EMBEDS if form is FallbackLevel.FULL else 1)
        assert len(cards) == 1 or sum(card.length for card in cards) <= MAX_TOTAL
        answer = next(self._answers, "taken")
        if nonce in self.by_nonce and answer == "refused":
            answer = "taken"  # the double is dropped before anybody looks into it
        match answer:
            case "taken":
                return self._take(nonce, titles)
            case "taken, answer lost":
                self._take(nonce, titles)
                return RetryLater(SendReason(SendProblem.NO_ANSWER, {"within_s": 120}))
            case "error":
                return RetryLater(SendReason(SendProblem.ANSWERED, {"status": 503}))
            case "slower":
                return RetryLater(SendReason(SendProblem.SLOWER), retry_in_s=2.5)
            case "refused":
                if form is FallbackLevel.TEXT:
                    self.refused |= set(titles)
                return Rejected(SendReason(SendProblem.ANSWERED, {"status": 400}))
            case "closed":
                refused = SendReason(SendProblem.ANSWERED, {"status": 403})
                return ChannelUnavailable(Fault.NO_PERMISSION, refused)
            case _:
                return TOKEN_REFUSED

    def _take(self, nonce: str, titles: list[str]) -> Sent:
        assert self.by_nonce.setdefault(nonce, titles) == titles, "another message under one nonce"
        return Sent(len(self.by_nonce))

    @property
    def shown(self) -> list[str]:
        return [title for titles in self.by_nonce.values() for title in titles]


async def drain(storage: Storage, channel: Channel, clock: Clock, lengths: Sequence[int]) -> None:
    ids = [await queue_card(storage, clock, n, "x" * length) for n, length in enumerate(lengths)]
    async with delivering(storage, channel.send, clock) as work, asyncio.timeout(30):
        while await storage.read(waiting_count):
            due_in_s, subscriptions = await storage.read(
                lambda tx: (tx.outbox.due_in(), tx.subscriptions.of_channel(CHANNEL))
            )
            for subscription in subscriptions:
                if subscription.state is SubscriptionState.PAUSED:
                    await storage.write(
                        lambda tx: tx.subscriptions.set_state(
                            subscription.id, SubscriptionState.ACTIVE
                        )
                    )
            clock.time += timedelta(seconds=due_in_s or 0)
            work.pace_clock.now_s += 1000
            work.delivery.wake()
            await asyncio.sleep(0.005)
    rows = [await storage.read(lambda tx: stored_card(tx, card_id)) for card_id in ids]
    kept = {
        f"card {number}"
        for number, row in enumerate(rows)
        if row is not None and row.state is OutboxState.UNDELIVERABLE
    }
    wanted = [f"card {number}" for number in range(len(lengths))]
    assert kept == channel.refused
    assert channel.shown == [title for title in wanted if title not in kept]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@example(answers=["taken, answer lost", "closed"], lengths=[0, 0, 0])
@given(
    answers=st.lists(st.sampled_from(ANSWERS), max_size=25),
    lengths=st.lists(st.integers(0, LONGEST_TEXT), min_size=1, max_size=15),
)
def test_every_card_is_shown_once_and_in_order_or_kept_with_a_reason(
    answers: list[str], lengths: list[int]
) -> None:
    async def run() -> None:
        clock = Clock()
        vault = Vault([Fernet.generate_key().decode()])
        with tempfile.TemporaryDirectory() as folder:
            url = new_database(Path(folder) / "bot.db")
            async with Storage.open(url, vault, clock) as storage:
                await drain(storage, Channel(answers), clock, lengths)

    asyncio.run(run())
