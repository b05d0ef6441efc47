"""What /subscribe and /unsubscribe answer, and what /subscribe asks before it does anything."""

from collections.abc import Sequence

import discord

from bot.cards.text import counted, escape_name, joined, one_line, shorten_plain
from bot.cogs.responses import COLOUR, Response
from bot.cogs.subscriptions.filter_texts import hint_lines, target_text
from bot.cogs.subscriptions.panel_texts import (
    account_owner,
    options_text,
    pause_remedy,
    project_name,
    setup_embed,
    why_paused,
)
from bot.cogs.webhooks.texts import (
    MAX_NAME,
    channels_text,
    name_text,
    owners_text,
    removal_text,
    webhook_text,
)
from bot.discord_api.outcomes import ChannelUnavailable, SendFailure
from bot.model import HookKind, HookState
from bot.permissions import Audience
from bot.services.access_rules import LiveFor
from bot.services.subscribe_results import (
    Followed,
    NeedsAccount,
    NeedsConsent,
    NotFollowed,
    NotHeard,
    SubscribeChange,
    Subscribed,
    Unsubscribed,
)
from bot.services.webhook_results import EnsureProblem
from bot.speckle.links import Links
from bot.speckle.subscription_options import OPTIONS, SubscriptionOptions

MAX_ALSO = 10  # of 25 that a question may name; a field has 1,024 characters
MAX_NAMED = 15  # roles, or members, in one sentence

OR_LINK = (
    "If you own the project, the bot can do the rest: link your account with `/link`, then type "
    "the same `/subscribe` again. Or by hand:"
)
NOTHING_ARRIVES = (
    "**Nothing arrives yet**: the bot has no public address that a webhook could lead to, and "
    "nobody's account reads the project for this channel."
)
OR_PUBLIC_URL = (
    "Or the person who runs the bot sets `PUBLIC_URL` and restarts it; then use `/subscribe` here "
    "again."
)
ASK_THE_OPERATOR = (
    "Only the person who runs the bot can change that: they set `PUBLIC_URL`, or in `config.toml` "
    "another `who` below `[live]`, and restart the bot. Then use `/subscribe` here again."
)
LIVE_THROUGH_ACCOUNT = (
    "**Live through your account.** Nothing to do in Speckle: the bot reads there what happens, "
    "with your linked account and for this channel alone."
)
MAY_BE_LIVE = {
    LiveFor.PUBLIC: "public projects",
    LiveFor.OWNERS: "public projects, and private ones for those who own them",
    LiveFor.READERS: "all projects that the account sees",
}
ALL_EVENTS = "all: every event of the project"
NOT_SHOWN = "Nothing was changed."
NOT_COMPLETED = (
    "Your account is linked, but the `/subscribe` that was waiting for it did not work. Type it "
    "again; if it fails again, tell the person who runs the bot: the log has the details."
)


# ── what was done ──────────────────────────────────────────────────────────────────────────────


def public_line(entry: Followed) -> str:
    """What a channel's members read when it starts to follow a project."""
    hook, subscription = entry.hook, entry.subscription
    waiting = ""
    if entry.not_heard is NotHeard.NO_ADDRESS:
        waiting = f"\n{NOTHING_ARRIVES}"
    elif hook.state is HookState.WAITING:
        waiting = (
            "\nIt waits for the first event, which shows that the webhook in Speckle is set up."
        )
    begun = (
        f"Live through the account of {account_owner(subscription)}."
        if hook.is_heard
        else f"Set up by <@{subscription.created_by}>."
    )
    return (
        f"This channel now follows {project_name(entry)} on Speckle: "
        f"{options_text(entry.shown)}. {begun}{waiting}"
    )


def not_announced(channel_id: int, trouble: SendFailure) -> str:
    """What the caller reads when the public line could not be posted."""
    failed = f"The subscription is active, but the bot could not post a message in <#{channel_id}>."
    if isinstance(trouble, ChannelUnavailable):
        return f"{failed} Events may not arrive either: check the bot's permissions there."
    return f"{failed} The bot tries again until its events get through."


