"""Several processes on one database, and processes that are killed."""

import asyncio
import os
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.tables import bodies, inbox
from bot.storage import Storage
from bot.vault import Vault
from tests.db.conftest import Clock
from tests.waiting import until

ROOT = Path(__file__).parents[2]


async def start(database_url: str, how_many: int) -> asyncio.subprocess.Process:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("putter.py")),
        database_url,
        str(how_many),
        "0",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=asyncio.subprocess.PIPE,
    )


def taken(output: bytes) -> list[tuple[str, str]]:
    whole_lines = output.decode().split("\n")[:-1]
    return [(digest, how) for digest, how in (line.split() for line in whole_lines)]


async def test_every_acknowledged_delivery_outlives_a_kill(database_url: str, vault: Vault) -> None:
    acknowledged: set[str] = set()
    for wanted in (50, 300):
        process = await start(database_url, 1_000_000)
        assert process.stdout is not None
        output = b""
        while output.count(b"\n") < wanted:
            output += await process.stdout.read(4096)
        process.kill()
        output += await process.stdout.read()
        await process.wait()
        acknowledged |= {digest for digest, _ in taken(output)}
    assert len(acknowledged) >= 300
    async with Database.open(parse_url(database_url)) as database:
        with database.reading() as connection:
            rows = connection.execute(select(inbox.c.digest, bodies.c.body).join(bodies)).all()
    assert all(sha256(body).hexdigest() == digest for digest, body in rows)
    assert acknowledged <= {digest for digest, _ in rows}


async def test_two_processes_take_the_same_bodies_once(database_url: str) -> None:
    processes = [await start(database_url, 400) for _ in range(2)]
    outputs = [output for output, _ in await asyncio.gather(*(p.communicate() for p in processes))]
    answers = [answer for output in outputs for answer in taken(output)]
    assert len(answers) == 800
    assert len({digest for digest, _ in answers}) == 400
    assert [how for _, how in answers].count("once") == 400


async def test_only_one_process_leads_until_it_ends(
    database_url: str, vault: Vault, clock: Clock
) -> None:
    async with Storage.open(database_url, vault, clock) as second:
        async with Storage.open(database_url, vault, clock) as first:
            assert await first.lead()
            assert await first.lead()
            assert not await second.lead()
            assert not await second.lead()
            assert (first.leads, second.leads) == (True, False)
            assert (first.another_leads, second.another_leads) == (False, True)
        await until(second.lead)  # PostgreSQL ends a session a little after its connection
        assert not second.another_leads


async def test_two_databases_of_one_server_have_a_leader_each(
    sqlite_url: str, postgres_url: str, empty_url: str, vault: Vault
) -> None:
    async with (
        Storage.open(sqlite_url, vault) as one,
        Storage.open(postgres_url, vault) as two,
        Storage.open(empty_url, vault) as three,
    ):
        assert [await storage.lead() for storage in (one, two, three)] == [True] * 3


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_the_leaders_lock_is_a_file_beside_the_database(
    storage: Storage, tmp_path: Path
) -> None:
    assert not (tmp_path / "bot.db.lock").exists()
    assert await storage.lead()
    assert (tmp_path / "bot.db.lock").exists()
