"""What docs/speckle.md says of what live knows, against what is shown in a channel that is live."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from sandbox.speckle import Release
from sandbox.speckle.people_at_work import PersonAtWork
from tests.pipeline import test_live
from tests.pipeline.test_live import LIVE, Workshop
from tests.waiting import until

timings, workshop = test_live.timings, test_live.workshop
PAGE = Path(__file__).parent.parent.parent / "docs/speckle.md"
NONE = "–"
TITLES: Mapping[str, tuple[str, ...]] = {
    "new, edited, deleted versions and models": (
        "New version",
        "Version edited",
        "Version deleted",
        "New model",
        "Model deleted",
    ),
    "which version someone loaded": ("Version received",),
    "versions moved to another model": ("Version moved",),
    "comments, replies, resolved threads": ("New comment", "Reply in a thread", "Thread resolved"),
    "issues: opened, changed": ("Beam clash", "Issue deleted"),
    "invitations and requests for access": ("Invitation sent", "Access requested"),
}
"""Beginnings of rows, and what is shown where they say so."""


def said(column: str) -> Mapping[str, str]:
    """A column of the table *What works where*, by the beginnings of the rows."""
    table = PAGE.read_text("utf-8").split("## What works where")[1].split("\n\n1. ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    place = rows[0].index(column)
    return {begins: _cell(rows, begins)[place] for begins in TITLES}


def _cell(rows: list[list[str]], begins: str) -> list[str]:
    (row,) = [row for row in rows if row[0].startswith(begins)]
    return row


async def test_the_page_says_what_is_known_of_what_is_live(
    workshop: Workshop, release: Release
) -> None:
    server, tower = workshop.server, workshop.tower
    ilse = PersonAtWork(server, workshop.ilse)
    kofi, nobody = server.add_user("Kofi Mensah"), server.add_user("Ada Larsen")
    stranger = PersonAtWork(server, kofi)
    model = server.add_model(tower, "slab", author=workshop.ilse)
    old = server.add_model(tower, "old", author=workshop.ilse)
    edited, moved, gone = (
        server.add_version(tower, model, author=workshop.ilse, message=one)
        for one in ("typo", "stray", "wrong")
    )
    async with workshop.start():
        await workshop.link(workshop.studio.maren, workshop.ilse)
        assert LIVE in await workshop.subscribe()
        await workshop.type("subscribe", stream_id=tower.id, events="all")
        await asyncio.sleep(2.5)
        workshop.publish("slab poured")
        ilse.receive(edited, "revit", "loaded")
        ilse.update_version(edited, "no typo any more")
        ilse.move_version(moved, "old")
        ilse.delete_version(gone)
        ilse.comment(edited, "is it dry?")
        ilse.reply(tower.comments[0], "it is")
        ilse.resolve(tower.comments[0], resolved=True)
        if release.bundles:
            ilse.open_issue(edited, "Beam clash", "see the picture")
            mistake, _ = server.add_issue(tower, "No clash", author=workshop.ilse)
        ilse.invite(tower, nobody, "stream:reviewer")
        stranger.ask_for_access(tower)
        await asyncio.sleep(2.5)
        ilse.delete_model(old)
        if release.bundles:
            ilse.delete_issue(mistake)
        await until(lambda: "Model deleted" in workshop.shown())
        await asyncio.sleep(2.5)
        shown = workshop.shown()
    for begins, cell in said("2.31, live" if release.name == "2.31" else "4, live").items():
        for title in TITLES[begins]:
            assert (title in shown) == (cell != NONE), (begins, title, cell)
