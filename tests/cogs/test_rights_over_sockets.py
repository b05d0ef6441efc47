"""Who may see what, as people meet it: questions, answers and pauses in the sandbox Discord."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

import pytest

from bot.model import (
    AccessPause,
    Entitlement,
    Hook,
    PauseReason,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.notifiers.pause_notifier import PauseNotifier
from bot.services.pause_notices import PauseNoticeService
from bot.speckle.events import EventGroup
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.types import Login
from bot.storage import Storage
from sandbox.discord import InteractionView, Sandbox, SandboxChannel, SandboxMember
from sandbox.speckle import Release, ServerProject, SpeckleServer, User
from tests.cogs.conftest import (
    BY_HAND,
    SHOW,
    ClientWithServices,
    RunClient,
    Studio,
    labels_of,
    options_of,
    text_of,
)
from tests.services.conftest import Clock
from tests.services.speckle import INSTANCE, answering
from tests.stored import note_event

NAME = "Kestrel Tower"


@dataclass(frozen=True)
class House:
    """Maren owns Kestrel Tower at Speckle and manages the server; Tobias manages #facade alone."""

    studio: Studio
    server: SpeckleServer
    storage: Storage
    tower: ServerProject
    owner: User
    reader: User
    public_url: str
    run_client: RunClient
    clock: Clock

    @property
    def link(self) -> str:
        return f"{self.server.url}/projects/{self.tower.id}"

    def running(self) -> AbstractAsyncContextManager[ClientWithServices]:
        return self.run_client(
            speckle_servers=(self.server.url,), public_url=self.public_url, instance=INSTANCE
        )

    async def linked(self, bot: ClientWithServices, member: SandboxMember, user: User) -> None:
        way = await bot.services.linking.start_link(member.id, self.server.url)
        await bot.services.linking.link_by_token(member.id, way.nonce, self.server.token(user))

    async def set_up_by_hand(self, where: SandboxChannel) -> tuple[InteractionView, Hook]:
        """Tobias does it, and an event that he made up makes the subscription live."""
        studio = self.studio
        answer = await studio.type("subscribe", where=where, who=studio.tobias, stream_id=self.link)
        there = await self.at(where)
        await self.storage.write(lambda tx: note_event(tx, there.hook_id, "Made up"))
        hook = await self.storage.read(lambda tx: tx.hooks.get(there.hook_id))
        assert hook is not None
        return answer, hook

    async def ask(self) -> InteractionView:
        """Maren types /subscribe: up to the first question."""
        asked = await self.studio.type("subscribe", by_hand=False, stream_id=self.link)
        return await asked.settled()

    async def at(self, channel: SandboxChannel) -> Subscription:
        (there,) = await self.storage.read(lambda tx: tx.subscriptions.of_channel(channel.id))
        return there


@pytest.fixture
async def house(
    studio: Studio,
    storage: Storage,
    run_client: RunClient,
    clock: Clock,
    release: Release,
) -> AsyncIterator[House]:
    for command in ("subscribe", "unsubscribe", "subscriptions"):
        studio.guild.allow_command(command, studio.tobias)
    studio.facade.allow(studio.tobias, "manage_webhooks")
    async with SpeckleServer.start(release=release) as server, answering(INSTANCE) as public_url:
        owner, reader = server.add_user("Ilse Brandt"), server.add_user("Bob Castellan")
        tower = server.add_project(NAME, owner=owner, visibility="PRIVATE")
        server.set_role(tower, reader, "stream:contributor")
        await load_library(server, owner)
        yield House(studio, server, storage, tower, owner, reader, public_url, run_client, clock)


async def load_library(server: SpeckleServer, user: User) -> None:
    """Asking the first question of all takes longer than Discord waits: the library is loaded."""
    gateway = SpeckleClient(servers=(server.url,), deadline_s=30.0)
    await gateway.me(Login(server.url, server.token(user)))
    gateway.close()


# ── the question ──────────────────────────────────────────────────────────────────────────────


