"""What each delivery looks like in a channel, kept as text that a person can read.

After a wanted change: WRITE_CARDS=1 pytest tests/cards/test_recorded_cards.py, then read each file
as a member of the channel would.
"""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.cards.card import Card, Field
from bot.cards.notes import CardNote, NoteKind
from bot.cards.pictures import with_image
from bot.cards.render import fill_in, new_title, render
from bot.speckle.events import Delivery, ModelRef, ResourceRef, SpeckleUser
from bot.speckle.facts import CommentFacts, PreviousVersion, ReceivedFacts, VersionFacts
from tests.cards.conftest import RECEIVED_AT, SERVER_URL, shown

NOTHING = "(no card: nothing changed)\n"


def test_each_delivery_gives_the_expected_card(
    fixture_name: str,
    deliveries: dict[str, Delivery],
    cards_folder: Path,
) -> None:
    delivery = deliveries[fixture_name]
    card = render(shown(delivery, server_url=delivery.server_url or SERVER_URL))
    text = NOTHING if card is None else _as_text(card)
    path = cards_folder / f"{fixture_name}.txt"
    if os.environ.get("WRITE_CARDS"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


def _as_text(card: Card) -> str:
    icon = f"[author's picture {card.author_icon}]\n" if card.author_icon else ""
    return f"{icon}{card.plain_text()}\n"


def test_each_expected_card_belongs_to_a_delivery(
    deliveries: dict[str, Delivery], cards_folder: Path
) -> None:
    assert {path.stem for path in cards_folder.glob("*.txt")} == set(deliveries)


def test_a_new_version_says_what_the_server_knows_of_it(deliveries: dict[str, Delivery]) -> None:
    facts = VersionFacts(object_count=12345, previous=PreviousVersion("0000000000"))
    card = render(shown(deliveries["commit_create"], facts=facts))
    assert card is not None
    fields = {field.name: field.value for field in card.fields}
    assert fields["Objects"] == "12,345"
    assert fields["Version before"] == (
        "[0000000000](https://speckle.studio-kestrel.example/projects/7e14d973e6/models/193f26c0fa"
        "@0000000000)"
    )


def test_links_lead_to_the_pinned_server_whatever_the_payload_says(
    deliveries: dict[str, Delivery],
) -> None:
    card = render(shown(deliveries["commit_create"]))
    assert card is not None
    assert "127.0.0.1" not in str(card.to_json())
    assert card.url is not None
    assert card.url.startswith("https://speckle.studio-kestrel.example/projects/7e14d973e6/")


def test_a_models_name_that_is_known_replaces_its_id(deliveries: dict[str, Delivery]) -> None:
    names = {"193f26c0fa": "structure/level 1"}
    card = render(shown(deliveries["comment_created"], model_names=names))
    assert card is not None
    assert card.fields[0].name == "On"
    assert card.fields[0].value.startswith("[structure/level 1](")


def test_the_pipelines_notes_stand_below_the_event(deliveries: dict[str, Delivery]) -> None:
    card = render(
        shown(deliveries["stream_delete"], notes=(CardNote(NoteKind.SENTENCE, "It *works*."),))
    )
    assert card is not None
    assert card.description.endswith("\n\nIt \\*works\\*.")


@pytest.mark.parametrize("kind", NoteKind)
def test_a_note_is_kept_by_a_word_and_comes_back_with_its_sentence(kind: NoteKind) -> None:
    note = CardNote.at(kind, RECEIVED_AT)
    assert CardNote.from_stored(note.to_stored()) == note


@pytest.mark.parametrize(
    "stored",
    [
        "not_delivered:2026-11-24T09:30:00+00:00",
        "not_delivered:2026-11-24 at 09:30",  # as an older version kept it
        "not_delivered:2026-11-24 09:30",
    ],
)
def test_a_time_in_a_note_is_each_readers_own(stored: str) -> None:
    assert CardNote.from_stored(stored).text == (
        "Delayed: this happened <t:1795512600:R>, and Speckle could not deliver it then."
    )


def test_a_sentence_that_an_older_release_kept_is_shown_as_it_is() -> None:
    assert CardNote.from_stored("Delayed: on 9:30 UTC.").text == "Delayed: on 9:30 UTC."


def test_no_card_shows_an_address_or_what_else_is_private(
    fixture_name: str, deliveries: dict[str, Delivery]
) -> None:
    card = render(shown(deliveries[fixture_name]))
    text = "" if card is None else str(card.to_json())
    for private in ("reyes-mep", "203.0.113", "suuid", "6a3c1f0e", "ee812a88", "maren@"):
        assert private not in text
        assert private not in repr(deliveries[fixture_name])


def test_the_same_card_comes_back_from_json(
    fixture_name: str, deliveries: dict[str, Delivery]
) -> None:
    card = render(shown(deliveries[fixture_name]))
    if card is not None:
        assert Card.from_json(card.to_json(), card.pictures) == card


def test_a_picture_that_is_gone_is_not_named_by_the_card(deliveries: dict[str, Delivery]) -> None:
    card = render(shown(deliveries["federated_comment"]))
    assert card is not None
    assert card.image is not None
    assert len(card.pictures) == 2
    bare = Card.from_json(card.to_json(), ())
    assert (bare.image, bare.author_icon, bare.pictures) == (None, None, ())


def test_hostile_texts_are_escaped_wherever_discord_reads_markdown(
    deliveries: dict[str, Delivery],
) -> None:
    card = render(shown(deliveries["hostile_texts"]))
    assert card is not None
    assert card.title == (
        r"New model: \@everyone \*\*bold\*\* \[click\](https\://evil.example) gnp.exe"
    )
    assert card.fields[0].value == (
        "\\# Big\n\\> quote\n\\- list\n1\\. one\n\\<\\@123> \\<#4> \\<t:0:R> \\|\\|spoiler\\|\\| "
        "\\`code\\`\nhttps://docs.studio-kestrel.example/a_b_c?x=1\n"
        "\\@here \\[mask\\](<https://evil.example>)"
    )
    assert card.author_name == "*Maren* @here"
    assert card.footer == "Harbour Tower @everyone · speckle.studio-kestrel.example"
    assert card.author_icon is None


MODEL_PAGE = "https://speckle.studio-kestrel.example/projects/7e14d973e6/models/193f26c0fa"
VERSION = f"{MODEL_PAGE}@303fecc468"


def test_a_new_version_with_all_that_the_server_knows(deliveries: dict[str, Delivery]) -> None:
    facts = VersionFacts(
        object_count=214,
        previous=PreviousVersion("0000000000", RECEIVED_AT - timedelta(days=3, hours=2)),
        open_threads=2,
    )
    card = render(shown(deliveries["commit_create"], facts=facts))
    assert card is not None
    assert card.plain_text().splitlines()[2:] == [
        '> First version: "fixed" walls & doors',
        "> second line 🧱",
        "Application: Revit 2025",
        "Objects: 214",
        (
            "Version before: 0000000000 <https://speckle.studio-kestrel.example/projects/7e14d973e6/"
            "models/193f26c0fa@0000000000> · 2026-11-21 07:30 UTC"
        ),
        "Open threads: 2",
        f"[Open in Speckle <{VERSION}>] [Compare]",
        (
            'Tower "B" <Ünïcödé> 🏗️ \\ back`tick` @everyone · speckle.studio-kestrel.example · '
            "2026-11-24 09:30"
        ),
    ]


def test_who_did_it_is_said_by_id_until_the_name_is_known(
    deliveries: dict[str, Delivery],
) -> None:
    nameless = SpeckleUser("a1f47c02d9")
    delivery = replace(deliveries["commit_create"], actor=nameless)
    sent = render(shown(delivery))
    assert sent is not None
    assert sent.author_name == "Speckle user a1f47c02d9"
    filled = fill_in(sent, shown(delivery, person_names={nameless.id: "Maren Oduya"}))
    assert filled.author_name == "Maren Oduya"
    nobody = replace(delivery, actor=None)
    sent = render(shown(nobody))
    assert sent is not None
    assert sent.author_name is None
    facts = VersionFacts(author=SpeckleUser("a1f47c02d9", "Maren Oduya"))
    assert fill_in(sent, shown(nobody, facts=facts)).author_name == "Maren Oduya"


def test_a_button_whose_address_discord_would_refuse_is_left_out(
    deliveries: dict[str, Delivery],
) -> None:
    facts = VersionFacts(previous=PreviousVersion("0000000000"))
    for length, labels in ((300, 2), (500, 1)):
        server = f"https://{'a.' * (length // 2)}example"
        card = render(shown(deliveries["commit_create"], facts=facts, server_url=server))
        assert card is not None
        assert len(card.buttons) == labels


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("commit_create", VersionFacts()),
        ("commit_create", VersionFacts(previous=PreviousVersion("303fecc468"))),
        ("old_server_version", VersionFacts(previous=PreviousVersion("0000000000"))),
    ],
)
def test_versions_that_cannot_be_compared_have_no_button_for_that(
    name: str, facts: VersionFacts, deliveries: dict[str, Delivery]
) -> None:
    card = render(shown(deliveries[name], facts=facts))
    assert card is not None
    assert [button.label for button in card.buttons] == ["Open in Speckle"]


