"""Texts about linked accounts. Names that people chose are escaped here."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import assert_never
from urllib.parse import urlsplit

import discord

from bot.cards.text import counted, escape_name, moment_text, one_line, shorten_plain
from bot.cogs.responses import COLOUR
from bot.database_content import RetentionPolicy
from bot.model import Account, Dependents
from bot.services.linking import LinkFailed, LinkWay, PasteCode, PasteToken, SignIn, WhyNotLinked
from bot.services.personal_data import PersonalData
from bot.services.token_lending import TokenStatus
from bot.speckle.links import Links
from bot.speckle.tokens import SCOPES, TokenScope

MAX_NAME = 80
MAX_GUILDS = 10

SCOPE_LIST = ", ".join(f"`{scope}`" for scope in SCOPES)
WHAT_FOR: Mapping[TokenScope, str] = {
    TokenScope.STREAMS_READ: "read what happens in the projects that you see: versions, comments, "
    "issues, and their names",
    TokenScope.STREAMS_WRITE: "create and maintain webhooks in the projects that you own",
    TokenScope.PROFILE_READ: "see who you are, and find your projects by name",
}
NONE_MADE = (
    "; this bot makes none as long as it has no public address, so a token can do without this one"
)
NO_WRITE = (
    "The token lacks `streams:write`, which is fine, but the bot cannot create webhooks for you "
    "then: projects are live through your account where the person who runs the bot allows that, "
    "otherwise set up in Speckle by hand. `/link` with another token changes that."
)

GuildName = Callable[[int], str | None]


def host_of(server_url: str) -> str:
    """A server as people call it."""
    return urlsplit(server_url).netloc


def unknown_server(servers: Sequence[str]) -> str:
    """What the caller reads who named another server than the bot's."""
    known = ", ".join(f"`{host_of(server)}`" for server in servers)
    return (
        f"The bot does not work with that Speckle server, only with {known}. The person who runs "
        "the bot can add one to `SPECKLE_SERVERS`."
    )


def which_to_unlink(accounts: Sequence[Account]) -> str:
    """What the caller reads who did not say which account is meant, or named another server."""
    hosts = ", ".join(f"`{host_of(one.server_url)}`" for one in accounts)
    return f"You linked accounts on {hosts}. Name one with the option `server`."


def name_of(account: Account) -> str:
    """The account's name on Speckle, else its id."""
    name = one_line(account.name, account.speckle_user_id)
    return f"**{escape_name(shorten_plain(name, MAX_NAME))}**"


def link_lead(way: LinkWay, linked: Account | None, *, makes_webhooks: bool) -> str:
    """The text above the buttons that link an account."""
    host = host_of(way.server_url)
    before = ""
    if linked is not None:
        before = (
            f"You have linked {name_of(linked)} on {host}. Another account, or the same one again, "
            "replaces it; everything that depends on it continues with the new account.\n\n"
        )
    return f"{before}**Link your Speckle account on {host}.**{_steps(way, makes_webhooks)}"


def _steps(way: LinkWay, makes_webhooks: bool) -> str:
    what_for = _what_for(makes_webhooks)
    match way:
        case SignIn():
            return (
                " The button opens a page of this bot that explains what the bot will be allowed "
                "to do; from there you sign in to Speckle.\n"
                "The link is for you only and works for 15 minutes. Do not share it: a person who "
                "signs in with it links their Speckle account to your Discord account."
            )
        case PasteCode():
            return (
                "\n1. *Sign in with Speckle* opens Speckle's page. Sign in and allow what it asks "
                f"for:\n{what_for}\n"
                "2. Speckle then shows a code. Copy it.\n"
                "3. Press *Paste the code* here, within 10 minutes, and put it into the form.\n"
                "**No code shown?** If you end on a page that does not open, paste that page's "
                "address in place of the code. Otherwise create a token: *Create a token* opens "
                "Speckle's developer settings. Give the token the scopes above and no others, "
                "press *Paste the token* here, within 15 minutes, and put it into the form.\n"
                "Only the bot receives the forms. Never write a code or a token into a channel, "
                "and give them to nobody."
            )
        case PasteToken():
            return (
                "\n1. *Create a token* opens Speckle's developer settings: create a personal "
                "access token there.\n"
                f"2. Give it these scopes and no others: {SCOPE_LIST}. Their purpose:\n{what_for}\n"
                "3. Press *Paste it* here, within 15 minutes, and put the token into the form.\n"
                "Only the bot receives the form. Never write the token into a channel."
            )
        case _:
            assert_never(way)


