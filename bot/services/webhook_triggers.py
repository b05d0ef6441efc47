"""Which events a webhook of the bot's making is to send."""

from collections.abc import Collection, Iterable, Sequence

from bot.model import Entitlement, Subscription
from bot.services.webhook_setup import kinds_wanted
from bot.speckle.event_table import BY_KIND
from bot.speckle.events import EventKind
from bot.speckle.subscription_options import SubscriptionOptions


def triggers_for(subscriptions: Sequence[Subscription], there: Collection[str]) -> tuple[str, ...]:
    """What a webhook is to send: what owners of the project agreed to for their channels.

    What it sends already (`there`) and some other channel wants stays; nothing is added for those.
    """
    agreed = triggers_of(filter(None, map(_owners_options, subscriptions)))
    wanted = triggers_of(subscription.options for subscription in subscriptions)
    return tuple(name for name in wanted if name in agreed or name in there)


def sends_all(subscriptions: Sequence[Subscription]) -> bool:
    """Whether a webhook of the bot's making sends whatever these channels want."""
    wanted = triggers_of(subscription.options for subscription in subscriptions)
    return triggers_for(subscriptions, ()) == wanted


def _owners_options(subscription: Subscription) -> SubscriptionOptions | None:
    """What the answer of somebody who owns the project covers, of what the channel wants."""
    consent = subscription.consent
    if consent is None or consent.entitlement is not Entitlement.OWNER:
        return None
    beyond = subscription.options.widens(consent.options)
    return consent.options if beyond else subscription.options


def events_lacking(
    options: SubscriptionOptions, triggers: Collection[str]
) -> tuple[EventKind, ...]:
    """The events that these options want and a webhook with these triggers does not send.

    Without the unknown event: nobody can say what is missing with it.
    """
    return tuple(
        kind
        for kind in kinds_wanted([options])
        if kind is not EventKind.UNKNOWN and not set(BY_KIND[kind].triggers) & set(triggers)
    )


def triggers_of(options: Iterable[SubscriptionOptions]) -> tuple[str, ...]:
    """Speckle's names of all events that at least one of the filters lets through."""
    names = (name for kind in kinds_wanted(options) for name in BY_KIND[kind].triggers)
    return tuple(dict.fromkeys(names))
