"""`check` warns of files with secrets in them that others may read."""

import os
import sys
from pathlib import Path

import pytest

from bot.cli.check.file_modes import check_files
from bot.cli.check.report import CheckMark
from bot.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these are modes of Unix")


def file(path: Path, mode: int, text: str = "") -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path / 'bot.db'}")


def test_nothing_is_said_where_this_user_alone_can_read_them(
    settings: Settings, tmp_path: Path
) -> None:
    env = file(tmp_path / ".env", 0o600)
    for name in ("bot.db", "bot.db-wal", "bot.db.lock"):
        file(tmp_path / name, 0o600)
    assert check_files(settings, [env, tmp_path / "config.toml"]) == []


def test_wide_files_are_named_with_what_to_type(settings: Settings, tmp_path: Path) -> None:
    env = file(tmp_path / ".env", 0o644)
    file(tmp_path / "bot.db", 0o640)
    file(tmp_path / "bot.db-wal", 0o600)
    file(tmp_path / "bot.db.backup of May", 0o604)
    (row,) = check_files(settings, [env])
    assert row.mark is CheckMark.WARNED
    assert row.text.endswith(
        f"Type: chmod 600 {env} {tmp_path}/bot.db '{tmp_path}/bot.db.backup of May'"
    )


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("webhook_port = 1\n", False),
        ('database_url = "postgresql+psycopg://a:hush@b/c"\n', True),
        ('database_url = "postgresql+psycopg://a@b/c"\n', False),
        ('# "postgresql+psycopg://user:password@host/name"\nwebhook_port = 1\n', False),
    ],
)
def test_config_toml_may_be_read_unless_it_holds_a_password(
    text: str, warned: bool, settings: Settings, tmp_path: Path
) -> None:
    rows = check_files(settings, [file(tmp_path / "config.toml", 0o644, text)])
    assert bool(rows) is warned
    assert "hush" not in str(rows)


def test_files_of_the_database_that_this_user_cannot_write_are_named_with_what_to_type(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bot.db", "bot.db.lock", "bot.db.before-restore-20261127"):
        file(tmp_path / name, 0o600)
    theirs = [tmp_path / "bot.db.lock", tmp_path / "bot.db.before-restore-20261127"]
    monkeypatch.setattr(os, "access", lambda path, _: path not in theirs)  # tests may run as root
    (row,) = check_files(settings, [])
    assert row.mark is CheckMark.BAD
    assert row.text.endswith(f"sudo chown {os.geteuid()} {tmp_path / 'bot.db.lock'}")
