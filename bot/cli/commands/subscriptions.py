"""`subscriptions export | import`."""

import asyncio
from pathlib import Path

import click

from bot.cli.terminal import exit_code

A_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def subscriptions() -> None:
    """Write subscriptions into a file, and make those of such a file."""


@subscriptions.command("export")
@click.argument("file", type=A_FILE)
@click.pass_context
def export(context: click.Context, file: Path) -> None:
    """Write all subscriptions into a file (TOML), with names beside the ids.

    No secrets, accounts or agreements are in it.
    """
    settings = context.obj.load()

    from bot.cli.subscriptions import export_subscriptions

    asyncio.run(export_subscriptions(settings, file))


@subscriptions.command("import")
@click.argument("file", type=A_FILE)
@click.option("--dry-run", is_flag=True, help="Only say what would become of each.")
@click.pass_context
def import_(context: click.Context, file: Path, dry_run: bool) -> None:
    """Make the subscriptions of such a file. The bot can keep running.

    A file says nothing of who agreed to what. So each one is paused, and shows nothing, until
    somebody who may answer for its channel presses Resume. What is there already stays as it is.
    """
    settings = context.obj.load("encryption_keys")

    from bot.cli.subscriptions import import_subscriptions

    done = asyncio.run(import_subscriptions(settings, file, dry_run=dry_run))
    context.exit(exit_code(done))
