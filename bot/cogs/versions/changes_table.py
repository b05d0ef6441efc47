"""What differs between two versions as a table for spreadsheets: CSV in UTF-8, of bounded size."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Final

from bot.cards.text import one_line
from bot.speckle.comparison import Comparison, ElementKind

HEADER: Final = ("change", "category", "level", "name", "elements", "properties", "geometry")
BOM: Final = "\ufeff"  # by which Excel knows that it is UTF-8
MAX_BYTES: Final = 2_000_000  # Discord takes 10 MiB
MAX_CELL: Final = 1_000  # characters
# What begins so is a formula for a spreadsheet; the wide ones are what some keyboards write.
# Source: https://owasp.org/www-community/attacks/CSV_Injection
# Spreadsheets of many countries take a semicolon for the end of a cell, whatever is quoted.
FORMULA_SIGNS: Final = "=+\\-@\uff1d\uff0b\uff0d\uff20"
BEGINS_FORMULA: Final = re.compile(rf'(^|[;,|])([\s"]*)(?=[{FORMULA_SIGNS}])')
CHANGED: Final = "changed"
MOVED: Final = "moved"

Row = tuple[str, ...]


def changes_table(comparison: Comparison) -> bytes:
    """A row for each kind of elements and what happened to them; the last says what is left out."""
    rows = sorted(_rows(comparison))
    lines, size = [BOM + _line(HEADER)], 0
    for number, row in enumerate(rows):
        line = _line(row)
        size += len(line.encode())
        if size > MAX_BYTES:
            lines.append(_line((f"{len(rows) - number} more rows are left out",)))
            break
        lines.append(line)
    return "".join(lines).encode()


def _rows(comparison: Comparison) -> Iterator[Row]:
    added, removed = ("more", "fewer") if comparison.is_net else ("added", "removed")
    for kind, count in comparison.added.items():
        yield (added, *_kind(kind), str(count), "", "")
    for kind, count in comparison.removed.items():
        yield (removed, *_kind(kind), str(count), "", "")
    for change, count in comparison.changed.items():
        properties = "; ".join(sorted(one_line(name) for name in change.properties))
        geometry = MOVED if change.moved else ""
        yield (CHANGED, *_kind(change.kind), str(count), properties, geometry)
    for name in comparison.on_all:
        yield (CHANGED, "", "", "", str(comparison.pairs), one_line(name), "")
    if comparison.reshaped:
        yield (CHANGED, "", "", "", str(comparison.pairs), "", MOVED)


def _kind(kind: ElementKind) -> tuple[str, str, str]:
    return kind.category, kind.level, kind.name


def _line(row: Row) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerow([_cell(text) for text in row])
    return out.getvalue()


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula, on one line."""
    shown = one_line(text, otherwise="")[:MAX_CELL]
    return BEGINS_FORMULA.sub(r"\1\2'", shown)
