"""Cards for versions and models."""

from bot.cards.card import ActionButton, Field, LinkButton
from bot.cards.card_context import (
    MAX_MESSAGE,
    CardContext,
    CardParts,
    application_text,
    before_after,
    long_text,
    name_text,
    text_field,
)
from bot.cards.checks import checks_text
from bot.cards.compare_button import LABEL, compare_id
from bot.cards.text import link, moment_text
from bot.speckle.events import (
    AutomationFailed,
    ModelCreated,
    ModelDeleted,
    ModelRef,
    ModelUpdated,
    VersionCreated,
    VersionDeleted,
    VersionMoved,
    VersionReceived,
    VersionUpdated,
)
from bot.speckle.facts import PreviousVersion


def version_created(context: CardContext, event: VersionCreated) -> CardParts:
    """Message, application; what the server adds: its objects, the version before, what is open on
    the model.
    """
    facts = context.version_facts
    model = _either(event.model, facts.model)
    previous = _previous(context, event)
    url = context.version_url(model, event.version_id)
    return CardParts(
        title="New version",
        about=context.model_name(model) or "",
        url=url,
        quote=long_text(event.message, MAX_MESSAGE),
        fields=(
            *_application_field(event.application or facts.application),
            *_count_field("Objects", facts.object_count),
            *_previous_field(context, model, previous),
            *_count_field("Open issues", facts.open_issues or None),
            *_count_field("Open threads", facts.open_threads or None),
        ),
        buttons=(_open(url), *_compare(context, model, event.version_id, previous)),
    )


def automation_failed(context: CardContext, event: AutomationFailed) -> CardParts:
    """What the checks of a version found."""
    url = context.version_url(event.model, event.version_id)
    return CardParts(
        title="Checks failed",
        about=context.model_name(event.model) or "",
        url=url,
        sentence=checks_text(event.checks, context),
        buttons=(_open(url),),
    )


def _either(model: ModelRef, otherwise: ModelRef) -> ModelRef:
    """A model with what is known of it in two places, which speak of the same one."""
    return ModelRef(model.id or otherwise.id, model.name or otherwise.name)


def _previous(context: CardContext, event: VersionCreated) -> PreviousVersion | None:
    """The version before. Today's connectors send no parents; it comes from the server then."""
    known = context.version_facts.previous
    if event.parents and (known is None or event.parents[0] != known.id):
        return PreviousVersion(event.parents[0])
    return known


def _previous_field(
    context: CardContext, model: ModelRef, previous: PreviousVersion | None
) -> tuple[Field, ...]:
    if previous is None:
        return ()
    shown = link(name_text(previous.id), context.version_url(model, previous.id))
    if previous.created_at is not None:
        shown += f" · {moment_text(previous.created_at, 'R')}"
    return (Field("Version before", shown),)


def _count_field(name: str, count: int | None) -> tuple[Field, ...]:
    return () if count is None else (Field(name, f"{count:,}"),)


def _open(url: str) -> LinkButton:
    return LinkButton("Open in Speckle", url)


def _compare(
    context: CardContext, model: ModelRef, version_id: str, previous: PreviousVersion | None
) -> tuple[ActionButton, ...]:
    """What changed since the version before, or since what was there before several came at once.

    Old servers do not give out what is compared.
    """
    if model.id is None or previous is None or previous.id == version_id or context.links.legacy:
        return ()
    since = context.version_facts.compared_since
    custom_id = compare_id(
        context.server_url, context.project_id, version_id, None if since is None else since.id
    )
    return () if custom_id is None else (ActionButton(LABEL, custom_id),)


def version_updated(context: CardContext, event: VersionUpdated) -> CardParts | None:
    """The message before and after; old servers move versions this way too."""
    if event.message is None and event.new_model_name is None:
        return None
    url = context.version_url(event.model, event.version_id)
    message = before_after("Message", event.message)
    if event.new_model_name is None:
        name = context.model_name(event.model) or ""
        return CardParts("Version edited", url, name, fields=message, buttons=(_open(url),))
    moved = _moved(context.model_link(event.model), name_text(event.new_model_name))
    title = "Version moved" if event.message is None else "Version edited and moved"
    return CardParts(title, url, fields=(*moved, *message), buttons=(_open(url),))


def version_received(context: CardContext, event: VersionReceived) -> CardParts:
    """Where; which version, the server's activity list says and the event does not."""
    facts = context.received_facts
    application = _application_field(event.application)
    if facts is None:
        quote = long_text(event.message, MAX_MESSAGE)
        return CardParts("Version received", context.project_url, quote=quote, fields=application)
    url = context.version_url(facts.model, facts.version_id)
    return CardParts(
        title="Version received",
        about=context.model_name(facts.model) or "",
        url=url,
        quote=long_text(event.message or facts.message, MAX_MESSAGE),
        fields=application,
        buttons=(_open(url),),
    )


def version_deleted(context: CardContext, event: VersionDeleted) -> CardParts:
    """What is known of the version that is gone."""
    return CardParts(
        title="Version deleted",
        about=context.model_name(event.model) or "",
        url=context.model_url(event.model),
        quote=long_text(event.message, MAX_MESSAGE),
        fields=(
            *_application_field(event.application),
            Field("Version", f"`{event.version_id}`"),
        ),
    )


def version_moved(context: CardContext, event: VersionMoved) -> CardParts:
    """From which model to which; both have only ids on the wire."""
    old, new = event.old_model, event.new_model
    fields = _moved(context.model_link(old), context.model_link(new))
    if event.version_id is None:
        return CardParts("Version moved", context.model_url(new), fields=fields)
    url = context.version_url(new, event.version_id)
    return CardParts("Version moved", url, fields=fields, buttons=(_open(url),))


def _moved(before: str, after: str) -> tuple[Field, ...]:
    return (Field("From", before), Field("To", after))


def model_created(context: CardContext, event: ModelCreated) -> CardParts:
    """The model's name and description."""
    return CardParts(
        title="New model",
        about=context.model_name(event.model) or "",
        url=context.model_url(event.model),
        fields=text_field("Description", event.description),
    )


def model_updated(context: CardContext, event: ModelUpdated) -> CardParts | None:
    """Name and description, before and after."""
    if event.name is None and event.description is None:
        return None
    before = () if event.name is None else (Field("Name before", name_text(event.name.old)),)
    return CardParts(
        title="Model renamed" if before else "Model edited",
        about=context.model_name(event.model) or "",
        url=context.model_url(event.model),
        fields=(*before, *before_after("Description", event.description)),
    )


def model_deleted(context: CardContext, event: ModelDeleted) -> CardParts:
    """The model's name; its versions are gone too, without an event of their own."""
    return CardParts(
        title="Model deleted",
        about=context.model_name(event.model) or "",
        url=context.project_url,
        sentence="All its versions are gone with it.",
    )


def _application_field(raw: str | None) -> tuple[Field, ...]:
    application = application_text(raw)
    return (Field("Application", application),) if application else ()
