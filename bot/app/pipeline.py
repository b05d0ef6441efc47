"""The parts that an event passes through, and the port that it comes in by."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from bot.app.base import Base
from bot.app.discord_side import DiscordSide
from bot.app.from_settings import shared_hook_of
from bot.app.speckle_side import SpeckleSide
from bot.cogs.interaction import why_posting_failed
from bot.discord_api.application_emoji import ApplicationEmoji
from bot.discord_api.client import SpeckleBot
from bot.discord_api.send import edit, find_sent, send
from bot.link_pages import LinkPages
from bot.pipeline.access import AccessCheck
from bot.pipeline.access_gate import AccessGate
from bot.pipeline.author_pictures import AuthorPictures
from bot.pipeline.catch_up.from_lists import ListsCatchUp
from bot.pipeline.catch_up.worker import CatchUp
from bot.pipeline.editor import Editor
from bot.pipeline.enrichment.asking import Enrichment
from bot.pipeline.enrichment.late import LateEnrichment
from bot.pipeline.ingest import Ingest
from bot.pipeline.listening.pace import ListeningPace
from bot.pipeline.listening.worker import Listener
from bot.pipeline.picture_resizer import PictureResizer
from bot.pipeline.reader_cards import ReaderCards
from bot.pipeline.replay import Replay
from bot.pipeline.routing import Routing
from bot.pipeline.sender import Sender
from bot.services.access_rules import LiveFor
from bot.services.readiness import Readiness
from bot.supervisor import Worker
from bot.webhook_listener import WebhookListener

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The parts that an event passes through."""

    catch_up: CatchUp
    listener: Listener
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
            "listening": self.listener.run,
            "ingest": self.ingest.run,
            "held_events": self.replay.run,
            "sender": partial(self.sender.run, bot.logged_in),
            "late_enrichment": self.late_enrichment.run,
            "editor": partial(self.editor.run, bot.logged_in),
        }


def build_pipeline(base: Base, speckle: SpeckleSide, discord_side: DiscordSide) -> Pipeline:
    """Build the workers that an event passes through, and what they share."""
    bot, access = discord_side.bot, discord_side.access
    access_gate = AccessGate(base.storage, access, on_held=lambda: replay.wake(), now=base.now)
    emoji = ApplicationEmoji()
    sender = _sender(base, bot, access_gate, emoji)
    editor = _editor(base, bot, access_gate, emoji)
    enrichment = _enrichment(base, speckle)
    known_names = speckle.known_names
    late_enrichment = LateEnrichment(
        base.storage,
        enrichment,
        access,
        known_names,
        on_changed=editor.wake,
        on_found=lambda: ingest.wake(),
        now=base.now,
    )
    picture_resizer = PictureResizer()
    author_pictures = AuthorPictures(speckle.client, speckle.lender, picture_resizer)
    reader_cards = ReaderCards(
        enrichment,
        known_names,
        author_pictures,
        speckle_servers=base.settings.speckle_servers,
        now=base.now,
    )
    routing = Routing(enrichment, access, picture_resizer, reader_cards, now=base.now)
    served = frozenset(base.settings.organisation.guilds)
    replay = Replay(
        base.storage,
        routing,
        served_guilds=served,
        on_cards=sender.wake,
        on_incomplete=late_enrichment.wake,
        now=base.now,
    )
    ingest = Ingest(
        base.storage,
        routing,
        served_guilds=served,
        outlets=replay.outlets,
        most_model_names=base.quotas.model_names,
        now=base.now,
    )
    catch_up = _catch_up(base, speckle, access, ingest.wake)
    listener = _listening(base, speckle, access, ingest.wake, late_enrichment)

    def close() -> None:
        enrichment.close()
        known_names.close()
        author_pictures.close()
        picture_resizer.close()

    return Pipeline(
        catch_up, listener, ingest, replay, sender, late_enrichment, editor, emoji, close
    )


