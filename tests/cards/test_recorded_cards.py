"""What each delivery looks like in a channel, kept as text that a person can read.

After a wanted change: WRITE_CARDS=1 pytest tests/cards/test_recorded_cards.py, then read each file
as a member of the channel would.
"""

import os
from dataclasses import replace
from pathlib import Path

from bot.cards.card import Card
from bot.cards.render import RenderContext, VersionFacts, render
from bot.speckle.events import Delivery, PreviousVersion

NOTHING = "(no card: nothing changed)\n"


def test_each_delivery_gives_the_expected_card(
    fixture_name: str,
    deliveries: dict[str, Delivery],
    context: RenderContext,
    cards_folder: Path,
) -> None:
    delivery = deliveries[fixture_name]
    context = replace(context, server_url=delivery.server_url or context.server_url)
    card = render(delivery, context)
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


def test_a_new_version_says_what_the_server_knows_of_it(
    deliveries: dict[str, Delivery], context: RenderContext
) -> None:
    facts = VersionFacts(object_count=12345, previous=PreviousVersion("0000000000"))
    card = render(deliveries["commit_create"], replace(context, facts=facts))
    assert card is not None
    fields = {field.name: field.value for field in card.fields}
    assert fields["Objects"] == "12,345"
    assert fields["Version before"] == (
        "[0000000000](https://speckle.studio-kestrel.example/projects/7e14d973e6/models/193f26c0fa"
        "@0000000000)"
    )


def test_links_lead_to_the_pinned_server_whatever_the_payload_says(
    deliveries: dict[str, Delivery], context: RenderContext
) -> None:
    card = render(deliveries["commit_create"], context)
    assert card is not None
    assert "127.0.0.1" not in str(card.to_json())
    assert card.url is not None
    assert card.url.startswith("https://speckle.studio-kestrel.example/projects/7e14d973e6/")


def test_names_that_are_known_replace_ids(
    deliveries: dict[str, Delivery], context: RenderContext
) -> None:
    known = replace(
        context,
        model_names={"193f26c0fa": "structure/level 1"},
        person_names={"954d254474": "Tomas Reyes"},
    )
    comment = render(deliveries["comment_created"], known)
    assert comment is not None
    assert "commented on **structure/level 1**:" in comment.description
    mention = render(deliveries["hidden_comment_mention"], known)
    assert mention is not None
    assert "mentioned **Tomas Reyes** in a comment." in mention.description
    assert mention.fields == ()


def test_the_pipelines_notes_stand_below_the_event(
    deliveries: dict[str, Delivery], context: RenderContext
) -> None:
    card = render(deliveries["stream_delete"], replace(context, notes=("It *works*.",)))
    assert card is not None
    assert card.description.endswith("\n\nIt \\*works\\*.")


def test_no_card_shows_an_address_or_what_else_is_private(
    fixture_name: str, deliveries: dict[str, Delivery], context: RenderContext
) -> None:
    card = render(deliveries[fixture_name], context)
    text = "" if card is None else str(card.to_json())
    for private in ("reyes-mep", "203.0.113", "suuid", "6a3c1f0e", "ee812a88", "maren@"):
        assert private not in text
        assert private not in repr(deliveries[fixture_name])


def test_the_same_card_comes_back_from_json(
    fixture_name: str, deliveries: dict[str, Delivery], context: RenderContext
) -> None:
    card = render(deliveries[fixture_name], context)
    if card is not None:
        assert Card.from_json(card.to_json(), card.pictures) == card


def test_a_picture_that_is_gone_is_not_named_by_the_card(
    deliveries: dict[str, Delivery], context: RenderContext
) -> None:
    card = render(deliveries["federated_comment"], context)
    assert card is not None
    assert card.image is not None
    assert len(card.pictures) == 2
    bare = Card.from_json(card.to_json(), ())
    assert (bare.image, bare.author_icon, bare.pictures) == (None, None, ())


def test_hostile_texts_are_escaped_wherever_discord_reads_markdown(
    deliveries: dict[str, Delivery], context: RenderContext
) -> None:
    card = render(deliveries["hostile_texts"], context)
    assert card is not None
    assert card.title == (
        r"New model: \@everyone \*\*bold\*\* \[click\](https\://evil.example) gnp.exe"
    )
    assert card.fields[0].value == (
        "\\# Big\n\\> quote\n\\- list\n1\\. one\n\\<\\@123> \\<#4> \\<t:0:R> \\|\\|spoiler\\|\\| "
        "\\`code\\`\nhttps://docs.studio-kestrel.example/a_b_c?x=1\n"
        "\\@here \\[mask\\](https://evil.example)"
    )
    assert card.author_name == "*Maren* @here"
    assert card.footer == "Harbour Tower @everyone · speckle.studio-kestrel.example"
    assert card.author_icon is None
