"""Small facts that a process leaves for the next, such as which commands Discord knows."""

from sqlalchemy import select

from bot.db.engine import Database
from bot.db.tables import facts


class Facts:
    """Named texts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> str | None:
        """The fact of this name."""
        async with self._database.reading() as connection:
            value: str | None = await connection.scalar(
                select(facts.c.value).where(facts.c.name == name)
            )
        return value

    async def set(self, name: str, value: str) -> None:
        """Keep a fact, in place of the one before."""
        statement = self._database.insert(facts).values(name=name, value=value)
        async with self._database.writing() as connection:
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[facts.c.name], set_={"value": statement.excluded.value}
                )
            )

    async def keep(self, name: str, value: str) -> str:
        """Keep a fact unless there is one; gives the one that is there now, for all processes."""
        statement = self._database.insert(facts).values(name=name, value=value)
        async with self._database.writing() as connection:
            await connection.execute(
                statement.on_conflict_do_nothing(index_elements=[facts.c.name])
            )
            kept = await connection.scalars(select(facts.c.value).where(facts.c.name == name))
            return str(kept.one())
