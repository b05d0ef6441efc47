"""Why a command was refused, in words: what happened, why, and what to do next."""

from collections.abc import Mapping
from typing import assert_never

from bot.cards.text import escape_name, joined, moment_text, shorten_plain
from bot.cogs.option_texts import code, option_text
from bot.permissions import ChannelKind, ChannelPermission
from bot.services.refusals import (
    CannotPost,
    ChannelNotRead,
    ChannelNotSeen,
    Limited,
    NeedsOwnAccount,
    NoProjectCalled,
    NoProjectHere,
    NoRoom,
    NoSuchModel,
    NoSuchVersion,
    NotAProject,
    NotManager,
    NotOneProject,
    NotReadWhy,
    NoVersions,
    Obstacle,
    OwnAccountNotTaken,
    ProjectNotPublic,
    ProjectNotSeen,
    Refusal,
    RefusalReason,
    Retry,
    ServerNotAllowed,
)
from bot.speckle.subscription_options import OptionProblem

GUILD_OUT_OF_REACH = (
    "The bot does not reach that server at the moment, so nothing was changed. If it was "
    "removed from there, invite it again; otherwise try again in a minute."
)
REASONS: Mapping[RefusalReason, str] = {
    RefusalReason.NOT_SERVER_MANAGER: (
        "You need the permission *Manage Server* for this. Ask someone who manages this server."
    ),
    RefusalReason.NOT_AUDITOR: (
        "You need the permission *View Audit Log* or *Manage Server* for this. Ask someone who "
        "manages this server."
    ),
    RefusalReason.SUBSCRIPTION_GONE: (
        "That subscription no longer exists: someone removed it in the meantime. `/subscriptions` "
        "shows what is there now."
    ),
    RefusalReason.SECRET_OF_OTHERS: (
        "This webhook serves other channels, too, so its secret is shown only to members who have "
        "*Manage Webhooks* in all of them, or in the whole server. Ask one of them."
    ),
    RefusalReason.SECRET_UNOPENABLE: (
        "The secret of this project's webhook cannot be used: the bot's encryption keys can no "
        "longer decrypt it. Ask the person who runs the bot whether they still have the old key; "
        "if not, press *Set up again* under `/subscriptions`."
    ),
    RefusalReason.COMMAND_CLAIMED: "This is already in progress. Wait for its answer.",
    RefusalReason.COMMAND_OVER: (
        "That was more than 15 minutes ago, or it is already done, so the bot no longer has what "
        "you typed. Type `/subscribe` again."
    ),
    RefusalReason.COMMAND_OF_ANOTHER: (
        "Only the person who typed the command can continue it. Type `/subscribe` yourself."
    ),
    RefusalReason.NO_CARD: (
        "That message is no card of this bot, or the bot no longer has the event that it shows. "
        "`/subscriptions`, then *Edit*, changes what a channel shows."
    ),
    RefusalReason.TEST_CARD: (
        "That card is a test: it has no real author and no real model. Choose this in the menu of "
        "a real one."
    ),
    RefusalReason.NO_AUTHOR: (
        "That event does not say who did it, so there is nobody to mute. `/subscriptions`, then "
        "*Edit*, takes names of people to leave out."
    ),
    RefusalReason.NO_MODEL: (
        "That event is not about a model, or the bot no longer has what it was about. "
        "`/subscriptions`, then *Edit*, takes names of models."
    ),
    RefusalReason.TEST_TOO_SOON: (
        "This channel was tested less than a minute ago, and the bot tests a channel once a minute "
        "at most. Wait a moment, then use `/test` again."
    ),
    RefusalReason.TEST_TOO_OFTEN: (
        "This Discord server has tested its channels very often within the last hour. Wait some "
        "minutes, then use `/test` again."
    ),
    RefusalReason.TEST_WHILE_PAUSED: (
        "This channel is paused, so a test could not be shown. `/doctor` says why it is paused; "
        "press *Resume* there, then use `/test` again."
    ),
    RefusalReason.TEST_WHILE_HELD: (
        "Events of this channel are waiting until the bot can ask Speckle or Discord who may see "
        "them, and a test would come before them. Use `/test` again in some minutes; `/doctor` "
        "shows what is wrong."
    ),
    RefusalReason.COMPARING_ALREADY: (
        "The bot is comparing two pairs of versions for this Discord server already, and makes no "
        "more at once, because it costs the Speckle server work. Wait half a minute, then try "
        "again."
    ),
    RefusalReason.COMPARED_LATER: (
        "These versions are still being compared: the bot compares one pair at a time for each "
        "Speckle server, and others were before it. It continues without you. Try again in a "
        "minute; what is found is kept for 10 minutes."
    ),
    RefusalReason.SAME_VERSION: (
        "That is one and the same version, so there is nothing to compare. Choose another one as "
        "`a` or as `b`."
    ),
}
NOT_READ: Mapping[NotReadWhy, str] = {
    NotReadWhy.NO_HISTORY: (
        "you have no *Read Message History* there. Ask someone who manages this server for it."
    ),
    NotReadWhy.PAUSED: (
        "the channel is paused. Members with *Manage Webhooks* resume it in `/subscriptions`."
    ),
    NotReadWhy.NO_VERSIONS: (
        "it shows no versions. Members with *Manage Webhooks* change that in `/subscriptions`, "
        "with *Edit*."
    ),
    NotReadWhy.NO_ACCOUNT: (
        "nobody's account reads for the channel. Someone with *Manage Webhooks* who can see the "
        "project links theirs (`/link`) and uses `/subscribe` there."
    ),
    NotReadWhy.NO_ACCESS: (
        "the account that subscribed the channel may not see it any more, or not show it there. "
        "`/doctor` says more to members with *Manage Webhooks*."
    ),
    NotReadWhy.NOT_NOW: (
        "Speckle or Discord cannot be asked at the moment who may see it. Try again in a minute."
    ),
}
RETRIES: Mapping[Retry, str] = {
    Retry.SUBSCRIBE: "use `/subscribe` again",
    Retry.SETTINGS: "choose it in `/settings` again",
    Retry.RESUME: "press *Resume* again",
    Retry.TEST: "use `/test` again",
    Retry.BUTTON: "press the button again",
}
_POSTS = "holds posts rather than messages. Pick a post in it"
WRONG_KINDS: Mapping[ChannelKind, str] = {
    ChannelKind.FORUM: f"is a forum, which {_POSTS}",
    ChannelKind.MEDIA: f"is a media channel, which {_POSTS}",
    ChannelKind.CATEGORY: "is a category, which holds only channels. Pick a channel in it",
    ChannelKind.OTHER: "is a kind of channel that the bot cannot post in. Pick a text channel, a "
    "thread or a forum post",
    ChannelKind.GONE: "is gone, or the bot cannot see it. Give the bot *View Channel* there, or "
    "pick another channel",
}


