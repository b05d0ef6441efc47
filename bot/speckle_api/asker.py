"""Asks what every server has, what some servers lack, and lists in pages."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog

from bot.errors import SpeckleUnknownQuestion
from bot.speckle_api.graphql import AnswerTooLarge, GraphQLResponse, raise_errors
from bot.speckle_api.listings import Listing, read_page
from bot.speckle_api.optional_questions import MissingFields, OptionalQuestion
from bot.speckle_api.transport import GraphQLTransport
from bot.speckle_api.types import Login

PAGE: Final = 50

log = structlog.get_logger()


class Asker:
    """Reads answers over one transport, and remembers which server lacks what.

    `until` is when a question has had its time, as `GraphQLTransport.until` says it.
    """

    def __init__(self, transport: GraphQLTransport, missing: MissingFields) -> None:
        self._transport = transport
        self._missing = missing
        self.until = transport.until
        self.left_s = transport.left_s

    async def read(
        self,
        login: Login,
        question: str | OptionalQuestion,
        variables: Mapping[str, Any],
        until: float,
    ) -> Any | None:
        """The answer; None from a server that has nothing of the kind."""
        if isinstance(question, OptionalQuestion):
            return await self._read_optional(login, question, variables, until)
        return await self._transport.read(login, question, variables, until)

    async def read_parts(
        self,
        login: Login,
        question: OptionalQuestion,
        text: str,
        variables: Mapping[str, Any],
        until: float,
    ) -> GraphQLResponse | None:
        """The answer to `text`, which asks the question of many things, with the errors of some of
        them; None from a server that has nothing of the kind.

        Errors: those of the question, if it was refused as a whole.
        """
        if self._missing.lacks(login.server_url, question):
            return None
        answer = await self._transport.read_answer(login, text, variables, until)
        if answer.errors and not any(error.get("path") for error in answer.errors):
            try:
                raise_errors(login.server_url, answer)
            except SpeckleUnknownQuestion:
                self._note_missing(login.server_url, question)
                return None
        return answer

    async def read_first(
        self,
        login: Login,
        questions: Sequence[OptionalQuestion],
        variables: Mapping[str, Any],
        until: float,
    ) -> Any | None:
        """The answer to the first question that the server understands; None if to none."""
        for question in questions:
            data = await self._read_optional(login, question, variables, until)
            if data is not None:
                return data
        return None

    async def read_list(
        self,
        login: Login,
        question: str | OptionalQuestion,
        wanted: Mapping[str, Any],
        until: float,
        limit: int,
        since: datetime | None,
        page_size: int = PAGE,
        first: Any | None = None,
    ) -> Listing:
        """At most `limit` items, to a page that has none since then; none where there is no list.

        An item that is too large alone comes without its texts. `first` is its first page, where
        that was asked for with others.
        """
        found, size, texts = Listing(), page_size, True
        while len(found.items) < limit:
            page = {"limit": size, "cursor": found.before(size), "texts": texts}
            try:
                data = first or await self.read(login, question, {**wanted, **page}, until)
            except AnswerTooLarge:
                if not texts:
                    raise
                texts, size = size > 1, (size + 1) // 2
                continue
            read, first = read_page(data), None
            found, texts = found.then(read), True
            if found.cursor is None or not read.goes_on(since):
                break
        return found.first(limit)

    async def _read_optional(
        self, login: Login, question: OptionalQuestion, variables: Mapping[str, Any], until: float
    ) -> Any | None:
        if self._missing.lacks(login.server_url, question):
            return None
        try:
            return await self._transport.read(login, question.text, variables, until)
        except SpeckleUnknownQuestion:
            self._note_missing(login.server_url, question)
            return None

    def _note_missing(self, server_url: str, question: OptionalQuestion) -> None:
        log.info("speckle.field_missing", server=server_url, field=question.field)
        self._missing.note(server_url, question)
