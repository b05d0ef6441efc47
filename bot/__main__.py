"""The command line: `python -m bot run | check | outbox | events | …`; `--help` lists them.

What a command needs is imported when it runs, so that each starts fast.
"""

import asyncio
import sys
from pathlib import Path

import click
from click.core import ParameterSource

from bot.cli.commands.audit import audit
from bot.cli.commands.backup import backup, copy_database, restore
from bot.cli.commands.events import event_log
from bot.cli.commands.keys import keys
from bot.cli.commands.outbox import outbox
from bot.cli.commands.sandbox import bench, demo, pictures, soak
from bot.cli.commands.subscriptions import subscriptions
from bot.cli.commands.support import support
from bot.cli.terminal import (
    FAILED,
    UNUSABLE_SETTINGS,
    Files,
    exit_code,
    in_words,
    print_line,
    replace_what_cannot_be_shown,
    until_stopped,
    without_garbage_collection,
)
from bot.errors import BotError, ConfigError, DatabaseCopyError
from bot.launch import COMMANDS
from bot.program import NAME, PROGRAM, version


class Commands(click.Group):
    """The commands; those that are elsewhere are said to be there."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; UsageError with what to type where it is no command here."""
        found = super().get_command(ctx, cmd_name)
        if found is None and cmd_name == "bundles":
            raise click.UsageError(
                "DuckDB counts the objects of bundles, and is a package beside the bot's: "
                f"`pipx inject {NAME} duckdb` installs it, or pip in the bot's environment."
            )
        if found is None and cmd_name in COMMANDS:
            raise click.UsageError(
                f"`{cmd_name}` is a command of run.py, which comes with the bot's repository: "
                f"`python3 run.py {cmd_name}` there."
            )
        return found

    def invoke(self, ctx: click.Context) -> object:
        """Do the command; an error knows which one it was, as its sentence names its options."""
        try:
            return super().invoke(ctx)
        except DatabaseCopyError as error:
            error.command = ctx.invoked_subcommand or ""
            raise


def print_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    """What `--version` prints; nothing else is done then."""
    if wanted:
        click.echo(f"{NAME} {version()}")
        context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    # What cannot be read is said by what reads it.
    type=click.Path(path_type=Path, readable=False),
    default="config.toml",
    show_default=True,
    help="The file of settings. run.py takes no such option: it uses the one beside it.",
)
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, readable=False),
    default=".env",
    show_default=True,
    help="The file of secrets; the same holds.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Print the version.",
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
def init(files: Files) -> None:
    """Write a first .env, with a new key in it, and config.toml, where they are missing.

    If the database holds what an earlier key encrypted, no key is made, and that one is asked for.
    """
    from bot.cli.init import write_first_files

    try:
        asyncio.run(write_first_files(files))
    except OSError as error:
        raise click.ClickException(
            f"{error.filename} cannot be written: {error.strerror}. "
            "Look at the folder's owner and permissions."
        ) from error


@cli.command()
@click.pass_obj
def run(files: Files) -> None:
    """Run the bot until Ctrl-C or SIGTERM."""
    with without_garbage_collection():
        settings = files.load("discord_token", "encryption_keys")

        from bot import app, log

    log.configure(settings)
    until_stopped(app.run(settings))


@cli.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Try every setting, and say how to fix problems.

    Also the database with its backups and keys, Discord, and each Speckle server. It posts nothing,
    and works while the bot runs.
    """
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
    """Print a new key for ENCRYPTION_KEYS.

    To change keys it goes in front of the earlier ones, which stay until `keys rotate` has ended.
    If an earlier key is lost, `check` says what that costs.
    """
    from cryptography.fernet import Fernet

    click.echo(Fernet.generate_key().decode())


for group_or_command in (backup, restore, copy_database, subscriptions, support):
    cli.add_command(group_or_command)
for group_or_command in (keys, outbox, event_log, audit, demo, pictures, soak, bench):
    cli.add_command(group_or_command)


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
@click.argument("page", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def metrics_page(page: Path) -> None:
    """Bring the table of docs/monitoring.md up to date."""
    from bot.monitoring.docs_page import with_metrics_table

    page.write_text(with_metrics_table(page.read_text("utf-8")), "utf-8")


@cli.command(hidden=True)
def command_line_page() -> None:
    """Print docs/command-line.md."""
    from bot.cli.docs_page import command_line_page

    click.echo(command_line_page(cli, COMMANDS), nl=False)


def main() -> int:
    """The command line, with errors shown as a sentence; returns the exit code."""
    replace_what_cannot_be_shown()
    try:
        code = cli(prog_name=PROGRAM, standalone_mode=False)
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
