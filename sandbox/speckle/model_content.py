"""What the versions consist of that people publish: elements, changed in ways that connectors are
known for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sandbox.speckle.entities import Model, ServerProject, Version
from sandbox.speckle.http_api import SpeckleServer
from sandbox.speckle.made_bundles import as_bundle, put_bundle
from sandbox.speckle.made_models import MadeElement, each, made_model, usual_change
from sandbox.speckle.made_trees import MadeTree, as_tree

NUMBERS_A_TURN: Final = 100_000  # what comes has numbers that nothing had before
SHIFT: Final = 0.01  # metres
USUAL: Final = "usual"

Elements = Sequence[MadeElement]


@dataclass(frozen=True, slots=True)
class ModelChange:
    """One way to change a model. `title` is for who chooses it; `make` gets the turn's number."""

    title: str
    make: Callable[[Elements, int], Elements]


def _all_new(elements: Elements, turn: int) -> Elements:
    return each(elements, lambda one: replace(one, id=f"{turn}.{one.id}"))


CHANGES: Final[Mapping[str, ModelChange]] = {
    USUAL: ModelChange(
        "Some elements come, go and differ",
        lambda there, turn: usual_change(there, turn * NUMBERS_A_TURN, f"checked {turn}"),
    ),
    "nothing": ModelChange("Nothing: the same once more", lambda there, _: there),
    "exported-again": ModelChange(
        "Exported again: only the meshes' ids are new",
        lambda there, turn: each(there, lambda one: replace(one, meshed=turn)),
    ),
    "one-property": ModelChange(
        "One property of every element",
        lambda there, turn: each(there, lambda one: one.with_property("exportedAt", f"no {turn}")),
    ),
    "geometry": ModelChange(
        "The geometry of every element",
        lambda there, _: each(there, lambda one: replace(one, place=one.place + SHIFT)),
    ),
    "new-ids": ModelChange("Every element's id", _all_new),
    "everything": ModelChange(
        "Every element's id, and what is in it",
        lambda there, turn: each(
            _all_new(there, turn), lambda one: one.with_property("IfcGUID", f"{turn}.{one.id}")
        ),
    ),
}


def known_change(name: str) -> str:
    """The name of one of CHANGES. Errors: ValueError."""
    if name not in CHANGES:
        raise ValueError(f"It is none of {', '.join(CHANGES)}")
    return name


@dataclass(frozen=True, slots=True)
class Content:
    """Elements, written as a version of a server holds them."""

    elements: Elements
    written: MadeTree | Mapping[str, bytes]

    @classmethod
    def of(cls, elements: Elements, *, bundle: bool) -> "Content":
        """Write them, which takes a second for some 1,500 elements."""
        return cls(elements, as_bundle(elements) if bundle else as_tree(elements))

    def put_into(self, project: ServerProject) -> str | None:
        """Put a tree's objects into a project, and give its root's id; None of a bundle."""
        if not isinstance(self.written, MadeTree):
            return None
        project.objects.update(self.written.objects)
        return self.written.root

    def give_to(self, server: SpeckleServer, version: Version) -> None:
        """Have a version consist of it."""
        version.elements = self.elements
        if isinstance(self.written, MadeTree):
            version.object_id = self.put_into(version.model.project) or version.object_id
        else:
            put_bundle(server, version, self.written)


@dataclass(frozen=True, slots=True)
class NextVersion:
    """What is published next in a model, and what the version before it turns out to consist of."""

    content: Content
    before: Content | None

    @classmethod
    def prepared(cls, server: SpeckleServer, model: Model, change: str, size: int) -> "NextVersion":
        """Change the newest version of a model; one of which nothing is known had `size` elements.

        A model without versions gets these.
        """
        versions = [one for one in model.project.versions if one.model is model]
        there = versions[-1].elements if versions else None
        first = there or made_model(size)[0]
        is_bundle = server.has_bundles
        if not versions:
            return cls(Content.of(first, bundle=is_bundle), None)
        before = None if there else Content.of(first, bundle=is_bundle)
        after = CHANGES[change].make(first, len(versions))
        return cls(Content.of(after, bundle=is_bundle), before)

    def complete(self, server: SpeckleServer, model: Model) -> None:
        """Have the version before consist of what is known of it now."""
        if self.before is not None:
            last = next(one for one in reversed(model.project.versions) if one.model is model)
            self.before.give_to(server, last)
