"""/link, /unlink, /account and /privacy: for every member, in direct messages too.

Answers go to the caller alone, and a button does something for its own caller alone: each press
looks anew whose account it is. Each carries in its custom_id all that it needs.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

import discord
from discord import app_commands
from discord.ext import commands

from bot.cogs.accounts import texts as wording
from bot.cogs.followups import followup_address
from bot.cogs.persistent import link_button, view_of, with_address
from bot.cogs.responses import (
    Interaction,
    Response,
    UserError,
    defer_if_slow,
    edit_response,
    edit_with,
    report_failure,
    respond,
)
from bot.model import Account
from bot.services.linking import AccountLinking, LinkFailed, PasteToken, SignIn
from bot.services.token_lending import TokenStatus

if TYPE_CHECKING:
    from bot.discord_api.client import SpeckleBot

MODAL_LIFE_S: Final = 900.0  # as long as the request that it is for
MAX_TOKEN: Final = 200
MAX_CHOICES: Final = 25
ServerText = app_commands.Range[str, 1, 200]


def for_everyone(callback: Any) -> Any:
    """Make it a command for every member, and for direct messages with the bot."""
    callback = app_commands.allowed_installs(guilds=True, users=False)(callback)
    return app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)(callback)


class AccountsCog(commands.Cog, name="accounts"):
    """What a person does with their own Speckle account."""

    def __init__(self, bot: "SpeckleBot") -> None:
        self._bot = bot

    @app_commands.command(description="Link your Speckle account, so that the bot can act for you")
    @app_commands.describe(server="The Speckle server. Default: the first one")
    @for_everyone
    async def link(self, interaction: Interaction, server: ServerText | None = None) -> None:
        """Show the way to link an account."""
        server_url = _server_of(server, self._bot.linking.servers)
        await respond(
            interaction, await defer_if_slow(interaction, link_response(interaction, server_url))
        )

    @app_commands.command(description="Unlink your Speckle account, so that the bot forgets it")
    @app_commands.describe(server="The Speckle server, if you linked accounts on several")
    @for_everyone
    async def unlink(self, interaction: Interaction, server: ServerText | None = None) -> None:
        """Say what would be forgotten and stop, with a button that does it."""
        await respond(
            interaction, await defer_if_slow(interaction, _unlink_page(interaction, server))
        )

    @app_commands.command(description="Show your linked Speckle accounts and their status")
    @for_everyone
    async def account(self, interaction: Interaction) -> None:
        """Show the caller's accounts."""
        await respond(interaction, await defer_if_slow(interaction, _account_page(interaction)))

    @app_commands.command(description="See what the bot stores about you, and erase it")
    @for_everyone
    async def privacy(self, interaction: Interaction) -> None:
        """Show what is stored about the caller."""
        await respond(interaction, await defer_if_slow(interaction, _privacy_page(interaction)))

    @link.autocomplete("server")
    async def _servers(
        self, _interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        return _choices(self._bot.linking.servers, typed)

    @unlink.autocomplete("server")
    async def _linked_servers(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        accounts = await self._bot.lender.all_of_user(interaction.user.id)
        return _choices([account.server_url for account in accounts], typed)


def _choices(servers: Any, typed: str) -> list[app_commands.Choice[str]]:
    fitting = [server for server in servers if typed.strip().lower() in server.lower()]
    return [
        app_commands.Choice(name=wording.host_of(server)[:100], value=server)
        for server in fitting[:MAX_CHOICES]
        if len(server) <= 100
    ]


def _server_of(typed: str | None, servers: tuple[str, ...]) -> str:
    """The server that was meant: by its address or host name; the first one if none was named."""
    if typed is None:
        return servers[0]
    wanted = typed.strip().lower().rstrip("/")
    for server in servers:
        if wanted in (server.lower(), wording.host_of(server).lower()):
            return server
    known = ", ".join(f"`{wording.host_of(server)}`" for server in servers)
    raise UserError(
        f"The bot does not work with that Speckle server, only with {known}. The person who runs "
        "the bot can add one to `SPECKLE_SERVERS`."
    )


# ── linking ───────────────────────────────────────────────────────────────────────────────────


async def link_response(
    interaction: Interaction, server_url: str, pending: str | None = None
) -> Response:
    """The way for the caller to link an account on a server, with its buttons.

    `pending` is the token of a command that goes on once that is done.
    """
    bot, user = interaction.client, interaction.user
    linked = await bot.lender.of_user(user.id, server_url)
    way = await bot.linking.start_link(
        user.id, server_url, pending, person=_person(user), answer_to=followup_address(interaction)
    )
    shown = with_address(wording.link_lead(way, linked), _address(way))
    return Response(shown.content, view=view_of(*_ways(way)))


def _person(user: discord.User | discord.Member) -> str:
    """How the sign-in's page names a person: the handle, which nobody else has, comes along."""
    return f"{user.display_name} (@{user.name})"


def _address(way: SignIn | PasteToken) -> str:
    return way.url if isinstance(way, SignIn) else way.tokens_url


def _ways(way: SignIn | PasteToken) -> list["discord.ui.Item[Any] | None"]:
    if isinstance(way, SignIn):
        return [link_button("Sign in with Speckle", way.url)]
    return [link_button("Make a token", way.tokens_url), PasteButton(way.nonce)]


class PasteButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"link:paste:(?P<nonce>[A-Za-z0-9_-]{43})",
):
    """Opens the form that takes a token."""

    def __init__(self, nonce: str) -> None:
        self.nonce = nonce
        super().__init__(
            discord.ui.Button(
                label="Paste it",
                style=discord.ButtonStyle.primary,
                custom_id=f"link:paste:{nonce}",
            )
        )

    @classmethod
    async def from_custom_id(
        cls,
        _interaction: discord.Interaction[Any],
        _item: discord.ui.Item[Any],
        match: re.Match[str],
    ) -> Self:
        """Make the button that was pressed again."""
        return cls(match["nonce"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Open the form, while the request still stands."""
        linking: AccountLinking = interaction.client.linking
        try:
            # A form has to be the first answer: no "please wait" before it.
            request = await _or_refused(interaction, linking.request(self.nonce))
            await interaction.response.send_modal(TokenModal(self.nonce, request.server_url))
        except Exception as error:  # the top: discord.py would only log it
            await report_failure(interaction, error)


class TokenModal(discord.ui.Modal):
    """Takes a personal access token, tries it, and never shows it again."""

    def __init__(self, nonce: str, server_url: str) -> None:
        super().__init__(
            title="Link your Speckle account",
            timeout=MODAL_LIFE_S,
            custom_id=f"link:token:{nonce}",
        )
        token: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="token", placeholder="About 42 letters and digits", max_length=MAX_TOKEN
        )
        self.add_item(discord.ui.TextDisplay(wording.form_text(server_url)))
        self.add_item(discord.ui.Label(text="Token", component=token))


async def _on_token(
    interaction: Interaction, match: re.Match[str], typed: Mapping[str, str]
) -> None:
    """A token was sent off: link its account, in place of the message with the button; a refusal
    leaves that.
    """
    linking = interaction.client.linking
    work = linking.link_by_token(interaction.user.id, match["nonce"], typed["token"])
    account = await defer_if_slow(interaction, _or_refused(interaction, work), new=False)
    await edit_response(interaction, Response(wording.account_linked(account)))


async def _or_refused(interaction: Interaction, work: Awaitable[Any]) -> Any:
    """Do it; a failed link is said in words."""
    try:
        return await work
    except LinkFailed as failed:
        servers = interaction.client.linking.servers
        raise UserError(wording.account_not_linked(failed, servers)) from failed


# ── what is linked and stored, and forgetting it ──────────────────────────────────────────────


async def _unlink_page(interaction: Interaction, server: str | None) -> Response:
    accounts = await interaction.client.lender.all_of_user(interaction.user.id)
    if server is not None:
        server_url = _server_of(server, tuple(one.server_url for one in accounts) or ("",))
        accounts = [one for one in accounts if one.server_url == server_url]
    if not accounts:
        raise UserError(wording.NOTHING_TO_UNLINK)
    if len(accounts) > 1:
        hosts = ", ".join(f"`{wording.host_of(one.server_url)}`" for one in accounts)
        raise UserError(f"You linked accounts on {hosts}. Name one with the option `server`.")
    account = accounts[0]
    dependents = await interaction.client.linking.dependents(account)
    text = wording.sure_to_unlink(account, dependents, _guild_name(interaction))
    return Response(text, view=_choice(AccountAction.UNLINK, account.id))


async def _account_page(interaction: Interaction) -> Response:
    lender, linking = interaction.client.lender, interaction.client.linking
    accounts = await lender.all_of_user(interaction.user.id)
    if not accounts:
        return Response(wording.NOTHING_LINKED)
    shown = [
        (one, await lender.token_status(one), await linking.dependents(one)) for one in accounts
    ]
    again = [
        AccountButton(AccountAction.CONFIRM, one.id)
        for one, standing, _ in shown
        if standing is TokenStatus.UNCONFIRMED
    ]
    view = view_of(*again[:MAX_CHOICES]) if again else None
    return Response(embed=wording.accounts_embed(shown, _guild_name(interaction)), view=view)


async def _privacy_page(interaction: Interaction) -> Response:
    bot = interaction.client
    stored = await bot.personal_data.of_user(interaction.user.id)
    embed = wording.privacy_embed(stored, bot.personal_data.retention, bot.linking.servers)
    view = None if stored.is_nothing else view_of(AccountButton(AccountAction.ERASE))
    return Response(embed=embed, view=view)


def _guild_name(interaction: Interaction) -> wording.GuildName:
    def name(guild_id: int) -> str | None:
        guild = interaction.client.get_guild(guild_id)
        return guild.name if guild else None

    return name


class AccountAction(StrEnum):
    """What a button under these answers does."""

    UNLINK = "unlink"
    ERASE = "erase"
    ERASE_SURE = "erase-sure"
    KEEP = "keep"
    CONFIRM = "confirm"


LABELS: Mapping[AccountAction, tuple[str, discord.ButtonStyle]] = {
    AccountAction.UNLINK: ("Yes, unlink it", discord.ButtonStyle.danger),
    AccountAction.ERASE: ("Erase it", discord.ButtonStyle.danger),
    AccountAction.ERASE_SURE: ("Yes, erase it", discord.ButtonStyle.danger),
    AccountAction.KEEP: ("Cancel", discord.ButtonStyle.secondary),
    AccountAction.CONFIRM: ("Use this account again", discord.ButtonStyle.primary),
}


class AccountButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=rf"account:(?P<action>{'|'.join(AccountAction)}):(?P<id>[0-9]{{1,18}})",
):
    """Does one thing with one of the caller's accounts, or with all that is stored about them."""

    def __init__(self, action: AccountAction, account_id: int = 0) -> None:
        self.action = action
        self.account_id = account_id
        label, style = LABELS[action]
        super().__init__(
            discord.ui.Button(label=label, style=style, custom_id=f"account:{action}:{account_id}")
        )

    @classmethod
    async def from_custom_id(
        cls,
        _interaction: discord.Interaction[Any],
        _item: discord.ui.Item[Any],
        match: re.Match[str],
    ) -> Self:
        """Make the button that was pressed again."""
        return cls(AccountAction(match["action"]), int(match["id"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do it and say so in place of the question."""
        await edit_with(interaction, HANDLERS[self.action](interaction, self.account_id))


def _choice(action: AccountAction, account_id: int = 0) -> discord.ui.View:
    return view_of(AccountButton(action, account_id), AccountButton(AccountAction.KEEP))


async def _own(interaction: Interaction, account_id: int) -> Account:
    accounts = await interaction.client.lender.all_of_user(interaction.user.id)
    account = next((one for one in accounts if one.id == account_id), None)
    if account is None:
        raise UserError(wording.GONE)
    return account


async def _on_unlink(interaction: Interaction, account_id: int) -> Response:
    account = await _own(interaction, account_id)
    tidy = await interaction.client.linking.unlink(account)
    return Response(wording.account_unlinked(account, tidy=tidy))


async def _on_erase(interaction: Interaction, _account_id: int) -> Response:
    stored = await interaction.client.personal_data.of_user(interaction.user.id)
    if stored.is_nothing:
        return Response(wording.NOTHING_STORED)
    text = wording.sure_to_erase(stored, _guild_name(interaction))
    return Response(text, view=_choice(AccountAction.ERASE_SURE))


async def _on_erase_sure(interaction: Interaction, _account_id: int) -> Response:
    tidy = await interaction.client.personal_data.erase(interaction.user.id)
    return Response(wording.ERASED if tidy else wording.ERASED_BUT_WEBHOOKS)


async def _on_confirm(interaction: Interaction, account_id: int) -> Response:
    account = await _own(interaction, account_id)
    await interaction.client.linking.confirm(account)
    return Response(wording.confirmed(account))


async def _on_keep(_interaction: Interaction, _account_id: int) -> Response:
    return Response(wording.KEPT)


Handler = Callable[[Interaction, int], Any]
HANDLERS: Mapping[AccountAction, Handler] = {
    AccountAction.UNLINK: _on_unlink,
    AccountAction.ERASE: _on_erase,
    AccountAction.ERASE_SURE: _on_erase_sure,
    AccountAction.KEEP: _on_keep,
    AccountAction.CONFIRM: _on_confirm,
}

ACCOUNT_ITEMS = (PasteButton, AccountButton)
ACCOUNT_MODALS = {r"link:token:(?P<nonce>[A-Za-z0-9_-]{43})": _on_token}
