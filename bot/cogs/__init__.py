"""The commands, one cog a subject: read the input, call one service, show the answer."""

from bot.cogs.guilds import GuildsCog
from bot.cogs.panel import DYNAMIC_ITEMS
from bot.cogs.subscribe import SubscribeCog
from bot.cogs.subscriptions import SubscriptionsCog

COGS = (SubscribeCog, SubscriptionsCog, GuildsCog)

__all__ = ["COGS", "DYNAMIC_ITEMS"]
