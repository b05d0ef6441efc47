"""Who changed what in a Discord server, for those who may read it there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bot.audit import AuditEntry, AuditFilter
from bot.permissions import Actor
from bot.services.refusals import ChannelNotSeen, CommandRefused, RefusalReason
from bot.storage import Storage

PAGE: Final = 12  # sentences, which share an embed's 4,096 characters


@dataclass(frozen=True, slots=True)
class ReadEntry:
    """A change as one person may read it; `shown`: they may know which channel it was in."""

    entry: AuditEntry
    shown: bool


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some changes, the newest first; `older`: there are more before them."""

    wanted: AuditFilter
    entries: Sequence[ReadEntry]
    older: bool


class AuditService:
    """Reads the audit log of a server. Errors: CommandRefused."""

    def __init__(self, storage: Storage, now: Callable[[], datetime]) -> None:
        self._storage = storage
        self._now = now

    def ago(self, hours: int) -> datetime:
        """The moment that was so many hours ago."""
        return self._now() - timedelta(hours=hours)

    async def page(self, guild_id: int, actor: Actor, wanted: AuditFilter) -> AuditPage:
        """Some of the server's changes. Whatever `wanted` says, they are of this server."""
        if not (actor.reads_audit_log or actor.manages_server):
            raise CommandRefused(RefusalReason.NOT_AUDITOR)
        if wanted.channel_id is not None and not actor.sees(wanted.channel_id):
            raise CommandRefused(ChannelNotSeen(wanted.channel_id))
        wanted = replace(wanted, guild_id=guild_id)
        found = await self._storage.read(lambda tx: tx.audit_log.newest(wanted, PAGE + 1))
        entries = [ReadEntry(one, may_know(one, actor)) for one in found[:PAGE]]
        return AuditPage(wanted, entries, len(found) > PAGE)


def may_know(entry: AuditEntry, actor: Actor) -> bool:
    """Whether a reader may know which channel and project a change was about.

    Those of a channel are for who sees it, be they who they may: that is the rule for its cards.
    """
    if entry.channel_id is None:
        return "project" not in entry.facts
    return actor.sees(entry.channel_id)
