"""The pane of processes: the table, its filter line, a title that says how it is arranged, a line on the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message

from nsview.host.text import printable
from nsview.tui.collecting.lane import Lane
from nsview.tui.desk import Desk
from nsview.tui.hues import Ordinals
from nsview.tui.processes.detail import NOTHING_READ, Detail, Details
from nsview.tui.processes.filter_line import FilterLine
from nsview.tui.processes.find_line import FindLine
from nsview.tui.processes.kept import kept, recalled
from nsview.tui.processes.reading import Read, Reader, Wanted
from nsview.tui.processes.table import ProcTable
from spawner.namespaces import KINDS


def process_pane(desk: Desk) -> ProcessPane:
    """Make the pane of a desk."""
    return ProcessPane(desk.ordinals)


class ProcessPane(Vertical):
    """Shows the table; reads, in a lane of its own, what the records of the processes in view do not have."""

    DEFAULT_CSS = """
    ProcessPane { border-subtitle-align: left; }
    ProcessPane ProcTable { height: 1fr; }
    """

    KEPT_AS = "processes"
    """What is remembered of it from one start to the next, as comfort/applied.py asks."""

    class Detailed(Message):
        """The lane has read something."""

    class ReadFailed(Message):
        """The lane could not read."""

        def __init__(self, error: Exception) -> None:
            """Say why."""
            super().__init__()
            self.error = error

    def __init__(self, ordinals: Ordinals | None = None, read: Callable[[], Read] | None = None) -> None:
        """``ordinals`` number the namespaces; ``read`` makes what reads the details, which are the machine's."""
        super().__init__()
        self._ordinals = ordinals
        self._wanted: Wanted | None = None
        self._read = Reader().read if read is None else read()
        self._lane: Lane[Details] | None = None
        self._latest: Details | None = None
        self._base = self._filter = ""
        self._said = ("", "")

    def compose(self) -> ComposeResult:
        """The table, and below it the lines to type a filter in, or what to find."""
        table = ProcTable(id="processes", ordinals=self._ordinals)
        yield table
        yield FilterLine()
        yield FindLine(table.find, table)

    def on_mount(self) -> None:
        """Start the lane."""
        self._base = str(self.border_title or "Processes")
        self._lane = Lane(
            "nsview-details",
            self._look,
            lambda: self.post_message(self.Detailed()),
            lambda error: self.post_message(self.ReadFailed(error)),
        )
        self._lane.start()
        line = self.query_one(FilterLine)
        self.table.open_filter, line.back_to = line.open, self.table
        self.table.open_find = self.query_one(FindLine).open

    def on_unmount(self) -> None:
        """End the lane."""
        if self._lane is not None:
            self._lane.end()
            self._lane.join()

    @property
    def table(self) -> ProcTable:
        """The table."""
        return self.query_one(ProcTable)

    def kept(self) -> Any:
        """Return how a person likes the table."""
        return kept(self.table.view, self.table.chosen)

    def recall(self, value: Any) -> None:
        """Arrange the table as it was liked before."""
        view, chosen = recalled(value, self.table.view)
        if chosen is not None:
            self.table.choose_columns(chosen)
        if view != self.table.view:
            self.table.want(view)

    # Details.

    def _look(self) -> Details | None:
        """Read what is wanted; None, which wakes nobody, where all is as it was."""
        wanted = self._wanted
        if wanted is None:
            return None
        details = self._read(wanted)
        if details == self._latest:
            return None
        self._latest = details
        return details

    @on(ProcTable.InView)
    def _in_view(self, message: ProcTable.InView) -> None:
        message.stop()
        self._wanted = self.table.wanted() if self.is_on_screen else None
        if self._wanted is not None and self._lane is not None:
            self._lane.ask()
        self._say()

    @on(Detailed)
    def _detailed(self, message: Detailed) -> None:
        message.stop()
        details = None if self._lane is None else self._lane.newest()
        if details is not None:
            self.table.tell(details)
            self._say()

    @on(ReadFailed)
    def _read_failed(self, message: ReadFailed) -> None:
        message.stop()
        self.notify(printable(f"reading processes: {message.error}"), severity="error", markup=False)

    # Filter.

    @on(ProcTable.FilterWanted)
    def _filter_wanted(self, message: ProcTable.FilterWanted) -> None:
        message.stop()
        line = self.query_one(FilterLine)
        if message.text != line.text or self.table.view.filter is not None:
            line.fill(message.text)

    @on(FilterLine.Filtered)
    def _filtered(self, message: FilterLine.Filtered) -> None:
        message.stop()
        self._filter = message.text
        if message.wanted != self.table.view.filter:
            self.table.want(replace(self.table.view, filter=message.wanted))

    def filter_by(self, text: str) -> None:
        """Show only what matches a filter, as if it had been typed."""
        self.query_one(FilterLine).fill(text)

    # Title and summary.

    def _say(self) -> None:
        """Say how the table is arranged in the title, and who is under the cursor at the foot."""
        said = " · ".join(self._title()), self._summary()
        if said != self._said:
            self._said = said
            self.border_title, self.border_subtitle = map(Content, said)

    def _title(self) -> Iterator[str]:
        rows = self.table.rows
        yield self._base
        if rows.view.filter is not None:
            yield f"/ {printable(self._filter)}"
            yield f"{rows.arranged.found} of {rows.arranged.total}"
        yield from self.table.view_words()
        if hidden := rows.arranged.kernel_threads:
            yield f"{hidden} kernel thread{'s' if hidden > 1 else ''} hidden"

    def _summary(self) -> str:
        identity, rows = self.table.highlighted, self.table.rows
        record = None if identity is None else rows.record_of(identity)
        if record is None or identity is None:
            return ""
        detail = self.table.details.get(identity, NOTHING_READ)
        return " ".join((str(record.pid), printable(record.comm), *summary(rows.against_the_machine(record), detail)))


def summary(cells: str, detail: Detail) -> Iterator[str]:
    """Word which namespaces a process has of its own, which it shares with the machine, and its container."""
    own = [cell for cell in cells if cell.isalpha()]
    shared = [kind.letter for kind, cell in zip(KINDS, cells, strict=True) if cell == "·"]
    unknown = [kind.letter for kind, cell in zip(KINDS, cells, strict=True) if cell == "?"]
    if own:
        yield f"· own {' '.join(own)}"
    if shared:
        yield f"· shared {' '.join(shared)}" if own or unknown else "· all namespaces shared with the machine"
    if unknown:
        yield f"· unknown {' '.join(unknown)}" if own or shared else "· namespaces unknown"
    if detail.frozen:
        yield "· frozen"
    if detail.container not in (None, "-"):
        yield f"· {detail.container}"
