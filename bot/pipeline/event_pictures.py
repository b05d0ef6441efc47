"""Pictures that a Speckle server has of events: previews of versions, and what facts name.

All are asked for as a permit allows. What comes is checked to be a picture, as something that
answers in the server's place may send anything.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit

from bot.cards.card import Picture
from bot.cards.pictures import (
    MAX_SCREENSHOT_BYTES,
    is_blank,
    is_public_url,
    picture_from,
)
from bot.cards.scaling import scaled
from bot.fairness import FairSemaphore
from bot.model import Hook
from bot.services.access_rules import ReadPermit
from bot.services.token_lending import TokenLender
from bot.speckle.events import CommentCreated, CommentReplied, Event, IssueCreated, IssueReplied
from bot.speckle.facts import AttachedFile, CommentFacts, Facts, IssueFacts
from bot.speckle.visibility import PUBLIC
from bot.speckle_api.files import ServerFiles
from bot.speckle_api.previews import NoPicture, preview_url
from bot.speckle_api.types import Login
from bot.speckle_api.version_pictures import VersionPictures

# One of 64 million pixels takes 600 MB while it is made small.
THREADS: Final = 1
SHOWN_TYPES: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")


def may_name_picture(event: Event) -> bool:
    """Whether the server's facts of an event may name a picture, besides what the event carries."""
    match event:
        case CommentCreated(screenshot=None) | CommentReplied():
            return event.files > 0
        case IssueCreated() | IssueReplied():
            return True
        case _:
            return False


class EventPictures:
    """Asks for them, as a permit allows."""

    def __init__(self, versions: VersionPictures, files: ServerFiles, lender: TokenLender) -> None:
        self._versions = versions
        self._files = files
        self._lender = lender
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="files")
        self._turns = FairSemaphore(THREADS)

    def close(self) -> None:
        """Drop what is still being asked."""
        self._versions.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def of_version(
        self, permit: ReadPermit, hook: Hook, version_id: str, within_s: float
    ) -> Picture | str | NoPicture:
        """A version's preview: its address where Discord can fetch it, else itself.

        Errors: SpeckleError of each kind.
        """
        if permit.is_anonymous or hook.visibility in PUBLIC:
            # As a stranger: what they cannot see any more is not shown by its address.
            stranger = Login(permit.server_url)
            seen = await self._versions.of(stranger, permit.project_id, version_id, within_s)
            url = preview_url(permit.server_url, permit.project_id, version_id)
            if isinstance(seen, Picture):
                return url if is_public_url(url) else seen
            if seen in (NoPicture.NOT_YET, NoPicture.BLANK) or permit.is_anonymous:
                return seen
        return await self._lender.with_permit(
            permit, lambda login: self._versions.of(login, permit.project_id, version_id, within_s)
        )

    async def named_by(
        self, permit: ReadPermit, facts: Facts, within_s: float
    ) -> Picture | str | NoPicture:
        """The picture of an issue, or the first picture among the files of a text.

        An address of the server itself is asked with the permit; any other is left to Discord, and
        gets nothing from here. Errors: SpeckleError of each kind.
        """
        url, files = _named(facts)
        if url is not None and _is_of(permit.server_url, url):
            return await self._lender.with_permit(
                permit, lambda login: self._at(login, url, within_s)
            )
        if url is not None:
            return url if is_public_url(url) else NoPicture.MISSING
        shown = next((one for one in files if one.name.lower().endswith(SHOWN_TYPES)), None)
        if shown is None:
            return NoPicture.MISSING
        return await self._lender.with_permit(
            permit, lambda login: self._blob(login, permit.project_id, shown.id, within_s)
        )

    async def _blob(
        self, login: Login, project_id: str, blob_id: str, within_s: float
    ) -> Picture | NoPicture:
        content = await self._files.blob(login, project_id, blob_id, within_s=within_s)
        return await self._in_turn(_shown, content, "file")

    async def _at(self, login: Login, url: str, within_s: float) -> Picture | NoPicture:
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        content = await self._files.at(login, path, within_s=within_s)
        return await self._in_turn(_shown, content, "issue")

    async def _in_turn(
        self, work: Callable[[bytes, str], Picture | NoPicture], content: bytes, stem: str
    ) -> Picture | NoPicture:
        """What a thread of its own makes of a picture; who stops waiting stops no thread."""
        async with self._turns.slot():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, work, content, stem)


def _shown(content: bytes, stem: str) -> Picture | NoPicture:
    """The picture that these bytes are, small enough for a message. Slow: for a thread."""
    small = scaled(content, MAX_SCREENSHOT_BYTES)
    picture = None if small is None else picture_from(small, stem, MAX_SCREENSHOT_BYTES)
    if picture is None:
        return NoPicture.MISSING
    return NoPicture.BLANK if is_blank(picture.content) else picture


def _named(facts: Facts) -> tuple[str | None, tuple[AttachedFile, ...]]:
    """The address of a picture, and the files that came with the text that a card shows."""
    match facts:
        case IssueFacts() if facts.reply is not None:
            return None, facts.reply.files
        case IssueFacts():
            return facts.issue.picture_url, facts.issue.files
        case CommentFacts():
            return None, facts.files
        case _:
            return None, ()


def _is_of(server_url: str, url: str) -> bool:
    """Whether an address is one of the server's own."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}".lower() == server_url.lower()
    except ValueError:
        return False