async def test_the_question_names_the_channel_by_hand_and_a_yes_covers_it(house: House) -> None:
    studio = house.studio
    async with house.running() as bot:
        _, forged = await house.set_up_by_hand(studio.facade)
        await house.linked(bot, studio.maren, house.owner)
        asked = await house.ask()
        assert NAME in text_of(asked)
        assert f"<#{studio.facade.id}>: everyone in this server" in text_of(asked)
        assert list(options_of(asked)) == ["#facade"]
        assert (
            await house.storage.read(lambda tx: tx.subscriptions.of_channel(studio.structure.id))
            == []
        )
        await studio.press(asked, SHOW)
        assert f"show the project now, too: <#{studio.facade.id}>" in text_of(asked)
    structure, facade = await house.at(studio.structure), await house.at(studio.facade)
    assert structure.hook_id == facade.hook_id != forged.id
    assert facade.consent is not None
    assert (facade.consent.by, facade.consent.entitlement) == (studio.maren.id, Entitlement.OWNER)
    assert facade.consent.audience is not None
    assert facade.consent.audience.everyone


async def test_a_channel_is_left_out_in_the_select_which_outlives_restarts(house: House) -> None:
    studio, sandbox = house.studio, house.studio.sandbox
    roof = studio.guild.add_channel("roof")
    roof.allow(studio.tobias, "manage_webhooks")
    async with house.running() as bot:
        await house.set_up_by_hand(studio.facade)
        await house.set_up_by_hand(roof)
        await house.linked(bot, studio.maren, house.owner)
        asked = await house.ask()
    async with house.running():
        stranger = await sandbox.select(asked, "", ["#roof"], studio.tobias)
        assert "Only the person who typed the command" in text_of(stranger)
        await sandbox.select(asked, "", ["#roof"], studio.maren)
        assert f"<#{studio.facade.id}>" not in text_of(asked)
        assert f"<#{roof.id}>" in text_of(asked)
        assert chosen_in(asked) == ["#roof"]
    before = await house.at(studio.facade)
    async with house.running():
        await sandbox.select(asked, "", [], studio.maren)
        assert chosen_in(asked) == []
        await sandbox.select(asked, "", ["#roof"], studio.maren)
    async with house.running():
        await studio.press(asked, SHOW)
        assert f"<#{roof.id}>" in text_of(asked)
    assert await house.at(studio.facade) == before
    assert (await house.at(roof)).consent is not None


def chosen_in(answer: InteractionView) -> list[str]:
    components = [part for row in answer.components for part in row["components"]]
    options = [option for part in components for option in part.get("options", ())]
    return [option["label"] for option in options if option.get("default")]


async def test_a_channel_that_the_owner_does_not_see_is_counted_only(house: House) -> None:
    studio = house.studio
    board = studio.guild.add_channel("board")
    board.allow(studio.tobias, "manage_webhooks")
    async with house.running() as bot:
        await house.set_up_by_hand(board)
        await house.linked(bot, studio.maren, house.owner)
        board.deny(studio.maren, "view_channel")
        asked = await house.ask()
        assert str(board.id) not in text_of(asked)
        assert "board" not in str(asked.components)
        assert "1 more channel that follows it" in text_of(asked)
        await studio.press(asked, SHOW)
    assert (await house.at(board)).consent is None


async def test_cancel_changes_nothing(house: House) -> None:
    studio = house.studio
    async with house.running() as bot:
        await house.set_up_by_hand(studio.facade)
        before = await house.at(studio.facade)
        await house.linked(bot, studio.maren, house.owner)
        asked = await house.ask()
        await studio.press(asked, "Cancel")
        assert "Nothing was changed" in text_of(asked)
    assert await house.at(studio.facade) == before
    assert house.server.webhooks(house.tower) == []


# ── what a stranger is told ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("whole_server", [True, False])
async def test_a_stranger_reads_the_same_of_a_followed_project_as_of_any_other(
    house: House, whole_server: bool
) -> None:
    studio, server = house.studio, house.server
    studio.structure.deny(studio.tobias, "view_channel")
    if whole_server:
        studio.tobias.set_permissions("manage_webhooks")
    other = server.add_project("Heron Bridge", owner=house.owner, visibility="PRIVATE")
    async with house.running() as bot:
        await house.linked(bot, studio.maren, house.owner)
        await studio.type("subscribe", stream_id=house.link)
        hook_id = (await house.at(studio.structure)).hook_id
        await house.storage.write(lambda tx: note_event(tx, hook_id, NAME, house.clock()))
        said = [await probed(house, project_id) for project_id in (house.tower.id, other.id)]
    assert said[0] == said[1]
    assert NAME not in str(said[0])


