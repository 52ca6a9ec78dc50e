"""Reads namespaces beside the UI: who is where with every frame, the full search and the content more seldom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic

from textual.message import Message
from textual.message_pump import MessagePump

from nsview.host.columns.namespaces import rows_of
from nsview.host.namespaces import Discovery, Namespace, namespaces_of, search
from nsview.host.namespaces.names import named
from nsview.host.snapshot import ProcessRecord, Snapshot
from nsview.host.tree import ProcessTree
from nsview.tui.collecting.lane import Lane
from nsview.tui.namespaces.about import about
from nsview.tui.namespaces.arranging import Line, View, arranged, counts
from nsview.tui.namespaces.detail import FEW, Detail, detail_of, is_whole, table_of
from nsview.tui.namespaces.merging import merged
from nsview.wording.inside.mount_changes import SCREEN_READERS
from nsview.wording.inside.reading import inside
from nsview.wording.inside.section import Inside, Section
from nsview.wording.namespace import keepers, members
from spawner.namespaces import KINDS

SEARCH_EVERY, READ_EVERY = 15.0, 4.0
"""Seconds from one search to the next, and from one look inside the namespace that is shown to the next."""
SHARE = 0.1
"""Of the time, at most, either may take: where one takes long, the next is later."""

MEMBERS, KEEPERS = "processes inside", "kept alive by"

_Key = tuple[int, int | None]
"""The inode, which is used again, and the id, which is not."""


def _inside(namespace: Namespace, snapshot: Snapshot, found: Mapping[int, Namespace]) -> Inside | None:
    return inside(namespace, snapshot, found, SCREEN_READERS)


@dataclass(frozen=True, slots=True)
class Sources:
    """What is asked: the machine, unless told otherwise. ``clock`` tells monotonic seconds."""

    members: Callable[[Snapshot, ProcessTree, Mapping[int, Namespace]], dict[int, Namespace]] = namespaces_of
    search: Callable[[Snapshot], Discovery] = search
    name: Callable[[Mapping[int, Namespace], Mapping[int, ProcessRecord]], dict[int, Namespace]] = named
    read: Callable[[Namespace, Snapshot, Mapping[int, Namespace]], Inside | None] = _inside
    clock: Callable[[], float] = monotonic


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person looks at: the list in some view, and the inside of a namespace, if any (its inode).

    ``unfolded`` are titles of sections of which all rows are wanted; ``room`` is the width for notes, in cells.
    """

    view: View = field(default_factory=View)
    subject: int | None = None
    unfolded: frozenset[str] = frozenset()
    room: int = 76


@dataclass(frozen=True, slots=True)
class Searched:
    """The last full search: what it gave, when it ended (monotonic seconds) and how long it took."""

    discovery: Discovery
    ended: float
    took: float


@dataclass(frozen=True, slots=True)
class Picture:
    """All there is to show for a wish. ``namespace`` is the subject, as last seen if it is gone; ``detail`` its lines,
    of which those of the content are missing until ``content`` is true. ``unknown`` is how many processes may be in
    it or not: the kernel does not tell us.
    """

    wish: Wish
    snapshot: Snapshot
    found: Mapping[int, Namespace]
    lines: tuple[Line, ...]
    counts: Counter[str]
    namespace: Namespace | None
    detail: Detail
    unknown: int
    content: bool
    searched: Searched | None


@dataclass(frozen=True, slots=True)
class _Content:
    """The content of a namespace, worded."""

    key: _Key
    sections: tuple[Section, ...]
    ended: float
    took: float


