"""How the outcomes of commands read. Text that people wrote in Speckle is escaped here."""

from collections.abc import Sequence
from datetime import datetime

import discord

from bot.cards.text import escape_name, one_line, shorten, shorten_plain
from bot.cogs.responses import COLOUR, Response
from bot.cogs.subscriptions.pause_texts import WHAT_NEXT, why_paused
from bot.cogs.webhooks.texts import MAX_NAME, channels_text, removal_text, webhook_text
from bot.discord_api.outcomes import ChannelUnavailable, SendFailure
from bot.model import (
    RIGHTS_PAUSES,
    Hook,
    HookKind,
    HookState,
    PauseReason,
    Subscription,
    SubscriptionState,
)
from bot.services.subscribe_results import (
    Followed,
    NotFollowed,
    SharedSetUp,
    SubscribeChange,
    Subscribed,
    Unsubscribed,
)
from bot.services.webhook_setup import WebhookSetup
from bot.speckle.links import Links
from bot.speckle.subscription_options import SubscriptionOptions

MAX_OPTIONS = 300
# In a list, so that a page of entries fits into one embed's 4,096 characters.
MAX_LISTED_NAME = 60
MAX_LISTED_OPTIONS = 100
MAX_DESCRIPTION = 4096

PAUSES = {
    PauseReason.MEMBER: "paused by {by}",
    PauseReason.PROJECT_DELETED: "paused: the project was deleted in Speckle",
    PauseReason.CHANNEL_GONE: "paused: the channel is gone",
    PauseReason.NO_PERMISSION: "paused: the bot may not post there",
    PauseReason.THREAD_CLOSED: "paused: the thread is closed",
    PauseReason.SILENCED: "paused: Discord does not let the bot post there for now",
    PauseReason.ACCESS_LOST: "paused: {why}",
    PauseReason.ASK_AGAIN: "paused: {why}",
}
REMEDIES = {
    PauseReason.MEMBER: "Press *Resume* to continue.",
    PauseReason.PROJECT_DELETED: "No more events will come. Press *Remove* to clean up.",
    PauseReason.CHANNEL_GONE: "If it is there again, let the bot see it and press *Resume*. If "
    "not, press *Remove*. New cards are kept until then.",
    PauseReason.NO_PERMISSION: "Allow the bot *View Channel*, *Send Messages*, *Embed Links* and "
    "*Attach Files* in it, then press *Resume*. New cards are kept until then.",
    PauseReason.THREAD_CLOSED: "Open the thread again, then press *Resume*. New cards are kept "
    "until then.",
    PauseReason.SILENCED: "The bot tries again automatically. If a moderator has ended its "
    "time-out, press *Resume* to continue now. New cards are kept until then.",
    PauseReason.ACCESS_LOST: WHAT_NEXT,
    PauseReason.ASK_AGAIN: WHAT_NEXT,
}


def project_name(entry: Followed, limit: int = MAX_NAME) -> str:
    """The project in bold, with a link to it, as the channel may know it."""
    return _named(entry.hook, entry.label, limit)


def _named(hook: Hook, label: str, limit: int = MAX_NAME) -> str:
    text = escape_name(shorten_plain(label, limit))
    return f"[**{text}**](<{Links(hook.server_url).project(hook.project_id)}>)"


def options_text(options: SubscriptionOptions, limit: int = MAX_OPTIONS) -> str:
    """What a channel wants to see, in words; typed text is in code quotes."""
    return shorten(options.describe(), limit)


def public_line(entry: Followed) -> str:
    """What a channel's members read when it starts to follow a project."""
    hook, subscription = entry.hook, entry.subscription
    waiting = (
        "\nIt waits for the first event, which shows that the webhook in Speckle is set up."
        if hook.state is HookState.WAITING
        else ""
    )
    return (
        f"This channel now follows {project_name(entry)} on Speckle: "
        f"{options_text(subscription.options)}. Set up by <@{subscription.created_by}>.{waiting}"
    )


