"""Who shares a comparison with whom, and whose turn it is."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.errors import SpeckleTokenRefused
from bot.fairness import current_tenant
from bot.speckle.comparison import Comparison, Conclusion, ElementKind
from bot.speckle_api.comparisons import Comparisons, VersionContent
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.types import Login

SERVER = "https://speckle.kestrel.example"
DIFFERENT = Comparison(Conclusion.DIFFERENT)
ILSE, MAREN = Login(SERVER, "ilse"), Login(SERVER, "maren")


@dataclass
class Asked:
    """What reached the server, by whose token; it answers when `answers` is set."""

    refuses: str = ""
    finds: Comparison = DIFFERENT
    order: list[tuple[str | None, str]] = field(default_factory=list)
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def compared(
        self, login: Login, _: str, __: VersionContent, after: VersionContent, *___: Any
    ) -> Comparison:
        self.order.append((login.token, after.version_id))
        await self.answers.wait()
        if login.token == self.refuses:
            raise SpeckleTokenRefused(SERVER, "the token is not valid")
        return self.finds


@pytest.fixture
async def comparisons() -> AsyncIterator[Comparisons]:
    async with SpeckleHttp.open([SERVER]) as http:
        yield Comparisons(http)


@pytest.fixture
def asked(comparisons: Comparisons, monkeypatch: pytest.MonkeyPatch) -> Asked:
    server = Asked()
    monkeypatch.setattr(comparisons, "_compared", server.compared)
    return server


def content(number: int) -> VersionContent:
    return VersionContent(f"version{number}", "model", f"object{number}")


async def of(
    comparisons: Comparisons, login: Login, number: int = 1, guild_id: int = 1
) -> Comparison:
    current_tenant.set(guild_id)
    return await comparisons.of(login, "tower", content(0), content(number), within_s=5.0)


async def test_a_token_that_is_refused_refuses_nobody_else(
    comparisons: Comparisons, asked: Asked
) -> None:
    """An account whose own token is fine would count as refused, and its channels pause."""
    asked.refuses = "ilse"
    both = [asyncio.create_task(of(comparisons, one)) for one in (ILSE, MAREN)]
    await asyncio.sleep(0)
    asked.answers.set()
    hers, mine = await asyncio.gather(*both, return_exceptions=True)
    assert isinstance(hers, SpeckleTokenRefused)
    assert mine == DIFFERENT


async def test_what_one_login_found_the_others_are_told(
    comparisons: Comparisons, asked: Asked
) -> None:
    both = [asyncio.create_task(of(comparisons, one)) for one in (ILSE, MAREN)]
    await asyncio.sleep(0)
    asked.answers.set()
    assert await asyncio.gather(*both, of(comparisons, MAREN)) == [DIFFERENT] * 3
    assert await of(comparisons, MAREN) == DIFFERENT
    assert len(asked.order) == 1


async def test_a_guild_with_many_versions_keeps_no_other_waiting(
    comparisons: Comparisons, asked: Asked
) -> None:
    many = [asyncio.create_task(of(comparisons, ILSE, number)) for number in range(1, 7)]
    await asyncio.sleep(0)
    other = asyncio.create_task(of(comparisons, MAREN, 9, guild_id=2))
    await asyncio.sleep(0)
    asked.answers.set()
    await asyncio.gather(other, *many)
    assert ("maren", "version9") in asked.order[:2]


async def test_what_is_too_large_to_be_kept_is_told_and_compared_again(
    comparisons: Comparisons, asked: Asked
) -> None:
    asked.answers.set()
    kinds = (ElementKind("a" * 120, "b" * 120, f"{number}") for number in range(80_000))
    asked.finds = Comparison(Conclusion.DIFFERENT, dict.fromkeys(kinds, 1))
    for _ in range(2):
        assert await of(comparisons, ILSE) is asked.finds
    assert not comparisons.is_kept(SERVER, "tower", content(0), content(1))
    assert len(asked.order) == 2
