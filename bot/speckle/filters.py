"""Whether an event goes to a channel, by what the channel wants."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from bot.speckle.events import CommentMentioned, Delivery, Event, EventKind, ModelRef
from bot.speckle.globs import fits
from bot.speckle.subscription_options import SubscriptionOptions, wanted_kinds


class FilterWhy(StrEnum):
    """What decided whether an event goes to a channel."""

    NO_FILTER = "no_filter"
    ALL_PASSED = "all_passed"
    EVENT_NOT_WANTED = "event_not_wanted"
    AUTHOR_IGNORED = "author_ignored"
    PATTERN_FITS = "pattern_fits"
    NO_PATTERN_FITS = "no_pattern_fits"
    PATTERN_EXCLUDES = "pattern_excludes"
    MODELS_NAMELESS = "models_nameless"
    COMES_WITH_COMMENT = "comes_with_comment"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an event goes to a channel, and why; `values` are those of the channel or event."""

    passes: bool
    why: FilterWhy
    values: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> Mapping[str, str]:
        """Why, as a line of an event's trace keeps it."""
        return {"filter": self.why, **self.values}


def matches(
    options: SubscriptionOptions,
    delivery: Delivery,
    known_models: Mapping[str, str] = MappingProxyType({}),
    touched: Sequence[ModelRef] = (),
    *,
    complete: bool = False,
) -> Verdict:
    """Say whether the channel wants this event.

    `known_models` gives names for model ids, because comments and moved versions come without;
    `touched` are the models of an event that names none itself. `complete`: a model that
    `known_models` lacks is none of the project's.
    """
    return (
        _event_verdict(options, delivery)
        or _mention_verdict(options, delivery.event)
        or _author_verdict(options, delivery)
        or _model_verdict(options, delivery.models or touched, known_models, complete)
        or Verdict(True, _why_passed(options))
    )


def lets_in(patterns: Sequence[str], model: ModelRef) -> bool:
    """Whether model patterns let a model in by its name or its id."""
    pattern = _deciding_pattern(patterns, model.name or "", model.id)
    return not patterns or (pattern is not None and not pattern.startswith("!"))


def is_author(entry: str, user_id: str, name: str | None) -> bool:
    """Whether an ignored author, as typed, means this person: by id, or by name, with globs."""
    return entry == user_id or (bool(name) and fits(entry.replace("*", "**"), name or ""))


def _why_passed(options: SubscriptionOptions) -> FilterWhy:
    no_filter = options == SubscriptionOptions()
    return FilterWhy.NO_FILTER if no_filter else FilterWhy.ALL_PASSED


def _event_verdict(options: SubscriptionOptions, delivery: Delivery) -> Verdict | None:
    """None where the event is wanted."""
    if delivery.event.kind in wanted_kinds(options):
        return None
    values = {"wanted": ", ".join(options.events), "kind": delivery.event.kind.value}
    return Verdict(False, FilterWhy.EVENT_NOT_WANTED, values)


def _mention_verdict(options: SubscriptionOptions, event: Event) -> Verdict | None:
    """None unless it is a mention whose comment is shown, which says who is mentioned."""
    if not isinstance(event, CommentMentioned):
        return None
    opens_thread = event.comment_id in (None, event.thread_id)
    comment = EventKind.COMMENT_CREATED if opens_thread else EventKind.COMMENT_REPLIED
    shown = comment in wanted_kinds(options)
    return Verdict(False, FilterWhy.COMES_WITH_COMMENT) if shown else None


def _author_verdict(options: SubscriptionOptions, delivery: Delivery) -> Verdict | None:
    """None where nobody who is ignored did it."""
    actor = delivery.actor
    if actor is None:
        return None
    for ignored in options.ignore_authors:
        if is_author(ignored, actor.id, actor.name):
            return Verdict(False, FilterWhy.AUTHOR_IGNORED, {"author": ignored})
    return None


def _model_verdict(
    options: SubscriptionOptions,
    models: Sequence[ModelRef],
    known_models: Mapping[str, str],
    complete: bool,
) -> Verdict | None:
    """None where the model filter has nothing to say.

    An event that touches several models passes if one of them does.
    """
    if not options.models or not models:
        return None
    nameless = 0
    refused: Verdict | None = None
    for model in models:
        name = model.name or known_models.get(model.id or "")
        if name is None and model.id not in options.models and not complete:
            nameless += 1
            continue
        pattern = _deciding_pattern(options.models, name or "", model.id)
        verdict = _pattern_verdict(pattern, name or model.id or "")
        if verdict.passes:
            return verdict
        refused = verdict
    return Verdict(True, FilterWhy.MODELS_NAMELESS) if nameless else refused


def _pattern_verdict(pattern: str | None, model: str) -> Verdict:
    if pattern is None:
        return Verdict(False, FilterWhy.NO_PATTERN_FITS, {"model": model})
    values = {"model": model, "pattern": pattern}
    if pattern.startswith("!"):
        return Verdict(False, FilterWhy.PATTERN_EXCLUDES, values)
    return Verdict(True, FilterWhy.PATTERN_FITS, values)


def _deciding_pattern(patterns: Iterable[str], name: str, model_id: str | None) -> str | None:
    """The pattern that lets a model in or keeps it out; None where none lets it in."""
    including = [pattern for pattern in patterns if not pattern.startswith("!")]
    for pattern in patterns:
        if pattern.startswith("!") and fits_model(pattern[1:], name, model_id):
            return pattern
    if not including:
        return "**"
    return next((pattern for pattern in including if fits_model(pattern, name, model_id)), None)


def fits_model(pattern: str, name: str, model_id: str | None) -> bool:
    """Whether a pattern without its `!` fits a model by its id or its name."""
    return pattern == model_id or fits(pattern, name)
