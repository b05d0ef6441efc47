"""How often accounts are asked, so that it costs a server little. Pure.

Measured at a Speckle server: a question about 20 projects every 20 s takes 0.5 % of one of its
cores, one about 2,000 projects every 10 minutes 3 %, with a socket that rings in between.
"""

from dataclasses import dataclass

from bot.timing import Backoff

GOLDEN = 0.618034  # its multiples are spread evenly over the numbers from 0 to 1


@dataclass(frozen=True, slots=True)
class ListeningPace:
    """Seconds, and from how many projects of a server on sockets are held.

    Up to `sockets_from` projects the questions alone are quick and cost next to nothing; beyond
    that they come the less often the more projects there are, and sockets ring in between.
    """

    soonest_s: float = 20.0
    s_a_project: float = 0.3
    latest_s: float = 600.0
    sockets_from: int = 20
    debounce_s: float = 0.25  # what happens together is read together
    plan_s: float = 60.0  # until it is looked for what is listened to, where nobody said so
    retry: Backoff = Backoff((5.0, 15.0, 60.0, 300.0), jitter=0.3)

    @staticmethod
    def next_turn(account_id: int, now: float, every_s: float) -> float:
        """When an account's next turn is, by the clock of `now`: each has a moment of its own
        within `every_s`, so that turns that came together, as at a start, do not stay together.
        """
        own = account_id * GOLDEN
        return now + every_s * (1.0 - (now / every_s - own) % 1.0)

    def every_s(self, projects: int) -> float:
        """Between two questions of an account, on a server with so many projects listened to."""
        return min(max(self.soonest_s, self.s_a_project * projects), self.latest_s)

    def holds_sockets(self, projects: int) -> bool:
        """Whether sockets are held at a server."""
        return projects > self.sockets_from
