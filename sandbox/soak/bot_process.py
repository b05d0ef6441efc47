"""The bot as a process of its own: started, killed, stopped."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import aiohttp

ROOT: Final = Path(__file__).resolve().parents[2]
TAKES_DELIVERIES_WITHIN_S: Final = 60.0
STOPS_WITHIN_S: Final = 30.0
POLL_S: Final = 0.02
LAST_LINES: Final = 15


class Broken(Exception):
    """The bot did what it must never do; the text is a sentence."""


class BotProcess:
    """`python -m bot run` in this environment, its output added to the file `log`."""

    def __init__(self, environment: Mapping[str, str], config: Path, log: Path, url: str) -> None:
        self._environment = environment
        self._config = config
        self._log = log
        self._url = url
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it takes deliveries; raises Broken if it does not."""
        files = ("--config", str(self._config), "--env-file", os.devnull)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bot", *files, "run",
                cwd=ROOT, env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            async with asyncio.timeout(TAKES_DELIVERIES_WITHIN_S), aiohttp.ClientSession() as http:
                while not await self._is_healthy(http):
                    await self.live(POLL_S)
        except TimeoutError:
            raise Broken(
                f"The bot took no deliveries within {TAKES_DELIVERIES_WITHIN_S:g} s."
            ) from None

    async def _is_healthy(self, http: aiohttp.ClientSession) -> bool:
        try:
            async with http.get(f"{self._url}/healthz") as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False

    async def live(self, seconds: float) -> None:
        """Let it run for this long; raises Broken if it ends early."""
        if (code := await self._ended_within(seconds)) is not None:
            raise Broken(f"The bot ended unexpectedly, with exit code {code}.\n{self.last_lines()}")

    async def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM; raises Broken unless it ends well."""
        assert self._process is not None, "started before"  # noqa: S101
        self._process.terminate()
        code = await self._ended_within(STOPS_WITHIN_S)
        if code is None:
            raise Broken(f"The bot did not stop within {STOPS_WITHIN_S:g} s of SIGTERM.")
        if code != 0:
            raise Broken(f"After SIGTERM the bot ended with {code}.\n{self.last_lines()}")

    async def _ended_within(self, seconds: float) -> int | None:
        assert self._process is not None, "started before"  # noqa: S101
        try:
            async with asyncio.timeout(seconds):
                return await self._process.wait()
        except TimeoutError:
            return None

    def last_lines(self) -> str:
        """The end of its output."""
        return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-LAST_LINES:])
