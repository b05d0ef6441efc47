"""How the code measures: its functions, comments, docstrings and names.

A function's lines are counted from its first decorator to its end, its docstring included; those
of migrations are left out, as these tell from top to bottom what they change. Comments and
docstrings are shares of the lines that are not empty. Ends with 1 if a function is not annotated,
if one is longer than it may be, or if two classes have the same name.

    python -m bench.style [FOLDER ...]
"""

import argparse
import ast
import io
import statistics
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("bot", "sandbox")
SHORT, LONG = 25, 60  # lines

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file, as text and as a tree."""

    place: str
    text: str
    tree: ast.Module

    @classmethod
    def read(cls, path: Path) -> "Source":
        """Read it."""
        text = path.read_text()
        return cls(str(path.relative_to(ROOT)), text, ast.parse(text))

    @property
    def lines(self) -> int:
        """How many lines are not empty."""
        return sum(1 for line in self.text.splitlines() if line.strip())

    @property
    def comments(self) -> int:
        """How many lines have a comment."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return sum(token.type == tokenize.COMMENT for token in tokens)

    @property
    def docstring_lines(self) -> int:
        """How many lines are docstrings'."""
        documented = ast.Module | ast.ClassDef | Function
        nodes = [node for node in ast.walk(self.tree) if isinstance(node, documented)]
        texts = [text for node in nodes if (text := ast.get_docstring(node)) is not None]
        return sum(len(text.splitlines()) for text in texts)

    def functions(self) -> Iterator[Function]:
        """All functions and methods."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node

    def classes(self) -> Iterator[ast.ClassDef]:
        """All classes."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef):
                yield node


def length(function: Function) -> int:
    """A function's lines."""
    first = min([function.lineno, *(one.lineno for one in function.decorator_list)])
    return (function.end_lineno or first) - first + 1


def is_annotated(function: Function) -> bool:
    """Whether all of its parameters but `self` and `cls`, and what it returns, have a type."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    typed = all(one.annotation or one.arg in ("self", "cls") for one in every)
    return typed and function.returns is not None


def share(part: int, whole: int) -> str:
    """A share in per cent."""
    return f"{100 * part / whole:.1f} %"


def table(sources: Sequence[Source]) -> Iterator[str]:
    """The figures."""
    functions = [one for source in sources for one in source.functions()]
    counted = [source for source in sources if "migrations" not in source.place]
    lengths = sorted(length(one) for source in counted for one in source.functions())
    lines = sum(source.lines for source in sources)
    rows = {
        "files": len(sources),
        "lines that are not empty": lines,
        "functions": len(functions),
        "functions annotated": share(sum(map(is_annotated, functions)), len(functions)),
        "median lines of a function": f"{statistics.median(lengths):g}",
        "95 % of functions have up to": f"{lengths[int(0.95 * len(lengths))]} lines",
        f"functions of up to {SHORT} lines": share(
            sum(one <= SHORT for one in lengths), len(lengths)
        ),
        "lines with a comment": share(sum(source.comments for source in sources), lines),
        "lines of docstrings": share(sum(source.docstring_lines for source in sources), lines),
    }
    for name, value in rows.items():
        yield f"{name:<32}{value}"


def problems(sources: Sequence[Source]) -> Iterator[str]:
    """What is not as it has to be."""
    named: defaultdict[str, list[str]] = defaultdict(list)
    for source in sources:
        for function in source.functions():
            where = f"{source.place}:{function.lineno} {function.name}"
            if not is_annotated(function):
                yield f"{where} is not annotated"
            if length(function) > LONG and "migrations" not in source.place:
                yield f"{where} has {length(function)} lines"
        for one in source.classes():
            named[one.name].append(f"{source.place}:{one.lineno}")
    for name, places in sorted(named.items()):
        if len(places) > 1:
            yield f"{len(places)} classes are called {name}: {', '.join(places)}"


def sources_in(folders: Sequence[str]) -> Sequence[Source]:
    """The files below those folders of the repository."""
    paths = [path for name in folders for path in (ROOT / name).rglob("*.py")]
    return [Source.read(path) for path in sorted(paths)]


def main() -> int:
    """Print the table and what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", default=FOLDERS)
    sources = sources_in(parser.parse_args().folders)
    wrong = list(problems(sources))
    for line in (*table(sources), *wrong):
        sys.stdout.write(f"{line}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
