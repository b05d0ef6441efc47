"""The pictures of who did what a list tells of: a list has no more than their ids."""

import asyncio
from functools import partial
from typing import Final

from bot.cards.pictures import MAX_AVATAR_BYTES, is_public_url, picture_of
from bot.errors import SpeckleError, SpeckleUnconfirmed, StorageUnavailable
from bot.pipeline.picture_resizer import PictureResizer
from bot.services.access_rules import ReadPermit
from bot.services.token_lending import TokenLender
from bot.single_flight import SingleFlightCache
from bot.speckle.events import Delivery, Event
from bot.speckle_api.avatars import asked_by
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.graphql import AnswerTooLarge

KEEP_S: Final = 6 * 60 * 60.0
MOST: Final = 256  # of about 10 kB each, and never more than 90 kB
QUESTION_S: Final = 10.0  # an answer that nobody waits for any more is kept for the next event


class AuthorPictures:
    """Asks once for a person, as a permit allows, with what they made; that there is none is kept
    too.
    """

    def __init__(
        self, client: SpeckleClient, lender: TokenLender, picture_resizer: PictureResizer
    ) -> None:
        self._client = client
        self._lender = lender
        self._picture_resizer = picture_resizer
        self._kept = SingleFlightCache[str | None](max_values=MOST, ttl_s=KEEP_S)

    def close(self) -> None:
        """Drop what is still being asked."""
        self._kept.close()

    async def of(self, permit: ReadPermit, delivery: Delivery, within_s: float) -> str | None:
        """The picture of who did it, as a card carries it; None where there is none in time."""
        actor, event = delivery.actor, delivery.event
        if actor is None:
            return None
        key = (permit.reader, permit.server_url, actor.id)
        if asked_by(event) is None and not self._kept.has(key):
            return None
        try:
            async with asyncio.timeout(within_s):
                return await self._kept.get(key, partial(self._asked, permit, event, actor.id))
        except (SpeckleError, StorageUnavailable, TimeoutError):
            return None

    async def _asked(self, permit: ReadPermit, event: Event, person_id: str) -> str | None:
        try:
            found = await self._lender.with_permit(
                permit,
                lambda login: self._client.avatars(
                    login, permit.project_id, event, within_s=QUESTION_S
                ),
            )
        except AnswerTooLarge:
            return None
        if person_id not in found:
            raise SpeckleUnconfirmed(permit.server_url, "it was made by somebody else")
        avatar = found[person_id]
        small = None if avatar is None else await self._picture_resizer.small_avatar(avatar)
        return small if small is not None and _is_shown(small) else None


def _is_shown(avatar: str) -> bool:
    """Whether a card can show it: what is no picture is not kept, however large it is."""
    return is_public_url(avatar) or picture_of(avatar, "avatar", MAX_AVATAR_BYTES) is not None
