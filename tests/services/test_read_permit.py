"""Nothing is read from a project without the one rule's leave."""

import ast
from pathlib import Path

BOT = Path(__file__).parents[2] / "bot"


def test_a_permit_to_read_is_made_by_the_one_rule_alone() -> None:
    made_in = {
        path.relative_to(BOT).as_posix()
        for path in BOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "ReadPermit"
    }
    assert made_in == {"services/access_rules.py"}
