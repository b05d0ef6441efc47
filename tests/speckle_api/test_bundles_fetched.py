"""Two bundles are fetched from a store and compared by a process of its own, over real sockets."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from bot.errors import SpeckleTokenRefused, SpeckleUnavailable
from bot.speckle.comparison import Comparison, Conclusion, NotCompared, WhyNotCompared
from bot.speckle_api.bundle_comparison import BundleComparison, BundleLimits
from bot.speckle_api.bundles import BundleReader
from bot.speckle_api.comparisons import Comparisons, VersionContent
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.types import Login
from sandbox.speckle import SPECKLE_4, SpeckleServer, Version
from sandbox.speckle.made_bundles import as_bundle, put_bundle
from sandbox.speckle.made_models import MadeElement, made_model
from tests.waiting import until

LIMITS = BundleLimits()
TABLES = 7  # of each version
SMALL = made_model(40)


@dataclass
class Yard:
    """Ilse's private project on a server, with a model."""

    server: SpeckleServer
    http: SpeckleHttp
    reader: BundleReader = field(default_factory=BundleReader)

    def __post_init__(self) -> None:
        self.ilse = self.server.add_user("Ilse Brandt")
        self.tower = self.server.add_project("Kestrel Tower", owner=self.ilse)
        self.model = self.server.add_model(self.tower, "structure")
        self.login = Login(self.server.url, self.server.token(self.ilse))
        self.fetched = 0

    def version(self, elements: Sequence[MadeElement] | None = None) -> Version:
        """A version that is a bundle of these elements."""
        version = self.server.add_version(self.tower, self.model)
        files = {} if elements is None else as_bundle(elements)
        return put_bundle(self.server, version, files)

    async def compare(
        self,
        before: Version,
        after: Version,
        *,
        limits: BundleLimits = LIMITS,
        within_s: float = 60.0,
    ) -> Comparison:
        """What differs."""
        bundles = BundleComparison(
            self.http, self.reader, self.login, self.tower.id, monotonic() + within_s, limits
        )
        try:
            return await bundles.of((self.model.id, before.id), (self.model.id, after.id))
        finally:
            self.fetched = bundles.fetched

    async def refusal(self, before: Version, after: Version, **more: Any) -> WhyNotCompared:
        """Why they are not compared."""
        with pytest.raises(NotCompared) as refused:
            await self.compare(before, after, **more)
        return refused.value.why

    def content(self, version: Version) -> VersionContent:
        """What a version consists of, as the bot knows it."""
        return VersionContent(version.id, version.model.id, None, bundle=True)

    def both(self) -> tuple[Version, Version]:
        """Two versions of a small model."""
        return self.version(SMALL[0]), self.version(SMALL[1])


@pytest.fixture
async def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Yard]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with (
        SpeckleServer.start(release=SPECKLE_4) as server,
        SpeckleHttp.open([server.url]) as http,
    ):
        yield Yard(server, http)
    assert os.listdir(tmp_path) == [], "tables were left behind"


async def test_fifty_thousand_elements(yard: Yard) -> None:
    before, after = map(yard.version, made_model(50_000))
    found = await yard.compare(before, after)
    assert (found.total_added, found.total_removed) == (625, 542)
    assert found.properties == (("Comments", 1_237), ("category", 226))
    assert (found.before, found.after, found.checked.all) == (52_500, 52_583, True)
    assert yard.fetched < 4_000_000


async def test_only_what_is_compared_is_fetched_and_nothing_of_the_person_goes_along(
    yard: Yard,
) -> None:
    both = yard.both()
    for version in both:
        for name in ("eav.types", "eav.model", "geometries", "envelope.meta"):
            yard.server.put_artifact(version, f"{version.id}.{name}.parquet", b"never asked for")
    found = await Comparisons(yard.http, bundles=yard.reader).of(
        yard.login, yard.tower.id, *map(yard.content, both), within_s=60.0
    )
    assert (found.conclusion, found.total_changed) == (Conclusion.DIFFERENT, 3)
    assert len(yard.server.store.requests) == 2 * TABLES
    for headers in yard.server.store.requests:
        assert not {name.lower() for name in headers} & {"authorization", "cookie", "referer"}
        assert str(yard.login.token) not in str(headers)


async def test_a_version_and_itself_are_the_same_without_a_request(yard: Yard) -> None:
    version = yard.version()
    assert (await yard.compare(version, version)).conclusion is Conclusion.IDENTICAL
    assert yard.server.requests == []


async def test_without_duckdb_nothing_is_asked(yard: Yard) -> None:
    yard.reader = BundleReader(can_read=False)
    assert await yard.refusal(yard.version(), yard.version()) is WhyNotCompared.NO_READER
    assert yard.server.requests == []


async def test_a_tree_and_a_bundle_are_not_compared(yard: Yard) -> None:
    bundle, other = map(yard.content, (yard.version(), yard.version()))
    tree = replace(other, object_id="0" * 32, bundle=False)
    with pytest.raises(NotCompared) as refused:
        await Comparisons(yard.http).of(yard.login, yard.tower.id, tree, bundle, within_s=5.0)
    assert refused.value.why is WhyNotCompared.MIXED


