"""What the page shows of speckle, and what can be done there."""

from collections.abc import Sequence

from aiohttp import web

from sandbox.demo.page.changes import Changes
from sandbox.demo.stage import Stage


def routes(stage: Stage, changes: Changes) -> Sequence[web.RouteDef]:
    """GET and POST below /api/speckle/."""
    return ()


async def watch(stage: Stage, changes: Changes) -> None:
    """Runs while the page is served; marks "speckle" when there is something new to see."""
