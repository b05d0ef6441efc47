"""A backup, what it holds, and putting it back."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from bot.db.connections import parse_url
from bot.db.leader import leading
from bot.db.schema import WANTED
from bot.db.tables import hooks, subscriptions
from bot.errors import CopyProblem, DatabaseCopyError, SchemaTooNew
from bot.storage import (
    Storage,
    Transaction,
    copy_database,
    make_backup,
    migrate,
    restore_backup,
    schema_version,
)
from bot.vault import Vault
from tests.conftest import PostgresServer
from tests.db.filled import ROWS, fill, next_ids, rows_of
from tests.db.test_restored_copy import is_restored

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
async def filled_url(database_url: str) -> str:
    await fill(database_url)
    return database_url


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def problem_of(caught: pytest.ExceptionInfo[DatabaseCopyError]) -> CopyProblem:
    return caught.value.problem


async def test_a_backup_holds_everything_and_is_for_the_bots_user_alone(
    filled_url: str, vault: Vault, tmp_path: Path
) -> None:
    path = tmp_path / "with space # %" / "copy.db"
    path.parent.mkdir()
    content = await make_backup(filled_url, path, NOW)
    assert (content.version, content.subscriptions) == (WANTED, ROWS)
    assert await rows_of(url_of(path)) == await rows_of(filled_url)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    async with Storage.open(filled_url, vault) as storage:
        assert (await storage.content()).last_backup_at == NOW
    with closing(sqlite3.connect(path)) as copy:
        assert names_in(path.parent) == ["copy.db"]
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(
    filled_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "copy.db"
    path.write_text("a letter")
    with pytest.raises(DatabaseCopyError) as caught:
        await make_backup(filled_url, path, NOW)
    assert problem_of(caught) is CopyProblem.FILE_EXISTS
    assert path.read_text() == "a letter"


async def test_an_earlier_backup_and_an_empty_file_are_replaced(
    filled_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "copy.db"
    path.touch()
    for _ in range(2):
        await make_backup(filled_url, path, NOW, replace=True)
        assert await rows_of(url_of(path)) == await rows_of(filled_url)


@pytest.mark.parametrize("kind", ["keys", "other database", "link", "dangling link", "folder"])
async def test_nothing_but_a_database_of_the_bots_is_replaced(
    kind: str, filled_url: str, tmp_path: Path
) -> None:
    path, backup = tmp_path / "there", tmp_path / "backup.db"
    await make_backup(filled_url, backup, NOW)
    match kind:
        case "keys":
            path.write_text("ENCRYPTION_KEYS=invented")
        case "other database":
            with closing(sqlite3.connect(path)) as other:
                other.execute("CREATE TABLE bookmarks (name)")
        case "link":
            path.symlink_to(backup)
        case "dangling link":
            path.symlink_to(tmp_path / "nowhere")
        case _:
            path.mkdir()
    before = path.lstat(), names_in(tmp_path)
    with pytest.raises(DatabaseCopyError) as caught:
        await make_backup(filled_url, path, NOW, replace=True)
    assert problem_of(caught) is CopyProblem.NOT_REPLACED
    assert (path.lstat(), names_in(tmp_path)) == before


async def test_a_backup_under_load_is_of_one_moment(
    database_url: str, vault: Vault, tmp_path: Path
) -> None:
    """Each transaction writes two values that belong together, as fast as it can."""
    async with Storage.open(database_url, vault) as storage:
        stop, written = asyncio.Event(), 0

        def write_both(tx: Transaction) -> None:
            for name in ("one", "other"):
                tx.key_values.set(name, str(written))

        async def load() -> None:
            nonlocal written
            while not stop.is_set():
                await storage.write(write_both)
                written += 1

        writing = asyncio.create_task(load())
        await asyncio.sleep(0)
        seen = []
        for name in ("a.db", "b.db"):
            before = written
            await make_backup(database_url, tmp_path / name, NOW)
            with closing(sqlite3.connect(tmp_path / name)) as copy:
                pairs = copy.execute("SELECT value FROM facts WHERE name IN ('one', 'other')")
                values = {int(value) for (value,) in pairs}
            assert len(values) <= 1
            seen.append((before - 1, max(values, default=-1), written))
        stop.set()
        await writing
    assert all(before <= found <= after for before, found, after in seen)
    assert written > 2


async def test_what_was_deleted_is_not_in_a_backup_any_more(
    sqlite_url: str, vault: Vault, tmp_path: Path
) -> None:
    async with Storage.open(sqlite_url, vault) as storage:
        await storage.write(lambda tx: tx.key_values.set("gone", "Harbour Tower" * 900))
        await storage.write(lambda tx: tx.session.execute(text("DELETE FROM facts")))
        await make_backup(sqlite_url, tmp_path / "copy.db", NOW)
    assert b"Harbour Tower" not in (tmp_path / "copy.db").read_bytes()


@pytest.mark.parametrize("suffix", ["", "-wal", ".mark", ".lock"])
async def test_a_backup_does_not_go_over_the_database_itself(suffix: str, sqlite_url: str) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///") + suffix)
    with pytest.raises(DatabaseCopyError) as caught:
        await make_backup(sqlite_url, path, NOW, replace=True)
    assert problem_of(caught) is CopyProblem.ITS_OWN_FILE


async def test_no_database_no_backup(tmp_path: Path) -> None:
    for name in ("none.db", "empty.db"):
        (tmp_path / "empty.db").touch()
        with pytest.raises(DatabaseCopyError) as caught:
            await make_backup(url_of(tmp_path / name), tmp_path / "copy.db", NOW)
        assert problem_of(caught) is CopyProblem.NO_DATABASE
    assert names_in(tmp_path) == ["empty.db"]


# ── putting it back ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def backup(sqlite_url: str, tmp_path: Path) -> Path:
    await fill(sqlite_url)
    path = tmp_path / "copy.db"
    await make_backup(sqlite_url, path, NOW)
    return path


async def test_it_comes_back_as_a_copy_that_the_next_start_knows(
    empty_url: str, backup: Path, vault: Vault
) -> None:
    before = await rows_of(url_of(backup))
    restored = await restore_backup(empty_url, backup, NOW)
    assert restored.kept is None
    assert await rows_of(empty_url) == before
    assert await is_restored(empty_url, vault)
    assert not await is_restored(empty_url, vault)
    assert set((await next_ids(empty_url)).values()) == {ROWS + 2}


async def test_a_used_database_is_left_alone_or_kept_beside(
    kind: str, database_url: str, backup: Path, vault: Vault
) -> None:
    async with Storage.open(database_url, vault) as storage:
        await storage.write(lambda tx: tx.guilds.join(5))
        with pytest.raises(DatabaseCopyError) as caught:
            await restore_backup(database_url, backup, NOW)
        assert problem_of(caught) is CopyProblem.USED
    former = await rows_of(database_url)
    restored = await restore_backup(database_url, backup, NOW, replace=True)
    assert await rows_of(database_url) == await rows_of(url_of(backup))
    assert restored.kept is not None
    assert await rows_of(url_of(restored.kept)) == former
    assert await is_restored(database_url, vault)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", CopyProblem.NOT_OURS), (b"no database" * 999, CopyProblem.DAMAGED)],
)
async def test_what_is_no_backup_is_refused(
    content: bytes, problem: CopyProblem, sqlite_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "copy.db"
    path.write_bytes(content)
    with pytest.raises(DatabaseCopyError) as caught:
        await restore_backup(sqlite_url, path, NOW, replace=True)
    assert problem_of(caught) is problem
    assert (await schema_version(sqlite_url))[0] == WANTED


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for start in range(8192, len(content), 8192):
        content[start : start + 16] = os.urandom(16)
    path.write_bytes(content)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("harm", [damaged, cut])
async def test_a_damaged_backup_is_refused(
    harm: Callable[[Path], None], backup: Path, sqlite_url: str
) -> None:
    harm(backup)
    with pytest.raises(DatabaseCopyError) as caught:
        await restore_backup(sqlite_url, backup, NOW, replace=True)
    assert problem_of(caught) is CopyProblem.DAMAGED


async def test_a_newer_backup_is_refused_and_an_older_one_upgraded(
    backup: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(backup)) as copy, copy:
        copy.execute("UPDATE alembic_version SET version_num = '9999'")
    target = url_of(tmp_path / "new" / "bot.db")
    with pytest.raises(SchemaTooNew):
        await restore_backup(target, backup, NOW)
    older = Path(__file__).parents[1] / "fixtures/database/sqlite-0007.sql"
    path = tmp_path / "older.db"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(older.read_text("utf-8"))
    await restore_backup(target, path, NOW)
    assert (await schema_version(target))[0] == WANTED
    assert names_in(tmp_path / "new") == ["bot.db", "bot.db.lock"]


async def test_nothing_is_put_back_or_moved_while_a_bot_runs(
    database_url: str, backup: Path, tmp_path: Path
) -> None:
    with leading(parse_url(database_url)) as leads:
        assert leads
        for work in (
            restore_backup(database_url, backup, NOW, replace=True),
            copy_database(database_url, url_of(tmp_path / "other.db")),
            copy_database(url_of(backup), database_url),
        ):
            with pytest.raises(DatabaseCopyError) as caught:
                await work
            assert problem_of(caught) is CopyProblem.BOT_RUNS


async def test_what_was_shown_since_the_backup_is_not_read_again(
    empty_url: str, backup: Path, vault: Vault
) -> None:
    until = NOW + timedelta(days=30)
    await restore_backup(empty_url, backup, NOW, shown_until=until)
    async with Storage.open(empty_url, vault) as storage:
        for table in (hooks, subscriptions):
            read = select(func.count(table.c.caught_up_at), func.min(table.c.caught_up_at))
            row = await storage.read(lambda tx: tx.session.execute(read).one())
            assert tuple(row) == (ROWS, until)


# ── a move ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("other_kind", ["sqlite", "postgresql"])
async def test_a_moved_database_is_the_bots_own_and_the_former_one_a_copy(
    filled_url: str, other_kind: str, postgres: PostgresServer, tmp_path: Path, vault: Vault
) -> None:
    assert not await is_restored(filled_url, vault)
    target = url_of(tmp_path / "moved" / "bot.db")
    if other_kind == "postgresql":
        target = postgres.url(postgres.new_database())
    before = await rows_of(filled_url)
    copied = await copy_database(filled_url, target)
    assert {one.table: one.rows for one in copied if one.table != "facts"} == dict.fromkeys(
        before, ROWS
    )
    assert await rows_of(target) == before
    assert not await is_restored(target, vault)
    assert await is_restored(filled_url, vault)
    assert set((await next_ids(target)).values()) == {ROWS + 2}
    with pytest.raises(DatabaseCopyError) as caught:
        await copy_database(filled_url, target)
    assert problem_of(caught) is CopyProblem.USED


async def test_a_database_is_not_moved_to_itself(sqlite_url: str) -> None:
    same = sqlite_url.replace("/bot.db", "/../" + Path(sqlite_url).parent.name + "/bot.db")
    with pytest.raises(DatabaseCopyError) as caught:
        await copy_database(sqlite_url, same)
    assert problem_of(caught) is CopyProblem.SAME


# ── an upgrade ────────────────────────────────────────────────────────────────────────────────


async def test_an_upgrade_keeps_the_newest_copies_of_what_was_before(tmp_path: Path) -> None:
    older = (Path(__file__).parents[1] / "fixtures/database/sqlite-0007.sql").read_text("utf-8")
    path = tmp_path / "bot.db"
    for day in range(5):
        left = tmp_path / f"bot.db.version-0006-2026010{day}-000000"
        left.touch()
        os.utime(left, (day, day))
    with closing(sqlite3.connect(path)) as made:
        made.executescript(older)
        rows = list(made.iterdump())
    await migrate(url_of(path))
    await migrate(url_of(path))
    *earlier, last = [name for name in names_in(tmp_path) if ".version-" in name]
    assert [name[:20] for name in earlier] == ["bot.db.version-0006-"] * 2
    with closing(sqlite3.connect(tmp_path / last)) as copy:
        assert list(copy.iterdump()) == rows


async def test_two_restores_within_a_second_keep_both_that_were_there(tmp_path: Path) -> None:
    names, target = ("plover", "wren", "heron"), tmp_path / "bot.db"
    for name in names:
        await migrate(url_of(tmp_path / name))
        await fill(url_of(tmp_path / name), name)
        await make_backup(url_of(tmp_path / name), tmp_path / f"{name}.backup", NOW)
    kept = []
    for name in names:
        backup = tmp_path / f"{name}.backup"
        kept.append((await restore_backup(url_of(target), backup, NOW, replace=True)).kept)
    for name, file in zip(names, kept[1:], strict=False):
        assert file is not None
        assert name.encode() in file.read_bytes()


async def test_a_link_to_a_database_stays_one(filled_url: str, tmp_path: Path) -> None:
    backup, disk = tmp_path / "backup.db", tmp_path / "disk"
    await make_backup(filled_url, backup, NOW)
    disk.mkdir()
    for name in ("restored.db", "copied.db"):
        (tmp_path / name).symlink_to(disk / name)
    for _ in range(2):
        restored = await restore_backup(url_of(tmp_path / "restored.db"), backup, NOW, replace=True)
    assert restored.kept is not None
    assert (restored.kept.parent, restored.kept.is_symlink()) == (disk, False)
    await copy_database(url_of(backup), url_of(tmp_path / "copied.db"))
    for name in ("restored.db", "copied.db"):
        assert (tmp_path / name).is_symlink()
        assert await rows_of(url_of(disk / name)) == await rows_of(filled_url)