def subscribed(outcome: Subscribed) -> Response:
    """What the caller of /subscribe reads."""
    hook, subscription = outcome.entry.hook, outcome.entry.subscription
    news = _of_webhook(outcome)
    also = _also(outcome, news)
    changed = _what_changed(outcome, nothing_else=not also)
    lines = [changed, *_defaulted(outcome), *about_filters(outcome), *also]
    if outcome.entry.not_heard is NotHeard.NO_ADDRESS:
        return Response("\n".join(lines))
    if outcome.setup is not None:
        lines.append("To set it up by hand:" if news else OR_LINK)
        return Response("\n".join(lines), embed=setup_embed(outcome.setup))
    if hook.unopenable:
        lines.append(
            "Nothing arrives yet: the bot's encryption keys can no longer decrypt the secret of "
            "the project's webhook. A member with *Manage Webhooks* in all channels of that "
            "webhook, or in the whole server, can create a new one: `/subscriptions`, then *Set up "
            "again*."
        )
    elif hook.state is HookState.WAITING:
        lines.append(
            "It waits for the first event: the project's webhook in Speckle has not sent one yet. "
            "A member with *Manage Webhooks* in all channels of that webhook, or in the whole "
            "server, sees what to enter there: `/subscriptions`, then *Show set-up*."
        )
    elif not (news or hook.is_heard) and outcome.paused is None and _is_news(outcome):
        lines.append(_live_text(outcome))
    lines.append(
        f"Change, pause or remove it: `/subscriptions channel:`<#{subscription.channel_id}>"
    )
    return Response("\n".join(lines))


def _defaulted(outcome: Subscribed) -> list[str]:
    """Which filters nobody typed, and whose they are."""
    named = [one.label.lower() for one in OPTIONS if one.name in outcome.defaulted]
    if not named:
        return []
    filters = "Its filter for" if len(named) == 1 else "Its filters for"
    text = (
        f"{filters} {joined(named)} came from the default filters of this server (`/settings`). "
        "*Edit* under `/subscriptions` changes what this channel shows."
    )
    return [text]


def about_filters(outcome: Subscribed) -> list[str]:
    """What the pasted link means, and which filters have no effect now."""
    target = target_text(outcome)
    return [*([] if target is None else [target]), *hint_lines(outcome.hints)]


def _of_webhook(outcome: Subscribed) -> str:
    """What there is to say of the webhook; of one that nobody could set up, why nothing arrives."""
    if outcome.entry.not_heard is NotHeard.NO_ADDRESS:
        return _nothing_arrives(outcome)
    return webhook_text(outcome.entry.hook, outcome.webhook)


def _nothing_arrives(outcome: Subscribed) -> str:
    """Why there is neither a webhook nor an account, and who can change that."""
    if outcome.not_live is None:
        ask = "Someone who can see it links their account (`/link`) and uses `/subscribe` here."
        return f"{NOTHING_ARRIVES} {ask} {OR_PUBLIC_URL}"
    allowed = (
        "It cannot be live through your account, as the person who runs the bot allows that for "
        f"{MAY_BE_LIVE[outcome.not_live]}."
    )
    if outcome.not_live is LiveFor.PUBLIC:
        return f"{NOTHING_ARRIVES} {allowed} {ASK_THE_OPERATOR}"
    owners = owners_text(outcome.webhook, outcome.entry.hook)
    ask = (
        f"Ask {owners} to link their account (`/link`) and use `/subscribe` here: then it is live."
    )
    return f"{NOTHING_ARRIVES} {allowed} {ask} {OR_PUBLIC_URL}"


def _resumed(outcome: Subscribed) -> str:
    """That it is paused no more; what is still waited for is said with what is to be done."""
    kept = {0: "", 1: " 1 event was kept and comes now."}.get(
        outcome.kept, f" {outcome.kept} events were kept and come now."
    )
    if outcome.entry.hook.state is HookState.WAITING:
        return f"It is not paused any more, but nothing new is shown until its webhook works.{kept}"
    return f"It was paused and is active again.{kept}"


