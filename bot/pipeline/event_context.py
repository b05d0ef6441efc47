"""One event on its way through one hook."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.model import Hook, Subscription
from bot.pipeline.trace import Trace
from bot.speckle.confirmation import models_of
from bot.speckle.events import (
    CommentCreated,
    CommentMentioned,
    CommentReopened,
    CommentReplied,
    CommentResolved,
    Delivery,
    KnownThread,
    ModelRef,
    ProjectDeleted,
    ProjectNames,
    ProjectUpdated,
)
from bot.work import InboxEvent


@dataclass(frozen=True, slots=True)
class EventContext:
    """One event on its way through one hook, with what the hook's own events said of names and of
    its thread.

    `shown_until` is up to when the changes of its issue were shown before.
    """

    hook: Hook
    row: InboxEvent
    delivery: Delivery
    names: ProjectNames
    trace: Trace
    thread: KnownThread | None = None
    shown_until: datetime | None = None

    @property
    def touched(self) -> Sequence[ModelRef]:
        """The models of the thread that the event is in."""
        return () if self.thread is None else models_of(self.thread.resources)


def says_who_sees(delivery: Delivery) -> bool:
    """Whether an event changes who may see its project."""
    return isinstance(delivery.event, ProjectDeleted | ProjectUpdated)


def thread_id_of(delivery: Delivery) -> str | None:
    """The thread that an event is about."""
    event = delivery.event
    match event:
        case (
            CommentCreated() | CommentReplied() | CommentResolved() | CommentReopened()
        ) | CommentMentioned():
            return event.thread_id
        case _:
            return None


def trace_facts(subscription: Subscription) -> dict[str, int | str]:
    """A subscription, as a line of an event's trace names it."""
    return {"subscription_id": subscription.id, "channel_id": subscription.channel_id}
