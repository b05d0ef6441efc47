"""What a webhook leaves out, asked of its Speckle server: facts, and the version's picture."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from bot.cards.card import Picture
from bot.cards.pictures import MAX_PREVIEW_BYTES, is_public_url, picture_from
from bot.db.rows import FillIn, Hook
from bot.errors import (
    SpeckleError,
    SpeckleForbidden,
    SpeckleNotFound,
    SpeckleRejected,
    SpeckleScopeMissing,
    SpeckleTokenRefused,
    SpeckleUnavailable,
)
from bot.pipeline.answers import Answers
from bot.services.accounts import AccountService
from bot.speckle.answers import Login
from bot.speckle.events import (
    CommentMentioned,
    CommentReopened,
    CommentReplied,
    CommentResolved,
    Delivery,
    Facts,
    VersionCreated,
    VersionFacts,
    VersionReceived,
)
from bot.speckle.gateway import SpeckleGateway
from bot.speckle.previews import NoPicture, Previews, Rendered, preview_url

log = structlog.get_logger()

KEEP_S = 60.0
MOST_FACTS = 500
MOST_PICTURES = 16  # of up to 4 MiB
PUBLIC = frozenset({"public", "unlisted"})
# Events wait in ingest's lanes. If so many of one server's wait already, the next ones wait only a
# moment, so that a server that hangs leaves lanes for the others. An event that has waited behind
# others of its project waits no longer than that either.
CROWD = 8
MOMENT_S = 1.0
# Whoever knows a webhook's secret can tell of any version; with somebody's account only what is as
# new as the event is shown. Clocks differ, and Speckle's own queue may have been held up.
NEW_FOR = timedelta(days=1)

Ask = Callable[[Login, float], Awaitable[Facts | None]]


@dataclass(frozen=True, slots=True)
class Added:
    """What a server added to an event in time, what is to be asked again, and lines for people."""

    facts: Facts | None = None
    image: Picture | str | None = None
    missing: frozenset[FillIn] = frozenset()
    lines: tuple[str, ...] = field(default=())


class Enrichment:
    """Asks the allowed Speckle servers, with what a hook may ask with.

    The first question of an event has `deadline_s` in all; 0 asks nothing at all.
    """

    def __init__(
        self,
        gateway: SpeckleGateway,
        previews: Previews,
        accounts: AccountService,
        *,
        servers: Collection[str],
        deadline_s: float,
    ) -> None:
        self._gateway = gateway
        self._servers = frozenset(servers)
        self._previews = previews
        self._accounts = accounts
        self._deadline_s = deadline_s
        self._facts = Answers[Facts | None](most=MOST_FACTS, keep_s=KEEP_S)
        self._pictures = Answers[Picture | NoPicture](most=MOST_PICTURES, keep_s=KEEP_S)
        self._waiting = Counter[str]()

    @property
    def is_on(self) -> bool:
        """Whether anything is asked at all."""
        return self._deadline_s > 0

    def close(self) -> None:
        """Drop what is still being asked."""
        self._facts.close()
        self._pictures.close()

    async def at_once(
        self, hook: Hook, delivery: Delivery, at: datetime, waited_s: float = 0.0
    ) -> Added:
        """What the server adds within the deadline, the two questions side by side.

        `at` is the event's own time, `waited_s` how long it has waited here since it came.
        """
        if not self.is_on or hook.server_url not in self._servers:
            return Added()
        within_s = self._patience_s(hook.server_url, waited_s)
        tasks: dict[FillIn, asyncio.Task[object]] = {}
        if self._facts_question(delivery, at) is not None:
            tasks[FillIn.FACTS] = asyncio.create_task(self.facts(hook, delivery, at, within_s))
        if isinstance(delivery.event, VersionCreated):
            tasks[FillIn.PICTURE] = asyncio.create_task(self.image(hook, delivery, at, within_s))
        if not tasks:
            return Added()
        self._waiting[hook.server_url] += 1
        try:
            await asyncio.wait(tasks.values(), timeout=within_s)
        finally:
            self._waiting[hook.server_url] -= 1
            for task in tasks.values():
                task.cancel()
        return _added({kind: _outcome(task, hook) for kind, task in tasks.items()})

    async def facts(
        self, hook: Hook, delivery: Delivery, at: datetime, within_s: float
    ) -> Facts | None:
        """The facts that belong to the event; None where there are none.

        Errors: SpeckleError of each kind.
        """
        question = self._facts_question(delivery, at)
        if question is None:
            return None
        key, ask = question
        found = await self._accounts.as_hook(
            hook,
            lambda login: self._facts.get(
                (login, delivery.project.id, key), lambda: _coroutine(ask(login, within_s))
            ),
        )
        if isinstance(found, VersionFacts):
            _check_new(hook.server_url, found.made_at, at)
        return found

    async def image(
        self, hook: Hook, delivery: Delivery, at: datetime, within_s: float
    ) -> Picture | str | NoPicture:
        """The picture of a new version: its address where Discord can fetch it, else itself.

        One that not everybody may see is shown only of a version as new as the event.

        Errors: SpeckleError of each kind.
        """
        event = delivery.event
        if not isinstance(event, VersionCreated):
            return NoPicture.MISSING
        project_id, version_id = delivery.project.id, event.version_id
        if (delivery.project.visibility or hook.visibility) in PUBLIC:
            # As a stranger: what they cannot see any more is not shown by its address.
            stranger = Login(hook.server_url)
            seen = await self._picture(stranger, project_id, version_id, at, within_s)
            url = preview_url(hook.server_url, project_id, version_id)
            if isinstance(seen, Picture):
                return url if is_public_url(url) else seen
            if seen is NoPicture.NOT_YET:
                return seen
        return await self._accounts.as_hook(
            hook, lambda login: self._picture(login, project_id, version_id, at, within_s)
        )

    async def _picture(
        self, login: Login, project_id: str, version_id: str, at: datetime, within_s: float
    ) -> Picture | NoPicture:
        async def ask() -> Picture | NoPicture:
            answer = await self._previews.of_version(
                login, project_id, version_id, within_s=within_s
            )
            if not isinstance(answer, Rendered):
                return answer
            if login.token is not None:
                made_at = await self._gateway.version_made_at(
                    login, project_id, version_id, within_s=within_s
                )
                _check_new(login.server_url, made_at, at)
            # Checked, as whoever answers in the server's place may send anything.
            return picture_from(answer.content, "preview", MAX_PREVIEW_BYTES) or NoPicture.MISSING

        key = (login, project_id, version_id)
        answer = await self._pictures.get(key, ask)
        if isinstance(answer, NoPicture):
            self._pictures.forget(key)
        return answer

    def _facts_question(self, delivery: Delivery, at: datetime) -> tuple[object, Ask] | None:
        """What is asked about an event, and what makes that question another one.

        The whole event is part of it where it says what to ask for: it is only as true as
        whoever signed it.
        """
        gateway, project_id = self._gateway, delivery.project.id
        match delivery.event:
            case VersionCreated() as event:
                return event, lambda login, within_s: gateway.version_facts(
                    login, project_id, event, within_s=within_s
                )
            case VersionReceived():
                if delivery.actor is None:  # anybody's would do, also for who made the event up
                    return None
                user_id = delivery.actor.id
                return ("received", user_id, at), lambda login, within_s: gateway.received_facts(
                    login, project_id, user_id, at, within_s=within_s
                )
            case CommentReplied() as event:
                comment_id = event.thread_id or event.reply_id
            case CommentResolved() | CommentReopened() | CommentMentioned() as event:
                comment_id = event.thread_id
            case _:
                return None
        if comment_id is None:
            return None
        return ("comment", comment_id), lambda login, within_s: gateway.comment_facts(
            login, project_id, comment_id, within_s=within_s
        )

    def _patience_s(self, server_url: str, waited_s: float) -> float:
        crowded = self._waiting[server_url] >= CROWD
        left_s = MOMENT_S if crowded else max(MOMENT_S, self._deadline_s - waited_s)
        return min(self._deadline_s, left_s)


def _check_new(server_url: str, made_at: datetime | None, at: datetime) -> None:
    """Raise SpeckleRejected for a version that is older or newer than an event that says new."""
    if made_at is None or abs(at - made_at) > NEW_FOR:
        raise SpeckleRejected(server_url, "the version is not as new as the event says")


async def _coroutine(asked: Awaitable[Facts | None]) -> Facts | None:
    return await asked


def _outcome(task: asyncio.Task[object], hook: Hook) -> object:
    """What a question brought: an answer or a SpeckleError."""
    if not task.done() or task.cancelled():
        return SpeckleUnavailable(hook.server_url, "no answer in time")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, SpeckleError):
        return error
    log.error("enrich.failed", hook_id=hook.id, exc_info=error)
    return SpeckleRejected(hook.server_url, "the answer was not understood")


def _added(outcomes: Mapping[FillIn, object]) -> Added:
    facts, image = outcomes.get(FillIn.FACTS), outcomes.get(FillIn.PICTURE)
    missing = {
        kind for kind, outcome in outcomes.items() if isinstance(outcome, SpeckleUnavailable)
    }
    if image is NoPicture.NOT_YET:
        missing.add(FillIn.PICTURE)
    lines = [_facts_line(facts)] if FillIn.FACTS in outcomes else []
    if FillIn.PICTURE in outcomes:
        lines.append(_picture_line(image))
    return Added(
        facts=facts if isinstance(facts, Facts) else None,
        image=image if isinstance(image, Picture | str) else None,
        missing=frozenset(missing),
        lines=tuple(lines),
    )


def _facts_line(facts: object) -> str:
    match facts:
        case SpeckleUnavailable():
            return (
                f"Speckle did not answer in time ({facts.reason}). The card went out plain; the "
                "rest is filled in if the answer comes within a minute."
            )
        case SpeckleError():
            return f"A plain card, because {why(facts)}."
        case None:
            return "Asked Speckle for more, and it knew no more."
        case _:
            return "Asked Speckle for more, and added it."


def _picture_line(image: object) -> str:
    match image:
        case NoPicture.NOT_YET:
            return "No picture yet: Speckle is making it. It is added for up to 15 minutes."
        case NoPicture():
            return "No picture: Speckle shows none to whoever asks for this server."
        case SpeckleUnavailable():
            return f"No picture yet ({image.reason}). It is asked for again for up to 15 minutes."
        case SpeckleError():
            return f"No picture, because {why(image)}."
        case _:
            return "With its picture."


def why(error: SpeckleError) -> str:
    """Why there is no answer, as the end of a sentence for people."""
    match error:
        case SpeckleTokenRefused():
            return "Speckle no longer takes the token that it was asked with: link the account anew"
        case SpeckleScopeMissing():
            return f"the token that Speckle was asked with lacks {error.scope}"
        case SpeckleForbidden():
            return "the project is closed to the account, or to strangers if none is linked"
        case SpeckleNotFound():
            return "Speckle has no such thing any more, or hides it"
        case SpeckleRejected():
            return f"this Speckle server answers otherwise than the bot knows ({error.reason})"
        case _:
            return error.reason
