"""A delivery that one sends oneself, with the line to type; each shows one card."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot.speckle.signature import sign
from sandbox.demo.days import MAREN
from sandbox.demo.stage import Stage
from sandbox.speckle import Webhook, commit_create_data

EVENT: Final = "commit_create"
MODEL: Final = "structure/level 1"
MESSAGE: Final = "Sent with curl, no. "


@dataclass(frozen=True, slots=True)
class HandDelivery:
    """A delivery that nobody has sent yet, and the file that holds its body."""

    url: str
    headers: Mapping[str, str]
    sample: Path
    body: bytes

    @property
    def curl_line(self) -> str:
        """What to type in a shell."""
        headers = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in self.headers.items()]
        data = f"--data-binary @{shlex.quote(str(self.sample))}"
        return " \\\n    ".join([f"curl {headers[0]}", *headers[1:], data, self.url])


def new_delivery(stage: Stage) -> HandDelivery | None:
    """One of a version that nobody was notified of; None while the project has no webhook."""
    main = stage.servers[0].main
    hook = next((one for one in main.project.webhooks if EVENT in one.triggers), None)
    model = next((one for one in main.project.models if one.name == MODEL), None)
    if hook is None or model is None:
        return None
    messages = [one.message or "" for one in main.project.versions]
    number = 1 + sum(one.startswith(MESSAGE) for one in messages)
    version = main.server.add_version(
        main.project,
        model,
        author=main.people[MAREN],
        message=f"{MESSAGE}{number}",
        application="Revit2025",
        object_count=1_494,
    )
    main.server.render(version)
    payload = main.server.webhook_service.payload(
        hook, main.project, EVENT, commit_create_data(version), main.people[MAREN], None
    )
    # The bot would find it by its line in the project's list of what happened, some time, without
    # this delivery.
    main.project.activity.pop()
    sample = stage.folder / f"delivery-{number}.json"
    text = json.dumps({"payload": payload}, separators=(",", ":"), ensure_ascii=False)
    return _signed(hook, text.encode(), sample)


def _signed(hook: Webhook, body: bytes, sample: Path) -> HandDelivery:
    sample.write_bytes(body)
    headers = {
        "Content-Type": "application/json",
        "X-WEBHOOK-SIGNATURE": sign(body, hook.secret or ""),
    }
    return HandDelivery(hook.url, headers, sample, body)
