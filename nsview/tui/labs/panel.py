"""The labs pane: lists the labs, runs one with its findings as they come, and waits at each scene if wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer

from nsview.host.model import Identity
from nsview.host.text import printable
from nsview.labs.lab import Event, Lab, Report, Scene, Setting, Stage
from nsview.labs.table import LABS, find
from nsview.tui.acting.signals import start_time_of
from nsview.tui.collecting.collector import Frame
from nsview.tui.desk import Compare, Desk, GoTo, Release
from nsview.tui.diff.whole_value import WholeValue
from nsview.tui.labs.lines import (
    NAME_WIDTH,
    Line,
    Told,
    arranged,
    counted,
    first_wrong,
    lines_of_event,
    lines_of_labs,
    text_of,
    whole,
    worded,
)
from nsview.tui.labs.list import LabList
from nsview.tui.labs.performer import Performer
from nsview.tui.labs.prompt import Offer, Prompt

READ_ONLY = "Labs launch processes: with --read-only none is run."
BUSY = "One lab at a time: Esc ends the one that runs."
_TICK = 0.1
"""Seconds between two looks at the clock while a lab runs."""


@dataclass(slots=True)
class Run:
    """A lab that runs or has run."""

    lab: Lab
    thorough: bool
    began: float
    events: list[Event] = field(default_factory=list)
    scene: Scene | None = None
    """Where it waits for a key."""
    report: Report | None = None
    """What it came to, once it is over."""
    stopped: bool = False
    """Whether it was ended before its end."""
    seconds: float = 0.0
    """How long it took, or has taken up to now; what a person took to look is in it."""
    _fitted: list[Told] = field(default_factory=list)
    _width: int = 0

    @property
    def stage(self) -> str:
        """What it is at."""
        return next((event.title for event in reversed(self.events) if isinstance(event, Stage)), "")

    def lines(self, width: int) -> tuple[Line, ...]:
        """Return all that was told; an event is fitted to a width once."""
        if width != self._width:
            self._fitted, self._width = [], width
        for index in range(len(self._fitted), len(self.events)):
            self._fitted.append(lines_of_event(self.events[index], index, width))
        return arranged(self._fitted, self.report, self.stopped, width)

    @property
    def told(self) -> Report:
        """What it came to, or has told up to now."""
        return self.report or Report(self.lab, tuple(self.events))

    @property
    def outcome(self) -> str:
        """What came of it, in few words."""
        if self.report is None:
            return "runs"
        end = "" if not self.stopped else ", ended before its end"
        error = f", ended early: {printable(self.report.error)}" if self.report.error else ""
        return f"{worded(counted(self.events))}  in {self.seconds:.1f} s{end}{error}"


class LabsPanel(Vertical):
    """Runs labs, one at a time."""

    HELP = """
    # Labs: ask the kernel

    Experiments on fork and clone. Each puts questions to the running kernel, in processes that it makes and
    throws away: what was done, what was expected by the rules that nsview tells you everywhere, what the kernel
    answered. `✓` as expected, `✗` otherwise (the expectation failed), `–` left out: it could not be asked here.

    Step by step (`s`) it stops where there are two processes worth a look: the tree's cursor goes to the child,
    and the difference to its parent is in pane 2, for as long as you like. Nothing is left of a lab that is ended
    (`Esc`), or with which nsview is left; the step that it is at is finished first.

    | key | does |
    |---|---|
    | `Enter` | run the lab under the cursor to its end; from a scene go on to the next |
    | `s` | run it step by step; go on to the next scene |
    | `r` | run it to its end, without stops from here on |
    | `T` | run it thoroughly, as for a page: that may take minutes |
    | `Esc` | end the lab that runs; then back to the list |
    | `v` | what the lab under the cursor told when it was run last |
    | `Enter` `w` | all of a line: the reason, the rule, the numbers |
    | `f` | the next expectation that failed |
    | `y` | copy what was told, as text |

    `nsview lab NAME` does the same in a terminal. What a lab measures is kept: `nsview advise` quotes it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "lab_step", "Step", id="labs.step", tooltip="run step by step; on to the next scene"),
        Binding("r", "lab_run", "Run", id="labs.run", tooltip="run to the end, without stops"),
        Binding("T", "lab_thorough", "Thorough", show=False, id="labs.thorough", tooltip="run for minutes"),
        Binding("v", "lab_view", "View", show=False, id="labs.view", tooltip="what it told when it was run last"),
        Binding("f", "lab_failed", "Next ✗", show=False, id="labs.failed", tooltip="the next that failed"),
        Binding("y", "lab_copy", "Copy", show=False, id="labs.copy", tooltip="copy what was told, as text"),
        Binding("escape", "lab_leave", "End, back", show=False, id="labs.leave", tooltip="end the lab; the list"),
    ]

    DEFAULT_CSS = """
    LabsPanel { background: $surface; }
    """

    def __init__(self, desk: Desk, *, id: str | None = None, classes: str | None = None) -> None:
        """Begin with the list."""
        super().__init__(id=id, classes=classes)
        self.run: Run | None = None
        """What is shown; None: the labs there are."""
        self._desk = desk
        self._performer = Performer(self.post_message)
        self._runs: dict[str, Run] = {}
        self._ticking: Timer | None = None
        self._awaited: tuple[Identity, Identity] | None = None
        self._compared: tuple[Identity, Identity] | None = None
        desk.at_the_end(self._performer.close)

    def compose(self) -> ComposeResult:
        """The lines, and below them what is to be done."""
        yield LabList()
        yield Prompt(id="labs-prompt")

    def on_mount(self) -> None:
        """Begin to follow the machine."""
        self._desk.on_frame.subscribe(self, self._looked)
        self._ticking = self.set_interval(_TICK, self._tick, pause=True)
        self._draw(False)

    def on_unmount(self) -> None:
        """End the lab."""
        self._performer.close()

    @property
    def _list(self) -> LabList:
        return self.query_one(LabList)

    @property
    def running(self) -> Run | None:
        """The lab that runs."""
        return next((run for run in self._runs.values() if run.report is None), None)

    # A lab runs.

    def begin(self, lab: Lab, *, stepping: bool, thorough: bool = False) -> None:
        """Run a lab, unless that is switched off or one runs already."""
        if self._desk.read_only:
            self.notify(READ_ONLY, severity="warning")
        elif self.running is not None:
            self.notify(BUSY, severity="warning")
        else:
            self.run = self._runs[lab.name] = Run(lab, thorough, monotonic())
            if self._ticking is not None:
                self._ticking.resume()
            self._list.cursor_line = None
            self._draw(True)
            self._performer.begin(lab, Setting(thorough=thorough), stepping)

    def begin_named(self, name: str, *, stepping: bool) -> None:
        """Run the lab of this name."""
        self.begin(find(name), stepping=stepping)

    def on_performer_told(self, message: Performer.Told) -> None:
        """Show an event as it comes."""
        message.stop()
        run = self.running
        if run is None:
            return
        run.events.append(message.event)
        if message.held and isinstance(message.event, Scene):
            run.scene = message.event
            self._set(message.event)
        self._told(run)

    def on_performer_over(self, message: Performer.Over) -> None:
        """Show what it came to."""
        message.stop()
        self._end(message.report, message.stopped)
        if message.unkept:
            self.notify(printable(message.unkept), severity="warning", markup=False)

    def on_performer_broken(self, message: Performer.Broken) -> None:
        """Say that it was the lab's own fault."""
        message.stop()
        self._end(message.report, False)
        text = f"Lab {message.report.lab.name} is broken: {message.report.error}. What it had made is taken away."
        self.notify(printable(text), severity="error", timeout=10, markup=False)

    def _end(self, report: Report, stopped: bool) -> None:
        run = self.running
        assert run is not None
        assert self._ticking is not None
        self._ticking.pause()
        run.report, run.stopped, run.scene = report, stopped, None
        run.seconds = monotonic() - run.began
        self._strike()
        self._told(run)
        wrong = first_wrong(self._list.lines, -1) if run is self.run else None
        if wrong is not None and self._list.follows:
            self._list.move_cursor(wrong)

    def _told(self, run: Run) -> None:
        if run is self.run:
            self._draw(self._list.follows)
        elif self.run is None:
            self._draw(False)

    # A scene.

    def _set(self, scene: Scene) -> None:
        """Have the machine looked at: the two have no rows yet."""
        try:
            self._awaited = _identity(scene.parent), _identity(scene.child)
        except (FileNotFoundError, ProcessLookupError):
            self._awaited = None  # one of them is gone already: there is nothing to be seen but what is said
        else:
            self._desk.collector.refresh_now()

    def _looked(self, frame: Frame) -> None:
        """Go to the child, and compare the two, once it has a row."""
        if self._awaited is None or frame.rows.record_of(self._awaited[1]) is None:
            return
        self._compared, self._awaited = self._awaited, None
        self.post_message(GoTo(self._compared[1]))
        self.post_message(Compare(*self._compared, front=False))

    def _strike(self) -> None:
        """Let the two go."""
        self._awaited = None
        if self._compared is not None:
            self.post_message(Release(*self._compared))
            self._compared = None

    def _go_on(self, stepping: bool) -> None:
        run = self.running
        if run is not None:
            run.scene, self._awaited = None, None
            if not stepping:
                self._strike()
            self._performer.go_on(stepping)
            self._draw(True)

    # What is drawn.

    def _tick(self) -> None:
        run = self.running
        if run is not None:
            run.seconds = monotonic() - run.began
            self._head()
            self._ask()

    def on_lab_list_resized(self, message: LabList.Resized) -> None:
        """Fit the lines to the new width."""
        message.stop()
        self._draw(self.run is not None and self._list.follows)

    def _draw(self, follow: bool) -> None:
        shown, run, width = self._list, self.run, self._list.line_width
        if run is None:
            outcomes = {name: each.outcome for name, each in self._runs.items()}
            shown.show(lines_of_labs(LABS, outcomes, width), False)
        else:
            shown.show(run.lines(width), follow)
        self._head()
        self._ask()

    def _head(self) -> None:
        run = self.run
        if run is None:
            self._list.head(f"{'lab':{NAME_WIDTH}}what it answers")
            return
        how = "■ ended" if run.stopped else "■ done" if run.report is not None else "▸ waits" if run.scene else "▶ runs"
        parts = [f"{run.lab.name}{' thoroughly' if run.thorough else ''} {how}", f"{run.seconds:.1f} s"]
        parts += [worded(counted(run.events)), "" if run.report is not None else printable(run.stage)]
        self._list.head("  ".join(part for part in parts if part))

    def _ask(self) -> None:
        """Say what is to be seen, and which keys go on."""
        said = Content("")
        offers: tuple[Offer, ...] = _LISTED
        run = self.run
        if self._desk.read_only:
            said, offers = Content(READ_ONLY), ()
        elif run is None and self.running is not None:
            offers = (Offer("v", "what it tells", "lab_view"), _END)
        elif run is not None and run.report is not None:
            offers = _OVER
        elif run is not None and self._performer.stopping:
            said, offers = Content("It ends as soon as the step that it is at is done."), ()
        elif run is not None and run.scene is not None:
            look = f" {printable(run.scene.look)}" if run.scene.look else ""
            said = Content.assemble((f"▸ {printable(run.scene.title)}.", "bold"), look)
            offers = _HELD if self._beside else (*_HELD, *_ELSEWHERE)
        elif run is not None:
            offers = (_END, Offer("s", "stop at the next scene", "lab_step"))
        self.query_one(Prompt).say(said, offers)

    @property
    def _beside(self) -> bool:
        """Whether the tree and the difference are on the screen as well."""
        return not self.screen.has_class("-narrow") and not any(node.has_class("-zoom") for node in self.ancestors)

    # Keys.

    async def on_prompt_taken(self, message: Prompt.Taken) -> None:
        """Do what was clicked on as if its key had been pressed."""
        message.stop()
        self._list.focus()
        await self.run_action(message.action)

    def on_lab_list_chosen(self, message: LabList.Chosen) -> None:
        """Run a lab; go on from a scene; or show all of a line."""
        message.stop()
        if self.run is None and message.about is not None:
            self.begin(LABS[message.about], stepping=False)
        elif self.run is not None and self.run.scene is not None:
            self._go_on(True)
        elif self.run is not None and self.run.report is not None:
            self._open(message.about)  # not before: who presses Enter once more wants the next scene

    def on_lab_list_whole(self, message: LabList.Whole) -> None:
        """Show all of a line."""
        message.stop()
        self._open(message.about)

    def _open(self, about: int | None) -> None:
        if self.run is not None and about is not None:
            self.app.push_screen(WholeValue(whole(self.run.events[about])))

    @property
    def _lab(self) -> Lab | None:
        """The lab under the cursor, or whose results are shown."""
        if self.run is not None:
            return self.run.lab
        return None if self._list.about is None else LABS[self._list.about]

    def action_lab_go_on(self) -> None:
        """Go on from a scene to the next."""
        self._go_on(True)

    def action_lab_step(self) -> None:
        """Run step by step; go on to the next scene."""
        self._run_or_go_on(stepping=True)

    def action_lab_run(self) -> None:
        """Run to the end."""
        self._run_or_go_on(stepping=False)

    def _run_or_go_on(self, *, stepping: bool) -> None:
        if self.run is not None and self.run is self.running:
            self._go_on(stepping)
        elif self._lab is not None:
            self.begin(self._lab, stepping=stepping)

    def action_lab_thorough(self) -> None:
        """Run as for a page."""
        if self._lab is not None:
            self.begin(self._lab, stepping=False, thorough=True)

    def action_lab_view(self) -> None:
        """Show what the lab under the cursor has told."""
        lab = self._lab
        found = self.running if self.run is None and self.running is not None else None
        found = found or (None if lab is None else self._runs.get(lab.name))
        if found is None:
            self.notify("It was not run yet: Enter runs it.")
        else:
            self.run = found
            self._list.cursor_line = None
            self._draw(found.report is None)

    def action_lab_failed(self) -> None:
        """Go to the next expectation that failed."""
        shown = self._list
        wrong = first_wrong(shown.lines, -1 if shown.cursor_line is None else shown.cursor_line)
        if wrong is None:
            self.notify("No expectation has failed here.")
        else:
            shown.move_cursor(wrong)

    def action_lab_leave(self) -> None:
        """End the lab that runs; else go back to the list."""
        if self.running is not None:
            self._performer.stop()
            self._ask()
        elif self.run is not None:
            at = LABS.index(self.run.lab) if self.run.lab in LABS else 0
            self.run = None
            self._list.cursor_line = None
            self._draw(False)
            self._list.move_cursor(next(i for i, line in enumerate(self._list.lines) if line.about == at))

    def action_lab_copy(self) -> None:
        """Copy what was told to the clipboard."""
        if self.run is None:
            self.app.copy_to_clipboard("".join(f"{lab.name}\t{lab.question}\n" for lab in LABS))
            self.notify("Copied: the labs and their questions.")
        else:
            self.app.copy_to_clipboard(text_of(self.run.told))
            self.notify("Copied: what the lab told, as nsview lab prints it.")


_END = Offer("Esc", "ends it", "lab_leave")
_LISTED = (
    Offer("Enter", "runs it", "lab_run"),
    Offer("s", "step by step", "lab_step"),
    Offer("T", "thoroughly", "lab_thorough"),
    Offer("v", "last result", "lab_view"),
)
_HELD = (
    Offer("Enter", "next", "lab_go_on"),
    Offer("r", "to the end", "lab_run"),
    _END,
)
_ELSEWHERE = (Offer("2", "difference"), Offer("9", "back"))
_OVER = (
    Offer("Esc", "the labs", "lab_leave"),
    Offer("r", "again", "lab_run"),
    Offer("s", "step by step", "lab_step"),
    Offer("Enter", "all of a line"),
    Offer("y", "copies", "lab_copy"),
)


def _identity(pid: int) -> Identity:
    return pid, start_time_of(pid)
