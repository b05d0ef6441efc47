"""A guild that is busy holds up no other: the whole bot, against the sandbox Discord."""

import asyncio
import base64
import io
import json
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import aiohttp
import pytest
from PIL import Image
from sqlalchemy import select

from bot.app import App
from bot.db.tables import outbox
from bot.model import Hook, HookKind
from bot.services.linking import PasteToken
from bot.speckle.signature import sign
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Transaction
from sandbox.discord import SandboxChannel, SandboxGuild
from sandbox.speckle import SpeckleServer
from tests.pipeline.conftest import Recorded, StartBot, Studio, post
from tests.pipeline.deliveries import SERVER, numbered
from tests.stored import waiting_count
from tests.waiting import until

SOON = 20  # sends after which another guild's card must be there
SIDE = 3_100  # pixels; 9.6 megapixels, just below what the bot unpacks
OPERATORS_SECRET = "a secret of the operator"


@pytest.fixture(scope="module")
def drawing() -> bytes:
    """A PNG that is small as a file and large unpacked."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize((SIDE, SIDE)).convert("RGB").save(out, "PNG")
    return out.getvalue()


def another(png: bytes, number: int) -> str:
    """The same picture with a text of its own, as a data: URL: no cache knows it."""
    text = b"tEXtComment\0%d" % number
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    return "data:image/png;base64," + base64.b64encode(png[:33] + chunk + png[33:]).decode()


def event(hook: Hook, number: int, **more: Any) -> Recorded:
    """A new version of the hook's project."""
    payload = numbered(number).payload
    body = json.dumps({"payload": payload | {"streamId": hook.project_id} | more}).encode()
    return replace(numbered(number), body=body)


def with_picture(hook: Hook, number: int, png: bytes) -> Recorded:
    user = {"id": "9a0e61f2c4", "name": "Maren Oduya", "avatar": another(png, number)}
    return event(hook, number, user=user)


@dataclass(frozen=True)
class Tenants:
    """Studio Kestrel with many projects, and Atelier Brandt with one."""

    studio: Studio
    app: App
    other: SandboxGuild
    lobby: SandboxChannel

    async def follow(
        self,
        guild: SandboxGuild,
        project_id: str,
        *channels: SandboxChannel,
        server_url: str = SERVER,
        kind: HookKind = HookKind.OWN,
        account_id: int | None = None,
    ) -> Hook:
        maker = self.studio.maren.id

        def write(tx: Transaction) -> Hook:
            hook = tx.hooks.create(guild.id, server_url, project_id, kind, maker, channels[0].id)
            for channel in channels:
                tx.subscriptions.upsert(
                    hook.id, channel.id, SubscriptionOptions(), maker, account_id
                )
            return hook

        return await self.app.storage.write(write)

    async def follow_many(self, count: int, **more: Any) -> list[Hook]:
        """Projects of Studio Kestrel, each with a channel of its own."""
        return [
            await self.follow(
                self.studio.guild, f"{n:010x}", self.studio.guild.add_channel(f"p{n}"), **more
            )
            for n in range(count)
        ]

    def sends(self) -> list[int]:
        """The channels that messages went to, in order."""
        parts = [
            request.path.split("/")
            for request in self.studio.sandbox.requests
            if request.method == "POST" and request.path.endswith("/messages")
        ]
        return [int(part[2]) for part in parts]

    async def sends_before(
        self, channel: SandboxChannel, delivery: Recorded, hook: Hook, *, made: bool = False
    ) -> int:
        """Deliver, and say how many messages went elsewhere before the card was in its channel;
        with `made` since there was the card.
        """
        before = len(self.sends())
        assert await post(self.app, hook, delivery) == 202
        if made:
            while not await self.app.storage.read(partial(_has_card, channel.id)):
                before = len(self.sends())

        async def there() -> list[int] | None:
            since = self.sends()[before:]
            return since if channel.id in since else None

        return (await until(there, 60)).index(channel.id)

    async def some_sent(self) -> bool:
        return len(self.sends()) > 5

    async def waits_still(self) -> bool:
        """Whether the busy guild has more to come: else nothing was shown."""
        heads = await self.app.storage.read(lambda tx: tx.inbox.due_keys())
        return bool(heads) or await self.app.storage.read(waiting_count) > 0


def _has_card(channel_id: int, tx: Transaction) -> bool:
    wanted = select(outbox.c.id).where(outbox.c.channel_id == channel_id).limit(1)
    return tx.session.scalar(wanted) is not None


@pytest.fixture
async def tenants(studio: Studio, start_bot: StartBot) -> AsyncIterator[Tenants]:
    other = studio.sandbox.add_guild("Atelier Brandt")
    async with start_bot() as app:
        yield Tenants(studio, app, other, other.add_channel("lobby"))


async def linked(app: App, studio: Studio, server: SpeckleServer, token: str) -> int:
    request = await app.linking.start_link(studio.maren.id, server.url)
    assert isinstance(request, PasteToken)
    account = await app.linking.link_by_token(studio.maren.id, request.nonce, token)
    return account.id


async def post_shared(app: App, _hook: Hook, delivery: Recorded) -> int:
    headers = {
        "Content-Type": "application/json",
        "X-WEBHOOK-SIGNATURE": sign(delivery.body, OPERATORS_SECRET),
    }
    url = f"http://127.0.0.1:{app.port}/webhook"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=delivery.body, headers=headers) as answer,
    ):
        return answer.status


async def send_all(
    app: App,
    hooks: Sequence[Hook],
    deliveries: Sequence[Recorded],
    send: Callable[[App, Hook, Recorded], Awaitable[int]] = post,
) -> None:
    """Send them to the hooks in turn, several side by side."""
    for start in range(0, len(deliveries), len(hooks)):
        some = zip(hooks, deliveries[start : start + len(hooks)], strict=False)
        answers = await asyncio.gather(*(send(app, hook, one) for hook, one in some))
        assert set(answers) == {202}


