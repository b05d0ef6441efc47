"""Why a channel may not be shown its project, in words, and what helps."""

from bot.model import NOBODY, PauseWhy, Subscription

SOMEBODY = "someone"

WHY = {
    PauseWhy.TOKEN_REFUSED: "Speckle no longer accepts the sign-in of {who}",
    PauseWhy.SCOPE_MISSING: "the Speckle token of {who} lacks a scope",
    PauseWhy.FORBIDDEN: "the Speckle account of {who} can no longer see the project",
    PauseWhy.NOT_FOUND: "the Speckle account of {who} no longer finds the project",
    PauseWhy.UNLINKED: "the Speckle account that showed it here, or made its webhook, was unlinked",
    PauseWhy.UNCONFIRMED: (
        "the bot's database was restored from a copy, and {who} has not confirmed with `/account` "
        "yet that their Speckle account may be used"
    ),
    PauseWhy.PERSON_LEFT: "{who}, whose Speckle account showed it here, left this server",
    PauseWhy.PERSON_BLIND: "{who}, whose Speckle account showed it here, cannot see the channel",
    PauseWhy.NOT_ANSWERED: "nobody has confirmed yet that this project may be shown here",
    PauseWhy.FILTERS_WIDER: "its filters let more through than {who} agreed to",
    PauseWhy.AUDIENCE_WIDER: "more people can see the channel than when {who} agreed to it",
    PauseWhy.TURNED_PRIVATE: "the project is no longer public in Speckle",
}
UNKNOWN = "access to the project was lost"
"""Of a channel that an older release paused."""

WHAT_NEXT = (
    "Someone who can see the project and has linked their Speckle account (`/link`) presses "
    "*Resume* and checks who will see it here. Where nobody has linked one, a member with *Manage "
    "Webhooks* in the whole server can. Events are kept until then."
)


def why_paused(subscription: Subscription) -> str:
    """Half a sentence; people are named by mentions."""
    consent = subscription.consent
    by = NOBODY if consent is None else consent.by
    who = SOMEBODY if by == NOBODY else f"<@{by}>"
    detail = subscription.pause_detail
    if detail not in set(PauseWhy):
        return UNKNOWN
    return WHY[PauseWhy(detail)].format(who=who)
