"""The try-out plays both projects' days, and leaves nothing however it ends."""

import asyncio
import os
import re
import shlex
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest

from sandbox.bot_process import HOST, Broken, is_free
from sandbox.demo.play import PAGE_PORT, page_socket
from sandbox.demo.stage import open_stage
from tests.waiting import until

WITHIN_S = 90
RUN = "import asyncio; from sandbox.demo import run_demo; asyncio.run(run_demo({}))"
SHOWN = (
    "#project-log now follows Harbour Tower",
    "#quay-house now follows Quay House",
    "New version: structure/level 1",
    "Application: Revit 2025",
    "Objects: 1,",
    "Thread resolved",
    "New issue: QH-1",
    "Priority: High",
    "Issue resolved: QH-1",
)


class Demo:
    """A try-out as a process, and what it said so far."""

    def __init__(self, process: Process, folder: Path) -> None:
        self.process = process
        self.said = ""
        self._folder = folder

    async def until(self, text: str) -> None:
        """Read until it says this."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            while text not in self.said:
                line = await self.process.stdout.readline()
                assert line, self.said
                self.said += line.decode()

    async def ends(self) -> int:
        """How it ends, within the time that a person waits."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            self.said += (await self.process.stdout.read()).decode()
            return await self.process.wait()

    def bots(self) -> list[int]:
        """The processes of its bot."""
        found = []
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = place.read_bytes().decode()
            except OSError:
                continue
            if f"{self._folder}/" in command:
                found.append(int(place.parent.name))
        return found


@asynccontextmanager
async def demo(folder: Path, arguments: str) -> AsyncIterator[Demo]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN.format(arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"TMPDIR": str(folder), "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    try:
        yield Demo(process, folder)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_terminal_shows_a_project_on_each_kind_of_server_and_takes_a_delivery_by_hand(
    tmp_path: Path,
) -> None:
    async with demo(tmp_path, "0, terminal=True, pace_s=0.1") as playing:
        await playing.until("Ctrl-C ends the demo")
        for text in SHOWN:
            await playing.until(text)
        assert "Or type a command" not in playing.said, "nobody can type here"
        await type_the_curl_line(playing.said)
        await playing.until("Sent with curl, no. 1")
        playing.process.send_signal(signal.SIGINT)
        assert await playing.ends() == 0, playing.said
        assert "Nothing was kept" in playing.said
        assert (os.listdir(tmp_path), playing.bots()) == ([], [])


async def type_the_curl_line(said: str) -> None:
    """Do what the line does."""
    found = re.search(r"curl -H(?:.*\\\n)+.*", said)
    assert found, said
    words = shlex.split(found[0].replace("\\\n", " "))
    headers = dict(word.split(": ", 1) for option, word in pairwise(words) if option == "-H")
    sample = words[words.index("--data-binary") + 1].removeprefix("@")
    body = await asyncio.to_thread(Path(sample).read_bytes)
    async with (
        aiohttp.ClientSession() as http,
        http.post(words[-1], data=body, headers=headers) as answer,
    ):
        assert answer.status == 202


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
async def test_the_page_is_there_at_once_and_a_closed_terminal_ends_all_of_it(
    tmp_path: Path,
) -> None:
    async with demo(tmp_path, "0, browser=False, pace_s=0") as playing:
        await playing.until("in your browser")
        found = re.search(r"http://127\.0\.0\.1:\d+/", playing.said)
        assert found
        async with aiohttp.ClientSession() as http, http.get(found[0]) as page:
            assert "<!doctype html>" in await page.text()
        (bot,) = playing.bots()
        os.kill(bot, signal.SIGKILL)  # the page goes on without it
        async with aiohttp.ClientSession() as http, http.get(found[0]) as page:
            assert page.status == 200
        playing.process.send_signal(signal.SIGHUP)
        assert await playing.ends() == 0, playing.said
        assert (os.listdir(tmp_path), playing.bots()) == ([], [])


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
async def test_killed_without_a_warning_it_takes_its_bot_along(tmp_path: Path) -> None:
    async with demo(tmp_path, "0, terminal=True") as playing:
        async with asyncio.timeout(WITHIN_S):
            await until(playing.bots)
            playing.process.kill()
            await playing.ends()
            await until(lambda: not playing.bots())


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
async def test_stopped_while_it_starts_it_leaves_nothing_either(tmp_path: Path) -> None:
    async with demo(tmp_path, "0, terminal=True") as playing:
        await playing.until("A Discord and two Speckle servers")
        playing.process.send_signal(signal.SIGTERM)
        assert await playing.ends() == 0, playing.said
        assert (os.listdir(tmp_path), playing.bots()) == ([], [])


def test_beside_another_demo_the_page_has_a_port_that_its_bot_cannot_take() -> None:
    with closing(socket.socket()) as other:
        with suppress(OSError):  # somebody else has it, which is as good
            other.bind((HOST, PAGE_PORT))
            other.listen()
        with page_socket(None) as listening:
            port = listening.getsockname()[1]
            assert port != PAGE_PORT
            assert not is_free(port)


async def test_a_wanted_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Broken, match=f"cannot use port {port}: .* Choose another one"):
            page_socket(port)
        with pytest.raises(Broken, match=f"listens at port {port}. Choose another one with --port"):
            async with open_stage(tmp_path, port):
                pass
