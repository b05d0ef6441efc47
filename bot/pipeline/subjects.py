"""What events about issues are about: they only hint at it, and their server says it."""

from datetime import datetime

from bot.speckle.event_subjects import (
    ISSUE_CREATED,
    ISSUE_REPLIED,
    ISSUE_UPDATED,
    PLAIN,
    issue_subject,
    time_in_subject,
)
from bot.speckle.events import Delivery, IssueCreated, IssueEvent, IssueReplied, IssueUpdated
from bot.speckle.facts import Facts, IssueFacts
from bot.storage import Transaction
from bot.work import InboxEvent


def plain_subject(delivery: Delivery, row: InboxEvent) -> str | None:
    """What a card shows of an issue of which nothing more is known: that something happened."""
    is_of_issue = isinstance(delivery.event, IssueEvent)
    return f"{delivery.event_name}{PLAIN}{row.digest}" if is_of_issue else None


def subject_shown(delivery: Delivery, facts: Facts | None) -> str | None:
    """What a card shows of an issue, with the facts that its event is confirmed by."""
    if not isinstance(facts, IssueFacts):
        return None
    match delivery.event:
        case IssueCreated():
            return issue_subject(ISSUE_CREATED, facts.issue.id)
        case IssueReplied() if facts.reply is not None:
            return issue_subject(ISSUE_REPLIED, facts.reply.id)
        case IssueUpdated() if facts.change is not None:
            return issue_subject(ISSUE_UPDATED, facts.issue.id, facts.change.at)
        case _:
            return None


def changes_shown(tx: Transaction, row: InboxEvent, delivery: Delivery) -> datetime | None:
    """Up to when the changes of an event's issue were shown before it came.

    What a list says was one change: those that were shown before it are those made before it.
    """
    event = delivery.event
    if not isinstance(event, IssueUpdated) or not event.ids:
        return None
    beginnings = [f"{issue_subject(ISSUE_UPDATED, one)}:" for one in event.ids]
    is_one = row.source.is_listed
    below = time_in_subject(row.event_at) if is_one else None
    times = tx.inbox.newest_subjects(row.ordering_key, beginnings, row.id, below)
    return max(map(datetime.fromisoformat, times), default=None)
