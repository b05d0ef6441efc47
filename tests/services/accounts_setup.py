"""Linking and lending over a real database and a Speckle server that answers as recorded."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bot.model import Account
from bot.services.linking import AccountLinking, AnswerTo, DetachAccount, LinkWay
from bot.services.personal_data import PersonalDataService
from bot.services.token_lending import TokenLender
from bot.speckle.tokens import SpeckleApp
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.sign_in import SpeckleSignIn
from bot.storage import Storage
from sandbox.speckle import SPECKLE_2_31, Release, SignInApp, SpeckleServer, User
from tests.services.conftest import KEPT, MAREN, PUBLIC_URL, Clock


async def nothing_depends(_account: Account) -> None:
    """Nothing was made with the account."""


@dataclass
class Office:
    """A bot with one Speckle server, where Ilse Brandt has an account and the bot may be an app."""

    storage: Storage
    server: SpeckleServer
    public_url: str | None
    clock: Clock
    client: SpeckleClient
    sign_in_client: SpeckleSignIn
    apps: Mapping[str, SpeckleApp]
    app: SignInApp
    ilse: User
    resumed: list[tuple[Account, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lender = self.new_lender()
        self.linking = self.new_linking()
        self.personal_data = PersonalDataService(self.storage, self.linking, KEPT)

    def new_lender(self, **other: Any) -> TokenLender:
        """Another process's lender, or one with other settings."""
        values: dict[str, Any] = {
            "apps": self.apps,
            "first_server": self.server.url,
            "operator_token": None,
            "served_guilds": (),
        }
        return TokenLender(
            self.storage, self.client, self.sign_in_client, now=self.clock, **(values | other)
        )

    def new_linking(self, detach: DetachAccount = nothing_depends, **other: Any) -> AccountLinking:
        """One with other settings, or another way to detach what depends on an account."""
        values: dict[str, Any] = {"apps": self.apps, "public_url": self.public_url}
        return AccountLinking(
            self.storage,
            self.client,
            self.sign_in_client,
            detach,
            speckle_servers=(self.server.url,),
            now=self.clock,
            **(values | other),
        )

    async def resume(self, account: Account, pending: str, _answer_to: AnswerTo) -> None:
        """What happens to a command that waited for an account."""
        self.resumed.append((account, pending))

    async def start(self, who: int = MAREN, pending: str | None = None) -> LinkWay:
        """/link."""
        return await self.linking.start_link(
            who, self.server.url, pending, person="Maren Oduya (@maren.o)"
        )

    async def sign_in(self, who: int = MAREN, pending: str | None = None) -> tuple[str, str]:
        """/link, and the yes on Speckle: the cookie and the code."""
        way = await self.start(who, pending)
        leaving = await self.linking.begin_sign_in(way.nonce)
        return leaving.cookie, self.approve(leaving.url)

    def approve(self, url: str, who: User | None = None) -> str:
        """Press the yes on Speckle's page."""
        app_id, challenge = url.rsplit("/", 2)[1:]
        return self.server.approve(who or self.ilse, self.server.apps[app_id], challenge)

    async def linked(self, who: int = MAREN) -> Account:
        """An account that was linked by signing in."""
        account = await self.linking.link_by_code(*await self.sign_in(who))
        await self.resume_all()
        return account

    async def resume_all(self) -> None:
        """Continue what waited for accounts that are linked now."""
        for request, account in await self.linking.completed_links():
            await self.linking.resume_pending(request, account, self.resume)

    async def again(self, account: Account) -> Account:
        """The account as it is now."""
        there = await self.storage.read(lambda tx: tx.accounts.get(account.id))
        assert there is not None
        return there


@asynccontextmanager
async def open_office(
    storage: Storage,
    clock: Clock,
    *,
    release: Release = SPECKLE_2_31,
    public_url: str | None = PUBLIC_URL,
    with_app: bool = True,
) -> AsyncIterator[Office]:
    async with (
        SpeckleServer.start(release=release) as server,
        SpeckleHttp.open((server.url,)) as http,
    ):
        app = server.register_app(f"{public_url or 'https://localhost'}/link/callback")
        apps = {server.url: SpeckleApp(server.url, app.id, app.secret)} if with_app else {}
        client = SpeckleClient(servers=(server.url,), deadline_s=5.0)
        office = Office(
            storage,
            server,
            public_url,
            clock,
            client,
            SpeckleSignIn(http),
            apps,
            app,
            server.add_user("Ilse Brandt"),
        )
        try:
            yield office
        finally:
            client.close()
