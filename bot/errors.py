"""Everything that can go wrong, as facts; its sentence is made where a person reads it.

BotError
├── ConfigError            settings that cannot be used
├── StorageError
│   ├── StorageUnavailable   the database cannot read or write now
│   ├── SchemaTooNew         the database was made by a newer bot
│   ├── SchemaTooOld         the database was made long before the first release
│   ├── HookGone             the hook that a delivery came through has been removed since
│   ├── DatabaseCopyError    a database is not copied, backed up or put back, and why
│   ├── AlreadyFinished      another process has finished the same events
│   └── SealError            a sealed value does not open
├── NotADelivery           a request body that is no Speckle delivery
├── NotASpeckleLink        text that is not a project id and not a Speckle link
├── SpeckleError           what a Speckle server answers instead of what was asked
│   ├── SpeckleUnavailable   no usable answer in time: down, hanging, busy; trying later may help
│   │   └── SpeckleFault     it answers, and fails at this one question
│   │       └── AnswerUnreadable   its answer is nested too deeply, or holds too long a number
│   ├── AccountUnopenable    the account's token is sealed, and the bot's keys do not open it
│   ├── AccountUnconfirmed   its person has not confirmed it yet: a restored backup
│   ├── SpeckleTokenRefused  the token is not valid (any more)
│   ├── SpeckleScopeMissing  the token lacks a scope
│   ├── SpeckleForbidden     the account may not do that, or may not see the project
│   ├── SpeckleNotFound      there is no such project, model, version, comment or webhook
│   ├── SpeckleRejected      the question itself is refused: wrong for this server's release
│   │   └── SpeckleUnknownQuestion   it has nothing of what is asked for
│   └── SpeckleUnconfirmed   the server does not know the event yet, or it never happened
└── WorkerFailed           a worker of the running bot ended, and the bot with it
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class BotError(Exception):
    """The root of every error that this project raises."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One unusable setting: where it is, what is wrong and what to do about it."""

    where: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} {self.hint}"


class ConfigError(BotError):
    """One or more settings cannot be used; `problems` holds them all."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class StorageError(BotError):
    """The database did not do what was asked."""


class StorageUnavailable(StorageError):
    """The database cannot be reached, is locked, read-only or full; trying again may help.

    `lasting`: it will not, until somebody changes something such as a password.
    """

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lasting = lasting


class CopyProblem(Enum):
    """Why a database is not copied."""

    FILE_EXISTS = auto()
    NOT_REPLACED = auto()  # a file that is no database
    NOT_WRITTEN = auto()  # the file that was to be made
    NOT_READ = auto()  # the file that was named, or the database
    NO_DATABASE = auto()
    NOT_OURS = auto()  # a database of another program
    DAMAGED = auto()
    BOT_RUNS = auto()
    USED = auto()  # the one to be filled
    OLD_TABLES = auto()
    SAME = auto()
    ITS_OWN_FILE = auto()  # a file of the database, named as a backup of it
    COUNTS_DIFFER = auto()


class DatabaseCopyError(StorageError):
    """A database was not copied, backed up or put back; all is as it was.

    `what`: the file or database that it is about, or a detail. `command`: what a person typed.
    """

    command: str = ""

    def __init__(self, problem: CopyProblem, what: str, reason: str = "") -> None:
        super().__init__(f"{problem.name.lower()}: {what} {reason}".strip())
        self.problem = problem
        self.what = what
        self.reason = reason


class SchemaTooNew(StorageError):
    """The database has a schema version that this release does not know."""

    def __init__(self, found: str) -> None:
        super().__init__(f"unknown schema version {found}")
        self.found = found


class SchemaTooOld(StorageError):
    """The database is from before the first release; the bot of `commit` brings it a step on."""

    def __init__(self, found: str, commit: str) -> None:
        super().__init__(f"schema version {found} is from before the first release")
        self.found = found
        self.commit = commit


class AlreadyFinished(StorageError):
    """Another process has finished the same events: nothing was written."""


class HookGone(StorageError):
    """The hook that a delivery came through has been removed since."""


class SealError(StorageError):
    """A sealed value opens with none of the keys, or belongs to something else."""


class NotADelivery(BotError):
    """A request body is not what a Speckle server sends; `reason` says in what."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotASpeckleLink(BotError):
    """A text is not a project id and not an address on a Speckle server."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(why)
        self.text = text
        self.why = why


class SpeckleError(BotError):
    """What a Speckle server answered instead; `reason` is short, ends without a full stop and
    holds no secret and no text that a user of the server typed.
    """

    def __init__(self, server_url: str, reason: str) -> None:
        super().__init__(f"{server_url}: {reason}")
        self.server_url = server_url
        self.reason = reason


class SpeckleUnavailable(SpeckleError):
    """A Speckle server is down, stalls or is busy; `retry_in_s` is its own word, if it gave one."""

    def __init__(self, server_url: str, reason: str, retry_in_s: float | None = None) -> None:
        super().__init__(server_url, reason)
        self.retry_in_s = retry_in_s


class SpeckleOutOfOrder(SpeckleUnavailable):
    """A proxy answers in place of the server, which is away."""


class SpeckleServerLeftOut(SpeckleUnavailable):
    """The person who runs the bot does not name the server any more, so it was not asked."""

    def __init__(self, server_url: str) -> None:
        super().__init__(server_url, "SPECKLE_SERVERS does not name it")


class SpeckleFault(SpeckleUnavailable):
    """The server answers, and something went wrong inside of it over this one question."""


class AnswerUnreadable(SpeckleFault):
    """The answer holds what no reader of JSON takes, and would the next time: ask for less."""


class AccountUnopenable(SpeckleError):
    """The token is sealed with a key that the bot no longer has, so the server was not asked."""

    def __init__(self, server_url: str) -> None:
        super().__init__(server_url, "the bot's encryption keys cannot decrypt the account's token")


class AccountUnconfirmed(SpeckleError):
    """The database was restored from a copy, and the account's person has not confirmed it yet.

    So the server was not asked.
    """

    def __init__(self, server_url: str) -> None:
        super().__init__(server_url, "its person has not confirmed the account yet after a restore")


class SpeckleTokenRefused(SpeckleError):
    """The token was never valid, has run out or was revoked."""


class SpeckleScopeMissing(SpeckleError):
    """The token is valid and lacks the scope `scope`, such as "streams:write"."""

    def __init__(self, server_url: str, scope: str) -> None:
        super().__init__(server_url, f"the token lacks the scope {scope}")
        self.scope = scope


class SpeckleForbidden(SpeckleError):
    """The account may not do that, or may not see the project at all."""


class SpeckleNotFound(SpeckleError):
    """It does not exist there, or this account cannot see it."""


NOT_FOR_ACCOUNT: Final = (SpeckleScopeMissing, SpeckleForbidden, SpeckleNotFound)
"""What a server says where a valid token is not enough."""
ACCOUNT_REFUSED: Final = (
    AccountUnopenable,
    AccountUnconfirmed,
    SpeckleTokenRefused,
    *NOT_FOR_ACCOUNT,
)
"""What one account cannot do and another one perhaps can."""


class SpeckleRejected(SpeckleError):
    """The server understands the question otherwise than this release of the bot means it."""


class SpeckleUnknownQuestion(SpeckleRejected):
    """The server has nothing of what is asked for, such as one of an older or newer release."""


class SpeckleUnconfirmed(SpeckleError):
    """The server knows of nothing like the event that is as new as the event says."""


class WorkerFailed(BotError):
    """A worker ended although it must not; the log says why."""

    def __init__(self, worker: str) -> None:
        super().__init__(worker)
        self.worker = worker
