"""Pictures that the server's facts name, over real sockets: of issues, and files of texts."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from time import sleep
from typing import Any, TypeVar

import pytest
from PIL import Image

from bot.cards.card import Picture
from bot.errors import SpeckleError, SpeckleNotFound
from bot.pipeline.event_pictures import EventPictures, may_name_picture
from bot.services.access_rules import ReadPermit
from bot.speckle.events import CommentCreated, CommentReplied, Event, IssueCreated, VersionDeleted
from bot.speckle.facts import AttachedFile, CommentFacts, Facts, Issue, IssueFacts, IssueReply
from bot.speckle_api.files import ServerFiles
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.previews import NoPicture, Previews
from bot.speckle_api.types import Login
from bot.speckle_api.version_pictures import VersionPictures
from bot.timing import utc_now
from sandbox.speckle import ServerProject, SpeckleServer

T = TypeVar("T")
NOW: datetime = utc_now()


def png(colour: tuple[int, int, int, int] = (200, 40, 40, 255)) -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", (64, 40), colour).save(out, "PNG")
    return out.getvalue()


@dataclass
class Lender:
    """Lends one token to every permit."""

    token: str | None

    async def with_permit(self, permit: ReadPermit, ask: Callable[[Login], Awaitable[T]]) -> T:
        return await ask(Login(permit.server_url, self.token))


@dataclass
class Quay:
    """A private project with a file of each kind, and who asks for them."""

    server: SpeckleServer
    http: SpeckleHttp
    project: ServerProject
    token: str

    async def found(self, facts: Facts, token: str | None = None) -> Picture | str | NoPicture:
        lender: Any = Lender(token or self.token)
        pictures = EventPictures(
            VersionPictures(Previews(self.http)), ServerFiles(self.http), lender
        )
        permit = ReadPermit(1, self.server.url, self.project.id, account_id=1)
        return await pictures.named_by(permit, facts, 5.0)


@pytest.fixture
async def quay() -> AsyncIterator[Quay]:
    async with SpeckleServer.start() as server, SpeckleHttp.open([server.url]) as http:
        ilse = server.add_user("Ilse Brandt")
        project = server.add_project("Quay House", owner=ilse)
        project.blobs |= {"b1": b"%PDF-1.7 a plan", "b2": png(), "b3": png((0, 0, 0, 0))}
        project.issue_pictures["i1"] = png()
        yield Quay(server, http, project, server.token(ilse))


def files(**names: str) -> tuple[AttachedFile, ...]:
    return tuple(AttachedFile(blob, name) for blob, name in names.items())


def issue(server: SpeckleServer, project: ServerProject, issue_id: str, **more: Any) -> IssueFacts:
    url = f"{server.url}/api/projects/{project.id}/issues/{issue_id}/preview"
    return IssueFacts(Issue(issue_id, picture_url=url), NOW, **more)


async def test_the_first_picture_among_the_files_is_shown(quay: Quay) -> None:
    for facts in (
        CommentFacts("t", files=files(b1="plan.pdf", b2="Site.PNG", b3="empty.png")),
        issue(quay.server, quay.project, "i1", reply=IssueReply("r", NOW, files=files(b2="a.jpg"))),
    ):
        found = await quay.found(facts)
        assert isinstance(found, Picture)
        assert found.content == png()


async def test_an_issue_shows_what_was_seen_when_it_was_opened(quay: Quay) -> None:
    found = await quay.found(issue(quay.server, quay.project, "i1"))
    assert isinstance(found, Picture)


async def test_what_is_no_picture_or_has_nothing_to_see_is_not_shown(quay: Quay) -> None:
    assert await quay.found(CommentFacts("t", files=files(b1="plan.pdf"))) is NoPicture.MISSING
    assert await quay.found(CommentFacts("t", files=files(b1="plan.png"))) is NoPicture.MISSING
    assert await quay.found(CommentFacts("t", files=files(b3="empty.png"))) is NoPicture.BLANK
    with pytest.raises(SpeckleNotFound):
        await quay.found(issue(quay.server, quay.project, "gone"))


async def test_who_may_not_see_the_project_gets_no_file_of_it(quay: Quay) -> None:
    stranger = quay.server.token(quay.server.add_user("Bruno Achterberg"))
    with pytest.raises(SpeckleError):
        await quay.found(CommentFacts("t", files=files(b2="site.png")), stranger)
    with pytest.raises(SpeckleError):
        await quay.found(issue(quay.server, quay.project, "i1"), stranger)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://pictures.example.com/i1.png?signature=x", True),
        ("http://169.254.169.254/latest/meta-data", False),
        ("http://localhost:9/x.png", False),
        ("javascript:alert(1)", False),
        ("http://[", False),
    ],
)
async def test_an_address_elsewhere_is_left_to_discord_and_asked_by_nobody_here(
    quay: Quay, url: str, shown: bool
) -> None:
    quay.server.requests.clear()
    found = await quay.found(IssueFacts(Issue("i1", picture_url=url), NOW))
    assert found == (url if shown else NoPicture.MISSING)
    assert quay.server.requests == []


@pytest.mark.parametrize(
    ("event", "may"),
    [
        (CommentCreated(files=1), True),
        (CommentCreated(files=0), False),
        (CommentCreated(files=1, screenshot="data:image/png;base64,AA=="), False),
        (CommentReplied("t", files=2), True),
        (IssueCreated(), True),
        (VersionDeleted("v"), False),
    ],
)
def test_only_events_that_may_have_a_picture_are_asked_for_one(event: Event, may: bool) -> None:
    assert may_name_picture(event) is may


async def test_pictures_are_made_small_one_after_the_other() -> None:
    """Each may take much memory, however many come at once, and if nobody waits any more."""
    nobody: Any = None
    pictures = EventPictures(VersionPictures(nobody), nobody, nobody)
    running, most = 0, 0

    def work(_content: bytes, _stem: str) -> NoPicture:
        nonlocal running, most
        running += 1
        most = max(most, running)
        sleep(0.02)
        running -= 1
        return NoPicture.MISSING

    async def impatient() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.03):
                await pictures._in_turn(work, b"", "")

    await asyncio.gather(*(impatient() for _ in range(8)))
    await pictures._in_turn(work, b"", "")
    pictures.close()
    assert most == 1
