"""What is said of a missing key: where it may be, and what a new one costs, before one is made."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final

from bot.cards.text import counted
from bot.database_content import Unopenable
from bot.errors import BotError, Problem
from bot.program import PROGRAM
from bot.settings import KEY_AMONG_OTHERS, SECRET_HINTS
from bot.storage import database_file, unopenable_with

THE_SETTING: Final = "ENCRYPTION_KEYS"
OTHER_FIRST_SETTINGS: Final = frozenset({"DISCORD_TOKEN", "PUBLIC_URL"})
MAX_NAMED: Final = 10  # of each kind; the others are counted
LOOK_FOR_IT: Final = (
    "Look for that key first: in a copy of .env, in your password manager, in the settings of the "
    f"machine that the bot ran on. With it in .env as {THE_SETTING}=..., after any other key and a "
    "comma, nothing is lost."
)
A_NEW_ONE: Final = (
    f"Only if it is lost for good, make a new one with `{PROGRAM} key` and put that in .env as "
    f"{THE_SETTING}=..."
)
IF_IT_WAS_USED: Final = (
    "The database cannot be looked at now. If a bot has used it before, it holds what the key of "
    f"that time encrypted. {LOOK_FOR_IT} {A_NEW_ONE}"
)
FIRST_FILES: Final = f"Type `{PROGRAM} init`, which writes .env with a new key in it."


def database_name(database_url: str) -> str:
    """What a host knows the database by, without its password."""
    file = database_file(database_url)
    return "the PostgreSQL database of DATABASE_URL" if file is None else f"the database {file}"


def cost_lines(lost: Unopenable) -> Iterator[str]:
    """What has to be done again if the key that encrypted this is never found."""
    if lost.accounts:
        yield (
            f"{counted(len(lost.accounts), 'linked account')}: their people type /link again. "
            + _of_servers(lost)
        )
    made = [one for one in lost.webhooks if one.made_by_bot]
    if made:
        yield (
            f"{counted(len(made), 'webhook')} that the bot made: each gets a new secret within an "
            "hour after the account that it was made with is linked again, or at once by Set up "
            f"again under /subscriptions. {_named([one.project for one in made])}"
        )
    by_hand = [one for one in lost.webhooks if not one.made_by_bot]
    if by_hand:
        yield (
            f"{counted(len(by_hand), 'webhook')} made by hand: Set up again under /subscriptions "
            "shows a new secret, to be entered in Speckle. "
            f"{_named([one.project for one in by_hand])}"
        )
    if lost.webhooks:
        yield "Until then the events of these webhooks are refused, and Speckle keeps them."


def _of_servers(lost: Unopenable) -> str:
    by_server = groupby(lost.accounts, attrgetter("server_url"))
    parts = (
        f"{server} {_listed([str(one.discord_user_id) for one in accounts])}"
        for server, accounts in by_server
    )
    return f"By server, with their Discord ids: {'; '.join(parts)}."


def _named(projects: Sequence[str]) -> str:
    return f"Projects: {_listed(list(dict.fromkeys(projects)))}."


def _listed(names: Sequence[str]) -> str:
    shown = [" ".join("".join(c if c.isprintable() else " " for c in one).split()) for one in names]
    more = len(shown) - MAX_NAMED
    return ", ".join(shown[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def how_to_make_one(env_file: Path = Path(".env")) -> str:
    """What to do where nothing needs an earlier key: `init` is for a folder that has no settings.

    A container has them in its environment, and no .env.
    """
    is_set_up = env_file.exists() or not OTHER_FIRST_SETTINGS.isdisjoint(os.environ)
    return SECRET_HINTS["encryption_keys"] if is_set_up else FIRST_FILES


async def missing_key_hint(database_url: str | None, fresh: str) -> str:
    """What to do about a key that is missing or is none: `fresh` only where nothing is lost."""
    if database_url is None:
        return fresh
    try:
        lost = await unopenable_with(database_url, ())
    except BotError:
        return IF_IT_WAS_USED
    if not lost:
        return fresh
    name = database_name(database_url)
    said = [
        f"{name[:1].upper()}{name[1:]} holds what an earlier key encrypted.",
        LOOK_FOR_IT,
        f"{A_NEW_ONE} That costs:",
        *(f"  - {line}" for line in cost_lines(lost)),
    ]
    return "\n  ".join(said)


async def with_hints(
    problems: Sequence[Problem], database_url: str | None, fresh: str
) -> Sequence[Problem]:
    """The problems; that there is no key at all says what is in the database that needs one."""
    return [
        replace(one, hint=await missing_key_hint(database_url, fresh))
        if one.what.startswith(f"{THE_SETTING} ") and KEY_AMONG_OTHERS not in one.hint
        else one
        for one in problems
    ]
