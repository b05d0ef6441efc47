"""Log lines: their form, and that no secret gets through."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Callable, Iterator

import pytest
import structlog

from bot.log import (
    HANDLER_NAME,
    HIDDEN,
    MOST_EVENTS,
    QUIET,
    about_delivery,
    about_events,
    setup,
)

TOKEN = "MTE4MDAwMDAwMDAwMDAwMDAwMQ.GabcDe.kJ8sL0pQ2rT4vW6xY8zA1bC3dE5fG7hI9jK1lM"
FERNET = "BDGfx_XtuvkOYJafd-ORqqJZQM1UtL1Uq8Fn3kqrOjs="
SpeakTo = Callable[..., io.StringIO]


@pytest.fixture(autouse=True)
def leave_no_trace() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    levels = {name: logging.getLogger(name).level for name in QUIET}
    yield
    structlog.reset_defaults()
    root.setLevel(level)
    root.handlers = [h for h in root.handlers if h.name != HANDLER_NAME]
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture
def speak_to() -> SpeakTo:
    def set_up(
        form: str = "json", level: str = "info", secrets: tuple[str, ...] = ()
    ) -> io.StringIO:
        stream = io.StringIO()
        setup(level, form, secrets, stream)
        return stream

    return set_up


def test_a_line_is_an_event_and_its_fields(speak_to: SpeakTo) -> None:
    stream = speak_to()
    structlog.get_logger().info("sender.retry_later", outbox_id=7, retry_in_s=12.5)
    said = json.loads(stream.getvalue())
    assert (said["event"], said["outbox_id"], said["retry_in_s"]) == ("sender.retry_later", 7, 12.5)
    assert said["level"] == "info"
    assert said["timestamp"].endswith("Z")


def test_other_libraries_speak_in_the_same_form(speak_to: SpeakTo) -> None:
    stream = speak_to()
    logging.getLogger("discord.gateway").warning("Shard %s went away", 0)
    logging.getLogger("discord.client").info("chatter")
    said = json.loads(stream.getvalue())
    assert (said["event"], said["logger"]) == ("Shard 0 went away", "discord.gateway")


def test_lines_below_the_level_are_not_written(speak_to: SpeakTo) -> None:
    stream = speak_to(level="warning")
    structlog.get_logger().info("app.started")
    assert stream.getvalue() == ""


def test_auto_writes_json_where_nobody_reads_along(speak_to: SpeakTo) -> None:
    stream = speak_to("auto")
    structlog.get_logger().info("app.started")
    assert json.loads(stream.getvalue())["event"] == "app.started"


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("secret", ['low "tide"\\', "naïve-ebb", "plain-ebb"])
def test_a_known_secret_is_hidden_in_every_form(form: str, secret: str, speak_to: SpeakTo) -> None:
    stream = speak_to(form, secrets=(secret,))
    log = structlog.get_logger()
    log.info("said", text=f"said {secret}", nested={"text": [f"a{secret}b"]})
    try:
        raise ValueError(secret)
    except ValueError:
        log.exception("it.failed")
    text = stream.getvalue()
    assert HIDDEN in text
    assert "Traceback" in text
    assert not any(form in text for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]))


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"logged in with {TOKEN}", TOKEN),
        (f"key {FERNET} is there", FERNET),
        ("token " + "0f" * 21, "0f" * 21),
        ("POST https://bot.example.com/webhooks/abc-DEF_123 401", "abc-DEF_123"),
        ("Authorization: Bearer abcdefghij0123456789", "abcdefghij0123456789"),
        ("postgresql+psycopg://bot:low-tide@db/bot", "low-tide"),
    ],
)
def test_what_has_the_shape_of_a_secret_is_hidden(
    text: str, secret: str, form: str, speak_to: SpeakTo
) -> None:
    stream = speak_to(form)
    logging.getLogger("somebody").warning(text)
    assert HIDDEN in stream.getvalue()
    assert secret not in stream.getvalue()


def test_a_field_that_is_named_like_a_secret_is_hidden(speak_to: SpeakTo) -> None:
    stream = speak_to()
    structlog.get_logger().info("x", webhook_secret="ebb", hook_key="ebb", monkey="wild", id=3)
    said = json.loads(stream.getvalue())
    assert (said["webhook_secret"], said["hook_key"]) == (HIDDEN, HIDDEN)
    assert (said["monkey"], said["id"]) == ("wild", 3)


def test_ordinary_lines_stay_as_they_are(speak_to: SpeakTo) -> None:
    stream = speak_to(secrets=("", "a"))
    structlog.get_logger().info("a.b", url="https://app.speckle.systems/projects/5f0c9a41b7")
    said = json.loads(stream.getvalue())
    assert said["url"] == "https://app.speckle.systems/projects/5f0c9a41b7"


def test_set_up_again_writes_each_line_once(speak_to: SpeakTo) -> None:
    first, second = speak_to(), speak_to()
    structlog.get_logger().info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_on_a_console_no_text_moves_the_cursor_or_begins_a_line(speak_to: SpeakTo) -> None:
    stream = speak_to("console")
    moves = "\x1b[2J\x9b1A\u202e\r"
    evil = f"{moves}\nfake"
    structlog.get_logger().warning("sender.rejected", said=evil, bare="\x1b[31mred", several=[evil])
    logging.getLogger("discord.gateway").warning("Shard %s", evil)
    try:
        raise ValueError(moves)
    except ValueError:
        structlog.get_logger().exception("worker.failed")
    lines = stream.getvalue().split("\n")
    assert {char for line in lines for char in line if not char.isprintable()} == set()
    assert [line for line in lines if line.startswith("fake")] == []
    assert "\\x1b[31mred" in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
async def test_lines_name_the_events_that_they_are_about_also_in_tasks_that_are_begun(
    speak_to: SpeakTo, form: str
) -> None:
    stream = speak_to(form)

    async def about_these(ids: list[int | None]) -> None:
        about_events(ids)
        await asyncio.create_task(line())

    async def line() -> None:
        structlog.get_logger().info("sender.sent")
        logging.getLogger("discord.http").warning("slower")

    await asyncio.gather(about_these([12, None, 13, 12]), about_these([7]))
    await line()
    said = re.findall(r"events\"?[:=] ?(\[.*?\])", re.sub(r"\x1b\[\d*m", "", stream.getvalue()))
    assert sorted(said) == ["[12, 13]", "[12, 13]", "[7]", "[7]"]


async def test_of_many_events_a_line_names_some_and_says_how_many_there_are(
    speak_to: SpeakTo,
) -> None:
    stream = speak_to()

    async def line() -> None:
        about_events(range(500))
        structlog.get_logger().info("sender.sent")

    await asyncio.create_task(line())
    said = json.loads(stream.getvalue())
    assert (said["events"], said["events_in_all"]) == (list(range(MOST_EVENTS)), 500)


def test_a_delivery_is_named_until_it_is_dealt_with(speak_to: SpeakTo) -> None:
    stream = speak_to()
    for _ in range(2):
        with about_delivery():
            structlog.get_logger().info("webhook.refused")
    structlog.get_logger().info("listener.up")
    first, second, then = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["delivery"] != second["delivery"]
    assert "delivery" not in then
