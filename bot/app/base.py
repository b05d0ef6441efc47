"""What every part stands on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot.app.timings import Timings
from bot.discord_api.rate_limits import RateLimiter
from bot.metrics import Metrics
from bot.network import Network
from bot.services.quotas import QuotaService
from bot.settings import Settings
from bot.speckle_api.circuit_breaker import CircuitBreakers
from bot.storage import Storage


@dataclass(frozen=True, slots=True)
class Base:
    """What is there before any part is built, and handed to each; `instance` is this bot's id."""

    settings: Settings
    timings: Timings
    now: Callable[[], datetime]
    storage: Storage
    metrics: Metrics
    network: Network
    breakers: CircuitBreakers
    rate_limiter: RateLimiter
    quotas: QuotaService
    instance: str
