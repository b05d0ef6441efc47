"""The PostgreSQL that the storage's tests use, for the bot as a process of its own."""

from tests.db.conftest import postgres

__all__ = ["postgres"]
