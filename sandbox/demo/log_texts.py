"""What the bot writes into its log, as sentences for who tries it out."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from bot.problem_texts import reason_text
from bot.problems import SendReason
from bot.services.webhook_results import WebhookChange
from bot.trace import HEARD_FACT, HeardBy

LOG_TEXTS: Final[Mapping[str, str]] = {
    "access.paused": "A subscription is paused, because of who may see the project.",
    "accounts.linked": "Somebody linked a Speckle account.",
    "accounts.token_refused": "Speckle no longer accepts an account's token.",
    "app.stopping": "The bot stops in order.",
    "catch_up.history": "Looked into Speckle's history for what was missed: {taken} taken in.",
    "catch_up.activity": "Looked into the project's lists for what was missed: {taken} taken in.",
    "catch_up.retry_later": "Speckle does not say what was missed ({reason}); asked again later.",
    "commands.synced": "Discord knows the bot's {count} commands.",
    "discord.gateway_failed": "The connection to Discord broke; it is made again.",
    "discord.gateway_lost": "The connection to Discord is gone; tried again in {retry_in_s} s.",
    "discord.not_logged_in": "Discord does not let the bot in now; tried again in {retry_in_s} s.",
    "discord.rate_limited": "Discord asks the bot to be slower: it waits {seconds} s.",
    "discord.ready": "Connected to Discord.",
    "editor.done": "A card was brought up to date.",
    "held_events.replayed": "An event that was held back was looked at again: {cards} cards.",
    "ingest.done": "Event {inbox_id} is read, its cards are on disk.",
    "late_enrichment.done": "What a card lacked has come.",
    "listener.up": "The bot takes deliveries.",
    "listening.failed": "A list was not read, by a fault of the bot's own; its turn comes again.",
    "listening.read": "{heard}: {taken} taken in.",
    "listening.read_later": "What is live is read a little later, as Speckle is slow.",
    "listening.refused": "Speckle refused the account that listens: {reason}.",
    "listening.list_lacks_entries": (
        "Speckle's list lacks what it had a moment ago ({count} of it); read again soon."
    ),
    "listening.retry_later": "Speckle does not say what is new ({reason}); asked again soon.",
    "listening.socket_ended": (
        "An account has no socket: {reason}. It is opened again; lists are read at their turns."
    ),
    "listening.socket_failed": "An account's socket ended by a fault of the bot's own.",
    "listening.socket_open": "An account's socket is open: Speckle rings when something changes.",
    "listening.start_unknown": "Speckle does not say what was last ({reason}); heard from now on.",
    "listening.subscription_ended": "Speckle no longer rings for one kind of event ({kind}).",
    "notice.sent": "The bot notified somebody.",
    "pause_notifier.sent": "The bot notified the person who set the channel up.",
    "sender.channel_paused": "#{channel} is paused, and its cards are kept: {why}.",
    "sender.channel_silenced": "#{channel} is paused for now, tried again on its own: {why}.",
    "sender.found_sent": "A message of before was at Discord already: not sent again.",
    "sender.global_hold": "Nothing is sent for {retry_in_s} s, everything is kept: {why}.",
    "sender.held_back": "#{channel}: its cards are held back.",
    "sender.rejected": "Discord refused a card; it is tried with less in it: {why}.",
    "sender.resumed": "Cards are sent again.",
    "sender.retry_later": "#{channel} is tried again in {retry_in_s} s: {why}.",
    "sender.sent": "Sent to #{channel}: {cards} in one message.",
    "sender.undeliverable": "Discord refused a card for good: {why}.",
    "speckle.server_available": "The Speckle server answers again.",
    "speckle.server_unavailable": ("The Speckle server is left alone for {rest_s} s: {why}."),
    "speckle.field_missing": "This Speckle server has no {field}; the bot goes on without it.",
    "webhook.duplicate": "A delivery came twice; the second one changes nothing.",
    "webhook.refused": "A delivery was refused: {why}.",
    "webhooks.changed": "A webhook in Speckle was checked: {outcome}.",
    "webhooks.created": "The bot made a webhook in Speckle.",
}


WEBHOOK_CHANGES: Final[Mapping[str, str]] = {
    WebhookChange.NOTHING: "nothing was to be changed",
    WebhookChange.CHANGED: "it now sends what the channels want",
    WebhookChange.REPAIRED: "somebody had changed it, and the bot repaired it",
}
"""What came of a look at a webhook."""

HEARD: Final[Mapping[str, str]] = {
    HeardBy.RING: "Speckle rang, and the project's list was read",
    HeardBy.TURN: "The project's list was read at its turn, which comes every {every_s} s",
    HeardBy.LATER: "The project's list was read for the time in which nobody could look",
}
"""What led to reading what is live."""
READ: Final = "The project's list was read"


def log_text(event: str, facts: Mapping[str, Any], channels: Mapping[int, str]) -> str:
    """A log line as a sentence; "" for one that has none."""
    sentence = LOG_TEXTS.get(event)
    if sentence is None:
        return ""
    with suppress(LookupError, ValueError, TypeError, AttributeError):
        return sentence.format_map(_readable(facts, channels))
    return ""


def _readable(facts: Mapping[str, Any], channels: Mapping[int, str]) -> Mapping[str, Any]:
    """The facts with names in place of ids, and the reason in words."""
    channel = channels.get(facts.get("channel_id", 0), "a channel that is gone")
    cards = facts.get("cards", len(facts.get("outbox_ids", ())))
    words = {"channel": channel, "cards": cards if "cards" in facts else _cards(cards)}
    if facts.get("change") in WEBHOOK_CHANGES:
        words["outcome"] = WEBHOOK_CHANGES[facts["change"]]
    words["heard"] = HEARD.get(facts.get(HEARD_FACT, ""), READ).format_map(facts)
    if "reason" in facts and "why" not in facts:
        with suppress(LookupError, ValueError):
            words["why"] = reason_text(SendReason.from_facts(facts))
    return {**facts, **words}


def _cards(count: int) -> str:
    return "1 card" if count == 1 else f"{count} cards"
