"""How long each part waits."""

from dataclasses import dataclass

from bot.discord_api.client import ConnectionTimings
from bot.notifiers.operator_notifier import (
    OperatorTimings,
)
from bot.notifiers.pause_notifier import NotifierTimings
from bot.pipeline.access import AccessTimings
from bot.pipeline.catch_up.from_history import CatchUpLimits
from bot.pipeline.editor import EDIT_RETRY, EDITS_APART_S
from bot.pipeline.enrichment.timings import EnrichmentTimings
from bot.pipeline.listening.pace import ListeningPace
from bot.pipeline.sender import SenderTimings
from bot.speckle_api.circuit_breaker import BreakerLimits
from bot.storage import StorageTimings
from bot.timing import Backoff


@dataclass(frozen=True, slots=True)
class Timings:
    """How long each part waits, and what a few take at a time; tests hand in others.

    Without a pace of `listening` it is as `[live]` says.
    """

    storage: StorageTimings = StorageTimings()
    speckle: BreakerLimits = BreakerLimits()
    connection: ConnectionTimings = ConnectionTimings()
    access: AccessTimings = AccessTimings()
    enrichment: EnrichmentTimings = EnrichmentTimings()
    sender: SenderTimings = SenderTimings()
    editor_retry: Backoff = EDIT_RETRY
    edits_apart_s: float = EDITS_APART_S
    catch_up: CatchUpLimits = CatchUpLimits()
    listening: ListeningPace | None = None
    notifier: NotifierTimings = NotifierTimings()
    operator: OperatorTimings = OperatorTimings()
