"""The try-out: a Discord on this machine, the real bot in it, and a project's day played to it.

Nothing here replaces a part of the bot: the subscriptions are made with `/subscribe`, the
deliveries are signed and sent over HTTP as a Speckle server does, and what is printed is what the
channels then hold.
"""

import asyncio
import json
import re
import shlex
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
from cryptography.fernet import Fernet

from bot.app import App, running
from bot.log import configure
from bot.model import Hook
from bot.settings import Settings
from bot.speckle.signature import sign
from bot.supervisor import stop_signals
from sandbox.discord import (
    InteractionView,
    Sandbox,
    SandboxChannel,
    SandboxError,
    SandboxGuild,
    SandboxMember,
    SandboxMessage,
)
from sandbox.discord.component_rules import walk

SAMPLES: Final = Path(__file__).with_name("sample_events.json")
PROJECT: Final = "https://app.speckle.systems/projects/5f0c9a41b7"
PACE_S: Final = 0.7  # between deliveries, so that one can read along
WIDTH: Final = 78
BY_HAND: Final = "Set it up by hand"
SHOW: Final = "Show it there"
CHANNELS: Final[Mapping[str, Mapping[str, str]]] = {
    "project-log": {},
    "structure": {"models": "structure/**", "events": "models, versions"},
    "coordination": {"events": "issues"},
}


@dataclass(frozen=True, slots=True)
class DemoGuild:
    """The guild that the demo plays in."""

    sandbox: Sandbox
    guild: SandboxGuild
    member: SandboxMember
    channels: Sequence[SandboxChannel]