def _what_for(makes_webhooks: bool) -> str:
    purposes = dict(WHAT_FOR)
    if not makes_webhooks:
        purposes[TokenScope.STREAMS_WRITE] += NONE_MADE
    return "\n".join(f"  - `{scope}`: {purposes[scope]}" for scope in SCOPES)


def form_text(server_url: str) -> str:
    """The text above the field of the form."""
    return (
        f"A personal access token of {Links(server_url).token_settings()} with the scopes "
        f"{SCOPE_LIST}. It is checked at once and stored encrypted."
    )


def code_form_text(server_url: str) -> str:
    """The same, of the form for a code."""
    return (
        f"The code that {host_of(server_url)} showed after you allowed the bot to use your "
        "account. It works once, within 10 minutes. If you were sent on to a page that does not "
        "open, paste that page's address, which has the code in it."
    )


def account_linked(account: Account, *, makes_webhooks: bool = True) -> str:
    """What a person reads once their account is linked, to a bot that makes webhooks or none."""
    text = (
        f"Your Discord account is linked to the Speckle account {name_of(account)} on "
        f"{host_of(account.server_url)}."
    )
    if makes_webhooks and TokenScope.STREAMS_WRITE not in account.scopes:
        text += f"\n{NO_WRITE}"
    return (
        f"{text}\nA `/subscribe` that waited for this continues by itself; otherwise type it in a "
        "channel that is to show one of your projects.\n`/account` shows it, `/unlink` removes it."
    )


def linked_notice(account: Account) -> str:
    """The same, for a person who may not have done it themselves."""
    return (
        f"{account_linked(account)}\n**Not you, or not your Speckle account?** Then use `/unlink` "
        "now: someone else signed in with your link."
    )


def account_not_linked(failed: LinkFailed, servers: Collection[str]) -> str:
    """Why no account was linked, and what to do."""
    server = failed.server_url or next(iter(servers))
    tokens = f"<{Links(server).token_settings()}>"
    match failed.why:
        case WhyNotLinked.EXPIRED:
            return "This has expired: it works for 15 minutes. Use `/link` again."
        case WhyNotLinked.USED:
            return (
                "This has been used already; `/account` shows what is linked. For another account, "
                "use `/link` again."
            )
        case WhyNotLinked.OTHER_PERSON:
            return "This was made for someone else. Use `/link` yourself."
        case WhyNotLinked.NOT_A_TOKEN:
            return (
                "That is not a Speckle token: it contains spaces or characters that no token has. "
                "Copy it again, without anything around it, and open the form once more."
            )
        case WhyNotLinked.TOKEN_REFUSED:
            return (
                f"{host_of(server)} does not accept this token. Perhaps it was not copied "
                "completely, has expired, or belongs to another server. Create a new one at "
                f"{tokens} with the scopes {SCOPE_LIST}, then open the form once more."
            )
        case WhyNotLinked.SCOPES_MISSING:
            missing = " and ".join(f"`{scope}`" for scope in failed.scopes)
            return (
                f"Nothing was linked: the token lacks the scope{'s' * (len(failed.scopes) > 1)} "
                f"{missing}. Scopes cannot be added later, so create a new token at {tokens} with "
                f"{SCOPE_LIST}, then open the form once more."
            )
        case WhyNotLinked.SERVER_AWAY:
            return (
                f"{host_of(server)} does not answer at the moment, so nothing was linked. Try the "
                "same again in a minute."
            )
        case _:
            return (
                f"{host_of(server)} answered something that the bot does not understand, so "
                "nothing was linked. If this continues, tell the person who runs the bot."
            )


