"""Small values that a process leaves for the next, such as which commands Discord knows."""

from datetime import datetime

from sqlalchemy import select

from bot.db.session import Session
from bot.db.tables import key_values

LAST_BACKUP = "last_backup_at"  # an ISO time, written by each backup that was asked for


class KeyValues:
    """Named texts."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, name: str) -> str | None:
        """The value of this name."""
        value: str | None = self._session.scalar(
            select(key_values.c.value).where(key_values.c.name == name)
        )
        return value

    def last_backup_at(self) -> datetime | None:
        """When a backup was last made; None if none ever was."""
        text = self.get(LAST_BACKUP)
        return None if text is None else datetime.fromisoformat(text)

    def set(self, name: str, value: str) -> None:
        """Keep a value, in place of the one before."""
        statement = self._session.insert(key_values).values(name=name, value=value)
        self._session.execute(
            statement.on_conflict_do_update(
                index_elements=[key_values.c.name], set_={"value": statement.excluded.value}
            )
        )

    def set_once(self, name: str, value: str) -> str:
        """Keep a value unless there is one; gives the one that is there now, for all processes."""
        statement = self._session.insert(key_values).values(name=name, value=value)
        self._session.execute(statement.on_conflict_do_nothing(index_elements=[key_values.c.name]))
        kept = self._session.scalars(select(key_values.c.value).where(key_values.c.name == name))
        return str(kept.one())
