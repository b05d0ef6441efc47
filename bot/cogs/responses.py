"""How an answer reaches the caller in time: Discord waits 3 s for the first one."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

import discord
import structlog

from bot.discord_api.error_codes import Meaning, meaning_of
from bot.discord_api.outcomes import DISCORD_ERRORS, RetryLater, error_text, outcome_of

log = structlog.get_logger()

Interaction: TypeAlias = discord.Interaction[discord.Client]
T = TypeVar("T")

COLOUR = 0x047EFB  # Speckle's blue, of every answer's embed
PATIENCE_S = 1.5  # of Discord's 3 s; the rest is for the way there
AGAIN_S: Final = (0.2, 0.5)  # after an answer that Discord could not take just then
MAX_TEXT = 2000
ALREADY_ANSWERED: Final = 40060  # Discord's error code
THINKING = "thinking"  # among an interaction's extras: what it was sent while the work took long


@dataclass(frozen=True, slots=True)
class FileToSend:
    """A file of an answer; an embed shows a picture as `attachment://<name>`."""

    name: str
    content: bytes = field(repr=False)
    description: str | None = None

    def file(self) -> discord.File:
        """As discord.py sends it, which can be read once."""
        return discord.File(
            io.BytesIO(self.content), filename=self.name, description=self.description
        )


@dataclass(frozen=True, slots=True)
class Response:
    """What the caller alone sees; `embeds` where there is more than the one."""

    content: str | None = None
    embed: discord.Embed | None = None
    view: discord.ui.View | None = None
    embeds: Sequence[discord.Embed] = ()
    files: Sequence[FileToSend] = ()

    def parts(self) -> dict[str, Any]:
        """The keyword arguments of a new message: what is None is left out."""
        files = [one.file() for one in self.files]
        parts = {
            "content": self.content,
            "embeds": self._all() or None,
            "view": self.view,
            "files": files or None,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def change(self) -> dict[str, Any]:
        """The keyword arguments of an edit: what is None goes, and so do files of before."""
        files = [one.file() for one in self.files]
        change = {"content": self.content, "embeds": self._all(), "view": self.view}
        return {**change, "attachments": files}

    def as_text(self) -> "Response":
        """The same without anything that Discord could refuse in it: nothing to press, no links."""
        lines = [self.content or ""]
        for embed in self._all():
            lines += [embed.title or "", embed.description or ""]
            lines += [f"{field.name}: {field.value}" for field in embed.fields]
        return Response("\n".join(line for line in lines if line)[:MAX_TEXT], files=self._unshown())

    def _unshown(self) -> Sequence[FileToSend]:
        """The files that no embed shows, such as a table."""
        shown = {embed.image.url for embed in self._all()}
        return [one for one in self.files if f"attachment://{one.name}" not in shown]

    def _all(self) -> list[discord.Embed]:
        return [*self.embeds] if self.embed is None else [self.embed, *self.embeds]


def with_contact(embed: discord.Embed, contact: str) -> discord.Embed:
    """The answer, which also says how to reach the person who runs the bot, where that is set."""
    if contact.strip():
        embed.add_field(name="The person who runs this bot", value=contact, inline=False)
    return embed


class UserError(Exception):
    """A command cannot do what was asked; `message` is what its caller reads.

    It says what happened, why, and what to do next. Nothing was changed.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotShown(Exception):
    """What was asked for is done, and Discord did not take the answer; `reason` is its word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def defer_if_slow(
    interaction: Interaction, work: Coroutine[Any, Any, T], *, new: bool = True
) -> T:
    """Do the work; if it takes long, promise Discord meanwhile that an answer will come.

    `new`: the answer will be a message of its own, not a change of the one with the button.
    """
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
    if not done:
        interaction.extras[THINKING] = new
        try:
            await interaction.response.defer(ephemeral=True, thinking=new)
        except DISCORD_ERRORS as error:
            # The work continues; whether its answer can be shown turns out then.
            log.info("interaction.not_deferred", reason=error_text(error))
    return await task


async def respond(interaction: Interaction, response: Response) -> None:
    """Show the answer to the caller alone, as a message of its own.

    Errors: NotShown.
    """

    async def first(shown: Response) -> None:
        await interaction.response.send_message(**shown.parts(), ephemeral=True)

    async def then(shown: Response) -> None:
        if interaction.extras.get(THINKING, True):
            await interaction.edit_original_response(**shown.change())
        else:  # the original is the message with the button, which others may read
            await interaction.followup.send(**shown.parts(), ephemeral=True)

    await _show(interaction, response, first, then)


async def edit_response(interaction: Interaction, response: Response) -> bool:
    """Put the answer in place of the message that the pressed button is on.

    False if it was too late for any answer. Errors: NotShown.
    """

    async def first(shown: Response) -> None:
        await interaction.response.edit_message(**shown.change())

    async def then(shown: Response) -> None:
        await interaction.edit_original_response(**shown.change())

    return await _show(interaction, response, first, then)


async def edit_with(
    interaction: Interaction,
    work: Coroutine[Any, Any, Response],
    on_not_shown: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Do what a pressed button is for and put the answer in place of the message that it is on.

    A refusal, or any other failure, leaves the message there. `on_not_shown` is called where
    the work was done and its answer could not be shown. Errors: NotShown, and those of the work.
    """
    response = await defer_if_slow(interaction, work, new=False)
    is_there = False
    try:
        is_there = await edit_response(interaction, response)
    finally:
        if not is_there and on_not_shown is not None:
            await on_not_shown()


