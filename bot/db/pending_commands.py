"""Commands that wait for their caller's decision: found by a token, and sealed."""

import hashlib
import json
from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, select, update

from bot.db.rows import Row
from bot.db.session import Session
from bot.db.tables import pending_commands
from bot.errors import SealError
from bot.pending import PendingSubscribe
from bot.vault import Vault

log = structlog.get_logger()


class PendingCommands:
    """Reads and writes commands that wait; of a token only its digest is kept."""

    def __init__(self, session: Session, vault: Vault) -> None:
        self._session = session
        self._vault = vault
        self._now = session.now

    def add(self, token: str, command: PendingSubscribe, valid_for: timedelta) -> None:
        """Keep a command for some time."""
        row = {"token_digest": _digest(token), "discord_user_id": command.user_id}
        sealed = self._vault.seal(json.dumps(command.to_json()), _context(row))
        expires_at = self._now() + valid_for
        values = {**row, "sealed": sealed, "expires_at": expires_at}
        self._session.execute(pending_commands.insert().values(values))

    def get(self, token: str) -> PendingSubscribe | None:
        """The command; None once it is done or has run out."""
        row = (
            self._session.execute(
                select(pending_commands).where(
                    pending_commands.c.token_digest == _digest(token),
                    pending_commands.c.used_at.is_(None),
                    pending_commands.c.expires_at > self._now(),
                )
            )
            .mappings()
            .one_or_none()
        )
        return None if row is None else self._command(row)

    def mark_used(self, token: str) -> None:
        """Note that a command is done."""
        self._set_used_at(token, self._now())

    def mark_unused(self, token: str) -> None:
        """Note that a command may be done once more."""
        self._set_used_at(token, None)

    def _set_used_at(self, token: str, at: datetime | None) -> None:
        this = pending_commands.c.token_digest == _digest(token)
        self._session.execute(update(pending_commands).where(this).values(used_at=at))

    def erase_expired(self) -> int:
        """Erase the commands that have run out; how many they were."""
        over = pending_commands.c.expires_at <= self._now()
        return self._session.execute(delete(pending_commands).where(over)).rowcount

    def _command(self, row: Row) -> PendingSubscribe | None:
        """The command; one that no key opens is as good as none, and runs out soon."""
        try:
            content = json.loads(self._vault.open(row["sealed"], _context(row)))
        except SealError as error:
            log.error("pending_commands.unopenable", reason=str(error))
            return None
        return PendingSubscribe.from_json(row["discord_user_id"], content)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _context(row: Row) -> str:
    return f"command:{row['discord_user_id']}:{row['token_digest']}"
