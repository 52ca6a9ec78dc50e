"""Where a command's facts come from: the machine as it is now, or a recording of it. One path through the commands.

What was not recorded is unknown: nothing is asked of the machine at hand about a process of another time or place.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from nsview.host.columns.process_row import Scene
from nsview.host.snapshot import Snapshot, take

if TYPE_CHECKING:  # a look at the machine does without them, and they take their time to import
    from nsview.host.namespaces import Namespace
    from nsview.host.recording.form import Header


class At(NamedTuple):
    """Which sample of a recording: the last that ``of(header)`` wants (find()), which must be this ``number``."""

    of: Callable[[Header], Callable[[int, int], bool]]
    number: int | None = None


class Source(Protocol):
    """What a command looks at."""

    @property
    def recorded(self) -> bool:
        """True where facts that are not in a snapshot cannot be read."""

    @property
    def notice(self) -> str | None:
        """What a person should know of it."""

    def scene(self, reference: str = "parent", interval: float | None = None) -> Scene:
        """Return a snapshot as rows; with ``interval`` (seconds), an earlier one beside it for rates."""

    def snapshot(self) -> Snapshot:
        """Return a snapshot."""

    def namespaces(self, snapshot: Snapshot) -> dict[int, Namespace]:
        """Return the namespaces of one of its snapshots, by inode in KINDS order and then by inode."""


class Live:
    """The machine as it is now."""

    recorded = False
    notice: str | None = None

    def scene(self, reference: str = "parent", interval: float | None = None) -> Scene:
        """Look once, or twice with ``interval`` seconds between."""
        before = None
        if interval is not None:
            before = take()
            time.sleep(interval)
        return Scene(take(), before, reference)

    def snapshot(self) -> Snapshot:
        """Look."""
        return take()

    def namespaces(self, snapshot: Snapshot) -> dict[int, Namespace]:
        """Ask the kernel for the relations of those that processes are in."""
        from nsview.host.namespaces import namespaces_of

        return namespaces_of(snapshot)
