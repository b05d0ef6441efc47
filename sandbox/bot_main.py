"""`python -m sandbox.bot_main …`: `python -m bot …`, for as long as who started it is there.

Standard input is a pipe that nobody writes to. It ends with the process that holds its other end,
however that one ends, and then the bot does too.
"""

import os
import runpy
import signal
import threading

STDIN = 0


def _end_with_starter() -> None:
    os.read(STDIN, 1)
    os.kill(os.getpid(), signal.SIGTERM if os.name == "nt" else signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_starter, name="starter", daemon=True).start()
    runpy.run_module("bot", run_name="__main__", alter_sys=True)
