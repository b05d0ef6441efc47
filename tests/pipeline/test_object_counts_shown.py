"""The number of objects on a card, of trees and of bundles: the whole bot between two servers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sandbox.speckle import SPECKLE_2_31, SPECKLE_4, Release, SpeckleServer
from tests.pipeline.conftest import StartBot, Studio
from tests.pipeline.test_enrichment import Site, card_with, cards, fields, follow, trace_of
from tests.speckle_api.tables import table_of


@asynccontextmanager
async def opened(release: Release) -> AsyncIterator[Site]:
    async with SpeckleServer.start(release=release) as server:
        ilse = server.add_user("Ilse Brandt")
        tower = server.add_project("Kestrel Tower", owner=ilse)
        server.add_model(tower, "structure/level 1")
        yield Site(server, ilse, server.token(ilse), tower)


async def shown(studio: Studio, start_bot: StartBot, site: Site, table: bytes | None) -> str | None:
    """What the card of a version says about its objects."""
    settings = {"speckle_servers": (site.server.url,), "speckle": {"enrich_deadline_s": 10.0}}
    async with start_bot(**settings) as app:
        await follow(app, studio, site, studio.structure)
        version = site.server.add_version(
            site.tower, site.tower.models[0], author=site.ilse, object_count=214, data_chunks=9
        )
        if table is not None:
            site.server.put_artifact(version, f"{version.id}.eav.objects.parquet", table)
        await site.publish(version)
        (message,) = await cards(studio, studio.structure)
        return fields(message.embeds[0]).get("Objects")


async def test_parts_of_lists_are_not_counted(studio: Studio, start_bot: StartBot) -> None:
    async with opened(SPECKLE_2_31) as site:
        assert await shown(studio, start_bot, site, None) == "214"


async def test_the_objects_of_a_bundle_are_counted_and_its_store_never_sees_the_token(
    studio: Studio, start_bot: StartBot
) -> None:
    async with opened(SPECKLE_4) as site:
        assert await shown(studio, start_bot, site, table_of(1_414)) == "1,414"
        assert site.server.store.requests
        assert site.token not in str(site.server.store.requests)


@pytest.mark.parametrize("table", [None, b"no table"])
async def test_a_bundle_that_cannot_be_read_has_a_card_without_a_number(
    studio: Studio, start_bot: StartBot, table: bytes | None
) -> None:
    async with opened(SPECKLE_4) as site:
        assert await shown(studio, start_bot, site, table) is None


async def test_a_number_that_comes_late_is_added(studio: Studio, start_bot: StartBot) -> None:
    async with opened(SPECKLE_2_31) as site:
        settings = {"speckle_servers": (site.server.url,), "speckle": {"enrich_deadline_s": 2.0}}
        async with start_bot(**settings) as app:
            await follow(app, studio, site, studio.structure)
            site.server.faults.path, site.server.faults.hang = "/api/v2/projects", True
            await site.publish(site.version("Columns"))
            (message,) = await cards(studio, studio.structure)
            shown = fields(message.embeds[0])
            assert "Application" in shown, "the rest does not wait for the number"
            assert "Objects" not in shown
            site.server.faults.clear()
            await card_with(studio, studio.structure, "Objects", "214")
            assert "Added its number of objects" in await trace_of(app)
