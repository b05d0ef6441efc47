"""The try-out: a Discord and two Speckle servers on this machine, the real bot between them.

Nothing here replaces a part of the bot: accounts are linked by signing in, subscriptions are made
with `/subscribe`, the servers call the webhooks that the bot made there, and what is printed is
what the channels then hold.
"""

import asyncio
import re
import tempfile
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from cryptography.fernet import Fernet
from yarl import URL

from bot.app import App, running
from bot.log import configure
from bot.settings import Settings
from bot.speckle.signature import sign
from bot.supervisor import stop_signals
from sandbox.demo.days import (
    MAREN,
    NAMES,
    DemoProject,
    day_with_comments,
    day_with_issues,
    open_project,
)
from sandbox.demo.terminal import (
    WIDTH,
    DemoGuild,
    answer_text,
    can_be_typed_into,
    indented,
    options_text,
    print_messages,
    read_commands,
    say,
)
from sandbox.discord import InteractionView, Sandbox, SandboxMessage
from sandbox.discord.component_rules import walk
from sandbox.speckle import SPECKLE_4_AS_ANNOUNCED, SignInApp, SpeckleServer

PACE_S: Final = 1.0  # after an event, so that one can read along
ANSWER_S: Final = 15.0
LINK: Final = "Link my account"
SIGN_IN: Final = "Sign in with Speckle"
SHOW: Final = "Show it there"


@dataclass(frozen=True, slots=True)
class ToFollow:
    """What is typed in a channel."""

    channel: str
    project: DemoProject
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stage:
    """All that the demo plays with."""

    app: App
    discord: DemoGuild
    tower: DemoProject  # on a server with comments and object trees
    house: DemoProject  # on one with issues and bundles
    sign_in_apps: Mapping[str, SignInApp]  # by server URL


async def run_demo(port: int | None = None, *, pace_s: float = PACE_S) -> int:
    """Play the demo until Ctrl-C, with `pace_s` after each event.

    `port` is the listener's; None takes 8003, or any free one where that is taken.
    """
    stopping = asyncio.Event()
    with stop_signals(stopping), tempfile.TemporaryDirectory(prefix="speckle-demo-") as folder:
        async with _on_stage(Path(folder), port) as stage:
            printer = asyncio.create_task(print_messages(stage.discord), name="printer")
            typing = asyncio.create_task(read_commands(stage.discord), name="commands")
            play = asyncio.create_task(_play(stage, Path(folder), pace_s), name="play")
            stopped = asyncio.create_task(_wait(stopping), name="stop")
            tasks = {printer, typing, play, stopped}
            done, _ = await asyncio.wait(tasks - {typing}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            for task in done:
                task.result()
    say("\nStopped. Nothing was kept.")
    return 0


async def _wait(stopping: asyncio.Event) -> None:
    await stopping.wait()


@asynccontextmanager
async def _on_stage(folder: Path, port: int | None) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox.start())
        older = await stack.enter_async_context(SpeckleServer.start())
        newer = await stack.enter_async_context(SpeckleServer.start(release=SPECKLE_4_AS_ANNOUNCED))
        url = f"http://127.0.0.1:{await _free_port(port)}"
        apps = {one.url: one.register_app(f"{url}/link/callback") for one in (older, newer)}
        tower = open_project(older, "Harbour Tower", "Mixed-use tower, 24 storeys", "PRIVATE")
        house = open_project(newer, "Quay House", "Offices on the quay, timber frame", "PUBLIC")
        guild = sandbox.add_guild("Studio Kestrel")
        member = guild.add_member(NAMES[MAREN], permissions="manage_webhooks")
        names = ("project-log", "structure", "coordination", "quay-house")
        channels = [guild.add_channel(name) for name in names]
        settings = _settings(sandbox, folder, url, apps)
        app = await stack.enter_async_context(running(settings))
        await asyncio.wait_for(app.bot.ready_once.wait(), timeout=30)
        yield Stage(app, DemoGuild(sandbox, guild, member, channels), tower, house, apps)


def _settings(sandbox: Sandbox, folder: Path, url: str, apps: Mapping[str, SignInApp]) -> Settings:
    settings = Settings.model_validate(
        {
            "discord_token": sandbox.token,
            "discord_api_url": sandbox.api_url,
            "encryption_keys": (Fernet.generate_key().decode(),),
            "database_url": f"sqlite:///{folder / 'demo.db'}",
            "public_url": url,
            "webhook_port": URL(url).port,
            "speckle_servers": tuple(apps),
            "speckle_apps": tuple(f"{app.id}:{app.secret}@{at}" for at, app in apps.items()),
            "log_level": "error",
            "log_format": "console",
        }
    )
    configure(settings)
    return settings


async def _free_port(wanted: int | None) -> int:
    """The wanted port; without a wish 8003, or any free one where that is taken."""
    if wanted:
        return wanted
    for port in (Settings.model_fields["webhook_port"].default, 0) if wanted is None else (0,):
        try:
            server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
        except OSError:
            continue
        async with server:
            found: int = server.sockets[0].getsockname()[1]
            return found
    raise AssertionError("port 0 is always free")


