"""What people type to say which event they mean."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.services.event_reference import (
    EventNumber,
    EventReference,
    LastEvent,
    MessageReference,
    Moments,
    NotAnEventReference,
    ThingReference,
    read_reference,
)

NOW = datetime(2026, 11, 26, 9, 40, tzinfo=UTC)
CLOUD = "https://app.speckle.systems"
PROJECT, MODEL, VERSION, THREAD = "a1b2c3d4e5", "c1c2c3c4c5", "d1d2d3d4d5", "e1e2e3e4e5"
MESSAGE = 1575580922386841600


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", LastEvent()),
        (" the last ", LastEvent()),
        ("1234", EventNumber(1234)),
        ("Event #12", EventNumber(12)),
        (str(MESSAGE), MessageReference(None, MESSAGE)),
        (
            f"https://discord.com/channels/{MESSAGE - 2}/{MESSAGE - 1}/{MESSAGE}",
            MessageReference(MESSAGE - 1, MESSAGE),
        ),
        (
            f"<https://ptb.discord.com/channels/{MESSAGE - 2}/{MESSAGE - 1}/{MESSAGE}>",
            MessageReference(MESSAGE - 1, MESSAGE),
        ),
        (f"{CLOUD}/projects/{PROJECT}", ThingReference(PROJECT)),
        (f"{CLOUD}/projects/{PROJECT}/models/{MODEL}", ThingReference(PROJECT, MODEL)),
        (f"{CLOUD}/projects/{PROJECT}/models/{MODEL}@{VERSION}", ThingReference(PROJECT, VERSION)),
        (
            f"{CLOUD}/projects/{PROJECT}/models/{MODEL}#threadId={THREAD}",
            ThingReference(PROJECT, THREAD),
        ),
        (f"{CLOUD}/projects/{PROJECT}/threads/{THREAD}", ThingReference(PROJECT, THREAD)),
        (f"{CLOUD}/streams/{PROJECT}/commits/{VERSION}", ThingReference(PROJECT, VERSION)),
    ],
)
def test_a_number_or_a_link_names_an_event(typed: str, meant: EventReference) -> None:
    assert read_reference(typed, NOW, (CLOUD,)) == meant


@pytest.mark.parametrize(
    ("typed", "ago"),
    [
        ("20 min ago", timedelta(minutes=20)),
        ("20min", timedelta(minutes=20)),
        ("an hour ago", timedelta(hours=1)),
        ("2 h", timedelta(hours=2)),
        ("3 days ago", timedelta(days=3)),
        ("<t:1795683600:f>", timedelta(minutes=40)),
        ("<t:1795683600>", timedelta(minutes=40)),
        ("2026-11-26T10:00+01:00", timedelta(minutes=40)),
        ("2026-11-26 09:00 UTC", timedelta(minutes=40)),
        ("2026-11-26T09:00:00Z", timedelta(minutes=40)),
    ],
)
def test_a_moment_is_one_wherever_its_reader_is(typed: str, ago: timedelta) -> None:
    moments = read_reference(typed, NOW)
    assert isinstance(moments, Moments)
    assert moments.fits(NOW - ago)
    assert not moments.fits(NOW - 2 * ago)
    assert moments.minute is None


@pytest.mark.parametrize(
    ("typed", "fitting", "not_fitting"),
    [
        (
            "10:32",
            ("2026-11-26 09:32", "2026-11-25 20:34"),
            ("2026-11-26 09:20", "2026-11-24 10:32"),
        ),
        ("10.32", ("2026-11-26 09:32",), ("2026-11-26 09:20",)),
        ("14h30", ("2026-11-25 13:30",), ("2026-11-25 13:00",)),
        ("Tuesday 8:15", ("2026-11-24 07:15",), ("2026-11-25 09:15", "2026-11-17 07:15")),
        ("on thursday", ("2026-11-26 09:00",), ("2026-11-24 09:00",)),
        ("at 2pm", ("2026-11-25 13:02",), ("2026-11-25 13:20",)),
        ("yesterday 14:00", ("2026-11-25 13:00", "2026-11-26 01:58"), ("2026-11-26 09:00",)),
        ("2026-11-25, 10:32", ("2026-11-25 09:32",), ("2026-11-24 10:32", "2026-11-25 09:00")),
        ("25.11. 10:32", ("2026-11-25 09:32",), ("2026-11-26 09:32",)),
        ("25.11.2026", ("2026-11-25 00:10", "2026-11-24 20:00"), ("2026-11-27 00:00",)),
        ("1.12. 8:00", ("2025-12-01 08:00",), ("2026-12-01 08:00",)),
        ("today", ("2026-11-26 00:10",), ("2026-11-24 00:00",)),
    ],
)
def test_a_time_of_day_fits_in_any_time_zone(
    typed: str, fitting: tuple[str, ...], not_fitting: tuple[str, ...]
) -> None:
    moments = read_reference(typed, NOW)
    assert isinstance(moments, Moments)
    at = {one: datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (*fitting, *not_fitting)}
    assert {one for one in at if moments.fits(at[one])} == set(fitting)


@pytest.mark.parametrize(
    "typed",
    [
        "the facade",
        "25:99",
        "2026-02-31",
        "99999 years ago",
        "<t:99999999999999:f>",
        "https://elsewhere.example/a/b",
        "https://discord.com/channels/1/2/3",
        "9" * 30,
        "9" * 20,  # more than a database keeps
        f"https://discord.com/channels/1/{'9' * 20}/{'9' * 20}",
        "https://[::1/channels",
        "🙂",
    ],
)
def test_what_is_none_of_these_is_refused(typed: str) -> None:
    with pytest.raises(NotAnEventReference):
        read_reference(typed, NOW)
