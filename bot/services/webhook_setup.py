"""What a person has to enter on the Speckle side so that a project's events arrive."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.model import Hook, HookState
from bot.services.webhook_page import WebhookPage
from bot.speckle.events import EventKind
from bot.speckle.links import Links
from bot.speckle.subscription_options import SubscriptionOptions, wanted_kinds


@dataclass(frozen=True, slots=True)
class WebhookSetup:
    """The webhook that a project's owner makes by hand.

    `url` is None while the operator has set no PUBLIC_URL; `path` is its end in any case.
    `triggers` are to be chosen there, in the words of that page. `label` is what the project is
    called here, not escaped. After a new secret `renewed` is set, and `old_secret_until` if the
    old one works on.
    """

    hook: Hook
    label: str
    settings_url: str
    url: str | None = field(repr=False)
    path: str = field(repr=False)
    secret: str = field(repr=False)
    triggers: tuple[str, ...]
    renewed: bool = False
    old_secret_until: datetime | None = None

    @property
    def live(self) -> bool:
        """Whether a signed event has arrived already."""
        return self.hook.state is HookState.LIVE


def webhook_setup(
    hook: Hook,
    options: Sequence[SubscriptionOptions],
    public_url: str | None,
    label: str,
    page: WebhookPage,
    *,
    renewed: bool = False,
    old_secret_until: datetime | None = None,
) -> WebhookSetup:
    """The set-up of a guild's own hook for everything that its channels want."""
    path = f"/webhooks/{hook.key}"
    return WebhookSetup(
        hook=hook,
        label=label,
        settings_url=Links(hook.server_url).webhook_settings(hook.project_id),
        url=None if public_url is None else f"{public_url.rstrip('/')}{path}",
        path=path,
        secret=hook.secrets[0],
        triggers=page.names(kinds_wanted(options)),
        renewed=renewed,
        old_secret_until=old_secret_until,
    )


def kinds_wanted(options: Iterable[SubscriptionOptions]) -> tuple[EventKind, ...]:
    """The kinds of events that at least one of the filters lets through, in their usual order."""
    wanted = {kind for each in options for kind in wanted_kinds(each)}
    return tuple(kind for kind in EventKind if kind in wanted)
