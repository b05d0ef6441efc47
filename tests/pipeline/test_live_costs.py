"""What it costs to listen while nothing happens, and who listens where there are two processes."""

import asyncio
import re
from collections import Counter
from pathlib import Path

import aiohttp
from cryptography.fernet import Fernet

from sandbox.bot_process import HOST, BotProcess, bot_environment, free_port
from sandbox.discord import Sandbox, SandboxError
from sandbox.speckle import SPECKLE_4_AS_ANNOUNCED, SpeckleServer
from tests.conftest import PostgresServer
from tests.pipeline.conftest import StartBot, Studio
from tests.pipeline.test_statements import counted
from tests.waiting import until

# What reading a list writes; other parts of the bot write other things meanwhile.
WRITES = ("INSERT INTO inbox", "INSERT INTO key_values", "UPDATE hooks", "UPDATE subscriptions")
TURNS = 6
TAKES_OVER_WITHIN_S = 90.0  # a start of the bot on a busy machine is part of it


async def _link(sandbox: Sandbox, studio: Studio, token: str) -> None:
    offer = await sandbox.command(studio.guild, studio.structure, studio.maren, "link")
    form = await sandbox.press(await offer.settled(), "Paste it", studio.maren)
    await (await sandbox.submit_modal(form, {"Token": token}, studio.maren)).settled()


async def _follow(sandbox: Sandbox, studio: Studio, link: str) -> None:
    answer = await sandbox.command(
        studio.guild, studio.structure, studio.maren, "subscribe", stream_id=link
    )
    await answer.settled()


async def test_a_turn_without_news_is_one_question_and_one_statement_and_writes_nothing(
    studio: Studio, start_bot: StartBot
) -> None:
    async with SpeckleServer.start() as server:
        ilse = server.add_user("Ilse Brandt")
        port = free_port()
        towers = [
            server.add_project(name, owner=ilse, visibility="PUBLIC") for name in ("East", "West")
        ]
        async with start_bot(
            public_url=None,
            speckle_servers=(server.url,),
            speckle={"enrich_deadline_s": 3.0},
            live={"every_s": 1.0},
            metrics={"port": port},
        ):
            await _link(studio.sandbox, studio, server.token(ilse))
            for tower in towers:
                await _follow(studio.sandbox, studio, f"{server.url}/projects/{tower.id}")
            server.add_version(towers[0], server.add_model(towers[0], "site"), message="slab")

            async def shown() -> bool:
                return "slab" in str(
                    [one.embeds for one in studio.sandbox.messages(studio.structure.id)]
                )

            await until(shown)
            await asyncio.sleep(2.0)
            before = len(server.asked_lists())
            with counted() as found:
                await asyncio.sleep(TURNS)
            asked = server.asked_lists()[before:]
            accounts = [one for one in found.statements if "FROM accounts" in one]
            assert TURNS - 1 <= len(asked) <= TURNS + 1
            assert {one.lists for one in asked} == {len(towers)}
            assert len(accounts) <= len(asked) + 3  # others read them too, now and then
            assert [one for one in found.statements if one.startswith(WRITES)] == []
            assert 0 < await _live_unread_s(port) < TURNS
            async with server.away():
                await asyncio.sleep(TURNS)
                assert await _live_unread_s(port) >= TURNS


async def _live_unread_s(port: int) -> float:
    async with aiohttp.ClientSession() as http, http.get(f"http://{HOST}:{port}/metrics") as page:
        (line,) = re.findall(r"^speckle_bot_live_unread_seconds (.+)$", await page.text(), re.M)
        return float(line)


