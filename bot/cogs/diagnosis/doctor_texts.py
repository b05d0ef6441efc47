"""What /doctor answers: each finding with how to fix it, worst first where it matters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import discord

from bot.cards.card import MAX_DESCRIPTION
from bot.cards.text import joined, moment_text, shorten
from bot.cogs.failure_texts import left_out_text
from bot.cogs.notices.quota_texts import today
from bot.cogs.refusal_texts import cannot_post_text
from bot.cogs.responses import COLOUR
from bot.cogs.subscriptions.panel_texts import (
    ASK_WHAT_IS_POSSIBLE,
    NO_ADDRESS,
    REMEDIES,
    account_owner,
    last_event_text,
    pause_remedy,
    pause_text,
    project_name,
)
from bot.cogs.webhooks.texts import RELINK, TROUBLES, channels_text, probe_text, settings_link
from bot.model import Hook, HookKind, HookState, HookTrouble, PauseReason, SubscriptionState
from bot.problem_texts import not_ready_text
from bot.services.doctor import AccountLook, ChannelLook, Diagnosis
from bot.services.public_url import ProbeProblem
from bot.services.quotas import Usage
from bot.services.subscribe_results import Followed, NotHeard
from bot.services.webhook_results import EnsureFailed, EnsureProblem, WebhookLook
from bot.speckle.tokens import TokenScope
from bot.speckle_api.types import CallStatus, RecordedCall

MAX_CHANNELS_SAID: Final = 10
OPERATOR: Final = "the person who runs the bot"
UNTIL_NEXT: Final = "This is shown until the next event is accepted."
OF_AN_ADDRESS_BEFORE: Final = (
    "Until then, what the webhook sends arrives only if the address that it was made with still "
    "leads to the bot. Or use `/unsubscribe` in all channels that follow the project, then "
    "`/subscribe`: then it is live through your account, where that is allowed."
)
OR_SUBSCRIBE: Final = (
    "Or an owner links their account (`/link`) and uses `/subscribe` in the channel: then the bot "
    "does it, and maintains the webhook."
)


class Health(StrEnum):
    """How a finding is."""

    GOOD = "✅"
    WARN = "⚠️"
    BAD = "❌"
    UNKNOWN = "➖"


class Remedy(StrEnum):
    """What a button below the findings can do about one of them."""

    REPAIR = "repair"
    RESUME = "resume"
    LINK = "link"
    SETUP = "setup"
    SETUP_AGAIN = "setup-again"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: how it is, in words, and what a button can do about it."""

    mark: Health
    text: str
    remedy: Remedy | None = None


def findings(diagnosis: Diagnosis) -> Sequence[Finding]:
    """All that was looked at, in the order of an event's way."""
    if diagnosis.entry.subscription.pause_reason is PauseReason.PROJECT_DELETED:
        return [*_of_bot(diagnosis), *_of_subscription(diagnosis)]  # the rest went with it
    return [
        *_of_bot(diagnosis),
        *_of_address(diagnosis),
        *_of_webhook(diagnosis),
        *_of_quota(diagnosis.over_quota, diagnosis.hook),
        *(_of_account(one, diagnosis) for one in diagnosis.accounts),
        *_of_subscription(diagnosis),
        *_of_channels(diagnosis),
    ]


def diagnosis_embed(
    diagnosis: Diagnosis, found: Sequence[Finding], note: str | None = None
) -> discord.Embed:
    """The findings, below a note, such as what was just done."""
    lines = [f"{one.mark} {one.text}" for one in found]
    summary = _summary(found)
    head = f"{project_name(diagnosis.entry)} in <#{diagnosis.entry.subscription.channel_id}>"
    parts = [head, *([note] if note else []), *lines, summary]
    return discord.Embed(
        title="Doctor",
        description=shorten("\n\n".join(parts), MAX_DESCRIPTION),
        colour=COLOUR,
    )


def elsewhere_text(here: int, there: int) -> str:
    """Above what was found in another channel than the one that was asked in."""
    return (
        f"⚠️ <#{here}> does not follow this project, so nothing of it comes there: `/subscribe` "
        f"changes that. What follows is about <#{there}>."
    )


