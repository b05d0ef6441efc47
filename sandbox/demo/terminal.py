"""What the demo's terminal shows of the Discord on this machine, and what is typed into it."""

import asyncio
import re
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from sandbox.demo.stage import Stage
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

WIDTH: Final = 78


@dataclass(frozen=True, slots=True)
class DemoGuild:
    """The guild that the demo plays in."""

    sandbox: Sandbox
    guild: SandboxGuild
    member: SandboxMember
    channels: Sequence[SandboxChannel]

    @classmethod
    def of(cls, stage: Stage) -> Self:
        """The stage's guild, with the member who manages it."""
        channels = tuple(stage.guild.channels.values())
        return cls(stage.discord, stage.guild, stage.manager, channels)


async def print_messages(stage: DemoGuild) -> None:
    """Print each message of each channel once, as soon as it is there."""
    shown: set[int] = set()
    while True:
        for channel in stage.channels:
            for message in stage.sandbox.messages(channel):
                if message.id not in shown:
                    shown.add(message.id)
                    say(_message_text(stage, channel, message))
        await asyncio.sleep(0.1)


def can_be_typed_into() -> bool:
    """Whether somebody sits at standard input."""
    return sys.stdin.isatty()


async def read_commands(stage: DemoGuild) -> None:
    """Type standard input into the first channel, as the member; a terminal's alone."""
    loop = asyncio.get_running_loop()
    if not can_be_typed_into():
        return
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(sys.stdin, lambda: lines.put_nowait(sys.stdin.readline()))
    answers: list[InteractionView] = []  # newest first, as their buttons all stay on the screen
    try:
        while line := await lines.get():
            answer = await do_typed(stage, line.strip(), answers)
            answers[:0] = [] if answer is None else [answer]
    finally:
        loop.remove_reader(sys.stdin)


async def do_typed(
    stage: DemoGuild, line: str, answers: Sequence[InteractionView]
) -> InteractionView | None:
    """Do what was typed, a command or a name on an answer; None where that did not work."""
    if not line:
        return None
    try:
        answer = await (await _asked(stage, line, answers)).settled()
    except (ValueError, SandboxError) as error:
        say(f"  That did not work: {error}.")
        return None
    if answer.modal is not None:
        say("  A form opens here in Discord. The demo cannot fill it in.")
        return None
    say(indented(answer_text(stage, answer)))
    return answer


async def _asked(
    stage: DemoGuild, line: str, answers: Sequence[InteractionView]
) -> InteractionView:
    for answer in answers:
        used = await _used(stage, line, answer)
        if used is not None:
            return used
    if not line.startswith("/"):
        raise ValueError(f"no answer has a button or an entry {line!r}; commands begin with /")
    name, *words = shlex.split(line.removeprefix("/"))
    if lone := [word for word in words if ":" not in word]:
        raise ValueError(
            f"{lone[0]!r} belongs to no option; write /name option:value, "
            'and put "quotes" around a value of words'
        )
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


def answer_text(stage: DemoGuild, answer: InteractionView | SandboxMessage) -> str:
    """An answer with its embeds, and what can be pressed or chosen there."""
    who = "only Maren sees this" if answer.ephemeral else "everybody sees this"
    lines = [f"({who})", *_wrapped(_named(stage, answer.content))]
    embeds = [_embed_text(stage, embed) for embed in answer.embeds]
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
    text = re.sub(r"</([^:>\n]+):\d+>", r"/\1", text)  # a command that can be clicked in Discord
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
    unlinked = re.sub(r"(?<!\\)\[((?:\\.|[^\]\\])*)\]\(<?[^)>]*>?\)", r"\1", text)
    upright = re.sub(r"(?<![\\*\w])\*(?![*\s])([^*\n]+)\*(?![*\w])", r"\1", unlinked)
    return re.sub(r"\\([^a-zA-Z\d\s])", r"\1", re.sub(r"(?<!\\)(\*\*|__|~~)", "", upright))


def options_text(options: Mapping[str, str]) -> str:
    """Options of a command as they are typed."""
    return " ".join(f"{name}:{value}" for name, value in options.items())


def indented(text: str) -> str:
    """Set off from what is typed."""
    return textwrap.indent(text, "    ")


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
