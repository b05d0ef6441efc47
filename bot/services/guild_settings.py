"""What a Discord server sets for itself: two channels, and what new subscriptions start with."""

from dataclasses import dataclass

from bot.audit import AuditChannel, by_person
from bot.permissions import Actor, TargetChannel
from bot.services.channel_rules import require_posting, require_server_manager
from bot.services.options_form import OptionsForm, changed_options, options_form
from bot.services.quotas import QuotaService, Usage
from bot.services.refusals import ChannelNotSeen, CommandRefused, Retry
from bot.speckle.events import ProjectNames
from bot.speckle.subscription_options import OptionError, SubscriptionOptions, TypedOptions
from bot.storage import Storage, Transaction


@dataclass(frozen=True, slots=True)
class GuildSettings:
    """All of them. None: notices go out as direct messages, changes are posted nowhere.

    `usage` is what the server uses of its quotas, None if it has none.
    """

    notice_channel_id: int | None
    audit_channel: AuditChannel | None
    default_options: SubscriptionOptions
    usage: Usage | None


class GuildSettingsService:
    """Reads and changes a server's settings, for those who manage it. Errors: CommandRefused."""

    def __init__(self, storage: Storage, quotas: QuotaService) -> None:
        self._storage = storage
        self._quotas = quotas

    async def settings(self, guild_id: int, actor: Actor) -> GuildSettings:
        """What is set."""
        require_server_manager(actor)
        usage = await self._quotas.usage(guild_id)

        def read(tx: Transaction) -> GuildSettings:
            guild = tx.guilds.get(guild_id)
            return GuildSettings(
                None if guild is None else guild.notice_channel_id,
                tx.audit_channels.get(guild_id),
                _defaults(tx, guild_id),
                usage,
            )

        return await self._storage.read(read)

    async def choose_notice_channel(
        self, guild_id: int, actor: Actor, target: TargetChannel | None
    ) -> None:
        """Send notices of what is paused to this channel from now on; None: in direct messages."""
        channel_id = _chosen(actor, target)
        await self._storage.write(
            lambda tx: tx.guilds.set_notice_channel(guild_id, channel_id), by=by_person(actor.id)
        )

    async def choose_audit_channel(
        self, guild_id: int, actor: Actor, target: TargetChannel | None
    ) -> None:
        """Post what is changed in this channel from now on; None: nowhere."""
        channel_id = _chosen(actor, target)
        await self._storage.write(
            lambda tx: tx.audit_channels.choose(guild_id, channel_id, actor.id),
            by=by_person(actor.id),
        )

    async def form(
        self, guild_id: int, actor: Actor, typed: TypedOptions | None = None
    ) -> OptionsForm:
        """The form of the default filters, or the one again that was refused as `typed`."""
        require_server_manager(actor)
        options = await self._storage.read(lambda tx: _defaults(tx, guild_id))
        return options_form(options, ProjectNames(), typed)

    async def set_default_options(
        self, guild_id: int, actor: Actor, typed: TypedOptions | None
    ) -> None:
        """Let new subscriptions start with what the form says; None: with all events."""
        require_server_manager(actor)

        def write(tx: Transaction) -> None:
            options = SubscriptionOptions()
            if typed is not None:
                now = _defaults(tx, guild_id)
                options = now.changed_by(changed_options(typed, now))
            kept = None if options == SubscriptionOptions() else options
            tx.guilds.set_default_options(guild_id, kept)

        try:
            await self._storage.write(write, by=by_person(actor.id))
        except OptionError as error:
            raise CommandRefused(error.problem) from error


def _defaults(tx: Transaction, guild_id: int) -> SubscriptionOptions:
    guild = tx.guilds.get(guild_id)
    return (None if guild is None else guild.default_options) or SubscriptionOptions()


def _chosen(actor: Actor, target: TargetChannel | None) -> int | None:
    require_server_manager(actor)
    if target is None:
        return None
    if not actor.sees(target.channel_id):
        raise CommandRefused(ChannelNotSeen(target.channel_id))
    require_posting(target, Retry.SETTINGS)
    return target.channel_id
