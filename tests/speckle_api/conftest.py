"""Property tests that are over soon; a Speckle server with one project, and a client to it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from hypothesis import settings

from bot.speckle.events import ModelRef, VersionCreated
from bot.speckle_api.circuit_breaker import BreakerLimits, CircuitBreakers
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.graphql import MAX_ANSWER_BYTES
from bot.speckle_api.types import Login
from sandbox.speckle import Release, SpeckleServer, Version

settings.register_profile("quick", max_examples=60, deadline=None, derandomize=True, database=None)
settings.load_profile("quick")


@dataclass
class Studio:
    """Ilse's project, with a model of two versions, and Bruno, who is no member."""

    server: SpeckleServer
    client: SpeckleClient = field(init=False)

    def __post_init__(self) -> None:
        server = self.server
        self.client = SpeckleClient(servers=[server.url], deadline_s=5.0)
        self.ilse = server.add_user("Ilse Brandt")
        self.bruno = server.add_user("Bruno Achterberg")
        self.tower = server.add_project("Kestrel Tower", owner=self.ilse)
        self.model = server.add_model(self.tower, "Structure/Level 1")
        self.first = server.add_version(
            self.tower, self.model, author=self.ilse, message="grid", object_count=3
        )
        self.second = server.add_version(
            self.tower,
            self.model,
            author=self.ilse,
            message="beams",
            application="Revit2025",
            object_count=214,
        )
        self.login = Login(server.url, server.token(self.ilse))
        self.strangers = Login(server.url, server.token(self.bruno))

    def limit(
        self,
        limits: BreakerLimits = BreakerLimits(),
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        """Have a client with other limits in place of the one so far."""
        self.client.close()
        self.client = SpeckleClient(
            servers=[self.server.url],
            deadline_s=5.0,
            breakers=CircuitBreakers(limits),
            max_answer_bytes=max_answer_bytes,
        )

    def limited(self, *scopes: str) -> Login:
        """A token of Ilse's with these scopes alone."""
        return Login(self.server.url, self.server.token(self.ilse, scopes=scopes))


def created(version: Version) -> VersionCreated:
    """The event that the webhook would tell of."""
    return VersionCreated(
        version_id=version.id,
        model=ModelRef(version.model.id, version.model.name),
        message=version.message,
        application=version.application,
        object_id=version.object_id,
    )


@pytest.fixture
async def studio(release: Release) -> AsyncIterator[Studio]:
    async with SpeckleServer.start(release=release) as server:
        studio = Studio(server)
        yield studio
        studio.client.close()