async def _play(stage: Stage, folder: Path, pace_s: float) -> None:
    """Subscribe in each channel, then let both projects' days arrive."""
    say("A Discord and two Speckle servers run on this machine, with the bot between them.")
    say(f"{NAMES[MAREN]} types:")
    for follow in (
        ToFollow("project-log", stage.tower, {}),
        ToFollow(
            "structure", stage.tower, {"models": "structure/**", "events": "models, versions"}
        ),
        ToFollow("coordination", stage.tower, {"events": "issues"}),
        ToFollow("quay-house", stage.house, {}),
    ):
        await _subscribe(stage, follow)
    say(f"\n{'─' * WIDTH}\nNow the day of Harbour Tower arrives. Its server has comments:")
    async for _ in day_with_comments(stage.tower):
        await asyncio.sleep(pace_s)
    say(f"\n{'─' * WIDTH}\nAnd that of Quay House, whose server has issues:")
    async for _ in day_with_issues(stage.house):
        await asyncio.sleep(pace_s)
    await asyncio.sleep(2 * pace_s)
    say(await _invitation(stage, folder))
    await asyncio.Event().wait()


async def _subscribe(stage: Stage, follow: ToFollow) -> None:
    there = stage.discord
    channel = next(one for one in there.channels if one.name == follow.channel)
    line = f"/subscribe stream_id:{follow.project.url} {options_text(follow.options)}"
    say(f"\n  #{channel.name} ▸ {line}")
    answer = await there.sandbox.command(
        there.guild,
        channel,
        there.member,
        "subscribe",
        stream_id=follow.project.url,
        **follow.options,
    )
    last: InteractionView | SandboxMessage = await answer.settled()
    if SHOW in _labels(last):
        say("    (the bot asks again who will see it)")
    else:
        say(indented(answer_text(there, last)))
    if LINK in _labels(last):
        last = await _link(stage, last, follow.project)
    if SHOW in _labels(last):
        await _press(stage, last, SHOW)


async def _link(
    stage: Stage, offer: InteractionView | SandboxMessage, project: DemoProject
) -> SandboxMessage:
    """Sign in, as she would in her browser; the command that waited then goes on: its answer."""
    offered = await _press(stage, offer, LINK)
    say(f"\n  She presses [{SIGN_IN}], and says yes on Speckle's page in her browser.")
    app = stage.sign_in_apps[project.server.url]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        url = _labels(offered)[SIGN_IN]["url"]
        async with browser.get(url) as page:
            proof = re.findall(r'name="proof" value="([^"]+)"', await page.text())
        async with browser.post(url, data={"proof": proof}, allow_redirects=False) as leaving:
            at = URL(leaving.headers["Location"])
        code = project.server.approve(project.people[MAREN], app, at.name)
        async with browser.get(app.redirect_url, params={"access_code": code}) as page:
            page.raise_for_status()
    linked, continued = await offered.wait_for_followups(2, ANSWER_S)
    for message in (linked, continued):
        say(indented(answer_text(stage.discord, message)))
    return continued


async def _press(stage: Stage, on: InteractionView | SandboxMessage, label: str) -> InteractionView:
    there = stage.discord
    say(f"\n  She presses [{label}].")
    answer = await (await there.sandbox.press(on, label, there.member)).settled()
    say(indented(answer_text(there, answer)))
    return answer


def _labels(answer: InteractionView | SandboxMessage) -> Mapping[str, Mapping[str, str]]:
    """The buttons of an answer by what is on them."""
    return {one["label"]: one for one in walk(answer.components) if one.get("label")}


async def _invitation(stage: Stage, folder: Path) -> str:
    """How one goes on alone."""
    hooks = await stage.app.storage.read(lambda tx: tx.hooks.of_guild(stage.discord.guild.id))
    hook = next(one for one in hooks if one.project_id == stage.tower.project.id)
    url = f"http://127.0.0.1:{stage.app.port}/webhooks/{hook.key}"
    (webhook,) = stage.tower.project.webhooks
    body = webhook.history[1].body
    sample = folder / "delivery.json"
    sample.write_bytes(body)
    typed = f"""
        Or type a command as Maren would, then Enter. Where an answer has buttons or a list,
        type the name of one:
          /subscriptions        /account        /unsubscribe project:{stage.tower.project.id}"""
    return textwrap.dedent(f"""
        {"─" * WIDTH}
        Still running. Deliveries for Harbour Tower are taken at
          {url}
          secret: {hook.secrets[0]}
        Send one yourself:
          curl -H 'Content-Type: application/json' \\
            -H 'X-WEBHOOK-SIGNATURE: {sign(body, hook.secrets[0])}' \\
            --data-binary @{sample} \\
            {url}{typed if can_be_typed_into() else ""}
        Ctrl-C ends the demo.
        """)
