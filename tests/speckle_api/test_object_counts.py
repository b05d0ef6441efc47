"""How many objects a version has: of trees, as a 2.31 server has them, and of bundles."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bot.speckle.events import ModelRef
from bot.speckle.facts import VersionFacts
from bot.speckle_api.bundles import BundleReader
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.object_counts import CountLimits, ObjectCounts
from bot.speckle_api.types import Login
from sandbox.speckle import SPECKLE_2_31, SPECKLE_4, Release, SpeckleServer, Version
from tests.speckle_api.tables import table_of

WALLS = Path(__file__).parents[1] / "fixtures/speckle/bundle/ab12cd34ef.eav.objects.parquet"
STREAM = "/api/v2/projects/"


@dataclass
class Yard:
    """Ilse's private project on a server, with a model."""

    server: SpeckleServer
    http: SpeckleHttp
    counts: ObjectCounts = field(init=False)

    def __post_init__(self) -> None:
        self.ilse = self.server.add_user("Ilse Brandt")
        self.tower = self.server.add_project("Kestrel Tower", owner=self.ilse)
        self.model = self.server.add_model(self.tower, "structure")
        self.login = Login(self.server.url, self.server.token(self.ilse))
        self.counts = ObjectCounts(self.http)

    def version(self, objects: int = 20, chunks: int = 0) -> Version:
        """A version with so many objects, and parts of lists."""
        return self.server.add_version(
            self.tower, self.model, object_count=objects, data_chunks=chunks
        )

    def bundle(self, content: bytes, name: str = "ab12cd34ef.eav.objects.parquet") -> Version:
        """A version that is a bundle with this file."""
        version = self.version()
        self.server.put_artifact(version, name, content)
        return version

    async def count(
        self, version: Version, login: Login | None = None, within_s: float = 10.0
    ) -> int | None:
        """What is counted."""
        facts = VersionFacts(
            object_id=version.object_id,
            bundle=version.object_id.startswith("bundle."),
            model=ModelRef(version.model.id, version.model.name),
        )
        return await self.counts.of_version(
            login or self.login, self.tower.id, version.id, facts, within_s=within_s
        )

    def asked(self, end: str) -> int:
        """How many requests there were whose path ends so."""
        return sum(one.path.endswith(end) for one in self.server.requests)


async def opened(release: Release) -> AsyncIterator[Yard]:
    async with (
        SpeckleServer.start(release=release) as server,
        SpeckleHttp.open([server.url]) as http,
    ):
        yield Yard(server, http)


@pytest.fixture
async def trees() -> AsyncIterator[Yard]:
    async for yard in opened(SPECKLE_2_31):
        yield yard


@pytest.fixture
async def bundles() -> AsyncIterator[Yard]:
    async for yard in opened(SPECKLE_4):
        yield yard


# ── trees ──


async def test_parts_of_lists_are_no_objects(trees: Yard) -> None:
    assert await trees.count(trees.version(objects=20, chunks=2)) == 20
    assert await trees.count(trees.version(objects=0)) == 0


async def test_many_objects_are_asked_about_in_parts(trees: Yard) -> None:
    assert await trees.count(trees.version(objects=12_000, chunks=1)) == 12_000
    assert trees.asked("/object-stream") == 1 + 3


async def test_of_too_many_objects_none_is_asked_about(trees: Yard) -> None:
    trees.counts = ObjectCounts(trees.http, limits=CountLimits(objects=30))
    assert await trees.count(trees.version(objects=30)) == 30
    trees.server.requests.clear()
    assert await trees.count(trees.version(objects=30, chunks=1)) is None
    assert trees.asked("/object-stream") == 1


async def test_a_server_that_leaves_an_object_out_gives_no_number(trees: Yard) -> None:
    version = trees.version(objects=3)
    assert await trees.count(version) == 3
    trees.tower.lost.add(next(iter(trees.tower.objects[version.object_id]["__closure"])))
    assert await trees.count(version) is None


async def test_a_root_that_does_not_say_what_is_below_it_has_no_number(trees: Yard) -> None:
    version = trees.version()
    trees.tower.objects[version.object_id] = {"speckle_type": "Base", "__closure": None}
    assert await trees.count(version) is None


