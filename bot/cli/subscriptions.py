"""`subscriptions export` and `import`: a file that people read, and what becomes of it."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bot import toml_file
from bot.audit import BY_HOST
from bot.cards.text import counted
from bot.cli.migrate import require_tables
from bot.cli.stored import Printable, opened
from bot.cli.terminal import print_line, write_private
from bot.cogs.option_texts import option_text
from bot.errors import ConfigError, Problem
from bot.model import Hook, Subscription
from bot.services.quotas import GuildLimits
from bot.services.subscription_import import (
    ImportOutcome,
    ImportRules,
    PortableSubscription,
    import_all,
)
from bot.settings import Settings
from bot.speckle.links import ID
from bot.speckle.subscription_options import OPTIONS, OptionError, SubscriptionOptions
from bot.storage import Storage, Transaction
from bot.timing import utc_now
from bot.vault import Vault

IDS: Final = ("guild", "channel", "by")
TEXTS: Final = ("server", "project", *(option.name for option in OPTIONS))
LARGEST_ID: Final = 2**63 - 1
HEAD: Final = """\
# The subscriptions of a Speckle bot for Discord, {at:%Y-%m-%d %H:%M} (UTC).
# No secrets, accounts or agreements are in it: after `subscriptions import`, each is paused until
# somebody who may answer for its channel presses Resume. `by` is the Discord id of the person who
# made it, and who is notified then. Filters are as people type them.
"""


class _OnlyTried(Exception):
    """Undoes the transaction of --dry-run."""

    def __init__(self, outcomes: Sequence[ImportOutcome]) -> None:
        super().__init__()
        self.outcomes = outcomes


# ── out ───────────────────────────────────────────────────────────────────────────────────────


async def export_subscriptions(settings: Settings, path: Path) -> None:
    """Write all subscriptions into a new file. Errors: DatabaseCopyError, StorageUnavailable."""
    async with opened(settings) as storage:
        entries = await storage.read(_all)
        ids = {id_ for one, _ in entries for id_ in (one.guild_id, one.channel_id)}
        names = await storage.read(lambda tx: tx.discord_names.of(ids))
    printable = Printable(settings)
    parts = [HEAD.format(at=utc_now())]
    parts += ["\n".join(_entry_lines(one, hook, names, printable)) for one, hook in entries]
    write_private(path, ("\n".join(parts) + "\n").encode())
    print_line(f"✔ Written into {path}: {counted(len(entries), 'subscription')}.")


def _all(tx: Transaction) -> list[tuple[Subscription, Hook]]:
    found: list[tuple[Subscription, Hook]] = []
    for guild in tx.guilds.all():
        hooks = {hook.id: hook for hook in tx.hooks.of_guild(guild.guild_id)}
        followers = tx.subscriptions.of_guild(guild.guild_id)
        found += [(one, hooks[one.hook_id]) for one in followers if one.hook_id in hooks]
    return found


def _entry_lines(
    one: Subscription, hook: Hook, names: Mapping[int, str], printable: Printable
) -> Iterator[str]:
    def comment(text: str | None, sign: str = "") -> str:
        shown = printable.text(text)
        return f"  # {sign}{shown}" if shown else ""

    yield "[[subscription]]"
    yield f"server = {_quoted(hook.server_url)}"
    yield f"project = {_quoted(hook.project_id)}{comment(hook.project_name)}"
    yield f"guild = {one.guild_id}{comment(names.get(one.guild_id))}"
    yield f"channel = {one.channel_id}{comment(names.get(one.channel_id), '#')}"
    for name, typed in one.options.typed().items():
        if typed:
            yield f"{name} = {_quoted(typed)}"
    yield f"by = {one.created_by}"
    if one.pause_reason is not None:
        yield f"# It was paused: {one.pause_reason.value}."


def _quoted(text: str) -> str:
    """A text as TOML writes it on one line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda one: f"\\u{ord(one[0]):04x}", escaped) + '"'


# ── in ────────────────────────────────────────────────────────────────────────────────────────


async def import_subscriptions(settings: Settings, path: Path, *, dry_run: bool) -> bool:
    """Make the subscriptions of a file and say what became of each; whether all are there now.

    Errors: ConfigError for a file that cannot be read, StorageUnavailable.
    """
    numbered = list(_read(path))
    wanted = [one for _, one in numbered if isinstance(one, PortableSubscription)]
    outcomes = iter(await _outcomes(settings, wanted, dry_run=dry_run))
    counts: Counter[ImportOutcome | None] = Counter()
    printable = Printable(settings)
    for number, one in numbered:
        outcome = one if isinstance(one, str) else next(outcomes)
        counts[None if isinstance(outcome, str) else outcome] += 1
        mark = "✔" if outcome in GOOD else "✘"
        where = "" if isinstance(one, str) else f", project {one.project_id} in {one.channel_id}"
        text = outcome if isinstance(outcome, str) else OUTCOMES[outcome]
        print_line(printable.text(f"{mark} {number}{where}: {text}"))
    if dry_run:
        print_line("Nothing was changed: this only tried it.")
    elif counts[ImportOutcome.MADE]:
        print_line(WHAT_NEXT)
    return counts.total() == sum(counts[good] for good in GOOD)


