"""A real Chromium without a window, driven over its DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/
"""

import asyncio
import base64
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

PROGRAM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
START_WITHIN_S = 30.0
ANSWER_WITHIN_S = 20.0
OPTIONS = (
    "--headless",
    "--remote-debugging-port=0",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=900,900",
)


class Tab:
    """One tab: opens addresses, presses, reads."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = count(1)

    async def _do(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while True:
                answer = await self._socket.receive_json()
                if answer.get("id") == number:
                    result: dict[str, Any] = answer.get("result", {})
                    return result

    async def run(self, script: str) -> Any:
        """The value of a piece of JavaScript on the page."""
        answer = await self._do("Runtime.evaluate", expression=script, returnByValue=True)
        return answer.get("result", {}).get("value")

    async def open(self, address: str) -> None:
        """Go to an address and wait until its page is there."""
        await self._do("Page.navigate", url=address)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def until(self, condition: str) -> None:
        """Wait until something is true on the page."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while not await self.run(condition):  # noqa: ASYNC110  nothing tells of it
                await asyncio.sleep(0.05)

    async def text(self) -> str:
        """What a person reads."""
        return str(await self.run("document.body.innerText"))

    async def picture(self) -> bytes:
        """What the page looks like, as a PNG."""
        answer = await self._do("Page.captureScreenshot")
        return base64.b64decode(answer["data"])


@asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Tab]:
    """A browser with an empty profile, for as long as the block lasts."""
    assert PROGRAM is not None
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()  # it refuses to run as root with one
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *OPTIONS,
        *sandbox,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await _port(profile)
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/json") as answer:
                tabs = [tab for tab in await answer.json() if tab["type"] == "page"]
            async with http.ws_connect(tabs[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Tab(socket)
    finally:
        process.terminate()
        await process.wait()


async def _port(profile: Path) -> str:
    """The port that the browser chose; it writes it down when it listens."""
    file = profile / "DevToolsActivePort"
    async with asyncio.timeout(START_WITHIN_S):
        while not file.exists() or not file.read_text().strip():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return file.read_text().split()[0]
