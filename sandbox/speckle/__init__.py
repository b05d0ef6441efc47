"""A Speckle server that runs on this machine: it answers over a real socket as a recorded 2.31
server did, or as one of Speckle 4 is said to (`release`).

    async with SpeckleServer.start() as server:
        ilse = server.add_user("Ilse Brandt")
        token = server.token(ilse, scopes=("streams:read", "streams:write", "profile:read"))
        tower = server.add_project("Kestrel Tower", owner=ilse)
        model = server.add_model(tower, "structure/level 1")
        version = server.add_version(tower, model, author=ilse, object_count=214)
        ...                                   # ask it at `server.url`

People, tokens, projects, what is in them: `add_*`, `token`, `revoke`, `set_role`, `render` of
`speckle_world.SpeckleWorld`, whose methods SpeckleServer has. Webhooks: `webhooks(project)` is what
was made, `await fire(project, event_name, data, user=...)` delivers as the webhook-service does
(for a new version `data` is `commit_create_data(version)`), and `record(..., status=3)` only writes
into the histories. `PersonAtWork` (people_at_work) does what people do on the pages, by who may,
and fires what a real server fires. Signing in: `register_app`, `approve`, or the page that a
browser is shown (consent). `draw` makes pictures in place of a recorded one. `faults` makes it
slow, silent or broken; `requests` is everything that was asked, `asked_lists()` what of it asked
for activity lists.

Whoever subscribes over a WebSocket gets a frame for each change: what the methods above and
PersonAtWork do is published, as recorded. `live` are the sockets (subscription_hub): who has which
subscriptions, how many frames were sent or lost, and how to cut, freeze or end them; `away()` is a
server that was killed and comes back. `live_record` is what sockets and lists told whom, for people
to look at. `expire` and `revoke` end tokens, `one_millisecond()` is for lists with equal times.

tests/speckle_api/test_as_recorded.py and tests/sandbox/speckle hold it against the recordings in
tests/fixtures/speckle.
"""

from sandbox.speckle.automations import AutomationRun, FunctionRun
from sandbox.speckle.entities import (
    BOT_SCOPES,
    Comment,
    HistoryEntry,
    Model,
    ServerProject,
    SignInApp,
    User,
    Version,
    Webhook,
)
from sandbox.speckle.event_data import commit_create_data
from sandbox.speckle.faults import SocketFaults, SpeckleFaults
from sandbox.speckle.http_api import AskedQuestion, SpeckleServer
from sandbox.speckle.issues import IssueDataShape, Label, ServerIssue
from sandbox.speckle.live_record import LiveNote, LiveNoteKind
from sandbox.speckle.release import (
    RELEASES,
    SPECKLE_2_31,
    SPECKLE_4,
    SPECKLE_4_AS_ANNOUNCED,
    Release,
)

__all__ = [
    "BOT_SCOPES",
    "RELEASES",
    "SPECKLE_2_31",
    "SPECKLE_4",
    "SPECKLE_4_AS_ANNOUNCED",
    "AskedQuestion",
    "AutomationRun",
    "Comment",
    "FunctionRun",
    "HistoryEntry",
    "IssueDataShape",
    "Label",
    "LiveNote",
    "LiveNoteKind",
    "Model",
    "Release",
    "ServerIssue",
    "ServerProject",
    "SignInApp",
    "SocketFaults",
    "SpeckleFaults",
    "SpeckleServer",
    "User",
    "Version",
    "Webhook",
    "commit_create_data",
]
