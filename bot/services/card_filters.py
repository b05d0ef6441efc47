"""Narrowing what a channel shows by what one of its cards is about: its author, its model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias

from bot.cards.text import is_blank, one_line
from bot.errors import NotASpeckleLink
from bot.pending import PendingSubscribe
from bot.permissions import Actor, TargetChannel
from bot.services.channel_rules import require_manager
from bot.services.message_cards import MessageCard, MessageCards
from bot.services.pending_commands import PendingCommandService
from bot.services.project_followers import model_names, shows_model
from bot.services.project_input import TODAYS_ID
from bot.services.refusals import CommandRefused, RefusalReason
from bot.services.subscribe_results import AudienceOf, Followed, Subscribed, SubscribeRequest
from bot.services.subscribing import SubscribeOutcome
from bot.services.subscriptions import SubscriptionService
from bot.speckle.events import ModelRef
from bot.speckle.links import ID, Links, parse_link
from bot.speckle.seen_text import as_seen
from bot.speckle.subscription_options import Entries, OptionError, SubscriptionOptions
from bot.speckle.typed_lists import typed_list
from bot.storage import Storage
from bot.trace import THINGS_FACT

GLOB_SIGNS: Final = frozenset("*?[]{}!")
Names: TypeAlias = Mapping[str, str]


class Narrowing(StrEnum):
    """What is narrowed, by the option that it sets."""

    AUTHOR = "ignore_authors"
    MODEL = "models"


NOTHING_MEANT: Final[Mapping[Narrowing, RefusalReason]] = {
    Narrowing.AUTHOR: RefusalReason.NO_AUTHOR,
    Narrowing.MODEL: RefusalReason.NO_MODEL,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a card of a message may mean: an entry of an option, and what people call it."""

    outbox_id: int
    entry: Followed
    value: str
    name: str

    @property
    def meant(self) -> tuple[int, str]:
        """Equal for cards that mean the same."""
        return self.entry.subscription.id, as_seen(self.value)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What became of it; `undo` is the token of the command that sets the filters as before."""

    candidate: Candidate
    outcome: SubscribeOutcome
    undo: str | None = None


class CardFilters:
    """Finds what a card means, and changes the channel's filters as the form of *Edit* does.

    Errors: CommandRefused.
    """

    def __init__(
        self,
        storage: Storage,
        cards: MessageCards,
        subscriptions: SubscriptionService,
        pending_commands: PendingCommandService,
    ) -> None:
        self._storage = storage
        self._cards = cards
        self._subscriptions = subscriptions
        self._pending_commands = pending_commands

    async def candidates(
        self, what: Narrowing, guild_id: int, actor: Actor, channel_id: int, message_id: int
    ) -> Sequence[Candidate]:
        """What a message's cards may mean, each once."""
        require_manager(actor, channel_id)
        cards = await self._cards.of(guild_id, channel_id, message_id)
        if not cards:
            raise CommandRefused(RefusalReason.NO_CARD)
        real = [card for card in cards if not card.is_test]
        if not real:
            raise CommandRefused(RefusalReason.TEST_CARD)
        if what is Narrowing.AUTHOR:
            found = [one for card in real for one in _authors(card)]
        else:
            entries = [card.entry for card in real]
            known = await self._storage.read(
                lambda tx: [model_names(tx, one.hook, one.subscription) for one in entries]
            )
            pairs = zip(real, known, strict=True)
            found = [one for card, names in pairs for one in _models(card, names)]
        if not found:
            raise CommandRefused(NOTHING_MEANT[what])
        return list({one.meant: one for one in reversed(found)}.values())[::-1]

    async def narrow(
        self,
        what: Narrowing,
        actor: Actor,
        candidate: Candidate,
        target: TargetChannel,
        audience_of: AudienceOf,
    ) -> Narrowed:
        """Change the channel's filters by this."""
        old = candidate.entry.subscription.options
        new = _narrowed(what, old, candidate.value)
        outcome = await self._subscriptions.subscribe(
            self._request(what, actor, candidate.entry, new, target, audience_of)
        )
        if not isinstance(outcome, Subscribed) or new == old:
            return Narrowed(candidate, outcome)
        request = self._request(what, actor, candidate.entry, old, target, audience_of)
        undo = await self._pending_commands.add(
            PendingSubscribe(
                actor.id,
                request.guild_id,
                target.channel_id,
                candidate.entry.hook.server_url,
                request.project,
                request.options,
                resume=False,
                undoes={what.value: outcome.entry.subscription.options.typed()[what.value]},
            )
        )
        return Narrowed(candidate, outcome, undo)

    async def is_last(self, actor: Actor, undo: PendingSubscribe) -> bool:
        """Whether the channel still shows the project as what this is to undo has left it."""
        listed = await self._subscriptions.meant(undo.guild_id, actor, undo.project)
        here = [one for one in listed if one.subscription.channel_id == undo.channel_id]
        typed = [one.subscription.options.typed() for one in here]
        return [{name: one[name] for name in undo.undoes} for one in typed] == [undo.undoes]

    def _request(
        self,
        what: Narrowing,
        actor: Actor,
        entry: Followed,
        options: SubscriptionOptions,
        target: TargetChannel,
        audience_of: AudienceOf,
    ) -> SubscribeRequest:
        return SubscribeRequest(
            guild_id=entry.subscription.guild_id,
            actor=actor,
            channel=target,
            project=Links(entry.hook.server_url).project(entry.hook.project_id),
            options={what.value: options.typed()[what.value]},
            resume=False,
            audience_of=audience_of,
        )


