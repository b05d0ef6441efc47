"""What goes wrong with a server, when a test wants it to."""

from collections.abc import Callable
from dataclasses import dataclass

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

    def rate_limit(self, retry_after_s: float, times: int | None = None) -> None:
        """Answer 429, as recorded."""
        self.retry_after_s = retry_after_s
        self.times = times

    def clear(self) -> None:
        """All is well again."""
        self.__init__()  # type: ignore[misc]

    def strike(self, path: str, operation: str) -> bool:
        """Whether a request is hit; counts it if so."""
        if not path.startswith(self.path) or not self.when(operation) or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True
