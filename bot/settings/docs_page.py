"""docs/configuration.md, written from the settings themselves so that the two never differ."""

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic.fields import FieldInfo

from bot.problems import TroubleKind
from bot.settings.settings import Settings, environment_names, expects, sections
from bot.settings.validators import SECRET_HINTS

HEAD = """# Configuration

<!-- Written by `python3 -m bot settings-page` out of bot/settings/. A test compares. -->

Three layers, the later one wins: `config.toml`, then a file `.env` next to it, then the
environment. An empty value counts as not set. Names in capitals work in `.env` and in the
environment; the same names in small letters are at the top of `config.toml`. What is in a
`[section]` of `config.toml` is set there only.

`python3 run.py check` tries everything that is set, and says how to fix what does not work.
"""
SECRETS_HEAD = """## Secrets

Only in `.env` or in the environment; `config.toml` with a secret in it is refused, as that file
gets shared.
"""
NAMES_HEAD = """## Plain names

Lists are comma-separated in `.env` and in the environment.
"""
SECTIONS_HEAD = """## Sections of config.toml
"""
NOTICES = """## What you are notified of

The person who runs the bot is notified once of each trouble, and once when it is over, with how
long it took: always in the log (`operator.trouble`, `operator.trouble_over`), and where
`[operator]` and `OPERATOR_WEBHOOK_URL` say. Each notice says what happened, why, and what to do
next. There is no name, no message and no secret in it. While Discord itself is the trouble, a
Discord channel cannot be reached: it is said there afterwards, and at the webhook at once, if that
is not Discord's.

| trouble | when |
|---|---|
{rows}

A trouble is said after 20 seconds, if no other time stands there, and is over after two minutes
without it. One that comes and goes has to stay away longer each time, up to two hours, so that you
get no storm of notices. What was said is kept in the database, over restarts and for the process
that leads. If the bot is killed between saying it and noting that, it says it once more.

`GET /readyz`, `/status` in Discord and the metrics know of the same troubles.
"""
TROUBLES: Final[Mapping[TroubleKind, str]] = {
    TroubleKind.SENDING_STOPPED: "Discord takes no card from the bot, or several channels have got "
    "nothing for 5 minutes because it does not answer.",
    TroubleKind.TOKEN_REFUSED: "Discord does not accept `DISCORD_TOKEN`.",
    TroubleKind.ADDRESS_BLOCKED: "Discord blocks the address of this machine.",
    TroubleKind.GATEWAY_AWAY: "No connection to Discord's gateway for 3 minutes: commands and "
    "buttons do not work.",
    TroubleKind.KEYS_MISSING: "None of `ENCRYPTION_KEYS` opens some of what is stored.",
    TroubleKind.DATABASE_NOT_WRITABLE: "The database cannot be written, or takes more than 3 s for "
    "it.",
    TroubleKind.DISK_LOW: "The disk of an SQLite database has less room than `free_disk_gb`. Of a "
    "PostgreSQL server the bot cannot see the disk.",
    TroubleKind.CATCH_UP_TOO_SHORT: "Speckle's history of a webhook begins after the last event "
    "that the bot had of it: some may be missing for good. It is over when the next look finds no "
    "gap.",
    TroubleKind.SPECKLE_NOT_ANSWERING: "A Speckle server has not answered for 3 minutes.",
    TroubleKind.BACKUP_TOO_OLD: "No `backup` was made for more than `backup_days` days.",
}
LOG = """## The log

Log lines go to standard error and nowhere else. Keeping and rotating them is the service manager's
work: systemd's journal does it by itself (`SystemMaxUse` in `journald.conf`), Docker with
`--log-opt max-size=10m --log-opt max-file=5` (compose: `logging`), and `logrotate` where you send
them to a file.

`LOG_FORMAT=json` writes one object a line, for a collector; `console` is for people. Each line of
an event's way names the event in `events`, as a list, because events travel together: from its
processing to what Discord answered and to late edits. A number there is the one that
`python3 run.py events show` takes. Of more than 20 events a line names 20, and `events_in_all` says
how many there are. Before a delivery has become an event its lines have a `delivery`; with
`LOG_LEVEL=debug` the line `webhook.taken` has both.

    journalctl -u speckle-discord-bot -o cat | jq -c 'select(.events // [] | index(1234))'

No line holds a token, a secret, a signature, what people wrote, or what they and their projects are
called; known secrets, and what has the shape of one, are replaced by `[hidden]` in what libraries
write too.
"""
EXTRAS = """## Objects of versions that are bundles

Newer connectors send a version as a bundle of tables. To count its objects, and to say what changed
since the version before, the bot needs DuckDB, which takes 70 MB and is not installed by itself:
`python3 run.py bundles` adds it (with pip: the extra `bundles`); then start the bot again. The
tables are read in a process of its own with little memory and time, where DuckDB may open no
network connection and no file but these tables. Without DuckDB the cards of such versions have no
number of objects and do not say what changed, and nothing else is different.

What [a comparison](changes.md) of two bundles reads are the tables of elements, properties, types,
levels and collections; geometry is not fetched.

| elements, each with 30 properties | fetched, both versions | time in the process | its memory |
|---|---|---|---|
| 10,000 | 1.9 MB | 0.5 s | 110 MB |
| 50,000 | 9.6 MB | 1 s | 130 MB |
| 50,000, a property changed on all | 9.5 MB | 2 s | 160 MB |

At most 48 MB of tables are fetched of a version. With more than 250,000 elements or 10 million
properties the card says only how many elements there are of each category; of more than
500,000 elements it says nothing.
"""


def settings_page() -> str:
    """The whole page, as markdown."""
    fields = Settings.model_fields
    plain = {env: f for env, f in environment_names().items() if f not in SECRET_HINTS}
    parts = [HEAD, SECRETS_HEAD, _table({n.upper(): fields[n] for n in SECRET_HINTS}, False)]
    parts += [NAMES_HEAD, _table({env: fields[name] for env, name in plain.items()}, True)]
    parts += [SECTIONS_HEAD]
    for name, model in sections().items():
        parts.append(f"### [{name}]\n\n{(model.__doc__ or '').strip()}\n")
        parts.append(_table(model.model_fields, True))
    rows = (f"| `{kind}` | {when} |" for kind, when in TROUBLES.items())
    parts += [NOTICES.format(rows="\n".join(rows)), LOG, EXTRAS]
    return "\n".join(parts)


def _table(fields: Mapping[str, FieldInfo], with_default: bool) -> str:
    return "\n".join(_rows(fields, with_default)) + "\n"


def _rows(fields: Mapping[str, FieldInfo], with_default: bool) -> Iterator[str]:
    yield "| Name | Default | What it does |" if with_default else "| Name | What it does |"
    yield "|---|---|---|" if with_default else "|---|---|"
    for name, field in fields.items():
        default = f" {_default(field.default)} |" if with_default else ""
        yield f"| `{name}` |{default} {field.description}{_range(field)} |"


def _default(value: object) -> str:
    if value in (None, (), ""):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"  # as config.toml has it
    return f"`{', '.join(map(str, value))}`" if isinstance(value, tuple) else f"`{value}`"


def _range(field: FieldInfo) -> str:
    words = expects(field)
    return f" ({words[0].upper()}{words[1:]}.)" if " from " in words else ""
