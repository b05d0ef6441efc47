"""What a Speckle server knows and its webhook leaves out, through specklepy.

The only file that knows specklepy, which is slow to load: it is imported at the first question.
specklepy blocks, and one client serves one thread, so each thread of a small pool keeps its own.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot.errors import SpeckleUnavailable
from bot.speckle.answers import (
    Activity,
    History,
    Login,
    Me,
    ModelChoice,
    ProjectChoice,
    ProjectRights,
    Scope,
    SpeckleWebhook,
)
from bot.speckle.events import CommentFacts, ReceivedFacts, VersionCreated, VersionFacts

if TYPE_CHECKING:
    from specklepy.api.client import SpeckleClient

THREADS = 4
THREADS_A_SERVER = 2  # so that a hanging server leaves threads for the others

# A version's root object has one key in `__closure` for each object below it; the count fields of
# the API are wrong for some senders.
VERSION_FACTS = """
query VersionFacts($project: String!, $object: String!, $model: String!) {
  project(id: $project) {
    object(id: $object) { data }
    model(id: $model) { versions(limit: 10) { items { id } } }
  }
}
"""


class SpeckleGateway:
    """Questions to Speckle servers, answered in time or not at all.

    `servers` are the origins that may be asked. A login's token goes to its own server alone.
    `deadline_s` bounds a question whose caller names no time of its own, retries included.

    Errors, of each question: SpeckleUnavailable, SpeckleTokenRefused, SpeckleScopeMissing,
    SpeckleForbidden, SpeckleNotFound, SpeckleRejected. Reads are tried again within their time,
    what changes something is tried once.
    """

    def __init__(self, *, servers: Collection[str], deadline_s: float) -> None:
        self._servers = frozenset(servers)
        self.deadline_s = deadline_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="specklepy")
        self._clients = threading.local()
        self._in_flight: defaultdict[str, int] = defaultdict(int)

    # ── a person and their projects ───────────────────────────────────────────────────────────

    async def me(self, login: Login, *, within_s: float | None = None) -> Me:
        """Whose token it is; needs profile:read."""
        raise NotImplementedError

    async def scopes(self, login: Login, *, within_s: float | None = None) -> frozenset[Scope]:
        """Which of SCOPES the token has, found out by asking for what needs them."""
        raise NotImplementedError

    async def find_projects(
        self, login: Login, search: str, limit: int, *, within_s: float | None = None
    ) -> list[ProjectChoice]:
        """The person's own projects whose name or id holds `search`, newest change first."""
        raise NotImplementedError

    async def find_models(
        self,
        login: Login,
        project_id: str,
        search: str,
        limit: int,
        *,
        within_s: float | None = None,
    ) -> list[ModelChoice]:
        """Models of a project whose full name holds `search`."""
        raise NotImplementedError

    async def project(
        self, login: Login, project_id: str, *, within_s: float | None = None
    ) -> ProjectRights:
        """The project, and what the person may do in it."""
        raise NotImplementedError

    async def owners(
        self, login: Login, project_id: str, *, within_s: float | None = None
    ) -> tuple[str, ...]:
        """The names of the project's owners; () where the token may not see them."""
        raise NotImplementedError

    # ── webhooks ──────────────────────────────────────────────────────────────────────────────

    async def webhooks(
        self, login: Login, project_id: str, *, within_s: float | None = None
    ) -> list[SpeckleWebhook]:
        """All webhooks of a project; for its owner only."""
        raise NotImplementedError

    async def create_webhook(
        self,
        login: Login,
        project_id: str,
        *,
        url: str,
        description: str,
        triggers: Sequence[str],
        secret: str,
    ) -> str:
        """Make a webhook that is switched on; gives its id."""
        raise NotImplementedError

    async def update_webhook(
        self,
        login: Login,
        project_id: str,
        webhook_id: str,
        *,
        url: str,
        description: str,
        triggers: Sequence[str],
        secret: str | None,
        enabled: bool,
    ) -> None:
        """Change a webhook; without a secret its old one stays. `enabled` is always sent, because
        Speckle switches a webhook on where it is left out.
        """
        raise NotImplementedError

    async def delete_webhook(self, login: Login, project_id: str, webhook_id: str) -> None:
        """Remove a webhook with its history; one that is gone already is no error."""
        raise NotImplementedError

    async def history(
        self,
        login: Login,
        project_id: str,
        webhook_id: str,
        limit: int,
        *,
        bodies: bool,
        within_s: float | None = None,
    ) -> History:
        """The newest entries of a webhook's history, with or without what was sent.

        Errors, besides: SpeckleNotFound for a webhook that is gone.
        """
        raise NotImplementedError

    async def activity(
        self,
        login: Login,
        project_id: str,
        *,
        after: datetime | None,
        limit: int,
        within_s: float | None = None,
    ) -> list[Activity]:
        """A project's activity list, oldest first, from `after` on, that moment included."""
        raise NotImplementedError

    # ── what a webhook leaves out ─────────────────────────────────────────────────────────────

    async def version_facts(
        self,
        login: Login,
        project_id: str,
        version: VersionCreated,
        *,
        within_s: float | None = None,
    ) -> VersionFacts:
        """What the server knows of a new version, in one round trip."""
        raise NotImplementedError

    async def comment_facts(
        self, login: Login, project_id: str, comment_id: str, *, within_s: float | None = None
    ) -> CommentFacts:
        """The thread of a comment or reply, with its first line."""
        raise NotImplementedError

    async def received_facts(
        self,
        login: Login,
        project_id: str,
        user_id: str | None,
        at: datetime,
        *,
        within_s: float | None = None,
    ) -> ReceivedFacts | None:
        """Which version this person received at about that time; None if the list does not say."""
        raise NotImplementedError

    async def _ask(
        self, server_url: str, token: str | None, query: str, variables: dict[str, str]
    ) -> Any:
        if self._in_flight[server_url] >= THREADS_A_SERVER:
            raise SpeckleUnavailable(server_url, "still busy with earlier questions")
        self._in_flight[server_url] += 1
        loop = asyncio.get_running_loop()
        asked = loop.run_in_executor(
            self._threads, self._execute, server_url, token, query, variables
        )
        asked.add_done_callback(lambda _: self._answered(server_url))
        try:
            async with asyncio.timeout(self.deadline_s):
                return await asyncio.shield(asked)
        except TimeoutError:
            # The thread ends by its own time-out; whatever it still brings is nobody's.
            asked.add_done_callback(lambda late: late.cancelled() or late.exception())
            reason = f"no answer within {self.deadline_s:g} s"
            raise SpeckleUnavailable(server_url, reason) from None

    def _answered(self, server_url: str) -> None:
        self._in_flight[server_url] -= 1

    def _execute(
        self, server_url: str, token: str | None, query: str, variables: dict[str, str]
    ) -> Any:
        """Ask in this thread; runs in the pool only."""
        from gql import gql
        from gql.transport.exceptions import TransportError
        from graphql import GraphQLError
        from requests import RequestException
        from specklepy.logging.exceptions import SpeckleException

        request = gql(query)
        request.variable_values = dict(variables)
        try:
            return self._client(server_url, token).httpclient.execute(request)
        except (TransportError, GraphQLError, RequestException, SpeckleException) as error:
            raise SpeckleUnavailable(server_url, type(error).__name__) from error

    def _client(self, server_url: str, token: str | None) -> "SpeckleClient":
        clients: dict[tuple[str, bool], SpeckleClient] | None
        clients = getattr(self._clients, "by_server", None)
        if clients is None:
            clients = self._clients.by_server = {}
        key = (server_url, token is not None)
        if key not in clients:
            clients[key] = self._connect(server_url, token)
        return clients[key]

    def _connect(self, server_url: str, token: str | None) -> "SpeckleClient":
        from specklepy.api.client import SpeckleClient
        from specklepy.logging import metrics

        metrics.disable()
        address = urlsplit(server_url)
        client = SpeckleClient(
            host=address.netloc,
            use_ssl=address.scheme == "https",
            connection_retries=0,
            connection_timeout=max(1, round(self.deadline_s)),
        )
        if token is not None:
            # authenticate_with_token would ask three more questions and lose the time-out.
            client.httpclient.transport.headers = {"Authorization": f"Bearer {token}"}
        return client

    def close(self) -> None:
        """Drop what is waiting; threads in a call end by their time-outs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
