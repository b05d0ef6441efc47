"""The sentences of the audit log, for answers, the audit channel and the command line."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.audit import NAMES_PEOPLE, ActorKind, AuditAction, AuditActor, AuditEntry
from bot.cards.text import counted, joined
from bot.model import HookKind, PauseReason, PauseWhy

ERASED_PERSON: Final = "A person who asked to be erased"
MOST_NAMED: Final = 5  # entries of a filter in one sentence
LONGEST_ENTRY: Final = 40
LEFT_IN_SPECKLE: Final = ". In Speckle, the person who made it by hand can delete it"

SENTENCES: Final[Mapping[AuditAction, str]] = {
    AuditAction.SUBSCRIBED: "{who} subscribed {channel}{project}{filters}.",
    AuditAction.UNSUBSCRIBED: "{who} unsubscribed {channel}{project}.",
    AuditAction.FILTERS_CHANGED: "{who} changed the filters of {channel}{project}{filters}.",
    AuditAction.PAUSED: "{who} paused {channel}{project}{why}.",
    AuditAction.RESUMED: "{who} resumed {channel}{project}.",
    AuditAction.CONSENTED: "{who} agreed to show {a_project} in {channel}{project}{seen_by}.",
    AuditAction.WEBHOOK_CREATED: "{who} had the webhook of {channel} created in Speckle{project}.",
    AuditAction.WEBHOOK_REPAIRED: "{who} had the webhook of {channel} repaired in Speckle"
    "{project}{what}.",
    AuditAction.WEBHOOK_RESET: "{who} set back the webhook of {channel}{project}: it waits until "
    "somebody sets it up in Speckle again.",
    AuditAction.WEBHOOK_CONVERTED: "{who} changed how events come to {channel}{project}{to}.",
    AuditAction.WEBHOOK_REMOVED: "{who} ended the webhook of {channel}{project}: nothing used it "
    "any more{left}.",
    AuditAction.SECRET_RENEWED: "{who} gave the webhook of {channel} a new secret{project}.",
    AuditAction.GUILD_JOINED: "The bot was added to this server.",
    AuditAction.GUILD_LEFT: "The bot was removed from this server.",
    AuditAction.NOTICE_CHANNEL_CHANGED: "{who} chose {channel} for notices.",
    AuditAction.AUDIT_CHANNEL_CHANGED: "{who} chose {channel} for the audit log.",
    AuditAction.AUDIT_CHANNEL_PAUSED: "{who} stopped posting the audit log in {channel}: Discord "
    "did not accept it there.",
    AuditAction.DEFAULTS_CHANGED: "{who} changed the default filters of this server{filters}.",
    AuditAction.LINKED: "{who} linked a Speckle account that serves {channels} here.",
    AuditAction.CONFIRMED: "{who} confirmed a Speckle account that serves {channels} here.",
    AuditAction.UNLINKED: "{who} unlinked a Speckle account that served {channels} here: what "
    "depended on it is paused.",
    AuditAction.ERASED: "{who} had everything erased that the bot kept about them.",
    AuditAction.CARDS_RETRIED: "{who} had {cards} for {channel} sent again.",
    AuditAction.CARDS_DROPPED: "{who} deleted {cards} for {channel} that had not been sent.",
    AuditAction.KEYS_ROTATED: "{who} encrypted all secrets again with the first key.",
}
WITHOUT_CHANNEL: Final[Mapping[AuditAction, str]] = {
    AuditAction.NOTICE_CHANNEL_CHANGED: "{who} set notices back to direct messages.",
    AuditAction.AUDIT_CHANNEL_CHANGED: "{who} ended the posting of the audit log in a channel.",
}
REASONS: Final[Mapping[PauseReason, str]] = {
    PauseReason.MEMBER: "",
    PauseReason.PROJECT_DELETED: "the project was deleted",
    PauseReason.CHANNEL_GONE: "Discord says that the channel is gone",
    PauseReason.NO_PERMISSION: "the bot may not post there",
    PauseReason.THREAD_CLOSED: "the thread is closed",
    PauseReason.SILENCED: "the bot is in time-out",
    PauseReason.ACCESS_LOST: "the account that it depends on may not show the project any more",
    PauseReason.ASK_AGAIN: "someone must confirm who will see the project",
}
WHYS: Final[Mapping[PauseWhy, str]] = {
    PauseWhy.TOKEN_REFUSED: "Speckle does not accept the account's token any more",
    PauseWhy.SCOPE_MISSING: "the account's token lacks a permission",
    PauseWhy.UNLINKED: "the account that it depended on was unlinked",
    PauseWhy.UNCONFIRMED: "the account waits for its person to confirm it",
    PauseWhy.NOT_LIVE: "the host lets no account show such a project live",
    PauseWhy.PERSON_LEFT: "the person whose account shows it left the server",
    PauseWhy.PERSON_BLIND: "the person whose account shows it cannot see the channel any more",
    PauseWhy.NOT_ANSWERED: "nobody has confirmed who will see the project there",
    PauseWhy.FILTERS_WIDER: "its filters show more than was agreed to",
    PauseWhy.AUDIENCE_WIDER: "more people can see the channel than was agreed to",
    PauseWhy.TURNED_PRIVATE: "the project was made private",
}
OPTION_WORDS: Final[Mapping[str, str]] = {
    "events": "events",
    "models": "models",
    NAMES_PEOPLE: "ignored authors",
}


@dataclass(frozen=True, slots=True)
class AuditNames:
    """How people, channels, projects and what was typed are written, for one kind of reader."""

    person: Callable[[int], str]
    channel: Callable[[int], str]
    hidden: str  # a channel that the reader may not know
    project: Callable[[str, str], str]  # by server and id
    typed: Callable[[str], str]


def entry_text(entry: AuditEntry, names: AuditNames, *, shown: bool) -> str:
    """One sentence. `shown`: the reader may know which channel it was, and its details."""
    facts = entry.facts if shown else {}
    channel_id = entry.channel_id
    channel = names.channel(channel_id) if channel_id is not None and shown else names.hidden
    sentence = WITHOUT_CHANNEL.get(entry.action) if channel_id is None else None
    return (sentence or SENTENCES[entry.action]).format(
        who=_who(entry.actor, names),
        channel=channel,
        project=_project(facts, names),
        filters=_filters(facts.get("filters"), names, new=entry.action is AuditAction.SUBSCRIBED),
        why=_why(facts),
        a_project=_a_project(facts),
        seen_by=_seen_by(facts.get("audience")),
        what=_what(facts.get("what")),
        to=_to(facts.get("to")),
        left=LEFT_IN_SPECKLE if facts.get("by_hand") else "",
        channels=counted(int(entry.facts.get("channels", 0)), "channel"),
        cards=counted(int(entry.facts.get("cards", 0)), "card"),
    )


def _who(actor: AuditActor, names: AuditNames) -> str:
    if actor.kind is ActorKind.BOT:
        return "The bot"
    if actor.kind is ActorKind.HOST:
        return "The person who runs the bot"
    return ERASED_PERSON if actor.user_id is None else names.person(actor.user_id)


def _project(facts: Mapping[str, Any], names: AuditNames) -> str:
    if "project" not in facts:
        return ""
    return f" ({names.project(str(facts['server']), str(facts['project']))})"


def _why(facts: Mapping[str, Any]) -> str:
    why, reason = facts.get("why"), facts.get("reason")
    text = WHYS.get(PauseWhy(why), "") if why in set(PauseWhy) else ""
    if not text and reason in set(PauseReason):
        text = REASONS[PauseReason(reason)]
    return f": {text}" if text else ""


def _a_project(facts: Mapping[str, Any]) -> str:
    known = facts.get("visibility", "private") is not None
    return "a private project" if known else "a project that may be private"


def _seen_by(audience: Mapping[str, Any] | None) -> str:
    if audience is None:
        return ""
    if audience["everyone"]:
        people = audience["people"]
        return " to everyone in the server" + (f", {counted(people, 'member')}" if people else "")
    if audience.get("in_thread"):
        return " to the people in a private thread"
    counts = ((audience["roles"], "role"), (audience["members"], "member"))
    parts = [counted(count, noun) for count, noun in counts if count]
    return f" to {joined(parts)}" if parts else " to administrators alone"


def _what(what: Sequence[str] | None) -> str:
    if not what:
        return ""
    return ": it was gone" if "webhook" in what else f": {joined(what)}"


def _to(kind: str | None) -> str:
    if kind is None:
        return ""
    own = kind == HookKind.OWN
    return f": by {'a webhook of its own' if own else 'the shared webhook of this bot'} now"


def _filters(filters: Mapping[str, Any] | None, names: AuditNames, *, new: bool) -> str:
    """What was changed of each option: before and after; of what is `new` there is no before."""
    changed = []
    for name, words in OPTION_WORDS.items():
        if filters and name in filters:
            before, after = (_entries(name, kept, names) for kept in filters[name])
            changed.append(f"{words} {after}" if new else f"{words} {before} → {after}")
    return f": {'; '.join(changed)}" if changed else ""


def _entries(name: str, kept: Sequence[str] | int, names: AuditNames) -> str:
    if isinstance(kept, int):
        return str(kept) if kept else "nobody"
    if not kept:
        return "all"
    write = names.typed if name == "models" else _event_words
    texts = [write(_cut(one)) for one in kept[:MOST_NAMED]]
    more = len(kept) - len(texts)
    return ", ".join([*texts, *([f"{more} more"] if more else [])])


def _event_words(name: str) -> str:
    return name.replace("_", " ")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_ENTRY else f"{text[: LONGEST_ENTRY - 1]}…"