def subscribed(outcome: Subscribed) -> Response:
    """What the caller of /subscribe reads."""
    hook, subscription = outcome.entry.hook, outcome.entry.subscription
    news = webhook_text(hook, outcome.webhook)
    also = _also(outcome, news)
    lines = [_what_changed(outcome, nothing_else=not also), *also]
    if outcome.setup is not None:
        lines.append("To set it up by hand:" if news else OR_LINK)
        return Response("\n".join(lines), embed=setup_embed(outcome.setup))
    if hook.unopenable:
        lines.append(
            "Nothing arrives yet: the bot's encryption keys no longer open the secret of the "
            "project's webhook. A member with *Manage Webhooks* in all channels of that webhook, "
            "or in the whole server, can create a new one: `/subscriptions`, then *Set up again*."
        )
    elif hook.state is HookState.WAITING:
        lines.append(
            "It waits for the first event: the project's webhook in Speckle has not sent one yet. "
            "A member with *Manage Webhooks* in all channels of that webhook, or in the whole "
            "server, sees what to enter there: `/subscriptions`, then *Show set-up*."
        )
    elif outcome.change is not SubscribeChange.UNCHANGED and not news and outcome.paused is None:
        lines.append(_live_text(outcome))
    lines.append(
        f"Change, pause or remove it: `/subscriptions channel:`<#{subscription.channel_id}>"
    )
    return Response("\n".join(lines))


def _also(outcome: Subscribed, news: str) -> list[str]:
    """What else happened: what continues or stops, the webhook, other channels."""
    lines = []
    if outcome.resumed:
        kept = {0: "", 1: " 1 event was kept and is shown now."}.get(
            outcome.kept, f" {outcome.kept} events were kept and are shown now."
        )
        lines.append(f"It was paused and is active again.{kept}")
    if outcome.paused is not None:
        why = why_paused(outcome.entry.subscription)
        lines.append(f"**It is paused now, because {why}.** {WHAT_NEXT}")
    if news:
        lines.append(news)
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
    names = ", ".join(kind.value.replace("_", " ") for kind in outcome.lacking)
    return (
        f"These events are not sent yet: {names}. Only an owner of the project can add them to its "
        "webhook: they link their Speckle account (`/link`) and use `/subscribe` in this channel."
    )


OR_LINK = (
    "If you own the project, the bot can do the rest: link your account with `/link`, then type "
    "the same `/subscribe` again. Or by hand:"
)


def _what_changed(outcome: Subscribed, *, nothing_else: bool) -> str:
    subscription = outcome.entry.subscription
    where, new = f"<#{subscription.channel_id}>", options_text(subscription.options)
    match outcome.change:
        case SubscribeChange.NEW:
            return f"{where} now follows {project_name(outcome.entry)}: {new}."
        case SubscribeChange.UNCHANGED:
            again = "Nothing changed: " if nothing_else else ""
            return f"{again}{where} follows {project_name(outcome.entry)} already: {new}."
        case SubscribeChange.CHANGED:
            return options_changed(outcome.entry, outcome.old_options or SubscriptionOptions())


def options_changed(entry: Followed, old: SubscriptionOptions) -> str:
    """From what to what the options went."""
    subscription = entry.subscription
    where = f"<#{subscription.channel_id}>"
    if old == subscription.options:
        return f"{where} shows the same of {project_name(entry)} as before."
    return (
        f"Changed what {where} shows of {project_name(entry)}.\n"
        f"Before: {options_text(old)}.\nNow: {options_text(subscription.options)}."
    )


def edited(outcome: Subscribed) -> str:
    """What the caller reads above the panel, after the form or *Resume*."""
    news = webhook_text(outcome.entry.hook, outcome.webhook)
    changed = options_changed(outcome.entry, outcome.old_options or SubscriptionOptions())
    first = [] if outcome.resumed and outcome.change is SubscribeChange.UNCHANGED else [changed]
    return "\n".join([*first, *_also(outcome, news)])


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


def setup_embed(setup: WebhookSetup) -> discord.Embed:
    """What to enter in Speckle, for the caller alone."""
    embed = discord.Embed(
        title="The webhook in Speckle" if setup.live else "One thing is left to do in Speckle",
        url=setup.settings_url,
        description=_steps(setup),
        colour=COLOUR,
    )
    embed.add_field(name="URL", value=_url_text(setup), inline=False)
    embed.add_field(name="Secret", value=f"```\n{setup.secret}\n```", inline=False)
    ticks = "\n".join(f"`{name}`" for name in setup.triggers)
    embed.add_field(name="Events to choose", value=ticks or _NO_TRIGGERS, inline=False)
    if setup.unlisted:
        names = ", ".join(kind.value.replace("_", " ") for kind in setup.unlisted)
        embed.add_field(name="Not on Speckle's page", value=_UNLISTED.format(names), inline=False)
    embed.set_footer(
        text="Keep the secret to yourself: anyone who has it can fake events. The bot shows it "
        "only to members who manage webhooks."
    )
    return embed


