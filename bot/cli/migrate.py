"""`python -m bot migrate`, and what commands say of a database that needs it."""

from bot.cli.terminal import print_line
from bot.errors import ConfigError, Problem
from bot.program import PROGRAM
from bot.settings import Settings
from bot.storage import database_file, migrate, needs_migration, schema_version


async def migrate_database(settings: Settings) -> None:
    """Bring its tables up to date and print the version that it has now.

    Errors: StorageUnavailable, SchemaTooNew, SchemaTooOld.
    """
    before, _ = await schema_version(settings.database_url)
    await migrate(settings.database_url)
    found, _ = await schema_version(settings.database_url)
    print_line(f"The database is at version {found}.")
    if before not in (None, found):
        file = database_file(settings.database_url)
        print_line(
            "Of a PostgreSQL no copy was made before: the way back is the server's own backup."
            if file is None
            else f"A copy of it at version {before} is beside it, as {file.name}.version-{before}-…"
        )


async def require_tables(settings: Settings) -> None:
    """Refuse a database that has not got today's tables, and leave it as old as it is.

    Errors: ConfigError, StorageUnavailable, SchemaTooNew, SchemaTooOld.
    """
    found, _ = await schema_version(settings.database_url)
    if needs_migration(found):
        old = f"The database is of an older release, version {found}."
        what = old if found else "There is no database yet."
        hint = f"Start the bot once, or `{PROGRAM} migrate`; look at DATABASE_URL too."
        raise ConfigError(Problem("DATABASE_URL", what, hint))
