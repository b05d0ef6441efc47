"""Pictures of versions, checked to be pictures: asked for once for each who may read."""

import asyncio
from typing import Final

from bot.cards.card import Picture
from bot.cards.pictures import MAX_PREVIEW_BYTES, is_blank, picture_from
from bot.single_flight import SingleFlightCache
from bot.speckle_api.previews import NoPicture, Previews, Rendered
from bot.speckle_api.types import Login

KEEP_S: Final = 60.0
MOST_PICTURES: Final = 16  # of up to 4 MiB


class VersionPictures:
    """Keeps the last ones for a moment; what is not there yet is asked for again."""

    def __init__(self, previews: Previews) -> None:
        self._previews = previews
        self._kept = SingleFlightCache[Picture | NoPicture](max_values=MOST_PICTURES, ttl_s=KEEP_S)

    def close(self) -> None:
        """Drop what is still being asked."""
        self._kept.close()

    async def of(
        self, login: Login, project_id: str, version_id: str, within_s: float
    ) -> Picture | NoPicture:
        """A version's picture. Errors: SpeckleUnavailable, SpeckleTokenRefused."""

        async def ask() -> Picture | NoPicture:
            answer = await self._previews.of_version(
                login, project_id, version_id, within_s=within_s
            )
            if not isinstance(answer, Rendered):
                return answer
            picture = picture_from(answer.content, "preview", MAX_PREVIEW_BYTES)
            if picture is None:
                return NoPicture.MISSING
            blank = await asyncio.to_thread(is_blank, picture.content)
            return NoPicture.BLANK if blank else picture

        key = (login, project_id, version_id)
        answer = await self._kept.get(key, ask)
        if isinstance(answer, NoPicture):
            self._kept.forget(key)
        return answer
