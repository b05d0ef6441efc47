"""The answers of /compare, and what is pressed on them and on cards."""

import asyncio
import re
from typing import Final

from bot.cards.compare_button import PREFIX
from bot.cogs.components import Handlers
from bot.cogs.persistent import PersistentButton, link_button, view_of
from bot.cogs.responses import Interaction, Response, defer_if_slow, edit_with, respond
from bot.cogs.versions import compare_texts
from bot.cogs.versions.pages import PAGE, PROJECT, SPECKLE_ID, VersionPages, caller_of, project_key
from bot.services.version_comparison import ComparedVersions, VersionComparison
from bot.speckle.links import ID

PAIR: Final = rf"{PROJECT}:(?P<before>{SPECKLE_ID}):(?P<after>{SPECKLE_ID})"


class ComparePages:
    """Two versions and what differs."""

    def __init__(self, comparison: VersionComparison, pages: VersionPages) -> None:
        self._comparison = comparison
        self._project_of = pages.project_of
        self.handlers: Handlers = {
            f"{PREFIX}:{PROJECT}:(?P<after>{SPECKLE_ID})": self._on_version,
            f"{PREFIX}:{PROJECT}:(?P<after>{SPECKLE_ID}):(?P<before>{SPECKLE_ID})": self._on_pair,
            f"compare:page:{PAIR}:{PAGE}": self._on_page,
            f"compare:table:{PAIR}": self._on_table,
        }

    async def typed(
        self,
        interaction: Interaction,
        project: str | None,
        model: str | None,
        a: str | None,
        b: str | None,
    ) -> Response:
        """The versions that were typed."""
        found = await self._comparison.typed(caller_of(interaction), project, model, a, b)
        return await _page(found, 0)

    async def _on_version(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Compare a version with the one before it, as an answer of its own."""

        async def page() -> Response:
            project, caller = self._project_of(match), caller_of(interaction)
            found = await self._comparison.with_the_one_before(caller, project, match["after"])
            return await _page(found, 0)

        await respond(interaction, await defer_if_slow(interaction, page()))

    async def _on_pair(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Compare a version with the one that its card names, as an answer of its own."""

        async def page() -> Response:
            return await _page(await self._pair(interaction, match, with_pictures=True), 0)

        await respond(interaction, await defer_if_slow(interaction, page()))

    async def _on_page(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Show a page in place of what is there."""
        number = int(match["page"])

        async def page() -> Response:
            found = await self._pair(interaction, match, with_pictures=number == 0)
            return await _page(found, number)

        await edit_with(interaction, page())

    async def _on_table(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Send the table, as an answer of its own."""

        async def table() -> Response:
            found = await self._pair(interaction, match, with_pictures=False)
            file = await asyncio.to_thread(compare_texts.table_of, found)
            files = [] if file is None else [file]
            return Response(compare_texts.table_text(found), files=files)

        await respond(interaction, await defer_if_slow(interaction, table()))

    async def _pair(
        self, interaction: Interaction, match: re.Match[str], *, with_pictures: bool
    ) -> ComparedVersions:
        return await self._comparison.pair(
            caller_of(interaction),
            self._project_of(match),
            match["before"],
            match["after"],
            with_pictures=with_pictures,
        )


async def _page(found: ComparedVersions, page: int) -> Response:
    # In a thread, as there may be thousands of names.
    embeds, pages = await asyncio.to_thread(compare_texts.compared_embeds, found, page)
    page = min(page, pages - 1)
    back = _button(found, "page", "Back", page - 1) if page else None
    on = _button(found, "page", "Next", page + 1) if page + 1 < pages else None
    has_table = compare_texts.has_table(found)
    view = view_of(
        back,
        on,
        _button(found, "table", "As a table (CSV)") if has_table else None,
        link_button("Open in Speckle", compare_texts.compared_url(found)),
    )
    return Response(embeds=embeds, view=view, files=compare_texts.compared_files(found))


def _button(
    found: ComparedVersions, what: str, label: str, page: int | None = None
) -> PersistentButton | None:
    key, before = project_key(found.project), found.before
    if (
        key is None
        or before is None
        or not (ID.fullmatch(before.id) and ID.fullmatch(found.after.id))
    ):
        return None
    which = "" if page is None else f":{page}"
    custom_id = f"compare:{what}:{key}:{before.id}:{found.after.id}{which}"
    return PersistentButton(label=label, custom_id=custom_id)
