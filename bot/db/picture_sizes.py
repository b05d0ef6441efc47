"""How large the pictures of cards are, asked before they are read."""

from collections.abc import Sequence

from sqlalchemy import func, select

from bot.db.session import Session
from bot.db.tables import outbox_pictures, pictures


def light_enough(session: Session, outbox_ids: Sequence[int], max_bytes: int) -> int:
    """How many of these cards, the first ones, may be read together; a picture counts once."""
    statement = (
        select(outbox_pictures.c.outbox_id, pictures.c.digest, func.length(pictures.c.content))
        .join(pictures)
        .where(outbox_pictures.c.outbox_id.in_(outbox_ids))
    )
    sizes: dict[int, dict[str, int]] = {}
    for outbox_id, digest, size in session.execute(statement):
        sizes.setdefault(outbox_id, {})[digest] = size
    together: dict[str, int] = {}
    for count, outbox_id in enumerate(outbox_ids):
        together |= sizes.get(outbox_id, {})
        if sum(together.values()) > max_bytes:
            return max(1, count)
    return len(outbox_ids)