_NO_TRIGGERS = "None: Speckle's page offers none of the events that you chose. See below."
_UNLISTED = (
    "These events cannot be chosen there: {}. They arrive only from a webhook that was created "
    "through Speckle's API with those triggers. The bot creates one for a project owner who linked "
    "their account: `/link`, then `/subscribe` again."
)


def _steps(setup: WebhookSetup) -> str:
    project = _named(setup.hook, setup.label)
    if setup.renewed:
        return (
            f"{project} has a new secret. In its [webhook settings](<{setup.settings_url}>) edit "
            "the webhook that has the URL below, enter the new secret and save. "
            f"{_old_secret(setup)}"
        )
    steps = (
        f"1. Open [Settings → Webhooks](<{setup.settings_url}>) of the project. You need to be its "
        "owner; if you are not, ask the owner.\n"
        "2. Choose *New webhook* and paste the URL and the secret from below.\n"
        "3. Choose the events that are listed below, then save.\n"
    )
    if setup.live:
        return f"{steps}It works: events of {project} have arrived already."
    return (
        f"{steps}**Then:** the first event of {project} turns the subscription live, and its card "
        "says so in the channel. See this again: `/subscriptions`, then *Show set-up*."
    )


def _old_secret(setup: WebhookSetup) -> str:
    if setup.old_secret_until is None:
        return (
            "**The old secret is no longer valid:** until you have saved, the project's events are "
            "refused."
        )
    until = discord.utils.format_dt(setup.old_secret_until, "R")
    return (
        f"The old secret works until it expires {until}; after that, events signed with it are "
        "refused."
    )


def _url_text(setup: WebhookSetup) -> str:
    if setup.url is not None:
        return f"```\n{setup.url}\n```"
    return (
        f"```\n{setup.path}\n```**This is only the end of the URL.** The bot does not know its own "
        "public address: the person who runs it must set `PUBLIC_URL` and restart it. Then "
        "`/subscriptions`, *Show set-up* shows the whole URL; key and secret stay the same."
    )


def shared_setup(setup: SharedSetUp) -> str:
    """Why there is no URL and no secret to show."""
    return (
        f"There is nothing to set up for {project_name(setup.entry)}: this Speckle server uses the "
        "shared webhook of the person who runs the bot, who keeps its secret. If nothing arrives, "
        "ask them whether the project has that webhook."
    )


def unsubscribed(outcome: Unsubscribed) -> str:
    """What the caller reads after a subscription ended."""
    hook, subscription = outcome.entry.hook, outcome.entry.subscription
    text = f"<#{subscription.channel_id}> no longer follows {project_name(outcome.entry)}."
    if not outcome.last:
        news = webhook_text(hook, outcome.webhook)
        return "\n".join(filter(None, (f"{text} Other channels of this server still do.", news)))
    if outcome.removal is not None:
        return f"{text} {removal_text(outcome.removal, hook)}"
    if hook.kind is HookKind.SHARED:
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


def state_text(entry: Followed) -> str:
    """Live, waiting or paused, and why."""
    hook, subscription = entry.hook, entry.subscription
    if subscription.state is SubscriptionState.PAUSED:
        reason = subscription.pause_reason or PauseReason.MEMBER
        detail = subscription.pause_detail
        by = f"<@{detail}>" if detail and detail.isdecimal() else "a member"
        why = why_paused(subscription) if reason in RIGHTS_PAUSES else ""
        return f"⏸ {PAUSES[reason].format(by=by, why=why)}"
    if hook.unopenable:
        return "🔴 nothing arrives: the bot's encryption keys no longer open the webhook's secret"
    if hook.state is HookState.WAITING:
        return "⏳ waiting for the first event"
    if hook.state is HookState.CLOSED:
        return "⏹ closed, because the bot was removed from this server"
    return "🟢 live"


