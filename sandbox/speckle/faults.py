"""What goes wrong with a server, when a test wants it to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


@dataclass
class SpeckleFaults:
    """Each fault lasts until it is taken back, or for the next `times` requests.

    `path` confines them to requests whose path starts so; `when` to those whose operation, such
    as "VersionFacts", it says yes to.
    """

    delay_s: float = 0.0
    hang: bool = False
    status: int | None = None
    body: str | bytes = BAD_GATEWAY
    content_type: str = "text/html"
    retry_after_s: float | None = None
    cut: bool = False
    redirect_to: str | None = None
    drip_s: float | None = None
    path: str = "/"
    when: Callable[[str], bool] = lambda operation: True
    times: int | None = None
    after: bool = False
    lie: Callable[[str, Any], Any] | None = None
    hanging: int = 0

    def rate_limit(self, retry_after_s: float, times: int | None = None) -> None:
        """Answer 429, as recorded."""
        self.retry_after_s = retry_after_s
        self.times = times

    def clear(self) -> None:
        """All is well again."""
        self.__init__()  # type: ignore[misc]

    def handshake_passes(self) -> bool:
        """Whether a handshake is left alone: the recorded limits are for questions over HTTP."""
        return self.retry_after_s is not None

    def strike(self, path: str, operation: str) -> bool:
        """Whether a request is hit; counts it if so."""
        if not path.startswith(self.path) or not self.when(operation) or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class SocketFaults:
    """What goes wrong on sockets, until it is taken back; what ends or freezes them does the hub.

    `refuse`: no new socket, 503. Frames are lost without a sign on sockets that stay open, as
    where a server's connection to its Redis was cut.
    """

    refuse: bool = False
    _losing: bool = False
    _left: int | None = None

    def lose_frames(self, times: int | None = None) -> None:
        """Lose the next `times` frames, or all from now on."""
        self._losing, self._left = True, times

    def clear(self) -> None:
        """All is well again."""
        self.refuse, self._losing, self._left = False, False, None

    def loses(self) -> bool:
        """Whether this frame is lost; counts it if so."""
        if not self._losing or self._left == 0:
            return False
        if self._left is not None:
            self._left -= 1
        return True