GONE_WHILE_PAUSED = (
    "{where} is gone, or the bot cannot see it. If it still exists, give the bot *View Channel* "
    "there, {then} If it was deleted, use `/subscribe` in another channel, and remove this "
    "subscription with `/subscriptions`."
)


def refusal_text(refusal: Refusal) -> str:
    """What the caller reads."""
    match refusal:
        case RefusalReason():
            return REASONS[refusal]
        case ChannelNotSeen(channel_id):
            return (
                f"You cannot see <#{channel_id}>, so nothing of it is shown to you. Ask someone "
                "who manages this server to let you see it."
            )
        case NotManager(channel_id):
            return (
                f"You need the permissions *{ChannelPermission.VIEW_CHANNEL}* and "
                f"*{ChannelPermission.MANAGE_WEBHOOKS}* in <#{channel_id}> for this. Ask someone "
                "who manages this server."
            )
        case NotOneProject():
            return _not_one_project_text(refusal)
        case NotAProject(why):
            return (
                f"That is neither a project's id nor a Speckle link: {why}\nOpen the project in "
                "Speckle, copy the address from the browser and paste it instead."
            )
        case NoProjectCalled():
            return _no_project_called(refusal)
        case ServerNotAllowed(server_url, allowed):
            return (
                f"That link leads to {server_url}, and this bot works only with "
                f"{', '.join(allowed)}. Use a link to a project there, or ask the person who runs "
                "the bot to add the server to `SPECKLE_SERVERS`."
            )
        case OptionProblem():
            return option_text(refusal)
        case ProjectNotSeen() | ProjectNotPublic():
            return _project_text(refusal)
        case NoProjectHere() | NeedsOwnAccount() | OwnAccountNotTaken() | ChannelNotRead():
            return _reading_text(refusal)
        case NoSuchModel() | NoSuchVersion() | NoVersions():
            return _not_found_text(refusal)
        case NoRoom():
            return _no_room_text(refusal)
        case CannotPost():
            return cannot_post_text(refusal)
        case _:
            assert_never(refusal)


