"""The process that reads tables which somebody else's server sent, and what it cannot do."""

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from bot.speckle_api import bundle_process
from bot.speckle_api.bundles import BundleReader
from tests.speckle_api.tables import table_of
from tests.waiting import until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "objects.parquet").write_bytes(table_of(7))
    (tmp_path / "elsewhere.parquet").write_bytes(table_of(7))
    return inside


async def counted(content: bytes, within_s: float = 20.0) -> object:
    return await BundleReader(can_read=True).answer(
        "count", {"objects": content}, within_s=within_s
    )


# ── answers ──


async def test_rows_are_counted() -> None:
    assert await counted(table_of(7)) == 7
    assert await counted(table_of(0)) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1",
        b"PAR1" + bytes(1_000) + b"PAR1",
        b"PAR1" + b"\xff" * 1_000 + b"\xff\xff\xff\x7fPAR1",
        b"SELECT 1",
        table_of(7)[:-40],
        table_of(7)[:100] + bytes(500) + table_of(7)[100:],
    ],
    ids=["empty", "magic", "zeros", "huge footer", "text", "cut", "shifted"],
)
async def test_what_is_no_table_gives_no_answer(content: bytes) -> None:
    assert await counted(content) in (None, 7)


async def test_a_question_that_there_is_none_of_gives_no_answer() -> None:
    reader = BundleReader(can_read=True)
    assert await reader.answer("drop", {"objects": table_of(1)}, within_s=20.0) is None
    assert await reader.answer("count", {}, within_s=20.0) is None


# ── what it cannot do ──


@pytest.mark.parametrize(
    "escape",
    [
        "SELECT * FROM read_parquet('{outside}/elsewhere.parquet')",
        "SELECT * FROM read_parquet('{inside}/../elsewhere.parquet')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "ATTACH '{outside}/other.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_parquet('https://127.0.0.1:9/x.parquet')",
        "COPY (SELECT 1) TO '{outside}/written.csv'",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET memory_limit = '8GB'",
        "SET threads = 8",
        "SET lock_configuration = false",
        "RESET lock_configuration",
        "SELECT * FROM '{outside}/elsewhere.parquet'",
    ],
)
def test_it_reaches_nothing_but_its_folder(folder: Path, escape: str) -> None:
    tables = bundle_process.locked(folder)
    with pytest.raises(duckdb.Error):
        tables.execute(escape.format(outside=folder.parent, inside=folder)).fetchall()
    assert not (folder.parent / "written.csv").exists()
    assert bundle_process.count_objects(tables, folder) == 7


def test_it_has_little_memory(folder: Path) -> None:
    tables = bundle_process.locked(folder)
    with pytest.raises(duckdb.Error):
        tables.execute("SELECT list(range) FROM range(100000000)").fetchall()


# ── how it ends ──


@dataclass
class Endless:
    """Runs a program that notes its process and then waits without end."""

    folder: Path

    def __post_init__(self) -> None:
        program = self.folder / "endless.py"
        program.write_text(
            "import os, pathlib, time\n"
            "pathlib.Path(__file__).with_name(f'{os.getpid()}.pid').touch()\n"
            "time.sleep(600)\n"
        )
        self.reader = BundleReader(can_read=True, program=program)

    async def ask(self, within_s: float) -> object:
        """The answer, which never comes."""
        return await self.reader.answer("count", {}, within_s=within_s)

    def started(self) -> list[int]:
        """All processes that there were."""
        return [int(one.stem) for one in self.folder.glob("*.pid")]

    async def has_started(self, count: int) -> None:
        """Wait until so many processes run."""
        await until(lambda: len(self.started()) >= count)

    def left(self) -> list[int]:
        """The processes that still run."""
        return [one for one in self.started() if _is_there(one)]


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def endless(tmp_path: Path) -> Endless:
    return Endless(tmp_path)


async def test_a_process_that_is_too_slow_is_ended(endless: Endless) -> None:
    asking = asyncio.create_task(endless.ask(2.0))
    await endless.has_started(1)
    assert await asking is None
    assert endless.left() == []


async def test_a_process_that_nobody_waits_for_any_more_is_ended(endless: Endless) -> None:
    asking = asyncio.create_task(endless.ask(60.0))
    await endless.has_started(1)
    assert len(endless.left()) == 1
    asking.cancel()
    await asyncio.wait([asking])
    assert endless.left() == []


async def test_two_processes_run_at_once_and_the_third_waits(endless: Endless) -> None:
    asking = [asyncio.create_task(endless.ask(60.0)) for _ in range(3)]
    await endless.has_started(2)
    await asyncio.sleep(0.3)
    assert len(endless.started()) == 2
    asking[0].cancel()
    await endless.has_started(3)
    for one in asking:
        one.cancel()
    await asyncio.wait(asking)
    assert endless.left() == []


async def test_of_a_process_that_talks_too_much_nothing_is_believed(tmp_path: Path) -> None:
    program = tmp_path / "talks.py"
    program.write_text("while True:\n    print(5)\n")
    reader = BundleReader(can_read=True, program=program)
    assert await reader.answer("count", {}, within_s=10.0) is None


async def test_it_knows_nothing_of_the_bot_s_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    program = tmp_path / "environment.py"
    program.write_text("import json, os\nprint(json.dumps(sorted(os.environ)))\n")
    reader = BundleReader(can_read=True, program=program)
    known = await reader.answer("count", {}, within_s=20.0)
    assert set(known) <= {"LC_CTYPE", "SYSTEMROOT"}


def test_what_a_killed_bot_left_behind_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, new = tmp_path / "speckle-bundle-left", tmp_path / "speckle-bundle-new"
    for folder in (left, new):
        folder.mkdir()
        (folder / "eav.objects.parquet").write_bytes(b"x")
    os.utime(left, (0, 0))
    with BundleReader().folder() as opened:
        assert opened.path.parent == tmp_path
        assert (left.exists(), new.exists()) == (False, True)
