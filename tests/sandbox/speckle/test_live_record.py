"""What a server remembers of those who listen is what happened, in few notes."""

from datetime import UTC, datetime, timedelta

from sandbox.speckle import LiveNoteKind
from sandbox.speckle.entities import ServerProject, User
from sandbox.speckle.live_record import MOST, LiveRecord
from sandbox.speckle.speckle_world import SpeckleWorld

AT = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)


class Watched:
    """A record with a clock of its own, a project and somebody who listens."""

    def __init__(self) -> None:
        self.at = AT
        self.record = LiveRecord(lambda: self.at)
        world = SpeckleWorld()
        self.maren: User = world.add_user("Maren Oduya")
        self.library: ServerProject = world.add_project("Library", owner=self.maren)

    def after(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def read(self, *entries: float) -> None:
        times = [AT + timedelta(seconds=one) for one in entries]
        self.record.read(self.library, self.maren, times)

    def rings(self, change: str) -> None:
        self.record.note(LiveNoteKind.RANG, self.library.id, self.maren, "versions", change)

    def notes(self) -> list[tuple[LiveNoteKind, int, int]]:
        return [(one.kind, one.new, one.times) for one in self.record.of(self.library)]


def test_what_one_look_asks_is_one_note_and_looks_in_vain_are_another() -> None:
    watched = Watched()
    watched.read(-100)  # what was there when it began is nothing new
    watched.after(10)
    watched.read(-100)
    watched.after(10)
    watched.read(-100, 19)
    watched.after(0.1)
    watched.read(19)  # the same once more, with all about it
    assert watched.notes() == [(LiveNoteKind.READ, 1, 1), (LiveNoteKind.READ, 0, 2)]
    watched.after(10)
    watched.read(19)
    assert watched.notes()[0] == (LiveNoteKind.READ, 0, 1)


def test_a_list_that_was_empty_has_something_new() -> None:
    watched = Watched()
    watched.read()
    watched.after(10)
    watched.read(9)
    assert watched.notes() == [(LiveNoteKind.READ, 1, 1), (LiveNoteKind.READ, 0, 1)]


def test_the_same_ring_again_is_counted_and_the_newest_is_first() -> None:
    watched = Watched()
    for _ in range(3):
        watched.rings("CREATED")
        watched.after(0.01)
    watched.rings("DELETED")
    assert watched.notes() == [(LiveNoteKind.RANG, 0, 1), (LiveNoteKind.RANG, 0, 3)]


def test_it_is_bounded() -> None:
    watched = Watched()
    for number in range(2 * MOST):
        watched.rings(str(number))
    assert len(watched.notes()) == MOST
    assert watched.record.written == 2 * MOST
