"""Parts of the statements by which workers look for what is due.

Every idle process asks these every few seconds. So each is built once: that takes longer than to
carry it out.
"""

from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, func, select

from bot.db.column_types import UtcDateTime

NOW = bindparam("now", type_=UtcDateTime())
BUSY: BindParameter[Any] = bindparam("busy", expanding=True)
"""The ordering keys that are worked on, and so left out."""
LIMIT: BindParameter[int] = bindparam("limit")


def first_of_each(query: Select[Any], tenant: Any, *order_by: Any) -> Select[Any]:
    """The first `LIMIT` rows of each tenant, in this order; of a query that has no order yet."""
    place = func.row_number().over(partition_by=tenant, order_by=order_by).label("place")
    found = query.add_columns(place).subquery()
    columns = [column for column in found.c if column.name != "place"]
    return select(*columns).where(found.c.place <= LIMIT).order_by(found.c.place)
