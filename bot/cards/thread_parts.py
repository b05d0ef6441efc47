"""What cards of comments and of issues share: the place in the model, the text, its files."""

from collections.abc import Sequence

from bot.amounts import size_text
from bot.cards.card import Field
from bot.cards.card_context import MAX_COMMENT, CardContext, name_text, shown_part
from bot.cards.rich_text_markdown import to_markdown
from bot.cards.text import counted, joined, link, units
from bot.speckle.events import ModelRef, ResourceRef
from bot.speckle.facts import AttachedFile
from bot.speckle.resources import resource_text
from bot.speckle.rich_text import RichText, mentions

MAX_NAMES = 3
MAX_FILES = 5
MAX_LIST = 1_024  # UTF-16 units, Discord's limit for a field


def place_fields(context: CardContext, resources: Sequence[ResourceRef]) -> tuple[Field, ...]:
    """Each thing that it is on, linked; whole links only, then how many more.

    Of the whole project or a folder, that alone: a server lists all models of it as well.
    """
    wide = [one for one in resources if one.whole or one.folder is not None]
    shown = wide or list(resources)
    lines: list[str] = []
    for index, resource in enumerate(shown):
        line = _place_link(context, resource)
        more = f"and {len(shown) - index} more"
        if units("\n".join([*lines, line, more])) > MAX_LIST:
            lines.append(more)
            break
        lines.append(line)
    return (Field("On", "\n".join(lines), inline=False),) if lines else ()


def _place_link(context: CardContext, resource: ResourceRef) -> str:
    label = "the whole project" if resource.whole else None
    if resource.folder is not None:
        label = f"the folder {name_text(resource.folder)}"
    elif resource.object_id is not None:
        label = f"object {resource.object_id}"
    if label is None:
        return context.model_link(ModelRef(resource.model_id), resource.version_id)
    return link(label, context.links.place(context.project_id, resource_text(resource)))


def also_mentioned(text: RichText, shown: str) -> str:
    """Who is mentioned in the part of a text that has no room on the card."""
    names = [f"\\@{name_text(one.text, 'somebody')}" for one in mentions(text)]
    missing = [f"**{name}**" for name in dict.fromkeys(names) if name not in shown]
    if len(missing) > MAX_NAMES:
        return f"Also mentions {len(missing)} people"
    return f"Also mentions {joined(missing)}" if missing else ""


def text_and_files(
    text: RichText, files: Sequence[AttachedFile], count: int = 0
) -> tuple[str, tuple[Field, ...]]:
    """What somebody wrote, and the files that came along, or how many where no more is known."""
    written = shown_part(to_markdown(text), MAX_COMMENT)
    number = counted(len(files) or count, "file") if files or count else ""
    if not written:
        return (f"*(no text, {number})*" if number else "*(no text)*"), files_field(files)
    if number and not files:
        return written, (Field("Files", number, inline=False),)
    return written, files_field(files)


def files_field(files: Sequence[AttachedFile]) -> tuple[Field, ...]:
    """The files' names and sizes."""
    if not files:
        return ()
    lines = [f"{name_text(one.name)}{_size(one.size_bytes)}" for one in files[:MAX_FILES]]
    if len(files) > MAX_FILES:
        lines.append(f"and {len(files) - MAX_FILES} more")
    return (Field("Files", "\n".join(lines), inline=False),)


def _size(size_bytes: int | None) -> str:
    return "" if size_bytes is None else f", {size_text(size_bytes)}"
