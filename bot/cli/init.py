"""`init`: what a folder needs before the bot can run in it."""

import os
from pathlib import Path

from cryptography.fernet import Fernet

from bot.cli.terminal import Files, print_line
from bot.program import PROGRAM
from bot.settings.new_files import new_config_file, new_env_file

OWNER_ALONE = 0o600


def write_first_files(files: Files) -> None:
    """Write those settings files that are not there, and say what to do next.

    Errors: OSError.
    """
    _write(files.env, new_env_file(Fernet.generate_key().decode()))
    _write(files.config, new_config_file())
    print_line(
        f"Next: fill in {files.env}, then type `{PROGRAM} check`, which says what is missing."
    )


def _write(path: Path, text: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ALONE)
    except FileExistsError:
        print_line(f"{path} is there already, and stays as it is.")
        return
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    print_line(f"{path} is new.")
