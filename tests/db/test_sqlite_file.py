"""The files of an SQLite database: who may read them, what is in them, whether they are ours."""

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.db.connections import StorageTimings, parse_url
from bot.db.engine import Database
from bot.db.sqlite_marks import CopyMark, mark_in_file
from bot.errors import StorageUnavailable
from bot.storage import Storage
from bot.vault import Vault
from tests.db.conftest import NewDelivery
from tests.waiting import until


def mode_of(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "bot.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


async def test_the_files_are_for_their_owner_alone_whatever_the_umask(
    umask: int, path: Path, url: str, vault: Vault, delivery: NewDelivery
) -> None:
    async with Storage.open(url, vault) as storage:
        assert await storage.lead()
        await storage.intake.accept(delivery())
        files = sorted(path.parent.iterdir())
        assert [file.name for file in files] == [
            "bot.db",
            "bot.db-shm",
            "bot.db-wal",
            "bot.db.lock",
        ]
        assert {mode_of(file) for file in files} == {"0o600"}
        assert mode_of(path.parent) == "0o700"


def make_wide(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o755)
    path.touch()
    path.chmod(0o640)


async def test_what_is_there_keeps_its_mode(path: Path, url: str, vault: Vault) -> None:
    make_wide(path)
    async with Storage.open(url, vault):
        assert (mode_of(path.parent), mode_of(path)) == ("0o755", "0o640")


# ── a copy of the file alone ──────────────────────────────────────────────────────────────────


def events_in(copy: Path) -> int:
    with closing(sqlite3.connect(copy)) as connection:
        count: int = connection.execute("SELECT count(*) FROM inbox").fetchone()[0]
        return count


async def raised(path: Path, mark: CopyMark | None) -> None:
    """Wait until the file's mark is another one: all of the log has been copied into it."""

    async def is_another() -> bool:
        return mark_in_file(path) != mark

    await until(is_another)


async def test_a_copy_of_the_file_alone_holds_everything_once_it_is_quiet(
    path: Path, url: str, vault: Vault, delivery: NewDelivery, tmp_path: Path
) -> None:
    async with Storage.open(url, vault, timings=StorageTimings(checkpoint_after_s=0.05)) as storage:
        for _ in range(50):
            await storage.intake.accept(delivery())
        await raised(path, mark_in_file(path))
        shutil.copy(path, tmp_path / "copy.db")
        assert events_in(tmp_path / "copy.db") == 50


async def test_writes_that_never_pause_are_copied_too(
    path: Path, url: str, vault: Vault, delivery: NewDelivery, tmp_path: Path
) -> None:
    async with Storage.open(url, vault, timings=StorageTimings(checkpoint_after_s=0.05)) as storage:
        before = mark_in_file(path)
        async with asyncio.timeout(10):
            while mark_in_file(path) == before:
                await storage.intake.accept(delivery())


async def test_what_a_reader_held_back_is_copied_once_it_has_gone(
    path: Path, url: str, vault: Vault, delivery: NewDelivery, tmp_path: Path
) -> None:
    async with Storage.open(url, vault, timings=StorageTimings(checkpoint_after_s=0.05)) as storage:
        await storage.intake.accept(delivery())
        await storage._database.copy_log()
        mark = mark_in_file(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM inbox").fetchone()
            await storage.intake.accept(delivery())
            await storage._database.copy_log()
            assert mark_in_file(path) == mark
        await raised(path, mark)
        shutil.copy(path, tmp_path / "copy.db")
        assert events_in(tmp_path / "copy.db") == 2


# ── files that were put in the place of ours ──────────────────────────────────────────────────


def renamed_over(path: Path, older: Path) -> None:
    os.replace(older, path)


def renamed_over_with_its_log_gone(path: Path, older: Path) -> None:
    os.replace(older, path)
    path.with_name("bot.db-wal").unlink()


def written_over(path: Path, older: Path) -> None:
    shutil.copyfile(older, path)


def written_over_by_another_bots(path: Path, older: Path) -> None:
    with closing(sqlite3.connect(older)) as other:
        other.execute("UPDATE facts SET value = 'f00d:999999' WHERE name = 'storage.mark'")
        other.commit()
    shutil.copyfile(older, path)


def written_over_by_none(path: Path, older: Path) -> None:
    path.write_bytes(b"")


def removed(path: Path, older: Path) -> None:
    path.unlink()


def folder_moved(path: Path, older: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def log_removed(path: Path, older: Path) -> None:
    path.with_name("bot.db-wal").unlink()


def content_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


REPLACED = [
    renamed_over,
    renamed_over_with_its_log_gone,
    written_over,
    written_over_by_another_bots,
    written_over_by_none,
    removed,
    folder_moved,
    log_removed,
]


@pytest.mark.parametrize("quiet", [True, False])
@pytest.mark.parametrize("done", REPLACED)
async def test_nothing_is_written_to_a_file_that_is_no_longer_the_one_the_path_names(
    done: Callable[[Path, Path], None],
    quiet: bool,
    path: Path,
    url: str,
    vault: Vault,
    delivery: NewDelivery,
    tmp_path: Path,
) -> None:
    older = tmp_path / "older.db"
    async with Storage.open(url, vault) as storage:
        await storage.intake.accept(delivery())
        await storage._database.copy_log()
        shutil.copy(path, older)
        await storage._database.copy_log()
        if not quiet:
            await storage.intake.accept(delivery())
        done(path, older)
        for wait in (storage.intake.accept(delivery()), storage.ping_write()):
            with pytest.raises(StorageUnavailable, match="while the bot runs"):
                await wait
        there = content_of(path)
        await storage._database.copy_log()
        assert content_of(path) == there


async def test_a_file_that_is_put_back_is_written_again(
    path: Path, url: str, vault: Vault, delivery: NewDelivery
) -> None:
    async with Storage.open(url, vault) as storage:
        os.replace(path, path.with_name("aside"))
        with pytest.raises(StorageUnavailable):
            await storage.intake.accept(delivery())
        os.replace(path.with_name("aside"), path)
        assert not (await storage.intake.accept(delivery())).duplicate


CHECKPOINT = """
import sqlite3, sys
sqlite3.connect(sys.argv[1]).execute("PRAGMA wal_checkpoint(TRUNCATE)")
"""


async def test_another_program_that_copies_the_log_does_no_harm(
    path: Path, url: str, vault: Vault, delivery: NewDelivery
) -> None:
    async with Storage.open(url, vault) as storage:
        await storage._database.copy_log()
        for _ in range(3):
            await storage.intake.accept(delivery())
            await asyncio.to_thread(
                subprocess.run, [sys.executable, "-c", CHECKPOINT, str(path)], check=True
            )
            os.utime(path)
        assert not (await storage.intake.accept(delivery())).duplicate


async def test_two_databases_over_one_file_take_each_other_for_no_stranger(
    path: Path, url: str, vault: Vault, delivery: NewDelivery
) -> None:
    async with Storage.open(url, vault) as first:
        async with Database.open(parse_url(url)) as second:
            for _ in range(3):
                await first.intake.accept(delivery())
                await second.copy_log()
                await first._database.copy_log()
        assert not (await first.intake.accept(delivery())).duplicate
