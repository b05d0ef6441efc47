"""How an answer reaches the caller in time: Discord waits 3 s for the first one."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import discord

if TYPE_CHECKING:
    from bot.discord_client import SpeckleBot

Interaction: TypeAlias = "discord.Interaction[SpeckleBot]"
T = TypeVar("T")

COLOUR = 0x047EFB  # Speckle's blue, of every answer's embed
PATIENCE_S = 1.5  # of Discord's 3 s; the rest is for the way there


@dataclass(frozen=True, slots=True)
class Reply:
    """What the caller alone sees."""

    content: str | None = None
    embed: discord.Embed | None = None
    view: discord.ui.View | None = None

    def parts(self) -> dict[str, Any]:
        """The keyword arguments of a new message: what is None is left out."""
        parts = {"content": self.content, "embed": self.embed, "view": self.view}
        return {name: part for name, part in parts.items() if part is not None}


async def in_time(interaction: Interaction, work: Coroutine[Any, Any, T], *, new: bool = True) -> T:
    """Do the work; if it takes long, tell Discord meanwhile that an answer will come.

    `new`: the answer will be a message of its own, not a change of the one with the button.
    """
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
    if not done:
        await interaction.response.defer(ephemeral=True, thinking=new)
    return await task


async def reply(interaction: Interaction, answer: Reply) -> None:
    """Show the answer to the caller alone, as a message of its own."""
    if interaction.response.is_done():
        await interaction.followup.send(**answer.parts(), ephemeral=True)
    else:
        await interaction.response.send_message(**answer.parts(), ephemeral=True)


async def redraw(interaction: Interaction, answer: Reply) -> None:
    """Put the answer in place of the message that the pressed button is on."""
    if interaction.response.is_done():
        await interaction.edit_original_response(
            content=answer.content, embed=answer.embed, view=answer.view
        )
    else:
        await interaction.response.edit_message(
            content=answer.content, embed=answer.embed, view=answer.view
        )


async def redraw_with(interaction: Interaction, work: Coroutine[Any, Any, Reply]) -> None:
    """Do what a pressed button is for and put the answer in place of the message that it is on.

    A refusal, or whatever else goes wrong, is told and leaves the message there.
    """
    try:
        await redraw(interaction, await in_time(interaction, work, new=False))
    except Exception as error:  # the top: discord.py would only log it
        await report(interaction, error)


async def report(interaction: Interaction, error: Exception) -> None:
    """Hand an error of a button or a form to the client's one error handler.

    discord.py hands it only the errors of commands; those of dynamic items it would just log.
    """
    handler: Any = interaction.client.tree.on_error
    await handler(interaction, error)
