"""The bot as a process of its own, started while its database cannot be used."""

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from bot.storage import migrate
from tests.pipeline.conftest import Studio
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="disks are mounted as on Linux")

ROOT = Path(__file__).parents[2]
WITHIN_S = 30.0


@dataclass(frozen=True)
class Disk:
    """A small disk of its own, in memory."""

    path: Path

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", self.path], check=True)

    def fill(self) -> Path:
        """Leave no byte on it."""
        ballast = self.path / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)
        return ballast


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount a disk")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@dataclass
class Bot:
    """`python -m bot run`, and what it answers."""

    process: Process
    port: int

    async def get(self, path: str) -> tuple[int, str]:
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"http://127.0.0.1:{self.port}{path}") as answer,
            ):
                return answer.status, await answer.text()
        except aiohttp.ClientError:
            return 0, ""

    async def says(self, status: int, words: str) -> None:
        async def said() -> bool:
            found, text = await self.get("/readyz")
            return found == status and words in text

        await until(said, WITHIN_S)


@asynccontextmanager
async def run(studio: Studio, key: str, database: Path) -> AsyncIterator[Bot]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = os.environ | {
        "DISCORD_TOKEN": studio.sandbox.token,
        "DISCORD_API_URL": studio.sandbox.api_url,
        "ENCRYPTION_KEYS": key,
        "DATABASE_URL": f"sqlite:///{database}",
        "WEBHOOK_PORT": str(port),
    }
    words = ("-m", "bot", "--config", os.devnull, "--env-file", os.devnull, "run")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=ROOT, env=environment, stderr=PIPE
    )
    try:
        yield Bot(process, port)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_full_disk_is_waited_for_and_answered_meanwhile(
    studio: Studio, key: str, disk: Disk
) -> None:
    ballast = disk.fill()
    async with run(studio, key, disk.path / "data" / "bot.db") as bot:
        await bot.says(503, "The database cannot be used: ")
        assert (await bot.get("/healthz"))[0] == 200
        assert (await bot.get("/webhooks/key"))[0] == 503
        ballast.unlink()
        await bot.says(200, "true")


async def test_a_disk_that_fills_between_folder_and_tables_is_waited_for(
    studio: Studio, key: str, disk: Disk
) -> None:
    (disk.path / "bot.db").touch()
    ballast = disk.fill()
    async with run(studio, key, disk.path / "bot.db") as bot:
        await bot.says(503, "the disk is full")
        ballast.unlink()
        await bot.says(200, "true")


@pytest.mark.parametrize("used_before", [False, True])
async def test_a_disk_that_is_read_only_is_waited_for(
    used_before: bool, studio: Studio, key: str, disk: Disk
) -> None:
    path = disk.path / "bot.db"
    if used_before:
        await migrate(f"sqlite:///{path}")
    disk.remount("ro")
    async with run(studio, key, path) as bot:
        await bot.says(503, "read-only")
        disk.remount("rw")
        await bot.says(200, "true")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        yield


async def test_a_lock_of_another_program_is_waited_for(
    studio: Studio, key: str, tmp_path: Path
) -> None:
    await migrate(f"sqlite:///{tmp_path / 'bot.db'}")
    with ExitStack() as held:
        held.enter_context(locked(tmp_path / "bot.db"))
        async with run(studio, key, tmp_path / "bot.db") as bot:
            await bot.says(503, "locked by another program")
            held.close()
            await bot.says(200, "true")


async def test_a_stop_signal_ends_the_waiting_with_0(
    studio: Studio, key: str, tmp_path: Path
) -> None:
    await migrate(f"sqlite:///{tmp_path / 'bot.db'}")
    with locked(tmp_path / "bot.db"):
        async with run(studio, key, tmp_path / "bot.db") as bot:
            await bot.says(503, "locked by another program")
            bot.process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(bot.process.communicate(), 15)
            assert bot.process.returncode == 0


async def test_what_waiting_does_not_mend_ends_the_start_with_a_sentence(
    studio: Studio, key: str, tmp_path: Path
) -> None:
    (tmp_path / "bot.db").write_bytes(b"Harbour Tower, level 1\n" * 500)
    async with run(studio, key, tmp_path / "bot.db") as bot:
        _, shown = await asyncio.wait_for(bot.process.communicate(), 30)
        assert bot.process.returncode == 1
        assert "✘ The database cannot be used: the database file is damaged" in shown.decode()
