"""HTTP on an open port: aiohttp's server, within limits that a stranger cannot use up.

aiohttp parses HTTP and finds the handler. What it leaves open is closed here: how long and how many
connections may stay, how many bytes wait for a signature, and what is said of what goes wrong.
"""

from bot.http_server.bad_attempts import BadAttempts
from bot.http_server.bodies import Bodies
from bot.http_server.limits import Limits
from bot.http_server.paths import BELOW_PUBLIC_PATH, PublicPath
from bot.http_server.server import serving
from bot.http_server.short_way import Answer, ShortWay, WholePost
from bot.http_server.sockets import bind, why_not_bound

__all__ = [
    "BELOW_PUBLIC_PATH",
    "Answer",
    "BadAttempts",
    "Bodies",
    "Limits",
    "PublicPath",
    "ShortWay",
    "WholePost",
    "bind",
    "serving",
    "why_not_bound",
]
