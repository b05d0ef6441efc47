"""What Speckle servers of different releases understand; all else they have in common."""

from dataclasses import dataclass
from typing import Final

ANNOUNCED: Final = "removal announced"  # how a schema's reason begins for what is to be removed


@dataclass(frozen=True, slots=True)
class Release:
    """A release of the server, by its schema; `without` are fields that it has no longer.

    A field is named by how the reason begins for which its schema calls it deprecated. With
    `bundles`, versions have artifacts in place of an object tree. `pkce`: codes of sign-ins are
    traded at /oauth/token, by who knows the verifier of their challenge.
    """

    name: str
    version: str
    schema_file: str
    without: str | None = None
    introspection: bool = True
    bundles: bool = False
    pkce: bool = False


SPECKLE_2_31: Final = Release("2.31", "2.31.14", "schema.graphql")
# What app.speckle.systems is, as its clients' types have it; nothing of it was recorded.
SPECKLE_4: Final = Release("4", "4.0.0", "speckle4.graphql", bundles=True, pkce=True)
SPECKLE_4_AS_ANNOUNCED: Final = Release(
    "4 as announced",
    "4.0.0",
    "speckle4.graphql",
    without=ANNOUNCED,
    introspection=False,
    bundles=True,
    pkce=True,
)
RELEASES: Final = (SPECKLE_2_31, SPECKLE_4, SPECKLE_4_AS_ANNOUNCED)
