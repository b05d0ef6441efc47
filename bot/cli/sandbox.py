"""`python -m bot demo`, `pictures`, `soak` and `bench`: a checkout has what they do."""

import secrets
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click

from bot.cli.terminal import FAILED, until_stopped


def demo(port: int | None, *, terminal: bool, browser: bool) -> int:
    """Run the demo until it is stopped; returns the exit code."""
    play = _of_the_checkout("sandbox.demo").run_demo(port, terminal=terminal, browser=browser)
    code: int | None = until_stopped(play)
    return code or 0


def soak(
    kills: int, seed: int | None, rate: float, database_url: str | None, folder: Path | None
) -> int:
    """Run the soak and print its report; returns the exit code."""
    soaking = _of_the_checkout("sandbox.soak")
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    plan = soaking.SoakPlan(kills, seed, rate, database_url, folder)
    report = until_stopped(soaking.soak(plan, click.echo))
    if report is None:
        return FAILED
    click.echo(str(report))
    return FAILED if report.broken else 0


def pictures() -> int:
    """Take the pictures of the README and of the docs; returns the exit code."""
    taking = _of_the_checkout("sandbox.demo.pictures")
    try:
        until_stopped(taking.take_pictures())
    except taking.NoBrowser as problem:
        raise click.ClickException(str(problem)) from problem
    return 0


def bench(names: Sequence[str], rounds: int, *, long: bool) -> int:
    """Run benches and write what they found; returns the exit code."""
    running = _of_the_checkout("bench.run")
    if unknown := sorted(set(names) - set(running.NAMES)):
        there = ", ".join(sorted(running.NAMES))
        raise click.UsageError(f"There is no bench {unknown[0]!r}. There are: {there}.")
    code: int = running.run(names, rounds, long=long)
    return code


def _of_the_checkout(name: str) -> ModuleType:
    """A module which a checkout has and an installed bot has not.

    Errors: click.ClickException.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        raise click.ClickException(
            "This command needs a checkout of the bot's repository: run it there."
        ) from error