def _summary(found: Sequence[Finding]) -> str:
    bad = sum(one.mark in (Health.BAD, Health.WARN) for one in found)
    if bad:
        things = "1 thing needs" if bad == 1 else f"{bad} things need"
        return f"**{things} attention.** When it is done, press *Look again*."
    unseen = any(one.mark is Health.UNKNOWN and one.remedy is Remedy.LINK for one in found)
    right = (
        "Nothing is wrong in what the bot could look at; the webhook, it could not."
        if unseen
        else "Nothing is wrong that the bot can see."
    )
    return (
        f"**{right}** *Test* sends a sample of each wanted event to the channel; `/why` says what "
        "became of a real one."
    )


# ── the bot and its address ───────────────────────────────────────────────────────────────────


def _of_bot(diagnosis: Diagnosis) -> Iterator[Finding]:
    if not diagnosis.not_ready:
        yield Finding(Health.GOOD, "The bot works: its database, its keys and Discord are there.")
    for one in diagnosis.not_ready:
        text = f"The bot cannot do its work: {not_ready_text(one)} Tell {OPERATOR}."
        yield Finding(Health.BAD, text)


def _of_address(diagnosis: Diagnosis) -> Iterator[Finding]:
    result = diagnosis.address
    if result is None or diagnosis.entry.not_heard is NotHeard.NO_ADDRESS:
        return
    if result.problem is not None:
        text = probe_text(result, diagnosis.hook.server_url)
        lost = f" {OF_AN_ADDRESS_BEFORE}" if result.problem is ProbeProblem.MISSING else ""
        yield Finding(Health.BAD, f"{text}{lost}")
    elif result.local_speckle and result.local_bot and not _got_through(diagnosis.webhook):
        yield Finding(
            Health.UNKNOWN,
            "The bot's address answers, but both it and Speckle are in a private network: Speckle "
            "calls it only if its *webhook-service* runs with `ALLOW_LOCAL_NETWORK=true`. The "
            "person who runs the Speckle server sets that; if events arrive, it is set.",
        )
    else:
        yield Finding(Health.GOOD, "The bot's public address answers.")


def _got_through(webhook: WebhookLook | EnsureFailed | None) -> bool:
    call = webhook.last_call if isinstance(webhook, WebhookLook) else None
    return call is not None and call.status is CallStatus.DELIVERED


# ── the webhook at Speckle ────────────────────────────────────────────────────────────────────


def _of_webhook(diagnosis: Diagnosis) -> Iterator[Finding]:
    hook, webhook = diagnosis.hook, diagnosis.webhook
    if hook.kind is HookKind.SHARED:
        yield Finding(
            Health.UNKNOWN,
            f"The events come by the shared webhook of {OPERATOR}, which only they can look at: if "
            "nothing arrives, ask them whether the project has it.",
        )
        return
    if hook.is_heard:
        yield _of_hearing(diagnosis.entry)
        return
    if diagnosis.entry.not_heard is NotHeard.NO_ADDRESS:
        text = f"{NO_ADDRESS[0].upper()}{NO_ADDRESS[1:]}. {ASK_WHAT_IS_POSSIBLE}"
        yield Finding(Health.BAD, text)
        return
    if hook.unopenable:
        yield Finding(
            Health.BAD,
            "The bot's encryption keys can no longer decrypt the webhook's secret, so nothing can "
            f"arrive. Ask {OPERATOR} for the old key; if it is lost, press *Set up again*.",
            Remedy.SETUP_AGAIN,
        )
    match webhook:
        case WebhookLook():
            yield from _of_look(diagnosis, webhook)
        case EnsureFailed():
            yield _not_looked(hook, webhook)
        case None:
            yield Finding(
                Health.UNKNOWN,
                "Nobody has linked an account that may look at the webhook in Speckle. An owner of "
                f"the project sees it in its {settings_link(hook)}; if that is you, press *Link my "
                "account* and use `/doctor` again.",
                Remedy.LINK,
            )
    yield from _of_refused(diagnosis)
    yield from _of_first_event(hook)


def _of_hearing(entry: Followed) -> Finding:
    nothing = "there is no webhook, and nothing to set up in Speckle"
    if entry.subscription.state is SubscriptionState.PAUSED:
        return Finding(
            Health.UNKNOWN, f"The project is followed through linked accounts: {nothing}."
        )
    who = account_owner(entry.subscription)
    return Finding(Health.GOOD, f"The channel is live through the account of {who}: {nothing}.")


