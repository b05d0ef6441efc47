"""What must be true before a command may continue. Errors, of all of them: CommandRefused."""

from dataclasses import replace

from bot.permissions import Actor, ChannelKind, ChannelPermission, TargetChannel
from bot.services.refusals import (
    CannotPost,
    CommandRefused,
    NotManager,
    Obstacle,
    RefusalReason,
    Retry,
)

_IN_ALL_CHANNELS = (
    ChannelPermission.EMBED_LINKS,
    ChannelPermission.ATTACH_FILES,
    ChannelPermission.READ_HISTORY,
)
NEEDED = {
    ChannelKind.TEXT: (
        ChannelPermission.VIEW_CHANNEL,
        ChannelPermission.SEND_MESSAGES,
        *_IN_ALL_CHANNELS,
    ),
    ChannelKind.ANNOUNCEMENT: (
        ChannelPermission.VIEW_CHANNEL,
        ChannelPermission.SEND_MESSAGES,
        *_IN_ALL_CHANNELS,
    ),
    # SEND_MESSAGES does not count inside threads.
    ChannelKind.THREAD: (
        ChannelPermission.VIEW_CHANNEL,
        ChannelPermission.SEND_IN_THREADS,
        *_IN_ALL_CHANNELS,
    ),
    # Discord opens the chat of a voice channel only to those who may also connect to it.
    ChannelKind.VOICE: (
        ChannelPermission.VIEW_CHANNEL,
        ChannelPermission.CONNECT,
        ChannelPermission.SEND_MESSAGES,
        *_IN_ALL_CHANNELS,
    ),
    ChannelKind.STAGE: (
        ChannelPermission.VIEW_CHANNEL,
        ChannelPermission.CONNECT,
        ChannelPermission.SEND_MESSAGES,
        *_IN_ALL_CHANNELS,
    ),
}
"""What the bot needs to post cards with pictures, by kind of channel."""


def require_manager(actor: Actor, channel_id: int) -> None:
    """Refuse a caller who could not have made a webhook for that channel by hand."""
    if not actor.manages(channel_id):
        raise CommandRefused(NotManager(channel_id))


def require_server_manager(actor: Actor) -> None:
    """Refuse a caller who may not change what holds for the whole server."""
    if not actor.manages_server:
        raise CommandRefused(RefusalReason.NOT_SERVER_MANAGER)


def require_posting(target: TargetChannel, retry: Retry) -> None:
    """Refuse a place where the bot could not show a card."""
    found = what_blocks(target)
    if found is not None:
        raise CommandRefused(replace(found, retry=retry))


def what_blocks(target: TargetChannel) -> CannotPost | None:
    """What keeps the bot from posting somewhere, the first thing to see to; None for nothing."""
    obstacle = _obstacle(target)
    if obstacle is None:
        return None
    missing = tuple(missing_permissions(target)) if obstacle is Obstacle.PERMISSIONS else ()
    return CannotPost(target.channel_id, target.kind, obstacle, missing, target.silenced_until)


def _obstacle(target: TargetChannel) -> Obstacle | None:
    if target.kind not in NEEDED:
        return Obstacle.WRONG_KIND
    if missing_permissions(target):
        return Obstacle.PERMISSIONS
    if not target.bot_in_thread and ChannelPermission.MANAGE_THREADS not in target.bot_can:
        return Obstacle.NOT_IN_THREAD
    if target.locked:
        return Obstacle.LOCKED
    if target.archived:
        return Obstacle.ARCHIVED
    return None if target.silenced_until is None else Obstacle.TIME_OUT


def missing_permissions(target: TargetChannel) -> list[ChannelPermission]:
    """What the bot needs there and has not; nothing for a kind that it cannot post in anyway."""
    return [needed for needed in NEEDED.get(target.kind, ()) if needed not in target.bot_can]
