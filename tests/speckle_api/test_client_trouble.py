"""Servers that are down, slow, lying or overrun: each question ends in time, and says why."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.errors import (
    SpeckleError,
    SpeckleForbidden,
    SpeckleRejected,
    SpeckleTokenRefused,
    SpeckleUnavailable,
)
from bot.fairness import current_tenant
from bot.speckle_api.circuit_breaker import BreakerLimits, CircuitBreakers
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.transport import THREADS_A_SERVER
from bot.speckle_api.types import Login
from sandbox.speckle import SPECKLE_2_31, Release, SpeckleServer
from tests.speckle_api.conftest import Studio, created
from tests.waiting import until

ROOT = Path(__file__).parents[2]


LIMITS = BreakerLimits(silence_s=0.1)


@pytest.fixture
def release() -> Release:
    """One is enough: what is asked for is how, not what."""
    return SPECKLE_2_31


@pytest.fixture
def studio(studio: Studio) -> Studio:
    studio.limit(LIMITS)
    return studio


async def took_s(question: Any) -> tuple[Any, float]:
    """What a question ends with, and after how long."""
    began = time.monotonic()
    try:
        outcome = await question
    except SpeckleError as error:
        outcome = error
    return outcome, time.monotonic() - began


def facts(studio: Studio, within_s: float = 5.0) -> Any:
    return studio.client.facts.of_version(
        studio.login, studio.tower.id, created(studio.second), within_s=within_s
    )


async def three_silences(studio: Studio) -> None:
    for _ in range(3):
        await took_s(facts(studio, within_s=0.2))
    await asyncio.sleep(0.05)  # the threads' time is up a little later


def create(studio: Studio) -> Any:
    return studio.client.create_webhook(
        studio.login, studio.tower.id, url="http://x/", description="", triggers=[], secret="s"
    )


# ── servers that do not answer ──


async def test_a_hanging_server_is_given_up_in_time(studio: Studio) -> None:
    studio.server.faults.hang = True
    outcome, seconds = await took_s(facts(studio, within_s=0.5))
    assert isinstance(outcome, SpeckleUnavailable)
    assert 0.4 < seconds < 5  # far from the 10 s that a question without a time of its own has


async def test_a_server_that_drips_its_answer_is_given_up_in_time(studio: Studio) -> None:
    studio.server.faults.status, studio.server.faults.drip_s = 200, 0.05
    studio.server.faults.body = json.dumps({"data": {"pad": "x" * 500}})
    outcome, seconds = await took_s(facts(studio, within_s=0.5))
    assert isinstance(outcome, SpeckleUnavailable)
    assert seconds < 5
    # The thread ends as well: it did not read on.
    await until(lambda: "speckle" not in [thread.name for thread in threading.enumerate()], 0.5)


async def test_after_three_silences_a_server_is_left_alone_for_a_while(studio: Studio) -> None:
    studio.server.faults.hang = True
    await three_silences(studio)
    asked = len(studio.server.requests)
    outcome, seconds = await took_s(facts(studio))
    assert isinstance(outcome, SpeckleUnavailable)
    assert outcome.retry_in_s is not None
    assert 10 < outcome.retry_in_s <= LIMITS.rest_s
    assert seconds < 0.1
    assert len(studio.server.requests) == asked


async def test_a_slow_server_is_no_dead_one(studio: Studio) -> None:
    studio.limit(BreakerLimits(silence_s=1.0))
    studio.server.faults.delay_s = 0.3
    for _ in range(LIMITS.failures + 1):
        outcome, _ = await took_s(facts(studio, within_s=0.1))
        assert isinstance(outcome, SpeckleUnavailable)
        await asyncio.sleep(0.3)
    assert (await facts(studio)).previous is not None


async def test_after_the_rest_one_answer_makes_all_well(studio: Studio) -> None:
    studio.limit(replace(LIMITS, rest_s=0.4))
    studio.server.faults.hang = True
    await three_silences(studio)
    studio.server.faults.clear()
    await asyncio.sleep(0.5)
    outcomes = await asyncio.gather(*(took_s(facts(studio)) for _ in range(4)))
    assert any(not isinstance(outcome, SpeckleError) for outcome, _ in outcomes)
    assert (await facts(studio)).previous is not None


async def test_a_read_outlasts_the_rest_if_it_has_the_time(studio: Studio) -> None:
    studio.limit(replace(LIMITS, rest_s=0.3))
    studio.server.faults.hang = True
    await three_silences(studio)
    studio.server.faults.clear()
    assert (await facts(studio)).previous is not None


async def test_a_refusal_is_an_answer(studio: Studio) -> None:
    for _ in range(6):
        with pytest.raises(SpeckleForbidden):
            await studio.client.project(studio.strangers, studio.tower.id)
    assert (await facts(studio)).previous is not None


async def test_a_hanging_server_costs_the_others_nothing() -> None:
    async with SpeckleServer.start() as dead, SpeckleServer.start() as well:
        dead.faults.hang = True
        client = SpeckleClient(servers=[dead.url, well.url], deadline_s=5.0)
        login = Login(well.url, well.token(well.add_user("Ilse Brandt")))
        lost = [
            asyncio.create_task(took_s(client.me(Login(dead.url, "t" * 42), within_s=3.0)))
            for _ in range(THREADS_A_SERVER * 5)
        ]
        await until(lambda: len(dead.requests) == THREADS_A_SERVER)
        _, seconds = await took_s(client.me(login))
        assert seconds < 0.5
        outcomes = await asyncio.gather(*lost)
        assert all(isinstance(outcome, SpeckleUnavailable) for outcome, _ in outcomes)
        assert max(seconds for _, seconds in outcomes) < 3.5
        client.close()


async def test_more_questions_than_threads_are_answered_one_after_the_other(
    studio: Studio,
) -> None:
    studio.server.faults.delay_s = 0.05
    answers = await asyncio.gather(*(facts(studio) for _ in range(THREADS_A_SERVER * 4)))
    assert all(answer.previous is not None for answer in answers)


async def test_those_who_ask_one_server_take_turns(studio: Studio) -> None:
    studio.server.faults.delay_s = 0.05
    answered: list[str] = []

    async def ask(whose: str) -> None:
        current_tenant.set(whose)
        await facts(studio)
        answered.append(whose)

    busy = [asyncio.create_task(ask("busy")) for _ in range(THREADS_A_SERVER * 6)]
    await asyncio.sleep(0)
    await asyncio.gather(*busy, asyncio.create_task(ask("quiet")))
    assert answered.index("quiet") < THREADS_A_SERVER * 3


async def test_a_server_that_is_down_cannot_be_reached(studio: Studio) -> None:
    client = SpeckleClient(servers=["http://127.0.0.1:9"], deadline_s=1.0)
    with pytest.raises(SpeckleUnavailable) as down:
        await client.me(Login("http://127.0.0.1:9", "secret-token"), within_s=1.0)
    assert down.value.reason == "it cannot be reached"
    assert "secret-token" not in str(down.value)


# ── reads are tried again, changes are not ──


async def test_a_read_is_tried_again_and_a_change_is_not(studio: Studio) -> None:
    faults = studio.server.faults
    faults.status, faults.times = 502, 2
    assert (await facts(studio)).previous is not None
    faults.status, faults.times = 502, 2
    with pytest.raises(SpeckleUnavailable) as refused:
        await create(studio)
    assert refused.value.reason == "it answers HTTP 502"
    assert len(studio.server.asked("CreateWebhook")) == 1
    assert studio.server.webhooks(studio.tower) == []


async def test_a_connection_that_is_cut_is_made_again_for_a_read(studio: Studio) -> None:
    studio.server.faults.cut, studio.server.faults.times = True, 1
    assert (await facts(studio)).previous is not None
    studio.server.faults.times = 1
    with pytest.raises(SpeckleUnavailable):
        await create(studio)


async def test_a_busy_server_is_asked_again_when_it_says_so(studio: Studio) -> None:
    studio.server.faults.rate_limit(0.866, times=1)
    outcome, seconds = await took_s(facts(studio))
    assert outcome.previous is not None
    assert 0.8 < seconds < 2.0


async def test_a_busy_server_that_asks_for_more_time_than_there_is_is_told_so(
    studio: Studio,
) -> None:
    studio.server.faults.rate_limit(30.5)
    outcome, seconds = await took_s(facts(studio))
    assert isinstance(outcome, SpeckleUnavailable)
    assert outcome.retry_in_s == 30.5
    assert seconds < 0.5
    outcome, _ = await took_s(create(studio))
    assert outcome.retry_in_s == 30.5


# ── tokens do not travel ──


async def test_a_redirect_is_not_followed(studio: Studio) -> None:
    async with SpeckleServer.start() as other:
        studio.server.faults.redirect_to = f"{other.url}/graphql"
        outcome, _ = await took_s(facts(studio, within_s=1.0))
        assert isinstance(outcome, SpeckleUnavailable)
        assert other.requests == []


async def test_only_the_servers_that_are_named_are_asked(studio: Studio) -> None:
    async with SpeckleServer.start() as other:
        outcome, seconds = await took_s(studio.client.me(Login(other.url, "t" * 42)))
        assert isinstance(outcome, SpeckleUnavailable)
        assert seconds < 0.1
        assert other.requests == []


async def test_each_question_carries_its_own_token_and_no_other(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login x password y\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    tokens = [studio.server.token(studio.ilse) for _ in range(30)]
    logins = [Login(studio.server.url, token) for token in tokens]
    await asyncio.gather(*(studio.client.me(login) for login in logins))
    sent = [asked.authorization for asked in studio.server.requests]
    assert sorted(map(str, sent)) == sorted(f"Bearer {token}" for token in tokens)
    studio.server.requests.clear()
    with pytest.raises(SpeckleForbidden):
        await studio.client.me(Login(studio.server.url))
    assert [asked.authorization for asked in studio.server.requests] == [None]
    assert "Cookie" not in studio.server.requests[0].headers


# ── answers that are none ──

HTML = "<html>I am a firewall, and your token is none of my business</html>"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, HTML),
        (200, ""),
        (200, "[]"),
        (200, "[1]"),
        (200, "5"),
        (200, "null"),
        (200, "{}"),
        (200, '{"data": null}'),
        (200, '{"data": 5}'),
        (200, '{"data": []}'),
        (200, '{"errors": null}'),
        (200, '{"errors": []}'),
        (200, '{"errors": {}}'),
        (200, '{"errors": [5], "data": {}}'),
        (200, '{"errors": [{}]}'),
        (200, '{"errors": [{"message": 5, "extensions": 5}], "data": null}'),
        (200, "[" * 50_000),
        (200, '{"data": {"project": ' + "9" * 10_000 + "}}"),
        (200, b"\xff\xfe\x00"),
        (204, ""),
        (401, '{"error": "who?"}'),
        (403, HTML),
        (403, '{"message": "blocked"}'),
        (404, HTML),
        (500, '{"error": "oh"}'),
        (502, HTML),
        (503, ""),
    ],
    ids=repr,
)
async def test_what_is_no_answer_of_a_speckle_server_is_no_answer(
    studio: Studio, status: int, body: str | bytes
) -> None:
    studio.server.faults.status, studio.server.faults.body = status, body
    studio.server.faults.content_type = "application/json"
    with pytest.raises(SpeckleUnavailable) as odd:
        await facts(studio, within_s=0.3)
    assert "firewall" not in str(odd.value)


async def test_a_refused_token_is_told_from_a_firewall_s_403(studio: Studio) -> None:
    studio.server.faults.status, studio.server.faults.body = 403, HTML
    outcome, _ = await took_s(facts(studio, within_s=0.3))
    assert not isinstance(outcome, SpeckleTokenRefused)
    studio.server.faults.clear()
    assert studio.login.token is not None
    studio.server.revoke(studio.login.token)
    outcome, _ = await took_s(facts(studio))
    assert isinstance(outcome, SpeckleTokenRefused)


async def test_an_endless_answer_is_not_read_to_its_end(studio: Studio) -> None:
    studio.limit(LIMITS, max_answer_bytes=1_000_000)
    studio.server.faults.status = 200
    studio.server.faults.body = '{"data": {"x": "' + "A" * 20_000_000 + '"}}'
    with pytest.raises(SpeckleRejected):
        await studio.client.me(studio.login)


async def test_a_server_of_another_release_rejects_the_question(studio: Studio) -> None:
    studio.server.lose("User.name")
    with pytest.raises(SpeckleRejected):
        await studio.client.me(studio.login)
    assert len(studio.server.requests) == 1


async def test_a_server_without_the_probing_questions_gives_the_benefit_of_the_doubt(
    studio: Studio,
) -> None:
    studio.server.lose("Query.streams")
    scopes = await studio.client.scopes(studio.limited("streams:read"))
    assert "streams:write" not in scopes
    assert "streams:read" in scopes


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"project": None},
        {"project": 5},
        {"project": {"version": [], "commentThreads": {"totalCount": "5"}}},
        {"project": {"version": {"model": {"versions": {"items": [None, 5, {"id": 5}]}}}}},
    ],
    ids=repr,
)
async def test_an_answer_of_another_shape_adds_nothing(studio: Studio, odd: Any) -> None:
    studio.server.faults.status = 200
    studio.server.faults.body = json.dumps({"data": odd})
    found = await facts(studio)
    assert (found.application, found.previous) == (None, None)
    with pytest.raises((SpeckleRejected, SpeckleForbidden)):
        await studio.client.me(studio.login)


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z"])
async def test_times_at_the_ends_of_time_are_none(studio: Studio, at: str) -> None:
    line = {"actionType": "commit_receive", "resourceId": "x", "userId": "u", "time": at}
    lines = [line | {"id": f"line{number}"} for number in range(100)]
    studio.server.faults.status = 200
    studio.server.faults.body = json.dumps({"data": {"stream": {"activity": {"items": lines}}}})
    login, tower = studio.login, studio.tower.id
    assert await studio.client.activity.since(login, tower, after=None, limit=500) == []


# ── the end ──


async def test_after_closing_nothing_is_asked_and_nobody_waits(studio: Studio) -> None:
    studio.server.faults.hang = True
    asking = asyncio.create_task(took_s(facts(studio, within_s=60.0)))
    await until(lambda: studio.server.requests)
    began = time.monotonic()
    studio.client.close()
    assert time.monotonic() - began < 0.05
    outcome, seconds = await took_s(facts(studio))
    assert isinstance(outcome, SpeckleUnavailable)
    assert seconds < 0.1
    asking.cancel()
    await asyncio.wait([asking])


ASKS_AND_ENDS = """
import asyncio, sys
from bot.speckle_api.types import Login
from bot.speckle_api.client import SpeckleClient

