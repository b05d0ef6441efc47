"""How the try-out begins: somebody subscribes channels and links accounts, then two days arrive.

Nothing here replaces a part of the bot: accounts are linked by signing in, subscriptions are made
with `/subscribe`, and the servers call the webhooks that the bot made there.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from yarl import URL

from sandbox.demo.days import ILSE, MAREN, NAMES, day_with_comments, day_with_issues
from sandbox.demo.stage import DemoServer, Stage
from sandbox.demo.studio import LIBRARY
from sandbox.demo.terminal import WIDTH, DemoGuild, answer_text, indented, options_text
from sandbox.discord import InteractionView, SandboxMessage
from sandbox.discord.component_rules import walk
from sandbox.speckle import ServerProject
from sandbox.speckle.model_content import USUAL, NextVersion
from sandbox.speckle.people_at_work import NotPossible, PersonAtWork

ANSWER_S: Final = 15.0
ELEMENTS: Final = 318  # of the model that somebody works on in the library
LINK: Final = "Link my account"
SIGN_IN: Final = "Sign in with Speckle"
SHOW: Final = "Show it there"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ToFollow:
    """What is typed in a channel."""

    channel: str
    server: DemoServer
    options: Mapping[str, str] = field(default_factory=dict)
    project: ServerProject | None = None  # the server's main one if None

    @property
    def url(self) -> str:
        """Where it is in Speckle."""
        project = self.project or self.server.main.project
        return f"{self.server.server.url}/projects/{project.id}"


async def play_opening(stage: Stage, pace_s: float, say: Say) -> None:
    """Subscribe the first channels, then let both main projects' days arrive."""
    older, newer = stage.servers
    opening = _Opening(stage, say)
    say(f"{NAMES[MAREN]} types:")
    structure = {"models": "structure/**", "events": "models, versions"}
    for follow in (
        ToFollow("project-log", older),
        ToFollow("structure", older, structure),
        ToFollow("coordination", older, {"events": "issues"}),
        ToFollow("quay-house", newer),
        ToFollow("library", older, project=stage.library),
    ):
        await opening.subscribe(follow)
    say(f"\n{'─' * WIDTH}\nNow the day of Harbour Tower arrives. Its server has comments:")
    async for _ in day_with_comments(older.main):
        await asyncio.sleep(pace_s)
    say(f"\n{'─' * WIDTH}\nAnd that of Quay House, whose server has issues:")
    async for _ in day_with_issues(newer.main):
        await asyncio.sleep(pace_s)
    say(f"\n{'─' * WIDTH}\n{LIBRARY} has no webhook. The bot is live through Maren's account:")
    work_in_the_library(stage, "Shelves along the north wall")
    await asyncio.sleep(2 * pace_s)


def work_in_the_library(stage: Stage, message: str) -> bool:
    """Ilse publishes a version there; False if she cannot, as the project is gone, say."""
    project, server = stage.library, stage.servers[0].server
    if project is None or not project.models:
        return False
    ilse = PersonAtWork(server, server.users[ILSE])
    try:
        model = project.models[0]
        sent = NextVersion.prepared(server, model, USUAL, ELEMENTS)
        sent.complete(server, model)
        ilse.publish(model, message, "Archicad", content=sent.content)
    except NotPossible:
        return False
    return True


class _Opening:
    """What the manager types and presses; `say` gets what she reads."""

    def __init__(self, stage: Stage, say: Say) -> None:
        self._stage = stage
        self._there = DemoGuild.of(stage)
        self._say = say

    async def subscribe(self, follow: ToFollow) -> None:
        """Type `/subscribe`, and answer what the bot asks."""
        stage, channel, url = self._stage, self._stage.channel(follow.channel), follow.url
        line = f"/subscribe stream_id:{url} {options_text(follow.options)}"
        self._say(f"\n  #{channel.name} ▸ {line}")
        answer = await stage.discord.command(
            stage.guild, channel, stage.manager, "subscribe", stream_id=url, **follow.options
        )
        last: InteractionView | SandboxMessage = await answer.settled()
        if SHOW in _labels(last):
            self._say("    (the bot asks again who will see it)")
        else:
            self._tell(last)
        if LINK in _labels(last):
            last = await self._link(last, follow.server)
        if SHOW in _labels(last):
            await self._press(last, SHOW)

    async def _link(
        self, offer: InteractionView | SandboxMessage, at: DemoServer
    ) -> SandboxMessage:
        """Sign in, as in a browser; the command that waited then goes on: its answer."""
        offered = await self._press(offer, LINK)
        self._say(f"\n  She presses [{SIGN_IN}], and says yes on Speckle's page in her browser.")
        await _sign_in(_labels(offered)[SIGN_IN]["url"], at)
        linked, continued = await offered.wait_for_followups(2, ANSWER_S)
        for message in (linked, continued):
            self._tell(message)
        return continued

    async def _press(self, on: InteractionView | SandboxMessage, label: str) -> InteractionView:
        self._say(f"\n  She presses [{label}].")
        answer = await self._stage.discord.press(on, label, self._stage.manager)
        await answer.settled()
        self._tell(answer)
        return answer

    def _tell(self, answer: InteractionView | SandboxMessage) -> None:
        self._say(indented(answer_text(self._there, answer)))


async def _sign_in(url: str, at: DemoServer) -> None:
    """Go through the bot's page and Speckle's, and say yes."""
    app = at.sign_in_app
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.get(url) as page:
            proof = re.findall(r'name="proof" value="([^"]+)"', await page.text())
        async with browser.post(url, data={"proof": proof}, allow_redirects=False) as leaving:
            asked_at = URL(leaving.headers["Location"])
        code = at.server.approve(at.main.people[MAREN], app, asked_at.name)
        async with browser.get(app.redirect_url, params={"access_code": code}) as page:
            page.raise_for_status()


def _labels(answer: InteractionView | SandboxMessage) -> Mapping[str, Mapping[str, str]]:
    """The buttons of an answer by what is on them."""
    return {one["label"]: one for one in walk(answer.components) if one.get("label")}
