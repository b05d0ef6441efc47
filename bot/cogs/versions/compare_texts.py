"""What /compare answers: two versions, what differs, by category and level, and how they look."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import discord

from bot.cards.alt_texts import MAX_ALT_TEXT, SHOWN
from bot.cards.card import MAX_FIELD_NAME, MAX_FIELD_VALUE, MAX_FIELDS, MAX_TITLE, MAX_TOTAL
from bot.cards.card_context import name_text
from bot.cards.text import escape_name, link, moment_text, one_line, shorten, shorten_plain, units
from bot.cards.what_changed import (
    MINUS,
    NO_GEOMETRY,
    WHY_NOT,
    category_text,
    counts_text,
    property_text,
    summary,
)
from bot.cogs.responses import COLOUR, FileToSend
from bot.cogs.versions.changes_table import changes_table
from bot.cogs.versions.texts import MAX_LINE, MAX_PERSON, NO_MESSAGE, model_text, usable
from bot.services.version_comparison import ComparedVersions
from bot.speckle.comparison import CategoryChanges, Comparison, Conclusion, WhyNotCompared
from bot.speckle.links import Links
from bot.speckle.listed import ListedVersion

MAX_HEAD: Final = 2_400  # UTF-16 units of a page's description
MAX_PAGES: Final = 50
FIELDS_A_PAGE: Final = MAX_FIELDS
ROOM: Final = MAX_TOTAL - MAX_TITLE - MAX_HEAD - 300  # for the fields; the rest is the footer's
MAX_BUTTON_URL: Final = 512
IDENTICAL: Final = "Identical: both versions are one and the same content."
LEGEND: Final = f"+ added, {MINUS} removed, ~ changed"
NET_LEGEND: Final = f"+ more, {MINUS} fewer"
WHY_UNMATCHED: Final = (
    "Nearly all of them have new ids and another content, so that nothing says which one is which."
)
NOTHING_BEFORE: Final = "There is nothing to compare it with:"
CONTINUED: Final = " (continued)"

WHAT_NEXT: Final[Mapping[str, str]] = {
    WhyNotCompared.FIRST: "Publish another version of the model; from then on there is one before.",
    WhyNotCompared.MIXED: (
        "Compare two versions that were sent by the same kind of connector: both before, or both "
        "after its update."
    ),
    WhyNotCompared.NO_WAY: "Ask the person who runs the Speckle server to update it.",
    WhyNotCompared.NO_READER: "Ask that person, or open both versions in Speckle.",
    WhyNotCompared.NO_ELEMENTS: "Open both versions in Speckle to see what they have.",
    WhyNotCompared.INCOMPLETE: (
        "Publish the version again from its application, which sends what is missing."
    ),
    WhyNotCompared.TOO_LARGE: "Open both versions in Speckle, which compares them in its viewer.",
    WhyNotCompared.TOO_SLOW: (
        "The server may be busy: try again later, or open both versions in Speckle."
    ),
    WhyNotCompared.UNREADABLE: (
        "Open both versions in Speckle; if they are fine there, tell the person who runs the bot."
    ),
}


@dataclass(slots=True)
class ComparedPage:
    """The fields of one page."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    size: int = 0

    def takes(self, name: str, value: str) -> bool:
        """Whether there is room for one more."""
        size = units(name) + units(value)
        return len(self.fields) < FIELDS_A_PAGE and self.size + size <= ROOM

    def add(self, name: str, value: str) -> None:
        """One more."""
        self.fields.append((name, value))
        self.size += units(name) + units(value)


def compared_embeds(found: ComparedVersions, page: int) -> tuple[list[discord.Embed], int]:
    """A page as embeds, and how many pages there are; the pictures are on the first one.

    Discord shows the pictures of embeds with one address side by side.
    """
    pages = pages_of(found)
    page = min(page, len(pages) - 1)
    url = usable(compared_url(found))
    embed = discord.Embed(title=_title(found), url=url, description=_head(found), colour=COLOUR)
    for name, value in pages[page].fields:
        embed.add_field(name=name, value=value, inline=False)
    if footer := _footer(found, page, len(pages)):
        embed.set_footer(text=footer)
    if found.pictures is None:
        return [embed], len(pages)
    before, after = found.pictures
    embed.set_image(url=f"attachment://{_picture_name('before', before.name)}")
    second = discord.Embed(url=url, colour=COLOUR)
    second.set_image(url=f"attachment://{_picture_name('after', after.name)}")
    return [embed, second], len(pages)