async def test_large_pictures_of_many_projects_hold_up_no_other_guild(
    tenants: Tenants, drawing: bytes
) -> None:
    hooks = await tenants.follow_many(30)
    quiet = await tenants.follow(tenants.other, "5f0c9a41b7", tenants.lobby)
    events = [with_picture(hooks[n % len(hooks)], n, drawing) for n in range(300)]
    await send_all(tenants.app, hooks, events)
    mine = with_picture(quiet, 999, drawing)
    assert await tenants.sends_before(tenants.lobby, mine, quiet) < SOON
    assert await tenants.waits_still()


async def test_one_event_for_hundreds_of_channels_holds_up_no_other_guild(
    tenants: Tenants,
) -> None:
    kestrel = tenants.studio.guild
    channels = [kestrel.add_channel(f"c{n}") for n in range(200)]
    busy = await tenants.follow(kestrel, "b05e000000", *channels)
    quiet = await tenants.follow(tenants.other, "5f0c9a41b7", tenants.lobby)
    assert await post(tenants.app, busy, event(busy, 1)) == 202
    await until(tenants.some_sent)
    assert await tenants.sends_before(tenants.lobby, event(quiet, 2), quiet) < SOON
    assert await tenants.waits_still()


async def test_many_busy_guilds_hold_up_no_further_one(tenants: Tenants) -> None:
    for number in range(6):
        guild = tenants.studio.sandbox.add_guild(f"Busy {number}")
        channels = [guild.add_channel(f"c{n}") for n in range(40)]
        hook = await tenants.follow(guild, "b05e000000", *channels)
        assert await post(tenants.app, hook, event(hook, number)) == 202
    quiet = await tenants.follow(tenants.other, "5f0c9a41b7", tenants.lobby)
    await until(tenants.some_sent)
    mine = event(quiet, 9)
    # Of 240: what is under way, and a turn of each, however busy the machine is.
    assert await tenants.sends_before(tenants.lobby, mine, quiet, made=True) < 2 * SOON
    assert await tenants.waits_still()


async def test_a_guild_whose_speckle_server_hangs_holds_up_no_other_guild(
    studio: Studio, start_bot: StartBot
) -> None:
    """Each of its events waits for an account's access and for facts, seconds long."""
    async with SpeckleServer.start() as server:
        servers = (server.url, SERVER)
        async with start_bot(speckle_servers=servers, speckle={"enrich_deadline_s": 5.0}) as app:
            other = studio.sandbox.add_guild("Atelier Brandt")
            tenants = Tenants(studio, app, other, other.add_channel("lobby"))
            ilse = server.add_user("Ilse Brandt")
            account_id = await linked(app, studio, server, server.token(ilse))
            hooks = await tenants.follow_many(60, server_url=server.url, account_id=account_id)
            quiet = await tenants.follow(other, "5f0c9a41b7", tenants.lobby)
            server.faults.hang = True
            await send_all(app, hooks, [event(hook, n) for n, hook in enumerate(hooks)])
            renamed = {"event_name": "branch_create", "data": {"branch": {"name": "frame"}}}
            mine = event(quiet, 999, event=renamed)
            assert await tenants.sends_before(tenants.lobby, mine, quiet) < SOON
            assert await tenants.waits_still()
            server.faults.clear()


async def test_busy_projects_hold_up_no_other_of_their_guild(
    tenants: Tenants, drawing: bytes
) -> None:
    [quiet, *busy] = await tenants.follow_many(11)
    events = [with_picture(busy[n % len(busy)], n, drawing) for n in range(80)]
    await send_all(tenants.app, busy, events)
    channel = tenants.studio.guild.channels[quiet.setup_channel_id or 0]
    mine = with_picture(quiet, 999, drawing)
    assert await tenants.sends_before(channel, mine, quiet) < SOON
    assert await tenants.waits_still()


async def test_the_operators_shared_hook_and_guilds_with_hooks_of_their_own_take_turns(
    studio: Studio, start_bot: StartBot, drawing: bytes
) -> None:
    """Its events are for several guilds at once: together they count as one tenant."""
    shared = {
        "speckle_webhook_secret": OPERATORS_SECRET,
        "organisation": {"guilds": (studio.guild.id,)},
    }
    async with start_bot(**shared) as app:
        other = studio.sandbox.add_guild("Atelier Brandt")
        tenants = Tenants(studio, app, other, other.add_channel("lobby"))
        hooks = await tenants.follow_many(30, kind=HookKind.SHARED)
        quiet = await tenants.follow(other, "5f0c9a41b7", tenants.lobby)
        # Slow enough that some of them still wait when the other guild's event comes.
        studio.sandbox.faults.slow("POST /channels/{channel_id}/messages", 0.3)
        events = [with_picture(hooks[n % len(hooks)], n, drawing) for n in range(180)]
        await send_all(app, hooks, events, post_shared)
        mine = with_picture(quiet, 999, drawing)
        assert await tenants.sends_before(tenants.lobby, mine, quiet) < SOON
        assert await tenants.waits_still()


async def test_bodies_of_megabytes_hold_up_no_other_guild(tenants: Tenants) -> None:
    hooks = await tenants.follow_many(20)
    quiet = await tenants.follow(tenants.other, "5f0c9a41b7", tenants.lobby)
    events = [event(hooks[n % len(hooks)], n, filler="x" * 3_000_000) for n in range(40)]
    await send_all(tenants.app, hooks, events)
    mine = event(quiet, 999, filler="x" * 3_000_000)
    assert await tenants.sends_before(tenants.lobby, mine, quiet) < SOON
