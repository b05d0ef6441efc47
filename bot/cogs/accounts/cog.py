"""/link, /unlink, /account and /privacy: for every member, in direct messages too.

Answers go to the caller alone.
"""

from collections.abc import Sequence

from discord import app_commands
from discord.ext import commands

from bot.cogs.accounts import texts as account_texts
from bot.cogs.accounts.views import AccountViews, server_named
from bot.cogs.interaction import for_everyone
from bot.cogs.responses import Interaction, defer_if_slow, respond
from bot.services.completion import MAX_CHOICES
from bot.services.linking import AccountLinking
from bot.services.token_lending import TokenLender

ServerText = app_commands.Range[str, 1, 200]


class AccountsCog(commands.Cog, name="accounts"):
    """What a person does with their own Speckle account."""

    def __init__(self, lender: TokenLender, linking: AccountLinking, views: AccountViews) -> None:
        self._lender = lender
        self._linking = linking
        self._views = views

    @app_commands.command(description="Link your Speckle account, so that the bot can act for you")
    @app_commands.describe(server="The Speckle server. Default: the first one")
    @for_everyone
    async def link(self, interaction: Interaction, server: ServerText | None = None) -> None:
        """Show the way to link an account."""
        page = self._views.link_page(interaction, server_named(server, self._linking.servers))
        await respond(interaction, await defer_if_slow(interaction, page))

    @app_commands.command(description="Unlink your Speckle account, so that the bot forgets it")
    @app_commands.describe(server="The Speckle server, if you linked accounts on several")
    @for_everyone
    async def unlink(self, interaction: Interaction, server: ServerText | None = None) -> None:
        """Say what would be forgotten and stop, with a button that does it."""
        page = self._views.unlink_page(interaction, server)
        await respond(interaction, await defer_if_slow(interaction, page))

    @app_commands.command(description="Show your linked Speckle accounts and their status")
    @for_everyone
    async def account(self, interaction: Interaction) -> None:
        """Show the caller's accounts."""
        page = self._views.account_page(interaction)
        await respond(interaction, await defer_if_slow(interaction, page))

    @app_commands.command(description="See what the bot stores about you, and erase it")
    @for_everyone
    async def privacy(self, interaction: Interaction) -> None:
        """Show what is stored about the caller."""
        page = self._views.privacy_page(interaction)
        await respond(interaction, await defer_if_slow(interaction, page))

    @link.autocomplete("server")
    async def _servers(
        self, _interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        return _choices(self._linking.servers, typed)

    @unlink.autocomplete("server")
    async def _linked_servers(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        accounts = await self._lender.all_of_user(interaction.user.id)
        return _choices([account.server_url for account in accounts], typed)


def _choices(servers: Sequence[str], typed: str) -> list[app_commands.Choice[str]]:
    fitting = [server for server in servers if typed.strip().lower() in server.lower()]
    return [
        app_commands.Choice(name=account_texts.host_of(server)[:100], value=server)
        for server in fitting[:MAX_CHOICES]
        if len(server) <= 100
    ]
