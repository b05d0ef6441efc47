"""What automations found out about a version, as the line of a card."""

import re
from collections.abc import Sequence
from typing import Final

from bot.cards.card_context import CardContext, name_text
from bot.cards.text import link
from bot.speckle.checks import Check, Checks
from bot.speckle.wire import ID

MAX_NAMED: Final = 3
# Where a function's results are shown; anything else that a function named is not followed.
VIEW: Final = re.compile(r"/projects/([A-Za-z0-9]+)/[A-Za-z0-9_@,$=&?#%:+~/-]+")


def checks_text(checks: Checks, context: CardContext) -> str:
    """The checks of a version in one paragraph of Discord markdown, escaped."""
    found = [
        (checks.passed, "passed", ""),
        (checks.failures, "failed", _names(checks.failures, checks.failed, context)),
        (checks.breakdowns, "could not run", _names(checks.breakdowns, checks.not_run, context)),
        (checks.running, "still running", ""),
    ]
    parts: list[str] = []
    for count, words, names in found:
        if count:
            noun = "" if parts else " check" if count == 1 else " checks"
            parts.append(f"{count:,}{noun} {words}{names}")
    if checks.passed and checks.failures:
        parts[:2] = [", ".join(parts[:2])]
    return " · ".join(parts)


def check_link(check: Check, context: CardContext) -> str:
    """A check by its name, leading to its results."""
    name, url = f"*{name_text(check.name, 'a check')}*", _url(check, context)
    return name if url is None else link(name, url)


def _names(count: int, named: Sequence[Check], context: CardContext) -> str:
    shown = [f"{check_link(one, context)}{_errors(one)}" for one in named[:MAX_NAMED]]
    left = count - len(shown)
    shown += [f"{left:,} more"] if left and shown else []
    return f": {', '.join(shown)}" if shown else ""


def _errors(check: Check) -> str:
    if not check.errors:
        return ""
    return f" ({check.errors:,} error)" if check.errors == 1 else f" ({check.errors:,} errors)"


def _url(check: Check, context: CardContext) -> str | None:
    """Its results in the model, else its automation's page: always on the project's own server."""
    view = VIEW.fullmatch(check.view or "")
    if view is not None and view[1] == context.project_id and ".." not in view[0]:
        return f"{context.server_url}{view[0]}"
    if check.automation_id is None or not ID.fullmatch(check.automation_id):
        return None
    return context.links.automation(context.project_id, check.automation_id)