def _of_look(diagnosis: Diagnosis, look: WebhookLook) -> Iterator[Finding]:
    hook = diagnosis.hook
    repair = None if hook.is_by_hand else Remedy.REPAIR
    if not look.there:
        fix = (
            f"An owner enters it there as *Show set-up* says. {OR_SUBSCRIBE}"
            if hook.is_by_hand
            else "Press *Repair the webhook*: the bot makes it again."
        )
        text = f"The project has no webhook in Speckle that leads to the bot. {fix}"
        yield Finding(Health.BAD, text, repair or Remedy.SETUP)
        return
    fix = "Press *Repair the webhook*." if repair else f"An owner changes it in {_page(hook)}."
    yield Finding(Health.GOOD, f"The webhook in Speckle {joined(_what_is_right(diagnosis, look))}.")
    if not look.enabled:
        yield Finding(
            Health.BAD,
            "The webhook is switched off in Speckle, so nothing arrives. The bot does not change "
            f"that, because someone chose it: an owner switches it on in {_page(hook)}.",
        )
    if not look.right_address:
        text = f"The webhook leads to an earlier address of the bot. {fix}"
        yield Finding(Health.BAD, text, repair)
    if look.duplicates:
        text = f"More than one webhook leads to the bot, so Speckle sends each event again. {fix}"
        yield Finding(Health.WARN, text, repair)
    if not look.has_secret:
        text = f"The webhook has no secret, so the bot refuses what it sends. {_secret_fix(hook)}"
        yield Finding(Health.BAD, text, repair or Remedy.SETUP)
    if diagnosis.lacking:
        yield _of_events(diagnosis)
    if diagnosis.over_quota and look.last_call and look.last_call.status is CallStatus.FAILED:
        return  # refused like all others today: what is said of the quota says why
    yield _of_last_call(hook, look.last_call, repair)


def _what_is_right(diagnosis: Diagnosis, look: WebhookLook) -> Sequence[str]:
    address_known = diagnosis.address is not None and diagnosis.address.problem is None
    rights = {
        "is there": True,
        "is switched on": look.enabled,
        "has the right address": look.right_address and address_known,
        "has a secret": look.has_secret,
        "sends all events that the channels want": not diagnosis.lacking,
    }
    return [words for words, is_right in rights.items() if is_right]


def _page(hook: Hook) -> str:
    return f"the project's {settings_link(hook)}"


def _secret_fix(hook: Hook) -> str:
    if not hook.is_by_hand:
        return "Press *Repair the webhook*."
    return (
        "Speckle cannot change a secret: an owner deletes the webhook and makes it again, as "
        f"*Show set-up* says. {OR_SUBSCRIBE}"
    )


def _of_events(diagnosis: Diagnosis) -> Finding:
    names = joined([kind.words for kind in diagnosis.lacking])
    if diagnosis.hook.is_by_hand:
        fix = f"An owner chooses them in {_page(diagnosis.hook)}; *Show set-up* has their names."
        return Finding(Health.WARN, f"The webhook does not send {names}. {fix}", Remedy.SETUP)
    return Finding(
        Health.WARN,
        f"The webhook does not send {names}. Press *Repair the webhook*; if they are still missing "
        "then, an owner of the project has to ask for them: they link their account (`/link`) and "
        "use `/subscribe` in the channel.",
        Remedy.REPAIR,
    )


def _of_last_call(hook: Hook, call: RecordedCall | None, repair: Remedy | None) -> Finding:
    if call is None:
        return Finding(Health.UNKNOWN, "Speckle has not called the webhook yet.")
    at = moment_text(call.at, "R")
    match call.status:
        case CallStatus.DELIVERED:
            return Finding(Health.GOOD, f"Speckle's last call, {at}, was accepted.")
        case CallStatus.FAILED:
            return Finding(
                Health.BAD,
                f"Speckle's last call, {at}, failed: the bot could not be reached then, or Speckle "
                f"has another secret than the bot. {_secret_fix(hook)} If the next call is "
                "accepted, nothing is left to do: the bot fetches what was missed.",
                repair or Remedy.SETUP,
            )
        case CallStatus.QUEUED | CallStatus.CALLING:
            text = (
                f"Speckle began its last call {at} and has not finished it. If that is minutes "
                "ago, its webhook service does not run: tell the person who runs the server."
            )
            return Finding(Health.WARN, text)


