"""Versions: the questions about one, and their answers read into values. No I/O."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from bot.speckle.events import ModelRef
from bot.speckle.facts import PreviousVersion, VersionFacts
from bot.speckle.wire import MAX_TEXT, id_of, name_of, names_bundle, text_of
from bot.speckle_api.answers import child, items, model_ref, moment, person

# A version is compared a little after its card is shown, if none has followed it by then.
AT_ONCE: Final = timedelta(seconds=5)

# Without a number of objects: what is below the root object can be megabytes (object_counts.py).
VERSION_FACTS: Final = """
query VersionFacts($project: String!, $version: String!) {
  project(id: $project) {
    version(id: $version) {
      createdAt
      message
      referencedObject
      parents
      sourceApplication
      authorUser { id name }
      model { id name versions(limit: 50) { items { id createdAt referencedObject } } }
    }
  }
}
"""
VERSION_NAME: Final = """
query VersionName($project: String!, $version: String!) {
  project(id: $project) { version(id: $version) { message model { id name } } }
}
"""

ONE_VERSION: Final = """
query OneVersion($project: String!, $version: String!) {
  project(id: $project) {
    version(id: $version) {
      id moved: createdAt message sourceApplication referencedObject
      authorUser { id name }
      model { id name }
    }
  }
}
"""


def read_version_facts(data: Any, version_id: str) -> VersionFacts:
    """What the answer says; a part that is missing stays None."""
    found = child(data, "project", "version")
    root = text_of(child(found, "referencedObject"), MAX_TEXT) or ""
    object_id, model = id_of(root), model_ref(child(found, "model"))
    parents = child(found, "parents")
    newest_first = _listed(child(found, "model", "versions"))
    overtaken, compared_with = _compared(newest_first, version_id)
    return VersionFacts(
        previous=next(iter(_before(newest_first, version_id)), None),
        made_at=moment(child(found, "createdAt")),
        application=name_of(child(found, "sourceApplication")),
        author=person(child(found, "authorUser")),
        model=model,
        message=text_of(child(found, "message")),
        object_id=object_id,
        bundle=names_bundle(root),
        parents=tuple(filter(None, map(id_of, parents if isinstance(parents, list) else ()))),
        compared_with=compared_with,
        overtaken=overtaken,
    )


def _listed(versions: Any) -> list[PreviousVersion]:
    """A model's newest versions, the newest first."""
    found = []
    for item in items(child(versions, "items")):
        version_id, root = id_of(item.get("id")), text_of(item.get("referencedObject"), MAX_TEXT)
        if version_id is not None:
            is_bundle, at = names_bundle(root), moment(item.get("createdAt"))
            found.append(PreviousVersion(version_id, at, id_of(root), is_bundle))
    return found


def _before(newest_first: Sequence[PreviousVersion], version_id: str) -> Sequence[PreviousVersion]:
    """The versions before this one; unknown beyond the newest ones."""
    ids = [one.id for one in newest_first]
    return newest_first[ids.index(version_id) + 1 :] if version_id in ids else ()


def _compared(
    newest_first: Sequence[PreviousVersion], version_id: str
) -> tuple[bool, PreviousVersion | None]:
    """Whether the next version came at once, and the last one before this that none followed so."""
    before = _before(newest_first, version_id)
    newer, this = newest_first[: -len(before) - 1], newest_first[: len(newest_first) - len(before)]
    if newer and came_at_once(this[-1].created_at, newer[-1].created_at):
        return True, None
    after = this[-1:]
    for one in before:
        if not came_at_once(one.created_at, after[0].created_at):
            return False, one
        after = [one]
    return False, None


def came_at_once(first: datetime | None, then: datetime | None) -> bool:
    """Whether a version came right behind another."""
    return first is not None and then is not None and then - first < AT_ONCE


def read_version_name(data: Any) -> tuple[ModelRef, str | None]:
    """A version's model and message."""
    version = child(data, "project", "version")
    return model_ref(child(version, "model")), text_of(child(version, "message"))