def compared_files(found: ComparedVersions) -> list[FileToSend]:
    """The pictures of both versions."""
    if found.pictures is None:
        return []
    return [
        FileToSend(
            _picture_name(when, one.name),
            one.content,
            shorten_plain(f"{SHOWN['preview']}, {when} the changes", MAX_ALT_TEXT),
        )
        for when, one in zip(("before", "after"), found.pictures, strict=True)
    ]


def table_of(found: ComparedVersions) -> FileToSend | None:
    """All that differs as a table; None where nothing was compared."""
    if found.before is None or not isinstance(found.outcome, Comparison):
        return None
    name = f"changes-{found.before.id}-{found.after.id}.csv"
    return FileToSend(name, changes_table(found.outcome), "What changed, as a table")


def has_table(found: ComparedVersions) -> bool:
    """Whether there is more to be read than one sentence."""
    outcome = found.outcome
    return isinstance(outcome, Comparison) and bool(
        outcome.categories or outcome.on_all or outcome.reshaped
    )


def table_text(found: ComparedVersions) -> str:
    """What is said above the table."""
    if isinstance(found.outcome, Comparison):
        return f"What changed in **{model_text(found.after.model)}**, as a table for spreadsheets."
    return not_compared(found.outcome)


def compared_url(found: ComparedVersions) -> str:
    """Speckle's own view of what differs; the newer version where it has none."""
    links, project_id = Links(found.project.server_url), found.project.project_id
    before, after = found.before, found.after
    alone = links.version(project_id, after.model.id, after.id)
    if before is None or after.model.id is None or before.model.id != after.model.id:
        return alone
    if before.is_bundle or after.is_bundle:
        return alone
    url = links.comparison(project_id, after.model.id, after.id, before.id)
    return url if len(url) <= MAX_BUTTON_URL else alone


def not_compared(why: WhyNotCompared) -> str:
    """Why nobody can say what differs, and what to do."""
    first = why is WhyNotCompared.FIRST
    lead = NOTHING_BEFORE if first else "They cannot be compared:"
    return f"**{lead}** {WHY_NOT[why]}. {WHAT_NEXT[why]}"


# ── the head ──────────────────────────────────────────────────────────────────────────────────


def _title(found: ComparedVersions) -> str:
    return shorten(f"What changed: {model_text(found.after.model)}", MAX_TITLE)


def _head(found: ComparedVersions) -> str:
    lines = []
    if found.before is not None:
        lines.append(f"From {_version(found, found.before)}")
    lines.append(f"To {_version(found, found.after)}")
    return shorten("\n".join([*lines, "", _said(found)]), MAX_HEAD)


def _version(found: ComparedVersions, version: ListedVersion) -> str:
    links, by = Links(found.project.server_url), version.author and version.author.name
    said = shorten_plain(one_line(version.message, otherwise=NO_MESSAGE), MAX_LINE)
    url = links.version(found.project.project_id, version.model.id, version.id)
    other = found.before is not None and found.before.model != found.after.model
    parts = (
        link(escape_name(said), url),
        model_text(version.model) if other else None,
        escape_name(shorten_plain(one_line(by), MAX_PERSON)) if by else None,
        moment_text(version.at, "f"),
    )
    return " · ".join(one for one in parts if one)


def _said(found: ComparedVersions) -> str:
    outcome = found.outcome
    if not isinstance(outcome, Comparison):
        return not_compared(outcome)
    if outcome.conclusion is Conclusion.IDENTICAL:
        return IDENTICAL
    if outcome.conclusion is Conclusion.UNMATCHED:
        return f"{summary(outcome)}\n{WHY_UNMATCHED}"
    return summary(outcome)


