"""Cards for issues: opened, changed, answered, deleted."""

from bot.cards.card_context import MAX_MESSAGE, CardContext, CardParts, long_text
from bot.speckle.events import IssueCreated, IssueDeleted, IssueReplied, IssueUpdated


def issue_created(context: CardContext, _event: IssueCreated) -> CardParts:
    """The issue as it is."""
    return _plain(context, "New issue", f"{context.who} opened an issue.")


def issue_updated(context: CardContext, _event: IssueUpdated) -> CardParts | None:
    """What was changed, before and after."""
    return _plain(context, "Issue changed", f"{context.who} changed an issue.")


def issue_replied(context: CardContext, _event: IssueReplied) -> CardParts:
    """The reply's text, and which issue it is."""
    return _plain(context, "Reply to an issue", f"{context.who} replied to an issue.")


def issue_deleted(context: CardContext, _event: IssueDeleted) -> CardParts:
    """Nothing can be asked about an issue that is gone."""
    return _plain(context, "Issue deleted", f"{context.who} deleted an issue.")


def _plain(context: CardContext, title: str, sentence: str) -> CardParts:
    """What the event says by itself: Speckle's own sentence about it, if there is one."""
    return CardParts(
        title=title,
        url=context.project_url,
        sentence=sentence,
        small=long_text(context.delivery.activity_message, MAX_MESSAGE),
    )
