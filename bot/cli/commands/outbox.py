"""`outbox list | show | retry | drop`."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from bot.cli.parameters import SINCE_FORMS, STORED_ID, Since
from bot.cli.terminal import exit_code

if TYPE_CHECKING:
    from bot.cli.outbox import OutboxCommand


@click.group()
def outbox() -> None:
    """List, retry or drop cards that are not sent yet."""


@outbox.command("list")
@click.option(
    "--state",
    type=click.Choice(["waiting", "undeliverable", "sent"]),
    help="Only cards in this state. Default: those that wait and those that were refused.",
)
@click.option("--guild", type=STORED_ID, help="Only of the Discord server with this id.")
@click.option("--channel", type=STORED_ID, help="Only for the channel with this id.")
@click.option("--since", type=Since(), help=f"Only what is so since then: {SINCE_FORMS}.")
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=50,
    show_default=True,
    help="At most so many, the newest.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def list_cards(
    context: click.Context,
    state: str | None,
    guild: int | None,
    channel: int | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the newest cards that wait or were refused."""
    from bot.lookups import CardFilter
    from bot.work import OutboxState

    states = (OutboxState(state),) if state else CardFilter().states
    wanted = CardFilter(states, guild, channel, since)
    _with_outbox(
        context,
        lambda cards: cards.list_json(wanted, limit) if as_json else cards.list(wanted, limit),
    )


@outbox.command("show")
@click.argument("card_id", metavar="ID", type=STORED_ID)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def show_card(context: click.Context, card_id: int, as_json: bool) -> None:
    """Show one card: its state, why, and its event.

    With the steps that its event went through, and when it is tried next.
    """
    _with_outbox(
        context, lambda cards: cards.show_json(card_id) if as_json else cards.show(card_id)
    )


@outbox.command("retry")
@click.argument("ids", metavar="ID...", type=STORED_ID, nargs=-1)
@click.option("--all-undeliverable", is_flag=True, help="All that Discord did not accept.")
@click.option(
    "--since", type=Since(), help=f"All that Discord did not accept since then: {SINCE_FORMS}."
)
@click.option(
    "--channel",
    type=STORED_ID,
    help="With --all-undeliverable or --since: only for the channel with this id.",
)
@click.pass_context
def retry_cards(
    context: click.Context,
    ids: tuple[int, ...],
    all_undeliverable: bool,
    since: datetime | None,
    channel: int | None,
) -> None:
    """Try cards again, in their old place. A running bot sends them within seconds."""
    several = all_undeliverable or since is not None
    if bool(ids) == several:
        raise click.UsageError("Name the cards' IDs, or --all-undeliverable, or --since.")
    if channel is not None and not several:
        raise click.UsageError("--channel goes with --all-undeliverable or --since.")

    _with_outbox(
        context,
        lambda cards: cards.retry_undeliverable(channel, since) if several else cards.retry(ids),
    )


@outbox.command("drop")
@click.argument("ids", metavar="ID...", type=STORED_ID, nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def drop_cards(context: click.Context, ids: tuple[int, ...], yes: bool) -> None:
    """Delete cards that wait or were refused, permanently. Asks first."""
    _with_outbox(context, lambda cards: cards.drop(ids) if yes else cards.confirm_and_drop(ids))


def _with_outbox(context: click.Context, do: "Callable[[OutboxCommand], Awaitable[bool]]") -> None:
    """Do it on the database of the settings; ends with 1 if that found nothing."""
    settings = context.obj.load()

    from bot.cli.outbox import on_outbox

    context.exit(exit_code(asyncio.run(on_outbox(settings, do))))
