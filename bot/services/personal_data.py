"""What is stored about a person, for them to see and to erase."""

from dataclasses import dataclass

from bot.database_content import RetentionPolicy
from bot.model import Account, Dependents
from bot.services.linking import AccountLinking
from bot.storage import Storage, Transaction


@dataclass(frozen=True, slots=True)
class PersonalData:
    """What is stored about a person: their accounts with what depends on them, and other traces.

    `unfinished` counts requests to link and pending commands, `changes` rows of the audit log,
    `audit_channels` those that they chose; `answers` are to who sees a project, given by them or
    naming them; `paused` are subscriptions.
    """

    accounts: tuple[tuple[Account, Dependents], ...]
    unfinished: int
    notices: int
    hooks: int
    subscriptions: int
    changes: int = 0
    audit_channels: int = 0
    answers: int = 0
    paused: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether nothing at all is stored."""
        traces = (
            self.unfinished,
            self.notices,
            self.hooks,
            self.subscriptions,
            self.changes,
            self.audit_channels,
            self.answers,
            self.paused,
        )
        return not self.accounts and not any(traces)


class PersonalDataService:
    """Shows and erases what is stored about a person; `retention` is how long events are kept."""

    def __init__(
        self, storage: Storage, linking: AccountLinking, retention: RetentionPolicy
    ) -> None:
        self._storage = storage
        self._linking = linking
        self.retention = retention

    async def of_user(self, discord_user_id: int) -> PersonalData:
        """What is stored about a person."""

        def read(tx: Transaction) -> PersonalData:
            accounts = tx.accounts.all_of_user(discord_user_id)
            traces = tx.personal_traces.count(discord_user_id)
            return PersonalData(
                accounts=tuple([(one, tx.accounts.dependents(one.id)) for one in accounts]),
                unfinished=traces["link_requests"] + traces["pending_commands"],
                notices=traces["notices"],
                hooks=traces["hooks"],
                subscriptions=traces["subscriptions"],
                changes=traces["audit_log"],
                audit_channels=traces["audit_channels"],
                answers=traces["answers"],
                paused=traces["paused"],
            )

        return await self._storage.read(read)

    async def erase(self, discord_user_id: int) -> bool:
        """Forget all that is stored about a person; False as for `AccountLinking.unlink`."""
        accounts = await self._storage.read(lambda tx: tx.accounts.all_of_user(discord_user_id))
        tidy = [await self._linking.unlink(one) for one in accounts]
        await self._storage.erase_traces(discord_user_id)
        return all(tidy)