def not_signed_in(failed: LinkFailed, servers: Collection[str]) -> str:
    """Why a code that Speckle showed linked no account, and what to do."""
    host = host_of(failed.server_url or next(iter(servers)))
    instead = "or use *Create a token* and *Paste the token* instead"
    match failed.why:
        case WhyNotLinked.NOT_A_CODE:
            return (
                "That is not a code of Speckle's: it contains spaces or characters that no code "
                "has. Copy it again, without anything around it, and press *Paste the code* once "
                "more."
            )
        case WhyNotLinked.CODE_REFUSED:
            return (
                f"{host} does not accept this code, so nothing was linked. A code works once, "
                "within 10 minutes, and only if the button above it led you to Speckle. Press "
                "*Sign in with Speckle* again for a new one and copy all of it, "
                f"{instead}. If new codes are refused too, tell the person who runs the bot: the "
                "secret of its application may be wrong."
            )
        case WhyNotLinked.SCOPES_MISSING | WhyNotLinked.TOKEN_REFUSED | WhyNotLinked.NO_APP:
            missing = ", ".join(f"`{scope}`" for scope in failed.scopes)
            why = (
                f"the bot's application there lacks {missing}"
                if missing
                else "the bot's application there cannot be used at the moment"
            )
            return (
                f"Nothing was linked on {host}: {why}. Tell the person who runs the bot, {instead}."
            )
        case _:
            return account_not_linked(failed, servers)


def dependents_text(dependents: Dependents, guild_name: GuildName) -> str:
    """What depends on an account, a line a Discord server; "" if nothing does."""
    lines = [
        f"- {counted(count, 'channel')} of {_guild(guild_id, guild_name)}"
        for guild_id, count in list(dependents.channels.items())[:MAX_GUILDS]
    ]
    more = len(dependents.channels) - MAX_GUILDS
    if more > 0:
        lines.append(f"- and channels of {counted(more, 'further server')}")
    if dependents.webhooks:
        lines.append(f"- {counted(dependents.webhooks, 'webhook')} that the bot created in Speckle")
    return "\n".join(lines)


def _guild(guild_id: int, guild_name: GuildName) -> str:
    name = guild_name(guild_id)
    if name is None:
        return "a server that the bot is no longer in"
    return f"**{escape_name(shorten_plain(one_line(name), MAX_NAME))}**"


def sure_to_unlink(account: Account, dependents: Dependents, guild_name: GuildName) -> str:
    """What unlinking forgets and stops, before it does."""
    return (
        f"Unlink {name_of(account)} on {host_of(account.server_url)}? The bot then forgets its "
        f"tokens and name.\n{_what_stops(dependents, guild_name)}"
    )


def _what_stops(dependents: Dependents, guild_name: GuildName) -> str:
    lines = dependents_text(dependents, guild_name)
    if not lines:
        return "Nothing depends on it, so nothing stops."
    what = (
        "The webhooks are removed from Speckle and the channels are paused"
        if dependents.webhooks
        else "The channels are paused"
    )
    return (
        f"This depends on it:\n{lines}\n{what}, and the people who made their subscriptions are "
        "notified. Subscriptions and new events are kept: someone else with a linked account can "
        "take them over."
    )


def account_unlinked(account: Account, *, tidy: bool) -> str:
    """What a person reads once an account is unlinked."""
    left = ""
    if not tidy:
        left = (
            "\nThe webhooks that the bot created with it could not be removed in Speckle. Delete "
            "them in the projects' *Settings → Webhooks*; their calls fail from now on."
        )
    return (
        f"{name_of(account)} on {host_of(account.server_url)} is unlinked, and the bot has deleted "
        f"its tokens.{left}\nOn Speckle the token is still valid until you delete it, or the app's "
        f"authorisation: <{Links(account.server_url).token_settings()}>"
    )


