"""The settings: every one with its default, what it does and what it must be.

Every plain name (`DATABASE_URL`) is the upper-case form of a key at the top of config.toml
(`database_url`). What is in a section of config.toml is set there only; secrets never are.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.network import Network
from bot.settings import validators
from bot.speckle.tokens import SpeckleApp

MIN_WEBHOOK_SECRET: Final = 12  # of the operator's address; less is a word such as "hooks"
REDIRECT_PATH: Final = "/link/callback"


def _setting(default: Any, description: str, expects: str = "", **limits: Any) -> Any:
    """A field: its default, what it does (for docs/configuration.md) and what it must be."""
    extra: JsonDict = {"expects": expects}
    return Field(default=default, description=description, json_schema_extra=extra, **limits)


def expects(field: FieldInfo) -> str:
    """What a field's value must be, in words; "" where its own checks describe it."""
    extra = field.json_schema_extra
    return str(extra["expects"]) if isinstance(extra, dict) else ""


# hide_input: a validation error that somebody prints must not hold a secret.
STRICT: Final = SettingsConfigDict(
    frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
)


class _Section(BaseModel):
    model_config = STRICT


class OrganisationSettings(_Section):
    """The operator's own organisation, which the shared hook serves."""

    guilds: validators.DiscordIds = _setting(
        (),
        "Discord server (guild) ids of your own organisation. Only these get the events of the "
        "shared hook `POST /webhook`, and only their cards are completed with `SPECKLE_TOKEN`.",
        "a list of Discord server ids, such as [1180000000000000001]",
    )


class WebhookSettings(_Section):
    """What the listener accepts."""

    max_body_mib: int = _setting(
        25,
        "Largest request body in MiB. Comments carry screenshots, so Speckle sends megabytes.",
        "a whole number from 1 to 100",
        ge=1,
        le=100,
    )


class SpeckleSettings(_Section):
    """How the bot asks Speckle servers."""

    enrich_deadline_s: float = _setting(
        5.0,
        "Seconds a card waits for what the webhook leaves out. After that it goes out plain, and "
        "is edited if the answer comes soon after. 0: nobody is asked, and cards have no picture "
        "of the model.",
        "a number from 0 to 30",
        ge=0,
        le=30,
    )


class SendingSettings(_Section):
    """How cards are sent to Discord."""

    concurrency: int = _setting(
        64,
        "Channels that are sent to at the same time. Within a channel order always holds.",
        "a whole number from 1 to 256",
        ge=1,
        le=256,
    )
    requests_per_s: float = _setting(
        45.0,
        "Requests a second to Discord in all. It allows a bot 50, and does not count the answers "
        "to commands, which never wait.",
        "a number from 1 to 50",
        ge=1,
        le=50,
    )
    emoji: bool = _setting(
        False,
        "Whether a small picture is shown before each card's title: a cube for a version, a speech "
        "bubble for a comment. The bot creates them once as emoji of its own application.",
        "true or false",
    )


class RetentionSettings(_Section):
    """How long things are kept."""

    body_days: int = _setting(
        7,
        "Days that the text of finished events and the pictures of sent cards are kept.",
        "a whole number from 1 to 3650",
        ge=1,
        le=3650,
    )
    delivered_days: int = _setting(
        30,
        "Days that sent cards are kept, and events with their result.",
        "a whole number from 1 to 3650",
        ge=1,
        le=3650,
    )
    undeliverable_days: int = _setting(
        90,
        "Days that cards are kept which Discord did not accept. Until then they can be sent again: "
        "`python3 run.py outbox`.",
        "a whole number from 1 to 3650",
        ge=1,
        le=3650,
    )
    audit_days: int = _setting(
        365,
        "Days that the audit log is kept: who changed what.",
        "a whole number from 1 to 3650",
        ge=1,
        le=3650,
    )
    left_guild_days: int = _setting(
        30,
        "Days that a guild's subscriptions are kept after the bot was removed from it.",
        "a whole number from 0 to 3650",
        ge=0,
        le=3650,
    )