async def main(url):
    client = SpeckleClient(servers=[url], deadline_s=60.0)
    login = Login(url, "5a" * 21)
    asked = [asyncio.create_task(client.me(login, within_s=60.0)) for _ in range(8)]
    await asyncio.to_thread(sys.stdin.readline)  # until the server has been asked
    assert not any(task.done() for task in asked)
    client.close()

asyncio.run(main(sys.argv[1]))
print("ended", flush=True)
"""


async def test_a_process_ends_although_a_server_hangs(studio: Studio) -> None:
    studio.server.faults.hang = True
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        ASKS_AND_ENDS,
        studio.server.url,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    await until(lambda: len(studio.server.requests) >= THREADS_A_SERVER)
    async with asyncio.timeout(30):
        out, err = await process.communicate(b"now\n")
    assert (process.returncode, out) == (0, b"ended\n"), err
    assert len(studio.server.requests) == THREADS_A_SERVER


ASKS_ONCE = """
import asyncio, sys
from bot.speckle_api.types import Login
from bot.speckle_api.client import SpeckleClient

assert not any(name in sys.modules for name in ("specklepy", "gql", "graphql", "requests"))

async def main(url, token):
    client = SpeckleClient(servers=[url], deadline_s=20.0)
    print((await client.me(Login(url, token))).name)
    client.close()