def _also(outcome: Subscribed, news: str) -> list[str]:
    """What else happened: what continues or stops, the webhook, other channels."""
    lines = []
    has_address = outcome.entry.not_heard is not NotHeard.NO_ADDRESS
    if outcome.resumed and (has_address or outcome.kept):
        lines.append(_resumed(outcome))
    if outcome.paused is not None:
        why = why_paused(outcome.entry.subscription)
        lines.append(f"**It is paused now, because {why}.** {pause_remedy(outcome.entry)}")
    if news:
        lines.append(news)
    if outcome.begins_live:
        lines.append(LIVE_THROUGH_ACCOUNT)
    if outcome.not_live is not None and has_address:
        lines.append(
            "It cannot be live through your account either: the person who runs the bot allows "
            f"that for {MAY_BE_LIVE[outcome.not_live]}."
        )
    if outcome.lacking:
        lines.append(_missing(outcome))
    if outcome.also:
        also = channels_text(outcome.also)
        lines.append(f"These channels show the project now, too: {also}.")
    if outcome.unanswered:
        other = "1 other channel" if outcome.unanswered == 1 else f"{outcome.unanswered} others"
        lines.append(
            f"Paused until someone confirms who will see the project there: {other} of "
            "the same webhook."
        )
    return lines


def _missing(outcome: Subscribed) -> str:
    names = ", ".join(kind.words for kind in outcome.lacking)
    where = f"<#{outcome.entry.subscription.channel_id}>"
    return (
        f"These events are not sent yet: {names}. Only an owner of the project can add them to its "
        f"webhook: they link their Speckle account (`/link`) and use `/subscribe` in {where}."
    )


def _what_changed(outcome: Subscribed, *, nothing_else: bool) -> str:
    subscription = outcome.entry.subscription
    where, new = f"<#{subscription.channel_id}>", options_text(outcome.entry.shown)
    match outcome.change:
        case SubscribeChange.NEW:
            return f"{where} now follows {project_name(outcome.entry)}: {new}."
        case SubscribeChange.UNCHANGED:
            again = "Nothing changed: " if nothing_else else ""
            return f"{again}{where} follows {project_name(outcome.entry)} already: {new}."
        case SubscribeChange.CHANGED:
            return options_changed(outcome.entry, outcome.old_options or SubscriptionOptions())


def options_changed(
    entry: Followed, old: SubscriptionOptions, what_changed: str | None = None
) -> str:
    """From what to what the options went, under a sentence on that."""
    subscription = entry.subscription
    where = f"<#{subscription.channel_id}>"
    if old == subscription.options:
        return f"{where} shows the same of {project_name(entry)} as before."
    return (
        f"{what_changed or f'Changed what {where} shows of {project_name(entry)}.'}\n"
        f"Before: {options_text(old.named(entry.models))}.\nNow: {options_text(entry.shown)}."
    )


def edited(outcome: Subscribed, what_changed: str | None = None) -> str:
    """What the caller reads above the panel, after the form or *Resume*, or from a card's menu."""
    news = _of_webhook(outcome)
    old = outcome.old_options or SubscriptionOptions()
    changed = options_changed(outcome.entry, old, what_changed)
    first = [] if outcome.resumed and outcome.change is SubscribeChange.UNCHANGED else [changed]
    return "\n".join([*first, *about_filters(outcome), *_also(outcome, news)])


def _is_news(outcome: Subscribed) -> bool:
    """Whether the caller learns of something by reading that it is live."""
    asks_more = bool(outcome.new_triggers) and outcome.entry.hook.webhook_id is None
    return outcome.change is SubscribeChange.NEW or (
        asks_more and outcome.change is SubscribeChange.CHANGED
    )


def _live_text(outcome: Subscribed) -> str:
    if outcome.entry.hook.kind is HookKind.SHARED:
        return (
            "It is live now: this Speckle server uses the shared webhook of the person who runs "
            "the bot, so there is nothing to set up. Only a project that has that webhook sends "
            "events."
        )
    if outcome.new_triggers and outcome.entry.hook.webhook_id is None:
        names = ", ".join(f"`{name}`" for name in outcome.new_triggers)
        settings = Links(outcome.entry.hook.server_url).webhook_settings(
            outcome.entry.hook.project_id
        )
        return (
            "It is live now: the project's webhook works already. Make sure that it also has these "
            f"events: {names} ([webhook settings](<{settings}>))."
        )
    return "It is live now: the project's webhook works already."


