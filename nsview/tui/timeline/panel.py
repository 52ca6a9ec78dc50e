"""The timeline panel: what a launch did and will do, what each step changed, and two launches side by side."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from nsview.host.text import printable
from nsview.tui.cell_text import breakable
from nsview.tui.desk import Desk
from nsview.tui.launching.held_facts import Changes
from nsview.tui.launching.holding import places
from nsview.tui.launching.launched import Launched
from nsview.tui.launching.launcher import Tried
from nsview.tui.timeline import trials
from nsview.tui.timeline.beside import PairLine, Side, compared, side_of
from nsview.tui.timeline.beside_view import BesideView, explained
from nsview.tui.timeline.changes_list import ChangesList
from nsview.tui.timeline.dialogs import LaunchChoice, MechanismChoice, StepDetails
from nsview.tui.timeline.grid import Waterfall
from nsview.tui.timeline.launch_view import LaunchView
from nsview.tui.timeline.lines import (
    Line,
    PhaseLine,
    State,
    StepLine,
    by_duration,
    end_of_phase,
    grouped,
    is_among,
    steps_of,
)
from nsview.tui.timeline.view import Nothing
from nsview.tui.timeline.words import heading_words, sums, traced, why, wrapped
from spawner import Mechanism, Spec

NOTHING = "Launch a program: every system call of its birth is listed here with the time it took."

_HELD = "s step · S phase · r run · b break · x give up"
_COMPARED = "M medians · Esc back"

_SHORT, _TALL = 16, 28
"""Lines of the panel below which its parts make do with few; with fewer than they would have."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Launches over and over that were asked for: their Specs, what each side is called, what is beside the first."""

    specs: tuple[Spec, ...]
    names: tuple[str, ...]
    beside: Side | None = None


