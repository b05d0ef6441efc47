"""How it reads what became of a webhook at Speckle, and what is to be decided before one is made.

Text that people wrote in Speckle is escaped here.
"""

from collections.abc import Sequence
from typing import assert_never

from bot.cards.text import escape_name, one_line, shorten_plain
from bot.model import Hook
from bot.services.public_url import INSTANCE_PATH, ProbeProblem, ProbeResult
from bot.services.subscribe_results import MadeSetUp, NeedsAccount
from bot.services.webhooks import (
    MOST_WEBHOOKS,
    Ensured,
    EnsureFailed,
    EnsureProblem,
    RemovalResult,
    WebhookChange,
)
from bot.speckle.links import Links
from bot.speckle.tokens import TokenScope

MAX_CHANNELS = 20
MAX_NAME = 120
MAX_OWNERS = 5
MAX_DETAIL = 200


def name_text(text: str, limit: int = MAX_NAME) -> str:
    return escape_name(shorten_plain(one_line(text), limit))


def _settings(hook: Hook) -> str:
    return f"[webhook settings](<{Links(hook.server_url).webhook_settings(hook.project_id)}>)"


# ── what was done ─────────────────────────────────────────────────────────────────────────────


def webhook_text(hook: Hook, webhook: Ensured | EnsureFailed | None) -> str:
    """What a caller reads of the webhook besides; empty where there is nothing to say."""
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
                "The project's webhook in Speckle was made for you: there is nothing left to do."
            )
        case WebhookChange.FOUND:
            lines.append(
                "The project's webhook is in Speckle already. The bot looks after it from now on: "
                "there is nothing left to do."
            )
        case WebhookChange.MADE_AGAIN:
            lines.append(
                "Somebody had deleted the project's webhook in Speckle, so the bot made it again."
            )
        case WebhookChange.CHANGED:
            lines.append("The webhook in Speckle was told: it sends what the channels want now.")
        case WebhookChange.REPAIRED:
            lines.append(
                "Somebody had changed the project's webhook in Speckle "
                f"({listed(ensured.repaired)}); "
                "the bot set that right."
            )
        case WebhookChange.NOTHING:
            pass
        case _:
            assert_never(ensured.change)
    if ensured.duplicates:
        lines.append("A second webhook with the same address was removed: cards came twice.")
    if ensured.switched_off:
        lines.append(
            "**The webhook is switched off in Speckle**, so nothing arrives. The bot leaves that "
            f"as it is, because somebody chose it: switch it on in the project's {_settings(hook)}."
        )
    if ensured.local_network:
        lines.append(
            "Speckle and the bot talk over a private network here. That works only if Speckle's "
            "*webhook-service* runs with `ALLOW_LOCAL_NETWORK=true`; who runs the Speckle server "
            "sets it."
        )
    return lines


def listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


def ensure_failed(hook: Hook, webhook: EnsureFailed) -> str:
    """Why the webhook could not be made or changed, and what to do."""
    what = "changed" if webhook.made else "made"
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
                f"{start}: {hook.server_url} no longer takes the linked account's token. Whoever "
                "linked it types `/link` again, then `/subscribe`."
            )
        case EnsureProblem.UNCONFIRMED:
            return (
                f"{start}: the bot's database was restored from a copy, and whoever linked the "
                "account has yet to confirm it. They type `/account` and press *Use this account "
                "again*; then `/subscribe` again."
            )
        case EnsureProblem.UNOPENABLE:
            return (
                f"{start}: the bot's encryption keys no longer open the linked account. Whoever "
                "linked it types `/link` again, then `/subscribe`; and the person who runs the bot "
                "may still have the old key."
            )
        case EnsureProblem.FULL:
            return (
                f"{start}: the project has {MOST_WEBHOOKS} webhooks, and Speckle takes no more. "
                f"Delete one that nobody needs in its {_settings(hook)}, then `/subscribe` again."
            )
        case EnsureProblem.SPECKLE_AWAY:
            later = (
                "The bot tries again within the hour."
                if webhook.made
                else "Use `/subscribe` again in a minute."
            )
            return f"{start}: {hook.server_url} does not answer ({_detail(webhook)}). {later}"
        case EnsureProblem.UNREACHABLE:
            return f"{start}. {probe_text(webhook.result, hook.server_url)}"
        case EnsureProblem.REFUSED:
            return (
                f"{start}: {hook.server_url} refused it ({_detail(webhook)}). Its release may be "
                "too old or too new for this bot; the way by hand works with all of them."
            )
        case _:
            assert_never(webhook.why)


