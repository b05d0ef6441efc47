"""What a server saw of those who listen: who began and ended, what rang, which lists were read."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sandbox.speckle.entities import ServerProject, User

MOST: Final = 400  # of all projects together
ONE_LOOK: Final = timedelta(seconds=1)  # somebody asks twice: what is new, and all about that


class LiveNoteKind(StrEnum):
    """What happened."""

    LISTENS = "listens"  # somebody's first subscription to a project
    ENDED = "ended"  # the last one
    RANG = "rang"
    LOST = "lost"  # a frame that was not sent
    READ = "read"


@dataclass(eq=False)
class LiveNote:
    """One thing that happened between a project and a person's account.

    `what` and `change` say what rang. Of lists, `new` is how many entries the person had not read
    before. The same again, or reading in vain again, changes `at` and `times`.
    """

    at: datetime
    project_id: str
    user: User
    kind: LiveNoteKind
    what: str = ""
    change: str = ""
    new: int = 0
    times: int = 1


class LiveRecord:
    """The last of these notes; `written` counts what was written into them."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._notes: deque[LiveNote] = deque(maxlen=MOST)
        self._last: dict[tuple[str, User], LiveNote] = {}
        self._newest: dict[tuple[str, User], datetime | None] = {}  # entry that somebody has read
        self.written = 0

    def of(self, project: ServerProject) -> Sequence[LiveNote]:
        """Those about a project, the newest first."""
        found = [one for one in reversed(self._notes) if one.project_id == project.id]
        return sorted(found, key=lambda one: one.at, reverse=True)

    def note(
        self, kind: LiveNoteKind, project_id: str, user: User, what: str = "", change: str = ""
    ) -> None:
        """Something happened just now."""
        last = self._last.get((project_id, user))
        if last is not None and (last.kind, last.what, last.change) == (kind, what, change):
            self._again(last)
        else:
            self._write(LiveNote(self._now(), project_id, user, kind, what, change))

    def read(self, project: ServerProject, user: User, times: Sequence[datetime]) -> None:
        """Somebody has read entries of these times."""
        key = project.id, user
        is_first, before = key not in self._newest, self._newest.get(key)
        new = 0 if is_first else sum(before is None or at > before for at in times)
        self._newest[key] = max([*times, *([before] if before else [])], default=None)
        last = self._last.get(key)
        if last is not None and last.kind is LiveNoteKind.READ:
            if self._now() - last.at < ONE_LOOK:
                last.new += new
                self.written += 1
                return
            if new == last.new == 0:
                self._again(last)
                return
        self._write(LiveNote(self._now(), project.id, user, LiveNoteKind.READ, new=new))

    def _again(self, last: LiveNote) -> None:
        last.at = self._now()
        last.times += 1
        self.written += 1

    def _write(self, note: LiveNote) -> None:
        self._notes.append(note)
        self._last[note.project_id, note.user] = note
        self.written += 1
