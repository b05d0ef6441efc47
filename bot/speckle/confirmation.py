"""What a server is asked about a signed event, and what of the event its answer confirms. No I/O.

A signature proves that somebody knows a webhook's secret, and nothing about the project. So of an
event only the id of what happened is believed where the server can be asked about it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bot.speckle.events import (
    CommentCreated,
    CommentMentioned,
    CommentReopened,
    CommentReplied,
    CommentResolved,
    Delivery,
    Event,
    IssueCreated,
    IssueEvent,
    IssueUpdated,
    ModelRef,
    ResourceRef,
    SpeckleUser,
    VersionCreated,
    VersionReceived,
)
from bot.speckle.facts import CommentFacts, Facts, Issue, IssueFacts, ReceivedFacts, VersionFacts
from bot.speckle.issue_hints import IssueHint

# What is shown with somebody's account is as new as the event. Clocks differ, and Speckle's own
# queue may have been held up.
NEW_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a signed event says; `at` is the event's own time.

    `public` is a question that anybody may ask. What is not public has to be as new as the event:
    anybody who knows a webhook's secret can name any version and any thread.
    """

    delivery: Delivery
    at: datetime
    public: bool

    @property
    def actor_id(self) -> str | None:
        """The Speckle id of the person who did it, as the event says."""
        return None if self.delivery.actor is None else self.delivery.actor.id

    def is_as_new(self, made_at: datetime | None) -> bool:
        """Whether what the server knows can be what the event says, by its time."""
        return self.public or (made_at is not None and abs(self.at - made_at) <= NEW_FOR)

    def confirmed(self, event: Event, author: SpeckleUser | None = None) -> Delivery:
        """The delivery as the server knows it; of the person, the event adds the picture only."""
        said = self.delivery.actor
        if author is None:
            return replace(self.delivery, event=event)
        if said is not None and said.id == author.id:
            author = replace(author, avatar=said.avatar)
        return replace(self.delivery, event=event, actor=author)


# ── Questions: equal ones have one answer ─────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class VersionQuestion:
    """What else is known of this version; the whole event is part of the question."""

    version: VersionCreated


@dataclass(frozen=True, slots=True)
class ReceivedQuestion:
    """Which version did this person receive at that time."""

    user_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CommentQuestion:
    """Which thread is this comment in."""

    comment_id: str


@dataclass(frozen=True, slots=True)
class ArchivedQuestion:
    """Which thread did this person resolve, or open again, at that time.

    A `public` thread is asked for only by its id.
    """

    thread_id: str
    archived: bool
    user_id: str | None
    at: datetime
    public: bool


@dataclass(frozen=True, slots=True)
class IssueQuestion:
    """Which issue is it that this happened to."""

    hint: IssueHint


Question = VersionQuestion | ReceivedQuestion | CommentQuestion | ArchivedQuestion | IssueQuestion


@dataclass(frozen=True, slots=True)
class ServerCheck:
    """The question about one kind of event, and how the answer is held against the event.

    `question` gives None where nothing can be asked, `confirm` where the server knows of nothing
    like the event. Any is that event, and for the facts that answer its question.
    """

    question: Callable[[Any, Claim], Question | None]
    confirm: Callable[[Any, Any, Claim], Delivery | None]


# ── Versions ──────────────────────────────────────────────────────────────────────────────────


def _ask_version(event: VersionCreated, _claim: Claim) -> Question:
    return VersionQuestion(event)


def _confirm_version(event: VersionCreated, facts: VersionFacts, claim: Claim) -> Delivery | None:
    if not claim.is_as_new(facts.made_at):
        return None
    version = VersionCreated(
        version_id=event.version_id,
        model=facts.model,
        message=facts.message,
        application=event.application or facts.application,
        object_id=facts.object_id,
        parents=facts.parents,
    )
    return claim.confirmed(version, facts.author)


def _ask_received(_event: VersionReceived, claim: Claim) -> Question | None:
    """Not without a person: any person's version would confirm an event that was made up."""
    return None if claim.actor_id is None else ReceivedQuestion(claim.actor_id, claim.at)


def _confirm_received(event: VersionReceived, _facts: ReceivedFacts, claim: Claim) -> Delivery:
    return claim.confirmed(event)  # the question was for this person and this time


# ── Comments ──────────────────────────────────────────────────────────────────────────────────


def _ask_created(event: CommentCreated, _claim: Claim) -> Question | None:
    return None if event.thread_id is None else CommentQuestion(event.thread_id)


def _confirm_created(event: CommentCreated, facts: CommentFacts, claim: Claim) -> Delivery | None:
    if facts.is_reply:
        return None
    return _confirm_comment(replace(event, resources=_place(event, facts)), facts, claim)


