"""The tables of docs/events.md, written from the event tables so that the two never differ."""

import re
from collections.abc import Iterator

from bot.cards.event_table import CARDS
from bot.speckle.event_table import BY_KIND, kinds_of
from bot.speckle.events import EventGroup, EventKind

HEAD = "| Event | What the card shows | On Speckle's page | Trigger |\n|---|---|---|---|\n"
SECTION = re.compile(r"(?m)^## `(\w+)`\n")
TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\n)*")


def with_event_tables(page: str) -> str:
    """The page with the table of each group as it is now, below the group's heading."""
    before, *sections = SECTION.split(page)
    texts = [before]
    for name, section in zip(sections[::2], sections[1::2], strict=True):
        table = "".join([HEAD, *_rows(EventGroup(name))])
        texts += [f"## `{name}`\n", TABLE.sub(lambda _old, new=table: new, section, count=1)]
    return "".join(texts)


def _rows(group: EventGroup) -> Iterator[str]:
    for kind in kinds_of(group):
        row = BY_KIND[kind]
        triggers = ", ".join(f"`{name}`" for name in row.triggers)
        if kind is EventKind.UNKNOWN:
            triggers = "any other"
        page = ", ".join(f"`{name}`" for name in row.page_names) or "—"
        yield f"| `{kind}` | {CARDS[kind].shows} | {page} | {triggers} |\n"
