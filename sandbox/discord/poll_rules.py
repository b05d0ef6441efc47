"""What Discord asks of polls: https://discord.com/developers/docs/resources/poll."""

from datetime import datetime, timedelta

from sandbox.discord.emoji_rules import KnownParts, check_emoji
from sandbox.discord.guilds import Poll
from sandbox.discord.json_types import JSON
from sandbox.discord.refusals import Form

MAX_QUESTION = 300
MAX_ANSWER = 55
MAX_ANSWERS = 10
MAX_HOURS = 32 * 24
USUAL_HOURS = 24
LAYOUT = 1


def check_poll(form: Form, poll: JSON | None, known: KnownParts) -> None:
    """Check the poll of a new message; None is no poll."""
    if poll is None:
        return
    question = poll.get("question") or {}
    form.length(("poll", "question", "text"), question.get("text"), MAX_QUESTION, 1)
    answers = form.items(("poll", "answers"), poll.get("answers"), MAX_ANSWERS, 1)
    for index, answer in enumerate(answers):
        path = ("poll", "answers", index, "poll_media")
        media = answer.get("poll_media") or {}
        form.length((*path, "text"), media.get("text"), MAX_ANSWER, 1)
        check_emoji(form, (*path, "emoji"), media.get("emoji"), known)
    form.between(("poll", "duration"), poll.get("duration"), 1, MAX_HOURS)
    if poll.get("layout_type") not in (None, LAYOUT):
        form.choices(("poll", "layout_type"), str(LAYOUT))


def opened(poll: JSON, now: datetime) -> Poll:
    """The poll of a checked request, as it begins."""
    hours = poll.get("duration") or USUAL_HOURS
    return Poll(
        question=poll["question"]["text"],
        answers=[answer["poll_media"] for answer in poll["answers"]],
        expires_at=now + timedelta(hours=hours),
        allow_multiselect=bool(poll.get("allow_multiselect")),
    )
