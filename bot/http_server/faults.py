"""What is said of a fault, ours or a request's."""

import traceback
from typing import Final

import structlog

log = structlog.get_logger()

MALFORMED: Final = "This is not the HTTP that this server speaks."
LONG_HEAD: Final = "The request's head is longer than this server takes."
OUR_FAULT: Final = "Internal error. The bot's log has the details. Tell the person who runs it."


def log_fault(error: BaseException) -> None:
    """Log where it happened; aiohttp would log it with what the request held."""
    log.error("http.failed", error=type(error).__name__, at=_places(error))


def _places(error: BaseException) -> str:
    """Where in our code it happened, the innermost last. Its text is left out: it may quote."""
    frames = traceback.extract_tb(error.__traceback__)
    return " ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-4:])
