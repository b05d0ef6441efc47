"""What the page's server lets one of the members see and do, whatever the browser sends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from sandbox.demo.page.actions import say_what_is_wrong
from sandbox.demo.page.changes import Changes
from sandbox.demo.page.discord_view import routes
from sandbox.demo.stage import Stage
from sandbox.discord import Sandbox, SandboxChannel, SandboxGuild, SandboxMember
from sandbox.discord.guilds import EPHEMERAL, SandboxMessage
from sandbox.discord.interactions import Asked, Callback
from sandbox.http_site import serving
from tests.sandbox.page.discord_messages import Gallery, buttons


@dataclass(frozen=True, slots=True)
class Scene:
    """A guild with two members, one channel for both and one for Maren alone."""

    discord: Sandbox
    guild: SandboxGuild
    manager: SandboxMember
    jonas: SandboxMember
    open: SandboxChannel
    hidden: SandboxChannel
    gallery: Gallery
    http: aiohttp.ClientSession
    url: str

    async def get(self, path: str, **query: Any) -> tuple[int, Any]:
        async with self.http.get(f"{self.url}/api/discord/{path}", params=query) as answer:
            kind = answer.content_type
            return answer.status, await (answer.json() if "json" in kind else answer.read())

    async def post(self, path: str, **body: Any) -> tuple[int, Any]:
        async with self.http.post(f"{self.url}/api/discord/{path}", json=body) as answer:
            return answer.status, await answer.json()

    def whisper(self, to: SandboxMember, content: str) -> SandboxMessage:
        """An answer that one member alone sees."""
        asked = self.discord.world.open_interaction(Asked.COMMAND, self.open, to)
        asked.command, asked.callback = "account", Callback.MESSAGE
        asked.original = SandboxMessage(
            self.discord.world.ids.new_id(), self.open, self.discord.world.bot, content,
            flags=EPHEMERAL,
        )  # fmt: skip
        return asked.original


@asynccontextmanager
async def _scene() -> AsyncIterator[Scene]:
    async with Sandbox.start(pace=False, first_answer_s=0.05) as discord:
        guild = discord.add_guild("Studio Kestrel")
        maren = guild.add_member("Maren Oduya", permissions="manage_webhooks")
        jonas = guild.add_member("Jonas Vik")
        everyone, hidden = guild.add_channel("open"), guild.add_channel("hidden")
        hidden.deny(None, "view_channel")
        hidden.allow(maren, "view_channel")
        gallery = Gallery(discord, guild)
        app = web.Application(middlewares=[say_what_is_wrong])
        async with aiohttp.ClientSession() as http:
            scene = Scene(discord, guild, maren, jonas, everyone, hidden, gallery, http, "")
            app.router.add_routes(routes(cast(Stage, scene), Changes()))
            async with serving(app) as url:
                yield Scene(discord, guild, maren, jonas, everyone, hidden, gallery, http, url)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with _scene() as made:
        yield made


async def test_a_member_sees_no_channel_that_discord_hides(scene: Scene) -> None:
    scene.gallery.say("secret", to=scene.hidden)
    scene.gallery.say(f"See <#{scene.hidden.id}>", to=scene.open)
    _, hers = await scene.get("state", me=scene.manager.id, channel=scene.hidden.id)
    assert [one["html"] for one in hers["messages"]] == ["<p>secret</p>"]
    _, his = await scene.get("state", me=scene.jonas.id, channel=scene.hidden.id)
    assert his["channel"] is None
    assert his["messages"] == []
    assert "hidden" not in str(his)
    _, his = await scene.get("state", me=scene.jonas.id, channel=scene.open.id)
    assert "#No Access" in his["messages"][0]["html"]
    status, _ = await scene.post(
        "command", me=str(scene.jonas.id), channel=str(scene.hidden.id), command="account"
    )
    assert status == 409


async def test_what_only_one_sees_is_for_that_one(scene: Scene) -> None:
    whisper = scene.whisper(scene.manager, "For you alone")
    where = {"channel": str(scene.open.id), "message": str(whisper.id)}
    _, hers = await scene.get("state", me=scene.manager.id, channel=scene.open.id)
    assert hers["messages"][0]["used"]["command"] == "account"
    _, his = await scene.get("state", me=scene.jonas.id, channel=scene.open.id)
    assert his["messages"] == []
    for action, more in (("press", {"custom_id": "x"}), ("dismiss", {})):
        status, answer = await scene.post(action, me=str(scene.jonas.id), **where, **more)
        assert status == 409
        assert answer["error"].endswith(".")
    status, _ = await scene.post("dismiss", me=str(scene.manager.id), **where)
    assert status == 200
    _, hers = await scene.get("state", me=scene.manager.id, channel=scene.open.id)
    assert hers["messages"] == []


async def test_a_private_conversation_is_for_the_two_in_it(scene: Scene) -> None:
    private = scene.discord.world.private_channel(scene.manager.id)
    scene.gallery.say("Your subscription was paused.", to=private)
    _, hers = await scene.get("state", me=scene.manager.id, channel=private.id)
    assert len(hers["private"]) == len(hers["messages"]) == 1
    _, his = await scene.get("state", me=scene.jonas.id, channel=private.id)
    assert (his["private"], his["channel"], his["messages"]) == ([], None, [])


async def test_a_command_without_an_answer_is_said_to_who_typed_it(scene: Scene) -> None:
    command = {"id": "5", "name": "account", "type": 1, "description": "x", "options": []}
    scene.discord.world.commands[None] = {5: command}
    typed = {"me": str(scene.jonas.id), "channel": str(scene.open.id), "command": "account"}
    status, answer = await scene.post("command", **typed)
    assert (status, answer) == (200, {"failed": "The application did not respond"})
    _, his = await scene.get("state", me=scene.jonas.id, channel=scene.open.id)
    assert his["messages"][0]["failed"] == "The application did not respond"
    _, hers = await scene.get("state", me=scene.manager.id, channel=scene.open.id)
    assert hers["messages"] == []


async def test_a_file_that_could_run_a_script_is_only_saved(scene: Scene) -> None:
    files = [scene.gallery.file("page.html"), scene.gallery.picture("north.png", "North")]
    for file, kind in zip(files, ("application/octet-stream", "image/png"), strict=True):
        async with scene.http.get(f"{scene.url}/api/discord/attachments/{file.id}") as answer:
            assert answer.content_type == kind
            saved = answer.headers.get("Content-Disposition") == "attachment"
            assert saved == (kind != "image/png")


@pytest.mark.parametrize("odd", ["", "x", "-1", "٣", "9" * 30, "1 OR 1=1", "../state"])
async def test_odd_ids_are_nobodys(scene: Scene, odd: str) -> None:
    for body in (
        {"me": odd, "channel": str(scene.open.id)},
        {"me": str(scene.jonas.id), "channel": odd},
    ):
        status, answer = await scene.post("say", text="Hello", **body)
        assert status == 409, answer
    status, _ = await scene.get("attachments/" + (odd.replace("/", "") or "0"))
    assert status == 404


async def test_nobody_writes_where_discord_does_not_let_them(scene: Scene) -> None:
    scene.open.deny(scene.jonas, "send_messages")
    for member, expected in ((scene.jonas, 409), (scene.manager, 200)):
        here = {"me": str(member.id), "channel": str(scene.open.id)}
        status, _ = await scene.post("say", text="<b>Hello</b>", **here)
        assert status == expected
    status, answer = await scene.post("say", text="  ", **here)
    assert (status, answer["error"]) == (409, "A message has 1 to 2000 characters.")
    _, seen = await scene.get("state", me=scene.jonas.id, channel=scene.open.id)
    assert [one["html"] for one in seen["messages"]] == ["<p>&lt;b&gt;Hello&lt;/b&gt;</p>"]


async def test_a_button_without_an_answer_failed(scene: Scene) -> None:
    message = scene.gallery.say("Buttons", components=buttons())
    on = {
        "me": str(scene.jonas.id), "channel": str(scene.gallery.channel.id),
        "message": str(message.id),
    }  # fmt: skip
    status, answer = await scene.post("press", **on, custom_id="gallery:1")
    assert (status, answer) == (200, {"failed": "This interaction failed"})
    status, answer = await scene.post("press", **on, custom_id="elsewhere")
    assert status == 409
    assert answer["error"].startswith("There is no 'elsewhere' on the message")
    status, answer = await scene.post("select", **on, custom_id="gallery:select", values=["z"])
    assert (status, answer["error"][:14]) == (409, "There is no 'z")


async def test_a_form_is_for_the_member_who_opened_it(scene: Scene) -> None:
    asked = scene.discord.world.open_interaction(Asked.COMMAND, scene.open, scene.manager)
    text = {"type": 4, "custom_id": "text", "style": 1}
    asked.callback = Callback.MODAL
    asked.modal = {
        "title": "A form", "custom_id": "form",
        "components": [{"type": 18, "label": "Text", "component": text}],
    }  # fmt: skip
    filled = {"channel": str(scene.open.id), "form": str(asked.id), "values": {"text": "x"}}
    status, answer = await scene.post("submit", me=str(scene.jonas.id), **filled)
    assert (status, answer["error"][:32]) == (409, "This form is no longer open. Use")
    status, answer = await scene.post("submit", me=str(scene.manager.id), **filled)
    assert (status, answer["error"]) == (409, "Something went wrong. Try again.")
    filled["values"] = {"text": ""}
    status, answer = await scene.post("submit", me=str(scene.manager.id), **filled)
    assert (status, answer["error"]) == (409, "The field 'Text' takes 1 to 4000 characters.")
