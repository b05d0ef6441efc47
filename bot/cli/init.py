"""`init`: what a folder needs before the bot can run in it."""

import os
from pathlib import Path

from cryptography.fernet import Fernet

from bot.cli.lost_keys import FIRST_FILES, missing_key_hint
from bot.cli.terminal import Files, print_line
from bot.new_file import write_new
from bot.program import PROGRAM
from bot.settings import named_database_url
from bot.settings.new_files import new_config_file, new_env_file


async def write_first_files(files: Files) -> None:
    """Write those settings files that are not there, and say what to do next.

    A new key is made only where no database holds what an earlier one encrypted. Errors: OSError.
    """
    is_new = not files.env.exists()
    lost = await _lost(files) if is_new else None
    _write(files.env, new_env_file("" if lost else Fernet.generate_key().decode()))
    _write(files.config, new_config_file())
    if lost:
        print_line(f"ENCRYPTION_KEYS in {files.env} is left empty. {lost}")
    elif is_new:
        print_line(
            f"The key in {files.env} is new. Did the bot run before, with another {files.env.name} "
            "or database? Then put the key, and DATABASE_URL, of that time there instead."
        )
    print_line(
        f"Next: put the bot's token into {files.env} as DISCORD_TOKEN, then type "
        f"`{PROGRAM} check`, which says what is missing and what works."
    )


async def _lost(files: Files) -> str | None:
    """What to do about an earlier key, if a database needs it; an unreadable one may."""
    url = named_database_url(files.config, files.env, os.environ)
    hint = await missing_key_hint(url, FIRST_FILES)
    return None if hint == FIRST_FILES else hint


def _write(path: Path, text: str) -> None:
    try:
        write_new(path, text.encode())
    except FileExistsError:
        print_line(f"{path} is there already, and stays as it is.")
        return
    print_line(f"{path} is new.")
