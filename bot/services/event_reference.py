"""Which event somebody means: read from what people type, by numbers, links and times.

Discord does not say which time zone somebody is in. So a time of day fits what happened at that
time in any time zone, and the person who asks chooses from what is found.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from bot.errors import NotASpeckleLink
from bot.speckle.links import ID, parse_link

ZONE_STEPS_MIN: Final = (60, 30)  # most time zones differ by whole hours, a few by half ones
SNOWFLAKE_DIGITS: Final = 15  # of Discord's ids; events are numbered from 1 on
LARGEST_ID: Final = 2**63 - 1  # that a database keeps
NEAR: Final = timedelta(minutes=5)
FIRST_ZONE, LAST_ZONE = timedelta(hours=-12), timedelta(hours=14)
DISCORD_HOSTS: Final = frozenset({"discord.com", "ptb.discord.com", "canary.discord.com"})


@dataclass(frozen=True, slots=True)
class LastEvent:
    """The last one of the channel."""


@dataclass(frozen=True, slots=True)
class EventNumber:
    """The event with this number."""

    number: int


@dataclass(frozen=True, slots=True)
class MessageReference:
    """What a Discord message shows; `channel_id` is None where only the message's id was typed."""

    channel_id: int | None
    message_id: int


@dataclass(frozen=True, slots=True)
class ThingReference:
    """A project, or something in it, by its id: a version, a model, an issue or a thread."""

    project_id: str
    thing_id: str | None = None


@dataclass(frozen=True, slots=True)
class Moments:
    """From when to when; `minute` is the one of the hour where the time zone is not known."""

    first: datetime
    last: datetime
    minute: int | None = None

    def fits(self, at: datetime, zones_every_min: int = 60) -> bool:
        """Whether something may have happened then, in a time zone that differs by such steps."""
        if not self.first <= at <= self.last:
            return False
        if self.minute is None:
            return True
        apart = (at.minute + at.second / 60 - self.minute) % zones_every_min
        return min(apart, zones_every_min - apart) <= NEAR.total_seconds() / 60


EventReference: TypeAlias = LastEvent | EventNumber | MessageReference | ThingReference | Moments


class NotAnEventReference(ValueError):
    """What was typed names no event in any form that is known."""


def read_reference(text: str, now: datetime, servers: Collection[str] = ()) -> EventReference:
    """Which event is meant. Errors: NotAnEventReference."""
    text = " ".join(text.split()).strip("<>") if "<t:" not in text else text.strip()
    if text.lower() in LAST_WORDS:
        return LastEvent()
    number = re.fullmatch(r"(?:event )?#?(\d{1,20})", text, re.IGNORECASE)
    if number and int(number[1]) <= LARGEST_ID:
        return _number(int(number[1]))
    if "/" in text and (link := _message_link(text) or _speckle_link(text, servers)):
        return link
    for pattern, read in TIMES.items():
        if match := re.fullmatch(pattern, text, re.IGNORECASE):
            try:
                return read(match, now)
            except (ValueError, OverflowError):
                break
    raise NotAnEventReference(text)


LAST_WORDS: Final = frozenset({"", "last", "the last one", "the last", "now", "just now"})


def _number(number: int) -> EventReference:
    is_message = len(str(number)) > SNOWFLAKE_DIGITS
    return MessageReference(None, number) if is_message else EventNumber(number)


# ── links ─────────────────────────────────────────────────────────────────────────────────────


def _message_link(text: str) -> MessageReference | None:
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
    except ValueError:  # such as half an IPv6 address
        return None
    match parts.path.strip("/").split("/"):
        case ["channels", _, channel, message] if parts.hostname in DISCORD_HOSTS:
            ids = (channel, message)
            if all(re.fullmatch(r"[0-9]{15,19}", one) and int(one) <= LARGEST_ID for one in ids):
                return MessageReference(int(channel), int(message))
    return None


# The most exact part of an address first: a thread is opened beside models.
PLACES: Final = (
    r"(?:threadId|cId)=([0-9A-Za-z]{10})",
    r"/threads/([0-9A-Za-z]{10})",
    r"/commits/([0-9A-Za-z]{10})",
    r"/models/[0-9A-Za-z]{10}@([0-9A-Za-z]{10})",
    r"/models/([0-9A-Za-z]{10})",
)


