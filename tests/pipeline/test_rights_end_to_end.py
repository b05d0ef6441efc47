"""Who may see what, from the commands to the cards: people who try it with a secret they know."""

import json
from dataclasses import dataclass, replace

import pytest

from bot.app import App
from bot.model import Hook, HookState
from sandbox.discord import InteractionView, SandboxChannel, SandboxMember
from tests.pipeline.conftest import BY_HAND, SHOW, Recorded, post
from tests.pipeline.deliveries import COMMIT
from tests.pipeline.test_owner_end_to_end import House, house
from tests.waiting import until

__all__ = ["house"]

MADE_UP = "made up by somebody who knows the secret"


@dataclass(frozen=True)
class Street:
    """Maren's house, and Tobias, who manages #facade alone and has no account."""

    house: House
    tobias: SandboxMember

    @property
    def link(self) -> str:
        return f"{self.house.server.url}/projects/{self.house.tower.id}"

    async def ask(self, where: SandboxChannel, who: SandboxMember) -> InteractionView:
        studio = self.house.studio
        answer = await studio.sandbox.command(
            studio.guild, where, who, "subscribe", stream_id=self.link
        )
        return await answer.settled()

    async def forge(self, app: App) -> Hook:
        """Tobias sets the project up by hand in #facade, and signs an event with that secret."""
        studio = self.house.studio
        asked = await self.ask(studio.facade, self.tobias)
        await studio.sandbox.press(asked, BY_HAND, self.tobias)
        await until(lambda: "Secret" in str(asked.embeds))
        (there,) = await app.storage.read(lambda tx: tx.subscriptions.of_channel(studio.facade.id))
        hook = await app.storage.read(lambda tx: tx.hooks.get(there.hook_id))
        assert hook is not None
        assert hook.secrets[0] in str(asked.embeds)
        assert await post(app, hook, self.made_up()) == 202
        await until(lambda: MADE_UP in self.house.shown(studio.facade))
        live = await app.storage.read(lambda tx: tx.hooks.get(hook.id))
        assert live is not None
        assert live.state is HookState.LIVE
        return live

    def made_up(self) -> Recorded:
        payload = json.loads(json.dumps(COMMIT.payload))
        payload["streamId"] = self.house.tower.id
        payload["server"]["canonicalUrl"] = self.house.server.url
        payload["event"]["data"]["commit"]["message"] = MADE_UP
        return replace(COMMIT, body=json.dumps({"payload": payload}).encode())

    async def answer(self, asked: InteractionView, *channels: str) -> None:
        """Maren answers, for these other channels."""
        sandbox, maren = self.house.studio.sandbox, self.house.studio.maren
        await sandbox.select(asked, "", list(channels), maren)
        await until(lambda: asked.offers(SHOW))
        await sandbox.press(asked, SHOW, maren)
        await until(lambda: "in Speckle for you" in str(asked.content))


@pytest.fixture
async def street(house: House) -> Street:
    studio = house.studio
    house.tower.visibility = "PRIVATE"
    tobias = studio.guild.add_member("Tobias Lindqvist")
    studio.guild.allow_command("subscribe", tobias)
    studio.facade.allow(tobias, "manage_webhooks")
    return Street(house, tobias)


@pytest.mark.parametrize("covered", [True, False])
async def test_a_forged_event_shows_in_its_own_channel_and_the_owners_only_if_covered(
    street: Street, covered: bool
) -> None:
    house, studio = street.house, street.house.studio
    async with house.start() as app:
        await street.forge(app)
        await house.paste(await house.type("link"), house.server.token(house.ilse))
        asked = await street.ask(studio.structure, studio.maren)
        assert f"<#{studio.facade.id}>" in str(asked.embeds)
        await street.answer(asked, *(["#facade"] if covered else []))
        await house.new_version("roof closed")
        await until(lambda: "roof closed" in house.shown(studio.structure))
        if covered:
            await until(lambda: "roof closed" in house.shown(studio.facade))
        await house.new_version("slab poured")  # by when an earlier one would be there, too
        await until(lambda: "slab poured" in house.shown(studio.structure))
        assert ("roof closed" in house.shown(studio.facade)) is covered
    assert MADE_UP not in house.shown(studio.structure)


async def test_a_secret_that_was_shown_by_hand_is_worthless_once_the_owners_answer_covers_it(
    street: Street,
) -> None:
    house, studio = street.house, street.house.studio
    async with house.start() as app:
        forged = await street.forge(app)
        await house.paste(await house.type("link"), house.server.token(house.ilse))
        await street.answer(await street.ask(studio.structure, studio.maren), "#facade")
        assert await post(app, forged, street.made_up()) == 401
        (made,) = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
        stolen = replace(made, secrets=forged.secrets)
        assert await post(app, stolen, street.made_up()) == 401


async def test_what_somebody_makes_up_gets_nothing_from_the_owners_account(
    street: Street,
) -> None:
    house, studio = street.house, street.house.studio
    async with house.start() as app:
        forged = await street.forge(app)
        await house.paste(await house.type("link"), house.server.token(house.ilse))
        await street.answer(await street.ask(studio.structure, studio.maren))
        model = house.server.add_model(house.tower, "secret/vault")
        version = house.server.add_version(
            house.tower, model, author=house.ilse, message="nobody is to read this"
        )
        payload = json.loads(street.made_up().body)["payload"]
        payload["event"]["data"]["id"] = version.id
        payload["event"]["data"]["commit"]["versionId"] = version.id
        body = json.dumps({"payload": payload}).encode()
        before = len(studio.sandbox.messages(studio.facade.id))
        assert await post(app, forged, replace(COMMIT, body=body)) == 202
        await studio.sandbox.wait_for_messages(studio.facade.id, before + 1, 20)
        shown = house.shown(studio.facade)
        for secret in ("secret/vault", "nobody is to read this", "Ilse Brandt"):
            assert secret not in shown
