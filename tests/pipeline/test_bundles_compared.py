"""What changed between bundles, on the card: the whole bot between two servers."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from sandbox.speckle import SPECKLE_4, Release, Version
from sandbox.speckle.made_bundles import as_bundle, put_bundle
from sandbox.speckle.made_models import MadeElement, made_model
from tests.pipeline.conftest import StartBot, Studio
from tests.pipeline.test_enrichment import Site, follow, site, start
from tests.pipeline.test_what_changed import line_of, timings

__all__ = ["site", "start", "timings"]


@pytest.fixture
def release() -> Release:
    return SPECKLE_4


def bundle(site: Site, elements: Sequence[MadeElement], *, minutes_ago: int) -> Version:
    """A version that consists of these elements."""
    at = site.server.now() - timedelta(minutes=minutes_ago)
    version = site.version("Openings", at=at)
    version.artifacts.clear()
    return put_bundle(site.server, version, as_bundle(elements))


async def test_the_card_says_which_properties_changed(
    studio: Studio, site: Site, start: StartBot
) -> None:
    before, after = made_model(200)
    bundle(site, before, minutes_ago=30)
    async with start() as app:
        await follow(app, studio, site, studio.structure)
        await site.publish(bundle(site, after, minutes_ago=20))
        line = "**+2 −3 ~6** · Doors ~4 · Walls +2 −1 · Curtain Panels ~1 · 3 more. Changed: "
        await line_of(studio, f"{line}*Comments* (5) · category (1)")
        await site.publish(bundle(site, after, minutes_ago=10))
        await line_of(studio, "Re-exported; no element changed (geometry is not compared)")
