"""What a Speckle server knows and its webhook leaves out, through specklepy.

The only file that knows specklepy, which is slow to load: it is imported at the first question.
specklepy blocks, and one client serves one thread, so each thread of a small pool keeps its own.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot.errors import SpeckleUnavailable
from bot.speckle.events import VersionCreated, VersionFacts

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
    """Questions to Speckle servers, answered within a deadline or not at all.

    `token` belongs to `token_server` and is sent to no other; without it only public projects
    answer. `deadline_s` bounds one question, seconds; 0 asks nobody anything.
    """

    def __init__(self, *, token: str | None, token_server: str, deadline_s: float) -> None:
        self._token = token
        self._token_server = token_server
        self._deadline_s = deadline_s
        self.enabled = deadline_s > 0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="specklepy")
        self._clients = threading.local()
        self._in_flight: defaultdict[str, int] = defaultdict(int)

    async def version_facts(
        self, server_url: str, project_id: str, version: VersionCreated, *, with_token: bool
    ) -> VersionFacts:
        """How many objects a version holds, and the version before it in its model.

        Errors: SpeckleUnavailable for no answer, no rights, or none within the deadline.
        """
        if version.object_id is None or version.model.id is None:
            return VersionFacts()
        variables = {
            "project": project_id,
            "object": version.object_id,
            "model": version.model.id,
        }
        token = self._token if with_token and server_url == self._token_server else None
        answer = await self._ask(server_url, token, VERSION_FACTS, variables)
        return _facts(answer, version.version_id)

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
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.shield(asked)
        except TimeoutError:
            # The thread ends by its own time-out; whatever it still brings is nobody's.
            asked.add_done_callback(lambda late: late.cancelled() or late.exception())
            reason = f"no answer within {self._deadline_s:g} s"
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
            connection_timeout=max(1, round(self._deadline_s)),
        )
        if token is not None:
            # authenticate_with_token would ask three more questions and lose the time-out.
            client.httpclient.transport.headers = {"Authorization": f"Bearer {token}"}
        return client

    def close(self) -> None:
        """Drop what is waiting; threads in a call end by their time-outs."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _facts(answer: Any, version_id: str) -> VersionFacts:
    """Read the answer; a part that is missing or has another shape stays None."""
    project = _child(answer, "project")
    closure = _child(_child(_child(project, "object"), "data"), "__closure")
    items = _child(_child(_child(project, "model"), "versions"), "items")
    return VersionFacts(
        object_count=len(closure) if isinstance(closure, dict) else None,
        previous_version_id=_before(items, version_id) if isinstance(items, list) else None,
    )


def _before(newest_first: Sequence[Any], version_id: str) -> str | None:
    ids = [_child(item, "id") for item in newest_first]
    if version_id not in ids:
        return None
    older = ids[ids.index(version_id) + 1 :]
    return older[0] if older and isinstance(older[0], str) else None


def _child(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