asyncio.run(main(*sys.argv[1:]))
from specklepy.logging import metrics
assert not metrics.TRACK
"""


async def test_specklepy_comes_late_writes_nothing_at_home_and_tells_nobody(
    studio: Studio, tmp_path: Path
) -> None:
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    home = {"HOME": str(tmp_path), "SPECKLE_USERDATA_PATH": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        ASKS_ONCE,
        studio.server.url,
        str(studio.login.token),
        cwd=ROOT,
        env=kept | home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), timeout=30)
    assert (process.returncode, out) == (0, b"Ilse Brandt\n"), err
    assert os.listdir(tmp_path) == []
    # One question is one request: specklepy's client asks nothing of its own.
    assert [asked.operation for asked in studio.server.requests] == ["Me"]


def test_breakers_rest_and_try_again() -> None:
    clock = [0.0]
    breakers = CircuitBreakers(now=lambda: clock[0])
    for _ in range(2):
        breakers.failed("a")
    breakers.begin("a")
    breakers.failed("a")
    with pytest.raises(SpeckleUnavailable) as resting:
        breakers.begin("a")
    assert resting.value.retry_in_s == breakers.limits.rest_s
    breakers.begin("b")
    clock[0] = breakers.limits.rest_s
    breakers.check("a")
    breakers.begin("a")  # the trial
    with pytest.raises(SpeckleUnavailable):
        breakers.begin("a")
    breakers.failed("a")
    clock[0] += breakers.limits.rest_s
    breakers.begin("a")
    breakers.answered("a")
    for _ in range(5):
        breakers.begin("a")
