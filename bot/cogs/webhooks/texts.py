"""What happened to a webhook at Speckle, in words.

Text that people wrote in Speckle is escaped here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from bot.cards.text import escape_name, joined, one_line, shorten_plain
from bot.cogs.failure_texts import left_out_text
from bot.model import Hook, HookTrouble
from bot.services.public_url import INSTANCE_PATH, ProbeProblem, ProbeResult
from bot.services.webhook_results import (
    Ensured,
    EnsureFailed,
    EnsureProblem,
    RemovalResult,
    WebhookChange,
)
from bot.services.webhooks import MOST_WEBHOOKS
from bot.speckle.links import Links
from bot.speckle.tokens import TokenScope

LOOKED_AT_LATER = "The bot tries again within an hour."
SUBSCRIBE_LATER = "Use `/subscribe` again in a minute."
MAX_CHANNELS = 20
MAX_NAME = 120
MAX_OWNERS = 5
MAX_DETAIL = 200


RELINK = (
    "The person who linked it types `/link` again, and everything continues automatically. Or "
    "another owner of the project uses `/subscribe` in a channel that follows it. Until then, the "
    "bot cannot repair the webhook."
)


@dataclass(frozen=True, slots=True)
class TroubleText:
    """What is wrong with a webhook, as half a sentence, and what to do next."""

    reason: str
    remedy: str


TROUBLES: Mapping[HookTrouble, TroubleText] = {
    HookTrouble.TOKEN_REFUSED: TroubleText(
        "the bot can no longer maintain the webhook, because Speckle refuses the linked account "
        "that created it",
        RELINK,
    ),
    HookTrouble.NO_RIGHT: TroubleText(
        "the bot can no longer maintain the webhook, because the linked account that created it no "
        "longer owns the project, or lacks the scope `streams:write`",
        "An owner of the project links their Speckle account (`/link`) and uses `/subscribe` in a "
        "channel that follows it. Until then, the bot cannot repair the webhook.",
    ),
    HookTrouble.UNOPENABLE: TroubleText(
        "the bot can no longer maintain the webhook, because its encryption keys do not decrypt "
        "the linked account that created it",
        f"{RELINK} The person who runs the bot may still have the old key.",
    ),
    HookTrouble.SWITCHED_OFF: TroubleText(
        "nothing arrives, because the webhook is switched off in Speckle",
        "An owner of the project switches it on in the project's {settings}. If it is off on "
        "purpose, `/subscriptions` pauses or removes the channel's subscription.",
    ),
    HookTrouble.NOT_RESTORED: TroubleText(
        "nothing arrives, because the webhook was deleted or changed in Speckle, and the bot could "
        "not restore it",
        "Use `/subscribe` in a channel that follows the project: the answer says what prevents it.",
    ),
    HookTrouble.PROJECT_GONE: TroubleText(
        "nothing arrives, because Speckle no longer finds the project",
        "If it was deleted, use `/unsubscribe`. If it is there again, use `/subscribe` in a "
        "channel that follows it: then the bot maintains its webhook as before.",
    ),
    HookTrouble.NOT_ARRIVING: TroubleText(
        "the webhook does not send what happens in the project; the bot had to read it with a "
        "linked account",
        "An owner of the project checks in its {settings} that the webhook is there, switched on, "
        "and has what *Show set-up* under `/subscriptions` lists.",
    ),
}


def name_text(text: str, limit: int = MAX_NAME) -> str:
    return escape_name(shorten_plain(one_line(text), limit))


def settings_link(hook: Hook) -> str:
    """A link to the page of the project's webhooks."""
    return f"[webhook settings](<{Links(hook.server_url).webhook_settings(hook.project_id)}>)"


def webhook_text(hook: Hook, webhook: Ensured | EnsureFailed | None) -> str:
    """What a caller also reads about the webhook; empty where there is nothing to say."""
    match webhook:
        case None:
            return ""
        case Ensured():
            return "\n".join(_ensured(hook, webhook))
        case EnsureFailed():
            return ensure_failed(hook, webhook)
        case _:
            assert_never(webhook)


