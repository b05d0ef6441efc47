"""Cards for versions and models."""

from bot.cards.card import Field
from bot.cards.scene import (
    MAX_MESSAGE,
    Draft,
    Scene,
    application_text,
    before_after,
    long_text,
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
    VersionFacts,
    VersionMoved,
    VersionReceived,
    VersionUpdated,
)


def version_created(scene: Scene, event: VersionCreated) -> Draft:
    """Model, message, application, object count, link to the version before."""
    application = application_text(event.application)
    origin = f" from {application}" if application else ""
    name = scene.model_name(event.model)
    return Draft(
        title=f"New version of {name}" if name else "New version",
        url=scene.version_url(event.model, event.version_id),
        sentence=f"{scene.who} published a new version of {scene.model_bold(event.model)}{origin}.",
        quote=long_text(event.message, MAX_MESSAGE),
        fields=(
            *_model_field(scene, event.model),
            *_application_field(application),
            *_facts_fields(scene, event),
        ),
    )


def _facts_fields(scene: Scene, event: VersionCreated) -> tuple[Field, ...]:
    facts = scene.context.facts or VersionFacts()
    # Today's connectors send no parents; the version before comes from the server then.
    before = facts.previous and facts.previous.id
    previous = event.parents[0] if event.parents else before
    fields = []
    if facts.object_count is not None:
        fields.append(Field("Objects", f"{facts.object_count:,}"))
    if previous is not None:
        url = scene.version_url(event.model, previous)
        fields.append(Field("Version before", link(name_text(previous), url)))
    return tuple(fields)


def version_updated(scene: Scene, event: VersionUpdated) -> Draft | None:
    """The message before and after; old servers move versions this way too."""
    if event.message is None and event.new_model_name is None:
        return None
    model = scene.model_bold(event.model)
    sentences = []
    if event.message is not None:
        sentences.append(f"{scene.who} edited the message of a version of {model}.")
    if event.new_model_name is not None:
        target = name_text(event.new_model_name)
        sentences.append(f"{scene.who} moved a version of {model} to **{target}**.")
    name = scene.model_name(event.model)
    done = "moved" if event.message is None else "edited"
    return Draft(
        title=f"Version of {name} {done}" if name else f"Version {done}",
        url=scene.version_url(event.model, event.version_id),
        sentence=" ".join(sentences),
        fields=before_after("Message", event.message),
    )


def version_received(scene: Scene, event: VersionReceived) -> Draft:
    """By whom and where; which version, Speckle does not say."""
    application = application_text(event.application)
    place = f" in {application}" if application else ""
    return Draft(
        title="Version received",
        url=scene.project_url,
        sentence=f"{scene.who} loaded a version from this project{place}.",
        quote=long_text(event.message, MAX_MESSAGE),
        fields=_application_field(application),
    )


def version_deleted(scene: Scene, event: VersionDeleted) -> Draft:
    """What is known of the version that is gone."""
    name = scene.model_name(event.model)
    return Draft(
        title=f"Version of {name} deleted" if name else "Version deleted",
        url=scene.model_url(event.model),
        sentence=f"{scene.who} deleted a version of {scene.model_bold(event.model)}.",
        quote=long_text(event.message, MAX_MESSAGE),
        fields=(
            *_model_field(scene, event.model),
            *_application_field(application_text(event.application)),
            Field("Version", f"`{event.version_id}`"),
        ),
    )


def version_moved(scene: Scene, event: VersionMoved) -> Draft:
    """From which model to which; both have only ids on the wire."""
    old, new = event.old_model, event.new_model
    version_id = event.version_id
    url = scene.model_url(new) if version_id is None else scene.version_url(new, version_id)
    return Draft(
        title="Version moved",
        url=url,
        sentence=f"{scene.who} moved a version from {scene.model_bold(old, 'one model')} to "
        f"{scene.model_bold(new, 'another')}.",
        fields=(Field("From", scene.model_link(old)), Field("To", scene.model_link(new))),
    )


def model_created(scene: Scene, event: ModelCreated) -> Draft:
    """The model's name and description."""
    return Draft(
        title=f"New model: {scene.model_name(event.model) or 'without a name'}",
        url=scene.model_url(event.model),
        sentence=f"{scene.who} created the model {scene.model_bold(event.model, '(no name)')}.",
        fields=text_field("Description", event.description),
    )


def model_updated(scene: Scene, event: ModelUpdated) -> Draft | None:
    """Name and description, before and after."""
    if event.name is None and event.description is None:
        return None
    name = scene.model_name(event.model) or "without a name"
    if event.name is None:
        title = f"Model edited: {name}"
        sentence = f"{scene.who} changed the description of the model **{name}**."
    else:
        title = f"Model renamed: {name}"
        also = " and changed its description" if event.description is not None else ""
        sentence = (
            f"{scene.who} renamed the model **{name_text(event.name.old)}** to **{name}**{also}."
        )
    return Draft(
        title=title,
        url=scene.model_url(event.model),
        sentence=sentence,
        fields=before_after("Description", event.description),
    )


def model_deleted(scene: Scene, event: ModelDeleted) -> Draft:
    """The model's name; its versions are gone too, without an event of their own."""
    name = scene.model_name(event.model)
    return Draft(
        title=f"Model deleted: {name}" if name else "Model deleted",
        url=scene.project_url,
        sentence=f"{scene.who} deleted the model {scene.model_bold(event.model, '(no name)')} "
        "and all its versions.",
    )


def _model_field(scene: Scene, model: ModelRef) -> tuple[Field, ...]:
    return () if model == ModelRef() else (Field("Model", scene.model_link(model)),)


def _application_field(application: str | None) -> tuple[Field, ...]:
    return (Field("Application", application),) if application else ()