async def probed(house: House, project_id: str) -> list[object]:
    """What Tobias reads of a project in each way that there is, but for its id and new secrets."""
    studio, tobias = house.studio, house.studio.tobias
    link = f"{house.server.url}/projects/{project_id}"
    where = studio.guild.add_channel("probe")
    where.allow(tobias, "manage_webhooks")
    said: list[object] = []
    for project in (link, project_id):
        asked = await studio.type(
            "subscribe", where=where, who=tobias, by_hand=False, stream_id=project
        )
        await asked.settled()
        said += [text_of(asked), labels_of(asked)]
        complete = partial(studio.sandbox.autocomplete, studio.guild, where, tobias, "subscribe")
        said.append(await complete("stream_id", project_id))
        said.append(await complete("stream_id", "kestrel"))
        said.append(await complete("models", "", stream_id=project))
        gone = await studio.type("unsubscribe", where=where, who=tobias, project=project)
        said.append(text_of(gone))
    await studio.press(asked, BY_HAND, tobias)
    (there,) = await house.storage.read(lambda tx: tx.subscriptions.of_channel(where.id))
    hook = await house.storage.read(lambda tx: tx.hooks.get(there.hook_id))
    assert hook is not None
    listed = await studio.type("subscriptions", where=where, who=tobias, channel=where)
    said += [text_of(asked), text_of(listed)]
    said.append([message.content for message in studio.sandbox.messages(where)])
    own = {hook.key: "KEY", hook.secrets[0]: "SECRET", project_id: "PROJECT", str(where.id): "C"}
    words = str(said)
    for text, name in own.items():
        words = words.replace(str(text), name)
    return [words]


# ── paused: one message, one button, one question ─────────────────────────────────────────────


async def shows(sandbox: Sandbox, text: Callable[[], str], wanted: str) -> None:
    """Wait for a message's change: a busy machine makes the bot promise an answer first."""
    await sandbox.world.wait_until(lambda: wanted in text() or None, 10.0)
    assert wanted in text()


@pytest.mark.parametrize(
    "why",
    [
        PauseWhy.FORBIDDEN,
        PauseWhy.TOKEN_REFUSED,
        PauseWhy.FILTERS_WIDER,
        PauseWhy.AUDIENCE_WIDER,
    ],
)
async def test_each_pause_for_a_right_is_told_alike_and_ends_with_one_answer(
    house: House, why: PauseWhy
) -> None:
    studio, sandbox = house.studio, house.studio.sandbox
    async with house.running() as bot:
        await house.linked(bot, studio.maren, house.owner)
        await studio.type("subscribe", stream_id=house.link)
        there = await house.at(studio.structure)
        reason = PauseReason.ASK_AGAIN if "wider" in why else PauseReason.ACCESS_LOST
        await house.storage.write(
            lambda tx: tx.held_events.hold_back(there.id, house.clock(), AccessPause(reason, why))
        )
        await PauseNotifier(
            bot, PauseNoticeService(house.storage, house.clock), lambda: 0.0
        ).notify_due()
        channel = sandbox.world.private_channel(studio.maren.id)
        (notice,) = sandbox.messages(channel)
        shown = str(notice.embeds)
        assert "omeone must confirm again who will see the project in the channel" in shown
        assert ("types `/link` again" in shown) is (why is PauseWhy.TOKEN_REFUSED)
        assert f"[**{NAME}**]" in shown
        assert "{" not in notice.embeds[0]["fields"][0]["value"]
    async with house.running():
        asked = await sandbox.press(notice, "Take over", studio.maren)
        assert asked.ephemeral
        assert "Who will see it" in text_of(asked)
        await sandbox.press(asked, SHOW, studio.maren)
        await shows(sandbox, lambda: text_of(asked), "was paused and is active again")
        await sandbox.press(notice, "Resume", studio.maren)
        await shows(sandbox, lambda: str(notice.embeds), "Nothing is paused there now")
    assert (await house.at(studio.structure)).state is SubscriptionState.ACTIVE


