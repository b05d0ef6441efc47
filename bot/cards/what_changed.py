"""What differs between two versions, as the line of a card."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, assert_never

from bot.cards.card_context import CardContext, name_text
from bot.cards.text import joined, link
from bot.speckle.comparison import (
    CATEGORY,
    COMPARED_IN_S,
    CategoryChanges,
    Comparison,
    Conclusion,
    WhyNotCompared,
)
from bot.speckle.facts import PreviousVersion

MAX_CATEGORIES: Final = 3
MAX_PROPERTIES: Final = 3
MINUS: Final = "−"
NO_CATEGORY: Final = "Other"
MOVED: Final = "moved"
NO_GEOMETRY: Final = "geometry is not compared"

WHY_NOT: Final[Mapping[str, str]] = {
    WhyNotCompared.FIRST: "it is the model's first version, or the one before is not known",
    WhyNotCompared.MIXED: (
        "one of the two versions was sent by a connector of Speckle 4 and the other one by an "
        "older one, so that their elements have no ids in common"
    ),
    WhyNotCompared.NO_WAY: (
        "this Speckle server does not give out what is compared; it needs release 2.26.2 or later"
    ),
    WhyNotCompared.NO_READER: (
        "the versions were sent by a connector of Speckle 4, and the bot reads such versions only "
        "with its extra `bundles`, which the person who runs the bot can add"
    ),
    WhyNotCompared.NO_ELEMENTS: "neither version has elements that could be compared",
    WhyNotCompared.INCOMPLETE: "objects that the versions consist of are missing at the server",
    WhyNotCompared.TOO_LARGE: "the versions are too large, even to be counted",
    WhyNotCompared.TOO_SLOW: f"it took longer than {COMPARED_IN_S:g} s",
    WhyNotCompared.UNREADABLE: "what the server gave out cannot be read",
}


def changes_text(
    comparison: Comparison, context: CardContext, since: PreviousVersion | None = None
) -> str:
    """A comparison in one paragraph of Discord markdown, escaped.

    `since` is the version that it is with, where that is not the one before.
    """
    text = summary(comparison)
    if since is None:
        return text
    url = context.version_url(context.version_facts.model, since.id)
    return f"Since {link(name_text(since.id), url)}: {text}"


def summary(comparison: Comparison) -> str:
    """A comparison with the version before."""
    numbers = _numbers(comparison)
    match comparison.conclusion:
        case Conclusion.IDENTICAL:
            return "Identical to the version before"
        case Conclusion.UNCHANGED:
            if comparison.geometry:
                return "Re-exported; no element changed"
            return f"Re-exported; no element changed ({NO_GEOMETRY})"
        case Conclusion.NEW_IDS:
            return _after(f"The same {_elements(comparison.pairs)}, sent with new ids", numbers)
        case Conclusion.UNMATCHED:
            before, after = _sizes(comparison)
            lead = f"Elements cannot be matched: {before} before, {after} now"
            return " · ".join((lead, *_net(comparison)))
        case Conclusion.TOO_LARGE:
            before, after = _sizes(comparison)
            lead = f"{before} → {after} elements, too many differences to list"
            return " · ".join((lead, *_net(comparison)))
        case Conclusion.DIFFERENT:
            return _different(comparison, numbers)
        case _:
            assert_never(comparison.conclusion)


def counts_text(row: CategoryChanges) -> str:
    """The numbers of a category: those that are not 0."""
    return " ".join(_counts(row.added, row.removed, row.changed))


def category_text(name: str) -> str:
    """A category's name, escaped."""
    return name_text(name, NO_CATEGORY)


def property_text(name: str) -> str:
    """A property's name, escaped."""
    return name if name == CATEGORY else f"*{name_text(name)}*"


def _different(comparison: Comparison, numbers: str) -> str:
    all_of_them = _elements(comparison.pairs)
    common = [
        *([_on_all(comparison.on_all, all_of_them)] if comparison.on_all else ()),
        *([f"The geometry of all {all_of_them} differs (a different mesh setting?)"]
          if comparison.reshaped else ()),
    ]  # fmt: skip
    checked = comparison.checked
    part = "" if checked.all else f"{checked.done:,} of {checked.of:,} checked"
    if not numbers and part and not common:
        return f"No element changed so far: {part}"
    lead = ". ".join(common)
    return " · ".join(one for one in (_after(lead, numbers) if lead else numbers, part) if one)


def _on_all(names: Sequence[str], elements: str) -> str:
    shown = [property_text(one) for one in names[:MAX_PROPERTIES]]
    left = len(names) - len(shown)
    shown += [f"{left:,} more"] if left else []
    return f"All {elements}: {joined(shown)} changed"


def _after(lead: str, numbers: str) -> str:
    return f"{lead}. Besides: {numbers}" if numbers else lead


def _numbers(comparison: Comparison) -> str:
    total = _counts(comparison.total_added, comparison.total_removed, comparison.total_changed)
    if not total:
        return ""
    rows = comparison.categories
    parts = [f"**{' '.join(total)}**"]
    parts += [f"{category_text(row.name)} {counts_text(row)}" for row in rows[:MAX_CATEGORIES]]
    left = len(rows) - MAX_CATEGORIES
    parts += [f"{left:,} more"] if left > 0 else []
    changed = _changed(comparison)
    return f"{' · '.join(parts)}. Changed: {changed}" if changed else " · ".join(parts)


def _changed(comparison: Comparison) -> str:
    """What is not as it was, with the number of elements, the most first."""
    found = [(count, property_text(name)) for name, count in comparison.properties]
    found += [(comparison.moved, MOVED)] if comparison.moved else []
    found.sort(key=lambda one: -one[0])
    shown = [f"{text} ({count:,})" for count, text in found[:MAX_PROPERTIES]]
    left = len(found) - len(shown)
    return " · ".join([*shown, *([f"{left:,} more"] if left else [])])


def _net(comparison: Comparison) -> Iterator[str]:
    rows = comparison.categories
    for row in rows[:MAX_CATEGORIES]:
        yield f"{category_text(row.name)} {counts_text(row)}"
    if len(rows) > MAX_CATEGORIES:
        yield f"{len(rows) - MAX_CATEGORIES:,} more"


def _counts(added: int, removed: int, changed: int) -> list[str]:
    signs = (("+", added), (MINUS, removed), ("~", changed))
    return [f"{sign}{count:,}" for sign, count in signs if count]


def _sizes(comparison: Comparison) -> tuple[str, str]:
    return f"{comparison.before or 0:,}", f"{comparison.after or 0:,}"


def _elements(count: int) -> str:
    return f"{count:,} element" if count == 1 else f"{count:,} elements"
