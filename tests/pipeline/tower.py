"""A project on a Speckle server that replays one, and the bot's hook for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.model import Account, Consent, Entitlement, Hook, HookKind
from bot.pending import LinkDetails
from bot.permissions import Audience
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle.tokens import SCOPES, Tokens
from bot.storage import Storage
from bot.timing import utc_now
from sandbox.speckle import (
    HistoryEntry,
    Model,
    ServerProject,
    SpeckleServer,
    User,
    Webhook,
    commit_create_data,
)
from tests.stored import note_event

if TYPE_CHECKING:
    from sandbox.discord import SandboxMember
    from tests.pipeline.conftest import Studio


def answer(
    by: int,
    project_name: str | None = None,
    *,
    standing: Entitlement = Entitlement.OWNER,
    options: SubscriptionOptions = SubscriptionOptions(),
    audience: Audience | None = None,
) -> Consent:
    """Somebody's answer to who will see a private project."""
    return Consent(by, utc_now(), standing, options, "private", audience, project_name)


@dataclass
class Tower:
    """Kestrel Tower on a Speckle server, and the hook that its webhook leads to."""

    server: SpeckleServer
    ilse: User
    token: str
    project: ServerProject
    model: Model
    port: int
    webhook: Webhook | None = None
    hook: Hook | None = None

    async def link(
        self,
        storage: Storage,
        member: "SandboxMember",
        user: User,
        token: str,
        nonce: str = "a nonce",
    ) -> Account:
        """A member's linked account."""
        nonce = f"{nonce} for {member.id}"
        await storage.write(
            lambda tx: tx.link_requests.add(nonce, member.id, self.server.url, LinkDetails())
        )
        account = await storage.write(
            lambda tx: tx.accounts.link(
                nonce, user.id, user.name, Tokens(token), frozenset(SCOPES), notified=True
            )
        )
        assert account is not None
        return account

    async def follow(self, storage: Storage, studio: "Studio", *, made: bool = True) -> Hook:
        """#structure follows the project; `made`: with a webhook that the bot made."""
        account = await self.link(storage, studio.maren, self.ilse, self.token)
        hook = await storage.write(
            lambda tx: tx.hooks.create(
                studio.guild.id,
                self.server.url,
                self.project.id,
                HookKind.OWN,
                studio.maren.id,
                studio.structure.id,
            )
        )
        triggers = ("commit_create", "comment_archived")
        url = f"http://127.0.0.1:{self.port}/webhooks/{hook.key}"
        self.webhook = self.server.add_webhook(
            self.project, url, triggers, secret=hook.secrets[0], description="speckle bot"
        )
        await storage.write(
            lambda tx: tx.subscriptions.upsert(
                hook.id,
                studio.structure.id,
                SubscriptionOptions(),
                studio.maren.id,
                account.id,
                answer(studio.maren.id, self.project.name),
            )
        )
        if made:
            webhook_id = self.webhook.id
            await storage.write(lambda tx: tx.hooks.record_webhook(hook.id, account.id, webhook_id))
        else:
            await storage.write(lambda tx: note_event(tx, hook.id, self.project.name))
        self.hook = await storage.read(lambda tx: tx.hooks.get(hook.id))
        assert self.hook is not None
        return self.hook

    def version(self, number: int, *, at: datetime | None = None) -> dict[str, Any]:
        return commit_create_data(
            self.server.add_version(
                self.project, self.model, author=self.ilse, message=f"version no {number}", at=at
            )
        )

    def fail(self, numbers: range, status: int = 3) -> list[HistoryEntry]:
        """New versions whose webhook does not get through."""
        entries: list[HistoryEntry] = []
        for number in numbers:
            data = self.version(number)
            entries += self.server.record(
                self.project, "commit_create", data, user=self.ilse, status=status
            )
        return entries

    async def fire(self, numbers: range) -> list[int]:
        """New versions whose webhook is called; what became of the calls."""
        entries: list[HistoryEntry] = []
        for number in numbers:
            data = self.version(number)
            entries += await self.server.fire(self.project, "commit_create", data, user=self.ilse)
        return [entry.status for entry in entries]

    def resolve(self, thread_id: str, status: int = 3) -> HistoryEntry:
        """A thread is resolved: each time the body is the same."""
        data = {"input": {"commentId": thread_id, "archived": True, "projectId": self.project.id}}
        (entry,) = self.server.record(
            self.project, "comment_archived", data, user=self.ilse, status=status
        )
        return entry
