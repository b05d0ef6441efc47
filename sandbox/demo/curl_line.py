"""A delivery that one sends oneself, with the line to type; each shows one card."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from bot.speckle.signature import sign
from sandbox.demo.days import MAREN
from sandbox.demo.stage import Stage
from sandbox.speckle import Webhook, commit_create_data

EVENT: Final = "commit_create"
MODEL: Final = "structure/level 1"


@dataclass(frozen=True, slots=True)
class CurlLine:
    """What to type, in lines that a shell joins; `version_id` is what the delivery is about."""

    version_id: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return " \\\n    ".join(self.lines)


class CurlLines:
    """Makes one delivery after another for the first server's main project."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._numbers = count(1)

    def new(self) -> CurlLine | None:
        """A version that nobody has been notified of; None while the project has no webhook."""
        main = self._stage.servers[0].main
        hook = next((one for one in main.project.webhooks if EVENT in one.triggers), None)
        model = next((one for one in main.project.models if one.name == MODEL), None)
        if hook is None or model is None:
            return None
        number = next(self._numbers)
        version = main.server.add_version(
            main.project,
            model,
            author=main.people[MAREN],
            message=f"Sent with curl, no. {number}",
            application="Revit2025",
            object_count=1_494,
        )
        main.server.render(version)
        payload = main.server.webhook_service.payload(
            hook, main.project, EVENT, commit_create_data(version), main.people[MAREN], None
        )
        # The bot would find it by its line in the project's list of what happened, some time,
        # without this delivery.
        main.project.activity.pop()
        return CurlLine(version.id, self._typed(hook, payload, number))

    def _typed(self, hook: Webhook, payload: Mapping[str, Any], number: int) -> tuple[str, ...]:
        text = json.dumps({"payload": payload}, separators=(",", ":"), ensure_ascii=False)
        sample = self._stage.folder / f"delivery-{number}.json"
        sample.write_bytes(text.encode())
        return (
            "curl -H 'Content-Type: application/json'",
            f"-H 'X-WEBHOOK-SIGNATURE: {sign(text.encode(), hook.secret or '')}'",
            f"--data-binary @{shlex.quote(str(sample))}",
            hook.url,
        )
