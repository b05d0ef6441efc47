"""What a signed event says, held against what its server says. No I/O.

A signature proves that somebody knows a webhook's secret, and nothing about the project. So of an
event only the id of what happened is believed where the server can be asked about it.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from bot.speckle.events import (
    CommentCreated,
    CommentFacts,
    CommentMentioned,
    CommentReopened,
    CommentReplied,
    CommentResolved,
    Delivery,
    Event,
    Facts,
    ModelRef,
    Person,
    ReceivedFacts,
    VersionCreated,
    VersionFacts,
)

# What is shown with somebody's account is as new as the event. Clocks differ, and Speckle's own
# queue may have been held up.
NEW_FOR = timedelta(days=1)


def confirmed(delivery: Delivery, facts: Facts, at: datetime, *, public: bool) -> Delivery | None:
    """The event as its server tells it; None where the server knows of nothing like it.

    `at` is the event's own time. What is not `public` has to be as new as the event: whoever knows
    a webhook's secret can tell of any version and any thread.
    """
    event = delivery.event
    author: Person | None = None
    match event, facts:
        case VersionCreated(), VersionFacts():
            if not _is_new(facts.made_at, at, public=public):
                return None
            author, event = facts.author, _version(event, facts)
        case CommentCreated() | CommentReplied() | CommentMentioned(), CommentFacts():
            is_that = facts.thread_id == event.thread_id
            if not isinstance(event, CommentMentioned):
                is_that = is_that and facts.is_reply == isinstance(event, CommentReplied)
            if not is_that or not _is_new(facts.made_at, at, public=public):
                return None
            author = facts.author
            if isinstance(event, CommentCreated):
                event = replace(event, resources=facts.resources or event.resources)
        case CommentResolved() | CommentReopened(), CommentFacts():
            resolved = isinstance(event, CommentResolved)
            if facts.thread_id != event.thread_id or facts.archived != resolved:
                return None
        case _:
            pass
    return _told(delivery, event, author)


def touched_models(facts: Facts | None) -> tuple[ModelRef, ...]:
    """The models that an event touches without naming them, which the server names."""
    match facts:
        case CommentFacts(models=models, resources=resources):
            names = {model.id: model for model in models}
            ids = dict.fromkeys(one.model_id for one in resources if one.model_id is not None)
            return tuple(names.get(model_id, ModelRef(model_id)) for model_id in ids)
        case ReceivedFacts(model=model) if model != ModelRef():
            return (model,)
        case _:
            return ()


def _version(event: VersionCreated, facts: VersionFacts) -> VersionCreated:
    return VersionCreated(
        version_id=event.version_id,
        model=facts.model,
        message=facts.message,
        application=event.application or facts.application,
        object_id=facts.object_id,
        parents=facts.parents,
    )


def _told(delivery: Delivery, event: Event, author: Person | None) -> Delivery:
    """The delivery with what is confirmed: of the person, its own word for the picture alone."""
    if author is None:
        return replace(delivery, event=event)
    said = delivery.actor
    if said is not None and said.id == author.id:
        author = replace(author, avatar=said.avatar)
    return replace(delivery, event=event, actor=author)


def _is_new(made_at: datetime | None, at: datetime, *, public: bool) -> bool:
    return public or (made_at is not None and abs(at - made_at) <= NEW_FOR)
