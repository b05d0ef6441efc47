"""What a command refuses, as the sentence that its caller reads."""

from bot.errors import BotError


class CommandRefused(BotError):
    """A command cannot do what was asked; `message` is ready for a person, in Discord markdown.

    It says what happened, why, and what to do next. Nothing was changed.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