async def test_resume_in_the_panel_asks_the_same_question(house: House) -> None:
    studio = house.studio
    async with house.running() as bot:
        await house.linked(bot, studio.maren, house.owner)
        await studio.type("subscribe", stream_id=house.link)
        there = await house.at(studio.structure)
        pause = AccessPause(PauseReason.ASK_AGAIN, PauseWhy.AUDIENCE_WIDER)
        await house.storage.write(
            lambda tx: tx.held_events.hold_back(there.id, house.clock(), pause)
        )
        panel = await studio.open_entry(NAME)
        assert f"than when <@{studio.maren.id}> agreed to it" in text_of(panel)
        await studio.press(panel, "Resume")
        assert "Who will see it" in text_of(panel)
        await studio.press(panel, SHOW)
    assert (await house.at(studio.structure)).state is SubscriptionState.ACTIVE


async def test_who_has_no_account_is_led_to_link_one_and_a_stranger_goes_away_empty(
    house: House,
) -> None:
    studio, sandbox = house.studio, house.studio.sandbox
    async with house.running() as bot:
        await house.linked(bot, studio.maren, house.owner)
        await studio.type("subscribe", stream_id=house.link, channel=studio.facade)
        there = await house.at(studio.facade)
        pause = AccessPause(PauseReason.ACCESS_LOST, PauseWhy.FORBIDDEN)
        await house.storage.write(
            lambda tx: tx.held_events.hold_back(there.id, house.clock(), pause)
        )
        panel = await sandbox.command(studio.guild, studio.facade, studio.tobias, "subscriptions")
        await sandbox.select(panel, "", [NAME], studio.tobias)
        await sandbox.press(panel, "Resume", studio.tobias)
        assert labels_of(panel) == ["Link my account"]
        nadia = house.server.add_user("Nadia Voss")
        await house.linked(bot, studio.tobias, nadia)
        panel = await sandbox.command(studio.guild, studio.facade, studio.tobias, "subscriptions")
        await sandbox.select(panel, "", [NAME], studio.tobias)
        refused = await sandbox.press(panel, "Resume", studio.tobias)
        assert "cannot see that project" in text_of(refused)
    assert (await house.at(studio.facade)).state is SubscriptionState.PAUSED


async def test_a_form_that_asks_for_more_than_was_agreed_to_pauses_and_says_so(
    house: House,
) -> None:
    studio, sandbox = house.studio, house.studio.sandbox
    async with house.running() as bot:
        await house.linked(bot, studio.maren, house.owner)
        await studio.type(
            "subscribe", stream_id=house.link, channel=studio.facade, events="versions"
        )
        panel = await sandbox.command(studio.guild, studio.facade, studio.tobias, "subscriptions")
        await sandbox.select(panel, "", [NAME], studio.tobias)
        form = await sandbox.press(panel, "Edit", studio.tobias)
        changed = await sandbox.submit_modal(form, {"Events": [*EventGroup]}, studio.tobias)
        assert "It is paused now" in text_of(changed)
        assert f"its filters let more through than <@{studio.maren.id}> agreed to" in text_of(
            changed
        )
    assert (await house.at(studio.facade)).pause_detail == PauseWhy.FILTERS_WIDER


async def test_what_comes_nearest_is_taken_by_a_button(
    house: House,
) -> None:
    studio = house.studio
    house.server.add_model(house.tower, "architecture/facade")
    async with house.running() as bot:
        await house.linked(bot, studio.maren, house.owner)
        answer = await studio.type("subscribe", stream_id=NAME, models="facade")
        assert "No model fits `facade` now. Did you mean `architecture/facade`?" in text_of(answer)
        await studio.press(answer, "Use what comes nearest")
        assert "only models `architecture/facade`" in text_of(answer)
        mine = await house.at(studio.structure)
        assert mine.options.models == ("architecture/facade",)
        assert mine.consent is not None
        assert mine.consent.options == mine.options