# ── files that are not there, or not as they should be ────────────────────────────────────────


def is_lost(yard: Yard, version: Version) -> None:
    yard.server.store.files.clear()


def has_no_list(yard: Yard, version: Version) -> None:
    version.artifacts.clear()


def has_no_paths(yard: Yard, version: Version) -> None:
    version.artifacts[:] = [one for one in version.artifacts if "eav.paths" not in one[0]]


def points_elsewhere(yard: Yard, version: Version) -> None:
    yard.server.store.redirect_to = f"{yard.server.url}/redirected"


def has_a_table_twice(yard: Yard, version: Version) -> None:
    yard.server.put_artifact(version, "other.eav.paths.parquet", b"x")


def is_endless(yard: Yard, version: Version) -> None:
    yard.server.store.endless = True


def is_no_list(yard: Yard, version: Version) -> None:
    yard.server.faults.status, yard.server.faults.body = 200, '{"files": [null, 5, {"name": []}]}'


SPOILT: list[tuple[Callable[[Yard, Version], None], WhyNotCompared]] = [
    (is_lost, WhyNotCompared.INCOMPLETE),
    (has_no_list, WhyNotCompared.INCOMPLETE),
    (has_no_paths, WhyNotCompared.INCOMPLETE),
    (is_no_list, WhyNotCompared.INCOMPLETE),
    (points_elsewhere, WhyNotCompared.INCOMPLETE),
    (has_a_table_twice, WhyNotCompared.UNREADABLE),
    (is_endless, WhyNotCompared.TOO_LARGE),
]


@pytest.mark.parametrize(("spoil", "why"), SPOILT)
async def test_files_that_are_not_there_or_too_large(
    yard: Yard, spoil: Callable[[Yard, Version], None], why: WhyNotCompared
) -> None:
    before, after = yard.both()
    spoil(yard, after)
    limits = BundleLimits(table_bytes=100_000)
    assert await yard.refusal(before, after, limits=limits) is why
    assert all("/redirected" not in one.path for one in yard.server.requests)


async def test_all_tables_of_a_version_together_have_a_limit(yard: Yard) -> None:
    whole = sum(len(content) for content in as_bundle(SMALL[0]).values())
    limits = BundleLimits(version_bytes=whole - 1_000)
    assert await yard.refusal(*yard.both(), limits=limits) is WhyNotCompared.TOO_LARGE


async def test_what_the_process_cannot_read_is_unreadable(yard: Yard) -> None:
    before, after = yard.both()
    yard.server.store.files = dict.fromkeys(yard.server.store.files, b"PAR1")
    assert await yard.refusal(before, after) is WhyNotCompared.UNREADABLE


# ── servers that are old, down or slow ────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_is_down_is_asked_again_later(yard: Yard, status: int) -> None:
    yard.server.faults.status = status
    with pytest.raises(SpeckleUnavailable):
        await yard.compare(yard.version(), yard.version())


async def test_what_a_person_may_not_read_is_not_compared(yard: Yard) -> None:
    both = yard.both()
    yard.login = Login(yard.server.url, "5a" * 21)
    with pytest.raises((SpeckleTokenRefused, SpeckleUnavailable)):
        await yard.compare(*both)
    assert yard.server.store.requests == []


async def test_a_store_that_hangs_ends_in_time(yard: Yard) -> None:
    both = yard.both()
    yard.server.store.hang = True
    assert await yard.refusal(*both, within_s=0.3) is WhyNotCompared.TOO_SLOW


def endless_program(folder: Path) -> Path:
    program = folder / "endless.py"
    program.write_text(
        "import os, pathlib, sys, time\n"
        "there = pathlib.Path(__file__).with_name(f'{os.getpid()}.pid')\n"
        "there.write_text(' '.join(sorted(os.listdir(sys.argv[1]))))\n"
        "time.sleep(600)\n"
    )
    return program


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_process_that_is_too_slow_is_ended(
    yard: Yard, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("program")
    yard.reader = BundleReader(can_read=True, program=endless_program(folder))
    assert await yard.refusal(*yard.both(), within_s=2.0) is WhyNotCompared.TOO_SLOW
    assert not any(is_running(int(one.stem)) for one in folder.glob("*.pid"))


async def test_when_the_bot_stops_the_process_ends_and_its_tables_go(
    yard: Yard, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("program")
    reader = BundleReader(can_read=True, program=endless_program(folder))
    comparisons = Comparisons(yard.http, bundles=reader)
    asking = asyncio.create_task(
        comparisons.of(yard.login, yard.tower.id, *map(yard.content, yard.both()), within_s=60.0)
    )
    await until(lambda: any(one.read_text() for one in folder.glob("*.pid")))
    (process,) = folder.glob("*.pid")
    assert len(process.read_text().split()) == 2 * TABLES
    comparisons.close()
    await asyncio.wait([asking])
    assert asking.cancelled()
    assert not is_running(int(process.stem))
