"""The commands, one cog a subject: read the input, call one service, show the answer."""

from bot.cogs.accounts import ACCOUNT_ITEMS, AccountsCog
from bot.cogs.forms import FormsCog
from bot.cogs.guilds import GuildsCog
from bot.cogs.notices import AccessButton, NoticesCog, ResumeButton
from bot.cogs.panel import PANEL_ITEMS
from bot.cogs.subscribe import SubscribeCog
from bot.cogs.subscriptions import SubscriptionsCog
from bot.cogs.waiting import LeaveOutSelect, WayButton

COGS = (SubscribeCog, SubscriptionsCog, NoticesCog, AccountsCog, GuildsCog, FormsCog)
DYNAMIC_ITEMS = (
    *PANEL_ITEMS, ResumeButton, AccessButton, WayButton, LeaveOutSelect, *ACCOUNT_ITEMS
)  # fmt: skip

__all__ = ["COGS", "DYNAMIC_ITEMS"]
