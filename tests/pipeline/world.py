"""A project with a public and a secret model, the bot's hook for it, and who signs events."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import update

from bot.app import App, Timings
from bot.db.tables import hooks, inbox, subscriptions
from bot.discord_api.channel_audience import DiscordChannelAudience
from bot.model import (
    Account,
    Consent,
    Entitlement,
    Hook,
    HookKind,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.permissions import Audience
from bot.pipeline.access import AccessTimings
from bot.pipeline.enrichment.timings import EnrichmentTimings, RetryPatience
from bot.services.webhook_triggers import triggers_of
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle_api.circuit_breaker import BreakerLimits
from bot.timing import Backoff
from bot.work import InboxState
from sandbox.discord import SandboxChannel, SandboxMember
from sandbox.speckle import Model, Version, commit_create_data
from sandbox.speckle.entities import Comment
from tests.pipeline.conftest import CHECKED_ONCE, TIMINGS, Run, Studio
from tests.pipeline.tower import Tower, answer
from tests.speckle_api.tables import add_object_table
from tests.stored import note_event, waiting_count
from tests.waiting import until

# All that a channel without filters wants: then nobody has to repair the webhook.
TRIGGERS = triggers_of([SubscriptionOptions()])
PUBLIC_ONLY = SubscriptionOptions(models=("public/**",))
# Few: the sandbox names each of them in its answer, in the loop that the bot works in, too.
OBJECT_COUNT = 4_365
OBJECTS = f"{OBJECT_COUNT:,}"  # a version's facts as cards say them; the comma makes it no id
SECRET = "nobody in this channel is to read this"
QUIET_S = 3.0


@dataclass
class BotWorld:
    """The bot at work on a project whose webhook anybody in here may sign for."""

    app: App
    studio: Studio
    tower: Tower
    hook: Hook
    public: Model
    secret: Model

    # ── who follows ───────────────────────────────────────────────────────────────────────────

    async def link(self, member: SandboxMember | None = None, name: str = "Ilse Brandt") -> Account:
        """A member's account: Ilse's, who owns the project, or somebody's who may see it."""
        server, tower = self.tower.server, self.tower
        member = member or self.studio.maren
        there = await self.app.lender.of_user(member.id, server.url)
        if there is not None:
            return there
        if name == "Ilse Brandt":
            user, token = tower.ilse, tower.token
        else:
            user = server.add_user(name)
            server.set_role(tower.project, user, "stream:reviewer")
            token = server.token(user)
        return await tower.link(self.app.storage, member, user, token)

    async def follow(
        self,
        channel: SandboxChannel,
        account: Account | None = None,
        *,
        options: SubscriptionOptions = SubscriptionOptions(),
        consent: Consent | None = None,
        hook: Hook | None = None,
    ) -> Subscription:
        """A channel that follows the project; by default its account's person agreed to it."""
        by = self.studio.maren.id if account is None else account.discord_user_id
        if consent is None and (account is not None or hook is None):
            consent = answer(by, options=options, audience=await self.audience(channel))
        _, new = await self.app.storage.write(
            lambda tx: tx.subscriptions.upsert(
                (hook or self.hook).id,
                channel.id,
                options,
                by,
                None if account is None else account.id,
                consent,
            )
        )
        return new

    async def audience(self, channel: SandboxChannel) -> Audience:
        found = await DiscordChannelAudience(self.app.bot, 0.0).audience(
            self.studio.guild.id, channel.id
        )
        assert found is not None
        return found

    async def taken_over(
        self, subscription: Subscription, by: SandboxMember, account: Account | None
    ) -> None:
        """Somebody else answers for a channel, as the question's button does it."""
        storage = self.app.storage
        standing = Entitlement.MANAGER if account is None else Entitlement.READER
        await storage.write(
            lambda tx: tx.subscriptions.answered(
                subscription.id,
                answer(by.id, standing=standing, options=subscription.options),
                account_id=None if account is None else account.id,
            )
        )
        if account is None:
            with storage._database.writing() as connection:
                values = {"account_id": None, "access_ok_at": None}
                this = subscriptions.c.id == subscription.id
                connection.execute(update(subscriptions).where(this).values(values))
        await storage.write(
            lambda tx: tx.subscriptions.set_state(subscription.id, SubscriptionState.ACTIVE)
        )

    async def the_last_yes_was(self, ago: timedelta) -> None:
        """Of each account, and of who has no token."""
        at = datetime.now(UTC) - ago
        with self.app.storage._database.writing() as connection:
            seen = subscriptions.c.access_ok_at.is_not(None)
            connection.execute(update(subscriptions).where(seen).values(access_ok_at=at))
            seen = hooks.c.public_at.is_not(None)
            connection.execute(update(hooks).where(seen).values(public_at=at))

    # ── what happens ──────────────────────────────────────────────────────────────────────────

    def version(self, model: Model | None = None, message: str = "slab", **more: Any) -> Version:
        facts: dict[str, Any] = {"object_count": OBJECT_COUNT, **more}
        made = self.tower.server.add_version(
            self.tower.project,
            model or self.public,
            author=self.tower.ilse,
            message=message,
            **facts,
        )
        return add_object_table(self.tower.server, made, facts["object_count"])

    async def publish(self, message: str, model: Model | None = None, **more: Any) -> Version:
        """A new version, sent by the project's webhooks."""
        version = self.version(model, message, **more)
        await self.fire("commit_create", commit_create_data(version))
        return version

    def thread(self, model: Model, text: str = SECRET, **more: Any) -> Comment:
        version = self.version(model, SECRET)
        server, tower = self.tower.server, self.tower
        return server.add_comment(tower.project, [version], author=tower.ilse, text=text, **more)

    def reply(self, thread: Comment, **more: Any) -> Comment:
        return self.tower.server.add_reply(thread, author=self.tower.ilse, text=SECRET, **more)

    async def fire(
        self, trigger: str, data: Mapping[str, Any], message: str | None = None, **more: Any
    ) -> None:
        """An event, signed with each webhook's secret, whether it happened or not."""
        server, tower = self.tower.server, self.tower
        entries = await server.fire(
            tower.project, trigger, data, **{"user": tower.ilse, "message": message} | more
        )
        assert [entry.status for entry in entries] == [2] * len(entries)

    async def forge_version(self, version: Version, model: Model, message: str = "forged") -> None:
        """That this version is a new one of that model."""
        data = commit_create_data(version)
        claimed = {"branchName": model.name, "branchId": model.id, "modelId": model.id}
        data["commit"] |= {**claimed, "message": message}
        await self.fire("commit_create", data)

    async def tell_reply(self, reply_id: str, thread_id: str, words: str = "Seen") -> None:
        content = {"doc": {"type": "doc", "content": [_paragraph(words)]}}
        data = {"threadId": thread_id, "projectId": self.tower.project.id, "content": content}
        message = f"Comment reply #{reply_id} created"
        await self.fire("comment_replied", {"input": data}, message)

    async def tell_archived(self, thread_id: str, *, archived: bool = True) -> None:
        data = {"commentId": thread_id, "archived": archived, "projectId": self.tower.project.id}
        await self.fire("comment_archived", {"input": data})

    async def tell_mention(self, comment_id: str, thread_id: str) -> None:
        data = {"threadId": thread_id, "commentId": comment_id}
        await self.fire("comment_mention", data)

    async def by_hand(self) -> Hook:
        """Another hook of the project, whose address and secret somebody was shown."""
        made = await self._hook()
        self.add_webhook(made)
        return made

    def add_webhook(self, hook: Hook) -> str:
        url = f"http://127.0.0.1:{self.tower.port}/webhooks/{hook.key}"
        made = self.tower.server.add_webhook(
            self.tower.project, url, TRIGGERS, secret=hook.secrets[0], description="speckle bot"
        )
        return made.id

    async def _hook(self) -> Hook:
        return await self.app.storage.write(
            lambda tx: tx.hooks.create(
                self.studio.guild.id,
                self.tower.server.url,
                self.tower.project.id,
                HookKind.OWN,
                self.studio.maren.id,
                self.studio.structure.id,
            )
        )

    # ── what is seen ──────────────────────────────────────────────────────────────────────────

    def shown(self, channel: SandboxChannel) -> str:
        """All that is in a channel, as text."""
        return json.dumps([(m.content, m.embeds) for m in self.messages(channel)])

    def messages(self, channel: SandboxChannel) -> list[Any]:
        return self.studio.sandbox.messages(channel.id)

    def embeds(self, channel: SandboxChannel) -> list[dict[str, Any]]:
        return [embed for message in self.messages(channel) for embed in message.embeds]

    def quotes(self, channel: SandboxChannel) -> list[str]:
        """The messages of the versions that a channel was shown, in their order."""
        texts = [str(embed.get("description", "")) for embed in self.embeds(channel)]
        return [text.split("> ", 1)[1].split("\n")[0] for text in texts if "> " in text]

    async def shows(self, channel: SandboxChannel, *words: str) -> None:
        async def there() -> bool:
            shown = self.shown(channel)
            return all(word in shown for word in words)

        try:
            await until(there, 20.0)
        except TimeoutError:
            raise AssertionError(f"{words} not in {self.shown(channel)}") from None

    async def settled(self) -> None:
        """Everything that came is dealt with: late additions, edits and cards too."""
        storage = self.app.storage

        async def done() -> bool:
            with storage._database.reading() as connection:
                new = inbox.select().where(inbox.c.state == InboxState.NEW).limit(1)
                waits = connection.execute(new).one_or_none()
            if (
                waits is not None
                or await storage.read(lambda tx: tx.late_enrichment.due_in()) is not None
            ):
                return False
            return (
                await storage.read(lambda tx: tx.edits.due_in()) is None
                and await storage.read(lambda tx: tx.outbox.due_in()) is None
            )

        await until(done, 30.0)

    async def holds(self, subscription: Subscription, count: int, waiting: int = 0) -> None:
        """So many events are held for it, and so many cards wait."""
        storage = self.app.storage

        async def held() -> bool:
            wait = await storage.read(waiting_count)
            there = await storage.read(lambda tx: tx.held_events.count([subscription.id]))
            return (there, wait) == (count, waiting)

        try:
            await until(held, 20.0)
        except TimeoutError:
            found = await storage.read(lambda tx: tx.held_events.count([subscription.id]))
            wait = await storage.read(waiting_count)
            raise AssertionError(f"{found} held, {wait} wait") from None

    async def again(self, subscription: Subscription) -> Subscription:
        found = await self.app.storage.read(lambda tx: tx.subscriptions.get(subscription.id))
        assert found is not None
        return found

    async def paused(self, subscription: Subscription, why: PauseWhy) -> Subscription:
        """The subscription, as soon as it is paused for this."""

        async def found() -> Subscription | None:
            now = await self.again(subscription)
            return now if now.state is SubscriptionState.PAUSED else None

        now = await until(found, 20.0)
        assert now.pause_detail == why
        return now

    def ilse_is_out(self) -> None:
        """She can no longer see the project, which somebody else owns by now."""
        server, tower = self.tower.server, self.tower
        server.set_role(tower.project, server.add_user("Ada Okafor"), "stream:owner")
        server.set_role(tower.project, tower.ilse, None)


