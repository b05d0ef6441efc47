"""The answers of /latest and /versions, and what is pressed on them."""

import re
from typing import Final

import discord

from bot.cards.compare_button import LABEL, compare_id
from bot.cogs.components import Handlers, chosen_values
from bot.cogs.interaction import actor_of, channel_id_of, guild_id_of
from bot.cogs.persistent import PersistentButton, PersistentSelect, link_button, view_of
from bot.cogs.responses import FileToSend, Interaction, Response, UserError, edit_with
from bot.cogs.versions import texts
from bot.services.project_reading import MeantProject
from bot.services.subscribe_results import CommandCaller
from bot.services.version_lookup import VersionLookup, VersionPage, WholeVersion
from bot.speckle.links import ID, Links, server_key

SPECKLE_ID: Final = ID.pattern
PROJECT: Final = rf"(?P<server>[0-9a-f]{{8}}):(?P<project>{SPECKLE_ID})"
PAGE: Final = r"(?P<page>[0-9]{1,2})"
SERVER_GONE: Final = (
    "This button is of a Speckle server that the bot no longer works with. Ask the person who runs "
    "the bot, or use the command again with a project of another server."
)


def caller_of(interaction: Interaction) -> CommandCaller:
    """Who asks, and where."""
    channel = interaction.channel
    return CommandCaller(
        guild_id_of(interaction),
        actor_of(interaction),
        channel_id_of(interaction, None),
        reads_history=interaction.permissions.read_message_history,
        parent_id=channel.parent_id if isinstance(channel, discord.Thread) else None,
    )


class VersionPages:
    """One version, and lists of a model's."""

    def __init__(self, lookup: VersionLookup) -> None:
        self._lookup = lookup
        self.handlers: Handlers = {
            f"versions:list:{PROJECT}:(?P<model>{SPECKLE_ID}):{PAGE}": self._on_list,
            f"versions:pick:{PROJECT}": self._on_pick,
        }

    async def latest(
        self, interaction: Interaction, project: str | None, model: str | None
    ) -> Response:
        """The newest version."""
        whole = await self._lookup.latest(caller_of(interaction), project, model)
        return self._whole(whole)

    async def listed(self, interaction: Interaction, project: str | None, model: str) -> Response:
        """The newest page of a model's versions."""
        page = await self._lookup.listed(caller_of(interaction), project, model)
        return self._page(page)

    async def _on_list(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Show a page in place of what is there."""

        async def page() -> Response:
            project, number = self.project_of(match), int(match["page"])
            caller = caller_of(interaction)
            return self._page(await self._lookup.page(caller, project, match["model"], number))

        await edit_with(interaction, page())

    async def _on_pick(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Show the chosen version in place of the list."""
        (version_id,) = chosen_values(interaction)

        async def whole() -> Response:
            project = self.project_of(match)
            return self._whole(await self._lookup.one(caller_of(interaction), project, version_id))

        await edit_with(interaction, whole())

    def project_of(self, match: re.Match[str]) -> MeantProject:
        """The project that a button is about. Errors: UserError."""
        project = self._lookup.meant(match["server"], match["project"])
        if project is None:
            raise UserError(SERVER_GONE)
        return project

    def _whole(self, whole: WholeVersion) -> Response:
        embed, picture = texts.whole_embed(whole), whole.picture
        files = []
        if picture is not None:
            files.append(FileToSend(picture.name, picture.content, texts.alt_text(whole)))
            embed.set_image(url=picture.url)
        version, project = whole.found.version, whole.project
        view = view_of(
            link_button("Open in Speckle", texts.version_url(whole, whole.found)),
            _compare_button(whole),
            _list_button("All versions", project, version.model.id, 0),
        )
        return Response(embed=embed, view=view, files=files)

    def _page(self, page: VersionPage) -> Response:
        project, model_id = page.project, page.model.id
        newer = _list_button("Newer", project, model_id, page.page - 1) if page.page else None
        older = (
            _list_button("Older", project, model_id, page.page + 1)
            if page.page + 1 < page.pages
            else None
        )
        url = Links(project.server_url).model(project.project_id, model_id, page.model.name)
        view = view_of(_select(page), newer, older, link_button("Open in Speckle", url))
        return Response(embed=texts.page_embed(page), view=view)


def project_key(project: MeantProject) -> str | None:
    """A project in a custom id; None for ids of a form that is not known."""
    if not ID.fullmatch(project.project_id):
        return None
    return f"{server_key(project.server_url)}:{project.project_id}"


def _compare_button(whole: WholeVersion) -> PersistentButton | None:
    """Compares a version with the one before it."""
    project = whole.project
    custom_id = compare_id(project.server_url, project.project_id, whole.found.version.id)
    if whole.before is None or custom_id is None:
        return None
    return PersistentButton(label=LABEL, custom_id=custom_id)


def _list_button(
    label: str, project: MeantProject, model_id: str | None, page: int
) -> PersistentButton | None:
    key = project_key(project)
    if key is None or model_id is None or not ID.fullmatch(model_id):
        return None
    return PersistentButton(label=label, custom_id=f"versions:list:{key}:{model_id}:{page}")


def _select(page: VersionPage) -> PersistentSelect | None:
    key = project_key(page.project)
    if key is None:
        return None
    options = []
    for one in page.versions:
        label, below = texts.choice_text(one)
        option = discord.SelectOption(label=label, description=below, value=one.version.id)
        options.append(option)
    return PersistentSelect(
        custom_id=f"versions:pick:{key}",
        placeholder="Choose a version to see it whole",
        options=options,
    )
