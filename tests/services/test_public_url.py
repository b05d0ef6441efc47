"""PUBLIC_URL as a Speckle server would see it."""

import pytest

from bot.services.public_url import ProbeProblem, ProbeResult, PublicUrlProbe
from tests.services.speckle import INSTANCE, answering

PUBLIC_SPECKLE = "https://192.0.46.8"  # an address of the open internet; nobody calls it
LOCAL_SPECKLE = "http://127.0.0.1:3000"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:8003",
        "https://10.1.2.3",
        "https://192.168.1.9/bot",
        "https://[::1]",
        "https://[fd00::1]",
        "https://169.254.10.10",
        "https://localhost",
        "https://nas",
        "https://bot.local",
        "https://bot.internal.",
    ],
)
async def test_a_private_address_does_for_a_private_speckle_server_only(url: str) -> None:
    reached = await PublicUrlProbe(url, INSTANCE).check(PUBLIC_SPECKLE)
    assert reached.problem is ProbeProblem.PRIVATE
    assert not reached.local_speckle


async def test_a_public_speckle_server_needs_https() -> None:
    reached = await PublicUrlProbe("http://192.0.46.9", INSTANCE).check(PUBLIC_SPECKLE)
    assert reached.problem is ProbeProblem.NOT_HTTPS


async def test_beside_a_private_speckle_server_plain_http_does_and_the_setting_is_named() -> None:
    async with answering(INSTANCE) as url:
        assert await PublicUrlProbe(url, INSTANCE).check(LOCAL_SPECKLE) == ProbeResult(
            local_speckle=True, local_bot=True
        )


@pytest.mark.parametrize(
    ("text", "status", "problem"),
    [
        (INSTANCE, 200, None),
        (f"{INSTANCE}\n", 200, None),
        ("another", 200, ProbeProblem.NOT_THIS_BOT),
        ("", 404, ProbeProblem.NOT_THIS_BOT),
        (INSTANCE + "0", 200, ProbeProblem.NOT_THIS_BOT),
        ("x" * 100_000, 200, ProbeProblem.NOT_THIS_BOT),
        ("", 302, ProbeProblem.REDIRECTS),
        ("", 308, ProbeProblem.REDIRECTS),
    ],
)
async def test_it_has_to_lead_to_this_very_bot(
    text: str, status: int, problem: ProbeProblem | None
) -> None:
    async with answering(text, status, Location="https://elsewhere.example/x?y=z") as url:
        reached = await PublicUrlProbe(url, INSTANCE).check(LOCAL_SPECKLE)
    assert reached.problem is problem
    if problem is ProbeProblem.REDIRECTS:
        assert reached.detail == "https://elsewhere.example"


async def test_nothing_there_is_no_answer() -> None:
    reached = await PublicUrlProbe("http://127.0.0.1:9", INSTANCE).check(LOCAL_SPECKLE)
    assert reached.problem is ProbeProblem.NO_ANSWER
    assert (
        await PublicUrlProbe(None, INSTANCE).check(LOCAL_SPECKLE)
    ).problem is ProbeProblem.MISSING
