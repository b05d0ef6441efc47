"""What people type to start this program, and which version it is."""

import subprocess
from pathlib import Path
from typing import Final

from bot import __version__

NAME: Final = "speckle-discord-bot"
ROOT: Final = Path(__file__).resolve().parents[1]
IS_CHECKOUT: Final = (ROOT / "run.py").is_file()
PROGRAM: Final = "python3 run.py" if IS_CHECKOUT else NAME
"""What a message names a command with: a checkout has run.py, an installed package its own name."""


def version() -> str:
    """The version, with the commit where the files are a checkout: `0.1.0 (commit 1a2b3c4)`."""
    commit = _commit() if (ROOT / ".git").exists() else ""
    return f"{__version__} (commit {commit})" if commit else __version__


def _commit() -> str:
    """Of the checkout; with `changed` behind it if its files are others; "" where git is away."""
    asked = ("git", "-C", str(ROOT), "describe", "--always", "--dirty=, changed", "--exclude=*")
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=5)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""
