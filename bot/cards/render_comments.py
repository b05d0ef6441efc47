"""Cards for threads: new comments, replies, resolved and re-opened ones, mentions."""

from dataclasses import replace

from bot.cards.card import Field, LinkButton
from bot.cards.card_context import (
    MAX_COMMENT,
    CardContext,
    CardParts,
    long_text,
    shown_part,
)
from bot.cards.pictures import MAX_SCREENSHOT_BYTES, picture_of
from bot.cards.rich_text_markdown import to_markdown
from bot.cards.text import joined, one_line
from bot.speckle.events import (
    CommentCreated,
    CommentMentioned,
    CommentReopened,
    CommentReplied,
    CommentResolved,
    ModelRef,
    ResourceRef,
)
from bot.speckle.rich_text import RichText

MAX_MODELS_IN_SENTENCE = 3
MAX_FIRST_LINE = 200  # UTF-16 units, enough to know the thread again
MAX_LIST = 1_024  # UTF-16 units, Discord's limit for a field
NO_TEXT = "*(no text)*"
NO_WHERE = "in the project"


def comment_created(context: CardContext, event: CommentCreated) -> CardParts:
    """The text, what it is on, and the screenshot."""
    version_id = next((r.version_id for r in event.resources if r.version_id), None)
    url = context.project_url
    if event.thread_id is not None:
        url = context.links.thread(context.project_id, event.thread_id, version_id)
    screenshot = None
    if event.screenshot is not None:
        screenshot = picture_of(event.screenshot, "screenshot", MAX_SCREENSHOT_BYTES)
    return CardParts(
        title=_title(context, event.resources),
        url=url,
        sentence=f"{context.who} commented {_where(context, event.resources)}:",
        quote=_quote(event.text),
        fields=_resource_fields(context, event.resources),
        image=screenshot,
        buttons=() if event.thread_id is None else (_open_thread(url),),
    )


def _title(context: CardContext, resources: tuple[ResourceRef, ...]) -> str:
    models = _models(resources)
    if len(models) > 1:
        return f"New comment on {len(models)} models"
    name = context.model_name(models[0]) if models else None
    return f"New comment on {name}" if name else "New comment"


def _where(context: CardContext, resources: tuple[ResourceRef, ...]) -> str:
    models = _models(resources)
    names = [context.model_name(model) for model in models]
    known = [f"**{name}**" for name in names if name is not None]
    if len(models) > MAX_MODELS_IN_SENTENCE or len(known) < len(models):
        return f"on {len(models)} models" if len(models) > 1 else "on a model"
    if known:
        return f"on {joined(known)}"
    return "on a version" if resources else NO_WHERE


def _models(resources: tuple[ResourceRef, ...]) -> list[ModelRef]:
    ids = dict.fromkeys(resource.model_id for resource in resources if resource.model_id)
    return [ModelRef(model_id) for model_id in ids]


def _resource_fields(context: CardContext, resources: tuple[ResourceRef, ...]) -> tuple[Field, ...]:
    """Each model or version it is on, linked; whole links only, then how many more."""
    lines: list[str] = []
    for index, resource in enumerate(resources):
        line = context.model_link(ModelRef(resource.model_id), resource.version_id)
        more = f"and {len(resources) - index} more"
        if len("\n".join([*lines, line, more])) > MAX_LIST:
            lines.append(more)
            break
        lines.append(line)
    if not lines:
        return ()
    return (Field("On", "\n".join(lines), inline=False),)


def comment_replied(context: CardContext, event: CommentReplied) -> CardParts:
    """The reply's text, and the thread's first line."""
    sentence = f"{context.who} replied in a thread{_on(context)}:"
    return _thread(context, event.thread_id, "Reply in a thread", sentence, _quote(event.text))


def comment_resolved(context: CardContext, event: CommentResolved) -> CardParts:
    """Which thread, by its link and its first line: the event has only its id."""
    sentence = f"{context.who} resolved a thread{_on(context)}."
    return _thread(context, event.thread_id, "Thread resolved", sentence)


def comment_reopened(context: CardContext, event: CommentReopened) -> CardParts:
    """Which thread, by its link and its first line."""
    sentence = f"{context.who} re-opened a thread{_on(context)} that was resolved."
    return _thread(context, event.thread_id, "Thread re-opened", sentence)


def comment_mentioned(context: CardContext, event: CommentMentioned) -> CardParts:
    """Who was mentioned; the text comes with the comment's own event."""
    target = context.person(event.target_id, "somebody")
    sentence = f"{context.who} mentioned {target} in a comment{_on(context)}."
    parts = _thread(context, event.thread_id, "Mention in a comment", sentence)
    return replace(parts, fields=context.person_field("Speckle user", event.target_id))


def _thread(
    context: CardContext, thread_id: str, title: str, sentence: str, quote: str = ""
) -> CardParts:
    """The card of something that happened in an older thread: its link and its first line."""
    url = context.links.thread(context.project_id, thread_id)
    return CardParts(
        title=title,
        url=url,
        sentence=sentence,
        quote=quote,
        small=_first_line(context),
        buttons=(_open_thread(url),),
    )


def _on(context: CardContext) -> str:
    """What the thread is on, if all of it has names."""
    models = _models(context.comment_facts.resources) if context.comment_facts else []
    names = [name for model in models if (name := context.model_name(model)) is not None]
    if not names or len(names) < len(models) or len(names) > MAX_MODELS_IN_SENTENCE:
        return ""
    return f" on {joined([f'**{name}**' for name in names])}"


def _first_line(context: CardContext) -> str:
    line = context.comment_facts and context.comment_facts.first_line
    shown = long_text(one_line(line, ""), MAX_FIRST_LINE) if line else ""
    return f"Thread: {shown}" if shown else ""


def _quote(text: RichText) -> str:
    return shown_part(to_markdown(text), MAX_COMMENT) or NO_TEXT


def _open_thread(url: str) -> LinkButton:
    return LinkButton("Open thread", url)