def _ensured(hook: Hook, ensured: Ensured) -> list[str]:
    lines = []
    match ensured.change:
        case WebhookChange.MADE:
            lines.append(
                "The bot created the project's webhook in Speckle for you: there is nothing left "
                "to do."
            )
        case WebhookChange.FOUND:
            lines.append(
                "The project's webhook is in Speckle already. The bot maintains it from now on: "
                "there is nothing left to do."
            )
        case WebhookChange.MADE_AGAIN:
            lines.append(
                "Someone deleted the project's webhook in Speckle, so the bot created it again."
            )
        case WebhookChange.CHANGED:
            lines.append("The webhook in Speckle was updated: it now sends what the channels want.")
        case WebhookChange.REPAIRED:
            lines.append(
                f"Someone changed the project's webhook in Speckle ({joined(ensured.repaired)}). "
                "The bot restored it."
            )
        case WebhookChange.NOTHING:
            pass
        case _:
            assert_never(ensured.change)
    if ensured.duplicates:
        lines.append(
            "A duplicate webhook with the same address was removed. It would have shown "
            "every card twice."
        )
    if ensured.switched_off:
        lines.append(
            "**The webhook is switched off in Speckle**, so nothing arrives. The bot does not "
            "change that, because someone chose it: switch it on in the project's "
            f"{settings_link(hook)}."
        )
    if ensured.local_network:
        lines.append(
            "Speckle and the bot talk over a private network here. That works only if Speckle's "
            "*webhook-service* runs with `ALLOW_LOCAL_NETWORK=true`; the person who runs the "
            "Speckle server sets it."
        )
    return lines


def ensure_failed(hook: Hook, webhook: EnsureFailed) -> str:
    """Why the webhook could not be created or changed, and what to do."""
    what = "changed" if webhook.made else "created"
    start = f"The project's webhook in Speckle could not be {what} for you"
    match webhook.why:
        case EnsureProblem.NOT_OWNER:
            return f"{start}: only an owner of the project may do that. {_ask(webhook, hook)}"
        case EnsureProblem.NO_SCOPE:
            scope = (
                webhook.detail if webhook.detail in set(TokenScope) else TokenScope.STREAMS_WRITE
            )
            return (
                f"{start}: your linked account was linked without the scope `{scope}`. Type "
                "`/link` to link it again with it, then `/subscribe` again."
            )
        case EnsureProblem.TOKEN_REFUSED:
            return (
                f"{start}: {hook.server_url} no longer accepts the linked account's token. The "
                "person who linked it types `/link` again, then `/subscribe`."
            )
        case EnsureProblem.UNCONFIRMED:
            return (
                f"{start}: the bot's database was restored from a copy, and the person who linked "
                "the account has not confirmed it yet. They type `/account` and press *Use this "
                "account again*; then `/subscribe` again."
            )
        case EnsureProblem.UNOPENABLE:
            return (
                f"{start}: the bot's encryption keys can no longer decrypt the linked account. The "
                "person who linked it types `/link` again, then `/subscribe`; the person who runs "
                "the bot may still have the old key."
            )
        case EnsureProblem.PROJECT_GONE:
            return (
                f"{start}: {hook.server_url} does not find the project. If it was deleted, use "
                "`/unsubscribe`; if its address was mistyped, use `/subscribe` with the right one."
            )
        case EnsureProblem.FULL:
            return (
                f"{start}: the project has {MOST_WEBHOOKS} webhooks, and Speckle allows no more. "
                f"Delete one that nobody needs in its {settings_link(hook)}, then `/subscribe` "
                "again."
            )
        case EnsureProblem.SPECKLE_AWAY:
            later = LOOKED_AT_LATER if webhook.made else SUBSCRIBE_LATER
            return f"{start}: {hook.server_url} does not answer. {later}"
        case EnsureProblem.LEFT_OUT:
            return f"{start}. {left_out_text(hook.server_url)}"
        case EnsureProblem.UNREACHABLE:
            return f"{start}. {probe_text(webhook.result, hook.server_url)}"
        case EnsureProblem.REFUSED:
            return (
                f"{start}: {hook.server_url} refused it. Its release may be too old or too new for "
                "this bot; setting it up by hand works with every release. The bot's log has the "
                "details."
            )
        case _:
            assert_never(webhook.why)


def _ask(webhook: EnsureFailed, hook: Hook) -> str:
    return f"Ask {owners_text(webhook, hook)} to use `/subscribe` here, or to set it up by hand."


def owners_text(webhook: Ensured | EnsureFailed | None, hook: Hook) -> str:
    """The project's owners by name, else where they are named."""
    if isinstance(webhook, EnsureFailed) and webhook.owners:
        return joined([f"**{name_text(owner)}**" for owner in webhook.owners[:MAX_OWNERS]])
    page = Links(hook.server_url).project(hook.project_id)
    return f"an owner (the [project's page](<{page}>) shows who that is, under *Collaborators*)"


