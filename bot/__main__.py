"""The command line: `python -m bot run | check | outbox | events | …`; `--help` lists them.

What a command needs is imported when it runs, so that each starts fast.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bot.cli.since import FORMS as SINCE_FORMS
from bot.cli.since import Since
from bot.cli.terminal import (
    FAILED,
    UNUSABLE_SETTINGS,
    Files,
    exit_code,
    in_words,
    print_line,
    replace_what_cannot_be_shown,
    until_stopped,
)
from bot.errors import BotError, ConfigError

if TYPE_CHECKING:
    from bot.cli.outbox import OutboxCommand


class Commands(click.Group):
    """The commands, with the name that one of them had in the release before."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """`outbox` was called `deliveries`."""
        if cmd_name == "deliveries":
            click.echo(
                "`deliveries` is called `outbox` now. The next release does not know the old name.",
                err=True,
            )
            cmd_name = "outbox"
        return super().get_command(ctx, cmd_name)


class StoredId(click.types.IntParamType):
    """An id as Discord and the database have them, which are no larger than this."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Errors: click.BadParameter."""
        number: int = super().convert(value, param, ctx)
        if not 0 < number < 2**63:
            self.fail(f"{number} is no id. Ids are numbers such as those that lists show.")
        return number


STORED_ID = StoredId()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default="config.toml",
    show_default=True,
    help="Only with `python -m bot`: run.py uses the usual file.",
)
@click.option(
    "--env-file",
    type=click.Path(path_type=Path),
    default=".env",
    show_default=True,
    help="The same.",
)
@click.pass_context
def cli(context: click.Context, config: Path, env_file: Path) -> None:
    """Brings a Speckle server's project events into Discord channels."""
    for name, path in (("config", config), ("env_file", env_file)):
        named = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if named and not path.exists():  # the usual ones may be missing; a mistyped one may not
            raise click.UsageError(f"There is no file {path}. Look at --{name.replace('_', '-')}.")
    context.obj = Files(config, env_file)


@cli.command()
@click.pass_obj
def run(files: Files) -> None:
    """Run the bot until Ctrl-C or SIGTERM."""
    settings = files.load("discord_token", "encryption_keys")

    from bot import app, log

    log.configure(settings)
    until_stopped(app.run(settings))


@cli.command()
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


@cli.command()
@click.pass_context
def pictures(context: click.Context) -> None:
    """Take the pictures of the README and of docs/ again, for authors.

    They show the page that `demo` opens. Needs Chromium on this computer.
    """
    from bot.cli import sandbox

    context.exit(sandbox.pictures())


@cli.command()
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


@cli.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Try every setting, and say how to fix problems."""
    files: Files = context.obj
    settings = files.load()

    from bot.cli.check import check_all

    checks = check_all(settings, lambda row: print_line(str(row)), (files.env, files.config))
    context.exit(exit_code(asyncio.run(checks)))


@cli.command()
@click.pass_obj
def migrate(files: Files) -> None:
    """Bring the database's tables up to date. `run` does that too."""
    settings = files.load()

    from bot.cli.migrate import migrate_database

    asyncio.run(migrate_database(settings))


@cli.command()
def key() -> None:
    """Print a new key for ENCRYPTION_KEYS."""
    from cryptography.fernet import Fernet

    click.echo(Fernet.generate_key().decode())


@cli.group()
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

    context.exit(exit_code(asyncio.run(rotate(settings))))


@cli.group()
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
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
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


@cli.group("events")
def event_log() -> None:
    """List what Speckle sent, and what became of it in each channel."""


@event_log.command("list")
@click.option("--guild", type=STORED_ID, help="Only what concerns the Discord server with this id.")
@click.option("--channel", type=STORED_ID, help="Only what concerns the channel with this id.")
@click.option("--project", help="Only of this project: its id, or a link to it.")
@click.option("--since", type=Since(), help=f"Only what happened since then: {SINCE_FORMS}.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=25, show_default=True)
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


@cli.command(hidden=True)
def settings_page() -> None:
    """Print docs/configuration.md."""
    from bot.settings.docs_page import settings_page

    click.echo(settings_page(), nl=False)


@cli.command(hidden=True)
@click.argument("page", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def events_page(page: Path) -> None:
    """Bring the tables of docs/events.md up to date."""
    from bot.cards.docs_page import with_event_tables

    page.write_text(with_event_tables(page.read_text("utf-8")), "utf-8")


@cli.command(hidden=True)
def command_line_page() -> None:
    """Print docs/command-line.md."""
    from bot.cli.docs_page import command_line_page
    from bot.launch import COMMANDS

    click.echo(command_line_page(cli, COMMANDS), nl=False)


def main() -> int:
    """The command line, with errors shown as a sentence; returns the exit code."""
    replace_what_cannot_be_shown()
    try:
        code = cli(prog_name="python3 run.py", standalone_mode=False)
    except ConfigError as error:
        click.echo(in_words(error), err=True)
        return UNUSABLE_SETTINGS
    except BotError as error:
        click.echo(in_words(error), err=True)
        return FAILED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return FAILED
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