class Timeline(Vertical):
    """The waterfall under lines that sum up, and above those on the step under the cursor and what it changed."""

    HELP = """
    # Timeline

    The system calls of a launch by phase: when each began after launch() was called, and how long it took, by the
    kernel's monotonic clock. The slowest stands out, pauses are drawn short. `!` marks a call the kernel refused
    and the plan goes on after, `✗` one it failed at, `-` what was passed over or never came to be done.

    *Held* children: `▶` is the step the child waits before, `●` a breakpoint, `·` what is to come. After each step the
    child is read anew, and Δ says how many things are other than before: they are listed below the steps, for the
    step under the cursor. `?` there is what the kernel does not tell. Nothing is listed but what was read.

    `F6` launches and stops before the first step; then `s` does one step, `r` runs on to the next breakpoint or to the
    program, `x` gives up: the held child is killed, and all that was made for it is taken back. **Enter** tells all
    about a step: result, errno, why, man page, what it changed; on a phase it folds it.

    *Side by side*: steps are matched by label, sums come first, all times on one scale. One run is noise: medians are
    of 20 launches, in turns where there are two, each of `true` in the program's place and ended as soon as it runs.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, action, label, show=False, id=f"timeline.{name}", tooltip=does)
        for key, action, label, name, does in (
            ("S", "step_phase", "Phase", "step-phase", "do the rest of the phase, looked at after each step"),
            ("b,h", "breakpoint", "Break", "breakpoint", "break before this step, now and in later launches, or not"),
            ("B", "no_breakpoints", "No breaks", "no-breakpoints", "take all breakpoints away"),
            ("f", "fold", "Fold", "fold", "fold or unfold all phases"),
            ("o", "sort", "Order", "sort", "the slowest first, or all as it happened"),
            ("m", "slowest", "Slowest", "slowest", "go to the slowest step"),
            ("c", "change(1)", "Next change", "next-change", "go to the next step that changed something"),
            ("C", "change(-1)", "Last change", "last-change", "go to the last step that changed something"),
            ("v", "beside", "Beside", "beside", "put another launch beside this one"),
            ("V", "by_another", "Again", "again", "launch the same again by another call, and compare"),
            ("M", "medians", "Medians", "medians", "launch it, or both, 20 times, and compare the medians"),
            ("escape", "alone", "Back", "alone", "back from a comparison to the steps"),
        )
    ]

    DEFAULT_CSS = """
    Timeline {
        & > #timeline-sum { height: auto; max-height: 2; color: $text-muted; padding: 0 1; }
        & > #timeline-step { height: auto; min-height: 1; max-height: 4; padding: 0 1; background: $panel; }
        &.-middling > #timeline-step { max-height: 3; }
        &.-short > #timeline-step { max-height: 2; }
    }
    """

    def __init__(self, desk: Desk, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._desk = desk
        self._launched: Launched | None = None
        self._steps: tuple[StepLine, ...] = ()
        self._folded: frozenset[tuple[object, ...]] = frozenset()
        self._sorted = False
        self._pair: tuple[int, int] | None = None
        self._trial: Trial | None = None
        self._tried: Tried | None = None

    def compose(self) -> ComposeResult:
        """Lay out the parts."""
        yield Static("", id="timeline-sum", markup=False)
        yield Waterfall(NOTHING)
        yield Static("", id="timeline-step", markup=False)
        yield ChangesList()

    def on_mount(self) -> None:
        """Follow the launch in front."""
        self.query_one(ChangesList).display = False
        self._desk.on_launch.subscribe(self, self.show)

    def on_resize(self) -> None:
        """Share out the lines there are."""
        self.set_class(self.size.height < _TALL, "-middling")
        self.set_class(self.size.height < _SHORT, "-short")
        self._sum_up()
        self._explain()

    # What is shown.

    def show(self, launched: Launched | None) -> None:
        """Show the timeline of a launch, or how it stands now."""
        before, self._launched = self._launched, launched
        same = before is not None and launched is not None and before.number == launched.number
        if not same:
            self._folded, self._sorted = frozenset(), False
            self._leave_comparison()
            if launched is not None and launched.beside is not None and launched.beside in self._desk.launches:
                self._pair = launched.beside, launched.number
        elif before is not None and launched is not None and before.held != launched.held:
            # What a step changed is to be seen in the other panes too.
            self._desk.collector.refresh_now()
        moved = not same or before is None or launched is None or before.timeline != launched.timeline
        self._draw(self._place_to_be() if moved else None)

    def _place_to_be(self) -> Hashable | None:
        """The step done last of a child that is or was held, or has failed, else the slowest: by its key."""
        launched = self._launched
        if launched is None or not launched.timeline:
            return None
        steps = self._listed()
        if launched.was_held or not launched.executed:
            done = [step for step in steps if step.state.done]
            return done[-1].key if done else None
        return by_duration(steps)[0].key

    def _listed(self) -> tuple[StepLine, ...]:
        launched = self._launched
        if launched is None:
            return ()
        return steps_of(launched, places(launched.plan, self._desk.launches.breakpoints))

    def _draw(self, cursor: Hashable | None = None) -> None:
        grid = self.query_one(Waterfall)
        self._steps = self._listed()
        sides = self._sides()
        if sides is not None:
            grid.show(BesideView(compared(*sides)))
        elif self._launched is None:
            grid.show(Nothing(NOTHING))
        else:
            lines = by_duration(self._steps) if self._sorted else grouped(self._steps, self._folded)
            following = next((index for index, line in enumerate(lines) if _is_next(line)), None)
            grid.show(LaunchView(lines, self._launched.timeline, self._launched.was_held), cursor, following)
        held = self._launched is not None and self._launched.held is not None
        self.border_subtitle = _COMPARED if self._compares else _HELD if held else ""
        self._sum_up()
        self._explain()

    def _sum_up(self) -> None:
        width = max(10, self.size.width - 2)
        most = 1 if self.has_class("-short") and self._sides() is None else 2
        self.query_one("#timeline-sum", Static).update(wrapped(self._sums(), width, most))

    def _sums(self) -> list[str]:
        sides = self._sides()
        if self._trial is not None and sides is None:
            done = len(self._tried.runs[0]) if self._tried is not None else 0
            return [f"Launching again: {done} of {trials.COUNT}", trials.WHAT]
        if sides is not None:
            parts = [f"{name} {printable(side.name)}" for name, side in zip("AB", sides, strict=True)]
            return [*parts, trials.WHAT if self._trial is not None else "one run each; M: medians of 20"]
        return [] if self._launched is None else sums(self._launched)

    def _line(self) -> object:
        grid = self.query_one(Waterfall)
        if grid.cursor_line is None or not isinstance(grid.view, LaunchView | BesideView):
            return None
        return grid.view.lines[grid.cursor_line]

    @on(Waterfall.Highlighted)
    def _explain(self) -> None:
        """Explain the line under the cursor, and list what changed by its step."""
        line, launched = self._line(), self._launched
        text = ""
        if isinstance(line, PairLine):
            text = explained(line)
        elif isinstance(line, PhaseLine):
            text = heading_words(line)
        elif isinstance(line, StepLine) and launched is not None:
            text = "\n".join(filter(None, (breakable(traced(line)), why(line, launched.plan))))
        self.query_one("#timeline-step", Static).update(text)
        changes = self._changes_of(line) if isinstance(line, StepLine) else None
        box = self.query_one(ChangesList)
        box.display = changes is not None
        if changes is not None and launched is not None:
            room = max(2, self.size.height // 3)
            box.show(changes, launched.plan)
            box.styles.height = min(box.line_count + 1, room)

    def _changes_of(self, line: StepLine) -> Changes | None:
        """Find what was seen to change when this step, perhaps with others, was done."""
        launched = self._launched
        if launched is None or not line.state.done:
            return None
        among = (one for one in launched.changes if is_among(one, line.index, line.phase, line.label))
        return next(among, None)

    # Looking.

    @on(Waterfall.Chosen)
    @on(ChangesList.Chosen)
    def _choose(self) -> None:
        line, launched = self._line(), self._launched
        if isinstance(line, PhaseLine):
            self._folded ^= {line.key}
            self._draw(line.key)
        elif isinstance(line, StepLine) and launched is not None:
            self.app.push_screen(StepDetails(line, launched, self._changes_of(line)))

    def action_fold(self) -> None:
        """Fold all phases, or unfold them if all are."""
        headings = {line.key for line in grouped(self._steps) if isinstance(line, PhaseLine)}
        self._folded = frozenset() if headings <= self._folded else frozenset(headings)
        self._sorted = False
        self._draw()

    def action_sort(self) -> None:
        """Put the slowest first, or the steps in their order again."""
        self._sorted = not self._sorted
        self._draw(by_duration(self._steps)[0].key if self._sorted and self._steps else None)

    def action_slowest(self) -> None:
        """Go to the slowest step."""
        if self._sides() is None and self._launched is not None and self._launched.timeline:
            self._folded = frozenset()
            self._draw(by_duration(self._steps)[0].key)

    def action_change(self, by: int) -> None:
        """Go to the next, or the last, step that was seen to change something."""
        grid = self.query_one(Waterfall)
        lines: Sequence[object] = grid.view.lines if isinstance(grid.view, LaunchView) else ()
        here = -1 if grid.cursor_line is None else grid.cursor_line
        onward = range(here + 1, len(lines)) if by > 0 else range(here - 1, -1, -1)
        found = next((i for i in onward if isinstance(line := lines[i], StepLine) and line.changed), None)
        if found is not None:
            grid.go_to(found)

    # Stepping.

    def action_step_phase(self) -> None:
        """Have the held child do the rest of the phase it is in, or what comes before a breakpoint in it."""
        launched = self._launched
        if launched is None or launched.held is None:
            return
        ends = [end_of_phase(launched.plan, launched.held), self._desk.launches.next_stop(launched)]
        self._desk.launcher.step_to(launched.number, min(end for end in ends if end is not None))

    def action_breakpoint(self) -> None:
        """Stop before the step under the cursor from now on, or not any more."""
        line, launched = self._line(), self._launched
        if not isinstance(line, StepLine) or launched is None:
            return
        if line.index is None:
            self.notify("A child can be held before its own steps: this is not one.", severity="warning")
            return
        on_it = self._desk.launches.toggle_breakpoint(launched.plan, line.index)
        if on_it and line.state not in (State.TO_COME, State.NEXT):
            self.notify(f"The next launch stops before {printable(line.label)}.", markup=False)
        self._draw()

    def action_no_breakpoints(self) -> None:
        """Take all breakpoints away."""
        self._desk.launches.breakpoints = frozenset()
        self._draw()

    # Comparing.

    def _sides(self) -> tuple[Side, Side] | None:
        """The two that are compared, if two are."""
        if self._trial is not None:
            if self._tried is None or len(self._tried.runs[0]) < self._tried.wanted:
                return None
            sides = [Side(name, runs) for name, runs in zip(self._trial.names, self._tried.runs, strict=True)]
            return (self._trial.beside, sides[0]) if self._trial.beside is not None else (sides[0], sides[1])
        launches = self._desk.launches
        if self._pair is None or not all(number in launches for number in self._pair):
            return None
        one, two = (side_of(launches[number]) for number in self._pair)
        return one, two

    @property
    def _compares(self) -> bool:
        """Whether two launches are compared, or are going to be."""
        return self._trial is not None or self._sides() is not None

    def _leave_comparison(self) -> None:
        self._pair = self._trial = self._tried = None

    def action_alone(self) -> None:
        """Show the launch in front alone again."""
        if self._pair is not None or self._trial is not None:
            self._leave_comparison()
            self._draw(self._place_to_be())

    @work
    async def action_beside(self) -> None:
        """Put another launch beside the one in front."""
        launched = self._launched
        if launched is None:
            return
        others = [one for one in self._desk.launches if one.number != launched.number]
        if not others:
            self.notify("There is no other launch: V launches this one again by another call.", severity="warning")
            return
        chosen: str | None = str(others[0].number)
        if len(others) > 1:
            chosen = await self.app.push_screen_wait(LaunchChoice(others))
        if chosen is not None:
            self._leave_comparison()
            self._pair = launched.number, int(chosen)
            self._draw()

    @work
    async def action_by_another(self) -> None:
        """Launch the same Spec by another call, to be compared with the one in front."""
        launched = self._launched
        if launched is None:
            return
        chosen = await self.app.push_screen_wait(MechanismChoice(launched.spec, launched.plan.mechanism))
        if chosen is not None:
            self._desk.launcher.launch(replace(launched.spec, via=Mechanism(chosen)), beside=launched.number)

    def action_medians(self) -> None:
        """Launch the one in front, or both that are compared, many times, and compare the medians."""
        launched = self._launched
        if launched is None or (self._trial is not None and self._sides() is None):
            return
        pair = self._pair if self._sides() is not None else None
        ones = [self._desk.launches[number] for number in pair] if pair is not None else [launched]
        for one in ones:
            if against := trials.obstacle(one.spec):
                self.notify(f"Not launched many times: {printable(against)}.", severity="warning", markup=False)
                return
        # The call that was chosen for the one launched may not be what would be chosen now.
        specs = tuple(replace(trials.probe_of(one.spec), via=one.plan.mechanism) for one in ones)
        names = tuple(f"median of {trials.COUNT} {one.plan.mechanism}" for one in ones)
        self._tried, self._trial = None, Trial(specs, names, None if len(ones) > 1 else side_of(launched))
        self._desk.launcher.try_out(specs, trials.COUNT, self.post_message)
        self._draw()

    @on(Tried)
    def _take_trial(self, message: Tried) -> None:
        """Note how far the launches are; show the medians when all are done."""
        message.stop()
        if self._trial is None or len(message.runs) != len(self._trial.specs):
            return
        if message.error is not None:
            self._trial = None
            self.notify(f"Launching again failed: {printable(str(message.error))}", severity="error", markup=False)
        self._tried = message
        if message.error is not None or len(message.runs[0]) == message.wanted:
            self._draw()
        else:
            self._sum_up()


def _is_next(line: Line) -> bool:
    """Tell whether the child waits before this step, or in this phase whose steps are not shown."""
    return line.state is State.NEXT and (isinstance(line, StepLine) or line.folded)
