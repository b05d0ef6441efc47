"""Cards for the project itself, and for what nobody knows."""

from bot.cards.card import Field
from bot.cards.card_context import (
    MAX_MESSAGE,
    CardContext,
    CardParts,
    before_after,
    further_words,
    long_text,
    name_text,
)
from bot.cards.colours import WARNING
from bot.cards.text import joined
from bot.speckle.events import ProjectDeleted, ProjectUpdated, TextChange, UnknownEvent

# How many people can see a project; more than before is what has to be said loudly.
OPENNESS = {"private": 0, "workspace": 1, "unlisted": 2, "public": 2}
VISIBILITY_WORDS = {
    "private": "private",
    "workspace": "visible to the workspace",
    "unlisted": "visible to everyone with the link",
    "public": "public",
}


def project_updated(context: CardContext, event: ProjectUpdated) -> CardParts | None:
    """Only what changed; nothing at all gives no card."""
    changed = _changed(event)
    if not changed:
        return None
    opened = event.visibility is not None and _is_opened(event.visibility)
    sentence = f"{context.who} changed the project's {joined(changed)}."
    if changed == ["name"]:
        sentence = f"{context.who} renamed the project."
    if event.visibility is not None and changed == ["visibility"]:
        words = VISIBILITY_WORDS[event.visibility.new or "private"]
        sentence = f"{context.who} made the project {words}."
    if opened:
        sentence = (
            "⚠️ **Everyone who has its link can see this project now**, even without an account.\n"
            f"{sentence}"
        )
    return CardParts(
        title="⚠️ The project is public now" if opened else _title(changed),
        url=context.project_url,
        sentence=sentence,
        fields=(
            *_name_field(event.name),
            *before_after("Description", event.description),
            *_visibility_field(event.visibility),
            *_comments_field(event.public_comments),
        ),
        colour=WARNING if opened else None,
    )


def _changed(event: ProjectUpdated) -> list[str]:
    changes = {
        "name": event.name,
        "description": event.description,
        "visibility": event.visibility,
        "comment settings": event.public_comments,
    }
    return [name for name, change in changes.items() if change is not None]


def _is_opened(visibility: TextChange) -> bool:
    before = OPENNESS.get(visibility.old or "", 0)
    return OPENNESS.get(visibility.new or "", 0) == OPENNESS["public"] > before


def _title(changed: list[str]) -> str:
    return "Project renamed" if changed == ["name"] else "Project edited"


def _name_field(name: TextChange | None) -> tuple[Field, ...]:
    if name is None:
        return ()
    value = f"{name_text(name.old)} → **{name_text(name.new)}**"
    return (Field("Name", value, inline=False),)


def _visibility_field(visibility: TextChange | None) -> tuple[Field, ...]:
    if visibility is None:
        return ()
    before = VISIBILITY_WORDS.get(visibility.old or "")
    after = f"**{VISIBILITY_WORDS[visibility.new or 'private']}**"
    value = after if before is None else f"{before} → {after}"
    return (Field("Visibility", value, inline=False),)


def _comments_field(allowed: bool | None) -> tuple[Field, ...]:
    if allowed is None:
        return ()
    value = "Everyone who sees the project may comment" if allowed else "Only members may comment"
    return (Field("Comments", value, inline=False),)


def project_deleted(context: CardContext, _event: ProjectDeleted) -> CardParts:
    """The last that is ever heard of a project; its page is gone, so there is no link."""
    name = context.delivery.project.name or context.project_name
    subject = f"the project **{name_text(name)}**" if name else "this project"
    return CardParts(
        title=f"Project deleted: {name_text(name)}" if name else "Project deleted",
        url=None,
        sentence=f"{context.who} deleted {subject}, with all its models and versions. Nothing more "
        "can come from it, so its subscriptions are paused.",
    )


def unknown_event(context: CardContext, _event: UnknownEvent) -> CardParts:
    """The event's name, and what Speckle says about it."""
    event_name = context.delivery.event_name
    said = further_words(context.delivery.activity_message, event_name)
    message = long_text(said, MAX_MESSAGE)
    words = event_name.replace("_", " ").replace(".", " ").strip() or event_name
    return CardParts(
        title=name_text(words[:1].upper() + words[1:]),
        url=context.project_url,
        sentence="Speckle sent an event that this bot does not know" + (":" if message else "."),
        quote=message,
        fields=(Field("Event", f"`{event_name}`"),),
    )