def is_expired(error: BaseException | None) -> bool:
    """Whether Discord says that the interaction's time is over: nobody can be answered."""
    return (
        isinstance(error, discord.HTTPException) and meaning_of(error.code) is Meaning.INTERACTION
    )


def say_expired(interaction: Interaction, error: Exception) -> None:
    """One quiet line: people press old buttons, and a busy moment makes an answer late."""
    command = interaction.command.qualified_name if interaction.command else None
    log.info("interaction.expired", command=command, reason=error_text(error))


async def say(interaction: Interaction, text: str) -> None:
    """Say to the caller alone what did not work; if that fails too, it is a line in the log."""
    try:
        try:
            if not interaction.response.is_done():
                await interaction.response.send_message(text, ephemeral=True)
                return
        except discord.HTTPException as error:
            if error.code != ALREADY_ANSWERED:
                raise
        await interaction.followup.send(text, ephemeral=True)
    except DISCORD_ERRORS as error:
        if is_expired(error):
            say_expired(interaction, error)
            return
        log.warning("interaction.not_answered", reason=error_text(error))


# ── showing ───────────────────────────────────────────────────────────────────────────────────


async def _show(
    interaction: Interaction,
    response: Response,
    first: Callable[[Response], Awaitable[None]],
    then: Callable[[Response], Awaitable[None]],
) -> bool:
    """Show it, again where that may help, with less in it where Discord refuses the form.

    `first` is the way as long as Discord has had no answer, `then` the way after that, be it that
    the confirmation was lost. False if it was too late. Errors: NotShown.
    """
    answered, tries = interaction.response.is_done(), 0
    shown = response
    while True:
        try:
            await (then if answered else first)(shown)
        except DISCORD_ERRORS as error:
            outcome = outcome_of(error)
            if getattr(error, "code", None) == ALREADY_ANSWERED and not answered:
                answered = True  # its confirmation was lost
            elif is_expired(error):
                say_expired(interaction, error)
                return False
            elif isinstance(outcome, RetryLater) and tries < len(AGAIN_S):
                await asyncio.sleep(AGAIN_S[tries])
                tries += 1
            elif not isinstance(outcome, RetryLater) and shown is response:
                log.warning("interaction.response_rejected", reason=outcome.reason)
                shown = response.as_text()
            else:
                raise NotShown(error_text(error)) from error
        else:
            return True
