"""Why a database was not copied, in words."""

from typing import assert_never

from bot.errors import CopyProblem, DatabaseCopyError
from bot.program import PROGRAM

UNCHANGED = "Nothing was changed."


def copy_error_text(error: DatabaseCopyError) -> str:
    """What happened and what to do next."""
    what, reason = error.what, error.reason
    match error.problem:
        case CopyProblem.FILE_EXISTS:
            return (
                f"There is a file {what} already. Choose another name, or, with `backup`, add "
                "--replace."
            )
        case CopyProblem.NOT_WRITTEN:
            return (
                f"A file in {what} cannot be written: {reason}. {UNCHANGED} Make room there, or "
                "choose another folder."
            )
        case CopyProblem.NOT_READ:
            return f"{what} cannot be read: {reason}. {UNCHANGED}"
        case CopyProblem.NO_DATABASE:
            return f"There is no database in {what}. Look at the name."
        case CopyProblem.NOT_OURS:
            return f"{what} is a database, but not one of this bot. {UNCHANGED}"
        case CopyProblem.DAMAGED:
            return (
                f"{what} is damaged, or no SQLite database. {UNCHANGED} Take another backup; of a "
                "database that is used, stop the bot and look at the disk."
            )
        case CopyProblem.BOT_RUNS:
            return f"A bot runs on the database {what}. Stop it first (each process of it)."
        case CopyProblem.USED:
            return (
                f"The database {what} is used: it holds more than empty tables. {UNCHANGED} Choose "
                "an empty one, or, with `restore`, add --replace: then its content is kept in a "
                "file and replaced."
            )
        case CopyProblem.OLD_TABLES:
            return (
                f"The database has the tables of an older release, version {what} and not "
                f"{reason}. Type `{PROGRAM} migrate`, then this again."
            )
        case CopyProblem.ITS_OWN_FILE:
            return f"{what} is a file of the database itself. Choose another name."
        case CopyProblem.SAME:
            return "FROM and TO are the same database."
        case CopyProblem.COUNTS_DIFFER:
            return (
                f"The copy would not be whole ({what}), so it was not kept. {UNCHANGED} Please "
                "report it."
            )
        case _ as never:
            assert_never(never)
