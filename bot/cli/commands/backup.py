"""`backup`, `restore`, `copy-database`."""

import asyncio
from datetime import datetime
from pathlib import Path

import click

from bot.cli.parameters import SINCE_FORMS, Since

A_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=A_FILE)
@click.option("--replace", is_flag=True, help="Also over an earlier backup, or an empty file.")
@click.pass_context
def backup(context: click.Context, file: Path, replace: bool) -> None:
    """Write the whole database into one file. The bot can keep running.

    The file is complete up to one moment, is checked before it gets its name, and only the bot's
    user can read it. Of PostgreSQL too it is an SQLite file, for `restore` into either kind. The
    keys are not in it: keep a copy of ENCRYPTION_KEYS in another place.
    """
    settings = context.obj.load()

    from bot.cli.backup import back_up

    asyncio.run(back_up(settings, file, replace=replace))


@click.command()
@click.argument("file", type=A_FILE)
@click.option("--replace", is_flag=True, help="Also over a database that is used. It is kept.")
@click.option(
    "--shown-until",
    type=Since(),
    help="Until when the bot ran: what happened before is not fetched and shown once more. "
    f"{SINCE_FORMS}.",
)
@click.pass_context
def restore(
    context: click.Context, file: Path, replace: bool, shown_until: datetime | None
) -> None:
    """Put a backup back, into the database of DATABASE_URL. Stop the bot first.

    A backup of an older release is upgraded. What the database held before is kept in a file that
    the command names. After the next start, people confirm their linked accounts with /account.
    """
    settings = context.obj.load()

    from bot.cli.backup import put_back

    asyncio.run(put_back(settings, file, replace=replace, shown_until=shown_until))


@click.command("copy-database")
@click.argument("from_url", metavar="FROM")
@click.argument("to_url", metavar="TO")
@click.pass_context
def copy_database(context: click.Context, from_url: str, to_url: str) -> None:
    """Move everything from one database into another, empty one. Stop the bot first.

    FROM and TO are addresses as in DATABASE_URL, or that word itself for the one in the settings,
    so that no password is on the command line. Each table is counted on both sides, and TO gets all
    or nothing. Then name TO in DATABASE_URL. FROM keeps what it has, and counts as an older copy.
    """
    settings = context.obj.load()

    from bot.cli.backup import move

    asyncio.run(move(settings, from_url, to_url))