OpenStage = Callable[..., AbstractAsyncContextManager[BotWorld]]


@pytest.fixture
def timings() -> Timings:
    """Waits that are long on purpose are short in here."""
    soon = partial(RetryPatience, timedelta(seconds=0.1), Backoff((0.1,)))
    return replace(
        TIMINGS,
        speckle=BreakerLimits(failures=1_000, rest_s=0.3),
        access=AccessTimings(silent_for_s=0.2, member_known_s=0.0, retry=Backoff((0.3,))),
        enrichment=EnrichmentTimings(
            question_s=2.0,
            facts=soon(timedelta(minutes=1)),
            picture=soon(timedelta(minutes=15)),
            changes=soon(timedelta(minutes=1)),
            checks=CHECKED_ONCE,
        ),
    )


@pytest.fixture
def stage(run: Run, studio: Studio, tower: Tower) -> OpenStage:
    return stage_of(run, studio, tower)


def stage_of(run: Run, studio: Studio, tower: Tower) -> OpenStage:
    """Opens the stage; each block is one run of the bot, with the same hook."""
    project, server = tower.project, tower.server
    public, secret = server.add_model(project, "public/y"), server.add_model(project, "secret/x")

    @asynccontextmanager
    async def opened(*, made: bool = True, **more: Any) -> AsyncIterator[BotWorld]:
        async with run(**{"speckle": {"enrich_deadline_s": QUIET_S}} | more) as app:
            stage = BotWorld(app, studio, tower, tower.hook, public, secret)  # type: ignore[arg-type]
            if tower.hook is None:
                stage.hook = await stage._hook()
                webhook_id = stage.add_webhook(stage.hook)
                if made:
                    maker = await stage.link()
                    await app.storage.write(
                        lambda tx: tx.hooks.record_webhook(stage.hook.id, maker.id, webhook_id)
                    )
                else:
                    await app.storage.write(lambda tx: note_event(tx, stage.hook.id))
            there = await app.storage.read(lambda tx: tx.hooks.get(stage.hook.id))
            assert there is not None
            tower.hook = stage.hook = replace(there)
            yield stage

    return opened


def _paragraph(text: str) -> dict[str, Any]:
    return {"type": "paragraph", "content": [{"type": "text", "text": text}]}
