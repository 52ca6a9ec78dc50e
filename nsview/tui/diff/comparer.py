"""The comparer: reads how the two processes of the diff panel differ, in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from textual.message import Message
from textual.message_pump import MessagePump

from nsview.host.difference import SECTIONS, Compared, DiffRow, compare_with_usage
from nsview.host.model import Identity
from nsview.host.process import ProcessGoneError
from nsview.host.snapshot import ProcessRecord, Snapshot, take
from nsview.host.usage import Usage
from nsview.tui.collecting.collector import Collector
from nsview.tui.collecting.lane import Lane
from nsview.tui.diff.pair import Pair
from nsview.tui.diff.subtree import Subtrees, subtrees

Compare = Callable[[int, int, int | None, int | None, Collection[str]], Compared]
"""As :func:`nsview.host.difference.compare_with_usage`."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be read: which two, which sections; ``machine`` (newest, before, marked): sum up subtrees too.

    Each of ``machine`` is the records of a snapshot by pid, with its time; None where there is none.
    """

    pair: Pair
    sections: frozenset[str] = frozenset(SECTIONS)
    machine: tuple[Snapshot, Snapshot | None, Snapshot | None] | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two processes differ.

    ``rows`` is None, and ``missing`` names who, when one of the two is gone or only waits to be reaped.
    """

    order: Order
    rows: tuple[DiffRow, ...] | None
    missing: Identity | None = None
    usages: tuple[Usage | None, Usage | None] = (None, None)
    subtrees: Subtrees | None = None


class Comparer:
    """A lane that carries out the newest order; ``target`` is sent :class:`Compared` and Collector.Failed.

    All methods return at once, but for :meth:`stop`, and are called from the UI's thread.
    """

    class Compared(Message):
        """There is a newer comparison: :meth:`Comparer.take` has it."""

    def __init__(
        self,
        target: MessagePump,
        *,
        snapshot: Callable[[Iterable[int] | None], Snapshot] = take,
        compare: Compare = compare_with_usage,
    ) -> None:
        """Set up the lane, which :meth:`start` starts; ``snapshot`` and ``compare`` do the looking."""
        self._target = target
        self._snapshot = snapshot
        self._compare = compare
        self._order: Order | None = None
        self._lane: Lane[Comparison] = Lane(
            "nsview-compare",
            self._carry_out,
            lambda: self._post(self.Compared()),
            lambda error: self._post(Collector.Failed("comparing two processes", error)),
        )

    def start(self) -> None:
        """Start the thread."""
        self._lane.start()

    def stop(self) -> None:
        """End the thread and wait for it; no message is posted after this has returned."""
        self._lane.end()
        self._lane.join()

    def ask(self, order: Order | None) -> None:
        """Carry out this order at once, in place of any before; None: nothing is wanted any more."""
        self._order = order
        if order is not None:
            self._lane.ask()

    def take(self) -> Comparison | None:
        """Return the newest comparison; None if it was taken before or is of a pair no longer wanted."""
        found, order = self._lane.newest(), self._order
        return found if found is not None and order is not None and found.order.pair == order.pair else None

    def _carry_out(self) -> Comparison | None:
        order = self._order
        if order is None:
            return None
        pair = order.pair
        records = self._snapshot((pair.parent[0], pair.child[0])).records
        if (missing := _missing(pair, records)) is not None:
            return Comparison(order, None, missing)
        (parent, parent_start), (child, child_start) = pair.parent, pair.child
        try:
            found = self._compare(parent, child, parent_start, child_start, order.sections)
        except ProcessGoneError as gone:
            return Comparison(order, None, pair.child if gone.pid == child else pair.parent)
        summed = None if order.machine is None else subtrees((pair.parent, pair.child), *order.machine)
        return Comparison(order, found.rows, None, found.usages, summed)

    def _post(self, message: Message) -> None:
        try:
            self._target.post_message(message)
        except RuntimeError:
            self._lane.end()  # The app's event loop was closed without stop(): nobody is left to tell.


def _missing(pair: Pair, records: Mapping[int, ProcessRecord]) -> Identity | None:
    """Name the one of the two that is gone, or a zombie, the child first."""
    for identity in (pair.child, pair.parent):
        record = records.get(identity[0])
        if record is None or record.identity != identity or record.is_zombie:
            return identity
    return None