async def run_demo(port: int | None = None) -> int:
    """Play the demo until Ctrl-C; `port` is the listener's, None takes 8003 or any free one."""
    stopping = asyncio.Event()
    with stop_signals(stopping), tempfile.TemporaryDirectory(prefix="speckle-demo-") as folder:
        async with _on_stage(Path(folder), port) as (stage, app):
            printer = asyncio.create_task(_print_messages(stage), name="printer")
            typing = asyncio.create_task(_read_commands(stage), name="commands")
            play = asyncio.create_task(_play(stage, app, Path(folder)), name="play")
            stopped = asyncio.create_task(_wait(stopping), name="stop")
            tasks = {printer, typing, play, stopped}
            done, _ = await asyncio.wait(tasks - {typing}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            for task in done:
                task.result()
    _say("\nStopped. Nothing was kept.")
    return 0


async def _wait(stopping: asyncio.Event) -> None:
    await stopping.wait()


@asynccontextmanager
async def _on_stage(folder: Path, port: int | None) -> AsyncIterator[tuple[DemoGuild, App]]:
    async with Sandbox.start() as sandbox:
        guild = sandbox.add_guild("Studio Kestrel")
        member = guild.add_member("Maren Oduya", permissions="manage_webhooks")
        channels = [guild.add_channel(name) for name in CHANNELS]
        async with running(_settings(sandbox, folder, await _free_port(port))) as app:
            await asyncio.wait_for(app.bot.ready_once.wait(), timeout=30)
            yield DemoGuild(sandbox, guild, member, channels), app


def _settings(sandbox: Sandbox, folder: Path, port: int) -> Settings:
    settings = Settings.model_validate(
        {
            "discord_token": sandbox.token,
            "discord_api_url": sandbox.api_url,
            "encryption_keys": (Fernet.generate_key().decode(),),
            "database_url": f"sqlite:///{folder / 'demo.db'}",
            "public_url": f"http://127.0.0.1:{port}",
            "webhook_port": port,
            "speckle": {"enrich_deadline_s": 0.0},  # the project is invented: nobody to ask
            "log_level": "error",
            "log_format": "console",
        }
    )
    configure(settings)
    return settings


async def _free_port(wanted: int | None) -> int:
    """The wanted port; without a wish 8003, or any free one where that is taken."""
    if wanted is not None:
        return wanted
    for port in (Settings.model_fields["webhook_port"].default, 0):
        try:
            server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
        except OSError:
            continue
        async with server:
            found: int = server.sockets[0].getsockname()[1]
            return found
    raise AssertionError("port 0 is always free")


async def _play(stage: DemoGuild, app: App, folder: Path) -> None:
    """Subscribe in each channel, then let the project's day arrive."""
    _say("A Discord runs on this machine, with the bot in it. Maren Oduya types:")
    for number, (name, options) in enumerate(CHANNELS.items()):
        _say(f"\n  #{name} ▸ /subscribe stream_id:{PROJECT} {_options_text(options)}")
        answer = await stage.sandbox.command(
            stage.guild,
            stage.channels[number],
            stage.member,
            "subscribe",
            stream_id=PROJECT,
            **options,
        )
        await answer.settled()
        for label in (BY_HAND, SHOW):  # nobody has an account in the demo
            if answer.offers(label):
                await (await stage.sandbox.press(answer, label)).settled()
        _say(_indented(_answer_text(stage, answer, whole=number == 0)))
    hook = (await app.storage.read(lambda tx: tx.hooks.of_guild(stage.guild.id)))[0]
    url = f"http://127.0.0.1:{app.port}/webhooks/{hook.key}"
    _say("\nNow the project's day arrives, signed and sent as a Speckle server does it:")
    bodies = [_body(payload) for payload in json.loads(SAMPLES.read_text("utf-8"))]
    async with aiohttp.ClientSession() as session:
        for body in bodies:
            await asyncio.sleep(PACE_S)
            await _post(session, url, body, hook)
    await asyncio.sleep(2 * PACE_S)
    _say(_invitation(url, hook, bodies[1], folder))
    await asyncio.Event().wait()


async def _post(session: aiohttp.ClientSession, url: str, body: bytes, hook: Hook) -> None:
    headers = {
        "Content-Type": "application/json",
        "X-WEBHOOK-SIGNATURE": sign(body, hook.secrets[0]),
    }
    async with session.post(url, data=body, headers=headers) as answer:
        if answer.status != 202:
            _say(f"The bot answered {answer.status}: {await answer.text()}")


def _body(payload: Mapping[str, Any]) -> bytes:
    return json.dumps({"payload": payload}, ensure_ascii=False, separators=(",", ":")).encode()


def _invitation(url: str, hook: Hook, body: bytes, folder: Path) -> str:
    sample = folder / "delivery.json"
    sample.write_bytes(body)
    return textwrap.dedent(f"""
        {"─" * WIDTH}
        Still running. Deliveries for this project are taken at
          {url}
          secret: {hook.secrets[0]}
        Send one yourself:
          curl -H 'Content-Type: application/json' \\
            -H 'X-WEBHOOK-SIGNATURE: {sign(body, hook.secrets[0])}' \\
            --data-binary @{sample} \\
            {url}
        Or type a command as Maren would, then Enter. Where an answer has buttons or a list,
        type the name of one:
          /subscriptions        /unsubscribe project:5f0c9a41b7        /notices
        Ctrl-C ends the demo.
        """)


async def _print_messages(stage: DemoGuild) -> None:
    """Print each message of each channel once, as soon as it is there."""
    shown: set[int] = set()
    while True:
        for channel in stage.channels:
            for message in stage.sandbox.messages(channel):
                if message.id not in shown:
                    shown.add(message.id)
                    _say(_message_text(stage, channel, message))
        await asyncio.sleep(0.1)


async def _read_commands(stage: DemoGuild) -> None:
    """Type standard input into the first channel, as the member."""
    loop = asyncio.get_running_loop()
    if not sys.stdin.isatty():
        return
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(sys.stdin, lambda: lines.put_nowait(sys.stdin.readline()))
    answer: InteractionView | None = None
    try:
        while line := await lines.get():
            answer = await do_typed(stage, line.strip(), answer) or answer
    finally:
        loop.remove_reader(sys.stdin)


async def do_typed(
    stage: DemoGuild, line: str, last: InteractionView | None
) -> InteractionView | None:
    """Do what was typed, a command or a name on the last answer; None where that did not work."""
    if not line:
        return None
    try:
        answer = await (await _asked(stage, line, last)).settled()
    except (ValueError, SandboxError) as error:
        _say(f"  That did not work: {error}. Commands are written /name option:value option:value.")
        return None
    if answer.modal is not None:
        _say("  A form opens here in Discord. The demo cannot fill it in.")
        return None
    _say(_indented(_answer_text(stage, answer, whole=True)))
    return answer


async def _asked(stage: DemoGuild, line: str, last: InteractionView | None) -> InteractionView:
    used = None if last is None else await _used(stage, line, last)
    if used is not None:
        return used
    name, *words = shlex.split(line.removeprefix("/"))
    if lone := [word for word in words if ":" not in word]:
        raise ValueError(f'{lone[0]!r} belongs to no option; put "quotes" around a value of words')
    options = dict(word.split(":", 1) for word in words)
    return await stage.sandbox.command(
        stage.guild, stage.channels[0], stage.member, name, **options
    )


async def _used(stage: DemoGuild, name: str, last: InteractionView) -> InteractionView | None:
    """Press the button or choose the option of this name; None if there is none."""
    for component in walk(last.components):
        if component.get("label") == name:
            return await stage.sandbox.press(last, name, stage.member)
        if (value := _options_of(component).get(name)) is not None:
            return await stage.sandbox.select(last, component["custom_id"], [value], stage.member)
    return None


def _options_of(component: Mapping[str, Any]) -> Mapping[str, str]:
    """What a list offers; several may have one label, and differ by the text below."""
    return {
        " ".join(filter(None, (option["label"], option.get("description")))): option["value"]
        for option in component.get("options") or ()
    }


def _answer_text(stage: DemoGuild, answer: InteractionView, *, whole: bool) -> str:
    who = "only Maren sees this" if answer.ephemeral else "everybody sees this"
    lines = [f"({who})", *_wrapped(_named(stage, answer.content))]
    embeds = [_embed_text(stage, embed) for embed in answer.embeds]
    if embeds and not whole:
        embeds = ["(the set-up again, as above)"]
    offered = [
        f"[{name}]"
        for one in walk(answer.components)
        for name in (one.get("label"), *_options_of(one))
        if name
    ]
    return "\n".join(line for line in [*lines, *embeds, *_wrapped(" ".join(offered))] if line)


def _named(stage: DemoGuild, text: str) -> str:
    """Mentions and times as Discord shows them."""
    for channel in stage.channels:
        text = text.replace(f"<#{channel.id}>", f"#{channel.name}")
    return _plain(_with_times(text.replace(f"<@{stage.member.id}>", f"@{stage.member.name}")))


def _with_times(text: str) -> str:
    return re.sub(
        r"<t:(\d+)(?::\w)?>",
        lambda found: f"{datetime.fromtimestamp(int(found[1]), UTC):%Y-%m-%d %H:%M} UTC",
        text,
    )


def _message_text(stage: DemoGuild, channel: SandboxChannel, message: SandboxMessage) -> str:
    head = f"\n┌─ #{channel.name} " + "─" * (WIDTH - len(channel.name) - 5)
    content = "\n".join(_wrapped(_named(stage, message.content)))
    parts = [content, *(_embed_text(stage, embed) for embed in message.embeds)]
    text = "\n".join(part for part in parts if part)
    return "\n".join([head, *(f"│ {line}" for line in text.splitlines()), "└" + "─" * (WIDTH - 1)])


def _embed_text(stage: DemoGuild, embed: Mapping[str, Any]) -> str:
    """An embed as a terminal can show it, top to bottom as Discord does."""
    author = embed.get("author", {}).get("name")
    picture = embed.get("image", {}).get("url", "").rpartition("/")[2]
    lines = [
        f"● {author}" if author else "",
        _plain(embed.get("title", "")),
        embed.get("url", ""),
        _named(stage, embed.get("description", "")),
        *(
            f"{_plain(field['name'])}: {_named(stage, field['value'])}".replace("\n", "\n  ")
            for field in embed.get("fields", ())
        ),
        f"[picture {picture}]" if picture else "",
        embed.get("footer", {}).get("text", ""),
    ]
    return "\n".join(wrapped for line in lines if line for wrapped in _wrapped(line))


def _wrapped(text: str) -> Sequence[str]:
    lines = []
    for line in text.splitlines():
        lines += textwrap.wrap(line, WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return lines


def _plain(markdown: str) -> str:
    """Markdown as Discord would show it, near enough for a terminal; code stays as it is."""
    parts = re.split(r"(?<!\\)(?:```(?:\w*\n)?|`+)", markdown)
    return "".join(part if number % 2 else _unmarked(part) for number, part in enumerate(parts))


def _unmarked(text: str) -> str:
    unlinked = re.sub(r"\[((?:\\.|[^\]\\])*)\]\(<?[^)>]*>?\)", r"\1", text)
    upright = re.sub(r"(?<![\\*\w])\*(?![*\s])([^*\n]+)\*(?![*\w])", r"\1", unlinked)
    return re.sub(r"\\([^\w\s])", r"\1", re.sub(r"(?<!\\)(\*\*|__|~~)", "", upright))


def _options_text(options: Mapping[str, str]) -> str:
    return " ".join(f"{name}:{value}" for name, value in options.items())


def _indented(text: str) -> str:
    return textwrap.indent(text, "    ")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
