"""What /latest and /versions answer."""

from collections.abc import Iterator
from typing import Final

import discord

from bot.cards.alt_texts import MAX_ALT_TEXT, SHOWN
from bot.cards.applications import application_name
from bot.cards.card import MAX_DESCRIPTION, MAX_FIELD_VALUE, MAX_TITLE, MAX_URL
from bot.cards.card_context import MAX_MESSAGE, application_text, long_text, name_text
from bot.cards.text import (
    counted,
    escape_name,
    link,
    moment_text,
    one_line,
    shorten,
    shorten_plain,
    units,
)
from bot.cards.what_changed import WHY_NOT, summary
from bot.cogs.responses import COLOUR
from bot.services.version_lookup import NumberedVersion, VersionPage, WholeVersion
from bot.speckle.comparison import Comparison, WhyNotCompared
from bot.speckle.events import ModelRef
from bot.speckle.links import Links

MAX_CHOICE: Final = 100  # of a select's option, and of what is below it
MAX_LINE: Final = 60  # of a message in a list: ten lines share an embed's 4,096 characters
MAX_PERSON: Final = 40
MAX_APPLICATION: Final = 40
NO_MESSAGE: Final = "no message"
STILL_COMPARED: Final = "Not compared yet. Press *Compare* in a moment."
FIRST: Final = "It is the model's first version."


def whole_embed(whole: WholeVersion) -> discord.Embed:
    """A version with all that is known."""
    version = whole.found.version
    embed = discord.Embed(
        title=shorten(f"{_number(whole.found)}{model_text(version.model)}", MAX_TITLE),
        url=usable(version_url(whole, whole.found)),
        description=_quoted(version.message),
        colour=COLOUR,
    )
    if version.author is not None:
        embed.set_author(name=person_line(whole.found))
    for name, value in _facts(whole):
        embed.add_field(name=name, value=shorten(value, MAX_FIELD_VALUE), inline=True)
    if (changes := changes_text(whole)) is not None:
        embed.add_field(name="What changed", value=shorten(changes, MAX_FIELD_VALUE), inline=False)
    return embed


def _facts(whole: WholeVersion) -> Iterator[tuple[str, str]]:
    version = whole.found.version
    yield "Published", f"{moment_text(version.at, 'f')} ({moment_text(version.at, 'R')})"
    if application := application_text(version.application):
        yield "Application", application
    for name, count in (
        ("Objects", whole.objects),
        ("Open issues", whole.open_issues),
        ("Open threads", whole.open_threads),
    ):
        if count is not None:
            yield name, f"{count:,}"
    yield "Version", f"`{version.id}`"
    if whole.before is not None:
        yield (
            "Version before",
            f"{version_link(whole, whole.before)} · {moment_text(whole.before.version.at, 'R')}",
        )


def changes_text(whole: WholeVersion) -> str | None:
    """What differs from the version before, or why that is not said."""
    match whole.changes:
        case None:
            return STILL_COMPARED
        case Comparison() as comparison:
            return summary(comparison)
        case WhyNotCompared.FIRST:
            return FIRST
        case why:
            return f"Not known: {WHY_NOT[why]}."


def page_embed(page: VersionPage) -> discord.Embed:
    """A page of a model's versions."""
    lines = [_line(page, one) for one in page.versions]
    while units("\n".join(lines)) > MAX_DESCRIPTION:  # if addresses are long; the select has all
        lines.pop()
    embed = discord.Embed(
        title=shorten(f"Versions of {model_text(page.model)}", MAX_TITLE),
        url=usable(_links(page).model(page.project.project_id, page.model.id, page.model.name)),
        description="\n".join(lines),
        colour=COLOUR,
    )
    return embed.set_footer(text=_footer(page))


def _line(page: VersionPage, found: NumberedVersion) -> str:
    version = found.version
    by = version.author and version.author.name
    parts = (
        f"{_number(found)}{moment_text(version.at, 'R')}",
        escape_name(shorten_plain(one_line(by), MAX_PERSON)) if by else None,
        shorten(application_text(version.application) or "", MAX_APPLICATION),
        link(_said(found), version_url(page, found)),
    )
    return " · ".join(one for one in parts if one)


def _footer(page: VersionPage) -> str:
    there = "" if page.total is None else f"{counted(page.total, 'version')} · "
    older = ". The oldest are in Speckle alone" if page.unlisted else ""
    return f"{there}page {page.page + 1} of {page.pages}{older}. Choose one to see it whole."


def choice_text(found: NumberedVersion) -> tuple[str, str]:
    """A version in a select, which shows no markdown: its line, and what is below it."""
    version = found.version
    said = one_line(version.message, otherwise=NO_MESSAGE)
    number = "" if found.number is None else f"#{found.number} · "
    by = version.author and version.author.name
    below = (
        f"{version.at:%Y-%m-%d %H:%M} UTC",
        one_line(by) if by else None,
        application_name(version.application),
    )
    label = shorten_plain(f"{number}{said}", MAX_CHOICE)
    return label, shorten_plain(" · ".join(one for one in below if one), MAX_CHOICE)


def alt_text(whole: WholeVersion) -> str:
    """What the picture shows, for people who do not see it."""
    version = whole.found.version
    name = one_line(version.model.name, otherwise=str(version.model.id))
    return shorten_plain(f"{SHOWN['preview']}: {name}", MAX_ALT_TEXT)


# ── parts ─────────────────────────────────────────────────────────────────────────────────────


def model_text(model: ModelRef) -> str:
    """A model's name in markdown, else its id."""
    return name_text(model.name, f"model {model.id}")


def person_line(found: NumberedVersion) -> str:
    """Who published a version, as plain text."""
    by = found.version.author
    name = None if by is None else by.name
    return shorten_plain(one_line(name, otherwise=f"Speckle user {by.id if by else ''}"), 100)


def version_link(page: VersionPage | WholeVersion, found: NumberedVersion) -> str:
    """A version by its message, which leads to it."""
    return link(f"{_number(found)}{_said(found)}", version_url(page, found))


def version_url(page: VersionPage | WholeVersion, found: NumberedVersion) -> str:
    """The version's page in Speckle."""
    version = found.version
    return _links(page).version(page.project.project_id, version.model.id, version.id)


def usable(url: str) -> str | None:
    """The address where an embed can have it."""
    host = url.partition("://")[2].partition("/")[0].partition(":")[0]
    return url if "." in host and len(url) <= MAX_URL else None


def _links(page: VersionPage | WholeVersion) -> Links:
    return Links(page.project.server_url)


def _number(found: NumberedVersion) -> str:
    return "" if found.number is None else f"#{found.number} · "


def _said(found: NumberedVersion) -> str:
    said = one_line(found.version.message, otherwise=NO_MESSAGE)
    return name_text(shorten_plain(said, MAX_LINE))


def _quoted(message: str | None) -> str | None:
    said = long_text(message, MAX_MESSAGE)
    return "\n".join(f"> {line}" for line in said.split("\n")) if said else None
