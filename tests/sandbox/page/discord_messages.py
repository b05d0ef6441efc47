"""One message of each kind that Discord shows, put into a channel as if the bot had sent it."""

import io
from typing import Any

from PIL import Image

from sandbox.discord import (
    Attachment,
    Sandbox,
    SandboxChannel,
    SandboxGuild,
    SandboxMember,
    SandboxMessage,
)
from sandbox.discord.guilds import LOADING, V2

MARKDOWN = "\n".join(
    (
        "# A title",
        "-# small print",
        "> quoted",
        "- a list",
        "```py",
        "print(1)",
        "```",
        "||a secret|| **bold** <t:1795689120:R>",
    )
)


class Gallery:
    """Writes into one channel of a guild."""

    def __init__(self, discord: Sandbox, guild: SandboxGuild) -> None:
        self.channel = guild.add_channel("gallery", topic="All that a message can be")
        self._world = discord.world

    def say(
        self, content: str = "", *, by: SandboxMember | None = None,
        to: SandboxChannel | None = None, **parts: Any,
    ) -> SandboxMessage:  # fmt: skip
        """Put one message there, by the bot if nobody else is named."""
        channel = to or self.channel
        author = self._world.bot if by is None else by.user
        message = SandboxMessage(self._world.ids.new_id(), channel, author, content, **parts)
        channel.messages[message.id] = message
        self._world.changed()
        return message

    def picture(self, name: str, described: str) -> Attachment:
        """A small picture that can be in a message."""
        drawn = io.BytesIO()
        Image.new("RGB", (320, 200), "#58a").save(drawn, "PNG")
        return self._keep(name, drawn.getvalue(), "image/png", described)

    def file(self, name: str) -> Attachment:
        """A file that is no picture; a browser that shows it would run a script."""
        return self._keep(name, b"<script>alert(1)</script>", "text/html", None)

    def _keep(self, name: str, content: bytes, kind: str, described: str | None) -> Attachment:
        number = self._world.ids.new_id()
        url = f"{self._world.url}/attachments/{self.channel.id}/{number}/{name}"
        made = Attachment(number, name, content, kind, url, described)
        self._world.attachments[number] = made
        return made

    def fill(self, guild: SandboxGuild, maren: SandboxMember) -> None:
        """One message of each kind."""
        self.say(f"Have you seen <#{self.channel.id}>, <@{maren.id}>? <script>alert(1)</script>")
        self.say(MARKDOWN)
        north = self.picture("north.png", "Drawing of the north facade")
        self.say("Two files", files=[north, self.file("plan.html")])
        self.say(embeds=[self._embed(north)], components=buttons(), files=[north])
        started = self.say("Here a thread begins")
        link = f"https://discord.com/channels/{guild.id}/{self.channel.id}/{started.id}"
        thread = self.channel.add_thread("Clash at C/4", id=started.id)
        self.say("In the thread", to=thread)
        self.say("A reply", by=maren, reference={"message_id": str(started.id)})
        self.say(flags=LOADING)
        self.say(flags=V2, components=_second_version(north))
        forum = guild.add_channel("ideas", "forum")
        self.say("**Timber** would do", to=forum.add_thread("Timber for the roof"))
        private = self._world.private_channel(maren.id)
        self.say(f"Paused in <#{self.channel.id}>, see [there]({link}).", to=private)

    def _embed(self, picture: Attachment) -> dict[str, Any]:
        return {
            "color": 0x57D38C,
            "author": {"name": "Ilse Brandt", "icon_url": picture.url},
            "title": "New version of **facade**",
            "url": "https://speckle.example/x",
            "description": "Some *words*.",
            "fields": [
                *({"name": f"F{one}", "value": str(one), "inline": True} for one in range(4)),
                {"name": "Wide", "value": "`code`", "inline": False},
            ],
            "image": {"url": picture.url},
            "thumbnail": {"url": "https://elsewhere.example/x.png"},
            "footer": {"text": "Quay House"},
            "timestamp": "2026-11-26T10:00:00+00:00",
        }


def buttons() -> list[dict[str, Any]]:
    """Buttons of all styles, and a select."""
    labels = {1: "Primary", 2: "Secondary", 3: "Success", 4: "Danger"}
    buttons: list[dict[str, Any]] = [
        {"type": 2, "style": style, "label": label, "custom_id": f"gallery:{style}"}
        for style, label in labels.items()
    ]
    link = {"type": 2, "style": 5, "label": "Open", "url": "https://speckle.example/x"}
    options = [{"label": f"Option {one}", "value": str(one), "description": "One"} for one in "abc"]
    select = {
        "type": 3, "custom_id": "gallery:select", "placeholder": "Choose", "max_values": 2,
        "options": options,
    }  # fmt: skip
    return [
        {"type": 1, "components": [*buttons, link]},
        {"type": 1, "components": [select]},
    ]


def _second_version(picture: Attachment) -> list[dict[str, Any]]:
    media = {"media": {"url": picture.url}}
    text = {"type": 10, "content": "### In a container"}
    section = {"type": 9, "components": [text], "accessory": {"type": 11} | media}
    return [
        {"type": 17, "accent_color": 255, "components": [section, {"type": 12, "items": [media]}]}
    ]
