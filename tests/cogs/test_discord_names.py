"""Names of Discord servers and channels are kept for the person who runs the bot."""

import asyncio
from contextlib import suppress
from functools import partial

from bot.cogs.guilds.names import NameKeeper
from bot.services.discord_names import DiscordNameService
from bot.storage import Storage
from tests.cogs.conftest import RunClient, Studio
from tests.services.conftest import TOWER
from tests.waiting import until


async def test_channels_that_follow_something_and_their_servers_are_known_by_name(
    run_client: RunClient, studio: Studio, storage: Storage
) -> None:
    ids = (studio.guild.id, studio.structure.id, studio.facade.id)

    async def becomes(name: str) -> bool:
        known = await storage.read(lambda tx: tx.discord_names.of(ids))
        return known == {studio.guild.id: "Studio Kestrel", studio.structure.id: name}

    async with run_client() as bot:
        await studio.type("subscribe", stream_id=TOWER)
        keeper = NameKeeper(bot, DiscordNameService(storage), every_s=0.02)
        keeping = asyncio.create_task(keeper.run())
        await until(partial(becomes, "structure"))
        studio.structure.rename("structure-west")
        await until(partial(becomes, "structure-west"))
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
