"""What cards still lack when they go out: asked for again, and written into them when it is there.

A card that is changed after its message may have been sent leaves an edit for that message.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Select, and_, delete, func, select, tuple_, update

from bot.cards.card import Card
from bot.db.card_pictures import write_pictures
from bot.db.channel_queues import lock
from bot.db.inbox import add_lines, insert_events
from bot.db.late_jobs import jobs_for_versions, put_jobs
from bot.db.looks import BUSY, NOW, first_of_each
from bot.db.outbox import read_rows
from bot.db.rows import value_of
from bot.db.session import Session
from bot.db.shown_subjects import is_shown, note_subject
from bot.db.tables import (
    HAS_SUBJECT,
    SHOWS_VERSION,
    edits,
    hooks,
    inbox,
    late_enrichment_jobs,
    outbox,
    outbox_pictures,
    subscriptions,
)
from bot.model import InboxSource
from bot.trace import MissingWhy, TraceLine, TraceStep
from bot.work import (
    CardChange,
    InboxState,
    LateAddition,
    LateEnrichmentJob,
    LateEnrichmentKey,
    OutboxCard,
    OutboxState,
    OwnEvent,
    RungVersion,
)

ASKED_AGAIN = timedelta(days=1)
# What may be said more than once, and is no news if it is the same.
SAID_AGAIN = frozenset({LateAddition.CHECKS, LateAddition.OPENED})
COMPARES = late_enrichment_jobs.c.kind == LateAddition.CHANGES


def _of_hooks(query: Select[Any]) -> Select[Any]:
    jobs = query.select_from(late_enrichment_jobs).join(
        subscriptions, late_enrichment_jobs.c.subscription_id == subscriptions.c.id
    )
    return jobs.join(hooks, subscriptions.c.hook_id == hooks.c.id)


KEY = (hooks.c.server_url, hooks.c.guild_id, COMPARES)
NOT_BUSY = tuple_(*KEY).not_in(BUSY)
DUE_KEYS = first_of_each(
    _of_hooks(select(*KEY))
    .where(NOT_BUSY, late_enrichment_jobs.c.next_try_at <= NOW)
    .group_by(*KEY),
    hooks.c.server_url,
    func.min(late_enrichment_jobs.c.next_try_at),
)
SOONEST = _of_hooks(select(func.min(late_enrichment_jobs.c.next_try_at))).where(NOT_BUSY)


class LateEnrichmentJobs:
    """Jobs that ask a Speckle server again."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def due_keys(
        self, limit: int, excluding: Collection[LateEnrichmentKey] = ()
    ) -> list[LateEnrichmentKey]:
        """The guilds for which something is to be asked of a server now.

        Of each server the `limit` that have been due the longest.
        """
        values = {"now": self._now(), "busy": _busy(excluding), "limit": limit}
        return [LateEnrichmentKey(*row) for row in self._session.execute(DUE_KEYS, values)]

    def due_in(self, excluding: Collection[LateEnrichmentKey] = ()) -> float | None:
        """Seconds until a job is due, 0 if one is; None if there is none."""
        due_at: datetime | None = self._session.scalar(SOONEST, {"busy": _busy(excluding)})
        return self._session.seconds_until(due_at)

    def due(self, key: LateEnrichmentKey, limit: int) -> list[LateEnrichmentJob]:
        """The jobs of an ordering key that are due, the longest due first."""
        statement = (
            _of_hooks(select(late_enrichment_jobs))
            .where(
                late_enrichment_jobs.c.next_try_at <= self._now(),
                hooks.c.server_url == key.server_url,
                hooks.c.guild_id == key.guild_id,
                COMPARES if key.compares else ~COMPARES,
            )
            .order_by(late_enrichment_jobs.c.next_try_at, late_enrichment_jobs.c.id)
            .limit(limit)
        )
        rows = self._session.execute(statement).mappings().all()
        return [value_of(LateEnrichmentJob, row) for row in rows]

    def postpone(self, job_id: int, until: datetime) -> None:
        """Ask again later."""
        statement = (
            update(late_enrichment_jobs)
            .where(late_enrichment_jobs.c.id == job_id)
            .values(attempts=late_enrichment_jobs.c.attempts + 1, next_try_at=until)
        )
        self._session.execute(statement)

    def ask_now(self, kind: LateAddition, versions: Collection[RungVersion]) -> None:
        """Ask about the cards of these versions, also where that had come to its end.

        Not of cards that are older than ASKED_AGAIN.
        """
        now, wanted = self._now(), frozenset(versions)
        there = self._session.execute(_shows(wanted, since=now - ASKED_AGAIN))
        rows = [
            {
                "inbox_id": inbox_id,
                "subscription_id": subscription_id,
                "kind": kind,
                "created_at": now,
                "next_try_at": now,
            }
            for inbox_id, subscription_id, *version in there
            if RungVersion(*version) in wanted
        ]
        put_jobs(self._session, rows)

    def drop(self, job: LateEnrichmentJob, note: TraceLine | None = None) -> None:
        """Ask no more; the cards stay as they are. The event's trace gets the note."""
        self._session.execute(
            delete(late_enrichment_jobs).where(late_enrichment_jobs.c.id == job.id)
        )
        if note is not None:
            add_lines(self._session, job.inbox_id, [note])

    def has_cards(self, job: LateEnrichmentJob) -> bool:
        """Whether any of the cards that lack something is still kept."""
        statement = select(outbox.c.id).join(subscriptions).where(_cards_of(job)).limit(1)
        return (self._session.scalar(statement)) is not None

    def fill(
        self,
        job: LateEnrichmentJob,
        change: CardChange,
        note: TraceLine,
        subject: str | None = None,
        *,
        again_at: datetime | None = None,
        of_versions: Collection[str] = (),
        on_versions: Collection[str] = (),
        found: OwnEvent | None = None,
    ) -> list[int]:
        """Change the job's cards and end it, in one transaction; the ids of the changed cards.

        The event's trace gets the note, or that none of them changes. `subject` is what they show
        then of an issue; they stay as they are if another card has shown that. With `again_at` it
        is not ended: more may come, and the note then. With `of_versions` it is about the
        subscription's cards of these versions in place of its event's own; `on_versions` are those
        that its event turned out to be about, whose cards are to say so. `found` becomes an event
        of its own, once.

        `change(row, company)` gives the card as it is to be, or None to leave it; `company` are
        the other cards of the message that it is in or on its way with. Those whose message may
        be out already are to be edited.
        """
        now = self._now()
        if not self._settle(job, again_at):
            return []
        if subject is not None and not self._takes(job, subject):
            add_lines(self._session, job.inbox_id, [_not_filled(note, MissingWhy.SHOWN_ALREADY)])
            return []
        those = _cards_of_versions(job, of_versions) if of_versions else _cards_of(job)
        channels = select(outbox.c.channel_id).join(subscriptions).where(those)
        # Locked, and in this order, as a batch is: a card is either read into a message before
        # it is changed, which is seen here, or after.
        for channel_id in sorted(self._session.scalars(channels)):
            lock(self._session, channel_id)
        changed = []
        for row in read_rows(self._session, those):
            card = change(row, _company(self._session, row))
            if card is not None:
                self._rewrite(row, card, now)
                changed.append(row)
        self._to_be_edited(changed, now)
        of_this = [(job.inbox_id, job.subscription_id, on_versions)]
        put_jobs(self._session, jobs_for_versions(self._session, of_this, now))
        if found is not None:
            self._take_in(job, found, now)
        same_again = job.kind in SAID_AGAIN and not changed
        if again_at is None and not same_again:
            line = note if changed else _not_filled(note, MissingWhy.NOTHING_MORE)
            add_lines(self._session, job.inbox_id, [line])
        return [row.id for row in changed]

    def _take_in(self, job: LateEnrichmentJob, found: OwnEvent, now: datetime) -> None:
        """Have an event dealt with like one that came, unless it was before."""
        about = select(
            inbox.c.hook_id, inbox.c.lane, inbox.c.project_id, hooks.c.server_url
        ).join_from(inbox, subscriptions, subscriptions.c.id == job.subscription_id)
        about = about.join(hooks, hooks.c.id == subscriptions.c.hook_id)
        row = self._session.execute(about.where(inbox.c.id == job.inbox_id)).one_or_none()
        if row is None:
            return
        hook_id, ordering_key, project_id, server_url = row
        before = select(inbox.c.id).where(
            HAS_SUBJECT,
            inbox.c.lane == ordering_key,
            inbox.c.subject == found.subject,
            inbox.c.subscription_id == job.subscription_id,
        )
        if self._session.scalar(before.limit(1)) is not None:
            return
        new = {
            "hook_id": hook_id,
            "lane": ordering_key,
            "project_id": project_id,
            "server_url": server_url,
            "digest": sha256(found.body).hexdigest(),
            "body": found.body,
            "received_at": now,
            "state": InboxState.NEW,
            "trace": [],
            "source": InboxSource.CHECKS,
            "subscription_id": job.subscription_id,
            "event_name": found.event_name,
            "subject": found.subject,
        }
        insert_events(self._session, [new])

    def _settle(self, job: LateEnrichmentJob, again_at: datetime | None) -> bool:
        """End a job that is answered, or ask again later; whether it was still there."""
        this = late_enrichment_jobs.c.id == job.id
        if again_at is None:
            return bool(self._session.execute(delete(late_enrichment_jobs).where(this)).rowcount)
        later = {"attempts": late_enrichment_jobs.c.attempts + 1, "next_try_at": again_at}
        done = self._session.execute(update(late_enrichment_jobs).where(this).values(later))
        return bool(done.rowcount)

    def _takes(self, job: LateEnrichmentJob, subject: str) -> bool:
        """Note what a job's event is about; whether no other card of the channel shows it."""
        note_subject(self._session, job.inbox_id, subject)
        if is_shown(self._session, job.subscription_id, subject, job.inbox_id, self._now()):
            return False
        self._session.execute(update(outbox).where(_cards_of(job)).values(subject=subject))
        return True

    def _rewrite(self, row: OutboxCard, card: Card, now: datetime) -> None:
        size = sum(len(picture.content) for picture in card.pictures)
        change = {"card": card.to_json(), "picture_bytes": size}
        self._session.execute(update(outbox).where(outbox.c.id == row.id).values(change))
        names = {picture.name for picture in card.pictures}
        gone = [picture.name for picture in row.pictures if picture.name not in names]
        if gone:
            self._session.execute(
                delete(outbox_pictures).where(
                    outbox_pictures.c.outbox_id == row.id, outbox_pictures.c.name.in_(gone)
                )
            )
        there = {picture.name for picture in row.pictures}
        new = [picture for picture in card.pictures if picture.name not in there]
        write_pictures(self._session, [(row.id, new)], now, first_position=len(row.pictures))

    def _to_be_edited(self, changed: Sequence[OutboxCard], now: datetime) -> None:
        rows = [{"outbox_id": row.id, "next_try_at": now} for row in changed if _may_be_out(row)]
        if not rows:
            return
        new = self._session.insert(edits)
        self._session.execute(
            new.values(revision=0, attempts=0).on_conflict_do_update(
                index_elements=[edits.c.outbox_id],
                set_={
                    "revision": edits.c.revision + 1,
                    "attempts": 0,
                    "next_try_at": new.excluded.next_try_at,
                },
            ),
            rows,
        )


