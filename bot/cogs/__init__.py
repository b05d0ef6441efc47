"""The commands, one cog a subject: read the input, call one service, show the answer."""

from bot.cogs.accounts.cog import ACCOUNT_ITEMS, AccountsCog
from bot.cogs.guilds.cog import GuildsCog
from bot.cogs.modals import ModalCog
from bot.cogs.notices.cog import AccessButton, NoticesCog, ResumeButton
from bot.cogs.subscriptions.cog import SubscribeCog, SubscriptionsCog
from bot.cogs.subscriptions.panel import PANEL_ITEMS
from bot.cogs.subscriptions.pending import ExcludeChannelsSelect, PendingChoiceButton

COGS = (SubscribeCog, SubscriptionsCog, NoticesCog, AccountsCog, GuildsCog, ModalCog)
DYNAMIC_ITEMS = (
    *PANEL_ITEMS,
    ResumeButton,
    AccessButton,
    PendingChoiceButton,
    ExcludeChannelsSelect,
    *ACCOUNT_ITEMS,
)

__all__ = ["COGS", "DYNAMIC_ITEMS"]