async def test_a_start_reads_nothing_again_that_was_read_before(
    studio: Studio, start_bot: StartBot
) -> None:
    """All projects of an account are one question, and their rows one look at the database."""
    names = [f"Tower {number}" for number in range(5)]
    async with SpeckleServer.start() as server:
        ilse = server.add_user("Ilse Brandt")
        towers = [server.add_project(name, owner=ilse, visibility="PUBLIC") for name in names]
        settings = {
            "public_url": None,
            "speckle_servers": (server.url,),
            "speckle": {"enrich_deadline_s": 3.0},
            "live": {"every_s": 1.0},
        }

        def shown() -> str:
            return str([one.embeds for one in studio.sandbox.messages(studio.structure.id)])

        async with start_bot(**settings):
            await _link(studio.sandbox, studio, server.token(ilse))
            for tower in towers:
                await _follow(studio.sandbox, studio, f"{server.url}/projects/{tower.id}")
            for tower in towers:
                model = server.add_model(tower, f"{tower.name} slab")
                server.add_version(tower, model, message=f"poured in {tower.name}")
            await until(lambda: all(f"poured in {name}" in shown() for name in names))
        before = len(server.asked_lists())
        async with start_bot(**settings):
            await until(lambda: len(server.asked_lists()) > before + 1)
        asked = {one.operation for one in server.asked_lists()[before:]}
        assert asked == {"ActivityOfMany"}
        server.add_version(towers[0], server.add_model(towers[0], "roof"), message="while away")
        async with start_bot(**settings):
            await until(lambda: "while away" in shown())
        for name in names:
            assert shown().count(f"poured in {name}'") == 1


async def test_a_look_without_activity_list_is_one_request(
    studio: Studio, start_bot: StartBot
) -> None:
    """Versions, models, issues that moved and issues that are there, all at once."""
    async with SpeckleServer.start(release=SPECKLE_4_AS_ANNOUNCED) as server:
        ilse = server.add_user("Ilse Brandt")
        tower = server.add_project("Kestrel Tower", owner=ilse, visibility="PUBLIC")
        async with start_bot(
            public_url=None,
            speckle_servers=(server.url,),
            speckle={"enrich_deadline_s": 3.0},
            live={"every_s": 1.0},
        ):
            await _link(studio.sandbox, studio, server.token(ilse))
            await _follow(studio.sandbox, studio, f"{server.url}/projects/{tower.id}")
            await until(lambda: server.asked("FirstPages"))
            await asyncio.sleep(2.0)
            before = len(server.requests)
            await until(lambda: len(server.requests) > before + 3)
            asked = Counter(one.operation for one in server.requests[before:])
    assert set(asked) == {"FirstPages"}


async def test_of_two_processes_the_leading_one_holds_the_sockets(
    studio: Studio, postgres: PostgresServer, tmp_path: Path
) -> None:
    name = postgres.new_database()
    config = tmp_path / "config.toml"
    config.write_text("[live]\nsockets_from = 0\n")
    async with SpeckleServer.start() as server:
        ilse = server.add_user("Ilse Brandt")
        tower = server.add_project("Kestrel Tower", owner=ilse, visibility="PUBLIC")
        model = server.add_model(tower, "site")
        key = Fernet.generate_key().decode()

        def process(log: str) -> BotProcess:
            port = free_port()
            settings = {
                "DISCORD_TOKEN": studio.sandbox.token,
                "DISCORD_API_URL": studio.sandbox.api_url,
                "ENCRYPTION_KEYS": key,
                "DATABASE_URL": postgres.url(name),
                "WEBHOOK_HOST": HOST,
                "WEBHOOK_PORT": str(port),
                "SPECKLE_SERVERS": server.url,
            }
            return BotProcess(
                bot_environment(settings), config, tmp_path / log, f"http://{HOST}:{port}"
            )

        async def listens() -> bool:
            return len(server.live.subscriptions(project=tower)) > 0

        async def shows(what: str) -> bool:
            there = [one.embeds for one in studio.sandbox.messages(studio.structure.id)]
            return what in str(there)

        first = process("first.log")
        await first.start()
        second = process("second.log")  # now, as the first one has its port
        try:
            while True:
                try:
                    await _link(studio.sandbox, studio, server.token(ilse))
                    break
                except SandboxError:  # the bot is not there yet
                    await asyncio.sleep(0.2)
            await _follow(studio.sandbox, studio, f"{server.url}/projects/{tower.id}")
            await until(listens, TAKES_OVER_WITHIN_S)
            await second.start()
            await asyncio.sleep(3.0)
            assert len(server.live.sockets) == 1
            await first.kill()
            server.add_version(tower, model, message="slab poured")
            await until(listens, TAKES_OVER_WITHIN_S)
            await until(lambda: shows("slab poured"), TAKES_OVER_WITHIN_S)
            assert len(server.live.sockets) == 1
        finally:
            await first.kill()
            await second.kill()
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
