"""What can be the matter, as sentences: why a card was not sent, why the bot is not ready."""

from collections.abc import Mapping
from typing import Final

from bot.discord_api.gateway import REFUSALS
from bot.problems import NotReady, NotReadyWhy, ProblemFacts, SendProblem, SendReason
from bot.services.refusals import Obstacle

SEND_PROBLEMS: Final[Mapping[SendProblem, str]] = {
    SendProblem.SLOWER: "Discord asked for a slower pace",
    SendProblem.SLOWER_IN_CHANNEL: "Discord asked for a slower pace in this channel",
    SendProblem.ADDRESS_BLOCKED: "Discord blocks this machine's address",
    SendProblem.TOKEN_REFUSED: "Discord does not accept the bot's token",
    SendProblem.ANSWERED: "Discord answered {status}",
    SendProblem.REFUSED: "Discord answered {status} ({code}): {said}",
    SendProblem.NOT_DISCORD: (
        "Something between the bot and Discord answered {status}, and not Discord"
    ),
    SendProblem.NO_ANSWER: "Discord did not answer within {within_s:g} s",
    SendProblem.NOT_REACHED: "Discord could not be reached",
    SendProblem.NOT_SECURE: "Discord could not be reached: {why}",
    SendProblem.UNREADABLE: "Discord's answer could not be read",
    SendProblem.FAILED: "The bot made an error, which its log describes",
    SendProblem.CANNOT_POST: "The bot cannot post in the channel: {obstacle}",
    SendProblem.TIME_OUT: "A moderator put the bot in time-out until {until}",
    SendProblem.PERSON_ERASED: "The person who made it had their data erased",
    SendProblem.PERSON_LEFT: "The person who made it left the server",
    SendProblem.AS_WRITTEN: "{text}",
}
OBSTACLES: Final[Mapping[Obstacle, str]] = {
    Obstacle.WRONG_KIND: "it is a {kind}",
    Obstacle.PERMISSIONS: "it lacks {missing}",
    Obstacle.NOT_IN_THREAD: "it is not in this private thread",
    Obstacle.LOCKED: "the thread is locked",
    Obstacle.ARCHIVED: "the thread is archived",
    Obstacle.TIME_OUT: "a moderator put it in time-out",
}
GIVEN_UP: Final = "Tried for {tried_h} hours without success. {reason}."

NOT_READY: Final[Mapping[NotReadyWhy, str]] = {
    NotReadyWhy.WRITE_TOO_SLOW: "The database did not complete a write within {within_s:g} s.",
    NotReadyWhy.NOT_WRITABLE: "The database cannot be written: {reason}.",
    NotReadyWhy.NOT_READABLE: "The database cannot be read: {reason}.",
    NotReadyWhy.KEYS_MISSING: "{unopenable}.",
    NotReadyWhy.DISCORD_TAKES_NOTHING: (
        "Discord takes no card from the bot, for any channel: {reason}."
    ),
    NotReadyWhy.DISCORD_TOKEN_REFUSED: (
        "Discord does not accept the bot's token (401). Put a valid DISCORD_TOKEN into .env and "
        "start the bot again; everything is kept until then."
    ),
    NotReadyWhy.ADDRESS_BLOCKED: (
        "Discord blocks this machine's address (429, from Cloudflare). The bot tries again every "
        "minute; if it stays so, look for another program that calls Discord from this address."
    ),
    NotReadyWhy.TOO_MANY_REFUSED: (
        "Discord refused {most} requests within ten minutes, and bans an address after 10,000: "
        "nothing is sent until the oldest are ten minutes old. The log names what was refused."
    ),
    NotReadyWhy.LOGIN_FAILED: (
        "The bot is not logged in to Discord: {reason}. The bot tries again automatically."
    ),
    NotReadyWhy.LOGIN_NOT_NOTED: (
        "The bot is not logged in to Discord: the database is away: {reason}. The bot tries again "
        "automatically."
    ),
    NotReadyWhy.LOGIN_REFUSED: (
        "The bot is not logged in to Discord: it does not accept DISCORD_TOKEN. Copy it again from "
        "the application's Bot page into .env and start the bot again; everything is kept until "
        "then."
    ),
    NotReadyWhy.GATEWAY_SESSIONS_USED_UP: (
        "Discord's gateway: the bot has started all {total} sessions that Discord allows it in a "
        "day, and can start the next in {wait_s:.0f} s. Look for a second process with the same "
        "token, or for one that is started again and again."
    ),
    NotReadyWhy.GATEWAY_TOKEN_REFUSED: (
        "Discord's gateway: it does not accept the bot's token (4004). Put a valid DISCORD_TOKEN "
        "into .env and start the bot again; everything is kept until then."
    ),
    NotReadyWhy.GATEWAY_REFUSED: "Discord's gateway: {refusal}",
    NotReadyWhy.GATEWAY_NEVER_HEARD: (
        "Nothing has been received from Discord's gateway since the start."
    ),
    NotReadyWhy.GATEWAY_UNSTABLE: (
        "Connections to Discord's gateway do not last: {failures} in a row have ended early. The "
        "bot reconnects, with longer and longer waits; the log says how each one ended."
    ),
    NotReadyWhy.GATEWAY_SILENT: "Discord's gateway has been silent for {silence_s:.0f} s.",
    NotReadyWhy.STANDS_BY: (
        "Another process of the bot leads. This one takes deliveries, and takes its place within "
        "seconds when it ends. There is nothing to do."
    ),
}


def reason_text(reason: SendReason) -> str:
    """Why something was not sent, without a full stop but where the bot stopped trying."""
    facts = dict(reason.facts)
    if reason.problem is SendProblem.CANNOT_POST:
        facts["obstacle"] = OBSTACLES[Obstacle(str(facts["obstacle"]))].format_map(facts)
    text = SEND_PROBLEMS[reason.problem].format_map(facts)
    return GIVEN_UP.format(reason=text, **facts) if "tried_h" in facts else text


def not_ready_text(problem: NotReady) -> str:
    """What keeps the bot from its work, as a sentence."""
    return NOT_READY[problem.why].format_map(_texts(problem))


def _texts(problem: NotReady) -> ProblemFacts:
    facts = problem.facts
    match problem.why:
        case NotReadyWhy.KEYS_MISSING:
            return {"unopenable": unopenable_text(facts)}
        case NotReadyWhy.DISCORD_TAKES_NOTHING | NotReadyWhy.LOGIN_FAILED:
            return {"reason": reason_text(SendReason.from_facts(facts))}
        case NotReadyWhy.GATEWAY_REFUSED:
            return {"refusal": REFUSALS[int(facts["code"])]}
        case _:
            return facts


def unopenable_text(unopenable: ProblemFacts) -> str:
    """What the keys cannot decrypt, by kind, as a sentence without its full stop."""
    what = ", ".join(f"{n} {kind}{'s' * (n != 1)}" for kind, n in unopenable.items())
    return f"None of ENCRYPTION_KEYS can decrypt {what}"
