"""What Discord asks of emojis beside a text: one of Unicode's, or one of the application's own."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import regex  # type: ignore[import-untyped]  # the package has no type hints

from sandbox.discord.json_types import FieldPath
from sandbox.discord.refusals import Form

MAX_NAME = 32
UNICODE_EMOJI = regex.compile(
    r"(?:\p{Regional_Indicator}{2}|[0-9#*]\uFE0F?\u20E3"
    r"|\p{Extended_Pictographic}[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{M}\u200D\U000E0020-\U000E007F♀♂]*)"
)


@dataclass(frozen=True, slots=True)
class KnownParts:
    """What components may name: the files of the message, the application's emojis by id."""

    file_names: Container[str] = frozenset()
    emoji_ids: Container[int] = frozenset()


def check_emoji(form: Form, path: FieldPath, emoji: Any, known: KnownParts) -> None:
    """An emoji in a button, an option or a poll's answer; None is no emoji."""
    if emoji is None:
        return
    name, emoji_id = emoji.get("name"), emoji.get("id")
    if emoji_id is not None:
        form.length((*path, "name"), name, MAX_NAME)
        is_there = str(emoji_id).isdecimal() and int(emoji_id) in known.emoji_ids
    else:
        is_there = isinstance(name, str) and bool(UNICODE_EMOJI.fullmatch(name))
    if not is_there:
        form.add(path, "BUTTON_COMPONENT_INVALID_EMOJI", "Invalid emoji")
