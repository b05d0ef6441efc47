"""`support`."""

import asyncio
from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_context
def support(context: click.Context, file: Path) -> None:
    """Write a bundle (zip) for a report of a bug, with nothing secret in it.

    Versions, which settings are set, what `check` found, counts, and the last failures as words. No
    secrets, addresses, names, texts or ids. It is sent nowhere: look at it before you attach it.
    """
    settings = context.obj.load()

    from bot.cli.support import write_bundle

    asyncio.run(write_bundle(settings, file))
