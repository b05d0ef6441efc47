"""Buttons and selects below a message that work after a restart, and those that open an address."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import discord

from bot.cogs.responses import Response


class PersistentButton(discord.ui.Button[discord.ui.View]):
    """A button that is found by its custom_id alone, which carries all that it needs."""

    def is_dispatchable(self) -> bool:
        """False, so that discord.py keeps nothing of it in memory."""
        return False


class PersistentSelect(discord.ui.Select[discord.ui.View]):
    """A select that is found by its custom_id alone, which carries all that it needs."""

    def is_dispatchable(self) -> bool:
        """False, so that discord.py keeps nothing of it in memory."""
        return False


class PersistentChannelSelect(discord.ui.ChannelSelect[discord.ui.View]):
    """Chooses one channel that the bot can post in; found by its custom_id alone."""

    def __init__(self, custom_id: str, placeholder: str) -> None:
        super().__init__(
            custom_id=custom_id,
            placeholder=placeholder,
            channel_types=[
                discord.ChannelType.text,
                discord.ChannelType.news,
                discord.ChannelType.voice,
                discord.ChannelType.public_thread,
                discord.ChannelType.private_thread,
            ],
        )

    def is_dispatchable(self) -> bool:
        """False, so that discord.py keeps nothing of it in memory."""
        return False


@dataclass(frozen=True, slots=True)
class ButtonLook:
    """How a button looks, whatever it is for."""

    label: str
    style: discord.ButtonStyle = discord.ButtonStyle.secondary

    def button(self, custom_id: str) -> PersistentButton:
        """A button that looks so."""
        return PersistentButton(label=self.label, style=self.style, custom_id=custom_id)


def view_of(*items: "discord.ui.Item[Any] | None") -> discord.ui.View:
    """A row of buttons; None is for one that Discord would not accept."""
    view = discord.ui.View(timeout=None)
    for item in items:
        if item is not None:
            view.add_item(item)
    return view


def link_button(label: str, url: str) -> "discord.ui.Button[discord.ui.View] | None":
    """A button that opens an address; None for hosts without a dot, which Discord refuses."""
    host = urlsplit(url).hostname or ""
    if "." not in host:
        return None
    return discord.ui.Button(label=label, url=url)


def with_addresses(text: str, *urls: str) -> Response:
    """The text with those addresses that no button can hold."""
    return Response(
        "\n".join([text, *(f"<{url}>" for url in urls if link_button("", url) is None)])
    )
