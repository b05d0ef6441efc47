"""The bot as a process that is forked from one which has imported everything.

To import it takes longer than what most tests want of a process. `run.py soak` and the tests of the
demo start it as it is started in earnest.
"""

import asyncio
import multiprocessing
import os
import runpy
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

from sandbox.bot_process import ROOT

FORKING: Final = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["bot.app", "bot.cli.terminal", "alembic"])


class ForkedBot:
    """As much of an asyncio process as `sandbox.bot_process` wants."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self.kill = process.kill
        self.terminate = process.terminate

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    async def wait(self) -> int:
        while (code := self.returncode) is None:  # noqa: ASYNC110  # no event is set at its end
            await asyncio.sleep(0.01)
        return code


async def start_bot(
    arguments: Sequence[str], environment: Mapping[str, str], log: Path
) -> ForkedBot:
    """In place of the one of `sandbox.bot_process`."""
    process = FORKING.Process(target=_run, args=(arguments, dict(environment), log))
    await asyncio.to_thread(process.start)
    return ForkedBot(process)


def _run(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    os.setsid()
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    threading.Thread(target=_end_with_starter, name="starter", daemon=True).start()
    sys.argv = ["bot", *arguments]
    runpy.run_module("bot", run_name="__main__", alter_sys=True)


def _end_with_starter() -> None:
    starter = multiprocessing.parent_process()
    assert starter is not None
    starter.join()
    os.kill(os.getpid(), signal.SIGKILL)