def _footer(found: ComparedVersions, page: int, pages: int) -> str:
    outcome = found.outcome
    if not isinstance(outcome, Comparison):
        return ""
    parts = []
    if outcome.categories or outcome.properties:
        parts.append(NET_LEGEND if outcome.is_net else LEGEND)
    if not (outcome.geometry or outcome.conclusion is Conclusion.UNCHANGED):
        parts.append(NO_GEOMETRY)
    if pages > 1:
        parts.append(f"page {page + 1} of {pages}")
    cut = ". The table has the rest" if pages == MAX_PAGES and page + 1 == pages else ""
    return f"{' · '.join(parts)}{cut}"


def _picture_name(when: str, name: str) -> str:
    return f"{when}-{name}"  # the two may be one and the same picture


# ── the pages ─────────────────────────────────────────────────────────────────────────────────


def pages_of(found: ComparedVersions) -> list[ComparedPage]:
    """What differs, in full: properties, then each category by level and name."""
    pages = [ComparedPage()]
    if isinstance(found.outcome, Comparison):
        for name, value in _fields(found.outcome):
            if not pages[-1].takes(name, value):
                if len(pages) == MAX_PAGES:
                    break
                pages.append(ComparedPage())
            pages[-1].add(name, value)
    return pages


def _fields(comparison: Comparison) -> Iterator[tuple[str, str]]:
    properties = [f"{property_text(name)} {count:,}" for name, count in comparison.properties]
    if comparison.moved:
        properties.append(f"moved {comparison.moved:,}")
    yield from _parts("Changed, by property", properties)
    rows = _kinds(comparison)
    for category in comparison.categories:
        name = f"{category_text(category.name)} {counts_text(category)}"
        yield from _parts(name, map(_kind_text, rows[category.name]))


def _parts(name: str, lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Lines as the values of one field, or of several where they do not fit."""
    name, value = shorten(name, MAX_FIELD_NAME - len(CONTINUED)), ""
    for whole in lines:
        line = shorten(whole, MAX_FIELD_VALUE)
        if value and units(value) + 1 + units(line) > MAX_FIELD_VALUE:
            yield name, value
            name, value = f"{name.removesuffix(CONTINUED)}{CONTINUED}", ""
        value = f"{value}\n{line}" if value else line
    if value:
        yield name, value


@dataclass(frozen=True, slots=True)
class KindRow:
    """Elements of one level and name, and what happened to how many of them."""

    level: str
    name: str
    counts: CategoryChanges


def _kinds(comparison: Comparison) -> Mapping[str, Sequence[KindRow]]:
    """By category, the kinds of elements in it: level by level, the most first."""
    added: Counter[tuple[str, str, str]] = Counter()
    removed: Counter[tuple[str, str, str]] = Counter()
    changed: Counter[tuple[str, str, str]] = Counter()
    for kind, count in comparison.added.items():
        added[kind.category, kind.level, kind.name] += count
    for kind, count in comparison.removed.items():
        removed[kind.category, kind.level, kind.name] += count
    for change, count in comparison.changed.items():
        changed[change.kind.category, change.kind.level, change.kind.name] += count
    found: dict[str, list[KindRow]] = {}
    for key in {*added, *removed, *changed}:
        category, level, name = key
        counts = CategoryChanges(category, added[key], removed[key], changed[key])
        found.setdefault(category, []).append(KindRow(level, name, counts))
    for rows in found.values():
        rows.sort(key=lambda row: (_natural(row.level), -row.counts.total, row.name))
    return found


def _kind_text(row: KindRow) -> str:
    counts = counts_text(row.counts)
    named = name_text(row.name) if row.name else "all" if not row.level else ""
    where = name_text(row.level) if row.level else ""
    return " · ".join(one for one in (f"`{counts}`", named, where) if one)


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    """Level 2 before level 10."""
    return tuple(
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"([0-9]{1,9})", text.casefold())
    )
