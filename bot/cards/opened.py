"""The issues, or threads of comments, that were opened on a version, as the line of its card."""

from collections.abc import Sequence
from typing import Final

from bot.cards.card import OpenedTopic
from bot.cards.card_context import CardContext, name_text
from bot.cards.text import link, shorten_plain
from bot.speckle.resources import resource_text

MOST_KEPT: Final = 50  # further ones of one version are not counted
MAX_NAMED: Final = 3
MAX_TITLE: Final = 60  # UTF-16 units
RESOLVED: Final = "resolved"


def topic_of(context: CardContext) -> tuple[OpenedTopic, bool] | None:
    """What an event is about, as a version's card names it, and whether it is open."""
    if (issue_facts := context.issue_facts) is not None:
        issue = issue_facts.issue
        place = next(filter(None, map(resource_text, issue.resources)), None)
        url = context.links.issue(context.project_id, issue.id, place)
        name = _name(issue.title or issue.identifier, "an issue")
        return OpenedTopic(issue.id, "issue", link(name, url)), issue.status != RESOLVED
    if (facts := context.comment_facts) is not None:
        url = context.links.thread(context.project_id, facts.thread_id)
        name = _name(facts.first_line, "a thread")
        return OpenedTopic(facts.thread_id, "thread", link(name, url)), not facts.archived
    return None


def with_topic(
    topics: Sequence[OpenedTopic], topic: OpenedTopic, *, is_open: bool
) -> tuple[OpenedTopic, ...]:
    """The topics with this one as it is now: in its place, behind them, or no longer there."""
    there = {one.id: one for one in topics}
    if not is_open:
        there.pop(topic.id, None)
    elif topic.id in there or len(there) < MOST_KEPT:
        there[topic.id] = topic
    return tuple(there.values())


def opened_text(topics: Sequence[OpenedTopic]) -> str:
    """The topics in one paragraph of Discord markdown; "" for none."""
    if not topics:
        return ""
    count, noun = len(topics), topics[-1].noun
    shown = [one.text for one in topics[:MAX_NAMED]]
    left = count - len(shown)
    shown += [f"{left} more"] if left else []
    number = f"{count}+" if count >= MOST_KEPT else str(count)
    return f"{number} {noun}{'' if count == 1 else 's'} opened on it: {' · '.join(shown)}"


def _name(title: str | None, otherwise: str) -> str:
    shown = title and shorten_plain(" ".join(title.split()), MAX_TITLE)
    return f"*{name_text(shown, otherwise)}*"
