"""What automations found out about a version: runs of functions, counted by how they ended."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MOST_NAMED: Final = 5  # of those that failed, and of those that could not run; all are counted


class CheckOutcome(Enum):
    """How one function's run ended; what is not known is on its way."""

    PASSED = auto()
    FAILED = auto()
    NOT_RUN = auto()
    RUNNING = auto()


@dataclass(frozen=True, slots=True)
class Check:
    """One function's run, by the name of its automation.

    `view` is the path of its results on the server, as the server says it; `errors` is how many
    of the results are errors.
    """

    run_id: str
    automation_id: str | None = None
    name: str | None = None
    view: str | None = None
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Checks:
    """All runs on a version; `failed` and `not_run` name the first of those that are counted."""

    passed: int = 0
    failures: int = 0
    breakdowns: int = 0
    running: int = 0
    failed: tuple[Check, ...] = ()
    not_run: tuple[Check, ...] = ()

    @property
    def total(self) -> int:
        """How many there are."""
        return self.passed + self.failures + self.breakdowns + self.running
