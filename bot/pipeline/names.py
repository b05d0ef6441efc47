"""Which names an event's card needs, and what those who may read its project call things."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.services.access_rules import ReadPermit
from bot.services.known_names import KnownNames
from bot.speckle.confirmation import touched_models
from bot.speckle.events import Delivery, ModelRef, ProjectNames
from bot.speckle.facts import Facts, IssueFacts
from bot.speckle.filters import lets_in

PERSON_FIELDS = ("user_id", "target_id", "requester_id")  # of events that name somebody by id


@dataclass(frozen=True, slots=True)
class NeededNames:
    """The ids of models and people that an event has without their names."""

    models: Collection[str] = ()
    people: Collection[str] = ()

    def __bool__(self) -> bool:
        return bool(self.models or self.people)


def needed_names(
    delivery: Delivery, facts: Facts | None, of_thread: Sequence[ModelRef]
) -> NeededNames:
    """What an event, its thread and the facts that belong to it name by id alone."""
    touched = all_models(delivery, facts, of_thread)
    named = {one.id for one in touched if one.name is not None}
    models = {one.id for one in touched if one.id is not None} - named
    actor = delivery.actor
    said = (getattr(delivery.event, name, None) for name in PERSON_FIELDS)
    people = {one for one in said if isinstance(one, str)}
    if actor is not None:
        people = people - {actor.id} if actor.name else people | {actor.id}
    return NeededNames(models, people)


def all_models(
    delivery: Delivery, facts: Facts | None, of_thread: Sequence[ModelRef]
) -> tuple[ModelRef, ...]:
    """All models that an event is about: those that it names, and those of its thread or issue."""
    return (*delivery.models, *(touched_models(facts) or of_thread))


async def known_to(
    reader: ReadPermit,
    known_names: KnownNames,
    said: ProjectNames,
    delivery: Delivery,
    facts: Facts | None,
    of_thread: Sequence[ModelRef],
    within_s: float,
) -> ProjectNames:
    """What a permit's reader calls what an event has without names; asked for where it must be."""
    needed = needed_names(delivery, facts, of_thread)
    if not needed:
        return names_for(said, ProjectNames(), facts)
    read = await known_names.of(
        reader,
        models=needed.models,
        people=needed.people,
        said=said,
        within_s=within_s,
    )
    return names_for(said, read, facts)


def names_for(said: ProjectNames, read: ProjectNames, facts: Facts | None) -> ProjectNames:
    """What one reader calls things: as the answer about the event says, as the reader knows it, or
    as the hook's own events said it.
    """
    answered = {one.id: one.name for one in touched_models(facts) if one.id and one.name}
    return ProjectNames(
        {**said.models, **read.models, **answered},
        {**said.people, **read.people},
        read.complete,
    )


def within(
    patterns: Sequence[str],
    names: ProjectNames,
    said: ProjectNames,
    models: Sequence[ModelRef],
) -> ProjectNames:
    """The names for a channel that follows some models alone: of an event's other models, only
    those that the hook's own events said.
    """
    named = [ModelRef(one.id, names.models.get(one.id or "")) for one in models]
    beyond = {one.id for one in named if one.name is not None and not lets_in(patterns, one)}
    kept = {id_: name for id_, name in names.models.items() if id_ not in beyond}
    return replace(names, models={**{k: v for k, v in said.models.items() if k in beyond}, **kept})


def facts_within(patterns: Sequence[str], facts: Facts | None) -> Facts | None:
    """The facts for a channel that follows some models alone: without other folders of an issue."""
    if not isinstance(facts, IssueFacts):
        return facts
    kept = tuple(
        one
        for one in facts.issue.resources
        if one.folder is None or lets_in(patterns, ModelRef(name=one.folder))
    )
    return replace(facts, issue=replace(facts.issue, resources=kept))


def with_actor_named(delivery: Delivery, people: Mapping[str, str]) -> Delivery:
    """The delivery, with the name of who did it where it has the id alone."""
    actor = delivery.actor
    if actor is None or actor.name is not None or actor.id not in people:
        return delivery
    return replace(delivery, actor=replace(actor, name=people[actor.id]))
