"""Asks the process that reads a bundle's tables."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, gettempdir
from time import monotonic, time
from typing import Any, Final

import structlog

log = structlog.get_logger()

PROGRAM: Final = Path(__file__).with_name("bundle_process.py")
AT_ONCE: Final = 2
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
# Python on Windows does not start without it.
KEPT: Final = ("SYSTEMROOT",)
FOLDERS: Final = "speckle-bundle-"
LEFT_BEHIND_S: Final = 3600.0  # far longer than anything is read


@dataclass(frozen=True, slots=True)
class BundleFolder:
    """Where the tables are of which something is asked; gone with the block that opened it."""

    path: Path

    async def put(self, name: str, content: bytes) -> None:
        """Add a Parquet file by a name of our own that a question looks for. Errors: OSError."""
        await asyncio.to_thread((self.path / f"{name}.parquet").write_bytes, content)


@dataclass(slots=True)
class BundleReader:
    """Reads tables with duckdb, which the optional extra `bundles` installs."""

    can_read: bool = field(default_factory=lambda: find_spec("duckdb") is not None)
    program: Path = PROGRAM
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    @contextmanager
    def folder(self) -> Iterator[BundleFolder]:
        """An empty folder for tables; what a bot that was killed left of its own goes before.

        Errors: OSError.
        """
        _remove_left_behind()
        with TemporaryDirectory(prefix=FOLDERS) as folder:
            yield BundleFolder(Path(folder))

    async def answer(self, question: str, tables: Mapping[str, bytes], *, within_s: float) -> Any:
        """What the process says to one of its QUESTIONS; None where it fails or is too slow.

        `tables` are the Parquet files by the names of our own that the question looks for.
        """
        until = monotonic() + within_s
        try:
            async with asyncio.timeout(within_s):
                with self.folder() as folder:
                    for name, content in tables.items():
                        await folder.put(name, content)
                    return await self._asked(question, folder, until)
        except (TimeoutError, OSError) as error:
            log.info("bundles.no_answer", question=question, error=type(error).__name__)
            return None

    async def answer_about(self, folder: BundleFolder, question: str, *, within_s: float) -> Any:
        """The same of tables that are in a folder already. Errors: TimeoutError; OSError."""
        async with asyncio.timeout(within_s):
            return await self._asked(question, folder, monotonic() + within_s)

    async def _asked(self, question: str, folder: BundleFolder, until: float) -> Any:
        async with self._turns:
            left_s = max(0.0, until - monotonic())
            return await _answer_of(self.program, str(folder.path), question, left_s)


def _remove_left_behind() -> None:
    for one in Path(gettempdir()).glob(f"{FOLDERS}*"):
        with suppress(OSError):  # somebody else's, or gone by now
            if time() - one.stat().st_mtime > LEFT_BEHIND_S:
                rmtree(one)


async def _answer_of(program: Path, folder: str, question: str, within_s: float) -> Any:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(program),
        folder,
        question,
        f"{within_s:.1f}",
        env={name: os.environ[name] for name in KEPT if name in os.environ},
        cwd=folder,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        said = await _read(process)
        code = None if said is None else await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if said is None or code:
        log.info("bundles.refused", question=question, exit_code=code)
        return None
    try:
        return json.loads(said)
    except ValueError:
        return None


async def _read(process: Process) -> bytes | None:
    """All that it says; None for more than an answer can be."""
    if process.stdout is None:
        return None
    try:
        await process.stdout.readexactly(MAX_ANSWER_BYTES + 1)
    except asyncio.IncompleteReadError as whole:
        return whole.partial
    return None
