"""`python -m bot`: what a host sees and which exit code a supervisor gets."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from bot.settings import environment_names

ROOT = Path(__file__).resolve().parents[2]
A_KEY = Fernet.generate_key().decode()
COMMANDS = ["run", "demo", "check", "migrate", "key", "keys", "outbox", "events", "soak", "bench"]


def bot(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`python -m bot` in a folder, with nothing of ours in the environment but `environ`."""
    names = environment_names()
    others = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        cwd=folder,
        env={**others, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **environ},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


def test_run_without_its_secrets_names_each_and_what_to_do(tmp_path: Path) -> None:
    done = bot(tmp_path, "run")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "DISCORD_TOKEN is not set." in lines[0]
    assert "ENCRYPTION_KEYS is not set. Type `python3 run.py init`" in lines[1]


@pytest.mark.parametrize("command", ["run", "check", "migrate"])
def test_unusable_settings_end_with_2_and_no_traceback(command: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("webhook_prt = 1\n")
    (tmp_path / ".env").write_text("DISCORD_TOKEN=hello\n")
    done = bot(tmp_path, command)
    assert done.returncode == 2
    assert "✘ config.toml, line 1: webhook_prt" in done.stderr
    assert "✘ .env, line 1: DISCORD_TOKEN is not a bot token" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hello" not in done.stderr


@pytest.mark.parametrize("option", ["--config", "--env-file"])
def test_a_settings_file_that_is_named_and_missing_is_said(option: str, tmp_path: Path) -> None:
    done = bot(tmp_path, option, "typo.toml", "check")
    assert done.returncode == 2
    assert f"There is no file typo.toml. Look at {option}." in done.stderr


def test_a_database_that_is_away_ends_with_1_and_a_sentence(tmp_path: Path) -> None:
    done = bot(tmp_path, "migrate", DATABASE_URL="postgresql+psycopg://a:hush@127.0.0.1:9/b")
    assert done.returncode == 1
    assert done.stderr.startswith("✘ The database cannot be used: ")
    assert done.stderr.count("\n") == 1
    assert "hush" not in done.stderr


def test_migrate_makes_the_database_and_says_its_version(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DISCORD_TOKN=x\n")
    done = bot(tmp_path, "migrate")
    assert done.returncode == 0
    assert done.stdout.startswith("The database is at version ")
    assert done.stderr.startswith("Note: .env, line 1: DISCORD_TOKN")
    assert (tmp_path / "data/bot.db").is_file()


def test_check_ends_with_1_if_anything_is_wrong(tmp_path: Path) -> None:
    done = bot(tmp_path, "check", SPECKLE_SERVERS="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr == ""
    assert all(line[0] in "✔✘–" for line in done.stdout.splitlines())


def test_key_prints_a_key_and_nothing_else(tmp_path: Path) -> None:
    done = bot(tmp_path, "key")
    Fernet(done.stdout.strip())
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("version", "words"),
    [("9999", "newer release"), ("0005", "Start the bot's commit 3c24090")],
)
def test_a_database_of_another_time_is_told_in_a_sentence(
    version: str, words: str, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "bot.db")) as database:
        database.execute(f"CREATE TABLE alembic_version AS SELECT '{version}' AS version_num")
        database.commit()
    done = bot(tmp_path, "migrate", DATABASE_URL="sqlite:///bot.db")
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_every_command_and_loads_nothing_heavy(tmp_path: Path) -> None:
    loads = (
        "import sys, runpy; sys.argv = ['bot', '--help']\n"
        "try: runpy.run_module('bot', run_name='__main__')\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", loads], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert all(f"  {command} " in done.stdout for command in COMMANDS)
    heavy = {"discord", "sqlalchemy", "aiohttp", "pydantic", "specklepy", "alembic"}
    assert heavy.isdisjoint(done.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nope"],
        ["run", "--nope"],
        ["soak", "--rate", "0"],
        ["bench", "nope"],
        ["events", "show", "9" * 20],
        ["outbox", "list", "--guild", "9" * 20],
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], tmp_path: Path) -> None:
    done = bot(tmp_path, *arguments)
    assert done.returncode == 2
    assert "Usage: python3 run.py" in done.stderr + done.stdout


def test_the_page_of_settings_can_be_made(tmp_path: Path) -> None:
    done = bot(tmp_path, "settings-page")
    assert done.stdout == (ROOT / "docs/configuration.md").read_text(encoding="utf-8")


def test_the_page_of_the_command_line_can_be_made(tmp_path: Path) -> None:
    done = bot(tmp_path, "command-line-page")
    assert done.stdout == (ROOT / "docs/command-line.md").read_text(encoding="utf-8")


def test_the_tables_of_events_can_be_made(tmp_path: Path) -> None:
    whole = (ROOT / "docs/events.md").read_text(encoding="utf-8")
    page = tmp_path / "events.md"
    page.write_text(re.sub(r"(?m)^\| `version_.*\n", "", whole), encoding="utf-8")
    assert bot(tmp_path, "events-page", str(page)).returncode == 0
    assert page.read_text(encoding="utf-8") == whole


@pytest.mark.parametrize("command", ["demo", "soak"])
def test_what_needs_a_checkout_says_so_without_one(command: str, tmp_path: Path) -> None:
    (tmp_path / "bot").symlink_to(ROOT / "bot")
    done = bot(tmp_path, command, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "This command needs a checkout" in done.stderr


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database of the bot's, another one that was used, and a file that is none."""
    folder = tmp_path_factory.mktemp("used")
    bot(folder, "migrate")
    bot(folder, "migrate", DATABASE_URL="sqlite:///used.db")
    bot(folder, "keys", "rotate", DATABASE_URL="sqlite:///used.db", ENCRYPTION_KEYS=A_KEY)
    (folder / "there").write_text("no database")
    return folder


@pytest.mark.parametrize(
    ("command", "to_do"),
    [
        (["backup", "there"], "Choose another name, or add --replace."),
        (["support", "there"], "Choose another name.\n"),
        (["subscriptions", "export", "there"], "Choose another name.\n"),
        (
            ["restore", "there"],
            "no SQLite database. Nothing was changed. Take another",
        ),
        (["restore", "gone"], "There is no database in gone. Look at the name.\n"),
        (["copy-database", "DATABASE_URL", "sqlite:///used.db"], "Name an empty one as TO."),
    ],
)
def test_an_error_names_what_this_command_can_do(
    command: list[str], to_do: str, used: Path
) -> None:
    """Each of them fails, so that they share a folder."""
    done = bot(used, *command)
    assert done.returncode == 1
    assert to_do in done.stderr
    assert "`restore`" not in done.stderr
    assert "`backup`" not in done.stderr