def _not_filled(note: TraceLine, why: MissingWhy) -> TraceLine:
    """The note of what was added, for what was not."""
    facts = {name: value for name, value in note.facts.items() if name != "after_s"}
    return replace(note, step=TraceStep.NOT_FILLED_IN, facts={**facts, "missing": why})


def _busy(keys: Collection[LateEnrichmentKey]) -> Sequence[tuple[Any, ...]]:
    return [(one.server_url, one.guild_id, one.compares) for one in keys]


def _shows(versions: Collection[RungVersion], since: datetime) -> Select[Any]:
    """The events, with their subscriptions, whose cards may show one of these versions."""
    cards = outbox.join(subscriptions, outbox.c.subscription_id == subscriptions.c.id)
    return (
        select(
            outbox.c.inbox_id,
            outbox.c.subscription_id,
            hooks.c.server_url,
            hooks.c.project_id,
            outbox.c.version_id,
        )
        .select_from(cards.join(hooks, subscriptions.c.hook_id == hooks.c.id))
        .where(
            SHOWS_VERSION,
            outbox.c.version_id.in_({one.version_id for one in versions}),
            outbox.c.inbox_id.is_not(None),
            outbox.c.created_at > since,
        )
    )


def _cards_of_versions(job: LateEnrichmentJob, version_ids: Collection[str]) -> Any:
    return and_(
        SHOWS_VERSION,
        outbox.c.version_id.in_(version_ids),
        outbox.c.subscription_id == job.subscription_id,
    )


def _cards_of(job: LateEnrichmentJob) -> Any:
    return and_(outbox.c.inbox_id == job.inbox_id, outbox.c.subscription_id == job.subscription_id)


def _may_be_out(row: OutboxCard) -> bool:
    """Whether a message may show this card: sent, or in a batch whose outcome is not known yet."""
    return row.batch_id is not None and row.state is not OutboxState.UNDELIVERABLE


def _company(session: Session, row: OutboxCard) -> Sequence[OutboxCard]:
    if not _may_be_out(row):
        return ()
    return read_rows(session, and_(outbox.c.batch_id == row.batch_id, outbox.c.id != row.id))
