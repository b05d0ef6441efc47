"""The pictures of the README and of the docs show today's page."""

import re

from sandbox.demo.pictures import MADE_FROM, PICTURES, ROOT, digest_of_page

MOST_BYTES = 3_000_000


def test_the_page_has_not_changed_since_its_pictures_were_taken() -> None:
    assert MADE_FROM.read_text().strip() == digest_of_page(), (
        "The try-out's page has changed since its pictures were taken. "
        "Take them again: python3 run.py pictures"
    )


def test_each_picture_that_is_shown_is_there_in_light_and_dark_and_small() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {
        name
        for page in pages
        for name in re.findall(r"pictures/([\w-]+\.(?:png|webp))", page.read_text("utf-8"))
    }
    assert shown
    for name in shown:
        for scheme in ("light", "dark"):
            picture = PICTURES / re.sub("light|dark", scheme, name)
            assert 1_000 < picture.stat().st_size < MOST_BYTES, picture.name