def unsubscribed(outcome: Unsubscribed) -> str:
    """What the caller reads after a subscription ended."""
    hook, subscription = outcome.entry.hook, outcome.entry.subscription
    text = f"<#{subscription.channel_id}> no longer follows {project_name(outcome.entry)}."
    if not outcome.last:
        news = webhook_text(hook, outcome.webhook)
        return "\n".join(filter(None, (f"{text} Other channels of this server still do.", news)))
    if outcome.removal is not None:
        return f"{text} {removal_text(outcome.removal, hook)}"
    if hook.kind is HookKind.SHARED or hook.is_heard:
        return f"{text} No other channel of this server does either."
    settings = f"[webhook settings](<{outcome.settings_url}>)"
    ends_in = f"`/webhooks/{(hook.key or '')[:6]}…`"
    if hook.state is HookState.WAITING:
        return (
            f"{text} It was the last channel of its webhook, which has not sent anything yet. If "
            f"Speckle has that webhook already, delete it in the project's {settings}: its URL "
            f"ends in {ends_in}."
        )
    return (
        f"{text} It was the last channel of its webhook, so the bot now refuses what that sends. "
        f"Clean up in Speckle: open the project's {settings} and delete the webhook whose URL ends "
        f"in {ends_in}."
    )


def not_followed(outcome: NotFollowed, channel_id: int) -> str:
    """What the caller reads when there was nothing to unsubscribe."""
    project = escape_name(shorten_plain(one_line(outcome.project), MAX_NAME))
    text = f"Nothing to unsubscribe: <#{channel_id}> does not follow {project}."
    if outcome.elsewhere:
        channels = channels_text(outcome.elsewhere)
        return f"{text} These channels do: {channels}. Name one of them as `channel`."
    return f"{text} `/subscriptions` shows what is followed."


# ── what is to be decided first ───────────────────────────────────────────────────────────────


def needs_account_text(outcome: NeedsAccount, live_for: LiveFor, *, by_hand: bool) -> str:
    """Why nothing was done yet, and the ways to continue.

    `by_hand`: there is that way, as the bot has a public address. `live_for`: of which projects
    accounts may hear.
    """
    server = outcome.server_url
    if outcome.paused:
        return (
            "This channel is paused until someone who can see the project confirms who will see it "
            f"here. {_why_link(outcome)} **Link my account** does that, and then continues "
            "automatically."
        )
    if outcome.why is EnsureProblem.SPECKLE_AWAY:
        instead = ", or set the webhook up by hand" if by_hand else ""
        return (
            f"{server} does not answer at the moment, so nothing was changed. Use `/subscribe` "
            f"again in a minute{instead}."
        )
    through = (
        "through your account, with nothing to do in Speckle (the person who runs the bot allows "
        f"that for {MAY_BE_LIVE[live_for]})"
    )
    if not by_hand:
        return (
            f"{_why_link(outcome)} **Link my account**, and this `/subscribe` completes itself: "
            f"the bot then hears of the project {through}. Nothing was changed yet."
        )
    return (
        f"{_why_link(outcome)} There are two ways to continue:\n"
        "- **Link my account**, and this `/subscribe` completes itself: if you own the project, "
        "the bot creates the webhook in Speckle for you; otherwise it hears of the project "
        f"{through}.\n"
        "- **Set it up by hand**: you get an address and a secret to enter in Speckle, or to give "
        "to an owner of the project.\n"
        "Nothing was changed yet."
    )


