"""How long one guild's card takes while another guild is busy with large pictures.

The bot runs as a process of its own against the sandbox Discord in this one. One guild sends 300
comments, over several projects, each with a screenshot and its author's picture of several
megapixels, no two alike, as base64 in the body. Another guild sends a new version when half of
them are posted, and one when all are. Told is how long each of these two cards took from its post
to Discord, and how many of the first guild's messages went out meanwhile.
"""

import asyncio
import base64
import io
import json
import struct
import time
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from PIL import Image

from bench.project import Project, cards_in, follow, until_shown
from bench.results import Options, Row, folder_on_disk
from bench.running_bot import BenchBot
from sandbox.discord import Sandbox, SandboxChannel, SandboxGuild

AVATAR_SIDE = 3_100  # pixels: 9.6 megapixels, just below what the bot unpacks
SCREENSHOT_SIZE = (2_560, 1_440)
SENDERS = 8
EVENTS, PROJECTS = 300, 30
GRAIN = 8  # 1: screenshots of 5 MB
GIVE_UP_S = 600.0


def _avatar() -> bytes:
    """A PNG that is small as a file and large unpacked, as a drawing is."""
    side = (AVATAR_SIDE, AVATAR_SIDE)
    shades = [Image.linear_gradient("L").rotate(turn).resize(side) for turn in (0, 90, 180)]
    out = io.BytesIO()
    Image.merge("RGB", shades).save(out, "PNG")
    return out.getvalue()


def _screenshot(grain: int) -> bytes:
    """A PNG of noise; the coarser its grain, the smaller the file."""
    width, height = SCREENSHOT_SIZE
    rough = Image.effect_noise((width // grain, height // grain), 60)
    out = io.BytesIO()
    rough.resize(SCREENSHOT_SIZE, Image.Resampling.NEAREST).convert("RGB").save(out, "PNG")
    return out.getvalue()


def _another(png: bytes, number: int) -> bytes:
    """The same picture with a text of its own, so that no cache knows it."""
    text = b"tEXtComment\0%d" % number
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    return png[:33] + chunk + png[33:]  # behind the header chunk


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _body(project_id: str, name: str, data: dict[str, Any], avatar: str | None) -> bytes:
    payload = {
        "streamId": project_id,
        "event": {"event_name": name, "data": data},
        "server": {"canonicalUrl": "https://app.speckle.systems"},
        "stream": {"name": f"Project {project_id}", "visibility": "private"},
        "user": {"id": "9a0e61f2c4", "name": "Maren Oduya", "avatar": avatar},
    }
    return json.dumps({"payload": payload}).encode()


def _comment(project_id: str, number: int, avatar: bytes, screenshot: bytes) -> bytes:
    text = {"type": "text", "text": f"Comment {number}"}
    doc = {"type": "doc", "content": [{"type": "paragraph", "content": [text]}]}
    comment = {
        "projectId": project_id,
        "content": {"doc": doc, "blobIds": []},
        "resourceIdString": "193f26c0fa@303fecc468",
        "screenshot": _data_url(_another(screenshot, number)),
    }
    avatar_url = _data_url(_another(avatar, number))
    return _body(project_id, "comment_created", {"input": comment}, avatar_url)


def _version(project_id: str, number: int, avatar: bytes) -> bytes:
    commit = {"branchName": "structure/level 1", "branchId": "b7d3120c4e", "message": "Ready"}
    data = {"id": f"{number:010x}", "commit": commit}
    return _body(project_id, "commit_create", data, _data_url(_another(avatar, -number)))


async def _follow(
    sandbox: Sandbox, guild: SandboxGuild, channel: SandboxChannel, project_id: str
) -> Project:
    member = guild.add_member("Maren Oduya", permissions="manage_webhooks")
    return await follow(sandbox, guild, channel, member, project_id)


def _messages(sandbox: Sandbox, channels: Sequence[SandboxChannel]) -> int:
    return sum(bool(m.embeds) for channel in channels for m in sandbox.messages(channel.id))


async def _send(
    http: aiohttp.ClientSession,
    projects: Sequence[Project],
    numbers: range,
    pictures: tuple[bytes, bytes],
) -> None:
    """Post comments, several at a time."""
    waiting = iter(numbers)

    async def sender() -> None:
        for number in waiting:
            project = projects[number % len(projects)]
            await project.post_body(http, _comment(project.id, number, *pictures))

    await asyncio.gather(*(sender() for _ in range(SENDERS)))


@dataclass(frozen=True, slots=True)
class Stage:
    """The busy guild's channels and projects, and the other guild's."""

    sandbox: Sandbox
    http: aiohttp.ClientSession
    channels: Sequence[SandboxChannel]
    projects: Sequence[Project]
    lobby: SandboxChannel
    other: Project

    async def other_card(self, when: str, number: int, avatar: bytes) -> Row:
        """Send one event of the other guild, and tell how its card fared."""
        before, sent = cards_in(self.sandbox, [self.lobby]), _messages(self.sandbox, self.channels)
        started = time.perf_counter()
        await self.other.post_body(self.http, _version(self.other.id, number, avatar))
        answered_s = time.perf_counter() - started
        await until_shown(self.sandbox, [self.lobby], before + 1, GIVE_UP_S)
        return Row(
            f"another guild's card, {when}",
            f"there after {time.perf_counter() - started:.2f} s, answered after {answered_s:.2f} s",
            f"behind {_messages(self.sandbox, self.channels) - sent} messages",
        )


@asynccontextmanager
async def _stage(sandbox: Sandbox) -> AsyncIterator[Stage]:
    busy, quiet = sandbox.add_guild("Studio Kestrel"), sandbox.add_guild("Atelier Brandt")
    channels = [busy.add_channel(f"project-{number}") for number in range(PROJECTS)]
    lobby = quiet.add_channel("lobby")
    async with aiohttp.ClientSession() as http:
        projects = [
            await _follow(sandbox, busy, channel, f"{number:010x}")
            for number, channel in enumerate(channels)
        ]
        other = await _follow(sandbox, quiet, lobby, "5f0c9a41b7")
        yield Stage(sandbox, http, channels, projects, lobby, other)


async def _measure(folder: Path) -> Sequence[Row]:
    pictures = avatar, _ = _avatar(), _screenshot(GRAIN)
    async with (
        Sandbox.start(pace=False) as sandbox,
        BenchBot(sandbox, folder).running() as bot,
        _stage(sandbox) as stage,
    ):
        before = cards_in(sandbox, stage.channels)
        started = time.perf_counter()
        half = EVENTS // 2
        await _send(stage.http, stage.projects, range(half), pictures)
        rest = _send(stage.http, stage.projects, range(half, EVENTS), pictures)
        _, amid = await asyncio.gather(rest, stage.other_card("amid the posts", 1, avatar))
        posted_s = time.perf_counter() - started
        after = await stage.other_card("after the posts", 2, avatar)
        busy_mb = bot.resident_mb
        await until_shown(sandbox, stage.channels, before + EVENTS, GIVE_UP_S)
        shown_s = time.perf_counter() - started
        of_all = f"{EVENTS} comments of {PROJECTS} projects with large pictures"
        return [
            amid,
            after,
            Row(of_all, f"posted after {posted_s:.1f} s, shown after {shown_s:.1f} s"),
            Row("memory meanwhile", f"{busy_mb:.0f} MB"),
        ]


def rows(_: Options) -> Sequence[Row]:
    """One busy guild, and a quiet one beside it."""
    with folder_on_disk() as folder:
        return asyncio.run(_measure(Path(folder)))
