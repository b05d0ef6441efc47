"""How an event looks: what its card is made of, for one reader."""

from collections.abc import Mapping
from dataclasses import replace

import structlog

from bot.cards.card import Card
from bot.cards.card_context import CardContext
from bot.cards.notes import CardNote, NoteKind
from bot.cards.render import render
from bot.model import Hook, InboxSource
from bot.speckle.events import Delivery, KnownThread, ProjectNames, UnknownEvent
from bot.speckle.facts import Facts
from bot.trace import NOTE_FACT
from bot.work import InboxEvent

log = structlog.get_logger()

FETCHED: Mapping[InboxSource, NoteKind] = {
    InboxSource.HISTORY: NoteKind.NOT_DELIVERED,
    InboxSource.ACTIVITY: NoteKind.NO_WEBHOOK,
}


def card_context(
    hook: Hook,
    row: InboxEvent,
    delivery: Delivery,
    names: ProjectNames,
    facts: Facts | None,
    thread: KnownThread | None,
) -> CardContext:
    """What the card of an event shows, for one reader."""
    return CardContext(
        delivery=delivery,
        server_url=hook.server_url,
        received_at=row.event_at,
        facts=facts,
        notes=_delay_notes(row),
        project_name=hook.project_name,
        model_names=names.models,
        person_names=names.people,
        thread=thread,
    )


def _delay_notes(row: InboxEvent) -> tuple[CardNote, ...]:
    """What is to be known of an event that was fetched after its time."""
    kind = FETCHED.get(row.source)
    if kind is None and row.source is not InboxSource.LIVE:
        return ()
    kept = (str(line.facts[NOTE_FACT]) for line in row.trace if NOTE_FACT in line.facts)
    delayed = () if kind is None else (CardNote.at(kind, row.event_at),)
    return (*delayed, *map(CardNote.from_stored, kept))


def rendered(context: CardContext) -> Card | None:
    """The event's card; a fault in its renderer gives the plain card, never a lost event."""
    try:
        return render(context)
    except Exception:  # whatever a renderer did not expect of what a server sends
        log.exception("ingest.renderer_failed", kind=context.delivery.event.kind.value)
        plain = replace(context.delivery, event=UnknownEvent())
        return render(replace(context, delivery=plain))
