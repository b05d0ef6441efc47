"""The client with its cogs, and the services that they share with others."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bot.app.base import Base
from bot.app.from_settings import retention_policy_of, shared_hook_of
from bot.app.speckle_side import SpeckleSide
from bot.cogs.build import add_cogs
from bot.cogs.guilds.names import NameKeeper
from bot.discord_api.channel_audience import DiscordChannelAudience
from bot.discord_api.client import SpeckleBot
from bot.notifiers.audit_poster import AuditPoster
from bot.notifiers.link_followups import LinkFollowUps
from bot.notifiers.pause_notifier import PauseNotifier
from bot.notifiers.quota_notifier import QuotaNotifier
from bot.notifiers.setup_reminder import SetupReminder
from bot.notifiers.webhook_reconciler import WebhookReconciler, describe_webhook
from bot.pipeline.access import AccessCheck
from bot.pipeline.listening.worker import Listener
from bot.problems import NotReady
from bot.services.access_rules import LiveFor
from bot.services.audit import AuditService
from bot.services.card_filters import CardFilters
from bot.services.comparing import Comparing
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
from bot.services.listening import ListeningStart
from bot.services.message_cards import MessageCards
from bot.services.pause_notices import PauseNoticeService
from bot.services.pending_commands import PendingCommandService
from bot.services.personal_data import PersonalDataService
from bot.services.project_input import ProjectInput
from bot.services.project_reading import ProjectReading
from bot.services.public_access import PublicAccess
from bot.services.public_url import PublicUrlProbe
from bot.services.refused_deliveries import RefusedDeliveries
from bot.services.samples import SampleService
from bot.services.search import Search
from bot.services.subscriptions import SubscriptionService
from bot.services.version_comparison import VersionComparison
from bot.services.version_lookup import VersionLookup
from bot.services.waiting_setups import WaitingSetups
from bot.services.webhook_looks import WebhookLooks
from bot.services.webhook_page import WebhookPages
from bot.services.webhooks import WebhookService
from bot.supervisor import Worker


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

    def notifiers(self, base: Base) -> Mapping[str, Worker]:
        """What notifies people of something that they did not ask for, and keeps names, by name."""
        bot, blocked_for_s = self.bot, base.rate_limiter.blocked_for_s
        notices = PauseNoticeService(base.storage, base.now)
        reconciler = WebhookReconciler(bot, base.storage, self.webhooks)
        timings = base.timings.notifier
        follow_ups = LinkFollowUps(
            bot, self.linking, self.resume_pending, reconciler.look_after, timings.poll_s
        )
        return {
            "pause_notifier": PauseNotifier(bot, notices, blocked_for_s, timings).run,
            "quota_notifier": QuotaNotifier(bot, base.quotas, blocked_for_s, timings.poll_s).run,
            "link_followups": follow_ups.run,
            "webhook_reconciler": reconciler.run,
            "discord_names": NameKeeper(bot, DiscordNameService(base.storage)).run,
            "audit_poster": AuditPoster(bot, base.storage, blocked_for_s, timings.poll_s).run,
            "setup_reminder": SetupReminder(
                bot, WaitingSetups(base.storage, base.now), blocked_for_s
            ).run,
        }


async def build_discord_side(
    base: Base,
    speckle: SpeckleSide,
    *,
    not_ready: Callable[[], Awaitable[Sequence[NotReady]]],
    known_trouble: Callable[[], KnownTrouble],
    on_samples: Callable[[], None],
    listener: Callable[[], Listener],
) -> DiscordSide:
    """Build the client, its services and its cogs; what is handed in is there when they work."""
    settings, storage, now = base.settings, base.storage, base.now
    guilds = GuildService(storage, now)
    bot = _client(base, guilds)
    webhooks = _webhooks(base, speckle, bot)
    linking = _linking(base, speckle, webhooks)
    asks = settings.speckle.enrich_deadline_s > 0
    pages = WebhookPages(speckle.client, asks=asks)
    search = Search(speckle.client, speckle.lender, now=now, asks_public=asks)
    former = FormerAddresses(speckle.client, settings.speckle_servers, asks=asks)
    subscriptions = _subscriptions(
        base, speckle, webhooks, pages, search, former, _listening(base, speckle, listener)
    )
    watch = DiscordChannelAudience(bot, base.timings.access.member_known_s)
    access = _access(base, speckle, watch)
    webhook_looks = WebhookLooks(webhooks, speckle.lender, access.decide_and_record)
    event_log = _event_log(base, access, webhook_looks)
    pending_commands, refused = PendingCommandService(storage), RefusedDeliveries(now)
    flow = await add_cogs(
        bot,
        subscriptions,
        pending_commands,
        guilds,
        GuildSettingsService(storage, base.quotas),
        speckle.lender,
        linking,
        PersonalDataService(storage, linking, retention_policy_of(settings.retention)),
        DoctorService(
            storage,
            subscriptions,
            webhooks,
            webhook_looks,
            pages,
            base.quotas,
            refused,
            not_ready,
        ),
        SampleService(storage, subscriptions, on_samples),
        CardFilters(storage, MessageCards(storage), subscriptions, pending_commands),
        event_log,
        AuditService(storage, now),
        GuildStatusService(storage, known_trouble, now),
        *_versions(base, speckle, search, former, access),
        guilds_known=bot.ready_once,
        contact=settings.operator.contact,
    )
    resume = flow.resume_after_link
    return DiscordSide(bot, guilds, webhooks, linking, access, refused, resume)


def _access(base: Base, speckle: SpeckleSide, watch: DiscordChannelAudience) -> AccessCheck:
    return AccessCheck(
        base.storage,
        speckle.client,
        speckle.lender,
        watch,
        base.now,
        base.timings.access,
        LiveFor(base.settings.live.who),
    )


def _listening(
    base: Base, speckle: SpeckleSide, listener: Callable[[], Listener]
) -> ListeningStart:
    return ListeningStart(
        base.storage,
        speckle.client,
        speckle.lender,
        on_changed=lambda: listener().changed(),
        read=lambda hook: listener().read(hook),
        sure_now=base.rate_limiter.discord_time.sure_now,
    )


def _event_log(base: Base, access: AccessCheck, looks: WebhookLooks) -> EventLogService:
    return EventLogService(
        base.storage,
        access.decide_and_record,
        looks,
        speckle_servers=base.settings.speckle_servers,
        has_public_url=base.settings.public_url is not None,
        now=base.now,
    )


def _webhooks(base: Base, speckle: SpeckleSide, bot: SpeckleBot) -> WebhookService:
    return WebhookService(
        base.storage,
        speckle.client,
        speckle.lender,
        PublicUrlProbe(base.settings.public_url, base.instance, base.network),
        describe_webhook=partial(describe_webhook, bot),
        now=base.now,
    )


def _versions(
    base: Base,
    speckle: SpeckleSide,
    search: Search,
    former: FormerAddresses,
    access: AccessCheck,
) -> tuple[VersionLookup, VersionComparison]:
    servers = base.settings.speckle_servers
    reading = ProjectReading(
        base.storage,
        speckle.lender,
        search,
        ProjectInput(search, former, servers),
        access.decide_and_record,
        servers=servers,
        asks_public=base.settings.speckle.enrich_deadline_s > 0,
    )
    client, pictures = speckle.client, speckle.version_pictures
    comparing = Comparing(reading, speckle.comparisons)
    lookup = VersionLookup(reading, client, speckle.counts, pictures, comparing, now=base.now)
    return lookup, VersionComparison(reading, lookup, client, pictures, comparing)


def _linking(base: Base, speckle: SpeckleSide, webhooks: WebhookService) -> AccountLinking:
    return AccountLinking(
        base.storage,
        speckle.client,
        speckle.sign_in,
        webhooks.remover.detach_account,
        speckle_servers=base.settings.speckle_servers,
        apps=base.settings.apps(),
        public_url=base.settings.public_url,
        now=base.now,
    )


def _client(base: Base, guilds: GuildService) -> SpeckleBot:
    return SpeckleBot(
        base.rate_limiter,
        load=lambda key: base.storage.read(lambda tx: tx.key_values.get(key)),
        save=lambda key, value: base.storage.write(lambda tx: tx.key_values.set(key, value)),
        on_guilds=guilds.reconcile,
        timings=base.timings.connection,
        network=base.network,
    )


def _subscriptions(
    base: Base,
    speckle: SpeckleSide,
    webhooks: WebhookService,
    pages: WebhookPages,
    search: Search,
    former: FormerAddresses,
    listening: ListeningStart,
) -> SubscriptionService:
    shared = shared_hook_of(base.settings) is not None
    served = frozenset(base.settings.organisation.guilds) if shared else frozenset[int]()
    asks = base.settings.speckle.enrich_deadline_s > 0
    public_access = PublicAccess(speckle.client, asks=asks)
    consent_check = ConsentCheck(speckle.lender, webhooks, public_access)
    return SubscriptionService(
        base.storage,
        webhooks,
        search,
        consent_check,
        base.quotas,
        pages,
        speckle.known_names,
        former,
        speckle_servers=base.settings.speckle_servers,
        public_url=base.settings.public_url,
        served_guilds=served,
        live_for=LiveFor(base.settings.live.who),
        listening=listening,
        now=base.now,
    )
