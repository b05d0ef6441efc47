"""A token pasted once, then one line in Discord: the webhook is made, used, changed, removed."""

import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest

from bot.app import App
from bot.model import HookState
from sandbox.discord import InteractionView, SandboxChannel, SandboxMessage
from sandbox.speckle import Release, ServerProject, SpeckleServer, User, commit_create_data
from tests.pipeline.conftest import StartBot, Studio
from tests.waiting import until

WITHIN_S = 20.0
DISCORD_WAITS_S = 3.0  # for an answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def text_of(answer: InteractionView | SandboxMessage) -> str:
    return f"{answer.content}\n{answer.embeds}"


@dataclass(frozen=True)
class House:
    """Ilse owns Kestrel Tower at a Speckle server on this machine; Maren types with her token."""

    studio: Studio
    server: SpeckleServer
    ilse: User
    tower: ServerProject
    start: Callable[[], AbstractAsyncContextManager[App]]

    async def type(
        self, name: str, *, where: SandboxChannel | None = None, **options: object
    ) -> InteractionView:
        studio = self.studio
        answer = await studio.sandbox.command(
            studio.guild, where or studio.structure, studio.maren, name, **options
        )
        return await answer.settled()

    async def paste(self, offer: InteractionView, token: str) -> InteractionView:
        form = await self.studio.sandbox.press(offer, "Paste it", self.studio.maren)
        return await self.studio.sandbox.submit_modal(form, {"Token": token}, self.studio.maren)

    async def new_version(self, message: str) -> None:
        model = self.server.add_model(self.tower, f"structure/{message}")
        version = self.server.add_version(self.tower, model, author=self.ilse, message=message)
        called = await self.server.fire(
            self.tower, "commit_create", commit_create_data(version), user=self.ilse
        )
        assert [call.status for call in called] == [2]

    def shown(self, channel: SandboxChannel) -> str:
        return str([(m.content, m.embeds) for m in self.studio.sandbox.messages(channel.id)])


@pytest.fixture
async def house(studio: Studio, start_bot: StartBot, release: Release) -> AsyncIterator[House]:
    async with SpeckleServer.start(release=release) as server:
        ilse = server.add_user("Ilse Brandt")
        tower = server.add_project("Kestrel Tower", owner=ilse, visibility="PUBLIC")
        port = free_port()

        @asynccontextmanager
        async def start() -> AsyncIterator[App]:
            async with start_bot(
                public_url=f"http://127.0.0.1:{port}",
                webhook_port=port,
                speckle_servers=(server.url,),
                speckle={"enrich_deadline_s": 3.0},
            ) as app:
                yield app

        yield House(studio, server, ilse, tower, start)


async def test_with_an_owners_token_pasted_once_subscribe_needs_one_line_and_no_browser(
    house: House,
) -> None:
    studio, server = house.studio, house.server
    async with house.start() as app:
        linked = await house.paste(await house.type("link"), server.token(house.ilse))
        await until(lambda: "is linked" in text_of(linked))

        (choice,) = await studio.sandbox.autocomplete(
            studio.guild, studio.structure, studio.maren, "subscribe", "stream_id", "kestrel"
        )
        assert choice["name"] == "Kestrel Tower"
        answer = await house.type("subscribe", stream_id=choice["value"], events="version_created")
        assert "in Speckle for you" in text_of(answer)
        assert "Secret" not in text_of(answer)
        (made,) = server.webhooks(house.tower)
        assert made.triggers == ["commit_create"]
        assert "Studio Kestrel" in (made.description or "")
        await house.new_version("slab poured")
        await until(lambda: "slab poured" in house.shown(studio.structure))

        await house.type("subscribe", stream_id=choice["value"], events="comments, version_created")
        assert "comment_created" in made.triggers
        await house.type(
            "subscribe", where=studio.facade, stream_id=choice["value"], events="models"
        )
        assert "branch_create" in made.triggers
        await house.type("unsubscribe", where=studio.facade, project=choice["value"])
        assert "branch_create" not in made.triggers
        gone = await house.type("unsubscribe", project=choice["value"])
        assert "removed" in text_of(gone)
        assert server.webhooks(house.tower) == []
        assert await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id)) == []