def _no_project_called(refusal: NoProjectCalled) -> str:
    name = code(refusal.name)
    if refusal.several:
        return (
            f"You can see several projects called {name}. Pick the one that you mean from the list "
            "that is offered while you type, or paste its address from the browser."
        )
    near = joined([code(one) for one in refusal.near])
    meant = f" Did you mean {near}?" if near else ""
    return (
        f"{name} is neither a project's id nor a Speckle link, and none of the projects that you "
        f"can see here has that name.{meant}\nOpen the project in Speckle, copy the address from "
        "the browser and paste it instead. With a linked account (`/link`) your own "
        "projects are found by their names."
    )


def _not_one_project_text(refusal: NotOneProject) -> str:
    where = f"<#{refusal.channel_id}>"
    if refusal.labels:
        labels = joined([f"**{escape_name(shorten_plain(one, 100))}**" for one in refusal.labels])
        return f"{where} follows {labels}. Choose one of them as `project`."
    which = "no such project" if refusal.named else "no Speckle project"
    return (
        f"{where} follows {which}. `/subscriptions` shows what is followed in this server, "
        "and `/subscribe` lets a channel follow a project."
    )


def _project_text(refusal: ProjectNotSeen | ProjectNotPublic) -> str:
    if isinstance(refusal, ProjectNotSeen) and refusal.here:
        return (
            f"Your linked account cannot see that project on {refusal.server_url}, or it is not "
            "there any more, so the channel stays paused. If it was deleted, use `/unsubscribe` "
            "there. Otherwise ask an owner of the project to invite you, then try again, or have "
            "someone who can see it press *Resume*. `/account` shows which account is linked."
        )
    if isinstance(refusal, ProjectNotSeen):
        return (
            f"There is no such project on {refusal.server_url}, or your linked account cannot see "
            "it. Compare the address with the one in your browser; if it is right, ask an owner of "
            "the project to invite you, then try again. `/account` shows which account is linked."
        )
    return (
        f"That project does not seem to be public on {refusal.server_url}. Someone who can see it "
        "must show it here. Type `/link` to link your Speckle account and then `/subscribe` again, "
        "or ask a member with *Manage Webhooks* in the whole server to use `/subscribe`. Nothing "
        "was changed."
    )


def _reading_text(
    refusal: NoProjectHere | NeedsOwnAccount | OwnAccountNotTaken | ChannelNotRead,
) -> str:
    """Why nobody reads the project for an answer."""
    match refusal:
        case NoProjectHere(channel_id):
            return (
                f"<#{channel_id}> follows no Speckle project, so it is not clear which one you "
                "mean. Name it as `project`: paste its address from the browser, or pick one of "
                "your own if you have linked an account (`/link`)."
            )
        case NeedsOwnAccount(server_url):
            return (
                f"That project is not public on {server_url}, or not there, and this channel does "
                "not follow it, so it can only be read with your own Speckle account. You have "
                "linked none there. Type `/link`, then use the command again."
            )
        case OwnAccountNotTaken(server_url):
            return (
                f"Your linked account on {server_url} cannot be used at the moment, and the "
                "project is read with nobody else's here. `/account` says what is wrong; "
                "`/link` links it again. Then use the command again."
            )
        case ChannelNotRead(channel_id, why):
            return (
                f"Nothing of that project is read for you in <#{channel_id}>: {NOT_READ[why]} If "
                "you can see the project in Speckle, type `/link`: then your own account reads it "
                "for you."
            )