def _not_looked(hook: Hook, failed: EnsureFailed) -> Finding:
    what = "The webhook in Speckle could not be looked at"
    match failed.why:
        case EnsureProblem.SPECKLE_AWAY:
            text = f"{what}: {hook.server_url} does not answer. Use `/doctor` again in a minute."
            return Finding(Health.BAD, text)
        case EnsureProblem.LEFT_OUT:
            return Finding(Health.BAD, f"{what}. {left_out_text(hook.server_url)}")
        case EnsureProblem.PROJECT_GONE | EnsureProblem.NOT_OWNER:
            return Finding(
                Health.UNKNOWN,
                f"{what}: only an owner of the project may do that, and no linked account is one. "
                f"An owner sees it in {_page(hook)}, or links their account and uses `/doctor`.",
                Remedy.LINK,
            )
        case _:
            text = f"{what}: {_why_not(failed.why)}. Link the account again."
            return Finding(Health.WARN, text, Remedy.LINK)


def _why_not(problem: EnsureProblem) -> str:
    match problem:
        case EnsureProblem.TOKEN_REFUSED:
            return "Speckle no longer accepts the linked account"
        case EnsureProblem.NO_SCOPE:
            return f"the linked account lacks the scope `{TokenScope.STREAMS_WRITE}`"
        case EnsureProblem.UNOPENABLE:
            return "the bot's encryption keys can no longer decrypt the linked account"
        case EnsureProblem.UNCONFIRMED:
            return "the linked account is not confirmed since the database was restored: `/account`"
        case EnsureProblem.SPECKLE_AWAY:
            return "Speckle does not answer"
        case EnsureProblem.NOT_OWNER | EnsureProblem.PROJECT_GONE:
            return "the linked account is not an owner of the project any more"
        case _:
            return "Speckle gave an answer that the bot does not know"


def _of_refused(diagnosis: Diagnosis) -> Iterator[Finding]:
    """What came with a wrong signature, since the last event that came with the right one."""
    refused = diagnosis.refused
    if refused is None:
        return
    at = moment_text(refused.at, "R")
    what = (
        "with another secret than the bot's"
        if refused.signed
        else "without a secret, so without a signature"
    )
    if _got_through(diagnosis.webhook):
        yield Finding(
            Health.WARN,
            f"The bot refused something {at} that was sent to the webhook's address {what}. It was "
            "not Speckle, whose last call was accepted: someone else knows the address. Nothing of "
            "it was shown. If it happens again, press *New secret* under `/subscriptions`.",
        )
        return
    text = f"The bot refused an event {at}: it was sent {what}."
    repair = Remedy.SETUP if diagnosis.hook.is_by_hand else Remedy.REPAIR
    yield Finding(Health.BAD, f"{text} {_secret_fix(diagnosis.hook)} {UNTIL_NEXT}", repair)


def _of_first_event(hook: Hook) -> Iterator[Finding]:
    if hook.state is HookState.WAITING:
        yield Finding(
            Health.WARN,
            "No event has come through this webhook yet. *Show set-up* says what to enter in "
            "Speckle; the first event turns the subscription live.",
            Remedy.SETUP,
        )


def _of_quota(usage: Usage | None, hook: Hook) -> Iterator[Finding]:
    if usage is None:
        return
    until = moment_text(usage.ends_at, "t")
    if hook.is_heard:
        yield Finding(
            Health.BAD,
            f"Today's quota is used up ({today(usage)}), so what happens in the project is read "
            f"only from {until} on. Nothing is lost: it is shown then, in order. If it happens "
            f"every day, let fewer channels follow the project, or ask {OPERATOR} to allow more.",
        )
        return
    yield Finding(
        Health.BAD,
        f"Today's quota is used up ({today(usage)}), so further events are refused until {until}. "
        "Where the bot created the webhook they are fetched later. If you do not know what sends "
        "so much, press *New secret* under `/subscriptions`; if it happens every day, let Speckle "
        f"send fewer kinds of events, or ask {OPERATOR} to allow more.",
    )


# ── accounts ──────────────────────────────────────────────────────────────────────────────────


