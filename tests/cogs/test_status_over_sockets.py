"""/status: what each member reads of how the bot is doing, in the sandbox Discord."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from bot.cogs.status.texts import TROUBLES, status_embed
from bot.problems import ActiveTrouble, NotReady, NotReadyWhy, TroubleKind
from bot.services.guild_status import (
    NOT_FOR_MEMBERS,
    Delays,
    GuildFigures,
    GuildStatus,
    GuildStatusService,
)
from bot.storage import Storage
from tests.cogs.conftest import MakeStudio, RunClient, Studio, text_of
from tests.services.conftest import CLOUD, OWN_SERVER, PAVILION, STRUCTURE, TOWER, Clock, manager

WELL: Final = GuildFigures(1, None, 0, 0, None, 0, None)


async def test_a_member_reads_of_the_channels_that_they_see_and_of_no_other_guild(
    run_client: RunClient, studio: Studio, make_studio: MakeStudio, clock: Clock
) -> None:
    board = studio.guild.add_channel("board")
    board.deny(None, "view_channel")
    board.allow(studio.maren, "view_channel")
    board.allow(studio.guild.bot, "view_channel")
    heron = make_studio("Heron Engineers")
    async with run_client() as bot:
        nothing = text_of(await (await studio.type("status", who=studio.tobias)).settled())
        assert "The bot works\nUp since <t:" in nothing
        assert "No channel that you see follows a Speckle project. Members with" in nothing
        await studio.type("subscribe", stream_id=TOWER)
        await studio.type("subscribe", stream_id=f"{OWN_SERVER}/projects/{PAVILION}", where=board)
        await heron.type("subscribe", stream_id=TOWER)
        clock.forward(minutes=5)
        bot.silent |= {CLOUD: "it gave no answer in time", OWN_SERVER: "it cannot be reached"}
        tobias = text_of(await (await studio.type("status", who=studio.tobias)).settled())
        of_heron = text_of(await (await heron.type("status")).settled())
        maren = text_of(await (await studio.type("status")).settled())
    assert f"The Speckle server {CLOUD} does not answer the bot." in tobias
    assert OWN_SERVER not in tobias + of_heron
    assert OWN_SERVER in maren
    for said in (tobias, of_heron):
        assert said.startswith("The bot has trouble\n")
        assert "Last event\nNone yet." in said
        assert "Waiting\nNothing." in said
        assert not [word for word in (str(board.id), TOWER, PAVILION) if word in said]


async def test_a_slow_database_is_said_at_once_in_place_of_the_figures(
    run_client: RunClient, studio: Studio, storage: Storage, clock: Clock
) -> None:
    async with run_client() as bot:
        service = GuildStatusService(storage, lambda: bot.known_trouble, clock, within_s=0.0)
        status = await service.of(studio.guild.id, manager(), STRUCTURE)
    assert status.figures is None
    assert [one.kind for one in status.troubles] == [TroubleKind.DATABASE_NOT_WRITABLE]
    said = str(status_embed(status).to_dict())
    assert "The bot has trouble" in said
    assert "did not answer in time. Try again in a minute." in said


def test_each_trouble_that_members_notice_has_its_words() -> None:
    assert set(TROUBLES) == set(TroubleKind) - NOT_FOR_MEMBERS
    refused = NotReady(NotReadyWhy.DISCORD_TOKEN_REFUSED)
    trouble = ActiveTrouble(TroubleKind.TOKEN_REFUSED, not_ready=refused)
    said = str(status_embed(GuildStatus(Clock()(), WELL, [trouble])).to_dict())
    assert "Discord does not accept the bot's token." in said


def test_delays_and_what_waits_are_said_in_words() -> None:
    since = Clock()() - timedelta(minutes=3)
    figures = GuildFigures(2, None, 3, 1, since, 2, Delays(0.44, 181.0, 20))
    said = str(status_embed(GuildStatus(since, figures, ())).to_dict())
    assert "0.4 s, at most 3 min, 20 cards" in said
    assert "3 cards, 1 of them for this channel; the oldest came <t:" in said
    assert "2 events for paused channels, kept until they continue. Members with" in said


def test_the_cards_for_this_channel_are_counted_once() -> None:
    since = Clock()() - timedelta(minutes=3)
    for waiting, here, text in (
        (1, 1, "1 card, for this channel; the oldest"),
        (3, 3, "3 cards, all for this channel; the oldest"),
        (3, 0, "3 cards, none for this channel; the oldest"),
    ):
        figures = replace(WELL, waiting=waiting, waiting_here=here, oldest_at=since)
        said = str(status_embed(GuildStatus(since, figures, ())).to_dict())
        assert text in said


def test_a_used_up_quota_is_said_as_events_are_refused() -> None:
    used_up = GuildStatus(Clock()(), replace(WELL, over_quota=True), ())
    said = str(status_embed(used_up).to_dict())
    assert "The bot has trouble" in said
    assert "What its webhook sends is refused until tomorrow" in said


def test_what_waits_for_access_alone_is_not_said_to_be_nothing() -> None:
    since = Clock()() - timedelta(minutes=3)
    held = replace(WELL, held=2, held_since=since, new=1)
    said = str(status_embed(GuildStatus(since, held, ())).to_dict())
    assert "2 events, the oldest came <t:1772441820:R>: Speckle or Discord does not say" in said
    assert "1 event, just received: the cards are being made." in said
    assert "Nothing." not in said
