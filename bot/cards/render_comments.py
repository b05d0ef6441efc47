"""Cards for threads: new comments, replies, resolved and reopened ones, mentions."""

from bot.cards.card import Field, LinkButton
from bot.cards.card_context import CardContext, CardParts, long_text
from bot.cards.pictures import MAX_SCREENSHOT_BYTES, picture_of
from bot.cards.text import one_line
from bot.cards.thread_parts import also_mentioned, place_fields, text_and_files
from bot.speckle.events import (
    CommentCreated,
    CommentMentioned,
    CommentReopened,
    CommentReplied,
    CommentResolved,
)
from bot.speckle.facts import AttachedFile

MAX_FIRST_LINE = 200  # UTF-16 units, enough to know the thread again


def comment_created(context: CardContext, event: CommentCreated) -> CardParts:
    """The text, what it is on, its files and the screenshot."""
    version_id = next((r.version_id for r in event.resources if r.version_id), None)
    url = context.project_url
    if event.thread_id is not None:
        url = context.links.thread(context.project_id, event.thread_id, version_id)
    screenshot = None
    if event.screenshot is not None:
        screenshot = picture_of(event.screenshot, "screenshot", MAX_SCREENSHOT_BYTES)
    quote, files = text_and_files(event.text, _files(context), event.files)
    return CardParts(
        title="New comment",
        url=url,
        quote=quote,
        small=also_mentioned(event.text, quote),
        fields=(*place_fields(context, event.resources), *files),
        image=screenshot,
        buttons=() if event.thread_id is None else (_open_thread(url),),
    )


def _files(context: CardContext) -> tuple[AttachedFile, ...]:
    return () if context.comment_facts is None else context.comment_facts.files


def comment_replied(context: CardContext, event: CommentReplied) -> CardParts:
    """The reply's text and files, and the thread's first line."""
    quote, files = text_and_files(event.text, _files(context), event.files)
    also = also_mentioned(event.text, quote)
    title = "Reply in a thread"
    return _thread(context, event.thread_id, title, quote=quote, also=also, fields=files)


def comment_resolved(context: CardContext, event: CommentResolved) -> CardParts:
    """Which thread, by its link and its first line: the event has only its id."""
    return _thread(context, event.thread_id, "Thread resolved")


def comment_reopened(context: CardContext, event: CommentReopened) -> CardParts:
    """Which thread, by its link and its first line."""
    return _thread(context, event.thread_id, "Thread reopened")


def comment_mentioned(context: CardContext, event: CommentMentioned) -> CardParts:
    """Who was mentioned; the text comes with the comment's own event."""
    who = context.person_fields("Mentioned", event.target_id)
    return _thread(context, event.thread_id, "Mention in a comment", fields=who)


def _thread(
    context: CardContext,
    thread_id: str,
    title: str,
    *,
    quote: str = "",
    also: str = "",
    fields: tuple[Field, ...] = (),
) -> CardParts:
    """The card of something that happened in an older thread: its link, place and first line."""
    url = context.links.thread(context.project_id, thread_id)
    known = context.comment_facts or context.thread
    place = () if known is None else place_fields(context, known.resources)
    return CardParts(
        title=title,
        url=url,
        quote=quote,
        small=" · ".join(part for part in (also, _first_line(context)) if part),
        fields=(*place, *fields),
        buttons=(_open_thread(url),),
    )


def _first_line(context: CardContext) -> str:
    known = context.comment_facts or context.thread
    line = known and known.first_line
    shown = long_text(one_line(line, ""), MAX_FIRST_LINE) if line else ""
    return f"Thread: {shown}" if shown else ""


def _open_thread(url: str) -> LinkButton:
    return LinkButton("Open thread", url)
