"""`events list | show`."""

import asyncio
from datetime import datetime

import click

from bot.cli.parameters import SINCE_FORMS, STORED_ID, Since
from bot.cli.terminal import exit_code


@click.group("events")
def event_log() -> None:
    """List what Speckle sent, and what became of it in each channel."""


@event_log.command("list")
@click.option("--guild", type=STORED_ID, help="Only what concerns the Discord server with this id.")
@click.option("--channel", type=STORED_ID, help="Only what concerns the channel with this id.")
@click.option("--project", help="Only of this project: its id, or a link to it.")
@click.option("--since", type=Since(), help=f"Only what happened since then: {SINCE_FORMS}.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=25,
    show_default=True,
    help="At most so many, the newest.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def list_events(
    context: click.Context,
    guild: int | None,
    channel: int | None,
    project: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the newest events: shown, filtered, paused or waiting, and why.

    Also those that no channel wanted.
    """
    settings = context.obj.load()

    from bot.cli import events

    wanted = events.EventsWanted(guild, channel, project, since)
    found = asyncio.run(events.list_all(settings, wanted, limit, as_json=as_json))
    context.exit(exit_code(found))


@event_log.command("show")
@click.argument("event_id", metavar="ID", type=STORED_ID)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def show_event(context: click.Context, event_id: int, as_json: bool) -> None:
    """Show the whole way of one event, in all channels."""
    settings = context.obj.load()

    from bot.cli import events

    context.exit(exit_code(asyncio.run(events.show(settings, event_id, as_json=as_json))))
