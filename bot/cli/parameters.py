"""What hosts type behind commands: ids, and times to begin with."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

SINCE_FORMS: Final = "30m, 2h, 3d, 2026-11-25, 2026-11-25T10:30 (UTC)"
UNITS: Final[Mapping[str, timedelta]] = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


class Since(click.ParamType[datetime]):
    """A time to begin with: how long ago, or a date and time (UTC unless it names a zone)."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The time. Errors: click.BadParameter."""
        if isinstance(value, datetime):
            return value
        ago = re.fullmatch(r"(\d{1,5}) ?(m|h|d|w)(?:in|ours?|ays?|eeks?)?", value.strip())
        try:
            if ago is not None:
                return datetime.now(UTC) - int(ago[1]) * UNITS[ago[2]]
            at = datetime.fromisoformat(value.strip())
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time. Write one as {SINCE_FORMS}.", param, ctx)


class StoredId(click.types.IntParamType):
    """An id as Discord and the database have them, which are no larger than this."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Errors: click.BadParameter."""
        number: int = super().convert(value, param, ctx)
        if not 0 < number < 2**63:
            self.fail(f"{number} is no id. Ids are numbers such as those that lists show.")
        return number


STORED_ID = StoredId()
