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
    changes = (event.name, event.description, event.visibility, event.public_comments)
    if all(change is None for change in changes):
        return None
    opened = event.visibility is not None and _is_opened(event.visibility)
    renamed = all(change is None for change in changes[1:])
    title = "Project renamed" if renamed else "Project edited"
    everyone = "**Everyone who has its link can see it**, even without an account."
    return CardParts(
        title="⚠️ The project is public now" if opened else title,
        url=context.project_url,
        sentence=everyone if opened else "",
        fields=(
            *_name_field(event.name),
            *before_after("Description", event.description),
            *_visibility_field(event.visibility, opened=opened),
            *_comments_field(event.public_comments),
        ),
        colour=WARNING if opened else None,
    )


def _is_opened(visibility: TextChange) -> bool:
    before = OPENNESS.get(visibility.old or "", 0)
    return OPENNESS.get(visibility.new or "", 0) == OPENNESS["public"] > before


def _name_field(name: TextChange | None) -> tuple[Field, ...]:
    if name is None:
        return ()
    value = f"{name_text(name.old)} → **{name_text(name.new)}**"
    return (Field("Name", value, inline=False),)


def _visibility_field(visibility: TextChange | None, *, opened: bool) -> tuple[Field, ...]:
    if visibility is None:
        return ()
    before = VISIBILITY_WORDS.get(visibility.old or "")
    if opened:  # the title says what it is now
        return () if before is None else (Field("Visibility before", before, inline=False),)
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
    return CardParts(
        title="Project deleted",
        url=None,
        sentence="All its models and versions are gone with it. Nothing more can come from it, so "
        "this channel's subscription is paused.",
    )


def unknown_event(context: CardContext, _event: UnknownEvent) -> CardParts:
    """The event's name, and what Speckle says about it."""
    event_name = context.delivery.event_name
    return CardParts(
        title="An event that this bot does not know",
        about=name_text(event_name),
        url=context.project_url,
        quote=long_text(further_words(context.delivery.activity_message, event_name), MAX_MESSAGE),
    )
