"""The collector: looks at the machine in threads of its own and tells the UI when there is news to take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic_ns

from textual.message import Message
from textual.message_pump import MessagePump

from nsview.host.history import History, advance
from nsview.host.model import Identity
from nsview.host.snapshot import Snapshot, take, turnover
from nsview.host.users import user_name
from nsview.tui.collecting.lane import Lane
from nsview.tui.collecting.listener import Listener, Open, proc_events
from nsview.tui.processes.rows import Rows
from nsview.tui.processes.scene import CommandLines
from nsview.tui.processes.view import AS_TREE, View


@dataclass(frozen=True, slots=True)
class Frame:
    """What a look at the machine gave: the rows to show and the snapshot they come from.

    A frame that only arranges the last snapshot otherwise has the same snapshot. ``arranging_ns``: how long
    putting the rows in order took (``snapshot.took_ns``: how long reading them did).
    """

    rows: Rows
    snapshot: Snapshot
    arranging_ns: int


class Collector:
    """Two lanes: snapshots at an interval, rows arranged from the newest.

    ``target``, the app or a widget of it, is sent :class:`Arrived` and :class:`Failed`.
    All methods return at once, but for :meth:`stop`, and are called from the UI's thread.
    """

    class Arrived(Message):
        """There is a newer frame: :meth:`Collector.take_frame` has it."""

    class Failed(Message):
        """Something could not be done; ``fatal``: that lane has ended, else it will be tried again."""

        def __init__(self, doing: str, error: Exception) -> None:
            """Say what was being done, and what came in between."""
            super().__init__()
            self.doing = doing
            self.error = error
            self.fatal = not isinstance(error, OSError)

        def __str__(self) -> str:
            """Word it for a person."""
            return f"{self.doing}: {self.error}"

    def __init__(
        self,
        target: MessagePump,
        *,
        interval: float = 1.0,
        view: View = AS_TREE,
        snapshot: Callable[[Iterable[int] | None], Snapshot] = take,
        events: Open | None = proc_events,
    ) -> None:
        """Set up the lanes, which :meth:`start` starts; ``snapshot`` does the looking.

        ``events`` opens what tells how processes end; where that is refused, or None, it is not known.
        """
        self._target = target
        self._snapshot = snapshot
        self._listener = Listener(events)
        self._commands = CommandLines()
        self._view = view
        self._history: History | None = None
        self._rows: Rows | None = None
        self._launches: dict[Identity, str | None] = {}
        self._users: dict[int, str] = {}
        self._named: Snapshot | None = None
        self._scanning: Lane[None] = Lane(
            "nsview-snapshot", self._scan, lambda: None, self._failing("reading the processes"), interval
        )
        self._arranging = Lane(
            "nsview-arrange",
            self._arrange,
            lambda: self._post(self.Arrived()),
            self._failing("arranging the processes"),
        )
        self._lanes = (self._scanning, self._arranging)

    def start(self) -> None:
        """Start looking; the first frame comes as soon as it is there."""
        for lane in self._lanes:
            lane.start()

    def stop(self) -> None:
        """End all threads and wait for them; no message is posted after this has returned."""
        for lane in self._lanes:
            lane.end()
        for lane in self._lanes:
            lane.join()
        self._listener.close()

    @property
    def unheard(self) -> str | None:
        """Say why the kernel does not tell us how processes end; None while it does, or has not been asked."""
        return self._listener.unheard

    @property
    def paused(self) -> bool:
        """Tell whether the picture stands still."""
        return self._scanning.paused

    def pause(self) -> None:
        """Let the picture stand still; :meth:`refresh_now` still takes a new one."""
        self._scanning.pause()

    def resume(self) -> None:
        """Look at the machine again at the interval, beginning at once."""
        self._scanning.resume()

    @property
    def interval(self) -> float:
        """Seconds from one snapshot to the next."""
        return self._scanning.interval or 0.0

    @interval.setter
    def interval(self, seconds: float) -> None:
        self._scanning.interval = seconds

    def refresh_now(self) -> None:
        """Look at the machine now."""
        self._scanning.ask()

    def show_as(self, view: View) -> None:
        """Arrange the rows by another view, from the snapshot at hand."""
        self._view = view
        self._arranging.ask()

    def launched(self, identity: Identity) -> None:
        """Mark a process as launched by us, and look at once."""
        self._launches = {**self._launches, identity: None}
        self.refresh_now()

    def exited(self, identity: Identity, how: str) -> None:
        """Note how a process launched by us ended, as ``exited 3``, and look at once."""
        self._launches = {**self._launches, identity: how}
        self.refresh_now()

    def take_frame(self) -> Frame | None:
        """Return the newest frame; None if it was taken before."""
        return self._arranging.newest()

    # In the lanes' threads. What both sides use is replaced whole, never changed.

    def _scan(self) -> None:
        snapshot = self._snapshot(None)
        known = None if self._history is None else self._history.known_with(snapshot)
        events = self._listener.told(known)
        self._history = advance(self._history, snapshot, events)
        for event in events or ():
            if event.what == "exec":
                self._commands.forget(event.pid)
        self._commands.keep_only(snapshot.records)
        self._arranging.ask()
        self._listener.begin()

    def _arrange(self) -> Frame | None:
        began = monotonic_ns()
        history = self._history
        if history is None:
            return None
        self._name_users(history.newest)
        self._rows = rows = Rows(history, self._view, self._launches, self._users, self._commands, self._rows)
        return Frame(rows, history.newest, monotonic_ns() - began)

    def _name_users(self, snapshot: Snapshot) -> None:
        """Look up the names of users not seen before: a directory service may take its time over that."""
        last, self._named = self._named, snapshot
        if last is not None and last is not snapshot:
            found = turnover(last, snapshot)
            fresh = [snapshot.records[pid] for pid in (*found.born, *found.changed)]
        else:
            fresh = [] if last is snapshot else [*snapshot.records.values()]
        uids = {record.uid for record in fresh if record.uid is not None}
        if unnamed := uids - self._users.keys():
            self._users = {**self._users, **{uid: user_name(uid) for uid in unnamed}}

    def _failing(self, doing: str) -> Callable[[Exception], None]:
        return lambda error: self._post(self.Failed(doing, error))

    def _post(self, message: Message) -> None:
        try:
            self._target.post_message(message)
        except RuntimeError:
            # The app's event loop was closed without stop(): nobody is left to tell.
            for lane in self._lanes:
                lane.end()
