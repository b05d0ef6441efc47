"""Each thing that can be the matter has a sentence, and what is stored reads as before."""

import ast
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from string import Formatter

import pytest

import bot
from bot.permissions import ChannelKind, ChannelPermission
from bot.problem_texts import NOT_READY, OBSTACLES, SEND_PROBLEMS, not_ready_text, reason_text
from bot.problems import NotReady, NotReadyWhy, SendProblem, SendReason
from bot.services.refusals import CannotPost, Obstacle
from bot.trace_texts import FILTERS, MISSING, STEPS

REFUSED = SendReason(
    SendProblem.REFUSED, {"status": 400, "code": 50035, "said": "Invalid {Form} Body"}
)


@pytest.mark.parametrize(
    ("words", "texts"),
    [(SendProblem, SEND_PROBLEMS), (NotReadyWhy, NOT_READY), (Obstacle, OBSTACLES)],
)
def test_each_word_has_a_text(words: type[StrEnum], texts: Mapping[StrEnum, str]) -> None:
    assert list(texts) == list(words)


def test_each_word_is_said_somewhere() -> None:
    files = [
        path for path in Path(bot.__file__).parent.rglob("*.py") if path.name != "problem_texts.py"
    ]
    code = "".join(path.read_text() for path in files)
    words = [word for kind in (SendProblem, NotReadyWhy, Obstacle) for word in kind]
    assert [word for word in words if f"{type(word).__name__}.{word.name}" not in code] == []


def test_no_fact_has_the_name_of_a_field_that_is_logged_next_to_it() -> None:
    """Such a call raises, there where something is the matter already."""
    tables = (SEND_PROBLEMS, NOT_READY, OBSTACLES, STEPS, FILTERS, MISSING)
    texts = [text for table in tables for text in table.values()]
    facts = {name for text in texts for _, name, _, _ in Formatter().parse(text) if name}
    calls = [
        call
        for path in Path(bot.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("log.")
    ]
    beside = [
        {word.arg for word in call.keywords if word.arg}
        for call in calls
        if any(word.arg is None for word in call.keywords)
    ]
    assert beside
    assert [names & facts for names in beside if names & facts] == []


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (REFUSED, "Discord answered 400 (50035): Invalid {Form} Body"),
        (
            SendReason(SendProblem.ANSWERED, {"status": 503, "tried_h": 48}),
            "Tried for 48 hours without success. Discord answered 503.",
        ),
        (
            SendReason(SendProblem.NO_ANSWER, {"within_s": 120.0}),
            "Discord did not answer within 120 s",
        ),
        (
            SendReason(
                SendProblem.CANNOT_POST,
                CannotPost(
                    73,
                    ChannelKind.TEXT,
                    Obstacle.PERMISSIONS,
                    (ChannelPermission.EMBED_LINKS, ChannelPermission.ATTACH_FILES),
                ).to_facts(),
            ),
            "The bot cannot post in the channel: it lacks Embed Links, Attach Files",
        ),
    ],
)
def test_a_stored_reason_is_shown_as_a_sentence(reason: SendReason, text: str) -> None:
    assert SendReason.from_stored(reason.to_stored()) == reason
    assert reason_text(SendReason.from_stored(reason.to_stored())) == text


@pytest.mark.parametrize(
    "stored",
    [
        "Tried for 48 hours without success. Discord answered 503: {no}.",
        "{a sentence in braces}",
        '{"reason": "refused", "said": "cut o',
        '{"reason": "a word of a newer release"}',
        '{"no": "reason"}',
        "[404]",
        "50013",
        "",
    ],
)
def test_what_was_stored_otherwise_is_shown_as_it_is(stored: str) -> None:
    reason = SendReason.from_stored(stored)
    assert (reason_text(reason), reason.until) == (stored, None)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (
            NotReady(NotReadyWhy.KEYS_MISSING, {"webhook secret": 2, "linked account": 1}),
            "None of ENCRYPTION_KEYS can decrypt 2 webhook secrets, 1 linked account.",
        ),
        (
            NotReady(NotReadyWhy.WRITE_TOO_SLOW, {"within_s": 3.0}),
            "The database did not complete a write within 3 s.",
        ),
        (
            NotReady(NotReadyWhy.LOGIN_FAILED, REFUSED.to_facts()),
            (
                "The bot is not logged in to Discord: Discord answered 400 (50035): Invalid "
                "{Form} Body. The bot tries again automatically."
            ),
        ),
        (
            NotReady(NotReadyWhy.GATEWAY_REFUSED, {"code": 4012}),
            (
                "Discord's gateway: Discord no longer speaks the version of its gateway that the "
                "bot asks for (4012). Update the bot."
            ),
        ),
    ],
)
def test_what_keeps_the_bot_from_its_work_is_a_sentence(problem: NotReady, text: str) -> None:
    assert not_ready_text(problem) == text