async def test_a_form_of_somebody_with_access_leads_to_the_question(house: House) -> None:
    studio, sandbox = house.studio, house.studio.sandbox
    async with house.running() as bot:
        await house.linked(bot, studio.maren, house.owner)
        await house.linked(bot, studio.tobias, house.reader)
        await studio.type(
            "subscribe", stream_id=house.link, channel=studio.facade, events="versions"
        )
        panel = await sandbox.command(studio.guild, studio.facade, studio.tobias, "subscriptions")
        await sandbox.select(panel, "", [NAME], studio.tobias)
        form = await sandbox.press(panel, "Edit", studio.tobias)
        asked = await sandbox.submit_modal(form, {"Events": ["versions", "issues"]}, studio.tobias)
        assert "Who will see it" in text_of(asked)
        await sandbox.press(asked, SHOW, studio.tobias)
        assert "issues" in text_of(asked)
    there = await house.at(studio.facade)
    assert there.consent is not None
    assert there.consent.by == studio.tobias.id


# ── secrets ───────────────────────────────────────────────────────────────────────────────────


async def test_a_new_secret_by_hand_lets_one_choose_what_becomes_of_the_old_one(
    house: House,
) -> None:
    studio = house.studio
    async with house.running():
        _, hook = await house.set_up_by_hand(studio.facade)
        panel = await studio.type("subscriptions")
        await studio.choose(panel, "Made up")
        await studio.press(panel, "New secret")
        assert labels_of(panel)[:2] == ["The old one works 24 h more", "The old one ends now"]
        await studio.press(panel, "The old one ends now")
        assert "The old secret is no longer valid" in text_of(panel)
    now = await house.storage.read(lambda tx: tx.hooks.get(hook.id))
    assert now is not None
    assert len(now.secrets) == 1
    assert now.secrets != hook.secrets
    assert now.secrets[0] in text_of(panel)


async def test_no_answer_shows_a_made_webhooks_secret(house: House) -> None:
    studio = house.studio
    seen = ""
    async with house.running() as bot:
        await house.linked(bot, studio.maren, house.owner)
        answer = await studio.type("subscribe", stream_id=house.link)
        seen += text_of(answer)
        panel = await studio.open_entry(NAME)
        shown = await studio.press(panel, "Show set-up")
        assert labels_of(shown) == []
        seen += text_of(shown) + text_of(panel)
        (made,) = house.server.webhooks(house.tower)
        before = made.secret
        await studio.press(panel, "New secret")
        assert labels_of(panel) == ["The old one ends now", "Cancel"]
        await studio.press(panel, "The old one ends now")
        assert "the old one is no longer valid" in text_of(panel)
        seen += text_of(panel)
    assert made.secret != before
    for secret in (before, made.secret):
        assert secret is not None
        assert secret not in seen


async def test_a_notice_that_others_read_names_no_project_before_or_after_it_is_resumed(
    house: House,
) -> None:
    studio, sandbox = house.studio, house.studio.sandbox
    hall = studio.guild.add_channel("hall")
    async with house.running() as bot:
        await house.linked(bot, studio.maren, house.owner)
        await studio.type("subscribe", stream_id=house.link)
        await studio.report_in(hall)
        for why in (PauseWhy.FORBIDDEN, PauseWhy.AUDIENCE_WIDER):
            there = await house.at(studio.structure)
            pause = AccessPause(PauseReason.ACCESS_LOST, why)
            await house.storage.write(
                lambda tx: tx.held_events.hold_back(there.id, house.clock(), pause)
            )
            await PauseNotifier(
                bot, PauseNoticeService(house.storage, house.clock), lambda: 0.0
            ).notify_due()
            notice = sandbox.messages(hall)[-1]
            assert f"events of a project in <#{studio.structure.id}>" in str(notice.embeds)
            asked = await sandbox.press(notice, "Take over", studio.maren)
            assert (asked.ephemeral, NAME in text_of(asked)) == (True, True)
            await sandbox.press(asked, SHOW, studio.maren)
            await sandbox.press(notice, "Resume", studio.maren)
    shown = str([(message.content, message.embeds) for message in sandbox.messages(hall)])
    assert NAME not in shown
    assert house.tower.id not in shown
