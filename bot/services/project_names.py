"""What a project is called in one channel: a private one's name is for those who may see it."""

from bot.cards.text import one_line
from bot.model import RIGHTS_PAUSES, Hook, Subscription, SubscriptionState
from bot.services.access_rules import is_by_hand


def project_label(hook: Hook, subscription: Subscription) -> str:
    """The project's name as this channel may know it, else its id; not escaped.

    What the webhook's events call it is for channels that are shown them. Else it is what the
    person called it who answered for this channel.
    """
    consent = subscription.consent
    told = hook.project_name if _is_shown(hook, subscription) else None
    agreed = None if consent is None else consent.project_name
    return one_line(told or agreed, otherwise=hook.project_id)


def _is_shown(hook: Hook, subscription: Subscription) -> bool:
    if is_paused_for_rights(subscription):
        return False
    return subscription.consent is not None or is_by_hand(hook)


def is_paused_for_rights(subscription: Subscription) -> bool:
    """Whether the bot paused it because of who may see the project."""
    paused = subscription.state is SubscriptionState.PAUSED
    return paused and subscription.pause_reason in RIGHTS_PAUSES
