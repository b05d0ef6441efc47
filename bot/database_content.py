"""What a database holds as a whole: counted, kept, copied, and what no key opens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long things are kept: what finished events brought, cards sent, and cards given up; the
    audit log.
    """

    bodies: timedelta
    delivered: timedelta
    undeliverable: timedelta
    audit: timedelta = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class RotationReport:
    """What became of the values of one kind.

    `resealed` were sealed again; then `already` have the first key, no key opens `unopenable`, and
    `left` may have an old key still.
    """

    name: str
    resealed: int
    already: int
    unopenable: int
    left: int


@dataclass(frozen=True, slots=True)
class DatabaseContent:
    """What a database holds, counted; `projects` are those that some channel follows."""

    version: str
    guilds: int
    projects: int
    subscriptions: int
    accounts: int
    waiting_cards: int
    waiting_events: int
    last_backup_at: datetime | None


@dataclass(frozen=True, slots=True)
class UnopenableAccount:
    """A linked account whose token no key decrypts: whose, and on which server."""

    discord_user_id: int
    server_url: str


@dataclass(frozen=True, slots=True)
class UnopenableWebhook:
    """A webhook whose secret no key decrypts. `project` is its name, or its id."""

    guild_id: int
    project: str
    made_by_bot: bool


@dataclass(frozen=True, slots=True)
class Unopenable:
    """What of a database no key decrypts: all that it costs if the key is never found."""

    accounts: Sequence[UnopenableAccount] = ()
    webhooks: Sequence[UnopenableWebhook] = ()

    def __bool__(self) -> bool:
        return bool(self.accounts or self.webhooks)


@dataclass(frozen=True, slots=True)
class TableRows:
    """How many rows of a table were copied."""

    table: str
    rows: int


@dataclass(frozen=True, slots=True)
class Restored:
    """What a database holds after a backup was put back, and the file with its former content."""

    content: DatabaseContent
    kept: Path | None


# A report of a bug shows statuses, codes, seconds and bytes below this; ids are larger.
SMALLEST_ID = 10_000_000


@dataclass(frozen=True, slots=True)
class SupportReport:
    """What a report of a bug may hold of a database, to be written as JSON."""

    database: Mapping[str, Any]
    failures: Sequence[Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]
