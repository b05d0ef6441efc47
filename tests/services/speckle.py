"""A desk whose Speckle server answers for real, and a listener for PUBLIC_URL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from aiohttp import web

from bot.model import Account, Hook, Subscription
from bot.permissions import Actor, Audience
from bot.services.subscribe_results import Subscribed, SubscribeRequest
from bot.services.subscribing import SubscribeOutcome
from bot.services.webhooks import WebhookService
from bot.storage import Storage
from sandbox.http_site import serving
from sandbox.speckle import (
    BOT_SCOPES,
    SPECKLE_2_31,
    Release,
    ServerProject,
    SpeckleServer,
    User,
    Webhook,
)
from tests.services.conftest import (
    KESTREL,
    MAREN,
    STRUCTURE,
    TEAM,
    TOBIAS,
    Clock,
    Services,
    agreed,
    manager,
    place,
    services_over,
)

INSTANCE = "0f0f"


@dataclass(frozen=True)
class Office:
    """Ilse owns Kestrel Tower, Bob works on it, Nadia has nothing to do with it."""

    server: SpeckleServer
    storage: Storage
    services: Services
    clock: Clock
    tower: ServerProject
    ilse: User
    bob: User
    nadia: User
    public_url: str

    @property
    def link(self) -> str:
        return f"{self.server.url}/projects/{self.tower.id}"

    @property
    def webhooks(self) -> WebhookService:
        return self.services.webhooks

    @property
    def made(self) -> list[Webhook]:
        return self.server.webhooks(self.tower)

    def with_public_url(self, public_url: str | None) -> "Office":
        """The same office, after the operator set another PUBLIC_URL."""
        services = services_over(
            self.storage,
            self.clock,
            speckle_servers=(self.server.url,),
            public_url=public_url,
            instance=INSTANCE,
        )
        return replace(self, services=services, public_url=public_url or "")

    async def linked(
        self, discord_user_id: int, user: User, scopes: tuple[str, ...] = BOT_SCOPES
    ) -> Account:
        token = self.server.token(user, scopes=scopes)
        linking = self.services.linking
        way = await linking.start_link(discord_user_id, self.server.url)
        return await linking.link_by_token(discord_user_id, way.nonce, token)

    async def ask(
        self,
        *,
        caller: Actor | None = None,
        channel_id: int = STRUCTURE,
        project: str | None = None,
        by_hand: bool = False,
        shown: bool = True,
        left_out: frozenset[int] = frozenset(),
        audience: Audience = TEAM,
        **options: str,
    ) -> SubscribeOutcome:
        """Type it; `shown`: say yes to who will see the project, if that is asked."""
        request = SubscribeRequest(
            guild_id=KESTREL,
            actor=caller or manager(MAREN),
            channel=place(channel_id, audience=audience),
            project=project or self.link,
            options=options,
            by_hand=by_hand,
            audience_of=lambda _channel_id: TEAM,
            left_out=left_out,
        )
        service = self.services.subscriptions
        return await (agreed(service, request) if shown else service.subscribe(request))

    async def subscribe(
        self,
        *,
        caller: Actor | None = None,
        channel_id: int = STRUCTURE,
        by_hand: bool = False,
        left_out: frozenset[int] = frozenset(),
        audience: Audience = TEAM,
        **options: str,
    ) -> Subscribed:
        outcome = await self.ask(
            caller=caller,
            channel_id=channel_id,
            by_hand=by_hand,
            left_out=left_out,
            audience=audience,
            shown=True,
            **options,
        )
        assert isinstance(outcome, Subscribed), outcome
        return outcome

    async def hook(self) -> Hook:
        (hook,) = await self.storage.read(lambda tx: tx.hooks.of_guild(KESTREL))
        return hook

    async def at(self, channel_id: int) -> Subscription:
        """The one subscription of a channel."""
        (there,) = await self.storage.read(lambda tx: tx.subscriptions.of_channel(channel_id))
        return there


@asynccontextmanager
async def answering(text: str, status: int = 200, **headers: str) -> AsyncIterator[str]:
    """Something that answers /instance so; gives its address."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=text, status=status, headers=headers)

    app = web.Application()
    app.router.add_get("/instance", answer)
    async with serving(app) as url:
        yield url


@asynccontextmanager
async def open_office(
    storage: Storage, clock: Clock, release: Release = SPECKLE_2_31
) -> AsyncIterator[Office]:
    async with (
        SpeckleServer.start(release=release) as server,
        answering(INSTANCE) as public_url,
    ):
        ilse, bob = server.add_user("Ilse Brandt"), server.add_user("Bob Castellan")
        tower = server.add_project("Kestrel Tower", owner=ilse, visibility="PRIVATE")
        server.set_role(tower, bob, "stream:contributor")
        services = services_over(
            storage,
            clock,
            speckle_servers=(server.url,),
            public_url=public_url,
            instance=INSTANCE,
        )
        try:
            yield Office(
                server=server,
                storage=storage,
                services=services,
                clock=clock,
                tower=tower,
                ilse=ilse,
                bob=bob,
                nadia=server.add_user("Nadia Voss"),
                public_url=public_url,
            )
        finally:
            services.client.close()


__all__ = ["MAREN", "TOBIAS", "Office", "answering", "open_office"]
