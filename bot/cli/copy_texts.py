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
            or_replace = ", or add --replace" if error.command == "backup" else ""
            return f"There is a file {what} already. Choose another name{or_replace}."
        case CopyProblem.NOT_REPLACED:
            return (
                f"{what} is no backup of this bot, and only such a file is replaced. {UNCHANGED} "
                "Choose another name."
            )
        case CopyProblem.NOT_WRITTEN:
            return (
                f"A file in {what} cannot be written: {reason}. {UNCHANGED} Make room there, or "
                "choose another folder."
            )
        case CopyProblem.NOT_READ:
            return f"{what} cannot be read: {reason}. {UNCHANGED} Look at its name and permissions."
        case CopyProblem.NO_DATABASE:
            of_settings = (
                "" if error.command == "restore" else " The settings name it in DATABASE_URL."
            )
            return f"There is no database in {what}. Look at the name.{of_settings}"
        case CopyProblem.NOT_OURS:
            return f"{what} is a database, but not one of this bot. {UNCHANGED} Look at the name."
        case CopyProblem.DAMAGED:
            instead = (
                "Take another backup."
                if error.command == "restore"
                else f"Stop the bot, look at the disk, and put a backup back: `{PROGRAM} restore`."
            )
            return f"{what} is damaged, or no SQLite database. {UNCHANGED} {instead}"
        case CopyProblem.BOT_RUNS:
            stop = "Stop it first (each process of it)."
            return f"A bot runs on the database {what}. {UNCHANGED} {stop}"
        case CopyProblem.USED:
            instead = (
                "Add --replace: then its content is kept in a file, and replaced."
                if error.command == "restore"
                else "Name an empty one as TO."
            )
            used = f"The database {what} is used: it holds more than empty tables."
            return f"{used} {UNCHANGED} {instead}"
        case CopyProblem.OLD_TABLES:
            return (
                f"The database has the tables of an older release, version {what} and not "
                f"{reason}. Type `{PROGRAM} migrate`, then this again."
            )
        case CopyProblem.ITS_OWN_FILE:
            return f"{what} is a file of the database itself. {UNCHANGED} Choose another name."
        case CopyProblem.SAME:
            return f"FROM and TO are the same database. {UNCHANGED} Name an empty one as TO."
        case CopyProblem.COUNTS_DIFFER:
            return (
                f"The copy would not be whole ({what}), so it was not kept. {UNCHANGED} Please "
                "report it."
            )
        case _ as never:
            assert_never(never)