def _remedy(entry: Followed) -> str:
    reason = entry.subscription.pause_reason
    if entry.subscription.state is SubscriptionState.PAUSED and reason is not None:
        return f"\n{REMEDIES[reason]}"
    if entry.hook.unopenable:
        return f"\n{ASK_OR_AGAIN}"
    if entry.hook.state is HookState.WAITING:
        return "\nPress *Show set-up* for what to enter in Speckle."
    return ""


def last_event_text(subscription: Subscription) -> str:
    """When the channel last saw an event."""
    if subscription.last_event_at is None:
        return "no event yet"
    return f"last event {_ago(subscription.last_event_at)}"


def _ago(moment: datetime) -> str:
    return discord.utils.format_dt(moment, "R")


def list_embed(entries: Sequence[Followed], page: int, pages: int, total: int) -> discord.Embed:
    """One page of subscriptions."""
    blocks = [
        f"{project_name(entry, MAX_LISTED_NAME)} in <#{entry.subscription.channel_id}>\n"
        f"{state_text(entry)} · {last_event_text(entry.subscription)}\n"
        f"{options_text(entry.subscription.options, MAX_LISTED_OPTIONS)}"
        for entry in entries
    ]
    description = shorten("\n\n".join(blocks), MAX_DESCRIPTION)
    embed = discord.Embed(title=f"Subscriptions ({total})", description=description, colour=COLOUR)
    where = f"Page {page + 1} of {pages}. " if pages > 1 else ""
    return embed.set_footer(
        text=f"{where}Only channels where you may manage webhooks are listed. Choose one below to "
        "change it."
    )


def entry_embed(entry: Followed, note: str | None = None) -> discord.Embed:
    """One subscription, with what was just done to it."""
    hook, subscription = entry.hook, entry.subscription
    embed = discord.Embed(
        title=escape_name(shorten_plain(entry.label, MAX_NAME)),
        url=Links(hook.server_url).project(hook.project_id),
        description=note,
        colour=COLOUR,
    )
    embed.add_field(name="Channel", value=f"<#{subscription.channel_id}>")
    at = subscription.last_event_at
    embed.add_field(name="Last event", value="None yet" if at is None else _ago(at))
    embed.add_field(name="State", value=state_text(entry) + _remedy(entry), inline=False)
    embed.add_field(name="Shows", value=options_text(subscription.options, 800), inline=False)
    embed.set_footer(text=f"On {hook.server_url}, project {hook.project_id}")
    return embed


def not_announced(channel_id: int, trouble: SendFailure) -> str:
    """What the caller reads when the public line could not be posted."""
    failed = f"The subscription is active, but the bot could not post a message in <#{channel_id}>."
    if isinstance(trouble, ChannelUnavailable):
        return f"{failed} Events may not arrive either: check the bot's permissions there."
    return f"{failed} The bot tries again until its events get through."


ASK_OR_AGAIN = (
    "Ask the person who runs the bot whether they still have the old key: with it, everything "
    "works again after a restart. If not, press *Set up again*."
)
PAUSED = "Paused. Events during the pause are not shown later. Press *Resume* to continue."
RESUMED = "Resumed."
SURE_TO_REMOVE = (
    "**Remove this subscription?** The channel stops showing the project's events. Existing "
    "messages stay."
)
SURE_TO_RENEW = (
    "**Create a new secret?** It is the secret of this webhook, for all of its channels. You have "
    "to enter it in Speckle. Choose what happens to the old one: keep it valid for 24 hours, so "
    "that no event is lost, or end it now, because it was leaked."
)
SURE_TO_RENEW_MADE = (
    "**Create a new secret?** The bot created this webhook, so it gives Speckle the new secret "
    "itself, and the old one stops working then. Neither is shown to anyone."
)


def nothing_listed(channel_id: int | None) -> str:
    """What the caller reads when there is no subscription to list."""
    where = "in this server" if channel_id is None else f"in <#{channel_id}>"
    return (
        f"No Speckle project is followed {where} yet where you may manage webhooks. "
        "`/subscribe` starts: paste a project's address as `stream_id`."
    )


def option_label(entry: Followed, limit: int) -> str:
    """A subscription's line in the select, which shows no markdown."""
    return shorten_plain(entry.label, limit)
