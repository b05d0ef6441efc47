"""Versions: the questions about one, and their answers read into values. No I/O."""

from typing import Any, Final

from bot.speckle.events import ModelRef
from bot.speckle.facts import PreviousVersion, VersionFacts
from bot.speckle.wire import MAX_TEXT, id_of, name_of, text_of
from bot.speckle_api.answers import child, items, model_ref, moment, person

BUNDLE: Final = "bundle."  # then project, model and version: in place of an object's id

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
      model { id name versions(limit: 50) { items { id createdAt } } }
    }
  }
}
"""
VERSION_NAME: Final = """
query VersionName($project: String!, $version: String!) {
  project(id: $project) { version(id: $version) { message model { id name } } }
}
"""


def read_version_facts(data: Any, version_id: str) -> VersionFacts:
    """What the answer says; a part that is missing stays None."""
    found = child(data, "project", "version")
    root = text_of(child(found, "referencedObject"), MAX_TEXT) or ""
    object_id, model = id_of(root), model_ref(child(found, "model"))
    parents = child(found, "parents")
    return VersionFacts(
        previous=_before(child(found, "model", "versions"), version_id),
        made_at=moment(child(found, "createdAt")),
        application=name_of(child(found, "sourceApplication")),
        author=person(child(found, "authorUser")),
        model=model,
        message=text_of(child(found, "message")),
        object_id=object_id,
        bundle=root.startswith(BUNDLE),
        parents=tuple(filter(None, map(id_of, parents if isinstance(parents, list) else ()))),
    )


def _before(listed: Any, version_id: str) -> PreviousVersion | None:
    """The version before this one in its model; unknown beyond the newest ones."""
    newest_first = list(items(child(listed, "items")))
    ids = [item.get("id") for item in newest_first]
    if version_id not in ids:
        return None
    before = next(iter(newest_first[ids.index(version_id) + 1 :]), {})
    before_id = id_of(before.get("id"))
    if before_id is None:
        return None
    return PreviousVersion(before_id, moment(before.get("createdAt")))


def read_version_name(data: Any) -> tuple[ModelRef, str | None]:
    """A version's model and message."""
    version = child(data, "project", "version")
    return model_ref(child(version, "model")), text_of(child(version, "message"))
