"""What a bench gives, and how it is written into bench/RESULTS.md.

A bench is a module of this folder with `rows(options)`, which measures both sides in turn and gives
a `Row` for each figure; bench/run.py names it. Its docstring comes above its table.
"""

import inspect
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "bench" / "RESULTS.md"
PACKAGES: Final = ("aiohttp", "discord.py", "SQLAlchemy", "pydantic", "structlog")
INTRODUCTION: Final = """\
# Results

What `python3 run.py bench` measured; each section is written when its bench runs, and names the
machine. Both sides of a comparison ran in turn, in one run. A figure is the median of its rounds,
with the least and the most in brackets. *to reach* is what the project asks of itself; without
one, a figure is only reported.
"""
COLUMNS: Final = "| what | here | beside | ratio | to reach | reached |\n|---|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks of a bench; `long` is for those that have a longer form."""

    rounds: int = 5
    long: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `reached` is None for one that is not judged.

    `why_short` is the reason to print where it is not reached, with what showed it.
    """

    what: str
    here: str
    beside: str = ""
    ratio: str = ""
    to_reach: str = ""
    reached: bool | None = None
    why_short: str = ""

    def __str__(self) -> str:
        reached = {None: "", True: "yes", False: "no"}[self.reached]
        cells = (self.what, self.here, self.beside, self.ratio, self.to_reach, reached)
        return f"| {' | '.join(cells)} |"


def figure(values: Sequence[float], unit: str, digits: int = 0) -> str:
    """The median of some rounds, and the spread: `512 /s (490 to 530)`."""
    median, least, most = statistics.median(values), min(values), max(values)
    spread = f" ({least:,.{digits}f} to {most:,.{digits}f})" if len(values) > 1 else ""
    return f"{median:,.{digits}f} {unit}".rstrip() + spread


def at_most(
    what: str, values: Sequence[float], unit: str, limit: float, digits: int, why_short: str = ""
) -> Row:
    """A row whose median is to be this or less."""
    return Row(
        what,
        figure(values, unit, digits),
        to_reach=f"≤ {limit:g} {unit}",
        reached=statistics.median(values) <= limit,
        why_short=why_short,
    )


def say(text: str) -> None:
    """Print a line of progress."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def folder_on_disk() -> tempfile.TemporaryDirectory[str]:
    """A folder for a database on the disk of the checkout, as /tmp may be memory, without syncs."""
    return tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT)


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has used, by itself and for its calls (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write_section(name: str, docstring: str | None, rows: Sequence[Row]) -> None:
    """Replace the bench's section of RESULTS.md, or add one."""
    text = RESULTS.read_text("utf-8") if RESULTS.exists() else INTRODUCTION
    RESULTS.write_text(with_section(text, name, _section(docstring, rows)), "utf-8")


def with_section(page: str, name: str, section: str) -> str:
    """The page with this section under its name; the others as they are, by name."""
    beginning, *others = page.split("\n## ")
    sections = dict(other.split("\n", 1) for other in others)
    sections[name] = f"\n{section.strip()}\n"
    return "\n## ".join([beginning, *(f"{one}\n{sections[one]}" for one in sorted(sections))])


def _section(docstring: str | None, rows: Sequence[Row]) -> str:
    what_it_does = inspect.cleandoc(docstring or "")
    short = [row for row in rows if row.reached is False and row.why_short]
    reasons = [f"Short, {row.what}: {row.why_short}" for row in short]
    table = "\n".join([COLUMNS, *map(str, rows)])
    return "\n\n".join([what_it_does, table, *reasons, _machine()])


def _machine() -> str:
    """Where and with what it was measured, and what else the machine did."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {_commit()}, {_processor()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end; "
        f"{platform.system()} {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}."
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)  # noqa: S603
    return done.stdout.strip() or "unknown"
