"""Why the sandbox does not do what a member was asked to do: what Discord's client would show.

SandboxError (LookupError)
├── NotOffered          the command, button or field is not there for this member
├── WrongOption         an option that there is not, that lacks, or with a value it does not take
├── InteractionTimeout  "the application did not respond"
└── NotEnough           fewer messages than were waited for
"""


class SandboxError(LookupError):
    """Something that a member of the sandbox Discord cannot do or does not get."""


class NotOffered(SandboxError):
    """Not there for this member."""


class WrongOption(SandboxError, ValueError):
    """Not an option, or not a value for it."""


class InteractionTimeout(SandboxError):
    """No answer came in time."""


class NotEnough(SandboxError, AssertionError):
    """Fewer messages came than were waited for."""
