"""What accounts call the models and people of projects that they may see."""

from datetime import datetime

from sqlalchemy import delete, exists, select

from bot.db.session import Session
from bot.db.tables import accounts, hooks, project_names, subscriptions
from bot.speckle.events import ProjectNames


class ProjectNamesRepository:
    """Names that one account read. Nobody gets them but who may read with that account."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, account_id: int, project_id: str) -> tuple[ProjectNames, datetime] | None:
        """The names that the account read last, and when."""
        row = self._session.execute(
            select(project_names.c.names, project_names.c.read_at).where(
                project_names.c.account_id == account_id, project_names.c.project_id == project_id
            )
        ).one_or_none()
        if row is None:
            return None
        names = ProjectNames(row[0]["models"], row[0]["people"], row[0]["complete"])
        return names, row[1]

    def put(
        self, account_id: int, project_id: str, names: ProjectNames, asked_at: datetime
    ) -> None:
        """Keep what the account read, as long as one of its channels follows the project.

        Not what it read before it was linked again, perhaps as somebody else.
        """
        follows = exists().where(
            subscriptions.c.account_id == account_id,
            subscriptions.c.hook_id == hooks.c.id,
            hooks.c.project_id == project_id,
        )
        this = (accounts.c.id == account_id, accounts.c.linked_at <= asked_at)
        there = select(accounts.c.id).where(*this, follows)
        if self._session.scalar(there.with_for_update(key_share=True)) is None:
            return
        kept = {
            "models": dict(names.models),
            "people": dict(names.people),
            "complete": names.complete,
        }
        values = {"names": kept, "read_at": asked_at}
        statement = self._session.insert(project_names).values(
            account_id=account_id, project_id=project_id, **values
        )
        keys = [project_names.c.account_id, project_names.c.project_id]
        self._session.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))

    def delete(self, account_id: int, project_id: str) -> None:
        """Forget what an account read of a project."""
        this = (
            project_names.c.account_id == account_id,
            project_names.c.project_id == project_id,
        )
        self._session.execute(delete(project_names).where(*this))
