"""`python -m bot demo`, `pictures` and `soak`: they are in the sandbox, which a checkout has."""

import secrets
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click

from bot.cli.terminal import FAILED, until_stopped


def demo(port: int | None, *, terminal: bool, browser: bool) -> int:
    """Run the demo until it is stopped; returns the exit code."""
    play = _of_the_sandbox("demo").run_demo(port, terminal=terminal, browser=browser)
    code: int | None = until_stopped(play)
    return code or 0


def soak(
    kills: int, seed: int | None, rate: float, database_url: str | None, folder: Path | None
) -> int:
    """Run the soak and print its report; returns the exit code."""
    soaking = _of_the_sandbox("soak")
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    plan = soaking.SoakPlan(kills, seed, rate, database_url, folder)
    report = until_stopped(soaking.soak(plan, click.echo))
    if report is None:
        return FAILED
    click.echo(str(report))
    return FAILED if report.broken else 0


def pictures() -> int:
    """Take the pictures of the README and of the docs; returns the exit code."""
    taking = _of_the_sandbox("demo.pictures")
    try:
        until_stopped(taking.take_pictures())
    except taking.NoBrowser as problem:
        raise click.ClickException(str(problem)) from problem
    return 0


def _of_the_sandbox(name: str) -> ModuleType:
    """A part of the sandbox, which a checkout has and an installed bot has not.

    Errors: click.ClickException.
    """
    try:
        return import_module(f"sandbox.{name}")
    except ModuleNotFoundError as error:
        if error.name != "sandbox":
            raise
        raise click.ClickException(
            "This command needs a checkout of the bot's repository: run it there."
        ) from error
