"""Values in columns that every database takes, and gives back as they were."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import JSON, DateTime, String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from bot.model import Consent
from bot.speckle.subscription_options import SubscriptionOptions

E = TypeVar("E", bound=StrEnum)
V = TypeVar("V", SubscriptionOptions, Consent)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite, which knows no zones, holds it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without a zone: nobody could say what it means."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the time back aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CleanText(TypeDecorator[str]):
    """Text that every database takes.

    NUL (PostgreSQL refuses it) and lone surrogates (no UTF-8 has them) come in with what strangers
    send; each becomes U+FFFD, so that one such text does not spoil the commit it shares.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be stored; enum members become plain text."""
        if value is None:
            return None
        text = str(value)
        if not text.isascii():
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text


class EnumText(TypeDecorator[E]):
    """The text of one of an enum's members."""

    impl = String
    cache_ok = True

    def __init__(self, kind: type[E]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:
        """The member's text."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:
        """The member with this text."""
        return None if value is None else self.kind(value)


class JsonValue(TypeDecorator[V]):
    """A value of one kind, as its JSON."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def __init__(self, kind: type[V]) -> None:
        super().__init__(none_as_null=True)
        self.kind: type[V] = kind

    def process_bind_param(self, value: V | None, dialect: Dialect) -> Any:
        """The value's JSON."""
        return None if value is None else value.to_json()

    def process_result_value(self, value: Any, dialect: Dialect) -> V | None:
        """The value of this JSON."""
        return None if value is None else self.kind.from_json(value)
