"""Where a child is held: breakpoints in any plan, the plan that can be stopped in, and the process that waits."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from spawner import Child, Plan, Spec, SpecError, compile_spec
from spawner.plan import Bearing

Hold = Callable[[Plan], int]
"""Picks the step of a plan before which a child is held."""

Stops = Callable[[Plan], Collection[int]]
"""Picks the steps of a plan before which a child stops on the way."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A step of any plan: by its label, and by which of those with the same label it is, from 0."""

    label: str
    nth: int = 0


def mark_of(plan: Plan, index: int) -> Mark:
    """Name a step of a plan, so that it can be found in another."""
    label = plan.steps[index].label
    return Mark(label, sum(step.label == label for step in plan.steps[:index]))


def places(plan: Plan, marks: frozenset[Mark]) -> tuple[int, ...]:
    """Return the indices of the steps that are marked, in order."""
    return tuple(index for index in range(len(plan.steps)) if mark_of(plan, index) in marks)


def planned(spec: Spec, hold: Hold | None, breakpoints: Stops | None) -> tuple[Plan, int | None, int | None]:
    """Return the plan, the step to be held before, and the first to stop before. Raises SpecError.

    Breakpoints alone do not refuse a launch: where no child can be held, as by vfork, there are none.
    """
    if hold is not None or breakpoints is not None:
        try:
            plan = compile_spec(spec, hold=True)
        except SpecError:
            if hold is not None:
                raise
        else:
            goal = None if hold is None else hold(plan)
            stops = [*(() if breakpoints is None else breakpoints(plan)), *(() if goal is None else (goal,))]
            if stops:
                return plan, goal, min(stops)
    return compile_spec(spec), None, None


def waiting(child: Child) -> tuple[int, int | None]:
    """Return pid and start time of the process that waits, or runs: below the reaper, where the plan makes one."""
    plan, held = child.plan, child.held
    last = next((index for index, step in enumerate(plan.steps) if step.bearing & Bearing.LAST), None)
    if last is not None and (held is None or held > last):
        try:
            below = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            below = []
        if below:
            return int(below[0]), None
    return child.pid, child.start_time