async def test_what_is_offered_while_typing_comes_in_time_from_a_server_that_does_not_answer(
    house: House,
) -> None:
    studio, server = house.studio, house.server
    async with house.start():
        linked = await house.paste(await house.type("link"), server.token(house.ilse))
        await until(lambda: "is linked" in text_of(linked))
        link = f"{server.url}/projects/{house.tower.id}"
        await house.type("subscribe", stream_id=link)
        server.faults.hang = True
        for option in ("models", "ignore_authors"):
            begun = time.monotonic()
            offered = await studio.sandbox.autocomplete(
                studio.guild,
                studio.structure,
                studio.maren,
                "subscribe",
                option,
                "level",
                stream_id=link,
            )
            assert offered == []
            assert time.monotonic() - begun < DISCORD_WAITS_S


async def test_who_has_linked_an_account_is_not_asked_to_while_speckle_does_not_answer(
    house: House,
) -> None:
    server = house.server
    async with house.start():
        linked = await house.paste(await house.type("link"), server.token(house.ilse))
        await until(lambda: "is linked" in text_of(linked))
        server.faults.status = 503
        link = f"{server.url}/projects/{house.tower.id}"
        answer = await house.type("subscribe", stream_id=link)
        assert "does not answer at the moment" in text_of(answer)
        assert answer.offers("Set it up by hand")
        assert not answer.offers("Link my account")


async def test_a_subscribe_that_waited_for_the_link_completes_itself(house: House) -> None:
    studio, server = house.studio, house.server
    async with house.start() as app:
        link = f"{server.url}/projects/{house.tower.id}"
        answer = await house.type("subscribe", stream_id=link, events="versions")
        assert "not linked an account" in text_of(answer)
        assert await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id)) == []
        await studio.sandbox.press(answer, "Link my account", studio.maren)
        await house.paste(answer, server.token(house.ilse))
        await until(lambda: server.webhooks(house.tower))
        await until(lambda: "now follows" in house.shown(studio.structure))
        (hook,) = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
        assert hook.state is HookState.LIVE
        await house.new_version("roof closed")
        await until(lambda: "roof closed" in house.shown(studio.structure))


async def test_what_completes_itself_asks_too_before_a_private_project_is_shown(
    house: House,
) -> None:
    studio, server = house.studio, house.server
    house.tower.visibility = "PRIVATE"
    async with house.start():
        answer = await house.type("subscribe", stream_id=f"{server.url}/projects/{house.tower.id}")
        offer = await studio.sandbox.press(answer, "Link my account", studio.maren)
        await house.paste(offer, server.token(house.ilse))
        await until(lambda: offer.followups)
        (asked,) = offer.followups
        assert "Everyone in this server" in text_of(asked)
        assert server.webhooks(house.tower) == []
        await studio.sandbox.press(asked, "Show it there", studio.maren)
        await until(lambda: server.webhooks(house.tower))


async def test_who_lost_the_right_meanwhile_does_not_complete_it(house: House) -> None:
    studio, server = house.studio, house.server
    async with house.start() as app:
        link = f"{server.url}/projects/{house.tower.id}"
        answer = await house.type("subscribe", stream_id=link)
        offer = await studio.sandbox.press(answer, "Link my account", studio.maren)
        studio.maren.roles.clear()
        await house.paste(offer, server.token(house.ilse))
        await until(lambda: "Manage Webhooks" in said(studio, offer, answer))
        assert server.webhooks(house.tower) == []
        assert await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id)) == []


def said(studio: Studio, *answers: InteractionView) -> str:
    return str([m.content for answer in answers for m in answer.followups])


