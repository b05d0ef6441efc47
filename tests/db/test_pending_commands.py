"""Commands that wait, on both databases."""

from datetime import timedelta

from sqlalchemy import select, update

from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.tables import pending_commands
from bot.pending import PendingSubscribe
from bot.permissions import Audience
from bot.storage import Storage
from tests.db.conftest import FACADE, MAREN_ODUYA, STRUCTURE, STUDIO_KESTREL, Clock

COMMAND = PendingSubscribe(
    MAREN_ODUYA,
    STUDIO_KESTREL,
    STRUCTURE,
    "https://speckle.kestrel.example",
    "Harbour Tower",
    {"events": "versions"},
    by_hand=True,
    resume=False,
    excluded=frozenset({FACADE}),
    audiences={STRUCTURE: None, FACADE: Audience(True)},
)
QUARTER = timedelta(minutes=15)
TOKEN = "the-token"


async def kept(storage: Storage, token: str = TOKEN) -> None:
    await storage.write(lambda tx: tx.pending_commands.add(token, COMMAND, QUARTER))


async def found(storage: Storage, token: str = TOKEN) -> PendingSubscribe | None:
    return await storage.read(lambda tx: tx.pending_commands.get(token))


async def test_a_command_comes_back_as_it_went(storage: Storage) -> None:
    await kept(storage)
    assert await found(storage) == COMMAND
    assert await found(storage, "another") is None


async def test_a_command_that_is_done_is_gone_until_it_is_released(storage: Storage) -> None:
    await kept(storage)
    await storage.write(lambda tx: tx.pending_commands.mark_used(TOKEN))
    assert await found(storage) is None
    await storage.write(lambda tx: tx.pending_commands.mark_unused(TOKEN))
    assert await found(storage) == COMMAND


async def test_a_command_runs_out_and_is_erased(storage: Storage, clock: Clock) -> None:
    await kept(storage)
    clock.forward(minutes=14)
    assert await storage.write(lambda tx: tx.pending_commands.erase_expired()) == 0
    clock.forward(minutes=1)
    assert await found(storage) is None
    assert await storage.write(lambda tx: tx.pending_commands.erase_expired()) == 1


async def test_neither_token_nor_project_can_be_read_in_the_database(
    storage: Storage, database_url: str
) -> None:
    await kept(storage)
    async with Database.open(parse_url(database_url)) as database:
        with database.reading() as reading:
            row = str(reading.execute(select(pending_commands)).one())
    assert TOKEN not in row
    assert "Harbour" not in row


async def test_a_command_whose_row_is_changed_to_another_person_is_none(
    storage: Storage, database_url: str
) -> None:
    await kept(storage)
    async with Database.open(parse_url(database_url)) as database:
        with database.writing() as writing:
            writing.execute(update(pending_commands).values(discord_user_id=MAREN_ODUYA + 1))
    assert await found(storage) is None


def test_a_yes_is_for_the_channels_that_were_named_and_not_taken_out() -> None:
    assert COMMAND.others == {FACADE}
    assert COMMAND.agreed == {STRUCTURE: None}
