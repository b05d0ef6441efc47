"""Log lines: an event name and fields, for people or for machines, on standard error.

Nobody logs a secret on purpose. The two processors here are the last net under that.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from io import StringIO
from itertools import count
from secrets import randbits
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from bot.settings import Settings

HANDLER_NAME: Final = "bot"
HIDDEN: Final = "[hidden]"
MIN_SECRET: Final = 4  # shorter texts are no secrets, and hiding them would garble every line
SECRET_FIELDS: Final = re.compile(
    r"token|secret|password|authorization|signature|cookie|(^|_)keys?$", re.IGNORECASE
)
SECRET_SHAPES: Final = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        r"[\w-]{18,}\.[\w-]{5,}\.[\w-]{25,}",  # a Discord token
        r"(?<![\w-])[\w-]{43}=",  # an encryption key
        r"(?<![0-9a-zA-Z])[0-9a-f]{42}(?![0-9a-zA-Z])",  # a Speckle token
        r"(?<=/webhooks/)[^\s\"'?]+",  # a hook's key; Discord's interaction tokens
        r"(?i:(?<=bearer )|(?<=bot ))[\w.~+/-]{20,}=*",  # an Authorization header
        r"(?<=://)[^\s/@\"']+(?=@)",  # a name and password in an address
    )
)
# What moves a terminal's cursor, writes its title or turns a line around.
CONTROLS: Final = re.compile("[\\x00-\\x1f\\x7f-\\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# Named as structlog's merge_contextvars finds it: to set it alone is what a delivery has time for.
DELIVERY: Final[ContextVar[str]] = ContextVar("structlog_delivery")
DELIVERY_NUMBERS: Final = count(randbits(31))  # from elsewhere after each start
MOST_EVENTS: Final = 20  # named in one line
# What others' libraries say at these levels is chatter, a message's text or an address.
QUIET: Final = {
    "discord": logging.WARNING,
    "aiohttp.access": logging.CRITICAL,
    "alembic": logging.WARNING,
    "asyncio": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "gql": logging.WARNING,
    "PIL": logging.INFO,
    "urllib3": logging.WARNING,
}


def configure(settings: Settings) -> None:
    """Set up structlog and the standard library's logging for this process; may be called again."""
    setup(settings.log_level, settings.log_format, settings.secret_values(), sys.stderr)


def setup(level: str, form: str, secrets: Iterable[str], stream: TextIO) -> None:
    """The same with every part handed in.

    Args:
        level: "debug", "info", "warning" or "error".
        form: "console", "json", or "auto": console if the stream is a terminal.
        secrets: texts that are hidden wherever they appear.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    console = form == "console" or (form == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secret_fields,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_renderers(console, stream),
            Redactor(secrets),
        ],
    )
    _use_handler(formatter, number, stream)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _renderers(console: bool, stream: TextIO) -> list[Processor]:
    if not console:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    renderer = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=_write_traceback
    )
    return [escape_controls, renderer]


def escape_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Spell out the control characters of texts, which others may have sent."""
    return {
        name: _spelt_out(value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _write_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    """The plain one: the fancy one prints local variables, and those hold secrets."""
    text = StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    stream.write("\n".join(map(_spelt_out, text.getvalue().split("\n"))))


def _spelt_out(text: str) -> str:
    return CONTROLS.sub(lambda control: ascii(control[0])[1:-1], text)


def _use_handler(formatter: logging.Formatter, level: int, stream: TextIO) -> None:
    handler = logging.StreamHandler(stream)
    handler.name = HANDLER_NAME
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [h for h in root.handlers if h.name == HANDLER_NAME]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(max(least, level))


def about_events(inbox_ids: Iterable[int | None]) -> None:
    """Name these events in each line of the running task from now on, and of those it begins.

    Only as many as fit a line; `events_in_all` says how many there are then.
    """
    ids = [*dict.fromkeys(one for one in inbox_ids if one is not None)]
    structlog.contextvars.bind_contextvars(events=ids[:MOST_EVENTS])
    if len(ids) > MOST_EVENTS:
        structlog.contextvars.bind_contextvars(events_in_all=len(ids))


@contextmanager
def about_delivery() -> Iterator[None]:
    """Name a delivery in each line of the block, until it has become an event with an id."""
    before = DELIVERY.set(f"{next(DELIVERY_NUMBERS):08x}")
    try:
        yield
    finally:
        # The task is the connection's, and a reverse proxy sends others' requests over it too.
        DELIVERY.reset(before)


def is_debugging() -> bool:
    """Whether lines of the lowest level are written: asking costs less than such a line."""
    return logging.getLogger().isEnabledFor(logging.DEBUG)


def hide_secret_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide the value of each field whose name says that it is a secret."""
    return {name: HIDDEN if SECRET_FIELDS.search(name) else value for name, value in event.items()}


class Redactor:
    """Hides known secrets, and whatever has the shape of one, in a finished log line."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {
            form
            for secret in secrets
            if len(secret) >= MIN_SECRET
            # In a finished line a secret is written as JSON or as Python writes it.
            for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1])
        }
        # The longest first: one secret may be the beginning of another.
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, _logger: WrappedLogger, _method: str, line: str | bytes | EventDict) -> str:
        """The line without its secrets; runs last, after the renderer."""
        return self.redact(str(line))

    def redact(self, text: str) -> str:
        """The text without its secrets."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        for shape in SECRET_SHAPES:
            text = shape.sub(HIDDEN, text)
        return text
