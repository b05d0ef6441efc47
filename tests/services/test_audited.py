"""What a service changes for a person is written into the audit log as theirs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SERVICES = Path(__file__).parents[2] / "bot/services"
AUDITED = re.compile(
    r"tx\.(subscriptions\.(upsert|set_state|answered|delete)"
    r"|hooks\.(convert|record_webhook|record_repair|detach_account|new_secret|reset_webhook|delete)"
    r"|guilds\.(join|leave|set_\w+)|accounts\.(link|confirm)|held_events\.hold_back"
    r"|audit_channels\.\w*set\w*)\("
)
BY_THE_BOT = {
    "guilds.joined": "Discord says so",
    "guilds.left": "Discord says so",
    "project_followers.right_kind": "the operator serves the server no longer",
    "subscribing._pause": "what a change goes beyond is asked again",
}


def methods() -> Iterator[tuple[str, str]]:
    for file in sorted(SERVICES.glob("*.py")):
        text = file.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.AsyncFunctionDef):
                yield f"{file.stem}.{node.name}", ast.get_source_segment(text, node) or ""


def test_each_service_says_who_wants_what_it_changes() -> None:
    changing = {name: source for name, source in methods() if AUDITED.search(source)}
    assert len(changing) > 15
    assert {name for name, source in changing.items() if "by=" not in source} == set(BY_THE_BOT)
