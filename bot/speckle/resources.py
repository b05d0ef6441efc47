"""What a comment or an issue is on, as Speckle writes it: "MODEL@VERSION,$folder,OBJECT,all"."""

from typing import Final

from bot.speckle.events import ResourceRef
from bot.speckle.links import WHOLE
from bot.speckle.wire import id_of, name_of

MAX_RESOURCES: Final = 50
OBJECT_ID_LENGTH: Final = 32
FOLDER: Final = "$"


def read_resources(text: str | None) -> tuple[ResourceRef, ...]:
    """The parts of a `resourceIdString`, each once; what is none of these is left out."""
    pieces = () if text is None else text.split(",")[:MAX_RESOURCES]
    found = map(_resource, pieces)
    return tuple(dict.fromkeys(resource for resource in found if resource is not None))


def _resource(piece: str) -> ResourceRef | None:
    piece = piece.strip()
    if piece == WHOLE:
        return ResourceRef(whole=True)
    if piece.startswith(FOLDER):
        folder = (name_of(piece) or "").removeprefix(FOLDER).strip("/ ")
        return ResourceRef(folder=folder) if folder else None
    model, _, version = piece.partition("@")
    model_id = id_of(model)
    if model_id is None:
        return None
    if len(model_id) == OBJECT_ID_LENGTH:
        return ResourceRef(object_id=model_id)
    return ResourceRef(model_id, id_of(version))


def resource_text(resource: ResourceRef) -> str | None:
    """The same as Speckle writes it; None for a version whose model is not known."""
    if resource.whole:
        return WHOLE
    if resource.folder is not None:
        return f"{FOLDER}{resource.folder}"
    if resource.model_id is None:
        return resource.object_id
    version = "" if resource.version_id is None else f"@{resource.version_id}"
    return f"{resource.model_id}{version}"
