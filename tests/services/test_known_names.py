"""Names that a reader knows: asked for once, kept with the account, and shown to nobody else."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bot.errors import (
    SpeckleError,
    SpeckleForbidden,
    SpeckleTokenRefused,
    SpeckleUnavailable,
)
from bot.model import Account, HookKind
from bot.services.access_rules import ReadPermit
from bot.services.known_names import KnownNames, NameLimits
from bot.speckle.events import ProjectNames
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle_api.types import Login
from bot.storage import Storage
from tests.services.accounts_setup import Office, open_office
from tests.services.conftest import KESTREL, MAREN, STRUCTURE, Clock

PROJECT = "a1b2c3d4e5"
LIMITS = NameLimits()
SAID_NOTHING = ProjectNames()
TOWER = ProjectNames({"m1": "structure/level 1"}, {"p1": "Ilse Brandt"}, complete=True)


@dataclass
class Server:
    """What a server says of the names in a project, by the token that it is asked with."""

    names: dict[str | None, ProjectNames | SpeckleError] = field(default_factory=dict)
    asked: list[str | None] = field(default_factory=list)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def project_names(
        self, login: Login, _project_id: str, *, within_s: float | None = None
    ) -> ProjectNames:
        self.asked.append(login.token)
        await self.goes_on.wait()
        answer = self.names.get(login.token, SpeckleForbidden(login.server_url, "no"))
        if isinstance(answer, SpeckleError):
            raise answer
        return answer


@dataclass
class Desk:
    office: Office
    storage: Storage
    clock: Clock
    account: Account
    server: Server

    def names(self, limits: NameLimits = LIMITS) -> KnownNames:
        client: Any = self.server
        return KnownNames(self.storage, client, self.office.lender, now=self.clock, limits=limits)

    def permit(self, account_id: int | None) -> ReadPermit:
        return ReadPermit(1, self.office.server.url, PROJECT, account_id)

    @property
    def token(self) -> str:
        return self.account.tokens.token


@pytest.fixture
async def desk(storage: Storage, clock: Clock) -> AsyncIterator[Desk]:
    """#structure follows a project with Maren's account."""
    async with open_office(storage, clock) as office:
        account = await office.linked()
        hook = await storage.write(
            lambda tx: tx.hooks.create(
                KESTREL, office.server.url, PROJECT, HookKind.OWN, MAREN, STRUCTURE
            )
        )
        await storage.write(
            lambda tx: tx.subscriptions.upsert(
                hook.id, STRUCTURE, SubscriptionOptions(), MAREN, account.id
            )
        )
        server = Server({account.tokens.token: TOWER})
        server.goes_on.set()
        yield Desk(office, storage, clock, account, server)


async def ask(
    known: KnownNames, permit: ReadPermit, *models: str, said: ProjectNames = SAID_NOTHING
) -> ProjectNames:
    return await known.of(permit, models=models, people=(), said=said, within_s=2.0)


async def test_an_account_is_asked_once_and_its_names_outlive_a_restart(desk: Desk) -> None:
    permit = desk.permit(desk.account.id)
    for known in (desk.names(), desk.names()):
        assert await ask(known, permit, "m1") == TOWER
    assert desk.server.asked == [desk.token]


async def test_what_an_account_read_is_given_to_no_other_reader(desk: Desk) -> None:
    known = desk.names()
    assert await ask(known, desk.permit(desk.account.id), "m1") == TOWER
    assert await ask(known, desk.permit(None), "m1") == ProjectNames()
    operator = ReadPermit(1, desk.office.server.url, PROJECT, as_operator=True)
    assert await ask(known, operator, "m1") == ProjectNames()


