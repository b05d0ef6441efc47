"""What people may know of projects while they type; nobody waits long for it."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import datetime
from typing import TypeVar

from cachetools import TTLCache

from bot.errors import SpeckleError
from bot.model import Account, Subscription, SubscriptionState
from bot.services.completion import MAX_CHOICES, Choice, offer_projects
from bot.services.consent_check import exceeds
from bot.services.project_followers import shows_model
from bot.services.public_access import PRIVATE
from bot.services.subscribe_results import CommandCaller, Followed
from bot.services.token_lending import SpeckleCall, TokenLender
from bot.speckle.events import ModelRef, ProjectNames
from bot.speckle.seen_text import as_seen
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.types import Login, ModelChoice, ProjectChoice

WITHIN_S = 2.0  # of the 3 s that Discord waits for what is offered
FRESH_S = 10.0  # Discord asks again at each key, and often for the same text
MOST_KEPT = 512  # texts, of all people together
UNKNOWN = ProjectNames()

T = TypeVar("T")


class Search:
    """Finds projects, models and people with the caller's own rights.

    In a channel that follows a project, also with those of the account that subscribed it, and
    only what the channel shows; of public projects what everybody may read, where `asks_public`.
    A server that is slow, or answers with an error, finds nothing; that is not kept.
    """

    def __init__(
        self,
        client: SpeckleClient,
        lender: TokenLender,
        *,
        now: Callable[[], datetime],
        asks_public: bool = True,
    ) -> None:
        self._client = client
        self._lender = lender
        self._now = now
        self._asks_public = asks_public
        self._found = TTLCache[Hashable, object](MOST_KEPT, FRESH_S)

    # ── projects ──────────────────────────────────────────────────────────────────────────────

    async def projects(self, user_id: int, typed: str) -> list[Choice]:
        """The person's own projects whose name holds the text, on all servers they linked."""
        found = await self.own_projects(user_id, typed)
        return [
            choice
            for server_url, projects in found
            for choice in offer_projects(server_url, projects)
        ]

    async def own_projects(
        self, user_id: int, typed: str
    ) -> list[tuple[str, Sequence[ProjectChoice]]]:
        """The same by server; the newest ones where none holds the text."""
        accounts = await self._lender.all_of_user(user_id)
        search = " ".join(typed.split())
        found = await asyncio.gather(*(self._projects(one, search) for one in accounts))
        return [
            (account.server_url, projects)
            for account, projects in zip(accounts, found, strict=True)
        ]

    async def _projects(self, account: Account, search: str) -> Sequence[ProjectChoice]:
        async def ask(login: Login) -> Sequence[ProjectChoice]:
            return await self._client.find_projects(login, search, MAX_CHOICES, within_s=WITHIN_S)

        found = await self._once(
            ("projects", account.id, search), lambda: self._lender.as_account(account.id, ask)
        )
        return found or ()

    # ── what is in a project ──────────────────────────────────────────────────────────────────

    async def model_names(
        self,
        caller: CommandCaller,
        server_url: str,
        project_id: str,
        search: str,
        here: Followed | None,
    ) -> Sequence[str]:
        """Models of a project whose name holds the text."""
        try:
            async with asyncio.timeout(WITHIN_S):
                return await self._model_names(caller, server_url, project_id, search, here)
        except TimeoutError:
            return ()

    async def _model_names(
        self,
        caller: CommandCaller,
        server_url: str,
        project_id: str,
        search: str,
        here: Followed | None,
    ) -> Sequence[str]:
        account = await self._lender.of_user(caller.actor.id, server_url)
        if account is not None:
            found = await self._models(account, project_id, " ".join(search.split()))
            if found:
                return [model.name for model in found]
        names = await self.names(caller, server_url, project_id, here)
        wanted = as_seen(search)
        return [name for name in names.models.values() if wanted in as_seen(name)]

    async def _models(
        self, account: Account, project_id: str, search: str
    ) -> Sequence[ModelChoice] | None:
        async def ask(login: Login) -> Sequence[ModelChoice]:
            return await self._client.find_models(
                login, project_id, search, MAX_CHOICES, within_s=WITHIN_S
            )

        return await self._once(
            ("models", account.id, project_id, search),
            lambda: self._lender.as_account(account.id, ask),
        )

    async def names(
        self,
        caller: CommandCaller,
        server_url: str,
        project_id: str,
        here: Followed | None,
        *,
        within_s: float = WITHIN_S,
    ) -> ProjectNames:
        """What the caller may know of a project's models and people; nothing where nobody answers.

        `here` is what the channel has of the project. Up to three may be asked, one after another,
        and `within_s` is for all of them.
        """
        try:
            async with asyncio.timeout(within_s):
                return await self._names(caller, server_url, project_id, here, within_s)
        except TimeoutError:
            return UNKNOWN

    async def _names(
        self,
        caller: CommandCaller,
        server_url: str,
        project_id: str,
        here: Followed | None,
        within_s: float,
    ) -> ProjectNames:
        async def ask(login: Login) -> ProjectNames:
            return await self._client.project_names(login, project_id, within_s=within_s)

        own = await self._as_caller_or_anybody(caller, server_url, project_id, ask, within_s)
        if own is not None:
            return own
        reader = None if here is None else self._reader(caller, here)
        if here is None or reader is None:
            return UNKNOWN
        key = (reader, project_id)
        shown = await self._once(key, lambda: self._lender.as_account(reader, ask), within_s)
        if shown is None:
            return UNKNOWN
        # In a thread, as a project may have thousands of names.
        return await asyncio.to_thread(_as_shown, here.subscription, shown)

    async def model_of_version(
        self, caller: CommandCaller, server_url: str, project_id: str, version_id: str
    ) -> str | None:
        """The id of the model that a version is of, if the caller may know it."""

        async def ask(login: Login) -> ModelRef:
            return await self._client.model_of_version(
                login, project_id, version_id, within_s=WITHIN_S
            )

        about = f"{project_id}@{version_id}"  # never the same as a project's id alone
        found = await self._as_caller_or_anybody(caller, server_url, about, ask)
        return None if found is None else found.id

    async def _as_caller_or_anybody(
        self,
        caller: CommandCaller,
        server_url: str,
        about: str,
        ask: SpeckleCall[T],
        within_s: float = WITHIN_S,
    ) -> T | None:
        """Ask with the caller's own account, or as a stranger."""
        account = await self._lender.of_user(caller.actor.id, server_url)
        if account is not None:
            key = (account.id, about)
            own = await self._once(key, lambda: self._lender.as_account(account.id, ask), within_s)
            if own is not None:
                return own
        if not self._asks_public:
            return None
        everyones = (None, server_url, about)
        return await self._once(everyones, lambda: ask(Login(server_url)), within_s)

    def _reader(self, caller: CommandCaller, here: Followed) -> int | None:
        """The account that reads for the channel, as long as its answer covers who sees it."""
        subscription = here.subscription
        may = subscription.state is SubscriptionState.ACTIVE and caller.actor.manages(
            subscription.channel_id
        )
        if not may or exceeds(subscription, here.hook, PRIVATE, caller.audience, self._now()):
            return None
        return subscription.account_id

    async def _once(
        self, key: Hashable, ask: Callable[[], Awaitable[T]], within_s: float = WITHIN_S
    ) -> T | None:
        """Ask, unless the same has just been asked; None where there is no answer."""
        kept = self._found.get(key)
        if kept is not None:
            return kept  # type: ignore[return-value]  # a key is of one kind of question
        try:
            async with asyncio.timeout(within_s):
                found = await ask()
        except (SpeckleError, TimeoutError):
            return None
        self._found[key] = found
        return found


def _as_shown(subscription: Subscription, names: ProjectNames) -> ProjectNames:
    """Of the names, those of models that the channel shows."""
    consent = subscription.consent
    narrowed = subscription.options.models or (consent is not None and consent.options.models)
    models = {
        id_: name
        for id_, name in names.models.items()
        if shows_model(subscription, ModelRef(id_, name))
    }
    return ProjectNames(models, names.people, names.complete and not narrowed)
