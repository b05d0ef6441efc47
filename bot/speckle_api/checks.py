"""A version's automations: the questions, and their answers read into values. No I/O.

`function { … }` of a run is never asked for: it costs the server a call to another service each.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from bot.speckle.checks import MAX_VIEW, MOST_NAMED, Check, CheckOutcome, Checks
from bot.speckle.wire import id_of, name_of, text_of
from bot.speckle_api.answers import child, items
from bot.speckle_api.optional_questions import OptionalQuestion

# With what is needed to know the version again, so that one question is enough.
VERSION_CHECKS: Final = OptionalQuestion(
    "Version.automationsStatus",
    """
query VersionChecks($project: String!, $version: String!) {
  project(id: $project) {
    version(id: $version) {
      createdAt
      message
      referencedObject
      parents
      sourceApplication
      authorUser { id name }
      model { id name }
      automationsStatus {
        automationRuns {
          automation { id name isTestAutomation }
          functionRuns { id status contextView }
        }
      }
    }
  }
}
""",
)
# Results hold the ids of all objects that they are about, which can be megabytes.
CHECK_RESULTS: Final = OptionalQuestion(
    "AutomateFunctionRun.results",
    """
query CheckResults($project: String!, $version: String!) {
  project(id: $project) {
    version(id: $version) {
      automationsStatus { automationRuns { functionRuns { id results } } }
    }
  }
}
""",
)
OUTCOMES: Final[Mapping[Any, CheckOutcome]] = {
    "SUCCEEDED": CheckOutcome.PASSED,
    "FAILED": CheckOutcome.FAILED,
    "EXCEPTION": CheckOutcome.NOT_RUN,
    "TIMEOUT": CheckOutcome.NOT_RUN,
    "CANCELED": CheckOutcome.NOT_RUN,
}
ERROR: Final = "ERROR"


def read_checks(data: Any) -> Checks:
    """What the answer says; none where no automation ran, or the server runs none."""
    found: dict[CheckOutcome, int] = defaultdict(int)
    named: dict[CheckOutcome, list[Check]] = {CheckOutcome.FAILED: [], CheckOutcome.NOT_RUN: []}
    for run in items(child(data, "project", "version", "automationsStatus", "automationRuns")):
        automation = child(run, "automation")
        if child(automation, "isTestAutomation") is True:
            continue
        automation_id, name = id_of(child(automation, "id")), name_of(child(automation, "name"))
        for one in items(run.get("functionRuns")):
            run_id, status = id_of(one.get("id")), text_of(one.get("status"))
            if run_id is None:
                continue
            outcome = OUTCOMES.get(status, CheckOutcome.RUNNING)
            found[outcome] += 1
            if outcome in named and len(named[outcome]) < MOST_NAMED:
                view = text_of(one.get("contextView"), MAX_VIEW)
                named[outcome].append(Check(run_id, automation_id, name, view))
    return Checks(
        passed=found[CheckOutcome.PASSED],
        failures=found[CheckOutcome.FAILED],
        breakdowns=found[CheckOutcome.NOT_RUN],
        running=found[CheckOutcome.RUNNING],
        failed=tuple(named[CheckOutcome.FAILED]),
        not_run=tuple(named[CheckOutcome.NOT_RUN]),
    )


def with_errors(checks: Checks, data: Any) -> Checks:
    """The checks with how many errors each one has that failed, as the answer says."""
    wanted = {one.run_id for one in checks.failed}
    errors: dict[str, int] = {}
    for run in items(child(data, "project", "version", "automationsStatus", "automationRuns")):
        for one in items(run.get("functionRuns")):
            run_id = id_of(one.get("id"))
            if run_id in wanted and run_id not in errors:
                errors[run_id] = sum(1 for _ in _errors(one.get("results")))
    failed = tuple(replace(one, errors=errors.get(one.run_id, 0)) for one in checks.failed)
    return replace(checks, failed=failed)


def _errors(results: Any) -> Iterator[Any]:
    """A function's results that are errors; those of format 3 may have one of the whole version."""
    values = child(results, "values")
    found = (*items(child(values, "objectResults")), *items([child(values, "versionResult")]))
    yield from (one for one in found if one.get("level") == ERROR)
