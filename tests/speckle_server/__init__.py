"""A Speckle server for tests: it answers over a real socket as a recorded 2.31 server did.

    async with SpeckleServer.start() as server:
        ilse = server.add_user("Ilse Brandt")
        token = server.token(ilse, scopes=("streams:read", "streams:write", "profile:read"))
        tower = server.add_project("Kestrel Tower", owner=ilse)
        model = server.add_model(tower, "structure/level 1")
        version = server.add_version(tower, model, author=ilse, object_count=214)
        ...                                   # ask it at `server.url`

People, tokens, projects, what is in them: `add_*`, `token`, `revoke`, `set_role`, `render` of
`world.World`, whose methods SpeckleServer has. Webhooks: `webhooks(project)` is what was made,
`await fire(project, event_name, data, user=...)` delivers as the webhook-service does (for a new
version `data` is `commit_create_data(version)`), and `record(..., status=3)` only writes into the
histories. Signing in: `register_app`, `approve`.
`faults` makes it slow, silent or broken; `requests` is everything that was asked.

test_as_recorded.py holds it against the recordings in tests/fixtures/speckle.
"""

from tests.speckle_server.faults import Faults
from tests.speckle_server.server import Asked, SpeckleServer
from tests.speckle_server.world import (
    BOT_SCOPES,
    App,
    Comment,
    HistoryEntry,
    Model,
    Project,
    User,
    Version,
    Webhook,
    commit_create_data,
)

__all__ = [
    "BOT_SCOPES",
    "App",
    "Asked",
    "Comment",
    "Faults",
    "HistoryEntry",
    "Model",
    "Project",
    "SpeckleServer",
    "User",
    "Version",
    "Webhook",
    "commit_create_data",
]
