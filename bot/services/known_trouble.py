"""What is wrong now, in one place: for `/status`, the operator's notices and the metrics."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bot.amounts import GB
from bot.errors import StorageUnavailable
from bot.problems import ActiveTrouble, NotReady, NotReadyWhy, SendProblem, SendReason, TroubleKind
from bot.services.readiness import Readiness
from bot.storage import Storage, Transaction

LATELY: Final = timedelta(seconds=60)
FIRST_LOOK_KEY: Final = "first_look_at"  # an ISO time: from when on a database without backups ages

KINDS: Final[Mapping[NotReadyWhy, TroubleKind]] = {
    NotReadyWhy.WRITE_TOO_SLOW: TroubleKind.DATABASE_NOT_WRITABLE,
    NotReadyWhy.NOT_WRITABLE: TroubleKind.DATABASE_NOT_WRITABLE,
    NotReadyWhy.NOT_READABLE: TroubleKind.DATABASE_NOT_WRITABLE,
    NotReadyWhy.KEYS_MISSING: TroubleKind.KEYS_MISSING,
    NotReadyWhy.DISCORD_TAKES_NOTHING: TroubleKind.SENDING_STOPPED,
    NotReadyWhy.DISCORD_TOKEN_REFUSED: TroubleKind.TOKEN_REFUSED,
    NotReadyWhy.ADDRESS_BLOCKED: TroubleKind.ADDRESS_BLOCKED,
    NotReadyWhy.TOO_MANY_REFUSED: TroubleKind.SENDING_STOPPED,
    NotReadyWhy.LOGIN_FAILED: TroubleKind.SENDING_STOPPED,
    NotReadyWhy.LOGIN_NOT_NOTED: TroubleKind.SENDING_STOPPED,
    NotReadyWhy.LOGIN_REFUSED: TroubleKind.TOKEN_REFUSED,
    NotReadyWhy.GATEWAY_SESSIONS_USED_UP: TroubleKind.GATEWAY_AWAY,
    NotReadyWhy.GATEWAY_TOKEN_REFUSED: TroubleKind.TOKEN_REFUSED,
    NotReadyWhy.GATEWAY_REFUSED: TroubleKind.GATEWAY_AWAY,
    NotReadyWhy.GATEWAY_NEVER_HEARD: TroubleKind.GATEWAY_AWAY,
    NotReadyWhy.GATEWAY_UNSTABLE: TroubleKind.GATEWAY_AWAY,
    NotReadyWhy.GATEWAY_SILENT: TroubleKind.GATEWAY_AWAY,
}
SENDING_KINDS: Final[Mapping[str, TroubleKind]] = {
    SendProblem.TOKEN_REFUSED: TroubleKind.TOKEN_REFUSED,
    SendProblem.ADDRESS_BLOCKED: TroubleKind.ADDRESS_BLOCKED,
}
"""Why nothing is sent, where that is a trouble of its own."""

UNREACHED: Final = frozenset(
    {SendProblem.NOT_REACHED, SendProblem.NO_ANSWER, SendProblem.NOT_SECURE}
)
OUTAGES: Final = UNREACHED | {
    SendProblem.ANSWERED,
    SendProblem.NOT_DISCORD,
    SendProblem.UNREADABLE,
}
"""Why a channel gets nothing, where that says nothing of the channel."""

CAUSES: Final = frozenset({TroubleKind.TOKEN_REFUSED, TroubleKind.ADDRESS_BLOCKED})
FOLLOWS: Final = frozenset({TroubleKind.SENDING_STOPPED, TroubleKind.GATEWAY_AWAY})
"""What goes without saying where Discord refuses the token or the address."""


@dataclass(frozen=True, slots=True)
class TroubleLimits:
    """From when on something counts as trouble; None: never."""

    free_disk_bytes: int = GB
    backup_age: timedelta | None = timedelta(days=7)
    outage_after: timedelta = timedelta(minutes=5)


class KnownTrouble:
    """Asks each part that knows of trouble; none of them is judged a second time here."""

    def __init__(
        self,
        storage: Storage,
        readiness: Readiness,
        silent_servers: Callable[[], Mapping[str, str]],
        now: Callable[[], datetime],
        limits: TroubleLimits = TroubleLimits(),
    ) -> None:
        """`silent_servers` are the Speckle servers that do not answer, each with the reason."""
        self._storage = storage
        self._readiness = readiness
        self._silent_servers = silent_servers
        self._now = now
        self._limits = limits
        self._seen: Sequence[ActiveTrouble] = ()
        self._seen_at: datetime | None = None

    async def now(self) -> Sequence[ActiveTrouble]:
        """What is wrong now, each once: a cause, and not what follows from it."""
        found = [
            *(
                _of_readiness(problem)
                for problem in await self._readiness.problems()
                if problem.why is not NotReadyWhy.STANDS_BY
            ),
            *await self._low_disk(),
            *await self._stored(),
            *self._silent(),
        ]
        self._seen = _without_consequences({one.key: one for one in reversed(found)}.values())
        self._seen_at = self._now()
        return self._seen

    async def lately(self, within_s: float) -> Sequence[ActiveTrouble]:
        """As of the last look, if that was less than a minute ago; what takes longer is trouble."""
        if self._seen_at is not None and self._now() - self._seen_at < LATELY:
            return self._seen
        try:
            async with asyncio.timeout(within_s):
                return await self.now()
        except TimeoutError:
            slow = NotReady(NotReadyWhy.WRITE_TOO_SLOW, {"within_s": within_s})
            return [_of_readiness(slow)]

    async def _low_disk(self) -> Sequence[ActiveTrouble]:
        free = await self._storage.free_disk_bytes()
        if free is None or free >= self._limits.free_disk_bytes:
            return []
        facts = {"free_bytes": free, "margin_bytes": self._limits.free_disk_bytes}
        return [ActiveTrouble(TroubleKind.DISK_LOW, facts)]

    async def _stored(self) -> Sequence[ActiveTrouble]:
        """What the database knows of; while it is away, that is trouble enough."""
        try:
            since = await self._storage.read(_backed_up_or_begun)
            if since is None:
                since = self._now()
                text = since.isoformat()
                await self._storage.write(lambda tx: tx.key_values.set_once(FIRST_LOOK_KEY, text))
            found = await self._storage.read(self._of_database)
        except StorageUnavailable:
            return []
        return [*found, *self._old_backup(since)]

    def _of_database(self, tx: Transaction) -> Sequence[ActiveTrouble]:
        reasons, due = tx.outbox_admin.failing(self._now() - self._limits.outage_after)
        gaps = len(tx.missed_events.hooks_with_gaps())
        return [
            *_outage(reasons, due),
            *([ActiveTrouble(TroubleKind.CATCH_UP_TOO_SHORT, {"webhooks": gaps})] if gaps else []),
        ]

    def _old_backup(self, since: datetime) -> Sequence[ActiveTrouble]:
        """Where no backup has been made since then, for too long."""
        age = self._now() - since
        if self._limits.backup_age is None or age <= self._limits.backup_age:
            return []
        return [ActiveTrouble(TroubleKind.BACKUP_TOO_OLD, {"age_days": age.days})]

    def _silent(self) -> Iterable[ActiveTrouble]:
        for server_url, reason in self._silent_servers().items():
            facts = {"server": server_url, "reason": reason}
            yield ActiveTrouble(TroubleKind.SPECKLE_NOT_ANSWERING, facts, subject=server_url)


def _backed_up_or_begun(tx: Transaction) -> datetime | None:
    """When the last backup was made, else when the first look was; None at that first look."""
    begun = tx.key_values.get(FIRST_LOOK_KEY)
    first = None if begun is None else datetime.fromisoformat(begun)
    return tx.key_values.last_backup_at() or first


def _of_readiness(problem: NotReady) -> ActiveTrouble:
    kind = KINDS[problem.why]
    if problem.why is NotReadyWhy.DISCORD_TAKES_NOTHING:
        kind = SENDING_KINDS.get(str(problem.facts["reason"]), kind)
    return ActiveTrouble(kind, {"problem": problem.why, **problem.facts}, not_ready=problem)


def _outage(reasons: Sequence[SendReason], due: int) -> Sequence[ActiveTrouble]:
    """Whether so many channels that get nothing mean that Discord is away, and not one of them."""
    away = [one for one in reasons if one.problem in OUTAGES]
    unreached = [one for one in away if one.problem in UNREACHED]
    if len(away) * 2 < due or not (len(away) > 1 or unreached):
        return []
    problem = NotReadyWhy.DISCORD_TAKES_NOTHING
    return [ActiveTrouble(TroubleKind.SENDING_STOPPED, {"problem": problem, **away[0].to_facts()})]


def _without_consequences(found: Iterable[ActiveTrouble]) -> Sequence[ActiveTrouble]:
    troubles = sorted(found, key=lambda one: list(TroubleKind).index(one.kind))
    if any(one.kind in CAUSES for one in troubles):
        return [one for one in troubles if one.kind not in FOLLOWS]
    return troubles
