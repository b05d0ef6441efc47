"""The button that compares a version with the one before it, on cards and in answers."""

from typing import Final

from bot.speckle.links import ID, server_key

LABEL: Final = "Compare"
PREFIX: Final = "compare:with"


def compare_id(server_url: str, project_id: str, version_id: str) -> str | None:
    """Its custom id, which outlives the code; None for ids of a form that is not known."""
    if not (ID.fullmatch(project_id) and ID.fullmatch(version_id)):
        return None
    return f"{PREFIX}:{server_key(server_url)}:{project_id}:{version_id}"
