"""The bot as a process of its own: started, killed, stopped."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import aiohttp

from bot.settings import environment_names

ROOT: Final = Path(__file__).resolve().parents[1]
HOST: Final = "127.0.0.1"
# Below the ports that systems give to outgoing connections: while the bot is down its port would
# else be taken by one of the senders', sooner or later.
PORTS: Final = range(20_000, 30_000)
TAKES_DELIVERIES_WITHIN_S: Final = 60.0
STOPS_WITHIN_S: Final = 30.0
POLL_S: Final = 0.02
LAST_LINES: Final = 15


class Broken(Exception):
    """The bot did what it must never do; the text is a sentence."""


async def start_bot(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """`python -m bot` with these arguments."""
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sandbox.bot_main", *arguments,
            cwd=ROOT, env=environment, stdin=PIPE, stdout=output, stderr=output,
            start_new_session=True,  # Ctrl-C is for who started it, and who then stops it
        )  # fmt: skip


class BotProcess:
    """`python -m bot run` in this environment, its output added to the file `log`.

    It ends with this process at the latest.
    """

    def __init__(self, environment: Mapping[str, str], config: Path, log: Path, url: str) -> None:
        self._environment = environment
        self._config = config
        self._log = log
        self._url = url
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it takes deliveries; raises Broken if it does not."""
        files = ("--config", str(self._config), "--env-file", os.devnull)
        self._process = await start_bot((*files, "run"), self._environment, self._log)
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

    @property
    def runs(self) -> bool:
        """Whether there is a process now."""
        return self._process is not None and self._process.returncode is None

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


def bot_environment(of_bot: Mapping[str, str]) -> Mapping[str, str]:
    """This process's environment with these settings in it, and no others of a bot."""
    names = environment_names()
    others = {name: one for name, one in os.environ.items() if name.upper() not in names}
    return {**others, **of_bot}


def free_port() -> int:
    """A port of this machine that nobody listens at; raises Broken if there is none."""
    start = os.getpid() % len(PORTS)  # another one on this machine looks from elsewhere
    port: int
    for port in (*PORTS[start:], *PORTS[:start]):
        if is_free(port):
            return port
    raise Broken("There is no free port.")


def is_free(port: int) -> bool:
    """Whether a server could listen at this port."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True