def _why_link(outcome: NeedsAccount) -> str:
    server = outcome.server_url
    match outcome.why:
        case None:
            return f"You have not linked an account on {server}."
        case EnsureProblem.TOKEN_REFUSED:
            return (
                f"{server} no longer accepts the token of your linked account: it must be linked "
                "again."
            )
        case EnsureProblem.UNCONFIRMED:
            return (
                "The bot's database was restored from a copy, so your linked account is not used "
                "until you confirm it: type `/account` and press *Use this account again*, or link "
                "it again."
            )
        case EnsureProblem.UNOPENABLE:
            return (
                "The bot's encryption keys can no longer decrypt your linked account: it must be "
                "linked again. Tell the person who runs the bot, who may still have the old key."
            )
        case EnsureProblem.NO_SCOPE:
            return (
                f"Your linked account is not allowed to read projects on {server}: it must be "
                "linked again with the scope `streams:read`."
            )
        case _:
            return f"{server} gave an unexpected answer."


def needs_consent_text(outcome: NeedsConsent) -> discord.Embed:
    """Who would see a private project, before anyone does."""
    target = outcome.request.channel
    embed = discord.Embed(
        title="Who will see this project",
        description=(
            f"{_project(outcome)} In <#{target.channel_id}> its events, with names, messages and "
            "pictures, can be read by people who may have no access to it there. Your answer is "
            "kept with the channel: if more people can see it later, or more events should be "
            "shown, the bot asks again. Nothing was changed yet."
        ),
        colour=COLOUR,
    )
    embed.add_field(
        name="Who will see it",
        value=audience_text(target.audience, target.channel_id),
        inline=False,
    )
    if outcome.also:
        embed.add_field(
            name="These channels will see it, too", value=_also_text(outcome), inline=False
        )
    if outcome.others:
        embed.add_field(name="Left out", value=_others_text(outcome.others), inline=False)
    return embed


def _project(outcome: NeedsConsent) -> str:
    url = Links(outcome.server_url).project(outcome.project_id)
    if outcome.project_name is not None:
        return f"[**{name_text(outcome.project_name)}**](<{url}>) is private in Speckle."
    return (
        f"[This project](<{url}>) seems to be private in Speckle. You can answer because you have "
        "*Manage Webhooks* in the whole server."
    )


def _also_text(outcome: NeedsConsent) -> str:
    lines = []
    for channel_id in outcome.chosen[:MAX_ALSO]:
        audience = outcome.also[channel_id]
        lines.append(f"- <#{channel_id}>: {_briefly(audience)}")
    more = len(outcome.chosen) - MAX_ALSO
    if more > 0:
        lines.append(f"- and {more} more, which the list below names")
    lines.append(
        "They follow the project already, and get its events through the webhook that the bot "
        "creates with your account. Remove those that must not see it from the list below."
    )
    return "\n".join(lines)


def _briefly(audience: Audience) -> str:
    if audience.everyone:
        return "everyone in this server"
    if audience.in_thread:
        return "a private thread"
    many = len(audience.roles) + len(audience.members)
    return "administrators only" if not many else f"{_counted(many)} and administrators"


def _counted(many: int) -> str:
    return "1 role or member" if many == 1 else f"{many} roles or members"


def _others_text(others: int) -> str:
    if others == 1:
        return "1 more channel that follows it. You do not see it, so you cannot answer for it."
    return f"{others} more channels that follow it. You do not see them, or they are too many."


def audience_text(audience: Audience | None, channel_id: int) -> str:
    """Who can see a channel, in words."""
    if audience is None:
        return f"Everyone who can see <#{channel_id}>."
    if audience.everyone:
        many = f" ({counted(audience.people, 'member')})" if audience.people else ""
        where = "" if audience.parent_id is None else f", as its channel <#{audience.parent_id}>"
        return f"**Everyone in this server**{many}{where}."
    who = []
    if audience.in_thread:
        who.append("- everyone in this private thread, or added to it later")
        who.append(f"- members who can *Manage Threads* in <#{audience.parent_id}>")
    else:
        if audience.roles:
            who.append(f"- members with {_some([f'<@&{role}>' for role in audience.roles])}")
        if audience.members:
            who.append(f"- {_some([f'<@{member}>' for member in audience.members])}")
        if audience.parent_id is not None:
            who.append(f"- the same people as in its channel <#{audience.parent_id}>")
    who.append("- the server's owner and its administrators")
    return "\n".join(who)


def _some(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    if more > 0:
        return f"{', '.join(names[:MAX_NAMED])} and {more} more"
    return joined(names)
