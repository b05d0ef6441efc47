"""A server that ends while somebody connects leaves no socket open."""

import asyncio
import gc
import socket
import warnings
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from sandbox.http_site import serving


@pytest.mark.parametrize("turns", range(6))
def test_a_connection_that_comes_as_the_server_ends_is_closed(turns: int) -> None:
    async def connect_and_end() -> socket.socket:
        async with serving(web.Application()) as url:
            caller = socket.create_connection(("127.0.0.1", urlsplit(url).port or 0))
            for _ in range(turns):
                await asyncio.sleep(0)
        return caller

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with asyncio.run(connect_and_end()):
            gc.collect()
    assert [str(warning.message) for warning in seen] == []