def _narrowed(what: Narrowing, old: SubscriptionOptions, value: str) -> SubscriptionOptions:
    if what is Narrowing.MODEL:
        return replace(old, models=(value,))
    there = {as_seen(one) for one in old.ignore_authors}
    more: Entries = () if as_seen(value) in there else (value,)
    return replace(old, ignore_authors=(*old.ignore_authors, *more))


# ── what a card means ─────────────────────────────────────────────────────────────────────────


def entry_for(what: Narrowing, name: str) -> str | None:
    """The entry that a name is, as typed; None for one that would be read as anything else.

    Such as a pattern, which fits others, too, or what looks like the id of somebody else.
    """
    if is_blank(name) or GLOB_SIGNS & set(name) or TODAYS_ID.fullmatch(name):
        return None
    try:
        read = SubscriptionOptions().changed_by({what.value: typed_list((name,))})
    except OptionError:
        return None
    entries = read.models if what is Narrowing.MODEL else read.ignore_authors
    return next((one for one in entries if as_seen(one) == as_seen(name)), None)


def _authors(card: MessageCard) -> Iterator[Candidate]:
    """Who did it, by name as the card says it; by id where a name cannot be an entry."""
    actor = None if card.delivery is None else card.delivery.actor
    named = None if actor is None else actor.name
    name = named or str(card.card.card.get("author_name") or "")
    value = entry_for(Narrowing.AUTHOR, name) or (None if actor is None else actor.id)
    if value is not None:
        yield Candidate(card.card.id, card.entry, value, one_line(name, otherwise=value))


def _models(card: MessageCard, names: Names) -> Iterator[Candidate]:
    """The models that the event touches and the channel may see, by name where that is no glob."""
    for model in _touched(card, names):
        name = model.name or names.get(model.id or "")
        value = (name and entry_for(Narrowing.MODEL, name)) or model.id
        if value is not None and shows_model(card.entry.subscription, ModelRef(model.id, name)):
            shown = one_line(name, otherwise=value)
            yield Candidate(card.card.id, card.entry, value, shown)


def _touched(card: MessageCard, names: Names) -> Sequence[ModelRef]:
    """The models of the event, or those that its server named for it.

    Once its body is erased, those of its ids that are models'.
    """
    if card.delivery is not None:
        return card.delivery.models or _linked(card, names)
    lines = () if card.event is None else card.event.trace
    ids = [one for line in lines for one in str(line.facts.get(THINGS_FACT, "")).split()]
    return [ModelRef(one, names[one]) for one in dict.fromkeys(ids) if one in names]


def _linked(card: MessageCard, names: Names) -> Sequence[ModelRef]:
    """The models that the card's own link leads to: what an event lacks, Speckle may have added."""
    try:
        link = parse_link(str(card.card.card.get("url") or ""))
    except NotASpeckleLink:
        return ()
    return [
        ModelRef(one, names.get(one)) if ID.fullmatch(one) else ModelRef(None, one)
        for one in link.models
    ]
