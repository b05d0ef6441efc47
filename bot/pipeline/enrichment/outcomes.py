"""What came of asking about an event: what is added, what is missing, and why."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from bot.cards.card import Picture
from bot.errors import (
    SpeckleError,
    SpeckleForbidden,
    SpeckleNotFound,
    SpeckleRejected,
    SpeckleScopeMissing,
    SpeckleTokenRefused,
    SpeckleUnavailable,
    SpeckleUnconfirmed,
)
from bot.model import Hook
from bot.speckle.events import Delivery, VersionCreated
from bot.speckle.facts import Facts, VersionFacts
from bot.speckle.tokens import TokenScope
from bot.speckle_api.previews import NoPicture
from bot.trace import MissingWhy, TraceFacts, TraceStep
from bot.work import LateAddition

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AddedFacts:
    """What a server added to an event in time, for one reader.

    `delivery` is the event as the server says it, or as it came where the server said nothing.
    `missing` is to be asked again; `steps` are for the event's trace. `refused`: this reader may
    not see the project any more, as the answer says. `unconfirmed`: the server knows what the event
    is about, and nothing of it that is like the event.
    """

    delivery: Delivery
    facts: Facts | None = None
    image: Picture | str | None = None
    missing: frozenset[LateAddition] = frozenset()
    steps: Sequence[tuple[TraceStep, TraceFacts]] = ()
    refused: bool = False
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class ConfirmedEvent:
    """An event as its server says it, with the facts that belong to it."""

    delivery: Delivery
    facts: Facts


def outcome_of(task: asyncio.Task[object], hook: Hook) -> object:
    """What a question brought: an answer or a SpeckleError."""
    if not task.done() or task.cancelled():
        return SpeckleUnavailable(hook.server_url, "no answer in time")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, SpeckleError):
        return error
    log.error("enrich.failed", hook_id=hook.id, exc_info=error)
    return SpeckleRejected(hook.server_url, "the answer was not understood")


def added_facts(delivery: Delivery, outcomes: Mapping[LateAddition, object]) -> AddedFacts:
    answer, image = outcomes.get(LateAddition.FACTS), outcomes.get(LateAddition.PICTURE)
    steps = [_facts_step(answer)]
    if not isinstance(answer, ConfirmedEvent):
        # A picture alone would show what nobody has confirmed to belong to this event.
        away = isinstance(answer, SpeckleUnavailable)
        missing = {*outcomes, *_compared_later(delivery), *_checked_later(delivery)} if away else ()
        return AddedFacts(
            delivery,
            missing=frozenset(missing),
            steps=steps,
            refused=is_refusal(answer),
            unconfirmed=isinstance(answer, SpeckleUnconfirmed),
        )
    if LateAddition.PICTURE in outcomes:
        steps.append(_picture_step(image))
    missing = _compared_later(answer.delivery, answer.facts) | _checked_later(answer.delivery)
    if image is NoPicture.NOT_YET or isinstance(image, SpeckleUnavailable):
        missing.add(LateAddition.PICTURE)
    if lacks_count(answer.facts):
        missing.add(LateAddition.OBJECT_COUNT)
    return AddedFacts(
        delivery=answer.delivery,
        facts=answer.facts,
        image=image if isinstance(image, Picture | str) else None,
        missing=frozenset(missing),
        steps=steps,
    )


def _compared_later(delivery: Delivery, facts: Facts | None = None) -> set[LateAddition]:
    """Whether a version is compared once its card is out: the first one of its model is not."""
    if not isinstance(delivery.event, VersionCreated):
        return set()
    if isinstance(facts, VersionFacts) and facts.compared_with is None and not facts.overtaken:
        return set()
    return {LateAddition.CHANGES}


def _checked_later(delivery: Delivery) -> set[LateAddition]:
    """Whether automations may run on what is new."""
    return {LateAddition.CHECKS} if isinstance(delivery.event, VersionCreated) else set()


def lacks_count(facts: Facts | None) -> bool:
    """Whether a version's objects are still to be counted."""
    return isinstance(facts, VersionFacts) and facts.count_is_late


def is_refusal(answer: object) -> bool:
    """Whether an answer may mean that its reader has lost the right to see the project.

    A scope that is missing for one kind of question says nothing about the project.
    """
    if isinstance(answer, SpeckleScopeMissing):
        return answer.scope == TokenScope.STREAMS_READ
    return isinstance(answer, SpeckleTokenRefused | SpeckleForbidden)


def _facts_step(facts: object) -> tuple[TraceStep, TraceFacts]:
    match facts:
        case SpeckleUnavailable():
            return TraceStep.FACTS_LATE, {"reason": facts.reason}
        case SpeckleError():
            return TraceStep.FACTS_MISSING, why_missing(facts)
        case None:
            return TraceStep.NO_FACTS, {}
        case _:
            return TraceStep.FACTS_ADDED, {}


def _picture_step(image: object) -> tuple[TraceStep, TraceFacts]:
    match image:
        case NoPicture.NOT_YET:
            return TraceStep.PICTURE_NOT_YET, {}
        case NoPicture.BLANK:
            return TraceStep.PICTURE_BLANK, {}
        case NoPicture():
            return TraceStep.NO_PICTURE, {}
        case SpeckleUnavailable():
            return TraceStep.PICTURE_LATE, {"reason": image.reason}
        case SpeckleError():
            return TraceStep.PICTURE_MISSING, why_missing(image)
        case _:
            return TraceStep.PICTURE_ADDED, {}


def why_missing(error: SpeckleError) -> TraceFacts:
    """Why there is no answer, as a line of an event's trace keeps it."""
    match error:
        case SpeckleTokenRefused():
            return {"missing": MissingWhy.TOKEN_REFUSED}
        case SpeckleScopeMissing():
            return {"missing": MissingWhy.SCOPE_MISSING, "scope": error.scope}
        case SpeckleForbidden():
            return {"missing": MissingWhy.FORBIDDEN}
        case SpeckleNotFound():
            return {"missing": MissingWhy.NOT_FOUND}
        case SpeckleUnconfirmed():
            return {"missing": MissingWhy.UNCONFIRMED}
        case SpeckleRejected():
            return {"missing": MissingWhy.UNREADABLE, "reason": error.reason}
        case _:
            return {"missing": MissingWhy.OTHER, "reason": error.reason}
