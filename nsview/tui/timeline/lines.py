"""The lines of a timeline: steps done, the one a held child waits before and those to come, grouped by phase. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from nsview.tui.launching.held_facts import Changes
from nsview.tui.launching.launched import Launched
from spawner import Event, Plan


class State(Enum):
    """How a step stands; the value is its mark, which tells without colour."""

    DONE = " "
    REFUSED = "!"
    """The kernel said no, and the plan went on."""
    FAILED = "✗"
    """The kernel said no, and that was the end."""
    NEXT = "▶"
    """The child waits before it."""
    DIED = "✝"
    """The child waited before it when it ended."""
    TO_COME = "·"
    NEVER = "-"
    """Not done and not to be done: passed over by the plan, or the child ended before."""

    @property
    def done(self) -> bool:
        """Whether there is a time for it."""
        return self in (State.DONE, State.REFUSED, State.FAILED)


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step, or what the parent does for the child.

    ``index`` is its place in the plan, None for the call that makes the child and the parent's doing. ``event`` is
    what became of it, at ``place`` of the timeline. ``changed`` is the number of attributes that were seen to change
    by it and those done at one go before it (None: nobody looked then); ``unread``: somebody wanted to.
    """

    label: str
    phase: str
    text: str
    state: State
    index: int | None = None
    event: Event | None = None
    place: int | None = None
    breakpoint: bool = False
    changed: int | None = None
    unread: bool = False

    @property
    def took(self) -> int | None:
        """Nanoseconds it took."""
        return None if self.event is None else self.event.duration_ns

    @property
    def key(self) -> tuple[object, ...]:
        """What names it as long as the launch is the same."""
        return ("step", self.index) if self.index is not None else ("other", self.label, self.place)


@dataclass(frozen=True, slots=True)
class PhaseLine:
    """Heads the steps of a phase: how many are done, of how many, and the sum of their times in nanoseconds."""

    phase: str
    nth: int
    done: int
    steps: int
    took: int
    places: tuple[int, ...]
    folded: bool
    state: State
    changed: int | None

    @property
    def key(self) -> tuple[object, ...]:
        """What names it as long as the launch is the same; a phase may come again."""
        return "phase", self.phase, self.nth


Line = StepLine | PhaseLine


def steps_of(launched: Launched, breakpoints: Sequence[int] = ()) -> tuple[StepLine, ...]:
    """List what was done, in the order of its beginning, and what of the plan was not, unless the program runs."""
    looked = _looked(launched)
    done = [
        _done(launched, event, place, event.index in breakpoints, looked.get(place))
        for place, event in enumerate(launched.timeline)
    ]
    if launched.executed:
        return tuple(done)
    return tuple(_with_the_rest(launched, done, breakpoints))


def _done(launched: Launched, event: Event, place: int, breakpoint: bool, looked: Changes | None) -> StepLine:
    failed = event.result is not None and event.result < 0
    end = launched.exit is not None and event.index is not None and event.index == launched.ended_before
    state = State.FAILED if failed and end else State.REFUSED if failed else State.DONE
    unread = looked is not None and bool(looked.unread)
    changed = None if looked is None or unread else len(looked.rows)
    return StepLine(event.label, event.phase, event.text, state, event.index, event, place, breakpoint, changed, unread)


def _with_the_rest(launched: Launched, done: list[StepLine], breakpoints: Sequence[int]) -> Iterator[StepLine]:
    """Put what was passed over where it stands in the plan, and what is to come behind all that was done."""
    plan = launched.plan
    here = launched.held if launched.held is not None else launched.ended_before
    indices = {line.index for line in done}
    here = max((i for i in indices if i is not None), default=-1) + 1 if here is None else here
    missing = [index for index in range(len(plan.steps)) if index not in indices]
    for line in done:
        while missing and line.index is not None and missing[0] < line.index:
            yield _undone(launched, missing.pop(0), here, breakpoints)
        yield line
    acted = {line.label for line in done if line.index is None}
    for index in missing:
        for action in plan.actions:
            if action.before == index and action.label not in acted and index > here:
                yield StepLine(action.label, action.phase, action.text, _yet(launched))
        yield _undone(launched, index, here, breakpoints)


def _undone(launched: Launched, index: int, here: int, breakpoints: Sequence[int]) -> StepLine:
    step = launched.plan.steps[index]
    if index < here:
        state = State.NEVER
    elif index == here:
        state = State.NEXT if launched.held is not None else State.DIED
    else:
        state = _yet(launched)
    return StepLine(step.label, step.phase, str(step), state, index, breakpoint=index in breakpoints)


def _yet(launched: Launched) -> State:
    return State.TO_COME if launched.exit is None else State.NEVER


def is_among(changes: Changes, index: int | None, phase: str, label: str) -> bool:
    """Tell whether a step, the call that makes the child or what the parent does was done between the two looks."""
    if index is not None or phase == "birth":
        return changes.covers(index)
    return label in changes.acts


def _looked(launched: Launched) -> dict[int, Changes]:
    """Put what was seen to change at the place in the timeline of the last thing done before it was seen."""
    found: dict[int, Changes] = {}
    for changes in launched.changes:
        among = (
            place
            for place, event in enumerate(launched.timeline)
            if is_among(changes, event.index, event.phase, event.label)
        )
        if (last := max(among, default=None)) is not None:
            found[last] = changes
    return found


def grouped(steps: Sequence[StepLine], folded: frozenset[tuple[object, ...]] = frozenset()) -> tuple[Line, ...]:
    """Put a heading above each run of steps of one phase; those of a folded heading (its key) are left out."""
    lines: list[Line] = []
    seen: dict[str, int] = {}
    for phase, run in groupby(steps, lambda step: step.phase):
        members = [*run]
        nth = seen[phase] = seen.get(phase, -1) + 1
        heading = _heading(phase, nth, members, folded)
        lines.append(heading)
        if not heading.folded:
            lines += members
    return tuple(lines)


def _heading(phase: str, nth: int, members: list[StepLine], folded: frozenset[tuple[object, ...]]) -> PhaseLine:
    marks = (State.FAILED, State.DIED, State.NEXT)
    state = next((step.state for step in members if step.state in marks), State.DONE)
    done = [step for step in members if step.state.done]
    if not done and state is State.DONE:
        state = members[0].state
    counts = [step.changed for step in members if step.changed is not None]
    return PhaseLine(
        phase=phase,
        nth=nth,
        done=len(done),
        steps=len(members),
        took=sum(step.took or 0 for step in done),
        places=tuple(step.place for step in done if step.place is not None),
        folded=("phase", phase, nth) in folded,
        state=state,
        changed=sum(counts) if counts else None,
    )


def by_duration(steps: Sequence[StepLine]) -> tuple[StepLine, ...]:
    """Put the slowest first; what has no time keeps its order, behind all that has one."""
    return tuple(sorted(steps, key=lambda step: (step.took is None, -(step.took or 0))))


def end_of_phase(plan: Plan, index: int) -> int:
    """Return the first step after ``index`` that is of another phase; the number of steps where none is."""
    phase = plan.steps[index].phase
    later = range(index + 1, len(plan.steps))
    return next((other for other in later if plan.steps[other].phase != phase), len(plan.steps))