def _speckle_link(text: str, servers: Collection[str]) -> ThingReference | None:
    try:
        project_id = parse_link(text.partition("#")[0], servers).project_id
    except NotASpeckleLink:
        return None
    address = unquote(text)
    found = (re.search(place, address) for place in PLACES)
    thing = next((match[1] for match in found if match is not None), None)
    return ThingReference(project_id, thing if thing and ID.fullmatch(thing) else None)


# ── times ─────────────────────────────────────────────────────────────────────────────────────

ReadTime: TypeAlias = Callable[[re.Match[str], datetime], Moments]
UNITS: Final[Mapping[str, timedelta]] = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def _exactly(match: re.Match[str], _now: datetime) -> Moments:
    return _near(datetime.fromtimestamp(int(match["moment"]), UTC))


def _ago(match: re.Match[str], now: datetime) -> Moments:
    count, unit = match["count"].lower(), UNITS[match["unit"][0].lower()]
    ago = (1 if count in ("a", "an", "one") else int(count)) * unit
    at = now - ago
    slack = max(NEAR, ago / 10)  # "2 h ago" is no minute
    return Moments(at - slack, at + slack)


def _in_words(match: re.Match[str], now: datetime) -> Moments:
    """A day by its name, with or without a time: "yesterday 14:00"."""
    day = (match["day"] or "").lower()
    clock = _clock(match)
    if not day and clock is not None:  # within the last day, wherever that is
        return Moments(now - timedelta(days=1), now, clock.minute)
    if day in WEEKDAYS:
        back = (now.weekday() - WEEKDAYS.index(day)) % 7
    else:
        back = 1 if day == "yesterday" else 0
    return _of_day(now - timedelta(days=back), clock)


def _on_date(match: re.Match[str], now: datetime) -> Moments:
    year = int(match["year"]) if match["year"] else now.year
    day = datetime(year, int(match["month"]), int(match["date"]), tzinfo=UTC)
    if not match["year"] and day > now + timedelta(days=1):
        day = day.replace(year=year - 1)
    return _of_day(day, _clock(match))


def _with_zone(match: re.Match[str], _now: datetime) -> Moments:
    text = match[0].upper().replace(" UTC", "+00:00").replace("Z", "+00:00").replace(" ", "T", 1)
    return _near(datetime.fromisoformat(text).astimezone(UTC))


def _clock(match: re.Match[str]) -> time | None:
    if match["hour"] is None:
        return None
    hour, half = int(match["hour"]), (match["half"] or "").lower()
    if half:
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    return time(hour, int(match["minute"] or 0))


def _near(at: datetime) -> Moments:
    return Moments(at - NEAR, at + NEAR)


def _of_day(day: datetime, clock: time | None) -> Moments:
    """A day, or a time of it, in whatever time zone."""
    midnight = datetime.combine(day.date(), time(), UTC)
    if clock is None:
        return Moments(midnight - LAST_ZONE, midnight + timedelta(days=1) - FIRST_ZONE)
    there = datetime.combine(day.date(), clock, UTC)
    return Moments(there - LAST_ZONE - NEAR, there - FIRST_ZONE + NEAR, clock.minute)


WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CLOCK: Final = r"(?P<hour>\d{1,2})(?:[:.h](?P<minute>\d{2}))?(?::\d{2})? ?(?P<half>[ap]\.?m\.?)?"
TIMES: Final[Mapping[str, ReadTime]] = {
    r"<t:(?P<moment>\d{1,11})(?::[a-z])?>": _exactly,
    r"(?P<count>\d{1,4}|an?|one) ?(?P<unit>s|sec|secs|seconds?|m|mins?|minutes?|h|hrs?|hours?"
    r"|d|days?|w|weeks?)(?: ago)?": _ago,
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?(?:Z| ?UTC|[+-]\d{2}:?\d{2})": _with_zone,
    rf"(?P<year>\d{{4}})-(?P<month>\d{{1,2}})-(?P<date>\d{{1,2}})(?:(?:T| |, ?| at ){CLOCK})?": (
        _on_date
    ),
    rf"(?P<date>\d{{1,2}})\.(?P<month>\d{{1,2}})\.(?P<year>\d{{4}})?(?:(?: |, ?| at ){CLOCK})?": (
        _on_date
    ),
    rf"(?:on |last )?(?P<day>today|yesterday|{'|'.join(WEEKDAYS)})(?:(?: |, ?| at ){CLOCK})?": (
        _in_words
    ),
    rf"(?P<day>)(?:at )?{CLOCK}(?: (?:today))?": _in_words,
}
