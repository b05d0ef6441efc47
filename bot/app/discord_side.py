"""The client with its cogs, and the services that they share with others."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bot.app.from_settings import retention_policy_of, shared_hook_of
from bot.app.speckle_side import SpeckleSide
from bot.app.timings import Timings
from bot.cogs.build import add_cogs
from bot.cogs.guilds.names import NameKeeper
from bot.discord_api.channel_audience import DiscordChannelAudience
from bot.discord_api.client import SpeckleBot
from bot.discord_api.rate_limits import RateLimiter
from bot.network import Network
from bot.notifiers.audit_poster import AuditPoster
from bot.notifiers.link_followups import LinkFollowUps
from bot.notifiers.pause_notifier import NotifierTimings, PauseNotifier
from bot.notifiers.quota_notifier import QuotaNotifier
from bot.notifiers.setup_reminder import SetupReminder
from bot.notifiers.webhook_reconciler import WebhookReconciler, describe_webhook
from bot.pipeline.access import AccessCheck
from bot.problems import NotReady
from bot.services.audit import AuditService
from bot.services.card_filters import CardFilters
from bot.services.consent_check import ConsentCheck
from bot.services.discord_names import DiscordNameService
from bot.services.doctor import DoctorService
from bot.services.event_log import EventLogService
from bot.services.former_addresses import FormerAddresses
from bot.services.guild_settings import GuildSettingsService
from bot.services.guild_status import GuildStatusService
from bot.services.guilds import GuildService
from bot.services.known_trouble import KnownTrouble
from bot.services.linking import AccountLinking, ResumePending
from bot.services.message_cards import MessageCards
from bot.services.pause_notices import PauseNoticeService
from bot.services.pending_commands import PendingCommandService
from bot.services.personal_data import PersonalDataService
from bot.services.public_access import PublicAccess
from bot.services.public_url import PublicUrlProbe
from bot.services.quotas import QuotaService
from bot.services.refused_deliveries import RefusedDeliveries
from bot.services.samples import SampleService
from bot.services.search import Search
from bot.services.subscriptions import SubscriptionService
from bot.services.waiting_setups import WaitingSetups
from bot.services.webhook_looks import WebhookLooks
from bot.services.webhook_page import WebhookPages
from bot.services.webhooks import WebhookService
from bot.settings import Settings
from bot.storage import Storage
from bot.supervisor import Worker
from bot.timing import utc_now


@dataclass(frozen=True, slots=True)
class DiscordSide:
    """The client with its cogs, and the services that they share with others."""

    bot: SpeckleBot
    guilds: GuildService
    webhooks: WebhookService
    linking: AccountLinking
    access: AccessCheck
    refused: RefusedDeliveries
    resume_pending: ResumePending

    def notifiers(
        self,
        storage: Storage,
        quotas: QuotaService,
        rate_limiter: RateLimiter,
        timings: NotifierTimings,
    ) -> Mapping[str, Worker]:
        """What notifies people of something that they did not ask for, and keeps names, by name."""
        bot, blocked_for_s = self.bot, rate_limiter.blocked_for_s
        notices = PauseNoticeService(storage, utc_now)
        reconciler = WebhookReconciler(bot, storage, self.webhooks)
        follow_ups = LinkFollowUps(bot, self.linking, self.resume_pending, reconciler.look_after)
        return {
            "pause_notifier": PauseNotifier(bot, notices, blocked_for_s, timings).run,
            "quota_notifier": QuotaNotifier(bot, quotas, blocked_for_s).run,
            "link_followups": follow_ups.run,
            "webhook_reconciler": reconciler.run,
            "discord_names": NameKeeper(bot, DiscordNameService(storage)).run,
            "audit_poster": AuditPoster(bot, storage, blocked_for_s).run,
            "setup_reminder": SetupReminder(
                bot, WaitingSetups(storage, utc_now), blocked_for_s
            ).run,
        }


async def build_discord_side(
    settings: Settings,
    storage: Storage,
    speckle: SpeckleSide,
    quotas: QuotaService,
    instance: str,
    rate_limiter: RateLimiter,
    network: Network,
    timings: Timings,
    *,
    not_ready: Callable[[], Awaitable[Sequence[NotReady]]],
    known_trouble: Callable[[], KnownTrouble],
    on_samples: Callable[[], None],
) -> DiscordSide:
    """Build the client, its services and its cogs; what is handed in is there when they work."""
    guilds = GuildService(storage, utc_now)
    bot = _client(storage, guilds, rate_limiter, network, timings)
    webhooks = WebhookService(
        storage,
        speckle.client,
        speckle.lender,
        PublicUrlProbe(settings.public_url, instance, network),
        describe_webhook=partial(describe_webhook, bot),
        now=utc_now,
    )
    linking = _linking(settings, storage, speckle, webhooks)
    pages = WebhookPages(speckle.client, asks=settings.speckle.enrich_deadline_s > 0)
    subscriptions = _subscriptions(settings, storage, speckle, quotas, webhooks, pages)
    watch = DiscordChannelAudience(bot, timings.access.member_known_s)
    access = AccessCheck(storage, speckle.client, speckle.lender, watch, utc_now, timings.access)
    webhook_looks = WebhookLooks(webhooks, speckle.lender, access.decide_and_record)
    event_log = EventLogService(
        storage,
        access.decide_and_record,
        webhook_looks,
        speckle_servers=settings.speckle_servers,
        now=utc_now,
    )
    pending_commands, refused = PendingCommandService(storage), RefusedDeliveries(utc_now)
    flow = await add_cogs(
        bot,
        subscriptions,
        pending_commands,
        guilds,
        GuildSettingsService(storage, quotas),
        speckle.lender,
        linking,
        PersonalDataService(storage, linking, retention_policy_of(settings.retention)),
        DoctorService(
            storage, subscriptions, webhooks, webhook_looks, pages, quotas, refused, not_ready
        ),
        SampleService(storage, subscriptions, on_samples),
        CardFilters(storage, MessageCards(storage), subscriptions, pending_commands),
        event_log,
        AuditService(storage, utc_now),
        GuildStatusService(storage, known_trouble, utc_now),
        guilds_known=bot.ready_once,
    )
    resume = flow.resume_after_link
    return DiscordSide(bot, guilds, webhooks, linking, access, refused, resume)


def _linking(
    settings: Settings, storage: Storage, speckle: SpeckleSide, webhooks: WebhookService
) -> AccountLinking:
    return AccountLinking(
        storage,
        speckle.client,
        speckle.sign_in,
        webhooks.remover.detach_account,
        speckle_servers=settings.speckle_servers,
        apps=settings.apps(),
        public_url=settings.public_url,
        now=utc_now,
    )


def _client(
    storage: Storage,
    guilds: GuildService,
    rate_limiter: RateLimiter,
    network: Network,
    timings: Timings,
) -> SpeckleBot:
    return SpeckleBot(
        rate_limiter,
        load=lambda key: storage.read(lambda tx: tx.key_values.get(key)),
        save=lambda key, value: storage.write(lambda tx: tx.key_values.set(key, value)),
        on_guilds=guilds.reconcile,
        timings=timings.connection,
        network=network,
    )


def _subscriptions(
    settings: Settings,
    storage: Storage,
    speckle: SpeckleSide,
    quotas: QuotaService,
    webhooks: WebhookService,
    pages: WebhookPages,
) -> SubscriptionService:
    shared = shared_hook_of(settings) is not None
    served = frozenset(settings.organisation.guilds) if shared else frozenset[int]()
    asks = settings.speckle.enrich_deadline_s > 0
    public_access = PublicAccess(speckle.client, asks=asks)
    consent_check = ConsentCheck(speckle.lender, webhooks, public_access)
    return SubscriptionService(
        storage,
        webhooks,
        Search(speckle.client, speckle.lender, now=utc_now, asks_public=asks),
        consent_check,
        quotas,
        pages,
        speckle.known_names,
        FormerAddresses(speckle.client, settings.speckle_servers, asks=asks),
        speckle_servers=settings.speckle_servers,
        public_url=settings.public_url,
        served_guilds=served,
        now=utc_now,
    )
