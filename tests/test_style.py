"""The code keeps to the figures of bench/style.py, and to rooms without sentences."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import bot
from bench.style import FOLDERS, problems, sources_in
from bot import errors

ROOMS = ("services", "pipeline", "db")
# Of a log line: what the person who reads it can do.
LOGGED = {"hint", "what_it_means"}
SQL = re.compile(r"(SELECT|INSERT|SET|PRAGMA) ")
# Names, and reasons and hints of errors that are raised elsewhere than where they are written.
ALLOWED = {
    "db/connections.py",  # a setting
    "db/day_use.py",  # the name of a lock
    "db/failures.py",  # the reasons of StorageUnavailable
    "db/hook_lookup.py",  # the name of a thread
    "db/pooler.py",  # a setting
    "db/sealed_values.py",  # the names of what is sealed
    "db/sqlite_file.py",  # the reasons of StorageUnavailable
    "db/table_copy.py",  # a statement
    "services/event_reference.py",  # patterns of what people type
    "services/public_url.py",  # how a probe ended, as reasons of errors do
}


def test_functions_are_annotated_and_short_and_no_two_classes_have_one_name() -> None:
    assert list(problems(sources_in(FOLDERS))) == []


def test_services_and_pipeline_and_database_hold_no_sentence() -> None:
    root = Path(bot.__file__).parent
    paths = [path for room in ROOMS for path in sorted((root / room).rglob("*.py"))]
    found = {path.relative_to(root).as_posix(): list(sentences(path)) for path in paths}
    found = {name: lines for name, lines in found.items() if lines and "migrations" not in name}
    assert {name: lines for name, lines in found.items() if name not in ALLOWED} == {}
    assert found.keys() == ALLOWED, "allowed for nothing"


def sentences(path: Path) -> Iterator[str]:
    """Texts of three words or more that are no documentation, no SQL and no error's reason."""
    return texts_in(ast.parse(path.read_text()))


def texts_in(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Expr(ast.Constant()) | ast.Raise() | ast.Assert():
            return
        case ast.keyword(arg) if arg in LOGGED:
            return
        case ast.Call(ast.Name(name)) if isinstance(getattr(errors, name, None), type):
            return
        case ast.Constant(str(text)):
            yield from of_three_words(text)
        case ast.JoinedStr(parts):
            literal = [one.value if isinstance(one, ast.Constant) else "{}" for one in parts]
            yield from of_three_words("".join(map(str, literal)))
        case _:
            for child in ast.iter_child_nodes(node):
                yield from texts_in(child)


def of_three_words(text: str) -> Iterator[str]:
    if len(re.findall(r"[A-Za-z]{2,}", text)) >= 3 and " " in text and not SQL.match(text):
        yield text
