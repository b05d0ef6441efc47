"""What has to hold before a command may go on. Errors, of all of them: CommandRefused."""

from dataclasses import replace

from bot.services.places import NEEDED, Caller, Permission, Place
from bot.services.refusals import (
    CannotPost,
    CommandRefused,
    NotManager,
    Obstacle,
    RefusalReason,
    Retry,
)


def check_caller(caller: Caller, channel_id: int) -> None:
    """Refuse a caller who could not have made a webhook for that channel by hand."""
    if not caller.manages(channel_id):
        raise CommandRefused(NotManager(channel_id))


def check_guild_caller(caller: Caller) -> None:
    """Refuse a caller who may not decide for the whole server."""
    if not caller.manages_guild:
        raise CommandRefused(RefusalReason.NOT_GUILD_MANAGER)


def check_place(place: Place, retry: Retry) -> None:
    """Refuse a place where the bot could not show a card."""
    found = what_blocks(place)
    if found is not None:
        raise CommandRefused(replace(found, retry=retry))


def what_blocks(place: Place) -> CannotPost | None:
    """What keeps the bot from posting somewhere, the first thing to see to; None for nothing."""
    obstacle = _obstacle(place)
    if obstacle is None:
        return None
    missing = tuple(missing_in(place)) if obstacle is Obstacle.PERMISSIONS else ()
    return CannotPost(place.channel_id, place.kind, obstacle, missing, place.silenced_until)


def _obstacle(place: Place) -> Obstacle | None:
    if place.kind not in NEEDED:
        return Obstacle.WRONG_KIND
    if missing_in(place):
        return Obstacle.PERMISSIONS
    if not place.bot_in_thread and Permission.MANAGE_THREADS not in place.bot_can:
        return Obstacle.NOT_IN_THREAD
    if place.locked:
        return Obstacle.LOCKED
    if place.archived:
        return Obstacle.ARCHIVED
    return None if place.silenced_until is None else Obstacle.TIME_OUT


def missing_in(place: Place) -> list[Permission]:
    """What the bot needs there and has not; nothing for a kind that it cannot post in anyway."""
    return [needed for needed in NEEDED.get(place.kind, ()) if needed not in place.bot_can]
