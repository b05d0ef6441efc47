"""What a quiet bot costs: processor time and wake-ups, in one Discord server and in many.

The bot runs as a process of its own over an SQLite file, against the sandbox Discord in this one,
and nothing happens. A wake-up is a thread that waited and went on, read from /proc (Linux). The
sandbox's heartbeats are as far apart as Discord's. What is left of it are the workers, which look
every 2 s, at the same moment, whether another process wrote something for them.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.results import Options, Row, folder_on_disk
from bench.running_bot import BenchBot
from sandbox.discord import Sandbox

GUILDS: Final = (1, 200)
SETTLE_S: Final = 10.0
QUIET_S: Final = 30.0
WAITED: Final = "voluntary_ctxt_switches:"


def _wake_ups(pid: int) -> int:
    """How often threads of a process went on after they had waited."""
    files = Path(f"/proc/{pid}/task").glob("*/status")
    lines = [line for file in files for line in file.read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith(WAITED))


async def _quiet(guilds: int) -> Row:
    async with Sandbox.start() as sandbox:
        for number in range(guilds):
            sandbox.add_guild(f"Studio {number}").add_channel("structure")
        with folder_on_disk() as folder:
            async with BenchBot(sandbox, Path(folder), config="").running() as bot:
                await asyncio.sleep(SETTLE_S)
                used_s, woken = bot.cpu_s, _wake_ups(bot.pid)
                await asyncio.sleep(QUIET_S)
                share = (bot.cpu_s - used_s) / QUIET_S
                often = (_wake_ups(bot.pid) - woken) / QUIET_S
                return Row(
                    f"quiet, in {guilds} Discord servers",
                    f"{share:.2%} of a core",
                    f"{often:.1f} wake-ups/s, {bot.resident_mb:.0f} MB",
                )


def rows(_: Options) -> Sequence[Row]:
    """One bot after the other, so that neither waits for the processor."""
    return [asyncio.run(_quiet(guilds)) for guilds in GUILDS]
