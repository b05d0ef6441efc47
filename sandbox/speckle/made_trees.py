"""Made models as trees of objects, as connectors up to 3 send them: specklepy writes them."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from specklepy.objects.data_objects import DataObject
from specklepy.objects.geometry.mesh import Mesh
from specklepy.objects.models.collections.collection import Collection
from specklepy.serialization.base_object_serializer import BaseObjectSerializer
from specklepy.transports.memory import MemoryTransport

from sandbox.speckle.made_models import MadeElement


@dataclass(frozen=True, slots=True)
class MadeTree:
    """A tree of objects by their ids, and its root's."""

    root: str
    objects: Mapping[str, dict[str, Any]] = field(repr=False)


def as_tree(elements: Sequence[MadeElement], **of_root: Any) -> MadeTree:
    """The tree that a connector of Revit sends: levels, categories in them, elements in those."""
    levels: dict[str, dict[str, list[DataObject]]] = {}
    for one in elements:
        levels.setdefault(one.level, {}).setdefault(one.category, []).append(_object(one))
    root = Collection(
        name="Made model",
        elements=[
            Collection(name=level, elements=[_collection(*one) for one in inside.items()])
            for level, inside in levels.items()
        ],
    )
    for name, value in of_root.items():
        root[name] = value
    return written(root)


def _collection(name: str, elements: Sequence[DataObject]) -> Collection:
    return Collection(name=name, elements=list(elements))


def written(root: Collection) -> MadeTree:
    """The objects that specklepy writes for a root."""
    with warnings.catch_warnings():  # specklepy would rather write bundles
        warnings.simplefilter("ignore", DeprecationWarning)
        transport = MemoryTransport()
        root_id, _ = BaseObjectSerializer(write_transports=[transport]).write_json(root)
    objects = {one: json.loads(text) for one, text in transport.objects.items()}
    return MadeTree(root_id, objects)


def _object(one: MadeElement) -> DataObject:
    mesh = Mesh(
        vertices=[one.place, 0.0, 0.0, one.place + 1, 0.0, 0.0, one.place + 1, 0.0, 3.0],
        faces=[3, 0, 1, 2],
        units="m",
        applicationId=f"{one.id}-mesh-{one.meshed}",
    )
    made = DataObject(
        name=one.name, properties=dict(one.properties), displayValue=[mesh], applicationId=one.id
    )
    made["category"], made["level"] = one.category, one.level
    if one.hosted:
        made.add_detachable_attrs({"elements"})
        made["elements"] = [_object(hosted) for hosted in one.hosted]
    return made