async def test_a_model_that_was_made_since_the_names_were_read_may_exist(desk: Desk) -> None:
    permit, known = desk.permit(desk.account.id), desk.names()
    assert (await ask(known, permit, "no-such-model")).complete
    desk.clock.forward(seconds=10)
    assert not (await ask(known, permit, "made-since")).complete
    desk.server.names[desk.token] = SpeckleUnavailable("https://speckle.example", "it is away")
    for again in (desk.names(), known):
        assert await ask(again, permit, "made-since") == replace(TOWER, complete=False)
    assert await ask(known, permit, "m1") == TOWER


async def test_what_nobody_knows_is_asked_for_once_a_minute(desk: Desk) -> None:
    permit, known = desk.permit(desk.account.id), desk.names()
    for number in range(20):
        await ask(known, permit, f"made-up-{number}")
    assert desk.server.asked == [desk.token]
    later = desk.names()
    await ask(later, permit, "made-up")
    assert len(desk.server.asked) == 2


async def test_a_refusal_is_not_asked_for_again_at_once(desk: Desk) -> None:
    known = desk.names()
    for number in range(20):
        assert await ask(known, desk.permit(None), f"m{number}") == ProjectNames()
    assert desk.server.asked == [None]


async def test_a_name_that_an_event_said_since_is_asked_for(desk: Desk) -> None:
    permit = desk.permit(desk.account.id)
    await ask(desk.names(), permit, "m1")
    renamed = ProjectNames({"m1": "structure/level 2"}, {}, complete=True)
    desk.server.names[desk.token] = renamed
    assert await ask(desk.names(), permit, "m1") == TOWER
    said = ProjectNames({"m1": "structure/level 2"})
    assert await ask(desk.names(), permit, "m1", said=said) == renamed


async def test_names_are_read_again_after_a_day(desk: Desk) -> None:
    permit = desk.permit(desk.account.id)
    await ask(desk.names(), permit, "m1")
    desk.clock.forward(hours=25)
    desk.server.names[desk.token] = SpeckleForbidden("", "no")
    assert await ask(desk.names(), permit, "m1") == replace(TOWER, complete=False)
    assert len(desk.server.asked) == 2


async def test_many_who_ask_at_once_share_one_answer(desk: Desk) -> None:
    permit, known = desk.permit(desk.account.id), desk.names()
    found = await asyncio.gather(*(ask(known, permit, "m1") for _ in range(8)))
    assert found == [TOWER] * 8
    assert desk.server.asked == [desk.token]


async def test_an_answer_that_comes_late_is_there_for_the_next_event(desk: Desk) -> None:
    desk.server.goes_on.clear()
    permit, known = desk.permit(desk.account.id), desk.names()
    late = await known.of(permit, models=["m1"], people=(), said=SAID_NOTHING, within_s=0.05)
    assert late == ProjectNames()
    desk.server.goes_on.set()
    async with asyncio.timeout(5):
        while await ask(known, permit, "m1") != TOWER:
            continue
    assert desk.server.asked == [desk.token]


async def test_names_of_a_public_project_are_kept_for_a_while_without_an_account(
    desk: Desk,
) -> None:
    desk.server.names[None] = TOWER
    known = desk.names(NameLimits(ask_again_s=0.01))
    assert await ask(known, desk.permit(None), "m1") == TOWER
    await asyncio.sleep(0.02)
    assert await ask(known, desk.permit(None), "m1") == TOWER
    assert desk.server.asked == [None]


async def test_names_are_read_when_a_channel_begins_to_follow(desk: Desk) -> None:
    known = desk.names()
    await known.refresh(desk.account.id, desk.office.server.url, PROJECT)
    assert await ask(desk.names(), desk.permit(desk.account.id), "m1") == TOWER
    assert desk.server.asked == [desk.token]


async def test_a_token_that_is_refused_breaks_nothing(desk: Desk) -> None:
    for one in list(desk.server.names):
        desk.server.names[one] = SpeckleTokenRefused("", "no")
    await desk.names().refresh(desk.account.id, desk.office.server.url, PROJECT)
    assert await ask(desk.names(), desk.permit(desk.account.id), "m1") == ProjectNames()
