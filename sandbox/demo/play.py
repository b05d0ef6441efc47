"""The try-out: a Discord and two Speckle servers on this machine, the real bot between them.

It is a page in the browser, or a terminal that prints what the channels then hold.
"""

import asyncio
import os
import signal
import socket
import sys
import tempfile
import textwrap
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sandbox.bot_process import HOST, Broken
from sandbox.demo.curl_line import HandDelivery, new_delivery
from sandbox.demo.opening import play_opening
from sandbox.demo.page.site import serving_page
from sandbox.demo.stage import Stage, open_stage
from sandbox.demo.terminal import (
    WIDTH,
    DemoGuild,
    can_be_typed_into,
    print_messages,
    read_commands,
    say,
)
from sandbox.discord import SandboxError

PACE_S: Final = 1.0  # after an event, so that one can read along
PAGE_PORT: Final = 8004
INTRODUCTION: Final = (
    "A Discord and two Speckle servers run on this machine, with the bot between them."
)
STOPS: Final = ("SIGINT", "SIGTERM", "SIGHUP")  # the last one when its terminal is closed


async def run_demo(
    port: int | None = None,
    *,
    terminal: bool = False,
    browser: bool = True,
    pace_s: float = PACE_S,
) -> int:
    """Play the demo until it is stopped, with `pace_s` after each event.

    `port` is the page's, or in a terminal the one that takes deliveries; None takes the usual one,
    or a free one where that is taken.
    """
    stopping = asyncio.Event()
    with (
        _stopped_by_signals(stopping),
        tempfile.TemporaryDirectory(prefix="speckle-demo-", ignore_cleanup_errors=True) as path,
    ):
        folder = Path(path)
        play = _in_a_terminal(folder, port, pace_s) if terminal else _on_a_page(
            folder, port, pace_s, browser=browser
        )  # fmt: skip
        showing = asyncio.create_task(play, name="demo")
        stopped = asyncio.create_task(stopping.wait(), name="stop")
        await asyncio.wait({showing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (showing, stopped):
            task.cancel()
        try:
            await showing
        except asyncio.CancelledError:
            pass
        except Broken as problem:
            say(str(problem))
            return 1
    with suppress(OSError):  # a terminal that was closed
        say("\nStopped. Nothing was kept.")
    return 0


@contextmanager
def _stopped_by_signals(stopping: asyncio.Event) -> Iterator[None]:
    """Set `stopping` at the first signal; more of them change nothing, as stopping is soon done."""
    loop = asyncio.get_running_loop()
    numbers = [getattr(signal, name) for name in STOPS if hasattr(signal, name)]
    before = [signal.signal(n, lambda *_: loop.call_soon_threadsafe(stopping.set)) for n in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


# ── as a page ─────────────────────────────────────────────────────────────────────────────────


async def _on_a_page(folder: Path, port: int | None, pace_s: float, *, browser: bool) -> None:
    """Serve the page; what happens to the bot there does not end the demo. Errors: Broken."""
    with page_socket(port) as listening:
        async with open_stage(folder) as stage, serving_page(stage, listening) as url:
            say(f"{INTRODUCTION}\n\nOpen {url}/ in your browser. Ctrl-C ends the demo.")
            if browser:
                await asyncio.to_thread(_open_browser, f"{url}/")
            with suppress(SandboxError):  # the bot was killed meanwhile, say
                await play_opening(stage, pace_s, _say_nothing)
            if (delivery := new_delivery(stage)) is not None:
                say(f"\nSend a delivery yourself, in another terminal:\n  {delivery.curl_line}")
            await asyncio.Event().wait()


def page_socket(wanted: int | None) -> socket.socket:
    """The wanted port; without a wish the usual one, or any free one where that is taken.

    It is taken before everything else starts, as that looks for free ports too. Errors: Broken.
    """
    for port in (PAGE_PORT, 0) if wanted is None else (wanted,):
        try:
            return socket.create_server((HOST, port))
        except OSError as error:
            reason = error.strerror
    raise Broken(f"The page cannot use port {port}: {reason}. Choose another one with --port.")


def _open_browser(url: str) -> None:
    """Open the page, where there is a screen: a browser for terminals would take this one."""
    has_screen = os.name == "nt" or sys.platform == "darwin"
    if has_screen or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        with suppress(webbrowser.Error):
            webbrowser.open(url)


def _say_nothing(_: str) -> None:
    """The page itself shows what happens."""


# ── in a terminal ─────────────────────────────────────────────────────────────────────────────


async def _in_a_terminal(folder: Path, port: int | None, pace_s: float) -> None:
    """Print what happens, and type what comes from standard input. Errors: Broken."""
    say(INTRODUCTION)
    async with open_stage(folder, port) as stage:
        there = DemoGuild.of(stage)
        works = print_messages(there), read_commands(there), stage.bot.watch()
        tasks = {asyncio.create_task(one) for one in (*works, _play(stage, pace_s))}
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()


async def _play(stage: Stage, pace_s: float) -> None:
    await play_opening(stage, pace_s, say)
    say(_invitation(stage, new_delivery(stage)))


def _invitation(stage: Stage, delivery: HandDelivery | None) -> str:
    """How one goes on alone."""
    tower = stage.servers[0].main.project.id
    typed = f"""
        Or type a command as Maren would, then Enter. Where an answer has buttons or a list,
        type the name of one:
          /subscriptions        /account        /unsubscribe project:{tower}"""
    send = f"Send a delivery yourself:\n  {delivery.curl_line}" if delivery else ""
    text = f"{'─' * WIDTH}\nStill running. {send}"
    more = textwrap.dedent(typed) if can_be_typed_into() else ""
    return f"{text}{more}\nCtrl-C ends the demo."
