"""Automations that ran on a version: what a server says of them, as its answers have it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

ENDED: Final = ("SUCCEEDED", "FAILED", "EXCEPTION", "TIMEOUT", "CANCELED")
# The first of these that a function has is what its automation has, and a version's all have.
WORST: Final = (
    "EXCEPTION", "TIMEOUT", "CANCELED", "FAILED", "RUNNING", "INITIALIZING", "PENDING", "SUCCEEDED",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FunctionRun:
    """One function of an automation; `errors` of its results are errors.

    `results` and `context_view` are sent as they are, whatever they hold.
    """

    status: str = "SUCCEEDED"
    errors: int = 0
    context_view: str | None = None
    results: Mapping[str, Any] | None = None

    def answer(self, run_id: str, number: int, at: datetime) -> dict[str, Any]:
        """As an answer has it."""
        results = self.results
        if results is None and self.status in ("SUCCEEDED", "FAILED"):
            found = [
                {
                    "category": "Clash",
                    "level": "ERROR",
                    "objectIds": [f"{one:032x}"],
                    "message": "!",
                }
                for one in range(self.errors)
            ]
            results = {"version": 1, "values": {"objectResults": found, "blobIds": []}}
        return {
            "id": f"{run_id}f{number}",
            "status": self.status,
            "statusMessage": None,
            "contextView": self.context_view,
            "results": results,
            "elapsed": 1.0,
            "createdAt": at,
            "updatedAt": at,
        }


@dataclass(eq=False)
class AutomationRun:
    """A run of an automation, which goes on while its functions do."""

    id: str
    name: str
    functions: Sequence[FunctionRun]
    created_at: datetime
    updated_at: datetime
    is_test: bool = False
    automation_id: str = field(default="")

    def answer(self) -> dict[str, Any]:
        """As an answer has it."""
        automation = {
            "id": self.automation_id,
            "name": self.name,
            "enabled": True,
            "isTestAutomation": self.is_test,
            "createdAt": self.created_at,
            "updatedAt": self.created_at,
        }
        runs = [one.answer(self.id, n, self.updated_at) for n, one in enumerate(self.functions)]
        return {
            "id": self.id,
            "automationId": self.automation_id,
            "automation": automation,
            "status": worst(one["status"] for one in runs),
            "functionRuns": runs,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        }


def worst(statuses: Any) -> str:
    """What several runs come to."""
    there = set(statuses)
    return next((one for one in WORST if one in there), "PENDING")
