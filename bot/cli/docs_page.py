"""docs/command-line.md, made from the commands themselves."""

import inspect
from collections.abc import Iterator, Mapping

import click

INTRODUCTION = """\
# Command line

What the person who hosts the bot types. Each command is `python3 run.py` with a name behind it,
typed where the bot's files are; `python3 run.py` alone lists them, and `--help` behind a command
prints what this page says of it (behind `test`, what pytest takes). The first use of a command that
needs more packages than are there installs them into `.venv`; `--help` never does. Where the bot is
an installed package or a container, it is `speckle-discord-bot` instead, with the same commands,
except for those that need the whole checkout. How to type it there:
[Commands, in each way](hosting.md#commands-in-each-way).

Every command reads `.env` and `config.toml`, those beside `run.py`, or those of the current folder
in an installed package, as [Configuration](configuration.md) says. It ends with 0 if it did what it
was asked for, with 1 if it did not or found nothing, and with 2 if the command line or the settings
cannot be used. What was wrong is said in a sentence, on standard error where the command could not
begin.
`--json` prints for programs: one JSON document on standard output, and nothing else there.

This page is made from the commands, and a test compares it with them.
"""
OF_THE_BOT_ALONE = """
## Before a command

With `python -m bot` and `speckle-discord-bot`, these come before the command's name:
"""


def command_line_page(cli: click.Group, further: Mapping[str, str]) -> str:
    """The page; `further` are run.py's own commands, with what each does."""
    parts = [INTRODUCTION]
    for name, command in cli.commands.items():
        if not command.hidden:
            parts += _sections(command, name, level=2)
    for name, what in further.items():
        if name not in cli.commands:
            sentence = what[0].upper() + what[1:]
            parts.append(f"\n## {name}\n\n    python3 run.py {name}\n\n{sentence}.\n")
    parts += [OF_THE_BOT_ALONE, _options(cli)]
    return "".join(parts)


def _sections(command: click.Command, name: str, level: int) -> Iterator[str]:
    """A command, and those below it."""
    help_text = inspect.cleandoc(command.help or "")
    yield f"\n{'#' * level} {name}\n"
    if isinstance(command, click.Group):
        yield f"\n{help_text}\n"
        for below, inner in command.commands.items():
            yield from _sections(inner, f"{name} {below}", level + 1)
        return
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    words = [name, *(one.make_metavar(_context()) for one in arguments)]
    yield f"\n    python3 run.py {' '.join(words)}\n\n{help_text}\n"
    yield _options(command)


def _options(command: click.Command) -> str:
    rows = [_row(one) for one in command.params if isinstance(one, click.Option)]
    return (
        "\n" + "\n".join(["| option | what it does |", "|---|---|", *rows]) + "\n" if rows else ""
    )


def _row(option: click.Option) -> str:
    value = "" if option.is_flag else f" {_value(option)}"
    names = ", ".join(f"`{name}{value}`" for name in option.opts).replace("|", "\\|")
    text = option.help or ""
    if option.show_default:
        text = f"{text} Default: {option.default}.".strip()
    return f"| {names} | {text} |"


def _value(option: click.Option) -> str:
    is_number = isinstance(option.type, click.types.IntParamType | click.types.FloatParamType)
    return "NUMBER" if is_number else option.make_metavar(_context())


def _context() -> click.Context:
    return click.Context(click.Command("bot"))
