"""A project's versions as people look them up: the newest ones, one of them, the one before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bot.speckle.listed import ListedVersion
from bot.speckle_api import listings, versions
from bot.speckle_api.answers import MILLISECOND, child, iso, needed
from bot.speckle_api.asker import Asker
from bot.speckle_api.listings import FUTURE
from bot.speckle_api.types import Login

PAGE: Final = 50  # servers refuse more than 100


@dataclass(frozen=True, slots=True)
class VersionList:
    """The newest versions, the newest first; `total` is how many there are, None if not said."""

    versions: tuple[ListedVersion, ...] = ()
    total: int | None = None


class VersionLists:
    """Reads them. Times and errors are those of `SpeckleClient`."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    async def of_project(
        self, login: Login, project_id: str, limit: int, *, within_s: float | None = None
    ) -> VersionList:
        """The newest versions of all models."""
        wanted = {"project": project_id}
        return await self._listed(login, listings.VERSIONS, wanted, limit, within_s)

    async def of_model(
        self,
        login: Login,
        project_id: str,
        model_id: str,
        limit: int,
        *,
        within_s: float | None = None,
    ) -> VersionList:
        """The newest versions of a model. Further errors: SpeckleNotFound for no such model."""
        wanted = {"project": project_id, "model": model_id}
        return await self._listed(login, listings.MODEL_VERSIONS, wanted, limit, within_s)

    async def _listed(
        self,
        login: Login,
        question: str,
        wanted: Mapping[str, str],
        limit: int,
        within_s: float | None,
    ) -> VersionList:
        """At most so many; what one page has is never asked for a second one."""
        until, one_page = self._asker.until(within_s), limit <= PAGE
        listed = await self._asker.read_list(
            login, question, wanted, until, limit, FUTURE if one_page else None, min(limit, PAGE)
        )
        return VersionList(listings.read_versions(listed), listed.total)

    async def one(
        self, login: Login, project_id: str, version_id: str, *, within_s: float | None = None
    ) -> ListedVersion:
        """A version. Further errors: SpeckleNotFound for no such version."""
        wanted = {"project": project_id, "version": version_id}
        until = self._asker.until(within_s)
        data = await self._asker.read(login, versions.ONE_VERSION, wanted, until)
        found = child(data, "project", "version")
        version = listings.read_version(found) if isinstance(found, dict) else None
        return needed(login.server_url, version)

    async def before(
        self,
        login: Login,
        project_id: str,
        version: ListedVersion,
        *,
        within_s: float | None = None,
    ) -> ListedVersion | None:
        """The version before this one in its model; None for the first.

        Times are cut to milliseconds, so the list is read from the one after on.
        """
        if version.model.id is None:
            return None
        until = self._asker.until(within_s)
        wanted = {
            "project": project_id,
            "model": version.model.id,
            "limit": 3,
            "cursor": iso(version.at + MILLISECOND),
            "texts": True,
        }
        data = await self._asker.read(login, listings.MODEL_VERSIONS, wanted, until)
        found = listings.read_versions(listings.read_page(data))
        ids = [one.id for one in found]
        after = found[ids.index(version.id) + 1 :] if version.id in ids else found
        return next(iter(after), None)
