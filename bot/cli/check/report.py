"""The lines that the check says."""

from dataclasses import dataclass
from enum import StrEnum


class CheckMark(StrEnum):
    """What came out of one try."""

    GOOD = "✔"
    BAD = "✘"
    WARNED = "⚠"  # it works; a host should know
    SKIPPED = "–"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the check: what was tried, and what came out or what to do."""

    mark: CheckMark
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.mark} {self.what}: {self.text}"


def printable(text: str) -> str:
    """Another computer's word, harmless for a terminal."""
    return "".join(c if c.isprintable() else "�" for c in text)[:100]
