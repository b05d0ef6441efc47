"""/test: a sample of each kind that a channel wants, sent the way that real events go."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from time import monotonic
from typing import Final

from bot.model import SubscriptionState
from bot.permissions import Actor, TargetChannel
from bot.services.channel_rules import require_manager, require_posting
from bot.services.project_followers import model_names
from bot.services.refusals import CommandRefused, NotOneProject, RefusalReason, Retry
from bot.services.subscribe_results import Followed
from bot.services.subscriptions import SubscriptionService
from bot.speckle.events import EventKind
from bot.speckle.filters import FilterWhy, matches
from bot.speckle.payloads import parse_delivery, read_envelope
from bot.speckle.samples import SAMPLES, SampleScene, real_model, sample_body, sample_model
from bot.speckle.subscription_options import SubscriptionOptions, wanted_kinds
from bot.storage import Storage, Transaction
from bot.trace import TraceLine
from bot.work import (
    InboxState,
    OutboxState,
    SampleProgress,
)

HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class SampleLimits:
    """For how long somebody waits to hear how it went, and how often it is looked at.

    `an_hour`: tests of one guild, as they count towards none of its quotas.
    """

    wait_s: float = 20.0
    look_s: float = 0.3
    an_hour: int = 60


class SampleFate(Enum):
    """What has become of a sample by now."""

    SHOWN = auto()
    NOT_SHOWN = auto()  # its trace says by which rule
    UNDER_WAY = auto()
    REFUSED = auto()  # by Discord


@dataclass(frozen=True, slots=True)
class SampleResult:
    """One kind's sample; `trace` is its way so far, `error` why Discord did not take its card."""

    kind: EventKind
    fate: SampleFate
    trace: tuple[TraceLine, ...]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SampleReport:
    """How a test went, in the order of its events."""

    entry: Followed
    results: tuple[SampleResult, ...]

    def of(self, fate: SampleFate) -> tuple[SampleResult, ...]:
        """Those with this fate."""
        return tuple(one for one in self.results if one.fate is fate)


class SampleService:
    """Makes samples, and waits until they are shown; `on_stored` is called when some are new."""

    def __init__(
        self,
        storage: Storage,
        subscriptions: SubscriptionService,
        on_stored: Callable[[], None],
        limits: SampleLimits = SampleLimits(),
    ) -> None:
        self._storage = storage
        self._subscriptions = subscriptions
        self._on_stored = on_stored
        self._limits = limits
        self._tests: dict[int, list[float]] = {}  # when, by guild

    async def entry_to_test(
        self, guild_id: int, actor: Actor, channel_id: int, project: str | None
    ) -> Followed:
        """What a channel follows, as the caller means it. Errors: CommandRefused."""
        require_manager(actor, channel_id)
        listed = (
            await self._subscriptions.listing(guild_id, actor, channel_id)
            if project is None
            else await self._subscriptions.meant(guild_id, actor, project)
        )
        here = [one for one in listed if one.subscription.channel_id == channel_id]
        if len(here) != 1:
            labels = tuple(one.label for one in here)
            raise CommandRefused(NotOneProject(channel_id, labels, named=project is not None))
        return here[0]

    async def test(
        self, guild_id: int, actor: Actor, target: TargetChannel, subscription_id: int
    ) -> SampleReport:
        """Send a sample of each wanted kind to the channel. Errors: CommandRefused."""
        entry = await self._subscriptions.entry(guild_id, actor, subscription_id)
        require_posting(target, Retry.TEST)
        if entry.subscription.state is SubscriptionState.PAUSED:
            raise CommandRefused(RefusalReason.TEST_WHILE_PAUSED)
        held = await self._storage.read(lambda tx: tx.held_events.count([subscription_id]))
        if held:
            raise CommandRefused(RefusalReason.TEST_WHILE_HELD)
        scene = await self._storage.read(lambda tx: _scene(tx, entry))
        bodies = _wanted(entry.subscription.options, scene)
        self._count(guild_id)
        ids = await self._storage.write(
            lambda tx: tx.samples.add(entry.hook, entry.subscription, [*bodies.values()])
        )
        if not ids:
            raise CommandRefused(RefusalReason.TEST_TOO_SOON)
        self._on_stored()
        progress = await self._settled(ids)
        kind_of = dict(zip(ids, bodies, strict=True))
        return SampleReport(entry, tuple(_result(kind_of[one.inbox_id], one) for one in progress))

    def _count(self, guild_id: int) -> None:
        """Count a test of this guild. Errors: CommandRefused after too many."""
        now = monotonic()
        recent = [at for at in self._tests.get(guild_id, ()) if now - at < HOUR_S]
        if len(recent) >= self._limits.an_hour:
            raise CommandRefused(RefusalReason.TEST_TOO_OFTEN)
        self._tests[guild_id] = [*recent, now]

    async def _settled(self, ids: Sequence[int]) -> Sequence[SampleProgress]:
        """How far they have come, once each has come to its end, or nobody waits any longer."""
        until = monotonic() + self._limits.wait_s
        while True:
            progress = await self._storage.read(lambda tx: tx.samples.progress(ids))
            under_way = any(_fate(one) is SampleFate.UNDER_WAY for one in progress)
            if not under_way or monotonic() >= until:
                return progress
            await asyncio.sleep(self._limits.look_s)


def _wanted(options: SubscriptionOptions, scene: SampleScene) -> Mapping[EventKind, bytes]:
    """The bodies of all kinds that have cards of their own in such a channel."""
    wanted = wanted_kinds(options)
    bodies = {kind: sample_body(kind, scene) for kind in SAMPLES if kind in wanted}
    return {
        kind: body
        for kind, body in bodies.items()
        if matches(options, parse_delivery(read_envelope(body))).why
        is not FilterWhy.COMES_WITH_COMMENT
    }


def _result(kind: EventKind, progress: SampleProgress) -> SampleResult:
    return SampleResult(kind, _fate(progress), progress.trace, progress.error)


def _fate(progress: SampleProgress) -> SampleFate:
    match progress.card:
        case OutboxState.SENT:
            return SampleFate.SHOWN
        case OutboxState.UNDELIVERABLE:
            return SampleFate.REFUSED
        case OutboxState.WAITING:
            return SampleFate.UNDER_WAY
        case None:
            new = progress.event is InboxState.NEW
            return SampleFate.UNDER_WAY if new else SampleFate.NOT_SHOWN


def _scene(tx: Transaction, entry: Followed) -> SampleScene:
    """What samples for a channel are about, by what is known for it already."""
    hook, subscription = entry.hook, entry.subscription
    known = model_names(tx, hook, subscription)
    return SampleScene(
        hook.server_url,
        hook.project_id,
        hook.project_name,
        sample_model(subscription.options.models, known),
        real_model(subscription.options.models, known),
    )
