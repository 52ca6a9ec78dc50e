"""What is known of a process beside its record: command line, nested pids, threads, chosen columns. Values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nsview.host.model import Identity
from nsview.host.threads import Thread


@dataclass(frozen=True, slots=True)
class ThreadSeen:
    """A thread, and its share of a core in percent since it was looked at before; None at the first look."""

    thread: Thread
    cpu: float | None


@dataclass(frozen=True, slots=True)
class Detail:
    """What is known of one process; None is unknown.

    ``pids``: from ours to its own pid namespace. ``texts``: of chosen columns, by name. ``threads``: all but the
    first, by number. ``container``: of the process under the cursor alone.
    """

    command: str | None = None
    pids: tuple[int, ...] | None = None
    frozen: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)
    threads: tuple[ThreadSeen, ...] = ()
    container: str | None = None


NOTHING_READ = Detail()

Details = Mapping[Identity, Detail]
"""Of those in view that are still there, by identity."""
