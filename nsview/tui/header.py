"""The header line: which machine, how much is on it, and what looking at it costs."""

from __future__ import annotations

import os
import time

from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from nsview.host.snapshot import Snapshot, turnover
from nsview.host.text import printable
from nsview.tui.cell_text import amount

AFTER_THE_ROWS = 0.1
"""Seconds until it is painted, but for the first time. Textual paints what surrounds all that has changed: at once with
a row of the table it would go through every widget between them, at eight times the cost of both.
"""

_WIDE = 100
"""Cells from which on words are written out."""


def namespace_count(snapshot: Snapshot) -> int:
    """Count the namespaces that processes are in. Processes come in few combinations, so look at those."""
    combinations = {record.ns for record in snapshot.records.values()}
    return len({(kind, inode) for ns in combinations for kind, inode in enumerate(ns) if inode is not None})


def has_other_namespaces(earlier: Snapshot, later: Snapshot) -> bool:
    """Tell whether there may be other namespaces: whether anybody came, went, or is in others than before."""
    found, then, now = turnover(earlier, later), earlier.records, later.records
    return bool(found.born or found.gone) or any(now[pid].ns != then[pid].ns for pid in found.changed)


class HeaderLine(Static):
    """One line, updated with each snapshot; what does not fit is cut off at the right."""

    DEFAULT_CSS = """
    HeaderLine { height: 1; background: $primary; color: $text; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, *, read_only: bool = False, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self._read_only = read_only
        self._cpu = time.process_time()
        self._clock = time.monotonic()
        self._counted: Snapshot | None = None
        self._namespaces = 0
        self._parts: list[str] = []
        self._told = ""
        self._due: Timer | None = None

    def show(self, snapshot: Snapshot, running: int, ended: int, paused: bool, reference: str, rootless: bool) -> None:
        """Show a snapshot's totals, how many launches there are, and our own share of a core since the last."""
        cpu, clock = time.process_time(), time.monotonic()
        share = 100 * (cpu - self._cpu) / max(1e-3, clock - self._clock)
        self._cpu, self._clock = cpu, clock
        if self._counted is None or has_other_namespaces(self._counted, snapshot):
            self._namespaces = namespace_count(snapshot)
        self._counted = snapshot
        wide = self.app.size.width >= _WIDE
        own = snapshot.records.get(os.getpid())
        parts = [
            f" nsview {printable(os.uname().nodename)}",
            f"{len(snapshot.records)} {'processes' if wide else 'proc'}",
            f"{self._namespaces} {'namespaces' if wide else 'ns'}",
            f"▶{running} launched" + (f" ✝{ended}" if ended else ""),
            f"NS≠{reference}",
        ]
        if self._read_only:
            parts.append("READ-ONLY")
        if paused:
            parts.append("PAUSED")
        if rootless:
            parts.append("not root: others' namespaces show as ?" if wide else "not root")
        parts.append(
            f"{'nsview itself' if wide else 'self'} {share:.1f}%" + (f" {amount(own.rss)}" if own is not None else "")
        )
        first, self._parts = not self._parts, parts
        if first:
            self._say()
        else:
            self._say_soon()

    def tell(self, words: str) -> None:
        """Show what is under way and takes its time, from now on; nothing for nothing."""
        if words != self._told:
            self._told = words
            self._say_soon()

    def _say_soon(self) -> None:
        if self._due is None:
            self._due = self.set_timer(AFTER_THE_ROWS, self._say)

    def _say(self) -> None:
        self._due = None
        name, *rest = self._parts
        said = Content("  ").join(map(Content, filter(None, (name, printable(self._told), *rest))))
        if said != self.content:
            self.update(said, layout=False)
