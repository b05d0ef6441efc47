"""What became of something that was sent to Discord, as a value."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

import aiohttp
import discord

from bot.discord_api.error_codes import Meaning, meaning_of
from bot.network import why_not_reached
from bot.problems import ProblemFacts, SendProblem, SendReason

MAX_REASON: Final = 300  # characters of Discord's own words that are kept
# What a request of discord.py's can raise: a lost line comes up as it is, and over an answer that
# is not Discord's it stumbles with whatever error Python has for that. A `try` with these holds the
# one call alone: a fault of ours in it would be taken for Discord's.
DISCORD_ERRORS: Final = (
    discord.DiscordException,
    aiohttp.ClientError,
    OSError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


class Fault(StrEnum):
    """Why nothing at all can go to a channel, and so what has to change first."""

    CHANNEL_GONE = "channel_gone"
    NO_PERMISSION = "no_permission"
    THREAD_CLOSED = "thread_closed"


@dataclass(frozen=True, slots=True)
class Sent:
    """The message is there."""

    message_id: int


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Discord could not take it now; `retry_in_s` is Discord's own word, None leaves it to us.

    `refusal` names a refusal that does not speak of this channel or message, such as "403 40006":
    others that get the same one have the same problem.
    """

    reason: SendReason
    retry_in_s: float | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Discord refuses what was sent and always will; `meaning` says what that is about."""

    reason: SendReason
    meaning: Meaning = Meaning.CARD


@dataclass(frozen=True, slots=True)
class ChannelUnavailable:
    """Nothing can go to this channel until a person changes something."""

    fault: Fault
    reason: SendReason


@dataclass(frozen=True, slots=True)
class BotUnavailable:
    """Discord does not know this bot any more: nothing can be sent to anybody."""

    reason: SendReason


SendFailure = RetryLater | Rejected | ChannelUnavailable | BotUnavailable
Outcome = Sent | SendFailure

TOKEN_REFUSED: Final = BotUnavailable(SendReason(SendProblem.TOKEN_REFUSED))


def outcome_of(error: Exception, refused_by: Collection[Meaning] = ()) -> SendFailure:
    """Say what an exception of a request means.

    A code of CARD refuses what was sent; `refused_by` are the other meanings that do so here: an
    edit is refused by what speaks of its MESSAGE, a direct message by what speaks of the PERSON.
    """
    match error:
        case discord.RateLimited():
            return RetryLater(SendReason(SendProblem.SLOWER), error.retry_after)
        case discord.LoginFailure():
            return TOKEN_REFUSED
        case discord.HTTPException():
            return _of_answer(error, refused_by)
        case aiohttp.ClientSSLError():
            return RetryLater(SendReason(SendProblem.NOT_SECURE, {"why": why_not_reached(error)}))
        case OSError() | aiohttp.ClientError() | discord.DiscordException():
            return RetryLater(_failed(SendProblem.NOT_REACHED, error))
        case _:
            return RetryLater(_failed(SendProblem.UNREADABLE, error))


def _failed(problem: SendProblem, error: Exception) -> SendReason:
    return SendReason(problem, {"error": type(error).__name__})


def _of_answer(error: discord.HTTPException, refused_by: Collection[Meaning]) -> SendFailure:
    if error.status >= 500:
        return RetryLater(SendReason(SendProblem.ANSWERED, {"status": error.status}))
    if error.status == 429:
        # Not from Discord itself: nothing has failed, and the rate limiter knows how long it lasts.
        return RetryLater(SendReason(SendProblem.ADDRESS_BLOCKED), 0.0)
    if not _is_discords(error):
        return _of_page(error)
    return _of_code(error, refused_by)


def _is_discords(error: discord.HTTPException) -> bool:
    """Whether it is Discord's JSON, and not the page of a proxy or a firewall on the way."""
    return error.response.headers.get("Content-Type", "").startswith("application/json")


def _of_page(error: discord.HTTPException) -> SendFailure:
    reason = SendReason(SendProblem.NOT_DISCORD, {"status": error.status})
    if error.status == 413:  # by its definition it speaks of what was sent alone: RFC 9110
        return Rejected(reason)
    return RetryLater(reason, refusal=f"{error.status} page")


def _of_code(error: discord.HTTPException, refused_by: Collection[Meaning]) -> SendFailure:
    facts: ProblemFacts = {"status": error.status, "code": error.code, "said": _said(error)}
    reason = SendReason(SendProblem.REFUSED, facts)
    meaning = meaning_of(error.code)
    match meaning:
        case Meaning.CHANNEL_GONE:
            return ChannelUnavailable(Fault.CHANNEL_GONE, reason)
        case Meaning.NO_PERMISSION:
            return ChannelUnavailable(Fault.NO_PERMISSION, reason)
        case Meaning.THREAD_CLOSED:
            return ChannelUnavailable(Fault.THREAD_CLOSED, reason)
        case Meaning.CARD:
            return Rejected(reason)
        case Meaning.TOKEN:
            return TOKEN_REFUSED
        case Meaning.SLOWER:
            return RetryLater(reason)
        case Meaning.OTHER if error.status == 401 and error.code == 0:
            return TOKEN_REFUSED
        case Meaning.OTHER if error.status == 413:
            return Rejected(reason)
        case Meaning.MESSAGE | Meaning.PERSON | Meaning.INTERACTION if meaning in refused_by:
            return Rejected(reason, meaning)
        case (
            Meaning.MESSAGE | Meaning.PERSON | Meaning.INTERACTION | Meaning.SERVICE | Meaning.OTHER
        ):
            return RetryLater(reason, refusal=f"{error.status} {error.code}")
        case _:
            assert_never(meaning)


def error_text(error: Exception) -> str:
    """Discord's answer in one line; where there is none, the kind of error."""
    if not isinstance(error, discord.HTTPException):
        return type(error).__name__
    if not _is_discords(error):
        return f"Discord answered {error.status}"
    return f"Discord answered {error.status} ({error.code}): {_said(error)}"


def _said(error: discord.HTTPException) -> str:
    return " ".join(error.text.split())[:MAX_REASON]
