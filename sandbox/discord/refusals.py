"""What Discord says no with: status, code, message, and for a bad form where it is bad.

Codes: https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
"""

from collections.abc import Collection, Mapping
from typing import Any

from sandbox.discord.json_types import JSON, FieldPath


class Refusal(Exception):
    """An answer in the shape of Discord's errors."""

    def __init__(
        self, status: int, code: int, message: str, errors: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors

    def forget_its_way(self) -> None:
        """Drop the traceback: the constants below are raised again and again."""
        self.__traceback__ = self.__context__ = None

    def to_json(self) -> JSON:
        """The body of the answer."""
        body: JSON = {"message": self.message, "code": self.code}
        return body if self.errors is None else body | {"errors": self.errors}


MAX_SNOWFLAKE = (1 << 63) - 1

UNAUTHORIZED = Refusal(401, 0, "401: Unauthorized")
NOT_FOUND = Refusal(404, 0, "404: Not Found")
UNKNOWN_APPLICATION = Refusal(404, 10002, "Unknown Application")
UNKNOWN_CHANNEL = Refusal(404, 10003, "Unknown Channel")
UNKNOWN_GUILD = Refusal(404, 10004, "Unknown Guild")
UNKNOWN_MEMBER = Refusal(404, 10007, "Unknown Member")
UNKNOWN_MESSAGE = Refusal(404, 10008, "Unknown Message")
UNKNOWN_USER = Refusal(404, 10013, "Unknown User")
UNKNOWN_WEBHOOK = Refusal(404, 10015, "Unknown Webhook")
UNKNOWN_INTERACTION = Refusal(404, 10062, "Unknown interaction")
UNKNOWN_EMOJI = Refusal(404, 10014, "Unknown Emoji")
UNKNOWN_COMMAND = Refusal(404, 10063, "Unknown application command")
TOO_MANY_EMOJIS = Refusal(400, 30008, "Maximum number of emojis reached (2000)")
TOO_MANY_COMMANDS = Refusal(400, 30032, "Maximum number of application commands reached")
TOO_LARGE = Refusal(413, 40005, "Request entity too large")
ALREADY_ANSWERED = Refusal(400, 40060, "Interaction has already been acknowledged.")
MISSING_ACCESS = Refusal(403, 50001, "Missing Access")
NOT_THE_AUTHOR = Refusal(403, 50005, "Cannot edit a message authored by another user")
EMPTY_MESSAGE = Refusal(400, 50006, "Cannot send an empty message")
NO_PRIVATE_MESSAGES = Refusal(403, 50007, "Cannot send messages to this user")
NOT_A_TEXT_CHANNEL = Refusal(400, 50008, "Cannot send messages in a non-text channel")
MISSING_PERMISSIONS = Refusal(403, 50013, "Missing Permissions")
WRONG_CHANNEL_TYPE = Refusal(400, 50024, "Cannot execute action on this channel type")
INVALID_WEBHOOK_TOKEN = Refusal(401, 50027, "Invalid Webhook Token")
THREAD_ARCHIVED = Refusal(400, 50083, "Thread is archived")
INVALID_JSON = Refusal(400, 50109, "The request body contains invalid JSON.")
UNKNOWN_TAG = Refusal(404, 10087, "Unknown tag")
COMMAND_NAME_TAKEN = Refusal(400, 40041, "An application command with that name already exists")
INVALID_STICKER = Refusal(400, 50081, "Invalid sticker sent")
NO_HISTORY_TO_REPLY = Refusal(
    400, 160002, "Cannot reply without permission to read message history"
)
NO_EDIT_OF_A_POLL = Refusal(400, 520003, "Cannot edit a poll message")
NOT_A_POLL = Refusal(400, 520006, "Cannot expire a non-poll message")
HAS_THREAD = Refusal(400, 160004, "A thread has already been created for this message")
THREAD_LOCKED = Refusal(400, 160005, "Thread is locked")


class Form:
    """Collects what is wrong with a body, and where; paths start at `prefix`."""

    def __init__(self, prefix: FieldPath = ()) -> None:
        self._prefix = prefix
        self._errors: JSON = {}

    def add(self, path: FieldPath, code: str, message: str) -> None:
        """Note one fault."""
        node = self._errors
        for step in (*self._prefix, *path):
            node = node.setdefault(str(step), {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def length(self, path: FieldPath, value: Any, most: int, least: int = 0) -> None:
        """A text of `least` to `most` units; None passes where nothing is asked for."""
        if value is None and least == 0:
            return
        if value is None or (isinstance(value, str) and not value.strip()):
            if least:
                self.required(path)
        elif not isinstance(value, str):
            self.add(path, "STRING_TYPE_CONVERT", f'Could not interpret "{value}" as string.')
        elif not least <= units(value) <= most:
            self._bad_length(path, most, least)

    def _bad_length(self, path: FieldPath, most: int, least: int) -> None:
        if least:
            text = f"Must be between {least} and {most} in length."
            self.add(path, "BASE_TYPE_BAD_LENGTH", text)
        else:
            self.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")

    def required(self, path: FieldPath) -> None:
        """Note that something has to be there."""
        self.add(path, "BASE_TYPE_REQUIRED", "This field is required")

    def choices(self, path: FieldPath, allowed: str) -> None:
        """Note that the value is none of the allowed ones."""
        self.add(path, "BASE_TYPE_CHOICES", f"Value must be one of {{{allowed}}}.")

    def between(self, path: FieldPath, value: Any, least: int, most: int) -> None:
        """A number of `least` to `most`; None passes."""
        if value is not None and value < least:
            text = f"int value should be greater than or equal to {least}."
            self.add(path, "NUMBER_TYPE_MIN", text)
        elif value is not None and value > most:
            text = f"int value should be less than or equal to {most}."
            self.add(path, "NUMBER_TYPE_MAX", text)

    def whole(self, path: FieldPath, value: Any, least: int, most: int) -> None:
        """A whole number of `least` to `most`; None passes."""
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            self.add(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
        else:
            self.between(path, value, least, most)

    def snowflake(self, path: FieldPath, value: Any) -> None:
        """An id, as a text or as a number."""
        is_number = isinstance(value, str | int) and not isinstance(value, bool)
        text = str(value) if is_number else ""
        if not (text.isascii() and text.isdecimal() and int(text) <= MAX_SNOWFLAKE):
            self.add(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')

    def one_of_each(
        self, path: FieldPath, value: Any, allowed: Collection[Any], least: int = 0
    ) -> None:
        """A list of allowed values, none of them twice; None passes."""
        if value is None:
            return
        entries = self.items(path, value, len(allowed), least)
        for index, one in enumerate(entries):
            if isinstance(one, bool) or not isinstance(one, str | int) or one not in allowed:
                self.choices((*path, index), ", ".join(map(str, sorted(allowed))))
        if len(entries) != len(set(map(str, entries))):
            self.add(path, "SET_TYPE_ALREADY_CONTAINS_VALUE", "The set already contains it.")

    def items(self, path: FieldPath, value: Any, most: int, least: int = 0) -> list[Any]:
        """The entries of a list that has `least` to `most` of them; [] where it is no list."""
        if value is None and least == 0:
            return []
        if not isinstance(value, list):
            self.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType.")
            return []
        if not least <= len(value) <= most:
            self._bad_length(path, most, least)
        return value

    def finish(self) -> None:
        """Raise 50035 if anything was noted."""
        if self._errors:
            raise Refusal(400, 50035, "Invalid Form Body", self._errors)


def units(text: str) -> int:
    """Length in UTF-16 units: the strictest way in which Discord might count ?."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
