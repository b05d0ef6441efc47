"""The leave to read from a project; made by `bot.services.access_rules` alone, which import-linter
holds.

Others name the type for annotations only, under `TYPE_CHECKING`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadPermit:
    """Leave to read one project for one subscription, as somebody who may.

    With `account_id` it is the account of the person who subscribed the channel; `as_operator`
    reads with the operator's own token; with neither it reads without a token, what is everybody's.
    """

    subscription_id: int
    server_url: str
    project_id: str
    account_id: int | None = None
    as_operator: bool = False

    @property
    def reader(self) -> tuple[int | None, bool]:
        """Who reads: what one reader received may be shown in all its subscriptions."""
        return self.account_id, self.as_operator

    @property
    def is_anonymous(self) -> bool:
        """Whether it reads without a token, so that nothing it brings is anybody's secret."""
        return self.account_id is None and not self.as_operator
