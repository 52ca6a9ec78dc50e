"""A launch as it stands, and the times of one: values that the launcher tells and all panes keep."""

from __future__ import annotations

import os
from dataclasses import dataclass

from nsview.tui.launching.held_facts import Changes
from spawner import Event, Exit, LaunchError, Plan, Spec


@dataclass(frozen=True, slots=True)
class Launched:
    """A launch as it stands: values only, safe to keep.

    ``held`` is the index of the step the child waits before. ``exit`` is None while it lives; ``ended_before`` is
    what it waited before then, if it did, and ``aborted`` whether that was our doing. ``trouble`` is what went wrong
    after it was held, in the step it was told to do. ``goal`` is the step it shall be held before, breakpoints apart.
    ``changes`` are what was read of it while it was held, oldest first. ``returned_ns`` is when the call that made it
    had returned here, counted as in the timeline. ``beside`` is the launch it was made to be compared with.
    ``oom_kills`` is how many of its control group the kernel ended for want of memory, None where none is counted.
    """

    number: int
    spec: Spec
    plan: Plan
    pid: int
    start_time: int | None
    namespaces: tuple[tuple[str, int | None], ...]
    timeline: tuple[Event, ...]
    held: int | None
    exit: Exit | None = None
    trouble: LaunchError | None = None
    ended_before: int | None = None
    aborted: bool = False
    goal: int | None = None
    changes: tuple[Changes, ...] = ()
    returned_ns: int | None = None
    beside: int | None = None
    oom_kills: int | None = None

    @property
    def was_held(self) -> bool:
        """Whether it ever waited for a word of ours: its times have our pauses in them."""
        return bool(self.changes)

    @property
    def executed(self) -> bool:
        """Whether it came to run its program; posix_spawn(3), which has no steps of ours, answers only then."""
        return not self.plan.steps or any(event.phase == "exec" and event.result == 0 for event in self.timeline)

    @property
    def identity(self) -> tuple[int, int]:
        """Its pid and start time."""
        return self.pid, self.start_time or 0

    @property
    def title(self) -> str:
        """The program's name without its directory."""
        return os.path.basename(self.spec.args[0])


@dataclass(frozen=True, slots=True)
class Run:
    """The times of one launch: its timeline, and when the call that made the child had returned here."""

    timeline: tuple[Event, ...]
    returned_ns: int | None