THREAD = CommentFacts("63e7c0f5c7", "Clash at *grid* C4", (ResourceRef("193f26c0fa"),))


@pytest.mark.parametrize(
    "name", ["comment_replied", "comment_archived", "comment_unarchived", "hidden_comment_mention"]
)
def test_a_thread_is_known_by_what_it_is_on_and_by_its_first_line(
    name: str, deliveries: dict[str, Delivery]
) -> None:
    names = {"193f26c0fa": "structure/level 1"}
    card = render(shown(deliveries[name], facts=THREAD, model_names=names))
    assert card is not None
    assert card.fields[0] == Field("On", f"[structure/level 1]({MODEL_PAGE})", inline=False)
    assert card.description.endswith("-# Thread: Clash at \\*grid\\* C4")
    assert "\nThread: Clash at *grid* C4" in card.plain_text()


def test_a_received_version_is_named_and_linked(deliveries: dict[str, Delivery]) -> None:
    facts = ReceivedFacts("c62c66ddf9", ModelRef("193f26c0fa", "structure/level 1"))
    card = render(shown(deliveries["commit_receive"], facts=facts))
    assert card is not None
    assert card.title == "Version received: structure/level 1"
    assert card.url is not None
    assert card.url.endswith("/models/193f26c0fa@c62c66ddf9")


