"""The command line: `python -m bot run | demo | check | migrate | key | keys | outbox | soak`.

What a command needs is imported when it runs, so that each starts fast.
"""

import asyncio
import io
import os
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeVar

import click
from click.core import ParameterSource

from bot.errors import (
    BotError,
    ConfigError,
    SchemaTooNew,
    SchemaTooOld,
    SealError,
    StorageUnavailable,
    WorkerFailed,
)

if TYPE_CHECKING:
    from bot.cli.outbox import OutboxCommand
    from bot.settings import Settings

FAILED: Final = 1
UNUSABLE_SETTINGS: Final = 2
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Files:
    """Where the settings are."""

    config: Path
    env: Path

    def load(self, *required: str) -> "Settings":
        """The settings; a line on standard error for each name in .env that looks misspelt.

        Errors: ConfigError.
        """
        from bot.settings import load_settings, misspelt_names

        settings = load_settings(self.config, self.env, os.environ, required)
        for problem in misspelt_names(self.env):
            click.echo(f"Note: {problem}", err=True)
        return settings


class Commands(click.Group):
    """The commands, with the name that one of them had in the release before."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """`outbox` was called `deliveries`."""
        if cmd_name == "deliveries":
            click.echo("`deliveries` is called `outbox` now. The old name will go.", err=True)
            cmd_name = "outbox"
        return super().get_command(ctx, cmd_name)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(path_type=Path), default="config.toml", show_default=True)
@click.option("--env-file", type=click.Path(path_type=Path), default=".env", show_default=True)
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
    _until_stopped(app.run(settings))


@cli.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Where the demo takes deliveries.")
@click.pass_context
def demo(context: click.Context, port: int | None) -> None:
    """Try it out: a Discord on this computer, sample deliveries, no account needed."""
    demo = _of_the_sandbox("demo")
    context.exit(_until_stopped(demo.run_demo(port)) or 0)


@cli.command()
@click.option("--kills", type=click.IntRange(min=0), default=300, show_default=True)
@click.option("--seed", type=int, help="Seed of a run to repeat. Default: a new one.")
@click.option("--rate", type=float, default=300.0, show_default=True, help="Deliveries a second.")
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
    """Kill the bot repeatedly while things fail; check that no event is lost or shown twice."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    soaking = _of_the_sandbox("soak")
    plan = soaking.SoakPlan(kills, seed, rate, database_url, folder)
    report = _until_stopped(soaking.soak(plan, click.echo))
    if report is None:
        context.exit(FAILED)
    click.echo(str(report))
    context.exit(FAILED if report.broken else 0)


@cli.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Try every setting; one line each, and how to fix those that do not work."""
    files: Files = context.obj
    settings = files.load()

    from bot.cli.check import check_all

    checks = check_all(settings, lambda row: _print(str(row)), (files.env, files.config))
    healthy = asyncio.run(checks)
    context.exit(0 if healthy else FAILED)


@cli.command()
@click.pass_obj
def migrate(files: Files) -> None:
    """Bring the database's tables up to date. `run` does that too."""
    settings = files.load()

    from bot.storage import migrate, schema_version

    asyncio.run(migrate(settings.database_url))
    found, _ = asyncio.run(schema_version(settings.database_url))
    click.echo(f"The database is at version {found}.")


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

    context.exit(0 if asyncio.run(rotate(settings, _print)) else FAILED)


@cli.group()
def outbox() -> None:
    """List the cards that wait or were refused, and why; try them again or drop them."""


