"""Who reads a project for an answer in Discord: the channel's account, or the caller's own.

In a channel that follows the project, the account that subscribed the channel reads, if the rule of
who may see what allows it. What it reads is cut to what the channel shows, and is for members who
may read the channel's earlier messages. Elsewhere, and for what the channel does not show, the
caller's own account reads; what is public needs none. The answer is for the caller
alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from bot.errors import (
    ACCOUNT_REFUSED,
    AccountUnconfirmed,
    AccountUnopenable,
    NotASpeckleLink,
    SpeckleError,
    SpeckleTokenRefused,
)
from bot.model import Hook, InboxSource, Subscription, SubscriptionState
from bot.services.access_rules import DecideAccess, ReadPermit, Show, Wait
from bot.services.completion import Choice, complete_projects, merged
from bot.services.managed_entries import managed_entries
from bot.services.project_followers import followed_entries, shows_model
from bot.services.project_input import ProjectInput
from bot.services.refusals import (
    ChannelNotRead,
    ChannelNotSeen,
    CommandRefused,
    NeedsOwnAccount,
    NoProjectHere,
    NotOneProject,
    NotReadWhy,
    OwnAccountNotTaken,
    ProjectNotSeen,
)
from bot.services.search import Search
from bot.services.subscribe_results import CommandCaller, Followed
from bot.services.token_lending import SpeckleCall, TokenLender
from bot.speckle.events import EventKind, ModelRef
from bot.speckle.filters import is_author
from bot.speckle.links import SpeckleLink, looks_like_address, parse_link
from bot.speckle.listed import ListedVersion
from bot.speckle.subscription_options import SubscriptionOptions, wanted_kinds
from bot.speckle_api.types import Login
from bot.storage import Storage, Transaction

T = TypeVar("T")
NOT_TAKEN: Final = (SpeckleTokenRefused, AccountUnopenable, AccountUnconfirmed)


@dataclass(frozen=True, slots=True)
class MeantProject:
    """The project that is meant, and the link that says it, if one does."""

    server_url: str
    project_id: str
    link: SpeckleLink | None = None


@dataclass(frozen=True, slots=True)
class ProjectReader:
    """Somebody who may read a project for one answer.

    `entry` is what the channel has of it, where the channel's account reads; else it is the
    caller's own account, or, without `account_id`, no account at all.
    """

    project: MeantProject
    entry: Followed | None = None
    permit: ReadPermit | None = None
    account_id: int | None = None

    def shows_model(self, model: ModelRef) -> bool:
        """Whether the answer may tell of this model."""
        return self.entry is None or shows_model(self.entry.subscription, model)

    def shows(self, version: ListedVersion) -> bool:
        """Whether the answer may tell of this version: the channel shows such ones."""
        if self.entry is None:
            return True
        ignored = (one.ignore_authors for one in _agreed(self.entry.subscription))
        by = version.author
        is_ignored = by is not None and any(
            is_author(name, by.id, by.name) for names in ignored for name in names
        )
        return not is_ignored and self.shows_model(version.model)


Ask: TypeAlias = Callable[[ProjectReader], SpeckleCall[T]]
"""What is asked, by who reads. It may refuse what this reader is not to tell."""


class ProjectReading:
    """Finds out which project is meant and who reads it. Errors: CommandRefused."""

    def __init__(
        self,
        storage: Storage,
        lender: TokenLender,
        search: Search,
        project_input: ProjectInput,
        decide_access: DecideAccess,
        *,
        servers: Sequence[str],
        asks_public: bool = True,
    ) -> None:
        self._storage = storage
        self._lender = lender
        self._search = search
        self._input = project_input
        self._decide_access = decide_access
        self._asks_public = asks_public
        self.servers = tuple(servers)

    # ── which project ─────────────────────────────────────────────────────────────────────────

    async def project(
        self, caller: CommandCaller, typed: str | None, *links: str | None
    ) -> MeantProject:
        """The project that was typed, or that one of the links leads into; else the channel's."""
        typed = typed and typed.strip()
        pasted = (one for one in links if one and looks_like_address(one))
        typed = typed or next(pasted, None)
        here = await self._here(caller)
        if typed is None:
            return _only(caller, here)
        managed = await managed_entries(self._storage, caller.guild_id, caller.actor)
        server_url, link = await self._input.link_of(typed, caller.actor.id, [*here, *managed])
        return MeantProject(server_url, link.project_id, link)

    async def while_typing(self, caller: CommandCaller, typed: str | None) -> MeantProject | None:
        """The same without asking any server; None where it is not clear."""
        here = await self._here(caller)
        if not typed:
            return _only(caller, here) if len(here) == 1 else None
        managed = await managed_entries(self._storage, caller.guild_id, caller.actor)
        meant = self._input.offline(typed, [*here, *managed])
        if len(meant) != 1 or meant[0][0] not in self.servers:
            return None
        return MeantProject(*meant[0])

    async def complete(self, caller: CommandCaller, typed: str) -> list[Choice]:
        """What the channel follows, then the caller's own projects."""
        here = {_project_of(one.hook): one.label for one in await self._here(caller)}
        own = await self._search.projects(caller.actor.id, typed)
        return merged(complete_projects(here, typed), own)

    def link_in(self, project: MeantProject, typed: str) -> SpeckleLink | None:
        """What a pasted link leads to in the project; None for another text, or another project."""
        if not looks_like_address(typed):
            return None
        try:
            link = parse_link(typed.partition("#")[0], self.servers)
        except NotASpeckleLink:
            return None
        there = (project.server_url, project.project_id)
        return link if (link.server_url, link.project_id) == there else None

    async def _here(self, caller: CommandCaller) -> list[Followed]:
        """What the channel follows, or a thread's channel; for who sees it."""
        if not caller.actor.sees(caller.channel_id):
            raise CommandRefused(ChannelNotSeen(caller.channel_id))
        parent_id = caller.parent_id
        there = [caller.channel_id]
        there += [parent_id] if parent_id is not None and caller.actor.sees(parent_id) else []
        found = await self._storage.read(
            lambda tx: [_entries(tx, caller.guild_id, one) for one in there]
        )
        return next(filter(None, found), [])

    # ── who reads it ──────────────────────────────────────────────────────────────────────────

    async def first(
        self, caller: CommandCaller, project: MeantProject, ask: Ask[T]
    ) -> tuple[ProjectReader, T]:
        """The answer of the first who may give it, and who that is.

        Errors: CommandRefused; SpeckleError where the server does not answer.
        """
        entry = await self._entry(caller, project)
        leave = await self._leave(caller, entry)
        own = await self._lender.of_user(caller.actor.id, project.server_url)
        own_id = None if own is None else own.id
        refused: CommandRefused | None = None
        error: SpeckleError | None = None
        for reader in self._readers(project, entry, leave, own_id):
            try:
                return reader, await self.ask(reader, ask(reader))
            except CommandRefused as no:
                refused = refused or no
            except ACCOUNT_REFUSED as no:
                error = no if reader.account_id is not None else error
        if refused is not None:
            raise refused
        if isinstance(error, NOT_TAKEN):
            raise CommandRefused(OwnAccountNotTaken(project.server_url))
        if error is not None:
            raise CommandRefused(ProjectNotSeen(project.server_url))
        if entry is not None:
            why = leave if isinstance(leave, NotReadWhy) else NotReadWhy.NO_ACCESS
            raise CommandRefused(ChannelNotRead(caller.channel_id, why))
        raise CommandRefused(NeedsOwnAccount(project.server_url))

    async def ask(self, reader: ProjectReader, question: SpeckleCall[T]) -> T:
        """Ask as this reader. Errors: SpeckleError of each kind."""
        if reader.permit is not None:
            return await self._lender.with_permit(reader.permit, question)
        if reader.account_id is not None:
            return await self._lender.as_account(reader.account_id, question)
        return await question(Login(reader.project.server_url))

    def _readers(
        self,
        project: MeantProject,
        entry: Followed | None,
        leave: ReadPermit | NotReadWhy | None,
        own_id: int | None,
    ) -> Iterator[ProjectReader]:
        if isinstance(leave, ReadPermit):
            yield ProjectReader(project, entry, leave)
        if own_id is not None:
            yield ProjectReader(project, account_id=own_id)
        if self._asks_public:
            yield ProjectReader(project)

    async def _entry(self, caller: CommandCaller, project: MeantProject) -> Followed | None:
        wanted = (project.server_url, project.project_id)
        there = (one for one in await self._here(caller) if _project_of(one.hook) == wanted)
        return next(there, None)

    async def _leave(
        self, caller: CommandCaller, entry: Followed | None
    ) -> ReadPermit | NotReadWhy | None:
        """Leave to read for the channel, or why there is none; None where it does not follow it.

        One without an account would give nothing that not everybody may read.
        """
        if entry is None:
            return None
        subscription, hook = entry.subscription, entry.hook
        if not caller.reads_history:
            return NotReadWhy.NO_HISTORY
        if subscription.state is not SubscriptionState.ACTIVE:
            return NotReadWhy.PAUSED
        shown = (wanted_kinds(one) for one in _agreed(subscription))
        if not all(EventKind.VERSION_CREATED in kinds for kinds in shown):
            return NotReadWhy.NO_VERSIONS
        source = InboxSource.LIVE if hook.is_heard else InboxSource.WEBHOOK
        decision = (await self._decide_access(hook, [subscription], source)).get(subscription.id)
        match decision:
            case Show(permit) if permit is not None and not permit.is_anonymous:
                return permit
            case Show():
                account = subscription.account_id
                return NotReadWhy.NO_ACCOUNT if account is None else NotReadWhy.NO_ACCESS
            case Wait():
                return NotReadWhy.NOT_NOW
            case _:
                return NotReadWhy.NO_ACCESS


def _agreed(subscription: Subscription) -> Iterator[SubscriptionOptions]:
    """What the channel shows, and what somebody agreed to show there."""
    yield subscription.options
    if subscription.consent is not None:
        yield subscription.consent.options


def _project_of(hook: Hook) -> tuple[str, str]:
    return hook.server_url, hook.project_id


def _entries(tx: Transaction, guild_id: int, channel_id: int) -> list[Followed]:
    there = tx.subscriptions.of_channel(channel_id)
    mine = [one.id for one in there if one.guild_id == guild_id]
    return sorted(followed_entries(tx, mine), key=lambda entry: entry.subscription.id)


def _only(caller: CommandCaller, here: Sequence[Followed]) -> MeantProject:
    if not here:
        raise CommandRefused(NoProjectHere(caller.channel_id))
    if len(here) > 1:
        labels = tuple(one.label for one in here)
        raise CommandRefused(NotOneProject(caller.channel_id, labels))
    return MeantProject(*_project_of(here[0].hook))