GOOD: Final = frozenset({ImportOutcome.MADE, ImportOutcome.THERE})
WHAT_NEXT: Final = (
    "What is new is paused, and shows nothing yet: the person whose id is in `by` is notified, and "
    "somebody who may answer for the channel presses Resume under /subscriptions. Then it is live "
    "through their account, or has a webhook; one that the bot does not make itself is set up in "
    "Speckle."
)
OUTCOMES: Final[Mapping[ImportOutcome, str]] = {
    ImportOutcome.MADE: "made, paused until somebody answers for it.",
    ImportOutcome.THERE: "there already, with the same filters.",
    ImportOutcome.THERE_WITH_OTHER_FILTERS: (
        "the channel follows the project already, with other filters. They stay: change them with "
        "Edit under /subscriptions."
    ),
    ImportOutcome.GUILD_UNKNOWN: (
        "the bot does not know that Discord server. Invite it there, start it once, then try again."
    ),
    ImportOutcome.BOT_LEFT_GUILD: (
        "the bot is no longer in that Discord server. Invite it again, then try again."
    ),
    ImportOutcome.SERVER_NOT_USED: (
        "its Speckle server is not one of SPECKLE_SERVERS. Add it there, restart the bot, then try "
        "again."
    ),
    ImportOutcome.CHANNEL_OF_OTHER_GUILD: "the channel is in another Discord server.",
    ImportOutcome.NO_ROOM_FOR_WEBHOOK: (
        "the Discord server has as many webhooks as `hooks` in [quotas] allows."
    ),
    ImportOutcome.NO_ROOM_FOR_SUBSCRIPTION: (
        "the Discord server has as many subscriptions as `subscriptions` in [quotas] allows."
    ),
}


async def _outcomes(
    settings: Settings, wanted: Sequence[PortableSubscription], *, dry_run: bool
) -> Sequence[ImportOutcome]:
    await require_tables(settings)
    vault = Vault([key.get_secret_value() for key in settings.encryption_keys])
    rules = _rules(settings)

    def work(tx: Transaction) -> Sequence[ImportOutcome]:
        outcomes = import_all(tx, wanted, rules)
        if dry_run:
            raise _OnlyTried(outcomes)
        return outcomes

    async with Storage.open(settings.database_url, vault, utc_now) as storage:
        try:
            return await storage.write(work, by=BY_HOST)
        except _OnlyTried as tried:
            return tried.outcomes


def _rules(settings: Settings) -> ImportRules:
    quotas = settings.quotas
    limits = GuildLimits(0, 0, quotas.hooks, quotas.subscriptions, 0)
    return ImportRules(settings.speckle_servers, limits, settings.organisation.guilds)


def _read(path: Path) -> Iterator[tuple[int, PortableSubscription | str]]:
    """The entries of a file by their number, or why one cannot be used. Errors: ConfigError."""
    hint = "Take a file that `subscriptions export` wrote."
    try:
        data = toml_file.parse(toml_file.read_text(path))
    except OSError as error:
        why = (error.strerror or "no reason given").lower()
        raise ConfigError(Problem(str(path), f"It cannot be read: {why}.", hint)) from error
    except ValueError as error:
        raise ConfigError(Problem(str(path), f"It is no TOML: {error}.", hint)) from error
    entries = data.get("subscription", [])
    if set(data) - {"subscription"} or not isinstance(entries, list):
        raise ConfigError(Problem(str(path), "It holds something else.", hint))
    for number, entry in enumerate(entries, 1):
        yield number, _portable(entry)


def _portable(entry: Any) -> PortableSubscription | str:
    if not isinstance(entry, dict):
        return "it is no table of values."
    if unknown := sorted(set(entry) - {*IDS, *TEXTS}):
        return f"nothing is called {unknown[0]!r} here."
    for name in IDS:
        value = entry.get(name)
        if type(value) is not int or not 0 < value <= LARGEST_ID:
            return f"`{name}` has to be a Discord id, a number."
    texts = {name: entry[name] for name in TEXTS if name in entry}
    if wrong := [name for name, value in texts.items() if not isinstance(value, str)]:
        return f"`{wrong[0]}` has to be a text."
    server_url, project_id = texts.pop("server", ""), texts.pop("project", "")
    if not ID.fullmatch(project_id) or not server_url:
        return "`server` and `project` have to name a Speckle server and a project's id."
    try:
        options = SubscriptionOptions().changed_by(texts, project_id)
    except OptionError as error:
        return f"`{error.problem.option}`: {option_text(error.problem)}"
    return PortableSubscription(
        server_url, project_id, entry["guild"], entry["channel"], options, entry["by"]
    )
