"""Lists as people type them: split into entries, and written so that they are read the same again.

Entries are separated by commas, semicolons or lines. A comma inside quotes or braces separates
nothing.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

SEPARATORS: Final = ",;\n\r\uff0c\uff1b\u3001\u060c\u061b"
QUOTES: Final = {
    '"': '"', "'": "'", "`": "`", "\u201c": "\u201d", "\u201e": "\u201c\u201d", "\u201d": "\u201d",
    "\u2018": "\u2019", "\u201a": "\u2018\u2019", "\u00ab": "\u00bb", "\u00bb": "\u00ab",
    "\u2039": "\u203a",
}  # fmt: skip
"""What may end a quote, by what begins it."""
EXCLUDE: Final = "!"
_START: Final = re.compile(rf"[\s{SEPARATORS}]*(?P<marks>[{EXCLUDE}\s]*)")
_ENDS: Final = re.compile(rf"\s*(?:[{SEPARATORS}]|\Z)")
_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_NUMBERS: Final = re.compile(r"(\d{1,4})\.\.(\d{1,4})")


@dataclass(frozen=True, slots=True)
class TypedEntry:
    """One entry; `quoted`: it is a name, and no word for anything. `excluded`: a `!` was before."""

    text: str
    quoted: bool = False
    excluded: bool = False


def split_typed(text: str) -> tuple[TypedEntry, ...]:
    """The entries, with their spaces collapsed; empty ones only where they were quoted or `!`."""
    return tuple(entry for entry, _, _ in _scanned(text))


def split_entries(text: str) -> list[str]:
    """The entries as they are kept: with the `!` of those that leave something out."""
    return [f"{EXCLUDE if one.excluded else ''}{one.text}" for one in split_typed(text)]


def split_last(text: str) -> tuple[str, TypedEntry]:
    """What was typed before the last entry, and that entry, which may not be finished yet."""
    scanned = [*_scanned(text)]
    for entry, begun, named in scanned:
        if not entry.quoted and entry.text[:1] in QUOTES:  # a quote that nothing closes yet
            return text[:begun], replace(entry, text=" ".join(text[named + 1 :].split()))
    if not scanned or text.rstrip(" ")[-1] in SEPARATORS:
        return text, TypedEntry("")
    entry, begun, _ = scanned[-1]
    return text[:begun], entry


def _scanned(text: str) -> Iterator[tuple[TypedEntry, int, int]]:
    """The entries, where each begins, and where its name does."""
    position = 0
    while position < len(text):
        start = _START.match(text, position)
        assert start is not None, "it matches nothing, too"  # noqa: S101
        entry, position = _entry(text, start.end())
        excluded = EXCLUDE in start["marks"]
        if entry.text or excluded:
            found = TypedEntry(entry.text, entry.quoted, excluded)
            yield found, start.start("marks"), start.end()


def _entry(text: str, start: int) -> tuple[TypedEntry, int]:
    """The entry that starts here, and where the next one may."""
    quoted = _quoted(text, start)
    if quoted is not None:
        return quoted
    depth, end = 0, start
    while end < len(text):
        character = text[end]
        if character in SEPARATORS and depth == 0:
            break
        if character == "{" and depth == 0 and not _is_closed(text, end):
            depth = -1  # a brace that nothing closes is an ordinary character
        depth += (character == "{") - (character == "}" and depth > 0)
        end += 1
    return TypedEntry(" ".join(text[start:end].split())), end


def _is_closed(text: str, start: int) -> bool:
    return "}" in re.split(r"[;\n\r]", text[start:], maxsplit=1)[0]


def _quoted(text: str, start: int) -> tuple[TypedEntry, int] | None:
    """The entry in quotes that starts here; None where none does, or no separator follows it."""
    closing = QUOTES.get(text[start : start + 1])
    if closing is None:
        return None
    for end in range(start + 1, len(text)):
        if text[end] in closing and (after := _ENDS.match(text, end + 1)):
            return TypedEntry(" ".join(text[start + 1 : end].split()), quoted=True), after.end()
    return None


def typed_list(entries: Iterable[str]) -> str:
    """Entries as they would be typed, so that reading the text gives them again."""
    return ", ".join(typed_entry(entry) for entry in entries)


def typed_entry(entry: str) -> str:
    """One entry as it would be typed: in quotes where it would be read as something else."""
    mark, name = (EXCLUDE, entry[1:]) if entry.startswith(EXCLUDE) else ("", entry)
    return mark + (name if _is_plain(name) else _in_quotes(name))


def _is_plain(name: str) -> bool:
    plain = not re.search(rf"[{SEPARATORS}@$<>\\^]|://", name) and name[:1] not in QUOTES
    closed = not set("{}") & set(re.sub(r"\{[^{}]*\}", "", name))
    plain = plain and closed and _first_choice(name) is None
    return plain and name.casefold() not in SPECIAL_WORDS


def _in_quotes(name: str) -> str:
    """In the first kind of quotes that the name itself does not have."""
    for opening, closing in (('"', '"'), ("\u201c", "\u201d"), ("`", "`"), ("\u00ab", "\u00bb")):
        if not set(opening + closing) & set(name):
            return f"{opening}{name}{closing}"
    return f'"{name}"'


ALL_WORDS: Final = frozenset({"all", "everything", "every", "any", "anything"})
NONE_WORDS: Final = frozenset({"none", "nothing", "nobody", "no one", "noone", "no-one", "-"})
SPECIAL_WORDS: Final = ALL_WORDS | NONE_WORDS


def alternatives(text: str) -> Iterator[str]:
    """A text with braces as the texts that it stands for: `{a,b}/x` as a/x and b/x, `{1..3}` too.

    Braces without a comma stand for themselves.
    """
    waiting = [iter((text,))]  # a level for each pair of braces, of which a text may have hundreds
    while waiting:
        one = next(waiting[-1], None)
        if one is None:
            waiting.pop()
        elif (found := _first_choice(one)) is None:
            yield one
        else:
            waiting.append(_in_place(one, found))


def _in_place(text: str, braces: re.Match[str]) -> Iterator[str]:
    """The text with each choice in place of its braces."""
    for choice in _choices(braces[1]):
        yield text[: braces.start()] + choice + text[braces.end() :]


def _first_choice(text: str) -> re.Match[str] | None:
    """The first braces that stand for something else."""
    return next((m for m in _BRACES.finditer(text) if next(_choices(m[1]), None) is not None), None)


def _choices(inside: str) -> Iterator[str]:
    """What may replace these braces, one by one: a few characters may mean thousands."""
    numbers = _NUMBERS.fullmatch(inside)
    if numbers is not None:
        first, last = int(numbers[1]), int(numbers[2])
        width = len(numbers[1]) if numbers[1].startswith("0") else 0
        yield from (f"{one:0{width}}" for one in range(first, last + 1))
    elif "," in inside:
        yield from (part.strip() for part in inside.split(","))