def _sender(
    base: Base,
    bot: SpeckleBot,
    access_gate: AccessGate,
    emoji: ApplicationEmoji,
) -> Sender:
    async def taken(channel_id: int, message_ids: Collection[int]) -> Collection[int]:
        return await base.storage.read(lambda tx: tx.outbox.sent_messages(channel_id, message_ids))

    discord_now = base.rate_limiter.discord_time.now
    return Sender(
        base.storage,
        partial(send, bot, discord_now=discord_now, emoji=emoji, taken=taken),
        partial(why_posting_failed, bot),
        access_gate.hold_back_forbidden,
        base.rate_limiter,
        find_sent=partial(find_sent, bot, taken=taken),
        channels_at_once=base.settings.delivery.concurrency,
        now=base.now,
        timings=base.timings.sender,
        metrics=base.metrics,
    )


def _editor(
    base: Base, bot: SpeckleBot, access_gate: AccessGate, emoji: ApplicationEmoji
) -> Editor:
    return Editor(
        base.storage,
        partial(edit, bot, emoji=emoji),
        access_gate.may_edit,
        base.rate_limiter,
        now=base.now,
        retry=base.timings.editor_retry,
        apart_s=base.timings.edits_apart_s,
    )


def _enrichment(base: Base, speckle: SpeckleSide) -> Enrichment:
    return Enrichment(
        speckle.client,
        speckle.pictures,
        speckle.lender,
        speckle.counts,
        speckle.comparisons,
        servers=base.settings.speckle_servers,
        deadline_s=base.settings.speckle.enrich_deadline_s,
        timings=base.timings.enrichment,
    )


def _catch_up(
    base: Base,
    speckle: SpeckleSide,
    access: AccessCheck,
    stored: Callable[[], None],
) -> CatchUp:
    return CatchUp(
        base.storage,
        speckle.client,
        speckle.lender,
        on_stored=stored,
        decide=access.decide_and_record,
        quota=base.quotas.day_of_fetched,
        max_body_bytes=base.settings.webhook.max_body_mib * MIB,
        look_back=timedelta(days=base.settings.retention.delivered_days),
        now=base.now,
        limits=base.timings.catch_up,
    )


def _listening(
    base: Base,
    speckle: SpeckleSide,
    access: AccessCheck,
    stored: Callable[[], None],
    late_enrichment: LateEnrichment,
) -> Listener:
    lists = ListsCatchUp(
        base.storage,
        speckle.client,
        speckle.lender,
        access.decide_and_record,
        on_stored=stored,
        look_back=timedelta(days=base.settings.retention.delivered_days),
        now=base.now,
        quota=base.quotas.day,
        on_full=base.quotas.note_full,
        decide_again=partial(access.decide_and_record, fresh=True),
        sure_now=base.rate_limiter.discord_time.sure_now,
    )
    live = base.settings.live
    as_set = ListeningPace(soonest_s=live.every_s, sockets_from=live.sockets_from)
    return Listener(
        base.storage,
        speckle.client,
        speckle.lender,
        lists,
        speckle.sockets,
        live_for=LiveFor(live.who),
        quota=base.quotas.day,
        on_full=base.quotas.note_full,
        on_checks=late_enrichment.checks_rang,
        pace=base.timings.listening or as_set,
        sure_now=base.rate_limiter.discord_time.sure_now,
    )


def build_listener(
    base: Base, discord_side: DiscordSide, pipeline: Pipeline, readiness: Readiness
) -> WebhookListener:
    """Build the listener, with the pages of signing in where there is a public address."""
    listener = WebhookListener(
        base.storage,
        shared_hook=shared_hook_of(base.settings),
        max_body_bytes=base.settings.webhook.max_body_mib * MIB,
        on_stored=pipeline.ingest.wake,
        on_missed=pipeline.catch_up.missed,
        problems=readiness.problems,
        instance=base.instance,
        now=base.now,
        public_url=base.settings.public_url,
        quotas=base.quotas,
        refused=discord_side.refused,
        metrics=base.metrics,
    )
    if base.settings.public_url is not None:
        LinkPages(discord_side.linking, base.settings.public_url).add_to(listener.app)
    return listener