NOTHING_LINKED = (
    "You have not linked a Speckle account. `/link` does that; `/subscribe` then finds your "
    "projects by name, and needs nothing to be set up in Speckle in most cases."
)
NOTHING_TO_UNLINK = "You have not linked a Speckle account, so there is nothing to unlink."
KEPT = "Nothing was changed."
GONE = "This account is no longer linked. `/account` shows your linked accounts."
STATUS_TEXTS: Mapping[TokenStatus, str] = {
    TokenStatus.TAKEN: "🟢 Speckle accepts it",
    TokenStatus.REFUSED: "🔴 Speckle no longer accepts it: `/link` it again",
    TokenStatus.UNOPENABLE: "🔴 The bot's encryption keys can no longer decrypt it: `/link` it "
    "again, and tell the person who runs the bot, who may still have the old key",
    TokenStatus.UNCONFIRMED: "⏸️ Not used: the bot's database was restored from a copy, and what "
    "you changed after the copy was made is not in it. Press *Use this account again*, or "
    "`/unlink` it",
    TokenStatus.LEFT_OUT: "🔴 Not used: this bot no longer works with the server. Ask the person "
    "who runs the bot to add it to `SPECKLE_SERVERS` again, or `/unlink` the account",
    TokenStatus.UNKNOWN: "⏳ Speckle does not answer at the moment",
}


def accounts_embed(
    shown: Collection[tuple[Account, TokenStatus, Dependents]], guild_name: GuildName
) -> discord.Embed:
    """What is linked, and its status."""
    embed = discord.Embed(title="Your linked Speckle accounts", colour=COLOUR)
    for account, status, dependents in shown:
        rights = ", ".join(f"`{scope}`" for scope in SCOPES if scope in account.scopes)
        write = (
            ""
            if TokenScope.STREAMS_WRITE in account.scopes
            else " (the bot cannot create webhooks)"
        )
        lines = [
            f"{name_of(account)} ({account.speckle_user_id})",
            STATUS_TEXTS[status],
            f"Linked {moment_text(account.linked_at, 'R')}{_how(account)}",
            f"Rights: {rights}{write}",
            dependents_text(dependents, guild_name) or "Nothing depends on it.",
        ]
        embed.add_field(
            name=host_of(account.server_url)[:256], value="\n".join(lines)[:1024], inline=False
        )
    return embed


def _how(account: Account) -> str:
    if account.unopenable:
        return ""
    return ", by signing in" if account.tokens.refresh_token else ", with a token"


def confirmed(account: Account) -> str:
    """What a person reads once an account may be used again."""
    return (
        f"The bot uses {name_of(account)} on {host_of(account.server_url)} again, as before the "
        "restore. Channels that were paused because of it continue, and show what happened in the "
        "meantime. `/subscriptions` shows in each server what is followed; `/unlink` stops it."
    )


def privacy_embed(
    data: PersonalData, retention: RetentionPolicy, servers: Collection[str]
) -> discord.Embed:
    """What is stored about a person, where it goes, and for how long."""
    embed = discord.Embed(title="What is stored about you", colour=COLOUR)
    lines = [*_of_accounts(data), *_of_traces(data, retention)]
    embed.description = "\n".join(lines) or "Nothing. The bot stores nothing about you."
    embed.add_field(
        name="Also: what projects send",
        value=(
            "Events of a followed project name the people who did something in it, as Speckle "
            f"does. {_kept_for(retention)}The names of a project's models and people are kept for "
            "as long as a channel follows it. That belongs to the project's channels and is the "
            "same for all; no button here deletes it."
        ),
        inline=False,
    )
    embed.add_field(
        name="Where it goes",
        value=(
            "Your tokens go only to the Speckle server that issued them: "
            f"{', '.join(host_of(server) for server in servers)}. What the bot shows goes to "
            "Discord. Nothing goes to anyone else. The person who runs the bot has access to its "
            "database and its keys."
        )[:1024],
        inline=False,
    )
    return embed


