"""What a person has to enter on the Speckle side so that a project's events arrive."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.model import Hook, HookState
from bot.speckle.event_table import BY_KIND
from bot.speckle.events import EventKind
from bot.speckle.links import Links
from bot.speckle.subscription_options import SubscriptionOptions, wanted_kinds


@dataclass(frozen=True, slots=True)
class WebhookSetup:
    """The webhook that a project's owner makes by hand.

    `url` is None while the operator has set no PUBLIC_URL; `path` is its end in any case.
    `triggers` are Speckle's own names, to be ticked; `unlisted` are events that the filters want
    and Speckle's settings page does not offer. `label` is what the project is called here, not
    escaped. After a new secret `renewed` is set, and `old_secret_until` if the old one works on.
    """

    hook: Hook
    label: str
    settings_url: str
    url: str | None = field(repr=False)
    path: str = field(repr=False)
    secret: str = field(repr=False)
    triggers: tuple[str, ...]
    unlisted: tuple[EventKind, ...]
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
    *,
    renewed: bool = False,
    old_secret_until: datetime | None = None,
) -> WebhookSetup:
    """The set-up of a guild's own hook for everything that its channels want."""
    path = f"/webhooks/{hook.key}"
    kinds = kinds_wanted(options)
    return WebhookSetup(
        hook=hook,
        label=label,
        settings_url=Links(hook.server_url).webhook_settings(hook.project_id),
        url=None if public_url is None else f"{public_url.rstrip('/')}{path}",
        path=path,
        secret=hook.secrets[0],
        triggers=triggers_to_tick(kinds),
        unlisted=_unlisted(kinds),
        renewed=renewed,
        old_secret_until=old_secret_until,
    )


def kinds_wanted(options: Iterable[SubscriptionOptions]) -> tuple[EventKind, ...]:
    """The kinds of events that at least one of the filters lets through, in their usual order."""
    wanted = {kind for each in options for kind in wanted_kinds(each)}
    return tuple(kind for kind in EventKind if kind in wanted)


def triggers_to_tick(kinds: Iterable[EventKind]) -> tuple[str, ...]:
    """The triggers on Speckle's settings page that bring these events."""
    rows = [BY_KIND[kind] for kind in kinds]
    return tuple(dict.fromkeys(name for row in rows if row.listed for name in row.triggers))


def _unlisted(kinds: Iterable[EventKind]) -> tuple[EventKind, ...]:
    """Without the unknown event: nobody can say what is missing with it."""
    return tuple(
        kind for kind in kinds if kind is not EventKind.UNKNOWN and not BY_KIND[kind].listed
    )


def is_of_issues(trigger: str) -> bool:
    """Whether a trigger is one of those that Speckle got with issues.

    Nobody knows whether each older release takes the name of an event that it has not got.
    """
    return trigger.startswith("issue_")
