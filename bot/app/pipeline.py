"""The parts that an event passes through, and the port that it comes in by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from bot.app.discord_side import DiscordSide
from bot.app.from_settings import shared_hook_of
from bot.app.speckle_side import SpeckleSide
from bot.app.timings import Timings
from bot.cogs.interaction import why_posting_failed
from bot.discord_api.application_emoji import ApplicationEmoji
from bot.discord_api.client import SpeckleBot
from bot.discord_api.rate_limits import RateLimiter
from bot.discord_api.send import edit, find_sent, send
from bot.link_pages import LinkPages
from bot.metrics import Metrics
from bot.pipeline.access import AccessCheck
from bot.pipeline.access_gate import AccessGate
from bot.pipeline.catch_up.from_history import CatchUpLimits
from bot.pipeline.catch_up.worker import CatchUp
from bot.pipeline.editor import Editor
from bot.pipeline.enrichment import Enrichment, EnrichmentTimings
from bot.pipeline.ingest import Ingest
from bot.pipeline.late_enrichment import LateEnrichment
from bot.pipeline.picture_resizer import PictureResizer
from bot.pipeline.replay import Replay
from bot.pipeline.routing import Routing
from bot.pipeline.sender import Sender, SenderTimings
from bot.services.quotas import QuotaService
from bot.services.readiness import Readiness
from bot.settings import Settings
from bot.storage import Storage
from bot.supervisor import Worker
from bot.timing import utc_now
from bot.webhook_listener import WebhookListener

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The parts that an event passes through."""

    catch_up: CatchUp
    ingest: Ingest
    replay: Replay
    sender: Sender
    late_enrichment: LateEnrichment
    editor: Editor
    emoji: ApplicationEmoji
    close: Callable[[], None]

    def workers(self, bot: SpeckleBot, *, with_emoji: bool) -> Mapping[str, Worker]:
        """What is to run, by name; the emoji of titles only for a host who wants them."""
        emoji = {"emoji": partial(self.emoji.run, bot, bot.logged_in)} if with_emoji else {}
        return {
            **emoji,
            "catch_up": self.catch_up.run,  # first: what was missed is older than what comes now
            "ingest": self.ingest.run,
            "held_events": self.replay.run,
            "sender": partial(self.sender.run, bot.logged_in),
            "late_enrichment": self.late_enrichment.run,
            "editor": partial(self.editor.run, bot.logged_in),
        }


def build_pipeline(
    settings: Settings,
    storage: Storage,
    metrics: Metrics,
    speckle: SpeckleSide,
    discord_side: DiscordSide,
    quotas: QuotaService,
    rate_limiter: RateLimiter,
    timings: Timings,
) -> Pipeline:
    """Build the workers that an event passes through, and what they share."""
    bot, access = discord_side.bot, discord_side.access
    access_gate = AccessGate(storage, access, on_held=lambda: replay.wake(), now=utc_now)
    emoji = ApplicationEmoji()
    sender = _sender(
        settings, storage, metrics, bot, rate_limiter, access_gate, emoji, timings.sender
    )
    retry, change = timings.editor_retry, partial(edit, bot, emoji=emoji)
    editor = Editor(storage, change, access_gate.may_edit, rate_limiter, now=utc_now, retry=retry)
    enrichment = _enrichment(settings, speckle, timings.enrichment)
    known_names = speckle.known_names
    late_enrichment = LateEnrichment(
        storage, enrichment, access, known_names, on_changed=editor.wake, now=utc_now
    )
    picture_resizer = PictureResizer()
    routing = Routing(
        enrichment,
        access,
        known_names,
        picture_resizer,
        speckle_servers=settings.speckle_servers,
        now=utc_now,
    )
    served = frozenset(settings.organisation.guilds)
    replay = Replay(
        storage,
        routing,
        served_guilds=served,
        on_cards=sender.wake,
        on_incomplete=late_enrichment.wake,
        now=utc_now,
    )
    ingest = Ingest(
        storage,
        routing,
        served_guilds=served,
        outlets=replay.outlets,
        most_model_names=quotas.model_names,
        now=utc_now,
    )
    catch_up = _catch_up(settings, storage, speckle, quotas, access, ingest.wake, timings.catch_up)

    def close() -> None:
        enrichment.close()
        known_names.close()
        picture_resizer.close()

    return Pipeline(catch_up, ingest, replay, sender, late_enrichment, editor, emoji, close)


def _sender(
    settings: Settings,
    storage: Storage,
    metrics: Metrics,
    bot: SpeckleBot,
    rate_limiter: RateLimiter,
    access_gate: AccessGate,
    emoji: ApplicationEmoji,
    timings: SenderTimings,
) -> Sender:
    return Sender(
        storage,
        partial(send, bot, discord_now=rate_limiter.discord_time.now, emoji=emoji),
        partial(why_posting_failed, bot),
        access_gate.hold_back_forbidden,
        rate_limiter,
        find_sent=partial(find_sent, bot),
        channels_at_once=settings.delivery.concurrency,
        now=utc_now,
        timings=timings,
        metrics=metrics,
    )


def _enrichment(settings: Settings, speckle: SpeckleSide, timings: EnrichmentTimings) -> Enrichment:
    return Enrichment(
        speckle.client,
        speckle.pictures,
        speckle.lender,
        speckle.counts,
        servers=settings.speckle_servers,
        deadline_s=settings.speckle.enrich_deadline_s,
        timings=timings,
    )


def _catch_up(
    settings: Settings,
    storage: Storage,
    speckle: SpeckleSide,
    quotas: QuotaService,
    access: AccessCheck,
    stored: Callable[[], None],
    limits: CatchUpLimits,
) -> CatchUp:
    return CatchUp(
        storage,
        speckle.client,
        speckle.lender,
        on_stored=stored,
        decide=access.decide_and_record,
        quota=quotas.day_of_fetched,
        max_body_bytes=settings.webhook.max_body_mib * MIB,
        look_back=timedelta(days=settings.retention.delivered_days),
        now=utc_now,
        limits=limits,
    )


def build_listener(
    settings: Settings,
    storage: Storage,
    metrics: Metrics,
    discord_side: DiscordSide,
    quotas: QuotaService,
    pipeline: Pipeline,
    readiness: Readiness,
    instance: str,
) -> WebhookListener:
    """Build the listener, with the pages of signing in where there is a public address."""
    listener = WebhookListener(
        storage,
        shared_hook=shared_hook_of(settings),
        max_body_bytes=settings.webhook.max_body_mib * MIB,
        on_stored=pipeline.ingest.wake,
        on_missed=pipeline.catch_up.missed,
        problems=readiness.problems,
        instance=instance,
        now=utc_now,
        public_url=settings.public_url,
        quotas=quotas,
        refused=discord_side.refused,
        metrics=metrics,
    )
    if settings.public_url is not None:
        LinkPages(discord_side.linking, settings.public_url).add_to(listener.app)
    return listener