def _of_account(look: AccountLook, diagnosis: Diagnosis) -> Finding:
    hook = diagnosis.hook
    who = f"The Speckle account of <@{look.user_id}>"
    does = (
        "created the webhook and may maintain it"
        if look.makes
        else "can see the project for this channel"
    )
    if look.problem is None:
        return Finding(Health.GOOD, f"{who} {does}.")
    if look.problem is EnsureProblem.SPECKLE_AWAY:
        text = f"{who} could not be checked: {hook.server_url} does not answer at the moment."
        if not hook.is_heard:
            return Finding(Health.UNKNOWN, text)
        then = "What happens in the project meanwhile is read and shown once it answers again."
        return Finding(Health.WARN, f"{text} {then} If this lasts, tell {OPERATOR}.")
    if look.problem is EnsureProblem.LEFT_OUT:
        text = f"{who} cannot be used. {left_out_text(hook.server_url)}"
        return Finding(Health.BAD, text)
    if look.makes:
        text = f"{who} created the webhook and can no longer maintain it: {_why_not(look.problem)}."
        not_owner = look.problem is EnsureProblem.NOT_OWNER  # linking it again makes it none
        remedy = TROUBLES[HookTrouble.NO_RIGHT].remedy if not_owner else RELINK
        return Finding(Health.BAD, f"{text} {remedy}", Remedy.LINK)
    why = (
        "it can no longer see the project"
        if look.problem is EnsureProblem.NOT_OWNER
        else _why_not(look.problem)
    )
    if diagnosis.entry.subscription.is_paused_for_rights:  # what to do is said with the pause
        return Finding(Health.BAD, f"{who} cannot show the project in this channel: {why}.")
    when = "when Speckle is asked again" if hook.is_heard else "at the next event"
    # Linking again brings no right back.
    first = (
        "An owner of the project invites them again"
        if look.problem is EnsureProblem.NOT_OWNER
        else "They link it again with `/link`"
    )
    return Finding(
        Health.BAD,
        f"{who}, which shows the project in this channel, cannot be used: {why}. The channel is "
        f"paused {when}. {first}, or someone else who can see the project presses *Resume* then.",
        Remedy.LINK,
    )


# ── what the channel shows, and where ─────────────────────────────────────────────────────────


def _of_subscription(diagnosis: Diagnosis) -> Iterator[Finding]:
    subscription = diagnosis.entry.subscription
    if subscription.state is SubscriptionState.PAUSED:
        reason = subscription.pause_reason or PauseReason.MEMBER
        remedy = pause_remedy(diagnosis.entry) or REMEDIES[reason]
        text = f"This channel is {pause_text(subscription)}. {remedy}"
        gone = reason is PauseReason.PROJECT_DELETED
        yield Finding(Health.BAD, text, None if gone else Remedy.RESUME)
    else:
        yield Finding(Health.GOOD, f"This channel is not paused; {last_event_text(subscription)}.")
    if diagnosis.held:
        one = diagnosis.held == 1
        many = "1 event waits" if one else f"{diagnosis.held} events wait"
        come = "it is shown" if one else "they are shown"
        yield Finding(
            Health.WARN,
            f"{many} until the bot knows who may see the project here. Nothing is lost: {come} as "
            "soon as Speckle and Discord answer, or someone has confirmed it.",
        )


def _of_channels(diagnosis: Diagnosis) -> Iterator[Finding]:
    """Where the bot may post, and where not; those that the caller does not manage are counted."""
    good = [one for one in diagnosis.channels if one.blocked is None]
    if good:
        where = channels_text([_channel(one) for one in good])
        yield Finding(Health.GOOD, f"The bot may post, with pictures, in {where}.")
    for one in diagnosis.channels[:MAX_CHANNELS_SAID]:
        if one.blocked is not None:
            yield Finding(Health.BAD, cannot_post_text(one.blocked))
        elif _is_paused_elsewhere(one, diagnosis):
            text = f"<#{_channel(one)}> is {pause_text(one.entry.subscription)}."
            yield Finding(Health.WARN, f"{text} Use `/doctor` there.")
    if diagnosis.others:
        single = diagnosis.others == 1
        follow = "1 more channel follows" if single else f"{diagnosis.others} others follow"
        yield Finding(
            Health.UNKNOWN,
            f"{follow} the project, not looked at because you cannot manage webhooks there, "
            "or because there are too many. Use `/doctor` there.",
        )


def _channel(look: ChannelLook) -> int:
    return look.entry.subscription.channel_id


def _is_paused_elsewhere(look: ChannelLook, diagnosis: Diagnosis) -> bool:
    subscription = look.entry.subscription
    here = subscription.id == diagnosis.entry.subscription.id
    return subscription.state is SubscriptionState.PAUSED and not here
