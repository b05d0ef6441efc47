"""`demo`, `pictures`, `soak`, `bench`: what needs the whole checkout."""

from pathlib import Path

import click

from bot.program import IS_CHECKOUT


@click.command(hidden=not IS_CHECKOUT)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The page's port, with --terminal that of deliveries. Default: 8004 or a free one.",
)
@click.option("--no-browser", is_flag=True, help="Do not open the page, only print its address.")
@click.option(
    "--terminal", is_flag=True, help="No page: print what happens here, and take commands."
)
@click.pass_context
def demo(context: click.Context, port: int | None, no_browser: bool, terminal: bool) -> None:
    """Try the bot out on this computer, without any account.

    Opens a page with a small Discord, two small Speckle servers, and the bot between them.
    """
    from bot.cli import sandbox

    context.exit(sandbox.demo(port, terminal=terminal, browser=not no_browser))


@click.command(hidden=not IS_CHECKOUT)
@click.pass_context
def pictures(context: click.Context) -> None:
    """Take the pictures of the README and of docs/ again, for authors.

    They show the page that `demo` opens. Needs Chromium on this computer.
    """
    from bot.cli import sandbox

    context.exit(sandbox.pictures())


@click.command(hidden=not IS_CHECKOUT)
@click.option(
    "--kills",
    type=click.IntRange(min=0),
    default=300,
    show_default=True,
    help="How often the bot is killed.",
)
@click.option("--seed", type=int, help="Seed of a run to repeat. Default: a new one.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    help="Deliveries a second.",
)
@click.option("--database-url", help="An empty database. Default: a new SQLite file.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep log and database here.")
@click.pass_context
def soak(
    context: click.Context,
    kills: int,
    seed: int | None,
    rate: float,
    database_url: str | None,
    folder: Path | None,
) -> None:
    """Test that no event is lost or shown twice.

    Kills the bot again and again while things fail, and compares what was sent with what is shown.
    """
    from bot.cli import sandbox

    context.exit(sandbox.soak(kills, seed, rate, database_url, folder))


@click.command(hidden=not IS_CHECKOUT)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How often each side of a comparison runs.",
)
@click.option("--long", is_flag=True, help="Also what takes an hour, such as a million events.")
@click.pass_context
def bench(context: click.Context, names: tuple[str, ...], rounds: int, long: bool) -> None:
    """Measure the bot beside what limits it, and write bench/RESULTS.md.

    Without a name: all that has a figure to reach. Ends with 1 if one is not reached.
    """
    from bot.cli import sandbox

    context.exit(sandbox.bench(names, rounds, long=long))
