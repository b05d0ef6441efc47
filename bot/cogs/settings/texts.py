"""What /settings shows."""

from typing import Final

import discord

from bot.cards.text import moment_text, shorten
from bot.cogs.notices import quota_texts
from bot.cogs.responses import COLOUR
from bot.services.guild_settings import GuildSettings
from bot.speckle.subscription_options import SubscriptionOptions

MAX_FIELD: Final = 1024
TITLE: Final = "Settings of this server"
FORM_TITLE: Final = "What new subscriptions show"
NOTICES_IN_PRIVATE: Final = (
    "**In direct messages**, to the person who made the subscription or the webhook. If you choose "
    "a channel below, they are mentioned there; no project is named in it."
)
NO_AUDIT_CHANNEL: Final = (
    "**In no channel.** `/audit` shows it. If you choose a channel below, each change is posted "
    "there too."
)
NO_DEFAULTS: Final = (
    "**None**: a new subscription shows all events of its project, unless `/subscribe` says more."
)


def settings_embed(settings: GuildSettings, note: str | None = None) -> discord.Embed:
    """What each setting does now, under a sentence on what was just done."""
    embed = discord.Embed(title=TITLE, description=note, colour=COLOUR)
    for name, text in (
        (
            "Notices: pauses, webhooks that stay silent, used-up quotas",
            _notices(settings.notice_channel_id),
        ),
        ("Audit log: who changed what", _audit(settings)),
        ("Default filters of new subscriptions", _defaults(settings.default_options)),
    ):
        embed.add_field(name=name, value=shorten(text, MAX_FIELD), inline=False)
    if settings.usage is not None:
        usage = quota_texts.in_all(settings.usage)
        embed.add_field(name="Quotas", value=usage, inline=False)
    return embed


def _notices(channel_id: int | None) -> str:
    if channel_id is None:
        return NOTICES_IN_PRIVATE
    return (
        f"**In <#{channel_id}>**, where the person who made the subscription or the webhook is "
        "mentioned; no project is named there."
    )


def _audit(settings: GuildSettings) -> str:
    channel = settings.audit_channel
    if channel is None:
        return NO_AUDIT_CHANNEL
    where = f"<#{channel.channel_id}>"
    if channel.paused_at is not None:
        since = moment_text(channel.paused_at, "R")
        return (
            f"**Paused**: since {since} Discord does not accept it in {where}. Give the bot *View "
            "Channel*, *Send Messages* and *Embed Links* there, then choose that channel below "
            "again: it continues where it stopped. Or choose another one."
        )
    return (
        f"**In {where}.** Channels and projects that not everyone there may see are not named; "
        "`/audit` shows more to who may know it."
    )


def _defaults(options: SubscriptionOptions) -> str:
    if options == SubscriptionOptions():
        return NO_DEFAULTS
    return (
        f"**{options.describe()}.** What is typed into `/subscribe` goes before it; subscriptions "
        "that are there already stay as they are."
    )


def noted(what: str) -> str:
    """What was just done."""
    return f"✔ {what}"


def notices_chosen(channel_id: int | None) -> str:
    """After the notice channel was changed."""
    where = "in direct messages" if channel_id is None else f"in <#{channel_id}>"
    return noted(f"From now on notices come {where}.")


def audit_chosen(channel_id: int | None) -> str:
    """After the audit channel was changed."""
    if channel_id is None:
        return noted("Changes are no longer posted. `/audit` shows them.")
    return noted(f"From now on changes are posted in <#{channel_id}>, within seconds.")


DEFAULTS_CHANGED: Final = noted("New subscriptions start with these filters from now on.")
DEFAULTS_CLEARED: Final = noted("New subscriptions start with all events from now on.")