def _place(event: CommentCreated, facts: CommentFacts) -> tuple[ResourceRef, ...]:
    """What a comment is on: of a folder, or of the whole project, a server keeps only the models.

    The event's word for it is believed where these models fit it. They decide in any case which
    filters it passes.
    """
    names = {model.id: model.name or "" for model in facts.models}
    for one in event.resources:
        within = f"{one.folder}/".casefold()
        below = all(
            f"{names.get(model.id, '')}/".casefold().startswith(within)
            for model in models_of(facts.resources)
        )
        several = len(models_of(facts.resources)) > 1
        if facts.resources and (several if one.whole else one.folder is not None and below):
            return (one, *facts.resources)
    return facts.resources or event.resources


def _ask_replied(event: CommentReplied, _claim: Claim) -> Question | None:
    return None if event.reply_id is None else CommentQuestion(event.reply_id)


def _confirm_replied(event: CommentReplied, facts: CommentFacts, claim: Claim) -> Delivery | None:
    return _confirm_comment(event, facts, claim) if facts.is_reply else None


def _ask_mentioned(event: CommentMentioned, _claim: Claim) -> Question:
    return CommentQuestion(event.comment_id or event.thread_id)


def _confirm_comment(
    event: CommentCreated | CommentReplied | CommentMentioned, facts: CommentFacts, claim: Claim
) -> Delivery | None:
    if facts.thread_id != event.thread_id or not claim.is_as_new(facts.made_at):
        return None
    return claim.confirmed(event, facts.author)


def _ask_archived(event: CommentResolved | CommentReopened, claim: Claim) -> Question | None:
    """Not without a person, as with received versions, unless everybody may ask."""
    if claim.actor_id is None and not claim.public:
        return None
    return ArchivedQuestion(
        event.thread_id, _is_archived(event), claim.actor_id, claim.at, claim.public
    )


def _confirm_archived(
    event: CommentResolved | CommentReopened, facts: CommentFacts, claim: Claim
) -> Delivery | None:
    is_that = facts.thread_id == event.thread_id and facts.archived == _is_archived(event)
    return claim.confirmed(event) if is_that else None


def _is_archived(event: CommentResolved | CommentReopened) -> bool:
    return isinstance(event, CommentResolved)


# ── Issues ────────────────────────────────────────────────────────────────────────────────────


def _ask_issue(event: IssueEvent, claim: Claim) -> Question:
    return IssueQuestion(IssueHint(event.kind, event.ids, claim.at, claim.actor_id))


def _confirm_issue(event: IssueEvent, facts: IssueFacts, claim: Claim) -> Delivery | None:
    """What only an issue's own history can prove, its present state does not: a change."""
    if isinstance(event, IssueUpdated) and facts.change is None:
        return None
    if not claim.is_as_new(facts.changed_at):
        return None
    return claim.confirmed(replace(event, ids=(facts.issue.id,)), _who_did_it(facts))


def _who_did_it(facts: IssueFacts) -> SpeckleUser | None:
    if facts.change is not None:
        return facts.change.actor
    return facts.issue.author if facts.reply is None else facts.reply.author


NEW_VERSION = ServerCheck(_ask_version, _confirm_version)
RECEIVED = ServerCheck(_ask_received, _confirm_received)
NEW_THREAD = ServerCheck(_ask_created, _confirm_created)
REPLY = ServerCheck(_ask_replied, _confirm_replied)
MENTION = ServerCheck(_ask_mentioned, _confirm_comment)
ARCHIVED = ServerCheck(_ask_archived, _confirm_archived)
ISSUE = ServerCheck(_ask_issue, _confirm_issue)


OPENS_OR_ENDS = (IssueCreated, IssueUpdated, CommentCreated, CommentResolved, CommentReopened)

# ── Models ────────────────────────────────────────────────────────────────────────────────────


def touched_models(facts: Facts | None) -> tuple[ModelRef, ...]:
    """The models that an event touches without naming them, which the server names."""
    match facts:
        case (
            CommentFacts(models=models, resources=resources)
            | IssueFacts(models=models, issue=Issue(resources=resources))
        ):
            names = {model.id: model for model in models}
            return tuple(names.get(one.id, one) for one in models_of(resources))
        case ReceivedFacts(model=model) if model != ModelRef():
            return (model,)
        case _:
            return ()


def versions_of(event: Event, facts: Facts | None) -> tuple[str, ...]:
    """The versions that an issue or a thread is on, where an event says whether it is open."""
    if not isinstance(event, OPENS_OR_ENDS):
        return ()
    match facts:
        case CommentFacts(resources=resources) | IssueFacts(issue=Issue(resources=resources)):
            pass
        case _:
            resources = event.resources if isinstance(event, CommentCreated) else ()
    found = (one.version_id for one in resources if one.version_id is not None)
    return tuple(dict.fromkeys(found))


def models_of(resources: Sequence[ResourceRef]) -> tuple[ModelRef, ...]:
    """The models that something is on, each once; a folder is judged like a model of its name."""
    found = (ModelRef(one.model_id, one.folder) for one in resources)
    return tuple(dict.fromkeys(model for model in found if model != ModelRef()))
