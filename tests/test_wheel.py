"""The wheel: what somebody installs who has no checkout."""

import ast
import re
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from flit_core import buildapi

import bot
from bot import program

ROOT = Path(__file__).resolve().parents[1]


def test_a_wheel_holds_every_file_of_the_bot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)  # where a build backend looks for pyproject.toml
    with zipfile.ZipFile(tmp_path / buildapi.build_wheel(str(tmp_path))) as wheel:
        packed = {name for name in wheel.namelist() if name.startswith("bot/")}
        about = [name for name in wheel.namelist() if ".dist-info/" in name]
        told = {name.partition("/")[2]: wheel.read(name).decode() for name in about}
    files = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("bot/**/*") if path.is_file()}
    assert packed == {name for name in files if not name.endswith(".pyc")}
    assert "bot/link_pages/templates/base.html" in packed
    assert f"{program.NAME}=bot.__main__:main" in told["entry_points.txt"]
    assert f"\nVersion: {bot.__version__}\n" in told["METADATA"]


def imported(path: Path) -> Iterator[str]:
    """The packages that a file imports, at its top or in the middle."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_what_any_command_imports_is_installed_with_the_bot() -> None:
    """DuckDB is not: it is an extra, and the bot runs without it."""
    pins = (ROOT / "requirements.txt").read_text("utf-8")
    names = re.findall(r"^([\w.-]+)==", pins, re.MULTILINE)
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    comes_with = packages_distributions()
    checkout = {"bot", "sandbox", "bench", "duckdb"}  # commands of a checkout say so without one
    for path in sorted((ROOT / "bot").rglob("*.py")):
        for name in set(imported(path)) - checkout - sys.stdlib_module_names:
            given = {re.sub(r"[-_.]+", "-", one).lower() for one in comes_with[name]}
            assert given & pinned, f"{path.relative_to(ROOT)} imports {name}"