@outbox.command("list")
@click.option("--state", type=click.Choice(["waiting", "undeliverable", "sent"]))
@click.option("--guild", type=int, help="Only of this Discord server.")
@click.option("--channel", type=int, help="Only for this channel.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def list_cards(
    context: click.Context,
    state: str | None,
    guild: int | None,
    channel: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """The newest cards that wait or were refused, or those of one state."""
    from bot.work import CardFilter, OutboxState

    states = (OutboxState(state),) if state else CardFilter().states
    wanted = CardFilter(states, guild, channel)
    _with_outbox(context, lambda cards: cards.list(wanted, limit, as_json=as_json))


@outbox.command("show")
@click.argument("card_id", metavar="ID", type=int)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def show_card(context: click.Context, card_id: int, as_json: bool) -> None:
    """All about one card: its state and why, the steps of its event, when it is tried next."""
    _with_outbox(context, lambda cards: cards.show(card_id, as_json=as_json))


@outbox.command("retry")
@click.argument("ids", metavar="ID...", type=int, nargs=-1)
@click.option("--all-undeliverable", is_flag=True, help="All that Discord did not take.")
@click.option("--channel", type=int, help="With --all-undeliverable: only for this channel.")
@click.pass_context
def retry_cards(
    context: click.Context, ids: tuple[int, ...], all_undeliverable: bool, channel: int | None
) -> None:
    """Try cards again, in their old place. A running bot sends them within seconds."""
    if bool(ids) == all_undeliverable:
        raise click.UsageError("Name the cards' IDs, or --all-undeliverable.")
    if channel is not None and not all_undeliverable:
        raise click.UsageError("--channel goes with --all-undeliverable.")

    async def retry(cards: "OutboxCommand") -> bool:
        chosen = await cards.all_undeliverable(channel) if all_undeliverable else ids
        return bool(chosen) and await cards.retry(chosen)

    _with_outbox(context, retry)


@outbox.command("drop")
@click.argument("ids", metavar="ID...", type=int, nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def drop_cards(context: click.Context, ids: tuple[int, ...], yes: bool) -> None:
    """Delete cards that wait or were refused, permanently. Asks first."""

    async def drop(cards: "OutboxCommand") -> bool:
        if not yes:
            if not await cards.about_to_drop(ids):
                return False
            click.confirm("Drop these cards permanently?", abort=True)
        return await cards.drop(ids)

    _with_outbox(context, drop)


def _with_outbox(context: click.Context, do: "Callable[[OutboxCommand], Awaitable[bool]]") -> None:
    """Do it on the database of the settings; ends with 1 if that found nothing."""
    settings = context.obj.load()

    from bot.cli.outbox import OutboxCommand

    async def work() -> bool:
        async with OutboxCommand.open(settings, _print) as cards:
            return await do(cards)

    context.exit(0 if asyncio.run(work()) else FAILED)


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


def _print(line: str) -> None:
    """Print a line; a reader that has gone (`check | head`) ends the printing, not the check."""
    try:
        click.echo(line)
    except BrokenPipeError:
        # As Python's documentation of SIGPIPE advises: nothing else may fail on it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _until_stopped(work: Coroutine[None, None, T]) -> T | None:
    """Run to the end; a stop signal is a good end too, also one before the work handles them."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        return None


def in_words(error: BotError) -> str:
    """What happened and what to do, for a person at a terminal."""
    match error:
        case ConfigError():
            return "\n".join(f"✘ {problem}" for problem in error.problems)
        case StorageUnavailable():
            return f"✘ The database cannot be used: {error.reason}. Look at DATABASE_URL."
        case SchemaTooNew():
            return (
                f"✘ The database has version {error.found}, which only a newer release of the bot "
                "knows. Update the bot, or go back to an older copy of the database."
            )
        case SchemaTooOld():
            return (
                f"✘ The database has version {error.found}: its tables were made before the first "
                "release, and this release cannot bring them up to date. Start the bot's commit "
                f"{error.commit} with it once, then this release, or begin with a new database."
            )
        case WorkerFailed():
            return (
                f"✘ The bot stopped, because its part “{error.worker}” failed; the log above shows "
                "why. No event that it has accepted is lost: start the bot again. If it happens "
                "again, please report it with those log lines."
            )
        case SealError():
            return f"✘ Look at ENCRYPTION_KEYS: {error}."
        case _:
            return f"✘ {error}"


def main() -> int:
    """The command line, with errors shown as a sentence; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a Windows console may lack ✔
    try:
        code = cli(prog_name="bot", standalone_mode=False)
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
