"""What *Mute its author here* and *Only this model here* answer."""

from collections.abc import Mapping
from typing import Final

from bot.cards.text import escape_name, shorten_plain
from bot.cogs.subscriptions.panel_texts import project_name
from bot.cogs.subscriptions.subscribe_texts import edited
from bot.services.card_filters import Candidate, Narrowing
from bot.services.subscribe_results import SubscribeChange, Subscribed

WHICH: Final[Mapping[Narrowing, str]] = {
    Narrowing.AUTHOR: (
        "This message has cards of several people. Whose events should this channel no longer show?"
    ),
    Narrowing.MODEL: "This message is about several models. Which one should this channel show?",
}
UNDO_FOR: Final = "*Undo* works for 15 minutes; later, `/subscriptions` changes the filters."
UNDONE: Final = "**Undone.** "
CHANGED_SINCE: Final = (
    "The filters were changed again in the meantime, so nothing was undone: that would have undone "
    "the later change too. `/subscriptions`, then *Edit*, changes what the channel shows."
)


def narrowed(what: Narrowing, candidate: Candidate, outcome: Subscribed) -> str:
    """What the channel shows now, for the caller."""
    name = f"**{escape_name(shorten_plain(candidate.name, 100))}**"
    where = f"<#{outcome.entry.subscription.channel_id}>"
    project = project_name(outcome.entry)
    if outcome.change is SubscribeChange.UNCHANGED:
        already = (
            f"does not show events by {name}"
            if what is Narrowing.AUTHOR
            else f"shows only the model {name}"
        )
        return f"Nothing changed: of {project}, {where} {already} already."
    if what is Narrowing.AUTHOR:
        first = f"Muted: {where} no longer shows what {name} does in {project}."
    else:
        first = (
            f"{where} now shows only the model {name} of {project}, and what is about no model, "
            "such as people who join."
        )
    return f"{edited(outcome, first)}\n{UNDO_FOR}"


def choice_text(candidate: Candidate, limit: int) -> tuple[str, str]:
    """A line of the select: the name, and its project."""
    label = shorten_plain(candidate.entry.label, limit)
    return shorten_plain(candidate.name, limit), label
