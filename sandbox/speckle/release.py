"""The releases of Speckle's server that run here: what one answers and another does not know."""

from dataclasses import dataclass
from typing import Final

ANNOUNCED: Final = "removal announced"


@dataclass(frozen=True)
class Release:
    """What one release has.

    `without` are fields that a server lacks, such as "Stream.activity"; with `as_announced` those
    lack too whose deprecation says that they will be removed. `bundles`: versions have artifacts in
    place of an object tree.
    """

    name: str
    schema_file: str
    without: frozenset[str] = frozenset()
    as_announced: bool = False
    bundles: bool = False


SPECKLE_2_31: Final = Release("2.31", "schema.graphql")
SPECKLE_4: Final = Release("4", "speckle4.graphql", bundles=True)
SPECKLE_4_AS_ANNOUNCED: Final = Release(
    "4 as announced", "speckle4.graphql", as_announced=True, bundles=True
)