class MetricsSettings(_Section):
    """`GET /metrics` for Prometheus, on an address of its own (docs/monitoring.md)."""

    host: validators.Host = _setting(
        "127.0.0.1",
        "Address that `GET /metrics` is answered on. `127.0.0.1` suits a Prometheus on the same "
        "computer. In a container, or with Prometheus on another machine, use an address that it "
        "reaches, or `0.0.0.0`, and let nobody else reach the port: there is no password.",
        "text, such as 127.0.0.1",
    )
    port: int = _setting(
        0,
        "Port of that address, such as 8005. 0: off.",
        "a whole number from 0 to 65535",
        ge=0,
        le=65535,
    )


class QuotaSettings(_Section):
    """What one Discord server (guild) may use; those in `[organisation]` have no quotas."""

    events_a_day: int = _setting(
        20_000,
        "Events that a guild's webhooks may send in a day (UTC). Half of them are for any of its "
        "webhooks, the other half is divided among them, so that one cannot use up all. What "
        "exceeds it is answered with 429 and fetched later where that can be done.",
        "a whole number from 1 to 1000000000",
        ge=1,
        le=1_000_000_000,
    )
    gigabytes_a_day: float = _setting(
        2.0,
        "The same for the size of these events, in GB (1,000,000,000 bytes).",
        "a number from 0.001 to 1000000",
        ge=0.001,
        le=1_000_000,
    )
    hooks: int = _setting(
        100,
        "Webhooks that a guild may have: one for each project, or more where people set it up by "
        "hand.",
        "a whole number from 1 to 1000000",
        ge=1,
        le=1_000_000,
    )
    subscriptions: int = _setting(
        500,
        "Subscriptions that a guild may have, one for each channel and project.",
        "a whole number from 1 to 1000000",
        ge=1,
        le=1_000_000,
    )
    model_names: int = _setting(
        5_000,
        "Names of models that are kept for each webhook. A new one replaces another.",
        "a whole number from 1 to 1000000",
        ge=1,
        le=1_000_000,
    )


class LiveSettings(_Section):
    """Following projects through the accounts of those who subscribe, without a webhook and so
    without `PUBLIC_URL`.
    """

    who: Annotated[Literal["public", "owners", "readers"], validators.Lower] = _setting(
        "owners",
        "Which projects: `public` ones only; with `owners` private ones too, for those who own "
        "them at Speckle; with `readers` private ones too, for anyone who may read them. A private "
        "one is shown in a channel only after that person has seen who reads there. What is live "
        "beyond that is paused at the next start.",
        "one of public, owners, readers",
    )
    every_s: float = _setting(
        20.0,
        "Seconds between two questions of an account, at least: a server with many projects is "
        "asked less often, 0.3 s for each of them, and every 10 minutes in any case.",
        "a number from 1 to 600",
        ge=1,
        le=600,
    )
    sockets_from: int = _setting(
        20,
        "Projects of a Speckle server beyond which a WebSocket of each account says at once when "
        "there is something to read. Up to 20 the questions cost the server 0.5 % of a core; 0 "
        "holds them always.",
        "a whole number from 0 to 1000000",
        ge=0,
        le=1_000_000,
    )


class OperatorSettings(_Section):
    """How the bot notifies you, the person who runs it, of what is wrong with it: once, and once
    when it is over. `OPERATOR_WEBHOOK_URL` is another way, and both may be set.
    """

    channel: validators.ChannelId = _setting(
        0,
        "Id of a Discord channel that the bot may post in. 0: none. What is wrong is in the log in "
        "any case.",
        "a Discord channel id, such as 1180000000000000002, or 0",
    )
    contact: str = _setting(
        "",
        "How people in Discord reach you: an email address, an invitation to a Discord server, "
        "or a sentence. `/help`, `/status` and `/privacy` show it to everyone. Empty: they do not "
        "say who runs the bot.",
        "up to 200 characters, such as 'bim@studio.example'",
        max_length=200,
    )
    free_disk_gb: float = _setting(
        1.0,
        "Room on the disk of an SQLite database, in GB (1,000,000,000 bytes), below which that "
        "counts as trouble. 0: never.",
        "a number from 0 to 1000000",
        ge=0,
        le=1_000_000,
    )
    backup_days: int = _setting(
        7,
        "Days without a `backup` from which on that counts as trouble, from the last one or, where "
        "there has been none, from the first start. 0: never, as where a database server makes its "
        "own.",
        "a whole number from 0 to 3650",
        ge=0,
        le=3650,
    )


