"""How a Speckle server is asked: in bounded threads, in time or not at all, again where that helps.

Each server has threads of its own, so that a hanging one costs the others nothing. They are
daemons: nobody waits for them at the end, not even the interpreter.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import stamina

from bot.errors import (
    AnswerUnreadable,
    SpeckleError,
    SpeckleOutOfOrder,
    SpeckleServerLeftOut,
    SpeckleUnavailable,
)
from bot.fairness import FairSemaphore
from bot.metrics import SpeckleResult
from bot.network import Network
from bot.speckle_api import graphql
from bot.speckle_api.circuit_breaker import CircuitBreakers
from bot.speckle_api.error_answers import check_token
from bot.speckle_api.graphql import GraphQLResponse, NoResponse
from bot.speckle_api.types import Login

THREADS_A_SERVER = 4
PATIENCE_S = 10.0  # Speckle's own web application waits longer, a person at Discord does not
ATTEMPTS = 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 1.5

T = TypeVar("T")


class GraphQLTransport:
    """Asks `servers`, which are origins, and no others.

    A login's token goes to its own server alone. A question whose caller names no time of its own
    has `deadline_s`, and 10 s at least, retries included.

    Errors, of each question: SpeckleUnavailable, SpeckleTokenRefused, SpeckleScopeMissing,
    SpeckleForbidden, SpeckleNotFound, SpeckleRejected.
    """

    def __init__(
        self,
        servers: Collection[str],
        deadline_s: float,
        breakers: CircuitBreakers | None,
        network: Network | None,
        max_answer_bytes: int,
    ) -> None:
        # No warning for a try that is repeated in time: the caller reports the last one.
        stamina.instrumentation.set_on_retry_hooks(())
        self._deadline_s = deadline_s
        self._breakers = breakers or CircuitBreakers()
        self._network = network or Network()
        self._max_answer_bytes = max_answer_bytes
        self._slots = {
            url: FairSemaphore(THREADS_A_SERVER, each=THREADS_A_SERVER) for url in servers
        }
        self._closed = False

    def close(self) -> None:
        """Ask nothing more. Open questions end on their own; nobody needs to wait for them."""
        self._closed = True

    def until(self, within_s: float | None) -> float:
        """When a question that is asked now has had its time, by time.monotonic()."""
        given_s = max(self._deadline_s, PATIENCE_S) if within_s is None else within_s
        return time.monotonic() + given_s

    @staticmethod
    def left_s(until: float) -> float:
        """Seconds until then; 0 for a time that is over."""
        return max(0.0, until - time.monotonic())

    async def read(
        self, login: Login, question: str, variables: Mapping[str, Any], until: float
    ) -> Any:
        """Ask, again and again within the time; gives `data` of an answer without errors."""

        async def once() -> Any:
            answer = await self._once(login, question, variables, until)
            graphql.raise_errors(login.server_url, answer)
            return answer.data

        return await self._retried(login, once, until)

    async def read_answer(
        self, login: Login, question: str, variables: Mapping[str, Any], until: float
    ) -> GraphQLResponse:
        """Ask in the same way; gives the answer with the errors that it names."""
        ask = partial(self._once, login, question, variables, until)
        return await self._retried(login, ask, until)

    async def change(self, login: Login, question: str, variables: Mapping[str, Any]) -> Any:
        """Ask once for something that must not be done twice."""
        answer = await self._once(login, question, variables, self.until(None))
        graphql.raise_errors(login.server_url, answer)
        return answer.data

    async def _retried(self, login: Login, ask: Callable[[], Awaitable[T]], until: float) -> T:
        """What `ask` gives, tried again while a server that is away may come back in time."""

        def pause(error: Exception) -> bool | float:
            asked = login.server_url in self._slots and not self._closed
            if not asked or isinstance(error, AnswerUnreadable):
                return False
            if not isinstance(error, SpeckleUnavailable):
                return False
            left_s = until - time.monotonic()
            if error.retry_in_s is None:
                return left_s > LONGEST_PAUSE_S
            return error.retry_in_s < left_s and float(error.retry_in_s)

        async for attempt in stamina.retry_context(
            on=pause,
            attempts=ATTEMPTS,
            timeout=None,  # the question's own
            wait_initial=FIRST_PAUSE_S,
            wait_max=LONGEST_PAUSE_S,
            wait_jitter=FIRST_PAUSE_S,
        ):
            with attempt:
                return await ask()
        raise AssertionError("the last attempt's error was not raised")

    async def _once(
        self, login: Login, question: str, variables: Mapping[str, Any], until: float
    ) -> GraphQLResponse:
        """Ask in a thread of the server's own, as soon as one is free."""
        server_url = login.server_url
        slots = self._may_ask(server_url)
        check_token(login)
        self._breakers.check(server_url)
        try:
            async with asyncio.timeout(until - time.monotonic()):
                whose = await slots.acquire()
        except TimeoutError:
            reason = "earlier questions keep it busy"
            raise SpeckleUnavailable(server_url, reason) from None
        try:
            self._may_ask(server_url)
            now = time.monotonic()
            if now >= until:
                raise SpeckleUnavailable(server_url, "there was no time left to ask it")
            self._breakers.begin(server_url)
            # The thread listens on for a while, so that a slow server is not taken for a dead one.
            listens_until = max(until, now + self._breakers.limits.silence_s)
            answer = self._started(
                server_url,
                whose,
                partial(
                    graphql.ask,
                    server_url,
                    login.token,
                    question,
                    variables,
                    listens_until,
                    self._network,
                    self._max_answer_bytes,
                ),
            )
        except BaseException:
            slots.release(whose)
            raise
        try:
            async with asyncio.timeout(until - time.monotonic()):
                return await answer
        except TimeoutError:
            # The thread keeps its slot until it ends; whatever it still brings is nobody's.
            raise NoResponse(server_url, "it gave no answer in time") from None

    def _may_ask(self, server_url: str) -> FairSemaphore:
        if self._closed:
            raise SpeckleUnavailable(server_url, "the bot is stopping")
        slots = self._slots.get(server_url)
        if slots is None:
            raise SpeckleServerLeftOut(server_url)
        return slots

    def _started(
        self, server_url: str, whose: Hashable, ask: Callable[[], GraphQLResponse]
    ) -> asyncio.Future[GraphQLResponse]:
        """The answer to come from a thread, which nobody waits for at the end: a daemon."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[GraphQLResponse] = loop.create_future()

        def run() -> None:
            outcome: GraphQLResponse | Exception
            try:
                outcome = ask()
            except Exception as error:  # raised again in the task that asked
                outcome = error
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._finished, server_url, whose, answer, outcome)

        threading.Thread(target=run, name="speckle", daemon=True).start()
        return answer

    def _finished(
        self,
        server_url: str,
        whose: Hashable,
        answer: asyncio.Future[GraphQLResponse],
        outcome: GraphQLResponse | Exception,
    ) -> None:
        self._slots[server_url].release(whose)
        self._breakers.count(server_url, _result(outcome))
        if isinstance(outcome, NoResponse):
            self._breakers.failed(server_url, outcome.reason)
        elif isinstance(outcome, SpeckleOutOfOrder):
            self._breakers.out_of_order(server_url, outcome.reason)
        elif isinstance(outcome, GraphQLResponse | SpeckleError):
            self._breakers.answered(server_url)
        if answer.done():
            return
        if isinstance(outcome, GraphQLResponse):
            answer.set_result(outcome)
        else:
            answer.set_exception(outcome)


def _result(outcome: GraphQLResponse | Exception) -> SpeckleResult:
    match outcome:
        case GraphQLResponse(errors=errors):
            return SpeckleResult.REFUSED if errors else SpeckleResult.ANSWERED
        case SpeckleError() if not isinstance(outcome, SpeckleUnavailable):
            return SpeckleResult.REFUSED
        case _:
            return SpeckleResult.FAILED
