"""What a project's activity list tells of and the inbox lacks, where no history can be read.

The list tells what happened, not what was delivered; so only events with an unmistakable key are
taken from it, of kinds that the webhook has brought before, and only what neither was taken in nor
waits to be looked at.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from bot.db.history import Fetched
from bot.db.rows import DayQuota, Hook, HookKind
from bot.errors import NotADelivery
from bot.services.accounts import AccountService
from bot.speckle.activity import KEYED, body_of, event_key
from bot.speckle.answers import Activity
from bot.speckle.gateway import SpeckleGateway
from bot.speckle.payloads import parse_delivery, read_envelope
from bot.storage import Storage

log = structlog.get_logger()

ASK_WITHIN_S = 30.0
KEYS_SINCE = "catch_up.keys_since"
LISTED = 500
OVERLAP = timedelta(minutes=15)
SETTLED = timedelta(minutes=2)  # until then its webhook may still come


class FromActivity:
    """Takes in what an activity list tells of beyond what came."""

    def __init__(
        self,
        storage: Storage,
        gateway: SpeckleGateway,
        accounts: AccountService,
        *,
        stored: Callable[[], None],
        reach: timedelta,
        now: Callable[[], datetime],
        quota: Callable[[int], DayQuota | None],
    ) -> None:
        self._quota = quota
        self._storage = storage
        self._gateway = gateway
        self._accounts = accounts
        self._stored = stored
        self._reach = reach
        self._now = now

    async def take(self, hook: Hook) -> bool:
        """Take in what is missing for a hook that has had an event; False if it is not settled.

        Errors:
            SpeckleError: the list cannot be read.
            StorageUnavailable: the database does not answer.
        """
        since = missed_since(hook)
        assert since is not None, "only hooks that have had an event"  # noqa: S101
        at = self._now()
        after = max(since - OVERLAP, at - self._reach, await self.keys_since(at))
        entries = await self._accounts.as_hook(
            hook,
            lambda login: self._gateway.activity(
                login,
                hook.project_id,
                after=after,
                limit=LISTED,
                within_s=ASK_WITHIN_S,
            ),
        )
        fetched = [
            found
            for entry in sorted(entries, key=lambda entry: entry.at)
            if entry.at <= at - SETTLED and (found := _fetched(hook, entry)) is not None
        ]
        short = None
        if len(entries) >= LISTED and min(entry.at for entry in entries) > since:
            short = "The project's activity list was too long to fetch all that had been missed."
            log.warning("catch_up.reach_too_short", hook_id=hook.id, why=short)
        done = await self._storage.history.fill_in(
            hook_id=hook.id if hook.kind is HookKind.OWN else None,
            lane=lane_of(hook),
            project_id=hook.project_id,
            server_url=hook.server_url,
            fetched=fetched,
            note=short,
            quota=self._quota(hook.guild_id),
        )
        if done is None:
            log.info("catch_up.activity_later", hook_id=hook.id)
            return False
        if done.rows:
            self._stored()
            log.info("catch_up.activity", hook_id=hook.id, taken=len(done.rows))
        if done.full:
            log.info("catch_up.no_room_today", hook_id=hook.id)
            return False
        await self._storage.history.looked(hook.id, at)
        return True

    async def keys_since(self, at: datetime) -> datetime:
        """Since when rows of the inbox have keys; before, nobody knows what had come already."""
        return datetime.fromisoformat(await self._storage.facts.keep(KEYS_SINCE, at.isoformat()))


def lane_of(hook: Hook) -> str:
    """The lane that the listener puts the hook's events in."""
    if hook.kind is HookKind.OWN:
        return f"hook:{hook.id}"
    return f"shared:{hook.server_url}:{hook.project_id}"


def missed_since(hook: Hook) -> datetime | None:
    """Until when nothing can have been missed; None for a hook that has yet to have an event."""
    return None if hook.last_event_at is None else hook.caught_up_at or hook.last_event_at


def _fetched(hook: Hook, entry: Activity) -> Fetched | None:
    """The entry as an event to take in; None where nothing tells it from others."""
    if entry.action not in KEYED:
        return None
    body = body_of(
        entry,
        server_url=hook.server_url,
        project_id=hook.project_id,
        project_name=hook.project_name,
        visibility=hook.visibility,
    )
    try:
        delivery = parse_delivery(read_envelope(body))
    except NotADelivery:
        return None
    key = event_key(delivery)
    return None if key is None else Fetched(entry.at, delivery.event_name, key, body)
