"""`audit list`."""

import asyncio
from datetime import datetime

import click

from bot.cli.parameters import SINCE_FORMS, STORED_ID, Since
from bot.cli.terminal import exit_code


@click.group()
def audit() -> None:
    """List who changed what."""


@audit.command("list")
@click.option("--guild", type=STORED_ID, help="Only in the Discord server with this id.")
@click.option("--channel", type=STORED_ID, help="Only what concerns the channel with this id.")
@click.option("--person", type=STORED_ID, help="Only by the person with this Discord id.")
@click.option("--since", type=Since(), help=f"Only since then: {SINCE_FORMS}.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=50,
    show_default=True,
    help="At most so many, the newest.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def list_changes(
    context: click.Context,
    guild: int | None,
    channel: int | None,
    person: int | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the newest changes: subscriptions, filters, webhooks, settings, and by whom."""
    settings = context.obj.load()

    from bot.audit import AuditFilter
    from bot.cli.audit import list_all

    wanted = AuditFilter(guild, person, channel, since)
    found = asyncio.run(list_all(settings, wanted, limit, as_json=as_json))
    context.exit(exit_code(found))