async def test_a_private_project_says_who_will_see_it_and_the_buttons_outlive_a_restart(
    house: House,
) -> None:
    studio, server = house.studio, house.server
    house.tower.visibility = "PRIVATE"
    link = f"{server.url}/projects/{house.tower.id}"
    async with house.start():
        await house.paste(await house.type("link"), server.token(house.ilse))
        asked = await house.type("subscribe", stream_id=link)
        assert "Everyone in this server" in text_of(asked)
        assert server.webhooks(house.tower) == []
    async with house.start() as app:
        await studio.sandbox.press(asked, "Show it there", studio.maren)
        await until(lambda: "in Speckle for you" in text_of(asked))
        assert len(server.webhooks(house.tower)) == 1
        cancelled = await house.type("subscribe", where=studio.facade, stream_id=link)
        await studio.sandbox.press(cancelled, "Cancel", studio.maren)
        await until(lambda: "Nothing was changed" in text_of(cancelled))
        hook_id = (await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id)))[0].id
        assert len(await app.storage.read(lambda tx: tx.subscriptions.of_hook(hook_id))) == 1


async def test_a_webhook_deleted_at_speckle_is_made_again_at_the_start_and_told_there(
    house: House,
) -> None:
    studio, server = house.studio, house.server
    async with house.start():
        await house.paste(await house.type("link"), server.token(house.ilse))
        await house.type("subscribe", stream_id=f"{server.url}/projects/{house.tower.id}")
    house.tower.webhooks.clear()
    async with house.start():
        await until(lambda: "created it again" in house.shown(studio.structure))
        await house.new_version("back again")
        await until(lambda: "back again" in house.shown(studio.structure))


async def test_a_webhook_that_is_switched_off_is_told_once_and_stands_in_the_list(
    house: House,
) -> None:
    studio, server = house.studio, house.server

    def said() -> int:
        return house.shown(studio.structure).count("needs attention")

    async with house.start():
        await house.paste(await house.type("link"), server.token(house.ilse))
        await house.type("subscribe", stream_id=f"{server.url}/projects/{house.tower.id}")
    server.webhooks(house.tower)[0].enabled = False
    async with house.start():
        await until(lambda: said() == 1)
        assert "switched off in Speckle" in text_of(await house.type("subscriptions"))
    asked = len(server.asked("Webhooks"))
    async with house.start():
        await until(lambda: len(server.asked("Webhooks")) > asked)
        assert said() == 1
        assert "switched off in Speckle" in text_of(await house.type("subscriptions"))
        server.webhooks(house.tower)[0].enabled = True
        await house.type("subscribe", stream_id=f"{server.url}/projects/{house.tower.id}")
        assert "🟢 live" in text_of(await house.type("subscriptions"))
    assert said() == 1


async def test_a_webhook_is_looked_after_again_as_soon_as_its_account_is_linked_again(
    house: House,
) -> None:
    studio, server = house.studio, house.server
    token = server.token(house.ilse)
    async with house.start():
        await house.paste(await house.type("link"), token)
        await house.type("subscribe", stream_id=f"{server.url}/projects/{house.tower.id}")
    server.revoke(token)
    async with house.start() as app:
        await until(lambda: "can no longer maintain" in house.shown(studio.structure))
        await house.paste(await house.type("link"), server.token(house.ilse))

        async def is_well() -> bool:
            (hook,) = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
            return hook.trouble is None

        await until(is_well)
        assert "🟢 live" in text_of(await house.type("subscriptions"))


async def test_unlinking_removes_the_webhook_and_pauses_the_channel(house: House) -> None:
    studio, server = house.studio, house.server
    async with house.start():
        await house.paste(await house.type("link"), server.token(house.ilse))
        await house.type("subscribe", stream_id=f"{server.url}/projects/{house.tower.id}")
        await studio.sandbox.press(await house.type("unlink"), "Yes, unlink it", studio.maren)
        await until(lambda: not server.webhooks(house.tower))
        listed = await house.type("subscriptions")
        assert "Speckle account that showed it here, or made its webhook, was unlinked" in text_of(
            listed
        )
