"""A project's activity list, read over real sockets."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import chain

import pytest

from bot.errors import SpeckleForbidden
from bot.speckle_api.answers import child
from bot.speckle_api.types import Login
from sandbox.speckle import commit_create_data
from tests.conftest import only_2_31
from tests.speckle_api.conftest import Studio


@only_2_31
async def test_the_activity_list_comes_oldest_first_from_a_moment_on(studio: Studio) -> None:
    lines = studio.tower.activity
    seen = await studio.client.activity.since(
        studio.login, studio.tower.id, after=lines[1].time, limit=50
    )
    assert seen is not None
    assert [line.id for line in seen] == [line.id for line in lines[1:]]
    assert (seen[-1].action, seen[-1].resource_id) == ("commit_create", studio.second.id)
    assert {line.info for line in seen} == {None}
    whole = await studio.client.activity.with_info(studio.login, studio.tower.id, seen)
    assert [line.id for line in whole] == [line.id for line in seen]
    assert whole[-1].info == commit_create_data(studio.second)
    newest = await studio.client.activity.since(studio.login, studio.tower.id, after=None, limit=2)
    assert newest is not None
    assert [line.id for line in newest] == [line.id for line in lines[-2:]]


@only_2_31
async def test_a_long_activity_list_is_read_in_pages_and_nothing_is_lost(studio: Studio) -> None:
    moment = studio.server.now()
    for n in range(230):
        studio.server.add_activity(
            studio.tower,
            "commit_create",
            f"{n:010x}",
            "commit",
            studio.ilse,
            {},
            "m",
            at=moment + timedelta(milliseconds=n // 7),  # several in one millisecond
        )
    seen = await studio.client.activity.since(
        studio.login, studio.tower.id, after=moment, limit=500
    )
    assert seen is not None
    assert {line.resource_id for line in seen} == {f"{n:010x}" for n in range(230)}
    assert seen == sorted(seen, key=lambda line: line.at)


@only_2_31
async def test_more_lines_of_one_millisecond_than_a_page_holds_are_all_read(studio: Studio) -> None:
    moment = studio.server.now()
    for n, at_ms in enumerate([0] * 60 + [1] * 250 + [2] * 3):
        at = moment + timedelta(milliseconds=at_ms, microseconds=n)
        studio.server.add_activity(
            studio.tower, "commit_create", f"{n:010x}", "commit", studio.ilse, {"n": n}, "m", at=at
        )
    seen = await studio.client.activity.since(
        studio.login, studio.tower.id, after=moment, limit=500
    )
    assert seen is not None
    found: list[object] = []
    while seen:
        some = await studio.client.activity.with_info(studio.login, studio.tower.id, seen)
        found += [child(one.info, "n") for one in some]
        seen = seen[len(some) :]
    assert found == list(range(313))


def add_lines(studio: Studio, sizes: Sequence[int]) -> None:
    """Comments with screenshots of so many characters, the first two at the same time."""
    moment = studio.server.now()
    for n, size in enumerate(sizes):
        studio.server.add_activity(
            studio.tower,
            "comment_created",
            f"{n:010x}",
            "comment",
            studio.ilse,
            {"input": {"screenshot": "x" * size}},
            "m",
            at=moment + timedelta(seconds=max(1, n)),
        )


async def parts(studio: Studio) -> list[list[int | None]]:
    """How large the pictures of the lines are that come together, None for none."""
    moment = studio.server.now()
    lines = await studio.client.activity.since(
        studio.login, studio.tower.id, after=moment, limit=500
    )
    assert lines
    found: list[list[int | None]] = []
    while lines:
        some = await studio.client.activity.with_info(studio.login, studio.tower.id, lines)
        assert [one.id for one in some] == [one.id for one in lines[: len(some)]]
        pictures = [child(one.info, "input", "screenshot") for one in some]
        found.append([None if picture is None else len(picture) for picture in pictures])
        lines = lines[len(some) :]
    return found


@only_2_31
async def test_lines_that_are_too_large_together_come_one_after_the_other(studio: Studio) -> None:
    studio.limit(max_answer_bytes=100_000)
    add_lines(studio, [10, 10, 60_000, 60_000, 60_000, 30])
    found = await parts(studio)
    assert list(chain(*found)) == [10, 10, 60_000, 60_000, 60_000, 30]
    assert len(found) > 2


@only_2_31
async def test_a_line_that_is_too_large_alone_comes_without_its_picture(studio: Studio) -> None:
    studio.limit(max_answer_bytes=100_000)
    add_lines(studio, [10, 10, 200_000, 30])
    assert list(chain(*await parts(studio))) == [10, 10, None, 30]


@only_2_31
async def test_the_activity_list_needs_an_account(studio: Studio) -> None:
    hall = studio.server.add_project("Public Hall", owner=studio.ilse, visibility="PUBLIC")
    with pytest.raises(SpeckleForbidden):
        await studio.client.activity.since(Login(studio.server.url), hall.id, after=None, limit=5)


@only_2_31
async def test_who_resolved_a_thread_is_found_in_the_list_beside_large_pictures(
    studio: Studio,
) -> None:
    studio.limit(max_answer_bytes=100_000)
    thread = studio.server.add_comment(studio.tower, [studio.first], author=studio.ilse, text="?")
    studio.server.archive(thread, by=studio.ilse)
    add_lines(studio, [90_000, 90_000])
    was = partial(
        studio.client.facts.was_archived,
        studio.login,
        studio.tower.id,
        thread.id,
        studio.server.now(),
        user_id=studio.ilse.id,
    )
    assert await was(archived=True)
    assert not await was(archived=False)