class Settings(BaseSettings):
    """Everything that a host can set. Immutable; made by `load_settings`."""

    model_config = STRICT

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **others: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed in: pydantic-settings would read the environment unasked."""
        return (init_settings,)

    discord_token: validators.DiscordToken | None = _setting(
        None, "The bot's token from Discord's developer portal. `run` needs it."
    )
    encryption_keys: validators.EncryptionKeys = _setting(
        (),
        "Keys that encrypt the secrets in the database, comma-separated: the first one encrypts, "
        "all of them decrypt. To change keys, put a new one in front. `run` needs it.",
    )
    speckle_token: validators.SpeckleToken | None = _setting(
        None,
        "A personal access token for the first of `SPECKLE_SERVERS`, scope `streams:read`. "
        "Completes the cards of your own organisation's guilds.",
    )
    speckle_webhook_secret: validators.WebhookSecret | None = _setting(
        None,
        "Secret of the shared hook `POST /webhook`. The hook works only if this is set and "
        "`guilds` in `[organisation]` names the guilds that it serves.",
    )

    operator_webhook_url: validators.OperatorWebhookUrl | None = _setting(
        None,
        "Where the bot says what is wrong with it, and when it is over: an incoming webhook of "
        "Slack, Mattermost, Rocket.Chat, Google Chat, Discord, or whatever else takes a POST of "
        '`{"text": "..."}`. One outside Discord also says when Discord itself is the trouble.',
    )

    database_url: validators.DatabaseUrl = _setting(
        "sqlite:///data/bot.db",
        "Where the bot keeps its data, as SQLAlchemy writes it: `sqlite:///file` "
        "(relative to the folder that the bot runs in) or "
        "`postgresql+psycopg://user:password@host/name`.",
        "text, such as sqlite:///data/bot.db",
    )
    public_url: validators.PublicUrl | None = _setting(
        None,
        "Address under which Speckle servers and browsers reach the bot's listener: your tunnel or "
        "reverse proxy. Webhooks and the pages of signing in need it; without it projects are "
        "followed live, and people paste a token or a code. `/subscribe` shows URLs that begin "
        "with it. It may have a path, as in `https://example.com/speckle-bot`, which the proxy may "
        "keep or strip.",
        "text, such as https://bot.example.com",
    )
    webhook_host: validators.Host = _setting(
        "127.0.0.1",
        "Address that the listener binds. `127.0.0.1` suits a tunnel or reverse proxy on the same "
        "computer and keeps the plain-http port from everyone else. In a container, or with the "
        "proxy on another machine, use `0.0.0.0`, or `::` for both IPv4 and IPv6.",
        "text, such as 127.0.0.1",
    )
    webhook_port: int = _setting(
        8003,
        "Port that the listener binds, for webhooks, `GET /healthz` and `GET /readyz`; so it is "
        "bound without `PUBLIC_URL` too. 0 takes any free one.",
        "a whole number from 0 to 65535",
        ge=0,
        le=65535,
    )
    speckle_servers: validators.SpeckleServers = _setting(
        ("https://app.speckle.systems",),
        "Speckle servers that the bot may use; the first is the default. Plain http and "
        "private addresses are allowed only because they are named here.",
        'a list of addresses, such as ["https://app.speckle.systems"]',
    )
    # Below SPECKLE_SERVERS, which it is checked against.
    speckle_apps: validators.SpeckleApps = _setting(
        (),
        "Applications that you registered on Speckle servers, so that people link their accounts "
        "by signing in: `id:secret` for the first of `SPECKLE_SERVERS`, "
        "`id:secret@https://speckle.example.com` for another one; comma-separated. Their redirect "
        "URL is `PUBLIC_URL` with `/link/callback` behind it. Without `PUBLIC_URL` people paste a "
        "code that newer servers show (docs/speckle.md). Without an application they paste a "
        "token.",
    )
    discord_api_url: validators.DiscordApiUrl | None = _setting(
        None,
        "A Discord-compatible API or rate-limit proxy instead of Discord's own. The gateway is "
        "the one that it answers to `GET /gateway/bot`.",
        "text, such as http://127.0.0.1:8080/api/v10",
    )
    ssl_cert_file: str | None = _setting(
        None,
        "File of certificates (PEM) that are trusted in addition to the system's: the CA of your "
        "own Speckle server, or of a proxy that looks into connections. `REQUESTS_CA_BUNDLE` is "
        "read as well, where this is not set in the same place.",
        "text, such as /etc/ssl/our-ca.pem",
    )
    ssl_cert_dir: validators.Texts = _setting(
        (),
        "Folders of such certificates.",
        'a list of folders, such as ["/etc/ssl/our-cas"]',
    )
    https_proxy: validators.Proxy | None = _setting(
        None,
        "Proxy for https:// addresses: Discord, Speckle servers, `PUBLIC_URL`. What is sent goes "
        "through it encrypted (CONNECT). This computer itself is never asked through one. "
        "Small letters are read as well, as `https_proxy`.",
        "text, such as http://proxy.example.com:3128",
    )
    http_proxy: validators.Proxy | None = _setting(
        None,
        "Proxy for http:// addresses, which sees what is sent to them.",
        "text, such as http://proxy.example.com:3128",
    )
    no_proxy: validators.Texts = _setting(
        (),
        "Hosts that are asked directly: names with all below them, addresses, networks such as "
        "`10.0.0.0/8`, or `*`.",
        'a list of hosts, such as ["speckle.example.com"]',
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], validators.Lower] = _setting(
        "info",
        "Least important kind of log line that is written.",
        "one of debug, info, warning, error",
    )
    log_format: Annotated[Literal["auto", "console", "json"], validators.Lower] = _setting(
        "auto",
        "`console` for people, `json` for log collectors, `auto`: console on a terminal, else "
        "json.",
        "one of auto, console, json",
    )

    organisation: OrganisationSettings = OrganisationSettings()
    webhook: WebhookSettings = WebhookSettings()
    speckle: SpeckleSettings = SpeckleSettings()
    delivery: SendingSettings = SendingSettings()
    retention: RetentionSettings = RetentionSettings()
    quotas: QuotaSettings = QuotaSettings()
    metrics: MetricsSettings = MetricsSettings()
    live: LiveSettings = LiveSettings()
    operator: OperatorSettings = OperatorSettings()

    def apps(self) -> Mapping[str, SpeckleApp]:
        """The applications for signing in, by the server that each is registered on."""
        read = (validators.read_app(app, "", self.speckle_servers[0]) for app in self.speckle_apps)
        return {app.server_url: app for app in read}

    def redirect_url(self) -> str | None:
        """Where a Speckle server sends people back to after they signed in."""
        return None if self.public_url is None else self.public_url + REDIRECT_PATH

    def secret_values(self) -> tuple[str, ...]:
        """Each text that must never be seen in a log, for the redacting log processor."""
        secrets = (
            self.discord_token,
            *self.encryption_keys,
            self.speckle_token,
            self.speckle_webhook_secret,
            self.operator_webhook_url,
            *self.speckle_apps,
            *(SecretStr(app.secret) for app in self.apps().values()),
        )
        found = [secret.get_secret_value() for secret in secrets if secret]
        if self.operator_webhook_url is not None:
            # What a library writes down of an address may be any part of it.
            rest = self.operator_webhook_url.get_secret_value().split("/", 3)[-1]
            found += [one for one in (rest, *rest.split("/")) if len(one) >= MIN_WEBHOOK_SECRET]
        for address in (self.database_url, self.https_proxy, self.http_proxy):
            password = None if address is None else urlsplit(address).password
            found += [password] if password else []
        return tuple(found)

    def network(self) -> Network:
        """How connections are made that leave the bot."""
        file = self.ssl_cert_file
        return Network(
            cert_file=None if file is None else Path(file),
            # OpenSSL's own way to name several is with colons between, on Windows semicolons.
            cert_dirs=[Path(one) for some in self.ssl_cert_dir for one in some.split(os.pathsep)],
            https_proxy=self.https_proxy,
            http_proxy=self.http_proxy,
            no_proxy=self.no_proxy,
        )


def sections() -> Mapping[str, type[BaseModel]]:
    """The sections of config.toml by name, in the order of the file."""
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


OTHER_NAMES: Final[Mapping[str, str]] = {
    "REQUESTS_CA_BUNDLE": "ssl_cert_file",
    "CURL_CA_BUNDLE": "ssl_cert_file",
    "https_proxy": "https_proxy",
    "http_proxy": "http_proxy",
    "no_proxy": "no_proxy",
}
"""What other programs call some of the settings, where our own name is not set."""


def environment_names() -> Mapping[str, str]:
    """Field names by the environment variable that sets them; sections have none."""
    return {name.upper(): name for name in Settings.model_fields if name not in sections()}
