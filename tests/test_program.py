"""What the program is called in its messages, and which version it is."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bot
from bot import program

ROOT = Path(__file__).resolve().parents[1]
# run.py's own part, and what the pages in docs/ are written from: they are about the checkout.
OF_THE_CHECKOUT = {"launch.py", "program.py", "cli/docs_page.py", "settings/docs_page.py"}
OF_PAGES = {"settings/settings.py"}


def texts(path: Path) -> Iterator[str]:
    """The texts of a module that are no documentation."""
    tree = ast.parse(path.read_text("utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_messages_name_commands_by_how_the_program_was_installed() -> None:
    """They use PROGRAM, as an installed package has no run.py."""
    root = Path(bot.__file__).parent
    paths = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
    allowed = OF_THE_CHECKOUT | OF_PAGES
    found = [name for name, path in paths.items() if any("run.py " in t for t in texts(path))]
    assert [name for name in found if name not in allowed and name != "__main__.py"] == []


@pytest.mark.parametrize("start", [["run.py"], ["-m", "bot"]])
def test_the_version_is_said_with_its_commit(start: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *start, "--version"], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    commit = r" \(commit [0-9a-f]{7,}(, changed)?\)" if (ROOT / ".git").exists() else ""
    form = rf"{program.NAME} {re.escape(bot.__version__)}{commit}\n"
    assert re.fullmatch(form, done.stdout), (done.stdout, done.stderr)


def test_the_newest_section_of_the_changelog_is_the_version_or_what_comes_next() -> None:
    newest, *_ = re.findall(r"^## \[(.+?)\](.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    if newest[0] != "Unreleased":
        assert newest[0] == bot.__version__
        assert re.fullmatch(r" - \d{4}-\d\d-\d\d", newest[1])
    assert re.fullmatch(r"\d+\.\d+\.\d+", bot.__version__)