class NamespaceReader:
    """Three lanes: the picture is arranged when there is a new frame or wish; the search; the content.

    ``target`` is sent :class:`Arrived`, :class:`Working` and :class:`Failed`. What the lanes share is replaced
    whole, never changed. All methods are called from the UI's thread and return at once, but for :meth:`stop`.
    """

    class Arrived(Message):
        """There is a newer picture: :meth:`NamespaceReader.take` has it."""

    class Working(Message):
        """A search has begun."""

    class Failed(Message):
        """Something could not be done."""

        def __init__(self, doing: str, error: Exception) -> None:
            super().__init__()
            self.doing = doing
            self.error = error

        def __str__(self) -> str:
            return f"{self.doing}: {self.error}"

    def __init__(self, target: MessagePump, sources: Sources | None = None) -> None:
        """``sources`` None: the machine."""
        self._target = target
        self._ask = sources or Sources()
        self._snapshot: Snapshot | None = None
        self._wish = Wish()
        self._members: dict[int, Namespace] = {}
        self._members_of: Snapshot | None = None
        self._scene: tuple[Namespace | None, Snapshot, Mapping[int, Namespace]] | None = None
        self._names: dict[tuple[object, ...], str | None] = {}
        self._subject: Namespace | None = None
        self._searched: Searched | None = None
        self._content: _Content | None = None
        self.searching = False
        """A search is under way, or has been asked for."""
        self._tried = float("-inf")
        self._arranged = self._took = 0.0
        self._reading: _Key | None = None
        self._arranging = Lane("nsview-namespaces", self._arrange, self._arrived, self._failing("reading namespaces"))
        self._searching: Lane[None] = Lane(
            "nsview-search", self._search, lambda: None, self._failing("searching for namespaces")
        )
        self._insides: Lane[None] = Lane(
            "nsview-inside", self._read, lambda: None, self._failing("reading the inside of a namespace")
        )
        self._lanes = (self._arranging, self._searching, self._insides)

    def start(self) -> None:
        """Start the threads, which wait for the first frame."""
        for lane in self._lanes:
            lane.start()

    def stop(self) -> None:
        """End the threads and wait for them."""
        for lane in self._lanes:
            lane.end()
        for lane in self._lanes:
            lane.join()

    def look(self, snapshot: Snapshot) -> None:
        """Arrange a new snapshot; search and read again what has become old. Not called, nothing is read."""
        self._snapshot = snapshot
        now = self._ask.clock()
        if now - self._arranged >= 2 * self._took:  # where arranging takes long, not every frame is
            self._arranging.ask()
        searched, content = self._searched, self._content
        took = 0.0 if searched is None else searched.took
        if not self.searching and now - self._tried > max(SEARCH_EVERY, took / SHARE):
            self.search_now()
        if (
            self._reading is None
            and content is not None
            and now > content.ended + max(READ_EVERY, content.took / SHARE)
        ):
            self._insides.ask()

    def want(self, wish: Wish) -> None:
        """Show something else."""
        self._wish = wish
        self._arranging.ask()

    def search_now(self) -> None:
        """Search the whole machine for namespaces."""
        self.searching = True
        self._searching.ask()

    def age(self) -> float | None:
        """Return how many seconds ago the last search ended; None while there was none."""
        return None if self._searched is None else self._ask.clock() - self._searched.ended

    def take(self) -> Picture | None:
        """Return the newest picture; None if it was taken before."""
        return self._arranging.newest()

    # In the lanes' threads.

    def _arrange(self) -> Picture | None:
        snapshot, wish, searched, content = self._snapshot, self._wish, self._searched, self._content
        if snapshot is None:
            return None
        began = self._ask.clock()
        if snapshot is not self._members_of:
            self._members = self._ask.members(snapshot, ProcessTree(snapshot.records), self._members)
            self._members_of = snapshot
        before = {} if searched is None else searched.discovery.namespaces
        found = self._named(merged(self._members, before), snapshot)
        subject = self._of_subject(wish.subject, found)
        self._subject = subject
        self._scene = subject, snapshot, found
        if subject is not None and content is not None and content.key != _key(subject):
            content = None
        wanting = subject is not None and content is None and subject.inode in found
        if subject is not None and wanting and self._reading != _key(subject):
            self._reading = _key(subject)
            self._insides.ask()
        picture = Picture(
            wish,
            snapshot,
            found,
            arranged(found, snapshot.records, wish.view),
            counts(found),
            subject,
            Detail() if subject is None else self._detail(subject, snapshot, found, wish, content),
            0 if subject is None else _unknown(subject, snapshot),
            content is not None,
            searched,
        )
        self._arranged = self._ask.clock()
        self._took = self._arranged - began
        return picture

    def _named(self, found: dict[int, Namespace], snapshot: Snapshot) -> dict[int, Namespace]:
        """Give those names that have none yet; what names are made of is read once for each leader."""
        keys = {inode: (inode, one.id, one.leader, one.leader_start_time) for inode, one in found.items()}
        unnamed = {inode: one for inode, one in found.items() if one.name is None and keys[inode] not in self._names}
        names = {inode: one.name for inode, one in self._ask.name(unnamed, snapshot.records).items()}
        self._names = {
            key: found[inode].name or names.get(inode) or self._names.get(key) for inode, key in keys.items()
        }
        return {inode: replace(one, name=self._names[keys[inode]]) for inode, one in found.items()}

    def _of_subject(self, inode: int | None, found: Mapping[int, Namespace]) -> Namespace | None:
        """Return the subject; as it was last seen, without members, if it has just ended."""
        if inode is None:
            return None
        now, before = found.get(inode), self._subject
        if now is None and before is not None and before.inode == inode:
            return replace(before, members=(), leader=None, leader_start_time=None, awaited_by=())
        return now

    def _detail(
        self,
        subject: Namespace,
        snapshot: Snapshot,
        found: Mapping[int, Namespace],
        wish: Wish,
        content: _Content | None,
    ) -> Detail:
        (row,) = rows_of((subject,), snapshot.records)
        here = subject.inode in found
        sections = () if content is None else content.sections
        total = len(subject.members)
        made = subject.members if is_whole(MEMBERS, total, wish.unfolded) else subject.members[:FEW]
        inside_it = replace(members(made, snapshot.records), title=MEMBERS)
        kept = replace(keepers(subject, snapshot.records), title=KEEPERS)
        before = [table_of(section, wish.unfolded, wish.room) for section in (about(row, found, here), *sections)]
        return detail_of(
            (
                *before,
                table_of(inside_it, wish.unfolded, wish.room, total),
                table_of(kept, wish.unfolded, wish.room),
            )
        )

    def _search(self) -> None:
        snapshot = self._snapshot
        if snapshot is None:
            return
        self._post(self.Working())
        began = self._ask.clock()
        try:
            discovery = self._ask.search(snapshot)
            ended = self._ask.clock()
            self._searched = Searched(discovery, ended, ended - began)
        finally:
            self._tried = self._ask.clock()
            self.searching = False
        self._arranging.ask()

    def _read(self) -> None:
        if self._scene is None:
            return
        subject, snapshot, found = self._scene
        if subject is None or subject.inode not in found:
            return
        try:
            began = self._ask.clock()
            content = self._ask.read(subject, snapshot, found)
            sections = () if content is None else tuple(content.sections)
            ended = self._ask.clock()
            self._content = _Content(_key(subject), sections, ended, ended - began)
        finally:
            self._reading = None
        self._arranging.ask()

    def _arrived(self) -> None:
        self._post(self.Arrived())

    def _failing(self, doing: str) -> Callable[[Exception], None]:
        return lambda error: self._post(self.Failed(doing, error))

    def _post(self, message: Message) -> None:
        try:
            self._target.post_message(message)
        except RuntimeError:
            # The app's event loop was closed without stop(): nobody is left to tell.
            for lane in self._lanes:
                lane.end()


def _unknown(namespace: Namespace, snapshot: Snapshot) -> int:
    """Count the processes of which it is not to be known in which namespace of that kind they are."""
    at = KINDS.index(namespace.kind)
    untold = (record for record in snapshot.records.values() if record.ns[at] is None)
    return sum(not record.is_zombie and not record.is_exiting for record in untold)


def _key(namespace: Namespace) -> _Key:
    return namespace.inode, namespace.id
