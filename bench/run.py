"""Runs benches one after the other, and writes what they found into bench/RESULTS.md."""

from collections.abc import Sequence
from importlib import import_module
from typing import Final

from bench.results import RESULTS, Options, say, write_section

# Modules of this folder with `rows(options)`.
JUDGED: Final = (
    "channels",
    "comparison",
    "database_size",
    "latency",
    "listener",
    "live",
    "memory",
    "outage",
    "start",
    "subscriptions",
    "throughput",
)
REPORTED: Final = (
    "backlog",
    "fairness",
    "hostile_port",
    "idle",
    "old_rows",
    "postgresql",
)
NAMES: Final = (*JUDGED, *REPORTED)


def run(names: Sequence[str], rounds: int, *, long: bool) -> int:
    """Run these, or all that are judged; 1 if something that is to be reached was not."""
    options = Options(rounds, long)
    short = False
    for name in names or JUDGED:
        say(f"── {name}")
        module = import_module(f"bench.{name}")
        rows = module.rows(options)
        for row in rows:
            say(str(row))
        write_section(name, module.__doc__, rows)
        short |= any(row.reached is False for row in rows)
    say(f"Written into {RESULTS}.")
    return int(short)
