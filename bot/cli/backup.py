"""`backup`, `restore` and `copy-database`: doing it, and what they say."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from bot.amounts import size_text
from bot.cards.text import counted
from bot.cli.terminal import print_line
from bot.database_content import DatabaseContent
from bot.pipeline.catch_up.from_lists import OVERLAP
from bot.settings import Settings
from bot.storage import copy_database, make_backup, restore_backup
from bot.timing import utc_now

THE_SETTING: Final = "DATABASE_URL"
KEYS_APART: Final = (
    "The keys are not in it: without ENCRYPTION_KEYS, webhooks and linked accounts have to be set "
    "up again. Keep a copy of the keys in another place than this file."
)


async def back_up(settings: Settings, path: Path, *, replace: bool) -> None:
    """Make a backup and print what it holds.

    Errors: DatabaseCopyError, StorageUnavailable, SchemaTooNew, SchemaTooOld, ConfigError.
    """
    content = await make_backup(settings.database_url, path, utc_now(), replace=replace)
    print_line(f"✔ {path} is whole, {_size(path)}, version {content.version}.")
    print_line(f"It holds {content_text(content)}.")
    print_line(KEYS_APART)


async def put_back(
    settings: Settings, path: Path, *, replace: bool, shown_until: datetime | None
) -> None:
    """Restore a backup and print what that means. Errors: as `back_up`."""
    since = None if shown_until is None else shown_until + OVERLAP  # lists are read from before it
    restored = await restore_backup(
        settings.database_url, path, utc_now(), replace=replace, shown_until=since
    )
    print_line(f"✔ The database holds what {path} holds: {content_text(restored.content)}.")
    if restored.kept is not None:
        print_line(f"What it held before is in {restored.kept}. Delete it when you are sure.")
    for line in _consequences(restored.content, shown_until):
        print_line(line)


async def move(settings: Settings, from_url: str, to_url: str) -> None:
    """Copy a database into another one and print the tables. Errors: as `back_up`."""
    urls = [settings.database_url if url == THE_SETTING else url for url in (from_url, to_url)]
    copied = await copy_database(*urls)
    for table in copied:
        print_line(f"{table.table:<20} {table.rows:>10}")
    print_line(
        f"✔ {counted(sum(one.rows for one in copied), 'row')} copied, each table counted on both "
        "sides. Write the new address into DATABASE_URL, keep ENCRYPTION_KEYS as they are, and "
        "start the bot."
    )
    print_line(
        "The former database is as it was, for a way back: it counts as an older copy from now on, "
        "and must not be used at the same time. Delete it when you are sure."
    )


def content_text(content: DatabaseContent) -> str:
    """What a database holds, in a row."""
    return ", ".join(
        [
            counted(content.guilds, "Discord server"),
            counted(content.projects, "project"),
            counted(content.subscriptions, "subscription"),
            counted(content.accounts, "linked account"),
            f"{counted(content.waiting_cards, 'card')} waiting",
            f"{counted(content.waiting_events, 'event')} not processed yet",
        ]
    )


def _consequences(content: DatabaseContent, shown_until: datetime | None) -> Iterator[str]:
    if content.accounts:
        yield (
            "Linked accounts are not used until their people confirm them with /account, as they "
            "may have been unlinked since the backup. Channels that need one wait, and keep their "
            "events."
        )
    if content.waiting_cards or content.waiting_events:
        yield (
            "What waited when the backup was made is sent at the next start, also what the bot has "
            "sent since then. Look with `outbox list` before you start it, and drop with `outbox "
            "drop` what is in Discord already."
        )
    if shown_until is None:
        yield (
            "What happened since the backup is fetched from Speckle where that can be done, also "
            "what the bot has shown since. If it ran on after the backup, put it back once more "
            "with --replace --shown-until and the time at which it stopped."
        )


def _size(path: Path) -> str:
    return size_text(path.stat().st_size)
