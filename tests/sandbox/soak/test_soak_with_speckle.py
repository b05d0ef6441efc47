"""A linked owner's project, while the bot is killed at any moment: what failed is fetched later."""

import asyncio
import os
import random
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet

from sandbox.bot_process import BotProcess
from sandbox.discord import Sandbox, SandboxChannel, SandboxGuild, SandboxMember
from sandbox.speckle import Model, ServerProject, SpeckleServer, User, commit_create_data
from tests.waiting import until

KILLS = 8
SEED = 7  # any would do; a fixed one makes the runs alike
LIVES_S = (0.3, 2.0)
ALL_THERE_WITHIN_S = 90.0
SEES_ITS_GUILDS_S = 1.0


@dataclass
class Site:
    """A Discord server, a Speckle project of Ilse Brandt's, and the bot between them."""

    sandbox: Sandbox
    guild: SandboxGuild
    channel: SandboxChannel
    maren: SandboxMember
    speckle: SpeckleServer
    ilse: User
    tower: ServerProject
    model: Model
    bot: BotProcess
    chance: random.Random
    fired: list[int] = field(default_factory=list)

    async def link_and_subscribe(self) -> None:
        """As an owner does it: a token pasted once, then one line."""
        offer = await self.sandbox.command(self.guild, self.channel, self.maren, "link")
        form = await self.sandbox.press(offer, "Paste it", self.maren)
        await self.sandbox.submit_modal(form, {"Token": self.speckle.token(self.ilse)}, self.maren)
        asked = await self.sandbox.command(
            self.guild,
            self.channel,
            self.maren,
            "subscribe",
            stream_id=f"{self.speckle.url}/projects/{self.tower.id}",
        )
        await self.sandbox.press(asked, "Show it there", self.maren)

    async def publish(self, stop: asyncio.Event) -> None:
        """One version after another; some are rendered, at once or later."""
        versions = []
        while not stop.is_set():
            self.fired.append(len(self.fired) + 1)
            version = self.speckle.add_version(
                self.tower, self.model, author=self.ilse, message=f"pour no {self.fired[-1]:05}"
            )
            versions.append(version)
            data = commit_create_data(version)
            await self.speckle.fire(self.tower, "commit_create", data, user=self.ilse)
            if self.chance.random() < 0.3:
                self.speckle.render(self.chance.choice(versions[-10:]))
            await asyncio.sleep(self.chance.uniform(0, 0.2))

    def shown(self, *, delayed: bool) -> Sequence[int]:
        """The numbers of the cards in the channel, as they stand there."""
        cards = [
            embed for message in self.sandbox.messages(self.channel) for embed in message.embeds
        ]
        texts = [str(card.get("description")) for card in cards]
        return [
            int(found[1])
            for text in texts
            if (found := re.search(r"pour no (\d+)", text)) and ("Delayed:" in text) == delayed
        ]


@asynccontextmanager
async def open_site(folder: Path) -> AsyncIterator[Site]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "config.toml").touch()
    async with SpeckleServer.start() as speckle, Sandbox.start(pace=False) as sandbox:
        guild = sandbox.add_guild("Studio Kestrel")
        ilse = speckle.add_user("Ilse Brandt")
        tower = speckle.add_project("Kestrel Tower", owner=ilse, visibility="PRIVATE")
        environment = {
            **os.environ,
            "DISCORD_TOKEN": sandbox.token,
            "DISCORD_API_URL": sandbox.api_url,
            "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "DATABASE_URL": f"sqlite:///{folder / 'bot.db'}",
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "WEBHOOK_PORT": str(port),
            "SPECKLE_SERVERS": speckle.url,
        }
        bot = BotProcess(
            environment, folder / "config.toml", folder / "log", f"http://127.0.0.1:{port}"
        )
        await bot.start()
        try:
            site = Site(
                sandbox,
                guild,
                guild.add_channel("structure"),
                guild.add_member("Maren Oduya", permissions="manage_webhooks"),
                speckle,
                ilse,
                tower,
                speckle.add_model(tower, "structure/level 1"),
                bot,
                random.Random(SEED),  # noqa: S311  the same run each time, nothing secret
            )

            async def connected() -> bool:
                return sandbox.gateway.connected

            await until(connected)
            await asyncio.sleep(SEES_ITS_GUILDS_S)
            yield site
        finally:
            await bot.kill()


async def test_eight_kills_lose_and_double_nothing_of_a_linked_owners_project(
    tmp_path: Path,
) -> None:
    async with open_site(tmp_path) as site:
        await site.link_and_subscribe()
        stop = asyncio.Event()
        publishing = asyncio.create_task(site.publish(stop), name="publishing")
        for _ in range(KILLS):
            await asyncio.sleep(site.chance.uniform(*LIVES_S))
            await site.bot.kill()
            await asyncio.sleep(site.chance.uniform(0, 0.5))
            await site.bot.start()
        stop.set()
        await publishing
        await site.bot.kill()  # so that whatever has failed by now is looked for once more
        await site.bot.start()

        async def all_there() -> bool:
            both = {*site.shown(delayed=False), *site.shown(delayed=True)}
            return len(both) >= len(site.fired)

        await until(all_there, ALL_THERE_WITHIN_S)
        live, late = site.shown(delayed=False), site.shown(delayed=True)
        assert sorted([*live, *late]) == site.fired
        assert live == sorted(live)
        assert late == sorted(late)
        assert late, "some calls failed, or this shows nothing"
        assert len(site.speckle.webhooks(site.tower)) == 1
        await site.bot.stop()