def test_what_comes_later_is_filled_into_the_card_that_is_there(
    deliveries: dict[str, Delivery],
) -> None:
    delivery = deliveries["commit_create"]
    notes = (CardNote(NoteKind.FIRST_EVENT),)
    sent = render(shown(delivery, notes=notes))
    assert sent is not None
    sent = with_image(sent, "https://speckle.studio-kestrel.example/preview/a.png")
    facts = VersionFacts(object_count=214)
    card = fill_in(sent, shown(delivery, facts=facts))
    at_once = render(shown(delivery, facts=facts, notes=notes))
    assert at_once is not None
    assert card == replace(at_once, image=sent.image)
    assert card.description.endswith(
        "\n\nThis is the first event of the project here: the set-up works."
    )


def test_the_card_of_an_older_version_is_filled_in_and_keeps_its_title_and_its_notes(
    deliveries: dict[str, Delivery],
) -> None:
    note = CardNote(NoteKind.FIRST_EVENT).text
    sent = {
        "kind": "version_created",
        "title": "New version of structure/level 01/steel frame",
        "url": VERSION,
        "description": f"Alice published a new version.\n> First\n\n{note}",
        "colour": 0,
        "author_name": "Alice",
        "author_icon": None,
        "author_url": None,
        "fields": [["Application", "Revit 2025", True]],
        "footer": "Harbour Tower",
        "timestamp": RECEIVED_AT.isoformat(),
        "image": None,
        "thumbnail": None,
        "buttons": [],
        "pictures": [],
    }
    old = Card.from_json(sent, ())
    card = fill_in(old, shown(deliveries["commit_create"], facts=VersionFacts(object_count=214)))
    assert card.title == old.title
    assert card.description == (
        f'> First version: "fixed" walls & doors\n> second line 🧱\n\n{note}'
    )
    assert ("Objects", "214") in [(field.name, field.value) for field in card.fields]


@pytest.mark.parametrize(
    ("sent", "now", "line"),
    [
        ("New version", "New version: roof", "**roof**"),
        ("Issue changed", "Issue resolved: KT-1 Beam", "**Issue resolved: KT-1 Beam**"),
        ("New version: roof", "New version: roof", ""),
    ],
)
def test_what_a_title_would_say_by_now_stands_below_it(
    sent: str, now: str, line: str, deliveries: dict[str, Delivery]
) -> None:
    whole = render(shown(deliveries["commit_create"]))
    assert whole is not None
    about = now.partition(": ")[2]
    assert new_title(replace(whole, title=sent), replace(whole, title=now, about=about)) == line


def test_filling_in_twice_changes_nothing_more(
    fixture_name: str, deliveries: dict[str, Delivery]
) -> None:
    card = render(shown(deliveries[fixture_name]))
    if card is not None:
        assert fill_in(card, shown(deliveries[fixture_name])) == card
