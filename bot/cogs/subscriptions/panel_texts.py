"""How a subscription reads: its name, its state, the pages of the panel, its set-up in Speckle."""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import discord

from bot.cards.card import MAX_DESCRIPTION
from bot.cards.text import escape_name, moment_text, shorten, shorten_plain
from bot.cogs.failure_texts import left_out_text
from bot.cogs.responses import COLOUR
from bot.cogs.webhooks.texts import MAX_NAME, trouble_remedy, trouble_text, webhook_text
from bot.model import (
    NOBODY,
    RIGHTS_PAUSES,
    Hook,
    HookState,
    PauseReason,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.services.subscribe_results import Followed, MadeSetUp, NotHeard, NothingToSetUp
from bot.services.webhook_results import Ensured
from bot.services.webhook_setup import WebhookSetup
from bot.speckle.links import Links
from bot.speckle.subscription_options import SubscriptionOptions

LIVE = "🟢 live"
MAX_OPTIONS = 300
# In a list, so that a page of entries fits into one embed's 4,096 characters.
MAX_LISTED_NAME = 60
MAX_LISTED_OPTIONS = 100

SOMEBODY = "someone"

WHY = {
    PauseWhy.TOKEN_REFUSED: "Speckle no longer accepts the sign-in of {who}",
    PauseWhy.SCOPE_MISSING: "the Speckle token of {who} lacks a scope",
    PauseWhy.FORBIDDEN: "the Speckle account of {who} can no longer see the project",
    PauseWhy.NOT_FOUND: "the Speckle account of {who} no longer finds the project",
    PauseWhy.UNLINKED: "the Speckle account that showed it here, or made its webhook, was unlinked",
    PauseWhy.UNCONFIRMED: (
        "the bot's database was restored from a copy, and {who} has not confirmed with `/account` "
        "yet that their Speckle account may be used"
    ),
    PauseWhy.NOT_LIVE: (
        "the person who runs the bot does not let it show this project live through the account of "
        "{who} any more"
    ),
    PauseWhy.PERSON_LEFT: "{who}, whose Speckle account showed it here, left this server",
    PauseWhy.PERSON_BLIND: "{who}, whose Speckle account showed it here, cannot see the channel",
    PauseWhy.NOT_ANSWERED: "nobody has confirmed yet that this project may be shown here",
    PauseWhy.FILTERS_WIDER: "its filters let more through than {who} agreed to",
    PauseWhy.AUDIENCE_WIDER: "more people can see the channel than when {who} agreed to it",
    PauseWhy.TURNED_PRIVATE: "the project is no longer public in Speckle",
}
UNKNOWN = "access to the project was lost"
"""Of a channel that an older release paused."""

WITH_ACCOUNT = (
    "who can see the project and has linked their Speckle account (`/link`) presses *Resume* and "
    "checks who will see it here."
)
RESUMES = (
    f"{WITH_ACCOUNT} Where nobody has linked one, a member with *Manage Webhooks* in the whole "
    "server can. Events are kept until then."
)
RESUMES_LIVE = f"{WITH_ACCOUNT} What happens until then is shown then."
IF_DELETED = "If the project was deleted in Speckle, use `/unsubscribe`."
LINKS_AGAIN = "That person types `/link` again, and the channel continues automatically. Or"
BARRED = (
    "Press *Resume*: if it is allowed by now, it continues; else the bot says what is possible "
    "instead, such as a webhook. Whether an account may show it is for the person who runs the bot "
    "to say."
)

PAUSES = {
    PauseReason.MEMBER: "paused by {by}",
    PauseReason.PROJECT_DELETED: "paused: the project was deleted in Speckle",
    PauseReason.CHANNEL_GONE: "paused: the channel is gone",
    PauseReason.NO_PERMISSION: "paused: the bot is not allowed to post there",
    PauseReason.THREAD_CLOSED: "paused: the thread is closed",
    PauseReason.SILENCED: "paused: Discord does not let the bot post there for now",
    PauseReason.ACCESS_LOST: "paused: {why}",
    PauseReason.ASK_AGAIN: "paused: {why}",
}
ALL_PERMISSIONS = (
    "*View Channel*, *Send Messages* (in threads *Send Messages in Threads*), *Embed Links*, "
    "*Attach Files* and *Read Message History*"
)
REMEDIES = {
    PauseReason.MEMBER: "Press *Resume* to continue.",
    PauseReason.PROJECT_DELETED: "No more events will come. To clean up, press *Remove* under "
    "`/subscriptions`, or use `/unsubscribe`.",
    PauseReason.CHANNEL_GONE: "If it is there again, let the bot see it and press *Resume*. If "
    "not, press *Remove*. New cards are kept until then.",
    PauseReason.NO_PERMISSION: f"Allow the bot {ALL_PERMISSIONS} in it, then press *Resume*. New "
    "cards are kept until then.",
    PauseReason.THREAD_CLOSED: "Open the thread again, then press *Resume*. New cards are kept "
    "until then.",
    PauseReason.SILENCED: "The bot tries again automatically. If a moderator has ended its "
    "time-out, press *Resume* to continue now. New cards are kept until then.",
}

NO_ADDRESS = (
    "nothing arrives: the bot has no public address that a webhook could lead to, and nobody's "
    "account reads the project for the channel"
)
ASK_WHAT_IS_POSSIBLE = (
    "Link your account (`/link`) and use `/subscribe` in the channel: then the project is live "
    "through your account, or the answer says who can help."
)
ASK_OR_AGAIN = (
    "Ask the person who runs the bot whether they still have the old key: with it, everything "
    "works again after a restart. If not, press *Set up again*."
)
ASK_OR_LINK = (
    "Ask the person who runs the bot whether they still have the old key: with it, everything "
    "works again after a restart. If not, {who} types `/link` again."
)
PAUSED = "Paused. Events during the pause are not shown later. Press *Resume* to continue."
RESUMED = "Resumed."
SURE_TO_REMOVE = (
    "**Remove this subscription?** The channel stops showing the project's events. Existing "
    "messages stay."
)
SURE_TO_RENEW = (
    "**Create a new secret?** It is the secret of this webhook, for all of its channels. Speckle "
    "cannot change it, so you delete the webhook there and make it again. Choose what happens to "
    "the old secret: keep it valid for 24 hours, so that no event is refused until then, or end it "
    "now, because it was leaked."
)
SURE_TO_RENEW_MADE = (
    "**Create a new secret?** The bot created this webhook, so it gives Speckle the new secret "
    "itself, and the old one stops working then. Neither is shown to anyone."
)


def pause_remedy(entry: Followed) -> str:
    """What to do about a pause; "" where there is none."""
    reason, why = entry.subscription.pause_reason, entry.subscription.pause_detail
    if reason not in RIGHTS_PAUSES:
        return "" if reason is None else REMEDIES[reason]
    if why == PauseWhy.NOT_LIVE:
        return BARRED
    resumes = RESUMES_LIVE if entry.hook.is_heard else RESUMES
    if why == PauseWhy.NOT_FOUND:
        resumes = f"{resumes} {IF_DELETED}"
    links_again = reason is PauseReason.ACCESS_LOST and why == PauseWhy.TOKEN_REFUSED
    return f"{LINKS_AGAIN} someone else {resumes}" if links_again else f"Someone {resumes}"


def project_name(entry: Followed, limit: int = MAX_NAME) -> str:
    """The project in bold, with a link to it, as the channel may know it."""
    return _named(entry.hook, entry.label, limit)


def _named(hook: Hook, label: str, limit: int = MAX_NAME) -> str:
    text = escape_name(shorten_plain(label, limit))
    return f"[**{text}**](<{Links(hook.server_url).project(hook.project_id)}>)"


def options_text(options: SubscriptionOptions, limit: int = MAX_OPTIONS) -> str:
    """What a channel wants to see, in words; typed text is in code quotes."""
    return shorten(options.describe(), limit)


def why_paused(subscription: Subscription) -> str:
    """Half a sentence; people are named by mentions."""
    consent = subscription.consent
    by = NOBODY if consent is None else consent.by
    who = SOMEBODY if by == NOBODY else f"<@{by}>"
    detail = subscription.pause_detail
    if detail not in set(PauseWhy):
        return UNKNOWN
    return WHY[PauseWhy(detail)].format(who=who)


def state_text(entry: Followed) -> str:
    """Live, waiting or paused, and why; what is wrong with the webhook in any case."""
    webhook = _state_unpaused(entry)
    if entry.subscription.state is not SubscriptionState.PAUSED:
        return webhook
    paused = f"⏸ {pause_text(entry.subscription)}"
    gone = entry.subscription.pause_reason is PauseReason.PROJECT_DELETED
    return f"{paused}\n{webhook}" if entry.hook.trouble is not None and not gone else paused


def pause_text(subscription: Subscription) -> str:
    """That it is paused, and why."""
    reason = subscription.pause_reason or PauseReason.MEMBER
    detail = subscription.pause_detail
    by = f"<@{detail}>" if detail and detail.isdecimal() else "a member"
    why = why_paused(subscription) if reason in RIGHTS_PAUSES else ""
    return PAUSES[reason].format(by=by, why=why)


def _state_unpaused(entry: Followed) -> str:
    if not entry.hook.is_heard and entry.not_heard is None:
        return _webhook_state(entry.hook)
    owner = account_owner(entry.subscription)
    match entry.not_heard:
        case NotHeard.SERVER_LEFT_OUT:
            return "🔴 nothing arrives: this bot no longer works with the project's Speckle server"
        case NotHeard.UNOPENABLE:
            return (
                "🔴 nothing arrives: the bot's encryption keys can no longer decrypt the linked "
                f"account of {owner}"
            )
        case NotHeard.NO_ADDRESS:
            return f"🔴 {NO_ADDRESS}"
        case None:
            state = _webhook_state(replace(entry.hook, unopenable=False))  # there is no webhook
            return f"{LIVE} through the account of {owner}" if state == LIVE else state
        case _:
            assert_never(entry.not_heard)


def _webhook_state(hook: Hook) -> str:
    if hook.unopenable:
        return (
            "🔴 nothing arrives: the bot's encryption keys can no longer decrypt the webhook's "
            "secret"
        )
    if hook.trouble is not None:
        return f"🔴 {trouble_text(hook)}"
    if hook.state is HookState.WAITING:
        return "⏳ waiting for the first event"
    if hook.state is HookState.CLOSED:
        return "⏹ closed, because the bot was removed from this server"
    return LIVE


def account_owner(subscription: Subscription) -> str:
    """Whose account reads for a channel: who answered for it, else who set it up."""
    consent = subscription.consent
    return f"<@{subscription.created_by if consent is None else consent.by}>"


def not_heard_remedy(entry: Followed) -> str:
    """What to do where nothing can arrive; "" where it can."""
    match entry.not_heard:
        case NotHeard.SERVER_LEFT_OUT:
            return left_out_text(entry.hook.server_url)
        case NotHeard.UNOPENABLE:
            return ASK_OR_LINK.format(who=account_owner(entry.subscription))
        case NotHeard.NO_ADDRESS:
            return ASK_WHAT_IS_POSSIBLE
        case None:
            return ""
        case _:
            assert_never(entry.not_heard)


def _remedy(entry: Followed) -> str:
    remedy = pause_remedy(entry)
    if entry.subscription.state is SubscriptionState.PAUSED and remedy:
        return f"\n{remedy}"
    if entry.not_heard is not None:
        return f"\n{not_heard_remedy(entry)}"
    if entry.hook.unopenable and not entry.hook.is_heard:
        return f"\n{ASK_OR_AGAIN}"
    if entry.hook.trouble is not None:
        return f"\n{trouble_remedy(entry.hook)}"
    if entry.hook.state is HookState.WAITING:
        return "\nPress *Show set-up* for what to enter in Speckle."
    return ""


MANAGERS_SUBSCRIBE = (
    "Members with *Manage Webhooks* in a channel let it follow one with `/subscribe`."
)


def last_event_text(subscription: Subscription) -> str:
    """When the channel last saw an event."""
    if subscription.last_event_at is None:
        return "no event yet"
    return f"last event {moment_text(subscription.last_event_at, 'R')}"


def list_embed(entries: Sequence[Followed], page: int, pages: int, total: int) -> discord.Embed:
    """One page of subscriptions."""
    blocks = [
        f"{project_name(entry, MAX_LISTED_NAME)} in <#{entry.subscription.channel_id}>\n"
        f"{state_text(entry)} · {last_event_text(entry.subscription)}\n"
        f"{options_text(entry.shown, MAX_LISTED_OPTIONS)}"
        for entry in entries
    ]
    description = shorten("\n\n".join(blocks), MAX_DESCRIPTION)
    embed = discord.Embed(title=f"Subscriptions ({total})", description=description, colour=COLOUR)
    where = f"Page {page + 1} of {pages}. " if pages > 1 else ""
    return embed.set_footer(
        text=f"{where}Only channels where you can manage webhooks are listed. Choose one below to "
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
    embed.add_field(name="Last event", value="None yet" if at is None else moment_text(at, "R"))
    embed.add_field(name="State", value=state_text(entry) + _remedy(entry), inline=False)
    embed.add_field(name="Shows", value=options_text(entry.shown, 800), inline=False)
    embed.set_footer(text=f"On {hook.server_url}, project {hook.project_id}")
    return embed


def nothing_listed(channel_id: int | None) -> str:
    """What the caller reads when there is no subscription to list."""
    where = (
        "the channels of this server in which you can manage webhooks"
        if channel_id is None
        else f"<#{channel_id}>"
    )
    return (
        f"No Speckle project is followed in {where}. To follow one, use `/subscribe` and paste the "
        "project's address as `stream_id`."
    )


def option_label(entry: Followed, limit: int) -> str:
    """A subscription's line in the select, which shows no markdown."""
    return shorten_plain(entry.label, limit)


# ── the set-up in Speckle ──────────────────────────────────────────────────────────────────────
_NO_TRIGGERS = (
    "None: Speckle's page offers none of the events that are wanted. The bot can create a webhook "
    "that sends them, for an owner of the project who linked their account: `/link`, then "
    "`/subscribe` again."
)


def setup_embed(setup: WebhookSetup) -> discord.Embed:
    """What to enter in Speckle, for the caller alone."""
    embed = discord.Embed(
        title=_setup_title(setup),
        url=setup.settings_url,
        description=_steps(setup),
        colour=COLOUR,
    )
    embed.add_field(name="URL", value=_url_text(setup), inline=False)
    embed.add_field(name="Secret", value=f"```\n{setup.secret}\n```", inline=False)
    ticks = "\n".join(f"`{name}`" for name in setup.triggers)
    embed.add_field(name="Events to choose", value=ticks or _NO_TRIGGERS, inline=False)
    embed.set_footer(
        text="Keep the secret to yourself: anyone who has it can fake events. The bot shows it "
        "only to members who manage webhooks."
    )
    return embed


def _setup_title(setup: WebhookSetup) -> str:
    if setup.live:
        return "The webhook in Speckle"
    return (
        "The bot has no address yet"
        if setup.url is None
        else ("One thing is left to do in Speckle")
    )


def _steps(setup: WebhookSetup) -> str:
    project = _named(setup.hook, setup.label)
    page = f"[Settings → Webhooks](<{setup.settings_url}>)"
    if setup.url is None and not (setup.live or setup.renewed):
        return (
            f"**Nothing can be entered in Speckle yet:** a webhook of {project} needs the bot's "
            "public address, and the bot has none. The person who runs it must set `PUBLIC_URL` "
            "and restart it; then *Show set-up* has the whole URL and the steps, and key and "
            f"secret stay the same. {ASK_WHAT_IS_POSSIBLE}"
        )
    if setup.renewed:
        return (
            f"{project} has a new secret. Speckle cannot change a webhook's secret, so the webhook "
            "is made again:\n"
            f"1. Open {page} of the project and delete the webhook that has the URL below.\n"
            "2. Press *New* at once, and paste the URL and the new secret: what happens in between "
            "is not sent.\n"
            "3. Choose the events that are listed below, then press *Create webhook*.\n"
            f"{_old_secret(setup)}\n"
            "Or have it done: an owner of the project links their account (`/link`) and uses "
            "`/subscribe` again. From then on the bot maintains the webhook, with its secret."
        )
    steps = (
        f"1. Open {page} of the project. You need to be its owner; if you are not, ask the owner.\n"
        "2. Press *New*, and paste the URL and the secret from below.\n"
        "3. Choose the events that are listed below, then press *Create webhook*.\n"
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
            "**The old secret is no longer valid:** until the webhook is made again, the project's "
            "events are refused."
        )
    until = moment_text(setup.old_secret_until, "R")
    return (
        f"The old secret works until it expires {until}; after that, events signed with it are "
        "refused."
    )


def _url_text(setup: WebhookSetup) -> str:
    if setup.url is not None:
        return f"```\n{setup.url}\n```"
    if not (setup.live or setup.renewed):
        return f"```\n{setup.path}\n```**This is only the end of the URL.**"
    return (
        f"```\n{setup.path}\n```**This is only the end of the URL.** The bot does not know its own "
        "public address: the person who runs it must set `PUBLIC_URL` and restart it. Then "
        "`/subscriptions`, *Show set-up* shows the whole URL; key and secret stay the same."
    )


def nothing_to_set_up(setup: NothingToSetUp) -> str:
    """Why there is no URL and no secret to show."""
    if setup.entry.hook.is_heard:
        return (
            f"There is nothing to set up for {project_name(setup.entry)}: it is read in Speckle "
            "with the account of the person who subscribed the channel, without a webhook. Where "
            "the bot has a public address, an owner of the project can have a webhook made "
            "instead: they link their account (`/link`) and use `/subscribe` again."
        )
    return (
        f"There is nothing to set up for {project_name(setup.entry)}: this Speckle server uses the "
        "shared webhook of the person who runs the bot, who keeps its secret. If nothing arrives, "
        "ask them whether the project has that webhook."
    )


def made_setup(outcome: MadeSetUp) -> str:
    """What *Show set-up* and *New secret* say about a webhook that the bot created."""
    by = "" if outcome.made_by is None else f" with the Speckle account of <@{outcome.made_by}>"
    start = f"The bot created the webhook of {project_name(outcome.entry)} in Speckle itself{by}."
    if not outcome.renewed:
        first = f"{start} There is nothing to set up, and its secret is shown to nobody."
    elif isinstance(outcome.webhook, Ensured):
        first = (
            f"{start} It has a new secret now, which Speckle knows; the old one is no longer valid."
        )
    else:
        first = (
            f"{start} **It has no new secret**, because the bot could not set it in Speckle; the "
            "old one stays valid. Press *New secret* again later."
        )
    return "\n".join(filter(None, (first, webhook_text(outcome.entry.hook, outcome.webhook))))
