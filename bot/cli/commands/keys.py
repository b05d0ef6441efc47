"""`keys rotate`."""

import asyncio

import click

from bot.cli.terminal import exit_code


@click.group()
def keys() -> None:
    """Change the keys that encrypt the secrets in the database."""


@keys.command("rotate")
@click.pass_context
def rotate_keys(context: click.Context) -> None:
    """Encrypt all secrets again with the first of ENCRYPTION_KEYS. The bot can keep running.

    Before: put a new key in front of the old ones and restart the bot. After: take the old ones
    out.
    """
    settings = context.obj.load()

    from bot.cli.keys import rotate

    context.exit(exit_code(asyncio.run(rotate(settings, context.obj.env))))
