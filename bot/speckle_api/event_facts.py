"""What a webhook leaves out: one method for each kind of thing that an event is about."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from bot.errors import (
    SpeckleError,
    SpeckleForbidden,
    SpeckleNotFound,
    SpeckleRejected,
    SpeckleUnavailable,
)
from bot.speckle.checks import Checks
from bot.speckle.events import ModelRef, ResourceRef, VersionCreated
from bot.speckle.facts import CommentFacts, IssueFacts, ReceivedFacts, VersionFacts
from bot.speckle.issue_hints import IssueHint
from bot.speckle_api import checks, comments, issues, questions, versions
from bot.speckle_api.activity_list import ActivityList
from bot.speckle_api.answers import child, count, iso, needed
from bot.speckle_api.asker import Asker
from bot.speckle_api.optional_questions import OptionalQuestion
from bot.speckle_api.types import Login

MAX_MODELS: Final = 100
MAX_HINTS: Final = 3  # ids that are tried; further ones are of something else
ISSUES_CHANGED: Final = 5  # at about the same time
THREADS_WAIT_S: Final = 1.0  # how long a version's facts wait for the number of its threads


class EventFacts:
    """Asks about versions, comments, issues, and who received what.

    Times and errors are those of `SpeckleClient`.
    """

    def __init__(self, asker: Asker, activity: ActivityList) -> None:
        self._asker = asker
        self._activity = activity

    async def of_version(
        self,
        login: Login,
        project_id: str,
        version: VersionCreated,
        *,
        within_s: float | None = None,
    ) -> VersionFacts:
        """What the server knows of a new version.

        `previous` is known for the 50 newest versions of a model. Further errors:
        SpeckleNotFound for a version that is gone, of which the server says nothing at all.
        """
        until = self._asker.until(within_s)
        wanted = {"project": project_id, "version": version.version_id}
        counting = asyncio.create_task(self._open_on(login, project_id, version.model.id, until))
        try:
            data = await self._asker.read(login, versions.VERSION_FACTS, wanted, until)
            facts = versions.read_version_facts(data, version.version_id)
            # The caller may stop waiting at `until`: facts that came must not be lost to the count.
            left_s = self._asker.left_s(until)
            _, late = await asyncio.wait({counting}, timeout=min(THREADS_WAIT_S, left_s / 2))
            if late or facts.model.id != version.model.id:
                return facts
            open_threads, open_issues = await counting
            return replace(facts, open_threads=open_threads, open_issues=open_issues)
        finally:
            counting.cancel()

    async def of_checks(
        self, login: Login, project_id: str, version_id: str, *, within_s: float | None = None
    ) -> tuple[VersionFacts, Checks] | None:
        """What automations found out about a version, and whose version of which model it is.

        How many errors there are is asked once none of them is running. None from a server without
        automations. Further errors: SpeckleNotFound for a version that is gone.
        """
        until = self._asker.until(within_s)
        wanted = {"project": project_id, "version": version_id}
        data = await self._asker.read(login, checks.VERSION_CHECKS, wanted, until)
        if data is None:
            return None
        if child(data, "project", "version") is None:
            raise SpeckleNotFound(login.server_url, "there is no such version in this project")
        facts, found = versions.read_version_facts(data, version_id), checks.read_checks(data)
        if found.failed and not found.running:
            with suppress(SpeckleError):  # it may be too large
                results = await self._asker.read(login, checks.CHECK_RESULTS, wanted, until)
                found = checks.with_errors(found, results)
        return facts, found

    async def open_on(
        self,
        login: Login,
        project_id: str,
        model_id: str | None,
        *,
        within_s: float | None = None,
    ) -> tuple[int | None, int | None]:
        """How many threads and issues are open on a model; None where the server does not say."""
        return await self._open_on(login, project_id, model_id, self._asker.until(within_s))

    async def _open_on(
        self, login: Login, project_id: str, model_id: str | None, until: float
    ) -> tuple[int | None, int | None]:
        """How many threads and issues are open on a model, as the event names it.

        None where the server does not say: what it knows of the version counts without this.
        """
        if model_id is None:
            return None, None
        wanted = {"project": project_id, "on": model_id}

        async def number(question: OptionalQuestion, name: str) -> int | None:
            with suppress(SpeckleError):
                data = await self._asker.read(login, question, wanted, until)
                return count(child(data, "project", name, "totalCount"))
            return None

        return await asyncio.gather(
            number(comments.OPEN_THREADS, "commentThreads"),
            number(issues.OPEN_ISSUES, "issues"),
        )

    async def of_comment(
        self, login: Login, project_id: str, comment_id: str, *, within_s: float | None = None
    ) -> CommentFacts | None:
        """The thread of a comment or reply, with its first line and the names of its models.

        None from a server without comments. Further errors: SpeckleNotFound for a comment that is
        not in this project.
        """
        until = self._asker.until(within_s)
        wanted: dict[str, Any] = {"project": project_id, "comment": comment_id}
        data = await self._asker.read(login, comments.COMMENT_FACTS, wanted, until)
        if data is None:
            return None
        facts = needed(login.server_url, comments.read_comment_facts(data))
        models = await self._names_of(login, project_id, facts.resources, until)
        return replace(facts, models=models)

    async def of_issue(
        self, login: Login, project_id: str, hint: IssueHint, *, within_s: float | None = None
    ) -> IssueFacts | None:
        """The issue that an event is about, with what happened to it, and its models' names.

        The ids of the hint are tried first, then what was changed at about that time. None from a
        server without issues. Further errors: SpeckleNotFound where nothing fits.
        """
        until = self._asker.until(within_s)
        facts = None
        for issue_id in hint.ids[:MAX_HINTS]:
            facts = facts or await self._hinted(login, project_id, issue_id, hint, until)
        if facts is None:
            wanted = {
                "project": project_id,
                "after": iso(hint.at - issues.ABOUT_THEN),
                "limit": ISSUES_CHANGED,
            }
            data = await self._asker.read_first(login, issues.CHANGED, wanted, until)
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
        half = until - self._asker.left_s(until) / 2
        wanted = {"project": project_id, "issue": issue_id}
        with suppress(SpeckleNotFound, SpeckleForbidden, SpeckleRejected, SpeckleUnavailable):
            data = await self._asker.read_first(login, issues.ONE, wanted, half)
            return issues.read_issue(data, hint)
        return None

    async def _names_of(
        self, login: Login, project_id: str, resources: Sequence[ResourceRef], until: float
    ) -> tuple[ModelRef, ...]:
        """The models of these resources, with their names."""
        ids = sorted({one.model_id for one in resources if one.model_id is not None})
        if not ids:
            return ()
        wanted = {"project": project_id, "ids": ids[:MAX_MODELS], "limit": MAX_MODELS}
        data = await self._asker.read(login, questions.MODEL_NAMES, wanted, until)
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
        until = self._asker.until(within_s)
        for line in await self._activity.near(login, project_id, at, until):
            said = (line.action, line.resource_id, line.user_id)
            if said == ("comment_archived", thread_id, user_id):
                left_s = self._asker.left_s(until)
                (whole,) = await self._activity.with_info(
                    login, project_id, [line], within_s=left_s
                )
                if child(whole.info, "input", "archived") is archived:
                    return True
        return False

    async def of_received(
        self,
        login: Login,
        project_id: str,
        user_id: str,
        at: datetime,
        *,
        within_s: float | None = None,
    ) -> ReceivedFacts | None:
        """Which version this person received at about that time; None if no list says it.

        The list needs an account, on public projects as well.
        """
        until = self._asker.until(within_s)
        received = [
            (abs(line.at - at), line.resource_id)
            for line in await self._activity.near(login, project_id, at, until)
            if line.action == "commit_receive" and line.user_id == user_id
        ]
        _, version_id = min(received, key=lambda found: found[0], default=(None, None))
        if version_id is None:
            return None
        wanted = {"project": project_id, "version": version_id}
        try:
            data = await self._asker.read(login, versions.VERSION_NAME, wanted, until)
        except SpeckleNotFound:
            return ReceivedFacts(version_id)
        return ReceivedFacts(version_id, *versions.read_version_name(data))
