"""What the settings say, as the parts take it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from bot.amounts import GB
from bot.app.timings import Timings
from bot.database_content import RetentionPolicy
from bot.discord_api.rate_limits import RateLimiter
from bot.errors import ConfigError, Problem
from bot.program import PROGRAM
from bot.services.quotas import GuildLimits, QuotaService
from bot.settings import RetentionSettings, Settings
from bot.storage import Storage
from bot.vault import Vault
from bot.webhook_listener import SharedHook


def required_token(settings: Settings) -> str:
    """Discord's token. Errors: ConfigError, for all that is missing and needed for a start."""
    problems = []
    if settings.discord_token is None:
        problems.append(
            Problem(
                "DISCORD_TOKEN",
                "It is not set.",
                "Copy the token from the application's Bot page into .env; the README shows how.",
            )
        )
    if not settings.encryption_keys:
        problems.append(
            Problem(
                "ENCRYPTION_KEYS",
                "It is not set.",
                f"Make a key with `{PROGRAM} key` and put it into .env.",
            )
        )
    if problems or settings.discord_token is None:
        raise ConfigError(*problems)
    return settings.discord_token.get_secret_value()


def vault_of(settings: Settings) -> Vault:
    """The keys; whatever else a start needs is looked at first, so that all is reported at once."""
    required_token(settings)
    return Vault([key.get_secret_value() for key in settings.encryption_keys])


def ways_of(settings: Settings) -> Mapping[str, str]:
    """How projects are followed and accounts linked, for the first line of the log."""
    live = f"live through accounts ({settings.live.who})"
    if settings.public_url is not None:
        accounts = "sign-in pages" if settings.speckle_apps else "pasted tokens"
        return {"projects": f"webhooks, or {live}", "accounts": accounts}
    accounts = "pasted codes or tokens" if settings.speckle_apps else "pasted tokens"
    why = "PUBLIC_URL is not set: no webhooks and no sign-in pages"
    return {"projects": live, "accounts": accounts, "why": why}


def quotas_of(settings: Settings, storage: Storage, now: Callable[[], datetime]) -> QuotaService:
    """What each Discord server may use."""
    limits = GuildLimits(
        events_a_day=settings.quotas.events_a_day,
        bytes_a_day=round(settings.quotas.gigabytes_a_day * GB),
        hooks=settings.quotas.hooks,
        subscriptions=settings.quotas.subscriptions,
        model_names=settings.quotas.model_names,
    )
    return QuotaService(storage, limits, without=settings.organisation.guilds, now=now)


def retention_policy_of(retention: RetentionSettings) -> RetentionPolicy:
    """How long things are kept."""
    return RetentionPolicy(
        timedelta(days=retention.body_days),
        timedelta(days=retention.delivered_days),
        timedelta(days=retention.undeliverable_days),
        timedelta(days=retention.audit_days),
    )


def shared_hook_of(settings: Settings) -> SharedHook | None:
    """The operator's own webhook, if there is one."""
    secret = settings.speckle_webhook_secret
    if secret is None or not settings.organisation.guilds:
        return None
    return SharedHook(secret.get_secret_value(), frozenset(settings.speckle_servers))


def rate_limiter_of(
    settings: Settings, timings: Timings, now: Callable[[], datetime]
) -> RateLimiter:
    """Discord's limits on requests."""
    pace, banned_s = settings.delivery.requests_per_s, timings.connection.banned_s
    return RateLimiter(pace, now=now, banned_s=banned_s)