LINE = "0" * 32 + "\t"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, "<!DOCTYPE html>"),  # a server before 2.26.2
        (200, "<!DOCTYPE html>"),
        (200, ""),
        (200, LINE),
        (200, LINE + "[]"),
        (200, LINE + "{}"),
        (200, LINE + "[" * 100_000),
        (200, LINE + '{"__closure": [1, 2]}'),
        (200, LINE + '{"__closure": {"x": 1}}'),
        (200, LINE + '{"__closure": {"\\ud800": 1}}'),
        (200, "\xff\t{}"),
        (400, "{}"),
        (403, "{}"),
        (429, "{}"),
        (500, ""),
    ],
)
async def test_what_is_no_list_of_objects_gives_no_number(
    trees: Yard, status: int, body: str
) -> None:
    version = trees.version()
    version.object_id = "0" * 32
    trees.server.faults.status, trees.server.faults.body = status, body.encode("latin-1")
    assert await trees.count(version) is None


async def test_what_a_person_may_not_read_is_not_counted(trees: Yard) -> None:
    version = trees.version()
    bruno = Login(trees.server.url, trees.server.token(trees.server.add_user("Bruno")))
    assert await trees.count(version, bruno) is None
    assert await trees.count(version, Login(trees.server.url)) is None
    assert await trees.count(version, Login(trees.server.url, "5a" * 21)) is None
    trees.tower.visibility = "PUBLIC"
    assert await trees.count(version, Login(trees.server.url)) == 20


@pytest.mark.parametrize("object_id", [None, "", "../x", "0" * 31, "a.b", "bundle.a.b.c"])
async def test_what_is_no_object_s_id_asks_nothing(trees: Yard, object_id: str | None) -> None:
    facts = VersionFacts(object_id=object_id)
    counted = await trees.counts.of_version(trees.login, trees.tower.id, "v", facts, within_s=5.0)
    assert counted is None
    assert trees.server.requests == []


async def test_an_answer_without_end_is_not_read(trees: Yard) -> None:
    trees.counts = ObjectCounts(trees.http, limits=CountLimits(closure_bytes=10_000))
    assert await trees.count(trees.version(objects=1_000)) is None


async def test_counting_takes_no_longer_than_it_may_and_neither_does_waiting_for_it(
    trees: Yard,
) -> None:
    trees.server.faults.hang, trees.server.faults.path = True, STREAM
    version = trees.version()
    # The first outlasts the others, so that none of them gets its turn in the end.
    four = (trees.count(version, within_s=within_s) for within_s in (2.0, 0.3, 0.3, 0.3))
    counts = await asyncio.gather(*four, return_exceptions=True)
    assert [type(one) for one in counts] == [TimeoutError] * 4
    assert trees.asked("object-stream") == 1, "the others waited for their turn"


# ── bundles ──


async def test_the_objects_of_a_bundle_that_specklepy_wrote_are_counted(bundles: Yard) -> None:
    version = bundles.bundle(WALLS.read_bytes())
    bundles.server.put_artifact(version, "ab12cd34ef.eav.eav.parquet", b"never asked for")
    bundles.server.put_artifact(version, "ab12cd34ef.geometries.parquet", b"nor this")
    assert await bundles.count(version) == 24
    assert bundles.asked("/artifacts") == 1
    assert len(bundles.server.store.requests) == 1


async def test_nothing_of_the_person_goes_to_the_store(bundles: Yard) -> None:
    assert await bundles.count(bundles.bundle(WALLS.read_bytes())) == 24
    [headers] = bundles.server.store.requests
    assert not {name.lower() for name in headers} & {"authorization", "cookie", "referer"}
    assert str(bundles.login.token) not in str(headers)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("eav.objects", 24),
        ("eav.objects.parquet", 24),
        ("v.eav.objects", 24),
        ("../../etc/cron.d/v.eav.objects.parquet", 24),  # files get names of our own
        ("v.eav.objects.parquet.viewer.js", None),
        ("veav.objects", None),
        ("v.eav.eav.parquet", None),
    ],
)
async def test_the_object_table_is_found_by_its_name(
    bundles: Yard, name: str, count: int | None
) -> None:
    assert await bundles.count(bundles.bundle(WALLS.read_bytes(), name)) == count


