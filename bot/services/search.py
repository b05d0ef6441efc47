"""What a person's own account finds at Speckle while they type; nobody waits long for it."""

import asyncio
from collections.abc import Hashable, Sequence
from typing import TypeVar

from cachetools import TTLCache

from bot.errors import SpeckleError
from bot.model import Account
from bot.services.completion import MAX_CHOICES, Choice, model_part, offer_models, offer_projects
from bot.services.token_lending import SpeckleCall, TokenLender
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.types import ModelChoice, ProjectChoice

WITHIN_S = 2.0  # of the 3 s that Discord waits for what is offered
FRESH_S = 10.0  # Discord asks again at each key, and often for the same text
MOST_KEPT = 512  # texts, of all people together

T = TypeVar("T")


class Search:
    """Finds projects and models with the caller's own rights; a server that is slow finds nothing.

    Errors of a server are no answer; they are not kept either.
    """

    def __init__(self, client: SpeckleClient, lender: TokenLender) -> None:
        self._client = client
        self._lender = lender
        self._found = TTLCache[Hashable, Sequence[object]](MOST_KEPT, FRESH_S)

    async def projects(self, user_id: int, typed: str) -> list[Choice]:
        """The person's own projects whose name holds the text, on all servers they linked."""
        accounts = await self._lender.all_of_user(user_id)
        found = await asyncio.gather(*(self._projects(one, typed.strip()) for one in accounts))
        return [
            choice
            for account, projects in zip(accounts, found, strict=True)
            for choice in offer_projects(account.server_url, projects)
        ]

    async def _projects(self, account: Account, search: str) -> Sequence[ProjectChoice]:
        return await self._once(
            (account.id, search),
            account,
            lambda login: self._client.find_projects(login, search, MAX_CHOICES, within_s=WITHIN_S),
        )

    async def models(
        self, user_id: int, server_url: str, project_id: str, typed: str
    ) -> list[Choice]:
        """Models of a project whose name holds the last part of what was typed."""
        account = await self._lender.of_user(user_id, server_url)
        if account is None:
            return []
        search = model_part(typed)
        found: Sequence[ModelChoice] = await self._once(
            (account.id, project_id, search),
            account,
            lambda login: self._client.find_models(
                login, project_id, search, MAX_CHOICES, within_s=WITHIN_S
            ),
        )
        return offer_models(typed, [model.name for model in found])

    async def _once(
        self, key: Hashable, account: Account, question: SpeckleCall[list[T]]
    ) -> Sequence[T]:
        """Ask, unless the same has just been asked."""
        kept = self._found.get(key)
        if kept is not None:
            return kept  # type: ignore[return-value]  # a key is of one kind of question
        try:
            async with asyncio.timeout(WITHIN_S):
                found = await self._lender.as_account(account.id, question)
        except (SpeckleError, TimeoutError):
            return ()
        self._found[key] = found
        return found
