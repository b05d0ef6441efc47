"""Cards for threads: new comments, replies, resolved and reopened ones, mentions."""

from dataclasses import replace

from bot.cards.card import LinkButton
from bot.cards.card_context import CardContext, CardParts, long_text
from bot.cards.pictures import MAX_SCREENSHOT_BYTES, picture_of
from bot.cards.text import one_line
from bot.cards.thread_parts import (
    and_mentioned,
    place_fields,
    text_and_files,
    where,
)
from bot.speckle.confirmation import models_of
from bot.speckle.events import (
    CommentCreated,
    CommentMentioned,
    CommentReopened,
    CommentReplied,
    CommentResolved,
    ResourceRef,
)
from bot.speckle.facts import AttachedFile

MAX_FIRST_LINE = 200  # UTF-16 units, enough to know the thread again
NO_WHERE = "in the project"


def comment_created(context: CardContext, event: CommentCreated) -> CardParts:
    """The text, what it is on, its files and the screenshot."""
    version_id = next((r.version_id for r in event.resources if r.version_id), None)
    url = context.project_url
    if event.thread_id is not None:
        url = context.links.thread(context.project_id, event.thread_id, version_id)
    screenshot = None
    if event.screenshot is not None:
        screenshot = picture_of(event.screenshot, "screenshot", MAX_SCREENSHOT_BYTES)
    place = where(context, event.resources, NO_WHERE)
    quote, files = text_and_files(event.text, _files(context), event.files)
    return CardParts(
        title=_title(context, event.resources),
        url=url,
        sentence=f"{context.who} commented {place}{and_mentioned(context, event.text)}:",
        quote=quote,
        fields=(*place_fields(context, event.resources), *files),
        image=screenshot,
        buttons=() if event.thread_id is None else (_open_thread(url),),
    )


def _title(context: CardContext, resources: tuple[ResourceRef, ...]) -> str:
    models = models_of(resources)
    if any(one.whole or one.folder is not None for one in resources):
        return "New comment"
    if len(models) > 1:
        return f"New comment on {len(models)} models"
    name = context.model_name(models[0]) if models else None
    return f"New comment on {name}" if name else "New comment"


def _files(context: CardContext) -> tuple[AttachedFile, ...]:
    return () if context.comment_facts is None else context.comment_facts.files


def comment_replied(context: CardContext, event: CommentReplied) -> CardParts:
    """The reply's text and files, and the thread's first line."""
    mentioned = and_mentioned(context, event.text)
    sentence = f"{context.who} replied in a thread{_on(context)}{mentioned}:"
    quote, files = text_and_files(event.text, _files(context), event.files)
    parts = _thread(context, event.thread_id, "Reply in a thread", sentence, quote)
    return replace(parts, fields=files)


def comment_resolved(context: CardContext, event: CommentResolved) -> CardParts:
    """Which thread, by its link and its first line: the event has only its id."""
    sentence = f"{context.who} resolved a thread{_on(context)}."
    return _thread(context, event.thread_id, "Thread resolved", sentence)


def comment_reopened(context: CardContext, event: CommentReopened) -> CardParts:
    """Which thread, by its link and its first line."""
    sentence = f"{context.who} reopened a thread{_on(context)} that was resolved."
    return _thread(context, event.thread_id, "Thread reopened", sentence)


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
    """What the thread is on, if that is known."""
    known = context.comment_facts or context.thread
    place = where(context, () if known is None else known.resources, "")
    return f" {place}" if place else ""


def _first_line(context: CardContext) -> str:
    known = context.comment_facts or context.thread
    line = known and known.first_line
    shown = long_text(one_line(line, ""), MAX_FIRST_LINE) if line else ""
    return f"Thread: {shown}" if shown else ""


def _open_thread(url: str) -> LinkButton:
    return LinkButton("Open thread", url)
