"""What Speckle servers know and their webhooks leave out: one method for each question."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from bot.errors import (
    SpeckleError,
    SpeckleForbidden,
    SpeckleNotFound,
    SpeckleRejected,
    SpeckleScopeMissing,
    SpeckleUnavailable,
    SpeckleUnknownQuestion,
)
from bot.network import Network
from bot.speckle.activity import Activity
from bot.speckle.events import ModelRef, ProjectNames, ResourceRef, VersionCreated
from bot.speckle.facts import CommentFacts, IssueFacts, ReceivedFacts, VersionFacts
from bot.speckle.issue_hints import IssueHint
from bot.speckle.listed import ListedChanges
from bot.speckle.tokens import SCOPES, TokenScope
from bot.speckle.wire import id_of, text_of
from bot.speckle_api import answers, graphql, issues, listings, optional_questions, questions
from bot.speckle_api.circuit_breaker import CircuitBreakers
from bot.speckle_api.error_answers import missing_scope
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

MAX_SEARCH = 200
MAX_CHOICES = 100
PAGE = 50
MAX_MODELS = 2_000
MAX_HINTS = 3  # ids that are tried; further ones are of something else
ISSUES_CHANGED = 5  # at about the same time
ACTIVITY_PAGE = 100
RECEIVED_WINDOW = timedelta(minutes=10)  # how far the two clocks, and a slow delivery, may be off
RECEIVED_LINES = 100
MILLISECOND = timedelta(milliseconds=1)
THREADS_WAIT_S = 1.0  # how long a version's facts wait for the number of its threads, at most

T = TypeVar("T")

log = structlog.get_logger()


class SpeckleClient:
    """Questions to Speckle servers, answered in time or not at all.

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
        self._transport = GraphQLTransport(servers, deadline_s, breakers, network, max_answer_bytes)
        self._missing = missing or MissingFields()

    def close(self) -> None:
        """Ask nothing more. Open questions end on their own; nobody needs to wait for them."""
        self._transport.close()

    async def _read(
        self, login: Login, question: str, variables: Mapping[str, Any], within_s: float | None
    ) -> Any:
        until = self._transport.until(within_s)
        return await self._transport.read(login, question, variables, until)

    async def _read_optional(
        self, login: Login, question: OptionalQuestion, variables: Mapping[str, Any], until: float
    ) -> Any | None:
        """The answer; None from a server that has nothing of the kind."""
        if self._missing.lacks(login.server_url, question):
            return None
        try:
            return await self._transport.read(login, question.text, variables, until)
        except SpeckleUnknownQuestion:
            log.info("speckle.field_missing", server=login.server_url, field=question.field)
            self._missing.note(login.server_url, question)
            return None

    async def _ask(
        self,
        login: Login,
        question: str | OptionalQuestion,
        variables: Mapping[str, Any],
        until: float,
    ) -> Any | None:
        if isinstance(question, OptionalQuestion):
            return await self._read_optional(login, question, variables, until)
        return await self._transport.read(login, question, variables, until)

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
        until = self._transport.until(within_s)
        login, wanted = Login(server_url), {"project": project_id}
        try:
            return await self._read_optional(login, question, wanted, until) is not None
        except SpeckleUnavailable:
            return None
        except SpeckleError:
            return True

    async def moved_from(self, server_url: str, *, within_s: float | None = None) -> str | None:
        """The address that a server had before, as it says itself; None if it says none."""
        until = self._transport.until(within_s)
        with suppress(SpeckleError):
            asked = optional_questions.MIGRATION
            data = await self._read_optional(Login(server_url), asked, {}, until)
            return text_of(answers.child(data, "serverInfo", "migration", "movedFrom"))
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
        until = self._transport.until(within_s)
        missing: set[str | None] = set()

        async def probe(question: str, **variables: str) -> Any:
            answer = await self._transport.read_answer(login, question, variables, until)
            missing.update(missing_scope(error) for error in answer.errors)
            with suppress(SpeckleScopeMissing, SpeckleRejected, SpeckleForbidden, SpeckleNotFound):
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

    async def project(
        self, login: Login, project_id: str, *, within_s: float | None = None
    ) -> ProjectRights:
        """The project, and what the person may do in it."""
        wanted = {"project": project_id}
        data = await self._read(login, questions.PROJECT, wanted, within_s)
        return _needed(login, questions.read_project(data))

    # ── names ─────────────────────────────────────────────────────────────────────────────────

    async def owners(
        self, login: Login, project_id: str, *, within_s: float | None = None
    ) -> tuple[str, ...]:
        """The names of the project's owners; () where the token may not see them."""
        people = await self._people(login, project_id, self._transport.until(within_s))
        return tuple(name for _, name, role in people if role == listings.OWNER)

    async def project_names(
        self, login: Login, project_id: str, *, within_s: float | None = None
    ) -> ProjectNames:
        """What the project's models and people are called."""
        until = self._transport.until(within_s)
        wanted = {"project": project_id}
        models = await self._listed(
            login, listings.ALL_MODEL_NAMES, wanted, until, MAX_MODELS, None
        )
        return listings.read_names(models, await self._people(login, project_id, until))

    async def _people(
        self, login: Login, project_id: str, until: float
    ) -> list[tuple[str, str, str | None]]:
        """Id, name and role of each; none where the token may not see them."""
        wanted = {"project": project_id}
        with suppress(SpeckleScopeMissing, SpeckleForbidden, SpeckleRejected):
            data = await self._read_optional(login, listings.COLLABORATORS, wanted, until)
            if data is None:
                data = await self._transport.read(login, listings.TEAM, wanted, until)
            return listings.read_people(data)
        return []

    async def _listed(
        self,
        login: Login,
        question: str | OptionalQuestion,
        wanted: Mapping[str, Any],
        until: float,
        limit: int,
        since: datetime | None,
    ) -> Listing:
        """At most `limit` items, to a page that has none since then; none where there is no list.

        An item that is too large alone comes without its texts.
        """
        found, size, texts = Listing(), PAGE, True
        while len(found.items) < limit:
            page = {"limit": size, "cursor": found.before(size), "texts": texts}
            try:
                data = await self._ask(login, question, {**wanted, **page}, until)
            except AnswerTooLarge:
                if not texts:
                    raise
                texts, size = size > 1, (size + 1) // 2
                continue
            read = listings.read_page(data)
            found, texts = found.then(read), True
            if found.cursor is None or not read.goes_on(since):
                break
        return found.first(limit)

    async def changes_since(
        self,
        login: Login,
        project_id: str,
        *,
        after: datetime,
        limit: int,
        within_s: float | None = None,
    ) -> ListedChanges:
        """What a project's lists have from `after` on, at most `limit` of each kind, the newest.

        Each list has the time of a question. Issues are left out where this token may not see them.
        """
        wanted = {"project": project_id, "after": answers.iso(after - MILLISECOND)}

        async def read(question: str | OptionalQuestion) -> Listing:
            until = self._transport.until(within_s)
            return await self._listed(login, question, wanted, until, limit, after)

        versions, models = await read(listings.VERSIONS), await read(listings.MODELS)
        issues = Listing()
        with suppress(SpeckleScopeMissing, SpeckleForbidden, SpeckleNotFound, SpeckleRejected):
            issues = await read(listings.ISSUES)
        return listings.read_changes(versions, models, issues, after)

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
        return _needed(login, id_of(answers.child(data, "webhookCreate")))

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
        until = self._transport.until(within_s)
        wanted = {"project": project_id, "webhook": webhook_id, "bodies": bodies}
        limit = max(1, limit)  # 0 would mean all there is
        while True:
            try:
                data = await self._transport.read(
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

    async def activity(
        self,
        login: Login,
        project_id: str,
        *,
        after: datetime | None,
        limit: int,
        within_s: float | None = None,
    ) -> list[Activity] | None:
        """A project's activity list, oldest first, from `after` on, that moment included.

        Of more than `limit` lines the newest ones. Without `info`, which may hold pictures. None
        from a server without such lists.
        """
        until = self._transport.until(within_s)
        wanted: dict[str, Any] = {
            "project": project_id,
            "info": False,
            "after": None if after is None else answers.iso(after),
            "limit": min(limit, ACTIVITY_PAGE),
        }
        lines: dict[str, Activity] = {}
        while len(lines) < limit:
            data = await self._read_optional(login, optional_questions.ACTIVITY, wanted, until)
            if data is None:
                return None
            page = questions.read_activity(data)
            known = len(lines)
            lines.update((line.id, line) for line in page)
            if len(page) < wanted["limit"] or len(lines) == known:
                break
            # The next page begins before the cursor; lines of one millisecond must not be lost.
            wanted["cursor"] = answers.iso(page[-1].at + MILLISECOND)
        newest = sorted(lines.values(), key=lambda line: line.at, reverse=True)[:limit]
        return newest[::-1]

    async def with_info(
        self,
        login: Login,
        project_id: str,
        lines: Sequence[Activity],
        *,
        within_s: float | None = None,
    ) -> list[Activity]:
        """The first of these lines, oldest first as they are given, with their `info`.

        As many as one answer can hold, and one at least, which is `cut` if it alone is too large.
        """
        until = self._transport.until(within_s)
        count = min(len(lines), ACTIVITY_PAGE // 2)
        wanted: dict[str, Any] = {"project": project_id, "info": True, "limit": ACTIVITY_PAGE}
        while count:
            # Cut to milliseconds, as the server reads them: others of the same one come too.
            wanted["after"] = answers.iso(lines[0].at)
            wanted["before"] = answers.iso(lines[count - 1].at + MILLISECOND)
            try:
                data = await self._read_optional(login, optional_questions.ACTIVITY, wanted, until)
            except AnswerTooLarge:
                if count == 1:
                    return [replace(lines[0], cut=True)]
                count = (count + 1) // 2
            else:
                infos = {line.id: line.info for line in questions.read_activity(data)}
                return [replace(line, info=infos.get(line.id)) for line in lines[:count]]
        return []

    # ── what a webhook leaves out ─────────────────────────────────────────────────────────────

    async def version_facts(
        self,
        login: Login,
        project_id: str,
        version: VersionCreated,
        *,
        within_s: float | None = None,
    ) -> VersionFacts:
        """What the server knows of a new version.

        `number` and `previous` are known for the 50 newest versions of a model. Further errors:
        SpeckleNotFound for a version that is gone, of which the server tells nothing at all.
        """
        until = self._transport.until(within_s)
        wanted = {"project": project_id, "version": version.version_id}
        counting = asyncio.create_task(self._open_on(login, project_id, version.model.id, until))
        try:
            data = await self._transport.read(login, questions.VERSION_FACTS, wanted, until)
            facts = questions.read_version_facts(data, version)
            # The caller may stop waiting at `until`: facts that came must not be lost to the count.
            left_s = self._transport.left_s(until)
            _, late = await asyncio.wait({counting}, timeout=min(THREADS_WAIT_S, left_s / 2))
            if late or facts.model.id != version.model.id:
                return facts
            open_threads, open_issues = await counting
            return replace(facts, open_threads=open_threads, open_issues=open_issues)
        finally:
            counting.cancel()

    async def _open_on(
        self, login: Login, project_id: str, model_id: str | None, until: float
    ) -> tuple[int | None, int | None]:
        """How many threads and issues are open on a model, as the event names it.

        None where the server does not say: what it knows of the version counts without this.
        """
        if model_id is None:
            return None, None
        wanted = {"project": project_id, "on": model_id}

        async def count(question: OptionalQuestion, name: str) -> int | None:
            with suppress(SpeckleError):
                data = await self._read_optional(login, question, wanted, until)
                return answers.count(answers.child(data, "project", name, "totalCount"))
            return None

        return await asyncio.gather(
            count(optional_questions.OPEN_THREADS, "commentThreads"),
            count(issues.OPEN_ISSUES, "issues"),
        )

    async def comment_facts(
        self, login: Login, project_id: str, comment_id: str, *, within_s: float | None = None
    ) -> CommentFacts | None:
        """The thread of a comment or reply, with its first line and the names of its models.

        None from a server without comments. Further errors: SpeckleNotFound for a comment that is
        not in this project.
        """
        until = self._transport.until(within_s)
        wanted: dict[str, Any] = {"project": project_id, "comment": comment_id}
        data = await self._read_optional(login, optional_questions.COMMENT_FACTS, wanted, until)
        if data is None:
            return None
        facts = _needed(login, questions.read_comment_facts(data))
        models = await self._names_of(login, project_id, facts.resources, until)
        return replace(facts, models=models)

    async def issue_facts(
        self, login: Login, project_id: str, hint: IssueHint, *, within_s: float | None = None
    ) -> IssueFacts | None:
        """The issue that an event is about, with what happened to it, and its models' names.

        The ids of the hint are tried first, then what was changed at about that time. None from a
        server without issues. Further errors: SpeckleNotFound where nothing fits.
        """
        until = self._transport.until(within_s)
        facts = None
        for issue_id in hint.ids[:MAX_HINTS]:
            facts = facts or await self._hinted(login, project_id, issue_id, hint, until)
        if facts is None:
            wanted = {
                "project": project_id,
                "after": answers.iso(hint.at - issues.AT_THE_TIME),
                "limit": ISSUES_CHANGED,
            }
            data = await self._ask_either(login, issues.CHANGED, wanted, until)
            if data is None:
                return None
            facts = issues.read_changed(data, hint)
        if facts is None:
            raise SpeckleNotFound(login.server_url, "there is no such issue in this project")
        models = await self._names_of(login, project_id, facts.issue.resources, until)
        return replace(facts, models=models)

    async def _hinted(
        self, login: Login, project_id: str, issue_id: str, hint: IssueHint, until: float
    ) -> IssueFacts | None:
        """What happened to the issue with this id, which may be the id of anything.

        Half of the time: what a server answers to something that is no issue is not known.
        """
        half = until - self._transport.left_s(until) / 2
        wanted = {"project": project_id, "issue": issue_id}
        with suppress(SpeckleNotFound, SpeckleForbidden, SpeckleRejected, SpeckleUnavailable):
            data = await self._ask_either(login, issues.ONE, wanted, half)
            return issues.read_issue(data, hint)
        return None

    async def _ask_either(
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

    async def _names_of(
        self, login: Login, project_id: str, resources: Sequence[ResourceRef], until: float
    ) -> tuple[ModelRef, ...]:
        """The models of these resources, with their names."""
        ids = sorted({one.model_id for one in resources if one.model_id is not None})
        if not ids:
            return ()
        wanted = {"project": project_id, "ids": ids[:MAX_CHOICES], "limit": MAX_CHOICES}
        data = await self._transport.read(login, questions.MODEL_NAMES, wanted, until)
        return tuple(ModelRef(one.id, one.name) for one in questions.read_models(data, ""))

    async def was_archived(
        self,
        login: Login,
        project_id: str,
        thread_id: str,
        at: datetime,
        *,
        archived: bool,
        user_id: str | None,
        within_s: float | None = None,
    ) -> bool:
        """Whether this person resolved a thread, or reopened it, at about that time.

        The thread does not say it itself. The list needs an account, on public projects as well.
        """
        until = self._transport.until(within_s)
        for line in await self._activity_about(login, project_id, at, until):
            said = (line.action, line.resource_id, line.user_id)
            if said == ("comment_archived", thread_id, user_id):
                left_s = self._transport.left_s(until)
                (whole,) = await self.with_info(login, project_id, [line], within_s=left_s)
                if answers.child(whole.info, "input", "archived") is archived:
                    return True
        return False

    async def _activity_about(
        self, login: Login, project_id: str, at: datetime, until: float
    ) -> list[Activity]:
        wanted: dict[str, Any] = {
            "project": project_id,
            "info": False,
            "after": answers.iso(at - RECEIVED_WINDOW),
            "before": answers.iso(at + RECEIVED_WINDOW),
            "limit": RECEIVED_LINES,
        }
        return questions.read_activity(
            await self._read_optional(login, optional_questions.ACTIVITY, wanted, until)
        )

    async def received_facts(
        self,
        login: Login,
        project_id: str,
        user_id: str | None,
        at: datetime,
        *,
        within_s: float | None = None,
    ) -> ReceivedFacts | None:
        """Which version this person received at about that time; None if no list says it.

        The list needs an account, on public projects as well.
        """
        until = self._transport.until(within_s)
        received = [
            (abs(line.at - at), line.resource_id)
            for line in await self._activity_about(login, project_id, at, until)
            if line.action == "commit_receive" and user_id in (None, line.user_id)
        ]
        _, version_id = min(received, key=lambda found: found[0], default=(None, None))
        if version_id is None:
            return None
        wanted = {"project": project_id, "version": version_id}
        try:
            data = await self._transport.read(login, questions.VERSION_NAME, wanted, until)
        except SpeckleNotFound:
            return ReceivedFacts(version_id)
        return ReceivedFacts(version_id, *questions.read_version_name(data))


def _search(search: str, limit: int) -> dict[str, Any]:
    """What to search for, without the zero character that no database takes."""
    wanted = search.replace("\0", "").strip()[:MAX_SEARCH]
    return {"search": wanted, "limit": max(1, min(limit, MAX_CHOICES))}


def _needed(login: Login, value: T | None) -> T:
    if value is None:
        raise answers.odd(login.server_url)
    return value
