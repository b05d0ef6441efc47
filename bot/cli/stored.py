"""What commands that read the bot's database share: opening it, and texts that can be printed."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from cryptography.fernet import Fernet

from bot.cards.text import one_line, shorten_plain
from bot.cli.migrate import require_tables
from bot.log import Redactor
from bot.settings import Settings
from bot.speckle.payloads import EMAIL, MASKED_EMAIL
from bot.storage import Storage
from bot.timing import utc_now
from bot.trace import TraceLine
from bot.trace_texts import trace_text
from bot.vault import Vault

MAX_PLACE: Final = 24


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Storage]:
    """The database that the settings name, which is left as old as it is.

    Errors: ConfigError if it has not got today's tables, StorageUnavailable, SchemaTooNew,
    SchemaTooOld.
    """
    await require_tables(settings)
    # A key of the moment: nothing is opened with it.
    vault = Vault([Fernet.generate_key().decode()])
    async with Storage.open(settings.database_url, vault, utc_now) as storage:
        yield storage


class Printable:
    """Makes what others wrote fit for a terminal: no control character, no secret, no address."""

    def __init__(self, settings: Settings) -> None:
        self._redactor = Redactor(settings.secret_values())

    def text(self, text: str | None) -> str:
        """A text of others, on one line."""
        line = one_line(text, otherwise="")
        return self._redactor.redact(EMAIL.sub(MASKED_EMAIL, line))

    def place(self, id_: int, name: str | None, sign: str = "") -> str:
        """A channel or a guild: its id, and its name beside it where that is known."""
        shown = shorten_plain(self.text(name), MAX_PLACE)
        return f"{id_} {sign}{shown}" if shown else str(id_)

    def trace_lines(self, trace: Sequence[TraceLine]) -> Iterator[str]:
        """The way of an event, a line for each step."""
        for line in trace:
            text = self.text(trace_text(line))
            yield f"  {line.at:%H:%M:%S} {line.stage:<8} {text}{_where(line)}"

    def trace_facts(self, trace: Sequence[TraceLine]) -> list[dict[str, Any]]:
        """The same as JSON."""
        return [
            {
                "at": line.at.isoformat(),
                "stage": line.stage,
                "step": line.step,
                "text": self.text(trace_text(line)),
            }
            for line in trace
        ]


def _where(line: TraceLine) -> str:
    channel_id = line.facts.get("channel_id")
    return "" if channel_id is None else f" (channel {channel_id})"