def _detail(webhook: EnsureFailed) -> str:
    return name_text(webhook.detail, MAX_DETAIL)


def _ask(webhook: EnsureFailed, hook: Hook) -> str:
    if webhook.owners:
        owners = listed([f"**{name_text(owner)}**" for owner in webhook.owners[:MAX_OWNERS]])
        return f"Ask {owners} to use `/subscribe` here, or to set it up by hand."
    page = Links(hook.server_url).project(hook.project_id)
    return (
        f"Ask an owner to use `/subscribe` here, or to set it up by hand; the [project's page]"
        f"(<{page}>) shows who they are, under *Collaborators*."
    )


def probe_text(result: ProbeResult | None, server_url: str) -> str:
    """What is wrong with PUBLIC_URL and how whoever runs the bot mends it."""
    problem = None if result is None else result.problem
    detail = "" if result is None else name_text(result.detail, MAX_DETAIL)
    operator = "The person who runs the bot"
    match problem:
        case ProbeProblem.MISSING:
            return (
                "The bot does not know its own public address. "
                f"{operator} has to set `PUBLIC_URL` and start it again."
            )
        case ProbeProblem.NOT_HTTPS:
            return (
                f"The bot's `PUBLIC_URL` begins with http://, and {server_url} would send events "
                f"over the open internet unencrypted. {operator} has to put it behind https, by a "
                "tunnel or a reverse proxy, and set `PUBLIC_URL` to that."
            )
        case ProbeProblem.PRIVATE:
            return (
                f"The bot's `PUBLIC_URL` leads to {detail}, which exists in a private network "
                f"only, and {server_url} is a public server: it could not reach it. {operator} has "
                "to set `PUBLIC_URL` to an address on the internet, such as a tunnel's."
            )
        case ProbeProblem.NO_ANSWER:
            return (
                f"Nothing answers under the bot's `PUBLIC_URL` ({detail}), so events could not "
                f"arrive. {operator} has to see to the tunnel or reverse proxy, or to mend "
                f"`PUBLIC_URL`: opening it with `{INSTANCE_PATH}` at its end has to show an id."
            )
        case ProbeProblem.REDIRECTS:
            return (
                f"The bot's `PUBLIC_URL` sends callers on to {detail}, and Speckle would lose the "
                f"event on the way. {operator} has to set `PUBLIC_URL` to where it leads."
            )
        case ProbeProblem.NOT_THIS_BOT:
            return (
                f"Under the bot's `PUBLIC_URL` something else answers ({detail}), not this bot. "
                f"{operator} has to point the tunnel or reverse proxy to this bot's listener, with "
                f"all its paths, or to mend `PUBLIC_URL`."
            )
        case None:
            return "The bot's `PUBLIC_URL` could not be looked at."
        case _:
            assert_never(problem)


def removal_text(removal: RemovalResult, hook: Hook) -> str:
    """What became of the webhook after the last channel."""
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
                "until whoever made it confirms their account with `/account`, within two weeks. "
                f"Or an owner deletes it in the project's {_settings(hook)}."
            )
        case RemovalResult.UNOPENABLE:
            return (
                "It was the last channel of its webhook, and the bot now refuses what that sends. "
                "The bot's encryption keys no longer open the account that made the webhook in "
                "Speckle, so the webhook stays there for now: the bot removes it once whoever "
                "linked that account types `/link` again, within two weeks. Or an owner deletes it "
                f"in the project's {_settings(hook)}: its URL ends in "
                f"`/webhooks/{(hook.key or '')[:6]}…`."
            )
        case RemovalResult.BY_HAND:
            return (
                "It was the last channel of its webhook, and the bot now refuses what that sends. "
                "It may not remove the webhook in Speckle any more: open the project's "
                f"{_settings(hook)} and delete the one whose URL ends in "
                f"`/webhooks/{(hook.key or '')[:6]}…`."
            )
        case _:
            assert_never(removal)


