"""A Speckle server as accounts and commands ask it: one method for each question."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from bot.errors import (
    NOT_FOR_ACCOUNT,
    SpeckleError,
    SpeckleForbidden,
    SpeckleNotFound,
    SpeckleRejected,
    SpeckleScopeMissing,
    SpeckleUnavailable,
)
from bot.network import Network
from bot.speckle.events import Event, ModelRef, ProjectNames
from bot.speckle.listed import ListedChanges
from bot.speckle.tokens import SCOPES, TokenScope
from bot.speckle.wire import id_of, text_of
from bot.speckle_api import avatars, graphql, listings, optional_questions, questions, versions
from bot.speckle_api.activity_list import ActivityList
from bot.speckle_api.answers import MILLISECOND, child, iso, model_ref, needed
from bot.speckle_api.asker import PAGE, Asker
from bot.speckle_api.circuit_breaker import CircuitBreakers
from bot.speckle_api.error_answers import missing_scope
from bot.speckle_api.event_facts import EventFacts
from bot.speckle_api.graphql import AnswerTooLarge
from bot.speckle_api.listings import Listing
from bot.speckle_api.optional_questions import MissingFields, OptionalQuestion
from bot.speckle_api.transport import GraphQLTransport
from bot.speckle_api.types import (
    Login,
    Me,
    ModelChoice,
    ProjectChoice,
    ProjectRights,
    SpeckleWebhook,
    WebhookHistory,
)
from bot.speckle_api.version_lists import VersionLists

MAX_SEARCH = 200
MAX_CHOICES = 100
MAX_MODELS = 2_000
REMEMBERED = 100  # of each list: as many as every server gives at once


class SpeckleClient:
    """Questions to Speckle servers, answered in time or not at all.

    Those about what happened, and about versions, have parts of their own: `facts`, `activity` and
    `versions`.

    `servers` are the origins that may be asked. A login's token goes to its own server alone.
    A question whose caller names no time of its own has `deadline_s`, and 10 s at least, retries
    included. What a server has not got at all is None: it is asked for again after a day.

    Errors, of each question: SpeckleUnavailable, SpeckleTokenRefused, SpeckleScopeMissing,
    SpeckleForbidden, SpeckleNotFound, SpeckleRejected. Reads are tried again within their time,
    what changes something is tried once.
    """

    def __init__(
        self,
        *,
        servers: Collection[str],
        deadline_s: float,
        breakers: CircuitBreakers | None = None,
        network: Network | None = None,
        max_answer_bytes: int = graphql.MAX_ANSWER_BYTES,
        missing: MissingFields | None = None,
    ) -> None:
        breakers, missing = breakers or CircuitBreakers(), missing or MissingFields()
        self._transport = GraphQLTransport(servers, deadline_s, breakers, network, max_answer_bytes)
        self._asker = Asker(self._transport, missing)
        # With threads of its own: an avatar keeps none from what a card waits for.
        self._avatar_transport = GraphQLTransport(
            servers, deadline_s, breakers, network, avatars.MAX_ANSWER_BYTES
        )
        self._avatar_asker = Asker(self._avatar_transport, missing)
        self.activity = ActivityList(self._asker)
        self.facts = EventFacts(self._asker, self.activity)
        self.versions = VersionLists(self._asker)

    def close(self) -> None:
        """Ask nothing more. Open questions end on their own; nobody needs to wait for them."""
        self._transport.close()
        self._avatar_transport.close()

    async def _read(
        self, login: Login, question: str, variables: Mapping[str, Any], within_s: float | None
    ) -> Any:
        until = self._asker.until(within_s)
        return await self._asker.read(login, question, variables, until)

    async def has(
        self,
        server_url: str,
        question: OptionalQuestion,
        project_id: str,
        *,
        within_s: float | None = None,
    ) -> bool | None:
        """Whether a server has what is asked for; None if it does not answer.

        Asked without a token: what a stranger is refused, the server has understood.
        """
        until = self._asker.until(within_s)
        login, wanted = Login(server_url), {"project": project_id}
        try:
            return await self._asker.read(login, question, wanted, until) is not None
        except SpeckleUnavailable:
            return None
        except SpeckleError:
            return True

    async def moved_from(self, server_url: str, *, within_s: float | None = None) -> str | None:
        """The address that a server had before, as it says itself; None if it says none."""
        until = self._asker.until(within_s)
        with suppress(SpeckleError):
            asked = optional_questions.MIGRATION
            data = await self._asker.read(Login(server_url), asked, {}, until)
            return text_of(child(data, "serverInfo", "migration", "movedFrom"))
        return None

    # ── a person and their projects ───────────────────────────────────────────────────────────

    async def me(self, login: Login, *, within_s: float | None = None) -> Me:
        """Whose token it is; needs profile:read."""
        me = questions.read_me(await self._read(login, questions.ME, {}, within_s))
        if me is None:
            raise SpeckleForbidden(login.server_url, "only an account may do this")
        return me

    async def scopes(self, login: Login, *, within_s: float | None = None) -> frozenset[TokenScope]:
        """Which of SCOPES the token has, found out by asking for what needs them.

        A server whose release does not understand the questions is given the benefit of the
        doubt: what is missing shows when it is needed.
        """
        until = self._asker.until(within_s)
        missing: set[str | None] = set()

        async def probe(question: str, **variables: str) -> Any:
            answer = await self._transport.read_answer(login, question, variables, until)
            missing.update(missing_scope(error) for error in answer.errors)
            with suppress(*NOT_FOR_ACCOUNT, SpeckleRejected):
                graphql.raise_errors(login.server_url, answer)
            return answer.data

        own = questions.read_projects(await probe(questions.PROFILE_SCOPE), "")
        if own:
            await probe(questions.READ_SCOPE, project=own[0].id)
        else:
            await probe(questions.READ_SCOPE_ANYWHERE)
        await probe(questions.WRITE_SCOPE)
        return frozenset(scope for scope in SCOPES if scope not in missing)

    async def find_projects(
        self, login: Login, search: str, limit: int, *, within_s: float | None = None
    ) -> list[ProjectChoice]:
        """The person's own projects whose name or id holds `search`, newest change first."""
        wanted = _search(search, limit)
        data = await self._read(login, questions.PROJECTS, wanted, within_s)
        return questions.read_projects(data, wanted["search"])

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
        wanted = {"project": project_id, **_search(search, limit)}
        data = await self._read(login, questions.MODELS, wanted, within_s)
        return questions.read_models(data, wanted["search"])

    async def model_of_version(
        self, login: Login, project_id: str, version_id: str, *, within_s: float | None = None
    ) -> ModelRef:
        """The model that a version is of."""
        wanted = {"project": project_id, "version": version_id}
        data = await self._read(login, versions.VERSION_NAME, wanted, within_s)
        return model_ref(child(data, "project", "version", "model"))

    async def project(
        self, login: Login, project_id: str, *, within_s: float | None = None
    ) -> ProjectRights:
        """The project, and what the person may do in it."""
        wanted = {"project": project_id}
        data = await self._read(login, questions.PROJECT, wanted, within_s)
        return needed(login.server_url, questions.read_project(data))

    async def avatars(
        self, login: Login, project_id: str, event: Event, *, within_s: float | None = None
    ) -> Mapping[str, str | None]:
        """The avatar of who did it, by id, and of who else has to do with what was made.

        Empty where the event made nothing by whose author it could be asked for.
        """
        asked = avatars.asked_by(event)
        if asked is None:
            return {}
        question, made = asked
        until, wanted = self._avatar_asker.until(within_s), {"project": project_id, "made": made}
        data = await self._avatar_asker.read(login, question, wanted, until)
        return avatars.read_avatars(data)

    # ── names ─────────────────────────────────────────────────────────────────────────────────

    async def owners(
        self, login: Login, project_id: str, *, within_s: float | None = None
    ) -> tuple[str, ...]:
        """The names of the project's owners; () where the token may not see them."""
        people = await self._people(login, project_id, self._asker.until(within_s))
        return tuple(name for _, name, role in people if role == listings.OWNER)

    async def project_names(
        self, login: Login, project_id: str, *, within_s: float | None = None
    ) -> ProjectNames:
        """What the project's models and people are called."""
        until = self._asker.until(within_s)
        wanted = {"project": project_id}
        models = await self._asker.read_list(
            login, listings.ALL_MODEL_NAMES, wanted, until, MAX_MODELS, None
        )
        return listings.read_names(models, await self._people(login, project_id, until))

    async def _people(
        self, login: Login, project_id: str, until: float
    ) -> list[tuple[str, str, str | None]]:
        """Id, name and role of each; none where the token may not see them."""
        wanted = {"project": project_id}
        with suppress(SpeckleScopeMissing, SpeckleForbidden, SpeckleRejected):
            data = await self._asker.read(login, listings.COLLABORATORS, wanted, until)
            if data is None:
                data = await self._asker.read(login, listings.TEAM, wanted, until)
            return listings.read_people(data)
        return []

    async def changes_since(
        self,
        login: Login,
        project_id: str,
        *,
        after: datetime,
        limit: int,
        with_state: bool = False,
        within_s: float | None = None,
    ) -> ListedChanges:
        """What a project's lists have from `after` on, at most `limit` of each kind, the newest.

        Each list has the time of a question. Issues are left out where this token may not see them.
        `with_state`: with the newest REMEMBERED of each, whenever they were made.
        """
        wanted = {"project": project_id, "after": iso(after - MILLISECOND)}
        size = REMEMBERED if with_state else PAGE
        begun = await self._first_pages(login, wanted, within_s) if with_state else {}

        async def read(name: str, question: str | OptionalQuestion) -> Listing:
            until, first = self._asker.until(within_s), begun.get(name)
            return await self._asker.read_list(
                login, question, wanted, until, limit, after, size, first
            )

        versions = await read("versions", listings.VERSIONS)
        models = await read("models", listings.MODELS)
        issues = Listing()
        with suppress(*NOT_FOR_ACCOUNT, SpeckleRejected):
            issues = await read("issues", listings.ISSUES)
        changes = listings.read_changes(versions, models, issues, after)
        if not with_state:
            return changes
        first = begun.get("there")
        there = (
            listings.read_page(first)
            if first
            else await self._issues_there(login, project_id, within_s)
        )
        return replace(changes, state=listings.read_state(versions, models, there))

    async def _first_pages(
        self, login: Login, wanted: Mapping[str, Any], within_s: float | None
    ) -> Mapping[str, Any]:
        """The first page of each list, all in one request.

        None where the server refuses one of them, or all together are too large: then each is to be
        asked for.
        """
        page = {"limit": REMEMBERED, "cursor": None, "texts": True}
        with suppress(*NOT_FOR_ACCOUNT, SpeckleRejected):
            until = self._asker.until(within_s)
            found = await self._asker.read(login, listings.FIRST_PAGES, {**wanted, **page}, until)
            if found is not None:
                return {name: {"project": part} for name, part in found.items()}
        return {}

    async def _issues_there(
        self, login: Login, project_id: str, within_s: float | None
    ) -> Listing | None:
        """The issues that moved last; None where there are none, or not for this token."""
        wanted = {"project": project_id, "limit": REMEMBERED}
        with suppress(*NOT_FOR_ACCOUNT, SpeckleRejected):
            until = self._asker.until(within_s)
            data = await self._asker.read(login, listings.ISSUES_THERE, wanted, until)
            return None if data is None else listings.read_page(data)
        return None

    # ── webhooks ──────────────────────────────────────────────────────────────────────────────

    async def webhooks(
        self, login: Login, project_id: str, *, within_s: float | None = None
    ) -> list[SpeckleWebhook]:
        """All webhooks of a project; for its owner only."""
        wanted = {"project": project_id}
        data = await self._read(login, questions.WEBHOOKS, wanted, within_s)
        return questions.read_webhooks(data)

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
        webhook = {
            "streamId": project_id,
            "url": url,
            "description": description,
            "triggers": list(triggers),
            "secret": secret,
            "enabled": True,
        }
        data = await self._transport.change(login, questions.CREATE_WEBHOOK, {"webhook": webhook})
        return needed(login.server_url, id_of(child(data, "webhookCreate")))

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
        webhook: dict[str, Any] = {
            "id": webhook_id,
            "streamId": project_id,
            "url": url,
            "description": description,
            "triggers": list(triggers),
            "enabled": enabled,
        }
        if secret is not None:
            webhook["secret"] = secret
        await self._transport.change(login, questions.UPDATE_WEBHOOK, {"webhook": webhook})

    async def delete_webhook(self, login: Login, project_id: str, webhook_id: str) -> None:
        """Remove a webhook with its history; one that is gone already is no error."""
        webhook = {"id": webhook_id, "streamId": project_id}
        with suppress(SpeckleNotFound):
            await self._transport.change(login, questions.DELETE_WEBHOOK, {"webhook": webhook})

    async def history(
        self,
        login: Login,
        project_id: str,
        webhook_id: str,
        limit: int,
        *,
        bodies: bool,
        within_s: float | None = None,
    ) -> WebhookHistory:
        """The newest entries of a webhook's history, with or without what was sent.

        Fewer than `limit` where their bodies together are too large to be read at once.
        Further errors: SpeckleNotFound for a webhook that is gone.
        """
        until = self._asker.until(within_s)
        wanted = {"project": project_id, "webhook": webhook_id, "bodies": bodies}
        limit = max(1, limit)  # 0 would mean all there is
        while True:
            try:
                data = await self._asker.read(
                    login, questions.HISTORY, wanted | {"limit": limit}, until
                )
                break
            except AnswerTooLarge:
                if limit == 1:
                    raise
                limit = (limit + 1) // 2
        history = questions.read_history(data)
        if history is None:
            raise SpeckleNotFound(login.server_url, "there is no such webhook in this project")
        return history


def _search(search: str, limit: int) -> dict[str, Any]:
    """What to search for, without the zero character that no database takes."""
    wanted = search.replace("\0", "").strip()[:MAX_SEARCH]
    return {"search": wanted, "limit": max(1, min(limit, MAX_CHOICES))}
