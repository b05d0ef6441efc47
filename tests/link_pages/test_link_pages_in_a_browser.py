"""Signing in, walked through in a real Chromium; skipped where there is none."""

from pathlib import Path

import pytest

from bot.storage import Storage
from tests.link_pages.chromium import PROGRAM, chromium
from tests.link_pages.test_link_pages import open_desk
from tests.services.conftest import MAREN, Clock, clock, storage

__all__ = ["clock", "storage"]

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")


async def test_a_person_signs_in(storage: Storage, clock: Clock, tmp_path: Path) -> None:
    async with open_desk(storage, clock) as desk, chromium(tmp_path / "profile") as tab:
        await tab.open(desk.url + await desk.link())
        assert "Maren Oduya (@maren.o)" in await tab.text()
        # The page's own style came through its policy.
        assert await tab.run("getComputedStyle(document.querySelector('main')).maxWidth") != "none"
        (tmp_path / "start.png").write_bytes(await tab.picture())
        await tab.run("document.querySelector('form button').click()")
        await tab.until(f"location.href.startsWith('{desk.office.server.url}/authn/verify/')")
        code = desk.office.approve(str(await tab.run("location.href")))
        # As Speckle's page does: it sends the browser on by itself.
        await tab.run(f"location.href = '{desk.url}/link/callback?access_code={code}'")
        await tab.until("document.body && document.body.innerText.includes('It worked')")
        assert "Ilse Brandt" in await tab.text()
        assert await tab.run("document.cookie") == ""
        (tmp_path / "done.png").write_bytes(await tab.picture())
        account = await desk.office.lender.of_user(MAREN, desk.office.server.url)
        assert account is not None