def made_setup(outcome: MadeSetUp, project: str) -> str:
    """What *Show set-up* and *New secret* say of a webhook that the bot made."""
    by = "" if outcome.made_by is None else f" with the Speckle account of <@{outcome.made_by}>"
    start = f"The bot made the webhook of {project} in Speckle itself{by}."
    if not outcome.renewed:
        first = f"{start} There is nothing to set up, and nobody is shown its secret."
    elif isinstance(outcome.webhook, Ensured):
        first = f"{start} It has a new secret now, which Speckle knows; the old one is void."
    else:
        first = (
            f"{start} **It has no new secret**, because Speckle could not be told; the old one "
            "works on. Press *New secret* again later."
        )
    return "\n".join(filter(None, (first, webhook_text(outcome.entry.hook, outcome.webhook))))


def repaired_line(hook: Hook, ensured: Ensured, project: str) -> str:
    """What a channel reads after the hourly look; empty where there is nothing to tell."""
    match ensured.change:
        case WebhookChange.MADE_AGAIN:
            return (
                f"The webhook of {project} in Speckle had been deleted, so the bot made it again. "
                "To stop the events instead, use `/unsubscribe`."
            )
        case WebhookChange.REPAIRED:
            return (
                f"The webhook of {project} in Speckle had been changed "
                f"({listed(ensured.repaired)}), "
                "so the bot set it right. What a channel shows is changed with `/subscribe`."
            )
        case _:
            return ""


# ── what is to be decided first ───────────────────────────────────────────────────────────────


def needs_account_text(outcome: NeedsAccount) -> str:
    """Why nothing was done yet, and the ways to go on."""
    server = outcome.server_url
    if outcome.paused:
        return (
            "This channel is paused until somebody who may see the project answers for it. "
            f"{_why_link(outcome)} **Link my account** does that, and goes on by itself."
        )
    if outcome.why is EnsureProblem.SPECKLE_AWAY:
        return (
            f"{server} does not answer at the moment ({name_text(outcome.detail, MAX_DETAIL)}), so "
            "nothing was changed. Use `/subscribe` again in a minute, or set the webhook up by "
            "hand."
        )
    return (
        f"{_why_link(outcome)} There are two ways to go on:\n"
        "- **Link my account**: if you own the project, the bot makes the webhook in Speckle for "
        "you, and this `/subscribe` completes itself.\n"
        "- **Set it up by hand**: you get an address and a secret to enter in Speckle, or to give "
        "to an owner of the project.\n"
        "Nothing was changed yet."
    )


def _why_link(outcome: NeedsAccount) -> str:
    server = outcome.server_url
    match outcome.why:
        case None:
            return f"You have no account of {server} linked."
        case EnsureProblem.TOKEN_REFUSED:
            return (
                f"{server} no longer takes the token of your linked account: it has to be linked "
                "again."
            )
        case EnsureProblem.UNCONFIRMED:
            return (
                "The bot's database was restored from a copy, so your linked account is not used "
                "before you confirm it: type `/account` and press *Use this account again*, or "
                "link it again."
            )
        case EnsureProblem.UNOPENABLE:
            return (
                "The bot's encryption keys no longer open your linked account: it has to be linked "
                "again. Tell the person who runs the bot, who may still have the old key."
            )
        case EnsureProblem.NO_SCOPE:
            return (
                f"Your linked account may not read projects on {server}: it has to be linked again "
                "with the scope `streams:read`."
            )
        case _:
            return (
                f"{server} did not answer as it should ({name_text(outcome.detail, MAX_DETAIL)})."
            )


def channels_text(channel_ids: Sequence[int]) -> str:
    """Some channels, and how many more."""
    named = ", ".join(f"<#{channel_id}>" for channel_id in channel_ids[:MAX_CHANNELS])
    more = len(channel_ids) - MAX_CHANNELS
    return f"{named} and {more} more" if more > 0 else named


NOT_SHOWN = "Nothing was changed."
NOT_COMPLETED = (
    "Your account is linked, but the `/subscribe` that waited for it did not work. Type it again; "
    "if it fails again, tell the person who runs the bot: the log has the details."
)