def probe_text(result: ProbeResult | None, server_url: str) -> str:
    """What is wrong with PUBLIC_URL and how the operator fixes it."""
    problem = None if result is None else result.problem
    detail = "" if result is None else name_text(result.detail, MAX_DETAIL)
    operator = "The person who runs the bot"
    match problem:
        case ProbeProblem.MISSING:
            return (
                f"The bot does not know its own public address. {operator} must set `PUBLIC_URL` "
                "and restart it."
            )
        case ProbeProblem.NOT_HTTPS:
            return (
                f"The bot's `PUBLIC_URL` begins with http://, and {server_url} would send events "
                f"over the open internet unencrypted. {operator} must put it behind https, with a "
                "tunnel or a reverse proxy, and set `PUBLIC_URL` to that address."
            )
        case ProbeProblem.PRIVATE:
            return (
                f"The bot's `PUBLIC_URL` leads to {detail}, which exists only in a private "
                f"network, and {server_url} is a public server: it could not reach it. {operator} "
                "must set `PUBLIC_URL` to an address on the internet, such as a tunnel's."
            )
        case ProbeProblem.NO_ANSWER:
            return (
                "Nothing answers at the bot's `PUBLIC_URL`, so events could not arrive. "
                f"{operator} must check the tunnel or reverse proxy, or correct `PUBLIC_URL`. "
                f"Opening it with `{INSTANCE_PATH}` at its end must show an id."
            )
        case ProbeProblem.REDIRECTS:
            return (
                f"The bot's `PUBLIC_URL` redirects to {detail}, and Speckle would lose the event "
                f"on the way. {operator} must set `PUBLIC_URL` to that address."
            )
        case ProbeProblem.NOT_THIS_BOT:
            return (
                f"At the bot's `PUBLIC_URL` something else answers ({detail}), not this bot. "
                f"{operator} must point the tunnel or reverse proxy to this bot's listener, with "
                "all its paths, or correct `PUBLIC_URL`."
            )
        case None:
            return "The bot's `PUBLIC_URL` could not be checked."
        case _:
            assert_never(problem)


def removal_text(removal: RemovalResult, hook: Hook) -> str:
    """What happened to the webhook after the last channel."""
    match removal:
        case RemovalResult.REMOVED:
            return "It was the last channel of its webhook, which was removed from Speckle."
        case RemovalResult.LATER:
            return (
                "It was the last channel of its webhook. Speckle does not answer at the moment, so "
                "the webhook there is removed later, as soon as it does; its events are refused "
                "from now on."
            )
        case RemovalResult.UNCONFIRMED:
            return (
                "It was the last channel of its webhook, and the bot now refuses what that sends. "
                "The bot's database was restored from a copy, so the webhook stays in Speckle "
                "until the person who created it confirms their account with `/account`, within "
                f"two weeks. Or an owner deletes it in the project's {settings_link(hook)}."
            )
        case RemovalResult.UNOPENABLE:
            return (
                "It was the last channel of its webhook, and the bot now refuses what that sends. "
                "The bot's encryption keys can no longer decrypt the account that created the "
                "webhook in Speckle, so the webhook stays there for now: the bot removes it once "
                "the person who linked that account types `/link` again, within two weeks. Or an "
                f"owner deletes it in the project's {settings_link(hook)}: its URL ends in "
                f"`/webhooks/{(hook.key or '')[:6]}…`."
            )
        case RemovalResult.BY_HAND:
            return (
                "It was the last channel of its webhook, and the bot now refuses what that sends. "
                "It is no longer allowed to remove the webhook in Speckle: open the project's "
                f"{settings_link(hook)} and delete the one whose URL ends in "
                f"`/webhooks/{(hook.key or '')[:6]}…`."
            )
        case _:
            assert_never(removal)


def repaired_line(ensured: Ensured, project: str) -> str:
    """What a channel reads after the hourly check; empty where there is nothing to say."""
    match ensured.change:
        case WebhookChange.MADE_AGAIN:
            return (
                f"The webhook of {project} in Speckle was deleted, so the bot created it again. "
                "To stop the events instead, use `/unsubscribe`."
            )
        case WebhookChange.REPAIRED:
            return (
                f"The webhook of {project} was changed in Speckle ({joined(ensured.repaired)}). "
                "The bot restored it. To change what a channel shows, use `/subscribe`."
            )
        case _:
            return ""


def trouble_text(hook: Hook) -> str:
    """Why a webhook brings nothing, or cannot be maintained; empty where all is well."""
    return "" if hook.trouble is None else TROUBLES[hook.trouble].reason


def trouble_remedy(hook: Hook) -> str:
    """What to do about it."""
    if hook.trouble is None:
        return ""
    return TROUBLES[hook.trouble].remedy.replace("{settings}", settings_link(hook))


def trouble_line(hook: Hook, project: str) -> str:
    """What a channel reads, once, when its webhook needs somebody."""
    what = trouble_text(hook)
    return f"The webhook of {project} needs attention: {what}. {trouble_remedy(hook)}"


def channels_text(channel_ids: Sequence[int]) -> str:
    """Some channels, and how many more."""
    named = ", ".join(f"<#{channel_id}>" for channel_id in channel_ids[:MAX_CHANNELS])
    more = len(channel_ids) - MAX_CHANNELS
    return f"{named} and {more} more" if more > 0 else named
