"""What automations found out about a version: runs of functions, counted by how they ended."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum, auto
from typing import Any, Final

from bot.speckle.wire import JsonObject, id_of, name_of, object_of, text_of

MOST_NAMED: Final = 5  # of those that failed, and of those that could not run; all are counted


class CheckOutcome(Enum):
    """How one function's run ended; what is not known is on its way."""

    PASSED = auto()
    FAILED = auto()
    NOT_RUN = auto()
    RUNNING = auto()


MAX_VIEW: Final = 1_000  # characters
MOST_COUNTED: Final = 1_000_000_000


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
    def has_failed(self) -> bool:
        """Whether one found errors, or could not run."""
        return bool(self.failures or self.breakdowns)

    @property
    def total(self) -> int:
        """How many there are."""
        return self.passed + self.failures + self.breakdowns + self.running


NO_CHECKS: Final = Checks()


def checks_to_json(checks: Checks) -> dict[str, Any]:
    """As the body of an event keeps them."""
    return asdict(checks)


def checks_from_json(data: JsonObject) -> Checks:
    """Back from there; what has another shape is none."""
    return Checks(
        passed=_count(data.get("passed")),
        failures=_count(data.get("failures")),
        breakdowns=_count(data.get("breakdowns")),
        running=_count(data.get("running")),
        failed=_checks(data.get("failed")),
        not_run=_checks(data.get("not_run")),
    )


def _checks(value: Any) -> tuple[Check, ...]:
    listed: Sequence[Any] = value if isinstance(value, list) else ()
    found = [_check(object_of(one)) for one in listed[:MOST_NAMED]]
    return tuple(one for one in found if one is not None)


def _check(data: JsonObject) -> Check | None:
    run_id = id_of(data.get("run_id"))
    if run_id is None:
        return None
    return Check(
        run_id,
        id_of(data.get("automation_id")),
        name_of(data.get("name")),
        text_of(data.get("view"), MAX_VIEW),
        _count(data.get("errors")),
    )


def _count(value: Any) -> int:
    return min(value, MOST_COUNTED) if type(value) is int and value > 0 else 0
