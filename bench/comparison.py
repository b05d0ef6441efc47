"""What finding out what changed costs: time, memory, questions and bytes, by the size of a model.

Two versions of a made model are at a sandbox Speckle server in this process; another process
compares them, as the bot does, with nothing compared before. *A usual change* is one of 4 % of the
elements. Time is by the clock, without what the server took of the processor meanwhile. Memory is
what the process held at most beyond what it held before, read from /proc (Linux), as are bytes,
which are those of both directions with TCP's own. Bundles are compared by a process below that one:
what it held at most is what the kernel says of it, and is returned as it ends.
"""

import asyncio
import json
import resource
import statistics
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from bench.results import ROOT, Options, Row, figure, say
from bot.speckle_api.bundle_comparison import BundleComparison
from bot.speckle_api.bundles import BundleReader
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.object_stream import ObjectStream
from bot.speckle_api.tree_comparison import TreeComparison
from bot.speckle_api.types import Login
from sandbox.speckle import SPECKLE_2_31, SPECKLE_4, SpeckleServer
from sandbox.speckle.made_models import MadeElement, each, made_model
from sandbox.speckle.model_content import Content

USUAL: Final = "a usual change"
WITHIN_S: Final = 60.0  # the server shares this machine's cores
USUAL_S: Final = 3.0
MORE_MB: Final = 60.0
MIB: Final = 1024 * 1024
JUDGED: Final = 10_000

Change = Callable[[MadeElement], MadeElement]


@dataclass(frozen=True, slots=True)
class Case:
    """A model of so many elements in two versions; `change` is made to each element besides."""

    size: int
    what: str = USUAL
    change: Change | None = None
    bundle: bool = False

    @property
    def versions(self) -> tuple[Sequence[MadeElement], Sequence[MadeElement]]:
        """The elements of the two."""
        before, after = made_model(self.size)
        return (before, after) if self.change is None else (before, each(before, self.change))


CASES: Final = (
    Case(1_000),
    Case(JUDGED),
    Case(50_000),
    Case(JUDGED, "every mesh id new", lambda one: replace(one, meshed=1)),
    Case(JUDGED, "every id new", lambda one: replace(one, id=f"new-{one.id}")),
    Case(JUDGED, bundle=True),
    Case(50_000, bundle=True),
)


@dataclass
class Found:
    """What the rounds of a case gave."""

    seconds: list[float] = field(default_factory=list)
    more_mb: list[float] = field(default_factory=list)
    requests: list[float] = field(default_factory=list)
    moved_mb: list[float] = field(default_factory=list)
    below_mb: list[float] = field(default_factory=list)  # held by the process that reads bundles


async def _of_case(case: Case, found: Found) -> None:
    release = SPECKLE_4 if case.bundle else SPECKLE_2_31
    contents = [Content.of(one, bundle=case.bundle) for one in case.versions]
    async with SpeckleServer.start(release=release) as server:
        ilse = server.add_user("Ilse Brandt")
        tower = server.add_project("Kestrel Tower", owner=ilse)
        model = server.add_model(tower, "structure")
        versions = [server.add_version(tower, model, author=ilse) for _ in contents]
        for version, content in zip(versions, contents, strict=True):
            content.give_to(server, version)
        asked = {
            "url": server.url,
            "token": server.token(ilse),
            "project": tower.id,
            "model": model.id,
            "versions": [one.id for one in versions],
            "roots": [] if case.bundle else [one.object_id for one in versions],
        }
        moved, used_s = _bytes_moved(), time.process_time()
        said = await _client(asked)
        found.seconds.append(said["seconds"] - (time.process_time() - used_s))
        found.moved_mb.append((_bytes_moved() - moved) / MIB)
        found.more_mb.append(said["more_mb"])
        found.requests.append(said["requests"])
        found.below_mb.append(said["below_mb"])


async def _client(asked: Mapping[str, Any]) -> dict[str, float]:
    """Have another process compare."""
    words = ("-m", "bench.comparison", json.dumps(asked))
    process = await asyncio.create_subprocess_exec(sys.executable, *words, cwd=ROOT, stdout=PIPE)
    said, _ = await process.communicate()
    if process.returncode:
        raise SystemExit("The comparison failed.")
    answer: dict[str, float] = json.loads(said)
    return answer


def _bytes_moved() -> int:
    """Through the loopback since the machine started."""
    lines = Path("/proc/net/dev").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.strip().startswith("lo:"))


def _forget_most_held() -> None:
    """Start counting the most that was held again."""
    Path("/proc/self/clear_refs").write_text("5", "utf-8")


def _held_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


async def compare(asked: dict[str, Any]) -> dict[str, float]:
    """Compare, and say what it took."""
    async with SpeckleHttp.open([asked["url"]]) as http:
        login, until = Login(asked["url"], asked["token"]), time.monotonic() + WITHIN_S
        stream, project = ObjectStream(http), asked["project"]
        trees = TreeComparison(stream, login, project, until)
        bundles = BundleComparison(http, BundleReader(), login, project, until)
        _forget_most_held()
        held_mb, started = _held_mb("VmRSS"), time.perf_counter()
        if asked["roots"]:
            await trees.of(*asked["roots"])
        else:
            before, after = asked["versions"]
            await bundles.of((asked["model"], before), (asked["model"], after))
        seconds, more_mb = time.perf_counter() - started, _held_mb("VmHWM") - held_mb
    below = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "seconds": seconds,
        "more_mb": more_mb,
        "below_mb": below,
        "requests": stream.requests,
    }


def _rows(case: Case, found: Found) -> Sequence[Row]:
    what = f"{case.size:,} elements{' in bundles' if case.bundle else ''}, {case.what}"
    judged = case.size == JUDGED and case.what == USUAL
    moved = f"{statistics.median(found.moved_mb):.1f} MB"
    below = f"the process that read them: {statistics.median(found.below_mb):.0f} MB"
    beside = moved if case.bundle else f"{found.requests[0]:.0f} questions, {moved}"
    seconds, more_mb = statistics.median(found.seconds), statistics.median(found.more_mb)
    return [
        Row(
            what,
            figure(found.seconds, "s", 1),
            beside,
            to_reach=f"≤ {USUAL_S:g} s" if judged else "",
            reached=seconds <= USUAL_S if judged else None,
        ),
        Row(
            f"{what}: memory beyond before",
            figure(found.more_mb, "MB"),
            below if case.bundle else "",
            to_reach=f"≤ {MORE_MB:g} MB" if judged else "",
            reached=more_mb <= MORE_MB if judged else None,
        ),
    ]


def rows(options: Options) -> Sequence[Row]:
    """Each case, some rounds."""
    made: list[Row] = []
    for case in CASES:
        found = Found()
        for _ in range(options.rounds):
            asyncio.run(_of_case(case, found))
        say(f"{case.size:,} elements, {case.what}: {found}")
        made += _rows(case, found)
    return made


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(compare(json.loads(sys.argv[1])))))
