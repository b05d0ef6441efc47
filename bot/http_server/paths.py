"""The path of PUBLIC_URL in front of ours: reverse proxies keep it or take it off."""

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import unquote, urlsplit

from aiohttp import web
from aiohttp.http import RawRequestMessage

SLASHES: Final = re.compile("//+")
BELOW_PUBLIC_PATH: Final = " Asked for below the path of PUBLIC_URL."  # for `check`, to tell


class PublicPath:
    """Brings both kinds of paths, and ones with doubled slashes, to the one that is routed."""

    def __init__(self, public_url: str | None) -> None:
        path = "" if public_url is None else urlsplit(public_url).path
        self._segments = [unquote(segment) for segment in _segments(path)]
        self._rooms: Collection[str] = ()

    def learn(self, app: web.Application) -> None:
        """Learn which paths there are: only in front of one of these is the prefix taken off."""
        self._rooms = {resource.canonical.split("/")[1] for resource in app.router.resources()}

    def routed(self, message: RawRequestMessage) -> RawRequestMessage:
        """The same request with the path that is routed."""
        if not self._segments and "//" not in message.path:
            return message
        path = SLASHES.sub("/", message.url.raw_path)
        if self.keeps(path):
            path = "/" + "/".join(_segments(path, len(self._segments)))
        if path == message.url.raw_path:
            return message
        return message._replace(url=message.url.with_path(path, encoded=True, keep_query=True))

    def was_kept(self, request: web.BaseRequest) -> bool:
        """Whether a request that is being answered came with the prefix."""
        return self.keeps(request.raw_path.partition("?")[0])

    def keeps(self, path: str) -> bool:
        """Whether a path begins with the prefix and continues with one of ours."""
        count = len(self._segments)
        segments = _segments(path)
        ours = count < len(segments) and segments[count] in self._rooms
        return bool(count) and ours and [unquote(s) for s in segments[:count]] == self._segments


def _segments(path: str, after: int = 0) -> list[str]:
    return [segment for segment in path.split("/") if segment][after:]
