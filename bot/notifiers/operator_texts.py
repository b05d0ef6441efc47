"""What the operator's notices say: what happened, why, and what to do next, with the command.

Plain text: Discord, Slack and others show it alike. Nothing in it was written by a person.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.amounts import duration_text, size_text
from bot.cards.text import counted
from bot.problem_texts import not_ready_text
from bot.problems import NotReady, NotReadyWhy, ProblemFacts, SendProblem, TroubleKind
from bot.program import PROGRAM
from bot.services.operator_notices import OperatorNotice, TroubleRecord

KEPT: Final = "Every event is kept and shown later."


@dataclass(frozen=True, slots=True)
class NoticeText:
    """How a kind of trouble is described.

    `{}` are its facts, `{reason}` its own sentence, `{program}` the command that starts the bot.
    """

    title: str
    what: str
    to_do: str
    afterwards: str


TEXTS: Final[Mapping[TroubleKind, NoticeText]] = {
    TroubleKind.SENDING_STOPPED: NoticeText(
        "no cards are sent to Discord",
        f"{{reason}} The bot tries again by itself. {KEPT}",
        "Look at https://discordstatus.com, then at this machine's way to Discord with "
        "`{program} check`. `{program} outbox list` shows what waits.",
        "What waited is being sent now.",
    ),
    TroubleKind.TOKEN_REFUSED: NoticeText(
        "Discord does not accept the bot's token",
        f"It was reset on the developer portal, or the bot was removed there. {KEPT}",
        "Copy the token from https://discord.com/developers/applications (your application, Bot, "
        "Reset Token) into .env as DISCORD_TOKEN, try it with `{program} check`, and restart "
        "the bot.",
        "What waited is being sent now.",
    ),
    TroubleKind.ADDRESS_BLOCKED: NoticeText(
        "Discord blocks this machine's address",
        f"It answers 429 from its front door to all that comes from this address. {KEPT}",
        "Wait an hour: the bot tries again every minute. If it stays so, look for another program "
        "that calls Discord from this address, and see `{program} check`.",
        "What waited is being sent now.",
    ),
    TroubleKind.GATEWAY_AWAY: NoticeText(
        "the connection to Discord's gateway is down",
        "{reason} Commands and buttons do not work. Cards do not need this connection: they are "
        "sent as long as Discord takes them, and kept where it does not.",
        "Look at https://discordstatus.com, then at this machine's network with "
        "`{program} check`. The bot connects again by itself.",
        "Commands and buttons work again.",
    ),
    TroubleKind.KEYS_MISSING: NoticeText(
        "the encryption keys do not open what is stored",
        "{reason} Events of these webhooks are refused, and Speckle keeps them as failed.",
        "Add the former key to ENCRYPTION_KEYS in .env after the others, after a comma, and "
        "restart the bot; `{program} check` counts what does not open. If the key is lost, "
        "people press Set up again under /subscriptions and type /link again.",
        "Everything that is stored can be opened.",
    ),
    TroubleKind.DATABASE_NOT_WRITABLE: NoticeText(
        "the database cannot be written",
        "{reason} New events are refused until it can, and Speckle keeps them as failed; where the "
        "bot may read the webhook's history, it fetches them from there afterwards.",
        "Look at the disk (`df -h`) and at the database, then see `{program} check`. No "
        "restart is needed once it can be written.",
        "Events are taken again. What Speckle kept as failed is being fetched where that can be "
        "done.",
    ),
    TroubleKind.DISK_LOW: NoticeText(
        "the disk of the database is nearly full",
        "{free} are left, and the margin is {margin}. With a full disk no event can be taken.",
        "Free some room (`df -h`, `du -sh data`), or keep things for a shorter time with "
        "[retention] in config.toml. The margin is free_disk_gb in [operator].",
        "There is more room than the margin again.",
    ),
    TroubleKind.CATCH_UP_TOO_SHORT: NoticeText(
        "some events may be missing for good",
        "Speckle's history of {webhooks} begins only after the last event that the bot had of it, "
        "so what happened in between cannot be fetched. The first card after the gap says so.",
        "Look at these projects in Speckle. `{program} events list` shows what came. Speckle "
        "keeps a limited number of deliveries for each webhook: the shorter the bot is off, the "
        "less can be missed.",
        "Later looks into the history found no further gap.",
    ),
    TroubleKind.SPECKLE_NOT_ANSWERING: NoticeText(
        "the Speckle server {server} does not answer",
        "{why}. Cards go out without object counts and pictures, and what is live through an "
        "account comes once it answers. Where it must be asked who may see a project, its last yes "
        "counts for an hour; after that, events are kept until it answers. Commands that ask it "
        "fail.",
        "Open {server} in a browser. If it answers there, see what `{program} check` says of "
        "it. The bot asks again by itself.",
        "Nothing that was asked of it since has gone unanswered.",
    ),
    TroubleKind.BACKUP_TOO_OLD: NoticeText(
        "there has been no backup for {age}",
        "If the disk is lost now, so is all that was set up since.",
        "Make one with `{program} backup FILE`, best by a timer. If you back up in another "
        "way, set backup_days = 0 in [operator].",
        "There is a new backup.",
    ),
}


def notice_text(notice: OperatorNotice) -> str:
    """The whole notice."""
    record = notice.record
    text, facts = TEXTS[record.kind], {**_facts(record), "program": PROGRAM}
    title = text.title.format_map(facts)
    if record.over_at is not None:
        return f"✔ Over: {title}.\n{_lasted(record.since, record.over_at)} {text.afterwards}"
    what, to_do = text.what.format_map(facts), text.to_do.format_map(facts)
    return f"⚠ Trouble: {title}.\n{what}\nSince {_moment(record.since)}. What to do: {to_do}"


def _facts(record: TroubleRecord) -> ProblemFacts:
    facts = record.facts
    match record.kind:
        case TroubleKind.DISK_LOW:
            return {
                "free": size_text(float(facts["free_bytes"])),
                "margin": size_text(float(facts["margin_bytes"])),
            }
        case TroubleKind.BACKUP_TOO_OLD:
            return {"age": counted(int(facts["age_days"]), "day")}
        case TroubleKind.CATCH_UP_TOO_SHORT:
            return {"webhooks": counted(int(facts["webhooks"]), "webhook")}
        case TroubleKind.SPECKLE_NOT_ANSWERING:
            why = str(facts["reason"])
            return {"server": facts["server"], "why": why[:1].upper() + why[1:]}
        case _:
            return {"reason": not_ready_text(_not_ready(facts))}


def _not_ready(facts: ProblemFacts) -> NotReady:
    """What was found, without the words of whatever answered."""
    why = NotReadyWhy(str(facts["problem"]))
    rest = {name: value for name, value in facts.items() if name != "problem"}
    if rest.get("reason") == SendProblem.REFUSED:
        rest["said"] = "the log has its words"
    return NotReady(why, rest)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _lasted(since: datetime, over_at: datetime) -> str:
    lasted = duration_text((over_at - since).total_seconds())
    return f"It lasted {lasted}, from {_moment(since)} to {_moment(over_at)}."