def _not_found_text(refusal: NoSuchModel | NoSuchVersion | NoVersions) -> str:
    """What was typed leads to nothing that may be shown."""
    match refusal:
        case NoSuchModel(name, near):
            meant = f" Did you mean {' or '.join(map(code, near))}?" if near else ""
            return (
                f"The project has no model {code(name)}, or neither this channel nor your own "
                f"account shows it.{meant} Pick one from the list that is offered while you type, "
                "or paste the model's address from the browser."
            )
        case NoSuchVersion(name, several):
            found = (
                f"{code(name)} is said of several of the newest versions."
                if several
                else f"There is no version {code(name)} in that project, or neither this channel "
                "nor your own account shows it."
            )
            return (
                f"{found} Pick one from the list that is offered while you type, or paste the "
                "version's address from the browser."
            )
        case NoVersions():
            return (
                "There is no version yet, or none that this channel shows. Publish one from your "
                "design software; it is here at once."
            )


def _no_room_text(refusal: NoRoom) -> str:
    has = f"it has {refusal.used} of {refusal.limit}. Nothing was changed."
    if refusal.of is Limited.HOOKS:
        return (
            f"This server cannot have another webhook or live project: {has} Remove one that is no "
            "longer needed: `/subscriptions` lists what is followed, and each ends with its last "
            "channel. Or ask the person who runs this bot to allow more (`hooks` in its settings)."
        )
    return (
        f"This server cannot have another subscription: {has} Remove one that is no longer needed "
        "with `/unsubscribe` or in `/subscriptions`, or ask the person who runs this bot to allow "
        "more (`subscriptions` in its settings)."
    )


def _resumes(refusal: CannotPost) -> bool:
    """Whether a subscription exists there already, so that no other channel can be picked."""
    return refusal.retry in (None, Retry.RESUME, Retry.BUTTON)


def cannot_post_text(refusal: CannotPost) -> str:
    """What keeps the bot from posting somewhere, and how to change that."""
    where = f"<#{refusal.channel_id}>"
    then = f"then {RETRIES[refusal.retry] if refusal.retry else 'press *Resume*'}."
    match refusal.obstacle:
        case Obstacle.WRONG_KIND if refusal.kind is ChannelKind.GONE and _resumes(refusal):
            return GONE_WHILE_PAUSED.format(where=where, then=then)
        case Obstacle.WRONG_KIND:
            return f"{where} {WRONG_KINDS[refusal.kind]}, {then}"
        case Obstacle.PERMISSIONS:
            names = "\n".join(f"- {permission}" for permission in refusal.missing)
            in_thread = refusal.kind is ChannelKind.THREAD
            return (
                f"The bot could not show events in {where}, because it lacks these permissions "
                f"there:\n{names}\n"
                f"Open the settings of {'its parent channel' if in_thread else 'the channel'} "
                f"(*Edit Channel → Permissions*), add the bot's role and allow these, {then}"
            )
        case Obstacle.NOT_IN_THREAD:
            return (
                f"{where} is a private thread and the bot is not in it. Mention the bot there, "
                f"which adds it, {then}"
            )
        case Obstacle.LOCKED:
            return f"The thread {where} is locked. Unlock it first, {then}"
        case Obstacle.ARCHIVED:
            return (
                f"The thread {where} is archived. Open it again by writing something in it, {then}"
            )
        case Obstacle.TIME_OUT:
            until = "" if refusal.until is None else moment_text(refusal.until, "f")
            return (
                f"A moderator put the bot in time-out until {until}, so it cannot post in {where}. "
                f"Ask someone who can moderate members to end that, or wait, {then}"
            )
