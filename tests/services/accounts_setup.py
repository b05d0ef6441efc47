"""AccountService over a real database and a Speckle server that answers as recorded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bot.model import Account
from bot.services.accounts import AccountService, AnswerTo, PasteToken, SignIn
from bot.speckle.tokens import SpeckleApp
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.sign_in import SpeckleSignIn
from bot.storage import Storage
from sandbox.speckle import SignInApp, SpeckleServer, User
from tests.services.conftest import MAREN, PUBLIC_URL, Clock

REDIRECT = f"{PUBLIC_URL}/link/callback"


@dataclass
class Office:
    """A bot with one Speckle server, where Ilse Brandt has an account and the bot may be an app."""

    storage: Storage
    server: SpeckleServer
    service: AccountService
    gateway: SpeckleClient
    app: SignInApp
    ilse: User
    went_on: list[tuple[Account, str]] = field(default_factory=list)

    async def start(self, who: int = MAREN, pending: str | None = None) -> SignIn | PasteToken:
        """/link."""
        return await self.service.start_link(
            who, self.server.url, pending, person="Maren Oduya (@maren.o)"
        )

    async def sign_in(self, who: int = MAREN, pending: str | None = None) -> tuple[str, str]:
        """/link, and the yes on Speckle: the cookie and the code."""
        way = await self.start(who, pending)
        leaving = await self.service.begin_sign_in(way.nonce)
        return leaving.cookie, self.approve(leaving.url)

    def approve(self, url: str, who: User | None = None) -> str:
        """Press the yes on Speckle's page."""
        app_id, challenge = url.rsplit("/", 2)[1:]
        return self.server.approve(who or self.ilse, self.server.apps[app_id], challenge)

    async def linked(self, who: int = MAREN) -> Account:
        """An account that was linked by signing in."""
        account = await self.service.link_by_code(*await self.sign_in(who))
        for request, there in await self.service.completed_links():
            await self.service.resume_pending(request, there)
        return account

    async def again(self, account: Account) -> Account:
        """The account as it stands now."""
        there = await self.storage.read(lambda tx: tx.accounts.get(account.id))
        assert there is not None
        return there

    def service_like(self, storage: Storage | None = None, **other: Any) -> AccountService:
        """A second service: another process, or other settings."""
        values = SETTINGS | {"speckle_servers": (self.server.url,), "now": self.service._now}
        values["apps"] = self.service._apps
        oauth = self.service._sign_in
        return AccountService(storage or self.storage, self.gateway, oauth, **(values | other))


SETTINGS: dict[str, Any] = {
    "public_url": PUBLIC_URL,
    "operator_token": None,
    "served_guilds": (),
}


@asynccontextmanager
async def open_office(
    storage: Storage, clock: Clock, *, public_url: str = PUBLIC_URL, with_app: bool = True
) -> AsyncIterator[Office]:
    async with (
        SpeckleServer.start() as server,
        SpeckleHttp.open((server.url,)) as http,
    ):
        app = server.register_app(f"{public_url}/link/callback")
        apps = {server.url: SpeckleApp(server.url, app.id, app.secret)} if with_app else {}
        gateway = SpeckleClient(servers=(server.url,), deadline_s=5.0)
        service = AccountService(
            storage,
            gateway,
            SpeckleSignIn(http),
            speckle_servers=(server.url,),
            apps=apps,
            now=clock,
            **(SETTINGS | {"public_url": public_url}),
        )
        office = Office(storage, server, service, gateway, app, server.add_user("Ilse Brandt"))

        async def went_on(account: Account, pending: str, _answer_to: AnswerTo) -> None:
            office.went_on.append((account, pending))

        service.on_linked = went_on
        try:
            yield office
        finally:
            gateway.close()