def _of_accounts(data: PersonalData) -> Iterator[str]:
    for account, _ in data.accounts:
        yield (
            f"- Your Speckle account {name_of(account)} on {host_of(account.server_url)}, with "
            "your Discord id: its id, name, tokens and their rights; name and tokens are "
            "encrypted. Until you unlink it."
        )


def _of_traces(data: PersonalData, retention: RetentionPolicy) -> Iterator[str]:
    """Where else a person is named."""
    if data.unfinished:
        yield (
            "- What you began and have not finished, such as linking an account, with your Discord "
            "id; the rest of it is encrypted. For three hours at most."
        )
    made = data.subscriptions + data.hooks
    if made:
        yield (
            "- Your Discord id, as the person who made "
            f"{counted(data.subscriptions, 'subscription')}, and let the bot follow "
            f"{counted(data.hooks, 'project')}. Until that ends."
        )
    if data.paused:
        yield (
            f"- Your Discord id, as the person who paused {counted(data.paused, 'subscription')}. "
            "Until someone resumes them."
        )
    if data.answers:
        yield (
            f"- Your Discord id, in {counted(data.answers, 'answer')} to who sees a project in a "
            "channel: as who gave it, or as someone who was let into that channel by name. Until "
            "somebody answers again, or the subscription is removed."
        )
    if data.notices:
        yield (
            f"- Your Discord id, in {counted(data.notices, 'notice')} to you of what was paused. "
            f"Kept for {counted(retention.delivered.days, 'day')}."
        )
    if data.changes:
        yield (
            f"- Your Discord id, with {counted(data.changes, 'change')} that you made in Discord "
            "servers: those who may read the audit log there see them. Kept for "
            f"{counted(retention.audit.days, 'day')}."
        )
    if data.audit_channels:
        yield (
            "- Your Discord id, as the person who chose the channel for the audit log in "
            f"{counted(data.audit_channels, 'Discord server')}. Until another one is chosen."
        )


def _kept_for(retention: RetentionPolicy) -> str:
    return (
        f"Once they are dealt with, their text is kept for {counted(retention.bodies.days, 'day')} "
        f"and their cards for {counted(retention.delivered.days, 'day')}; cards that could not be "
        f"sent, and events of channels that are paused, for at most "
        f"{counted(retention.undeliverable.days, 'day')}. "
    )


def sure_to_erase(data: PersonalData, guild_name: GuildName) -> str:
    """What erasing takes away, before it does."""
    lines = ["**Erase what is stored about you?**"]
    for account, dependents in data.accounts:
        lines.append(
            f"{name_of(account)} on {host_of(account.server_url)} is unlinked. "
            f"{_what_stops(dependents, guild_name)}"
        )
    if data.subscriptions or data.hooks or data.answers:
        lines.append(
            "Subscriptions that you made belong to their channels and stay, without your name: "
            "the bot can then notify nobody in a direct message that one of them had to be paused. "
            "Your confirmations for channels also stay, without your name."
        )
    if data.changes:
        lines.append("In the audit log of servers, your changes stay, without your name.")
    lines.append(
        "What is erased cannot be brought back. Messages in channels stay, and so does what the "
        "host's earlier copies of the database hold, until the host deletes them."
    )
    return "\n".join(lines)[:2000]


ERASED = (
    "Everything about you is erased here. Tokens that you created are still valid on Speckle until "
    "you delete them there, under *Settings → Developer settings*."
)
ERASED_BUT_WEBHOOKS = (
    f"{ERASED}\nNot all webhooks that the bot created with it could be removed in Speckle. Delete "
    "them in the projects' *Settings → Webhooks*; their calls fail from now on."
)
NOTHING_STORED = "Nothing about you is stored, so there is nothing to erase."
