"""Cards for versions and models."""

from bot.cards.card import Field
from bot.cards.card_context import (
    MAX_MESSAGE,
    CardContext,
    CardParts,
    application_text,
    before_after,
    long_text,
    moment_text,
    name_text,
    text_field,
)
from bot.cards.text import link
from bot.speckle.events import (
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
    """Model, message, application; what the server adds: its objects, the version before, what is
    open on the model.
    """
    facts = context.version_facts
    application = application_text(event.application or facts.application)
    origin = f" from {application}" if application else ""
    model = _either(event.model, facts.model)
    name = context.model_name(model)
    return CardParts(
        title=f"New version of {name}" if name else "New version",
        url=context.version_url(model, event.version_id),
        sentence=f"{context.who} published a new version of {context.model_bold(model)}{origin}.",
        quote=long_text(event.message, MAX_MESSAGE),
        fields=(
            *_model_field(context, model),
            *_application_field(application),
            *_facts_fields(context, event, model),
        ),
    )


def _either(model: ModelRef, otherwise: ModelRef) -> ModelRef:
    """A model with what is known of it in two places, which speak of the same one."""
    return ModelRef(model.id or otherwise.id, model.name or otherwise.name)


def _facts_fields(
    context: CardContext, event: VersionCreated, model: ModelRef
) -> tuple[Field, ...]:
    facts = context.version_facts
    fields = []
    if facts.object_count is not None:
        fields.append(Field("Objects", f"{facts.object_count:,}"))
    # Today's connectors send no parents; the version before comes from the server then.
    previous = facts.previous
    if event.parents and (previous is None or event.parents[0] != previous.id):
        previous = PreviousVersion(event.parents[0])
    if previous is not None:
        shown = link(name_text(previous.id), context.version_url(model, previous.id))
        if previous.created_at is not None:
            shown += f" · {moment_text(previous.created_at, 'R')}"
        fields.append(Field("Version before", shown))
    if facts.open_issues:
        fields.append(Field("Open issues", f"{facts.open_issues:,}"))
    if facts.open_threads:
        fields.append(Field("Open threads", f"{facts.open_threads:,}"))
    return tuple(fields)


def version_updated(context: CardContext, event: VersionUpdated) -> CardParts | None:
    """The message before and after; old servers move versions this way too."""
    if event.message is None and event.new_model_name is None:
        return None
    model = context.model_bold(event.model)
    sentences = []
    if event.message is not None:
        sentences.append(f"{context.who} edited the message of a version of {model}.")
    if event.new_model_name is not None:
        target = name_text(event.new_model_name)
        sentences.append(f"{context.who} moved a version of {model} to **{target}**.")
    name = context.model_name(event.model)
    done = "moved" if event.message is None else "edited"
    return CardParts(
        title=f"Version of {name} {done}" if name else f"Version {done}",
        url=context.version_url(event.model, event.version_id),
        sentence=" ".join(sentences),
        fields=before_after("Message", event.message),
    )


def version_received(context: CardContext, event: VersionReceived) -> CardParts:
    """By whom and where; which version, the server's activity list says and the event does not."""
    application = application_text(event.application)
    place = f" in {application}" if application else ""
    facts = context.received_facts
    if facts is None:
        return CardParts(
            title="Version received",
            url=context.project_url,
            sentence=f"{context.who} loaded a version from this project{place}.",
            quote=long_text(event.message, MAX_MESSAGE),
            fields=_application_field(application),
        )
    url = context.version_url(facts.model, facts.version_id)
    return CardParts(
        title="Version received",
        url=url,
        sentence=f"{context.who} loaded a version of {context.model_bold(facts.model)}{place}.",
        quote=long_text(event.message or facts.message, MAX_MESSAGE),
        fields=(
            *_model_field(context, facts.model),
            *_application_field(application),
            Field("Version", link(name_text(facts.version_id), url)),
        ),
    )


def version_deleted(context: CardContext, event: VersionDeleted) -> CardParts:
    """What is known of the version that is gone."""
    name = context.model_name(event.model)
    return CardParts(
        title=f"Version of {name} deleted" if name else "Version deleted",
        url=context.model_url(event.model),
        sentence=f"{context.who} deleted a version of {context.model_bold(event.model)}.",
        quote=long_text(event.message, MAX_MESSAGE),
        fields=(
            *_model_field(context, event.model),
            *_application_field(application_text(event.application)),
            Field("Version", f"`{event.version_id}`"),
        ),
    )


def version_moved(context: CardContext, event: VersionMoved) -> CardParts:
    """From which model to which; both have only ids on the wire."""
    old, new = event.old_model, event.new_model
    version_id = event.version_id
    url = context.model_url(new) if version_id is None else context.version_url(new, version_id)
    return CardParts(
        title="Version moved",
        url=url,
        sentence=f"{context.who} moved a version from {context.model_bold(old, 'one model')} to "
        f"{context.model_bold(new, 'another')}.",
        fields=(Field("From", context.model_link(old)), Field("To", context.model_link(new))),
    )


def model_created(context: CardContext, event: ModelCreated) -> CardParts:
    """The model's name and description."""
    return CardParts(
        title=f"New model: {context.model_name(event.model) or 'without a name'}",
        url=context.model_url(event.model),
        sentence=f"{context.who} created the model {context.model_bold(event.model, '(no name)')}.",
        fields=text_field("Description", event.description),
    )


def model_updated(context: CardContext, event: ModelUpdated) -> CardParts | None:
    """Name and description, before and after."""
    if event.name is None and event.description is None:
        return None
    name = context.model_name(event.model) or "without a name"
    if event.name is None:
        title = f"Model edited: {name}"
        sentence = f"{context.who} changed the description of the model **{name}**."
    else:
        title = f"Model renamed: {name}"
        also = " and changed its description" if event.description is not None else ""
        sentence = (
            f"{context.who} renamed the model **{name_text(event.name.old)}** to **{name}**{also}."
        )
    return CardParts(
        title=title,
        url=context.model_url(event.model),
        sentence=sentence,
        fields=before_after("Description", event.description),
    )


def model_deleted(context: CardContext, event: ModelDeleted) -> CardParts:
    """The model's name; its versions are gone too, without an event of their own."""
    name = context.model_name(event.model)
    return CardParts(
        title=f"Model deleted: {name}" if name else "Model deleted",
        url=context.project_url,
        sentence=f"{context.who} deleted the model {context.model_bold(event.model, '(no name)')} "
        "and all its versions.",
    )


def _model_field(context: CardContext, model: ModelRef) -> tuple[Field, ...]:
    return () if model == ModelRef() else (Field("Model", context.model_link(model)),)


def _application_field(application: str | None) -> tuple[Field, ...]:
    return (Field("Application", application),) if application else ()
