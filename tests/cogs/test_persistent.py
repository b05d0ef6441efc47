"""Buttons and selects that are found by their custom_id."""

import discord

from bot.cogs.persistent import PersistentButton, PersistentSelect, view_of


async def test_discord_py_keeps_nothing_of_them_in_memory() -> None:
    client = discord.Client(intents=discord.Intents.none())
    options = [discord.SelectOption(label="A")]
    view = view_of(
        PersistentButton(label="Pause", custom_id="sub:pause:7:0:0"),
        PersistentSelect(custom_id="subs:pick:0:0", options=options),
    )
    client._connection.store_view(view, 1)
    kept = client._connection._view_store
    assert not kept._views
    assert not kept._synced_message_views
