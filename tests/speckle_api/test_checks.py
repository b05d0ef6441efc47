"""What automations found out about a version, as a server says it, and as a card does."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.cards.card_context import CardContext
from bot.cards.checks import checks_text
from bot.speckle.checks import Check, Checks
from bot.speckle.events import Delivery, Project, UnknownEvent
from bot.speckle_api.checks import read_checks, with_errors

CONTEXT = CardContext(
    Delivery(UnknownEvent(), "commit_create", Project("a1b2c3d4e5")),
    "https://speckle.kestrel.example",
    datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
)


def answer(*runs: Any) -> Any:
    return {"project": {"version": {"automationsStatus": {"automationRuns": list(runs)}}}}


def run(*statuses: Any, name: Any = "Clash check", test: Any = False, **more: Any) -> Any:
    functions = [
        {"id": f"{name}{n}".replace(" ", ""), "status": status, **more}
        for n, status in enumerate(statuses)
    ]
    automation = {"id": "0123456789", "name": name, "isTestAutomation": test}
    return {"automation": automation, "functionRuns": functions}


def said(*runs: Any) -> str:
    return checks_text(read_checks(answer(*runs)), CONTEXT)


def test_runs_of_functions_are_counted_and_those_of_test_automations_are_not() -> None:
    assert said(run("SUCCEEDED")) == "1 check passed"
    assert said(run("SUCCEEDED", "SUCCEEDED"), run("FAILED", test=True)) == "2 checks passed"
    link = "https://speckle.kestrel.example/projects/a1b2c3d4e5/automations/0123456789"
    assert said(run("SUCCEEDED"), run("FAILED", name="Doors")) == (
        f"1 check passed, 1 failed: [*Doors*]({link})"
    )
    assert said(run("EXCEPTION", "TIMEOUT", "CANCELED")) == (
        f"3 checks could not run: {', '.join([f'[*Clash check*]({link})'] * 3)}"
    )
    assert said(run("SUCCEEDED", "RUNNING", "PENDING", "INITIALIZING")) == (
        "1 check passed · 3 still running"
    )


@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        {},
        {"project": None},
        answer(),
        answer(None, 1, "x", {}),
        answer({"automation": 1, "functionRuns": {"id": "a"}}),
        answer(run()),
        answer({"functionRuns": [{"id": "not an id!", "status": "FAILED"}]}),
        {"project": {"version": {"automationsStatus": None}}},
    ],
)
def test_what_is_none_says_nothing(found: Any) -> None:
    assert read_checks(found) == Checks()
    assert with_errors(Checks(), found) == Checks()


def test_a_server_that_lies_gets_a_plain_line_on_its_own_pages() -> None:
    assert said(run("SPLENDID", None, 7, ["FAILED"])) == "4 checks still running"
    many = said(*[run(*["FAILED"] * 1_000, name="a")] * 200)
    assert many.startswith("200,000 checks failed: [*a*](")
    assert many.endswith(", 199,997 more")
    for view in (
        "https://elsewhere.example/projects/a1b2c3d4e5/models/m",
        "//elsewhere.example/a",
        "/projects/ffffffffff/models/m",
        "/projects/a1b2c3d4e5/../../login",
        "/projects/a1b2c3d4e5/models/m) [x](https://elsewhere.example",
        "/projects/a1b2c3d4e5/models/m\n",
    ):
        shown = said(run("FAILED", contextView=view))
        assert shown.count("://") == 1
        assert "(https://speckle.kestrel.example/projects/a1b2c3d4e5/automations/" in shown
    view = "/projects/a1b2c3d4e5/models/0f0f0f0f0f@1a1a1a1a1a"
    assert f"({CONTEXT.server_url}{view})" in said(run("FAILED", contextView=view))
    shown = said(run("FAILED", name="**[a](https://b.c) @everyone*\n" * 100))
    assert "](https://b.c)" not in shown
    assert "@everyone" not in shown.replace("\\@everyone", "")
    assert len(shown) < 500
    assert said(run("FAILED", name=None, id=7)) == ""


def test_errors_are_counted_where_results_say_them() -> None:
    found = read_checks(answer(run("FAILED", "FAILED")))
    levels = [{"level": "ERROR"}, {"level": "WARNING"}, {"level": "ERROR"}, 5]

    def results(*values: Any) -> Any:
        runs = [
            {"id": f"Clashcheck{n}", "results": {"values": one}} for n, one in enumerate(values)
        ]
        return answer({"functionRuns": runs})

    of_version = {"objectResults": levels, "versionResult": {"level": "ERROR"}}
    told = with_errors(found, results({"objectResults": levels}, of_version))
    assert [one.errors for one in told.failed] == [2, 3]
    assert checks_text(told, CONTEXT).count("errors)") == 2
    one = replace(found, failures=1, failed=(Check("r", errors=1),))
    assert checks_text(one, CONTEXT) == "1 check failed: *a check* (1 error)"
    assert with_errors(found, results(7, None)) == found