async def test_of_two_object_tables_nobody_can_say_which_counts(bundles: Yard) -> None:
    version = bundles.bundle(WALLS.read_bytes())
    bundles.server.put_artifact(version, "w.eav.objects.parquet", table_of(3))
    assert await bundles.count(version) is None


async def test_a_version_without_artifacts_has_no_number(bundles: Yard) -> None:
    assert await bundles.count(bundles.version()) is None
    assert bundles.asked("/artifacts") == 1


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        "[]",
        "null",
        '{"files": null}',
        '{"files": {"name": "eav.objects"}}',
        '{"files": [null, 5, []]}',
        '{"files": [{"name": "eav.objects"}]}',
        '{"files": [{"name": 5, "url": 5}]}',
        '{"files": [{"name": "eav.objects", "url": ""}]}',
        '{"files": [{"name": "eav.objects", "url": "/relative"}]}',
        '{"files": [{"name": "eav.objects", "url": "file:///etc/passwd"}]}',
        '{"files": [{"name": "eav.objects", "url": "https://[::1"}]}',
        '{"files": [{"name": "eav.objects", "url": "https://a:99999/"}]}',
        '{"files": [{"name": "eav.objects", "url": "https://\\u0000/"}]}',
        '{"files": [{"name": "eav.objects", "url": "http://name:word@127.0.0.1:9/"}]}',
    ],
)
async def test_what_is_no_list_of_artifacts_gives_no_number(bundles: Yard, body: str) -> None:
    version = bundles.bundle(WALLS.read_bytes())
    bundles.server.faults.status, bundles.server.faults.body = 200, body
    assert await bundles.count(version) is None
    assert bundles.server.store.requests == []


def hangs(yard: Yard) -> None:
    yard.server.store.hang = True


def never_ends(yard: Yard) -> None:
    yard.server.store.endless = True


def points_elsewhere(yard: Yard) -> None:
    yard.server.store.redirect_to = f"{yard.server.url}/redirected"


@pytest.mark.parametrize("spoil", [hangs, never_ends])
async def test_a_store_that_takes_its_time_is_left_in_time(
    bundles: Yard, spoil: Callable[[Yard], None]
) -> None:
    spoil(bundles)
    bundles.counts = ObjectCounts(bundles.http, limits=CountLimits(table_bytes=10**12))
    with pytest.raises(TimeoutError):
        await bundles.count(bundles.bundle(WALLS.read_bytes()), within_s=0.5)


async def test_a_store_without_end_is_read_up_to_a_size(bundles: Yard) -> None:
    never_ends(bundles)
    bundles.counts = ObjectCounts(bundles.http, limits=CountLimits(table_bytes=10_000))
    assert await bundles.count(bundles.bundle(WALLS.read_bytes()), within_s=30.0) is None


async def test_a_store_that_points_elsewhere_is_not_followed(bundles: Yard) -> None:
    points_elsewhere(bundles)
    assert await bundles.count(bundles.bundle(WALLS.read_bytes())) is None
    assert bundles.asked("/redirected") == 0


async def test_a_table_that_is_too_large_is_not_read(bundles: Yard) -> None:
    bundles.counts = ObjectCounts(bundles.http, limits=CountLimits(table_bytes=100))
    assert await bundles.count(bundles.bundle(WALLS.read_bytes())) is None


async def test_a_table_that_claims_more_rows_than_it_can_hold_is_not_believed(
    bundles: Yard,
) -> None:
    bundles.counts = ObjectCounts(bundles.http, limits=CountLimits(rows=1_000))
    assert await bundles.count(bundles.bundle(table_of(1_000))) == 1_000
    assert await bundles.count(bundles.bundle(table_of(1_001))) is None


async def test_without_duckdb_bundles_have_no_number_and_nothing_is_asked(bundles: Yard) -> None:
    bundles.counts = ObjectCounts(bundles.http, BundleReader(can_read=False))
    assert await bundles.count(bundles.bundle(WALLS.read_bytes())) is None
    assert bundles.server.requests == []


async def test_what_a_person_may_not_read_of_a_bundle_is_not_counted(bundles: Yard) -> None:
    version = bundles.bundle(WALLS.read_bytes())
    assert await bundles.count(version, replace(bundles.login, token=None)) is None
    assert bundles.server.store.requests == []
