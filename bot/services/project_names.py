"""What a project is called in one channel: a private one's name is for those who may see it."""

from bot.cards.text import one_line
from bot.model import Hook, Subscription


def project_label(hook: Hook, subscription: Subscription) -> str:
    """The project's name as this channel may know it, else its id; not escaped.

    What the webhook's events call it is for channels that are shown them. Else it is what the
    person called it who answered for this channel.
    """
    consent = subscription.consent
    current = hook.project_name if _is_shown(hook, subscription) else None
    agreed = None if consent is None else consent.project_name
    return one_line(current or agreed, otherwise=hook.project_id)


def _is_shown(hook: Hook, subscription: Subscription) -> bool:
    if subscription.is_paused_for_rights:
        return False
    return subscription.consent is not None or hook.is_by_hand
