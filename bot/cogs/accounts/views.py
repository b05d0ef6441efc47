"""What is shown of a person's accounts, the buttons below it, and the forms that take a token or
a code.

Each component carries in its custom_id all that it needs, and works for its own caller alone: each
press looks up again whose account it is.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar, assert_never

import discord

from bot.cogs.accounts import texts as account_texts
from bot.cogs.components import Handlers, form_values
from bot.cogs.followups import followup_address
from bot.cogs.persistent import ButtonLook, PersistentButton, link_button, view_of, with_addresses
from bot.cogs.responses import (
    Interaction,
    Response,
    UserError,
    edit_with,
    with_contact,
)
from bot.model import Account
from bot.services.linking import (
    MAX_TOKEN,
    MAX_TYPED_CODE,
    AccountLinking,
    LinkFailed,
    LinkWay,
    PasteCode,
    PasteToken,
    SignIn,
)
from bot.services.personal_data import PersonalDataService
from bot.services.token_lending import TokenLender, TokenStatus

T = TypeVar("T")

MODAL_LIFE_S: Final = 900.0  # as long as the request that it is for
MAX_BUTTONS: Final = 25
SIGN_IN: Final = "Sign in with Speckle"
CREATE_TOKEN: Final = "Create a token"  # noqa: S105  # a label
NONCE: Final = r"(?P<nonce>[A-Za-z0-9_-]{43})"


class AccountAction(StrEnum):
    """What a button under these answers does."""

    UNLINK = "unlink"
    ERASE = "erase"
    ERASE_SURE = "erase-sure"
    KEEP = "keep"
    CONFIRM = "confirm"


LOOKS: Mapping[AccountAction, ButtonLook] = {
    AccountAction.UNLINK: ButtonLook("Yes, unlink it", discord.ButtonStyle.danger),
    AccountAction.ERASE: ButtonLook("Erase it", discord.ButtonStyle.danger),
    AccountAction.ERASE_SURE: ButtonLook("Yes, erase it", discord.ButtonStyle.danger),
    AccountAction.KEEP: ButtonLook("Cancel"),
    AccountAction.CONFIRM: ButtonLook("Use this account again", discord.ButtonStyle.primary),
}


class AccountViews:
    """The pages about a person's accounts, and what is pressed and sent off on them."""

    def __init__(
        self,
        lender: TokenLender,
        linking: AccountLinking,
        personal_data: PersonalDataService,
        contact: str,
    ) -> None:
        self._lender = lender
        self._linking = linking
        self._personal_data = personal_data
        self._contact = contact
        action = f"(?P<action>{'|'.join(AccountAction)})"
        self.handlers: Handlers = {
            f"link:paste:{NONCE}": self._on_paste,
            f"link:token:{NONCE}": self._on_token,
            f"link:paste-code:{NONCE}": self._on_code,
            f"link:code:{NONCE}": self._on_signed_in,
            f"account:{action}:(?P<id>[0-9]{{1,18}})": self._on_action,
        }
        self._actions = {
            AccountAction.UNLINK: self._unlink,
            AccountAction.ERASE: self._erase,
            AccountAction.ERASE_SURE: self._erase_sure,
            AccountAction.KEEP: self._keep,
            AccountAction.CONFIRM: self._confirm,
        }

    # ── linking ───────────────────────────────────────────────────────────────────────────────

    async def link_page(
        self, interaction: Interaction, server_url: str, pending: str | None = None
    ) -> Response:
        """The way for the caller to link an account on a server, with its buttons.

        `pending` is the token of a command that continues once that is done.
        """
        user = interaction.user
        linked = await self._lender.of_user(user.id, server_url)
        way = await self._linking.start_link(
            user.id,
            server_url,
            pending,
            person=_person(user),
            answer_to=followup_address(interaction),
        )
        makes_webhooks = self._linking.has_public_url
        lead = account_texts.link_lead(way, linked, makes_webhooks=makes_webhooks)
        shown = with_addresses(lead, *_addresses(way))
        return Response(shown.content, view=view_of(*_link_buttons(way)))

    async def _on_paste(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Open the form for a token, while the request is still open."""
        await self._open_form(interaction, match["nonce"], _token_form)

    async def _on_code(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Open the form for a code, while the request is still open."""
        await self._open_form(interaction, match["nonce"], _code_form)

    async def _open_form(
        self, interaction: Interaction, nonce: str, form: Callable[[str, str], discord.ui.Modal]
    ) -> None:
        # A form has to be the first answer: no "please wait" before it.
        request = await self._or_refused(self._linking.request(nonce))
        await interaction.response.send_modal(form(nonce, request.server_url))

    async def _on_token(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Link the account of the token, in place of the message with the button; a refusal leaves
        that.
        """
        await edit_with(interaction, self._link_by_token(interaction, match["nonce"]))

    async def _link_by_token(self, interaction: Interaction, nonce: str) -> Response:
        token = form_values(interaction)["token"]
        work = self._linking.link_by_token(interaction.user.id, nonce, token)
        return self._linked(await self._or_refused(work))

    async def _on_signed_in(self, interaction: Interaction, match: re.Match[str]) -> None:
        """The same with the code that Speckle showed."""
        await edit_with(interaction, self._link_by_code(interaction, match["nonce"]))

    async def _link_by_code(self, interaction: Interaction, nonce: str) -> Response:
        code = form_values(interaction)["code"]
        work = self._linking.link_by_pasted_code(interaction.user.id, nonce, code)
        return self._linked(await self._or_refused(work, signs_in=True))

    def _linked(self, account: Account) -> Response:
        makes_webhooks = self._linking.has_public_url
        return Response(account_texts.account_linked(account, makes_webhooks=makes_webhooks))

    async def _or_refused(self, work: Awaitable[T], *, signs_in: bool = False) -> T:
        """Do it; a failed link is said in words. `signs_in`: with a code, and not with a token."""
        try:
            return await work
        except LinkFailed as failed:
            say = account_texts.not_signed_in if signs_in else account_texts.account_not_linked
            raise UserError(say(failed, self._linking.servers)) from failed

    # ── what is linked and stored, and forgetting it ──────────────────────────────────────────

    async def unlink_page(self, interaction: Interaction, server: str | None) -> Response:
        """What would be forgotten and stop, with a button that does it."""
        accounts = await self._lender.all_of_user(interaction.user.id)
        if not accounts:
            raise UserError(account_texts.NOTHING_TO_UNLINK)
        named = [one for one in accounts if server is None or is_named(server, one.server_url)]
        if len(named) != 1:
            raise UserError(account_texts.which_to_unlink(accounts))
        account = named[0]
        dependents = await self._linking.dependents(account)
        text = account_texts.sure_to_unlink(account, dependents, _guild_name(interaction))
        return Response(text, view=_choice(AccountAction.UNLINK, account.id))

    async def account_page(self, interaction: Interaction) -> Response:
        """The caller's accounts."""
        accounts = await self._lender.all_of_user(interaction.user.id)
        if not accounts:
            return Response(account_texts.NOTHING_LINKED)
        shown = [
            (one, await self._lender.token_status(one), await self._linking.dependents(one))
            for one in accounts
        ]
        again = [
            account_button(AccountAction.CONFIRM, one.id)
            for one, status, _ in shown
            if status is TokenStatus.UNCONFIRMED
        ]
        view = view_of(*again[:MAX_BUTTONS]) if again else None
        return Response(
            embed=account_texts.accounts_embed(shown, _guild_name(interaction)), view=view
        )

    async def privacy_page(self, interaction: Interaction) -> Response:
        """What is stored about the caller."""
        service = self._personal_data
        stored = await service.of_user(interaction.user.id)
        embed = account_texts.privacy_embed(stored, service.retention, self._linking.servers)
        view = None if stored.is_nothing else view_of(account_button(AccountAction.ERASE))
        return Response(embed=with_contact(embed, self._contact), view=view)

    async def _on_action(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Do it and report it in place of the question."""
        act = self._actions[AccountAction(match["action"])]
        await edit_with(interaction, act(interaction, int(match["id"])))

    async def _own(self, interaction: Interaction, account_id: int) -> Account:
        accounts = await self._lender.all_of_user(interaction.user.id)
        account = next((one for one in accounts if one.id == account_id), None)
        if account is None:
            raise UserError(account_texts.GONE)
        return account

    async def _unlink(self, interaction: Interaction, account_id: int) -> Response:
        account = await self._own(interaction, account_id)
        tidy = await self._linking.unlink(account)
        return Response(account_texts.account_unlinked(account, tidy=tidy))

    async def _erase(self, interaction: Interaction, _account_id: int) -> Response:
        stored = await self._personal_data.of_user(interaction.user.id)
        if stored.is_nothing:
            return Response(account_texts.NOTHING_STORED)
        text = account_texts.sure_to_erase(stored, _guild_name(interaction))
        return Response(text, view=_choice(AccountAction.ERASE_SURE))

    async def _erase_sure(self, interaction: Interaction, _account_id: int) -> Response:
        tidy = await self._personal_data.erase(interaction.user.id)
        return Response(account_texts.ERASED if tidy else account_texts.ERASED_BUT_WEBHOOKS)

    async def _confirm(self, interaction: Interaction, account_id: int) -> Response:
        account = await self._own(interaction, account_id)
        await self._linking.confirm(account)
        return Response(account_texts.confirmed(account))

    async def _keep(self, _interaction: Interaction, _account_id: int) -> Response:
        return Response(account_texts.KEPT)


def _token_form(nonce: str, server_url: str) -> discord.ui.Modal:
    """Takes a personal access token, which is tried and never shown again."""
    text = account_texts.form_text(server_url)
    return _form("Link your Speckle account", f"link:token:{nonce}", text, "Token", MAX_TOKEN)


def _code_form(nonce: str, server_url: str) -> discord.ui.Modal:
    """Takes the code that Speckle shows to a person who signed in, which is traded at once."""
    text = account_texts.code_form_text(server_url)
    return _form(SIGN_IN, f"link:code:{nonce}", text, "Code", MAX_TYPED_CODE)


def _form(title: str, custom_id: str, text: str, label: str, longest: int) -> discord.ui.Modal:
    """A form with one field; `custom_id` says what is done with it."""
    form = discord.ui.Modal(title=title, timeout=MODAL_LIFE_S, custom_id=custom_id)
    field: discord.ui.TextInput[Any] = discord.ui.TextInput(
        custom_id=label.lower(), placeholder="About 42 letters and digits", max_length=longest
    )
    form.add_item(discord.ui.TextDisplay(text))
    form.add_item(discord.ui.Label(text=label, component=field))
    return form


def _person(user: discord.User | discord.Member) -> str:
    """How the sign-in's page names a person: the handle, which nobody else has, comes along."""
    return f"{user.display_name} (@{user.name})"


def _addresses(way: LinkWay) -> tuple[str, ...]:
    match way:
        case SignIn():
            return (way.url,)
        case PasteCode():
            return (way.url, way.tokens_url)
        case PasteToken():
            return (way.tokens_url,)
        case _:
            assert_never(way)


def _link_buttons(way: LinkWay) -> list["discord.ui.Item[Any] | None"]:
    match way:
        case SignIn():
            return [link_button(SIGN_IN, way.url)]
        case PasteCode():
            paste = _paste_button("Paste the code", f"link:paste-code:{way.nonce}")
            tokens = link_button(CREATE_TOKEN, way.tokens_url)
            instead = ButtonLook("Paste the token").button(f"link:paste:{way.nonce}")
            for other in (tokens, instead):
                if other is not None:
                    other.row = 1  # below the way that is the shorter one
            return [link_button(SIGN_IN, way.url), paste, tokens, instead]
        case PasteToken():
            paste = _paste_button("Paste it", f"link:paste:{way.nonce}")
            return [link_button(CREATE_TOKEN, way.tokens_url), paste]
        case _:
            assert_never(way)


def _paste_button(label: str, custom_id: str) -> PersistentButton:
    return ButtonLook(label, discord.ButtonStyle.primary).button(custom_id)


def account_button(action: AccountAction, account_id: int = 0) -> PersistentButton:
    """Does one thing with one of the caller's accounts, or with all that is stored about them."""
    return LOOKS[action].button(f"account:{action}:{account_id}")


def _choice(action: AccountAction, account_id: int = 0) -> discord.ui.View:
    return view_of(account_button(action, account_id), account_button(AccountAction.KEEP))


def _guild_name(interaction: Interaction) -> account_texts.GuildName:
    def name(guild_id: int) -> str | None:
        guild = interaction.client.get_guild(guild_id)
        return guild.name if guild else None

    return name


def server_named(typed: str | None, servers: tuple[str, ...]) -> str:
    """The server that was meant: by its address or host name; the first one if none was named."""
    if typed is None:
        return servers[0]
    for server in servers:
        if is_named(typed, server):
            return server
    raise UserError(account_texts.unknown_server(servers))


def is_named(typed: str, server: str) -> bool:
    """Whether a server is meant, by its address or host name."""
    wanted = typed.strip().lower().rstrip("/")
    return wanted in (server.lower(), account_texts.host_of(server).lower())
