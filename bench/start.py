"""How long the bot takes from its start to ready, and what it holds in memory when idle.

The bot runs as a process of its own, over one database, against the sandbox Discord in this one;
the first run, which creates the database, is listed separately. Ready is the first 200 of GET
/readyz. Imports are timed in processes of their own, in turn with the starts. Memory is the
resident set, read from /proc (Linux).
"""

import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.results import Options, Row, at_most, figure, folder_on_disk, say
from bench.running_bot import COMPILED, BenchBot
from sandbox.discord import Sandbox

IDLE_S: Final = 5.0
READY_S: Final = 1.2
IMPORT_S: Final = 0.7
IDLE_MB: Final = 100.0
# As bot/__main__.py does it.
IMPORTS: Final = (
    "import gc, os; gc.disable(); import bot.__main__, bot.settings, bot.app; os._exit(0)"
)
WHY_START: Final = (
    "`-X importtime`: SQLAlchemy, aiohttp and discord.py are a third of the imports; aiohttp reads "
    "the system's certificates twice (0.04 s); the bot's own frozen dataclasses, some 400, are a "
    "quarter. discord.py imports its voice whatever one does, which is 4 ms."
)
WHY_MEMORY: Final = (
    "tracemalloc and smaps: 25 MB are shared libraries (cryptography, pydantic, OpenSSL, Python), "
    "30 MB the code of 1,200 modules, most of it SQLAlchemy, discord.py and the bot; what is left "
    "are their classes. Nothing of it grows. 3 MB are rich, which structlog imports where it is "
    "installed: import-linter brings it, and a host that has requirements.txt alone does not. "
    "Tried, each for less than 1 MB: MALLOC_ARENA_MAX, malloc_trim, one store of certificates for "
    "two."
)


@dataclass(frozen=True, slots=True)
class Start:
    """One start: by the clock, in processor time, and what it holds when idle."""

    import_s: float
    import_cpu_s: float
    ready_s: float
    ready_cpu_s: float
    idle_mb: float

    def __str__(self) -> str:
        return (
            f"imports {self.import_s:.2f} s ({self.import_cpu_s:.2f} s of processor time), ready "
            f"after {self.ready_s:.2f} s ({self.ready_cpu_s:.2f} s), {self.idle_mb:.0f} MB"
        )


def import_times() -> tuple[float, float]:
    """What Python takes to start and to import all that the bot needs until ready.

    By the clock and in processor time, in seconds.
    """
    started, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | COMPILED
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, env=environment)  # noqa: S603
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return time.perf_counter() - started, cpu


async def _measure(runs: int) -> Sequence[Start]:
    found: list[Start] = []
    async with Sandbox.start() as sandbox:
        sandbox.add_guild("Studio Kestrel").add_channel("structure")
        with folder_on_disk() as folder:
            bench_bot = BenchBot(sandbox, Path(folder), config="")
            for number in range(runs + 1):
                imported = import_times()
                async with bench_bot.running() as bot:
                    used_s = bot.cpu_s
                    await asyncio.sleep(IDLE_S)
                    found.append(Start(*imported, bot.ready_s, used_s, bot.resident_mb))
                say(f"run {number}: {found[-1]}")
    return found


def rows(options: Options) -> Sequence[Row]:
    """Several starts over one database, imports timed in turn with them."""
    first, *found = asyncio.run(_measure(options.rounds))
    imports = at_most(
        "of it Python's start and imports", [one.import_s for one in found], "s", IMPORT_S, 2
    )
    ready = at_most("start to ready", [one.ready_s for one in found], "s", READY_S, 2)
    import_cpu = figure([one.import_cpu_s for one in found], "s", 2)
    ready_cpu = figure([one.ready_cpu_s for one in found], "s", 2)
    idle_mb = [one.idle_mb for one in found]
    return [
        Row("start to ready, with a new database", f"{first.ready_s:.2f} s"),
        replace(ready, beside=f"processor time: {ready_cpu}", why_short=WHY_START),
        replace(imports, beside=f"processor time: {import_cpu}", why_short=WHY_START),
        at_most("memory when idle", idle_mb, "MB", IDLE_MB, 0, WHY_MEMORY),
    ]
