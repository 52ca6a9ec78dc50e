"""The labs pane: real labs run in it, step by step and to the end; what goes wrong is told, and nothing is left."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from types import ModuleType

import pytest
from golden import assert_golden
from leftovers import Census
from rich.cells import cell_len
from screen import SIZES, lines_of, until
from textual.app import App, ComposeResult
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from nsview.labs import kept
from nsview.labs.lab import (
    Axis,
    Conclusion,
    Event,
    Finding,
    Lab,
    Measurement,
    Report,
    Scene,
    Series,
    Setting,
    Spread,
    Stage,
    Verdict,
)
from nsview.labs.running import perform
from nsview.labs.table import LABS, find
from nsview.labs.telling import told
from nsview.tui.app import NsviewApp
from nsview.tui.desk import Desk
from nsview.tui.diff.panel import DiffPanel
from nsview.tui.diff.whole_value import WholeValue
from nsview.tui.labs.lines import Line, Look, arranged, first_wrong, lines_of_event, text_of
from nsview.tui.labs.list import LabList
from nsview.tui.labs.panel import BUSY, READ_ONLY, LabsPanel, Run
from nsview.tui.labs.prompt import Prompt
from nsview.tui.processes.table import ProcTable
from spawner import first_process

OVER_WITHIN = 60.0
"""Seconds after which a lab, which takes some three alone, is held not to end."""

ROWS = (
    Lab("first", "The first", "What is it that the first of the labs asks the kernel, and how?", "1", "faulty:run"),
    Lab("second", "The second", "What does the second ask?", "2", "faulty:run"),
)
"""Rows of labs whose words do not change when those of the real ones do."""

EVENTS: tuple[Event, ...] = (
    Stage("CLONE_VM", "Runs the child in the caller's memory."),
    Scene("A child with CLONE_VM", 4701, 4711, "sharing: one object, or two?"),
    Finding("vm.kcmp", "ask kcmp(2), KCMP_VM", "one object", "one object", Verdict.AS_EXPECTED, flag="CLONE_VM"),
    Finding(
        "vm.exec", "the same after execve", "two objects", "one object", Verdict.OTHERWISE, "execve makes a new one"
    ),
    Conclusion("early", "It was told before the end.", numbers={"bytes": 4096}),
    Stage("What it costs"),
    Finding("cost", "ask for the cost", "little", "", Verdict.LEFT_OUT, "it takes root"),
    Measurement(
        "sizes",
        "A child by the parent's size",
        Axis("size", "bytes", logarithmic=True),
        Axis("time", "ns", logarithmic=True),
        tuple(
            Series(name, tuple((x, Spread(y, y * 0.9, y * 1.2, 7)) for x, y in ((1 << 24, one), (1 << 28, two))))
            for name, one, two in (("fork", 300_000.0, 4_000_000.0), ("clone3", 280_000.0, 290_000.0))
        ),
    ),
    Conclusion("wrong", "What was to follow does not.", Verdict.OTHERWISE),
)


def a_run(*, scene: bool = False) -> Run:
    """A run as it looks at a scene, or when it is over."""
    events = EVENTS[:2] if scene else EVENTS
    told_scene = events[1] if scene else None
    assert told_scene is None or isinstance(told_scene, Scene)
    report = None if scene else Report(ROWS[0], events)
    return Run(ROWS[0], False, 0.0, [*events], told_scene, report, seconds=2.5)


def lines_told(width: int, report: Report | None, stopped: bool = False) -> tuple[Line, ...]:
    """The lines of all the events."""
    told_all = [lines_of_event(event, index, width) for index, event in enumerate(EVENTS)]
    return arranged(told_all, report, stopped, width)


class PaneApp(App[None]):
    """A pane alone on the screen."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(self)
        self.pane = LabsPanel(self.desk)

    def compose(self) -> ComposeResult:
        yield self.pane

    @property
    def list(self) -> LabList:
        return self.pane.query_one(LabList)

    @property
    def prompt(self) -> str:
        """What is said below the list."""
        return self.pane.query_one(Prompt).text

    def find(self, *words: str) -> str | None:
        """Return the line in view that has all these words."""
        return next((line for line in lines_of(self.list) if all(word in line for word in words)), None)

    def show(self, run: Run) -> None:
        """Show a run as if it had come about."""
        self.pane.run = run
        self.pane._draw(False)


Script = Callable[[PaneApp, Pilot[None]], Awaitable[None]]


def play(script: Script, size: tuple[int, int] = (80, 24)) -> None:
    async def run() -> None:
        app = PaneApp()
        async with app.run_test(size=size) as pilot:
            app.list.focus()
            await until(lambda: app.list.has_focus and app.list.lines)
            await script(app, pilot)

    asyncio.run(run())


@asynccontextmanager
async def running(size: tuple[int, int] = (120, 40), **how: bool) -> AsyncIterator[tuple[NsviewApp, Pilot[None]]]:
    """Run the app on this machine with the pane in front."""
    app = NsviewApp(**how)  # type: ignore[arg-type]
    async with app.run_test(size=size) as pilot:
        await until(lambda: len(app.query_one(ProcTable).rows) > 1)
        await pilot.press("9")
        await until(lambda: isinstance(app.focused, LabList))
        try:
            yield app, pilot
        finally:
            await app.end_launches()
            await pilot.pause()


def pane_of(app: NsviewApp) -> LabsPanel:
    return app.query_one(LabsPanel)


def messages(app: App[None]) -> list[str]:
    """What was notified and is still shown."""
    return [one.message for one in app._notifications]


async def at_a_scene(pane: LabsPanel, other_than: Scene | None = None) -> Scene:
    """Wait until the lab waits, at another scene than this."""
    await until(lambda: pane.run is not None and pane.run.scene not in (None, other_than))
    assert pane.run is not None
    assert pane.run.scene is not None
    return pane.run.scene


async def over(pane: LabsPanel) -> Report:
    """Wait until the lab is over."""
    run = pane.running or pane.run
    assert run is not None
    end = monotonic() + OVER_WITHIN
    while run.report is None:
        assert monotonic() < end, f"it is not over; it is at {run.stage}"
        await asyncio.sleep(0.01)
    return run.report


# What it looks like.


@pytest.mark.parametrize("size", [(50, 12), *SIZES])
def test_the_labs_as_they_are_listed(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nsview.tui.labs.panel.LABS", ROWS)

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane._runs["second"] = a_run()
        app.pane._draw(False)
        await until(lambda: app.find("second"))
        await pilot.pause()
        assert_golden(app, "labs-list")

    play(script, size)


@pytest.mark.parametrize("size", [(50, 12), *SIZES])
def test_a_lab_that_waits_as_it_looks(size: tuple[int, int]) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.show(a_run(scene=True))
        await until(lambda: "A child with CLONE_VM" in app.prompt)
        await pilot.pause()
        assert_golden(app, "labs-scene")

    play(script, size)


@pytest.mark.parametrize("size", [(50, 12), *SIZES])
def test_what_a_lab_has_told_as_it_looks(size: tuple[int, int]) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.show(a_run())
        await until(lambda: app.find("first ■ done", "2.5 s"))
        await pilot.press("home")
        await pilot.pause()
        assert {cell_len(line) for line in lines_of(app.list)} == {app.list.line_width}
        assert_golden(app, "labs-told")

    play(script, size)


def test_what_follows_comes_last_and_all_of_it_is_summed_up() -> None:
    report = Report(ROWS[0], EVENTS)
    texts = [line.text for line in lines_told(80, report)]
    heading = texts.index("── What follows")
    assert heading > max(index for index, text in enumerate(texts) if "median" in text)
    assert [text for text in texts[heading + 1 :] if text] == [
        " ✓ It was told before the end.",
        " ✗ What was to follow does not.",
        "first: 2 as expected, 2 otherwise, 1 left out",
    ]
    before = [line.text for line in lines_told(80, None)]
    assert before.index(" ✓ It was told before the end.") < before.index("── What it costs")


def test_what_failed_is_marked_by_its_sign_and_in_words_not_by_colour_alone() -> None:
    lines = lines_told(80, Report(ROWS[0], EVENTS))
    wrong = first_wrong(lines, -1)
    assert wrong is not None
    assert lines[wrong].text == " ✗ the same after execve"
    assert any(line.text.startswith("   NOT AS EXPECTED: execve") and line.look is Look.WRONG for line in lines)
    second = first_wrong(lines, wrong)
    assert second is not None
    assert lines[second].text == " ✗ What was to follow does not."
    assert first_wrong(lines, second) == wrong


@pytest.mark.parametrize("width", [40, 52, 78, 200])
def test_no_line_is_wider_than_the_pane(width: int) -> None:
    for line in lines_told(width, Report(ROWS[0], EVENTS, "no such file: /" + "x" * 20), stopped=True):
        assert cell_len(line.text) <= width


def test_lines_are_fitted_anew_when_the_pane_is_resized() -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.show(a_run())
        await until(lambda: app.list.lines)
        for size in ((50, 20), (140, 40)):
            await pilot.resize_terminal(*size)
            wanted = lines_told(app.list.line_width, Report(ROWS[0], EVENTS))
            await until(lambda wanted=wanted: app.list.lines == wanted)

    play(script)


def test_all_of_a_line_can_be_read_and_the_next_that_failed_is_found() -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.show(a_run())
        await pilot.press("f")
        await until(lambda: app.list.about == 3)
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, WholeValue))
        text = str(app.screen.query("Static").first().content)  # type: ignore[attr-defined]
        assert "expected: two objects\nkernel: one object\nwhy: execve makes a new one\nkey: vm.exec" in text
        await pilot.press("escape")
        await until(lambda: not isinstance(app.screen, WholeValue))
        await pilot.press("f")
        await until(lambda: app.list.about == 8)
        await pilot.press("f", "w")
        await until(lambda: isinstance(app.screen, WholeValue))
        assert "vm.exec" in str(app.screen.query("Static").first().content)  # type: ignore[attr-defined]

    play(script)


def test_every_kind_of_event_can_be_opened() -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.show(a_run())
        for about, words in ((0, "in the caller's memory"), (1, "4711"), (4, "bytes: 4096"), (7, "clone3")):
            app.list.move_cursor(next(i for i, line in enumerate(app.list.lines) if line.about == about))
            await pilot.press("w")
            await until(lambda: isinstance(app.screen, WholeValue))
            assert words in str(app.screen.query("Static").first().content)  # type: ignore[attr-defined]
            await pilot.press("escape")
            await until(lambda: not isinstance(app.screen, WholeValue))

    play(script)


def test_what_was_told_can_be_copied_as_the_command_prints_it() -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("y")
        await until(lambda: f"sharing\t{find('sharing').question}\n" in app.clipboard)
        app.show(a_run())
        await pilot.press("y")
        await until(lambda: app.clipboard == text_of(Report(ROWS[0], EVENTS)))
        for event in EVENTS:
            assert "\n".join(told(event, None)) in app.clipboard

    play(script)


# Real labs.


def test_a_lab_is_run_to_its_end_and_told_as_the_kernel_answers(nothing_left: Census) -> None:
    wanted = perform(find("sharing"), Setting())

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        report = await over(app.pane)
        assert report.findings == wanted.findings
        assert report.conclusions == wanted.conclusions
        await until(lambda: app.find("sharing ■ done"))
        await until(lambda: app.find(f"sharing: {len(report.judged)} as expected") or report.failed)
        assert "runs" not in app.prompt
        assert app.pane.running is None
        await pilot.press("escape")
        await until(lambda: app.find("in ", " s") and app.find("sharing", "Which things"))
        assert app.list.about == 0
        await pilot.press("v")
        await until(lambda: app.find("sharing ■ done"))

    play(script, (120, 40))


def test_the_stage_and_the_time_it_takes_are_shown_while_it_runs(nothing_left: Census) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await at_a_scene(app.pane)
        first = await until(lambda: app.find("sharing ▸ waits", " s ", "CLONE_VM"))
        await until(lambda: app.find("sharing ▸ waits") not in (None, first))  # the clock goes on

    play(script)


@pytest.mark.parametrize("size", SIZES)
async def test_step_by_step_the_tree_goes_to_the_child_and_the_difference_is_that_of_the_two(
    size: tuple[int, int], nothing_left: Census
) -> None:
    async with running(size) as (app, pilot):
        pane, diff = pane_of(app), app.query_one(DiffPanel)
        before: Scene | None = None
        for key, with_it in (("s", True), ("enter", False), ("s", None)):
            await pilot.press(key)
            scene = await at_a_scene(pane, before)
            assert Path(f"/proc/{scene.child}").exists(), "the child waits"
            await until(lambda scene=scene: app.desk.process is not None and app.desk.process[0] == scene.child)
            await until(
                lambda scene=scene: (
                    diff.pair is not None and (diff.pair.parent[0], diff.pair.child[0]) == (scene.parent, scene.child)
                )
            )
            assert isinstance(app.focused, LabList), "the keys stay here"
            prompt = pane.query_one(Prompt).text
            assert scene.title in prompt
            assert scene.look in prompt
            assert "Enter next" in prompt
            assert "r to the end" in prompt
            assert ("2 difference" in prompt) == (size[0] < 100)
            if with_it is not None:
                await pilot.press("2")
                await until(lambda with_it=with_it: with_it in {r.same for r in diff._rows if r.attribute == "VM"})
                await pilot.press("9")
            before = scene
        await pilot.press("escape")
        report = await over(pane)
        assert report.error is None
        await until(lambda: not diff.held)


async def test_from_a_scene_it_goes_to_its_end_without_stops_and_the_two_are_let_go(nothing_left: Census) -> None:
    async with running() as (app, pilot):
        pane, diff = pane_of(app), app.query_one(DiffPanel)
        await pilot.press("s")
        await at_a_scene(pane)
        await until(lambda: diff.held)
        await pilot.press("r")
        report = await over(pane)
        assert sum(isinstance(event, Scene) for event in report.events) > 1
        assert pane.run is not None
        assert not pane.run.stopped
        await until(lambda: not diff.held)


async def test_a_scene_is_shown_though_the_picture_stands_still(nothing_left: Census) -> None:
    async with running() as (app, pilot):
        await pilot.press("p")
        assert app.collector.paused
        await pilot.press("s")
        scene = await at_a_scene(pane_of(app))
        await until(lambda: app.desk.process is not None and app.desk.process[0] == scene.child)


async def test_a_pair_chosen_by_hand_after_the_scene_stays(nothing_left: Census) -> None:
    async with running() as (app, pilot):
        diff, pane = app.query_one(DiffPanel), pane_of(app)
        await pilot.press("s")
        scene = await at_a_scene(pane)
        await until(lambda: diff.pair is not None and diff.pair.child[0] == scene.child)
        app.compare(app.desk.me, app.desk.me, held=True)
        await pilot.press("escape")
        await over(pane)
        await pilot.pause()
        assert diff.held
        assert diff.pair is not None
        assert diff.pair.child == app.desk.me


def test_escape_ends_a_lab_at_its_scene_and_leaves_nothing(nothing_left: Census) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        scene = await at_a_scene(app.pane)
        await pilot.press("escape")
        report = await over(app.pane)
        assert report.events[-1] == scene
        await until(lambda: app.find("sharing ■ ended") and app.find("It was ended before its end."))
        assert not Path(f"/proc/{scene.parent}").exists()
        await pilot.press("escape")
        await until(lambda: app.find("ended before its end"))  # in the list
        await pilot.press("s")
        await at_a_scene(app.pane)  # and it can be run again

    play(script)


@pytest.mark.parametrize("keys", [("s",), ("enter",), ("s", "enter", "enter")])
async def test_whoever_quits_in_the_middle_of_a_lab_leaves_nothing(keys: tuple[str, ...], nothing_left: Census) -> None:
    async with running() as (app, pilot):
        await pilot.press(*keys)
        await until(lambda: pane_of(app).run is not None and pane_of(app).run.events)  # type: ignore[union-attr]
        await pilot.press("q")
        await until(lambda: not app.is_running)


def test_a_pane_that_is_closed_in_the_middle_leaves_nothing_and_begins_nothing_more(nothing_left: Census) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await at_a_scene(app.pane)
        await asyncio.to_thread(app.desk.close)
        await over(app.pane)
        app.pane._performer.begin(find("sharing"), Setting(), True)

    play(script)


def test_one_lab_runs_at_a_time_and_the_list_says_which(nothing_left: Census) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await at_a_scene(app.pane)
        app.pane.begin_named("pid1", stepping=False)
        await until(lambda: BUSY in messages(app))
        assert app.pane.run is not None
        assert app.pane.run.lab.name == "sharing"

    play(script)


@pytest.mark.needs("pid_namespace")
def test_an_expectation_that_failed_is_gone_to(monkeypatch: pytest.MonkeyPatch, nothing_left: Census) -> None:
    monkeypatch.setitem(first_process.FROM_INSIDE, signal.SIGTERM, first_process.Effect.ENDED)

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.begin_named("pid1", stepping=False)
        report = await over(app.pane)
        assert report.failed
        await until(lambda: app.find(" ✗ ") and app.find("NOT AS EXPECTED"))
        assert re.search(r"\d ✗", app.list.heading)
        assert app.list.lines[app.list.cursor_line or 0].sign is Verdict.OTHERWISE

    play(script, (100, 40))


# What goes wrong.


def lab_of(monkeypatch: pytest.MonkeyPatch, run: Callable[[Setting], Iterator[Event]]) -> Lab:
    """Make a lab of this function: no real one is faulty."""
    module = ModuleType("nsview.labs.faulty")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nsview.labs.faulty", module)
    monkeypatch.setattr("nsview.tui.labs.panel.LABS", ROWS)
    return ROWS[0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_lab_that_raises_is_said_to_be_broken_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, nothing_left: Census
) -> None:
    def run(_setting: Setting) -> Iterator[Event]:
        child = subprocess.Popen(["sleep", "1000"])
        try:
            yield Stage("Something")
            raise KeyError("what [is] not there")
        finally:
            child.kill()
            child.wait()

    lab_of(monkeypatch, run)

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        report = await over(app.pane)
        assert report.error == "KeyError: 'what [is] not there'"
        await until(lambda: any("Lab first is broken: KeyError: 'what [is] not there'" in m for m in messages(app)))
        assert app.find("first: ended early: KeyError")
        await pilot.press("escape", "enter")  # and another can be begun
        await until(lambda: app.pane.run is not None)
        await over(app.pane)

    play(script)


def test_a_call_that_the_kernel_refuses_ends_it_early_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_setting: Setting) -> Iterator[Event]:
        yield Stage("Something")
        Path("/proc/no-such-file").read_text()

    lab_of(monkeypatch, run)

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        assert (await over(app.pane)).failed
        await until(lambda: app.find("ended early: No such file or directory: /proc/no-such-file"))
        await pilot.press("escape")
        await until(lambda: app.find("ended early"))

    play(script)


SIZES_MEASURED = next(event for event in EVENTS if isinstance(event, Measurement))


def measures(_setting: Setting) -> Iterator[Event]:
    yield Stage("Something")
    yield SIZES_MEASURED


def test_what_a_lab_measured_is_kept_for_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = lab_of(monkeypatch, measures)

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await over(app.pane)
        found = kept.find(lab.name).kept
        assert found is not None
        assert found.measurements == (SIZES_MEASURED,)

    play(script)


def test_what_cannot_be_kept_is_told_and_the_lab_has_not_failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lab_of(monkeypatch, measures)
    (tmp_path / "file").write_text("")

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
        await pilot.press("enter")
        assert not (await over(app.pane)).failed
        await until(lambda: any("measurements not kept: " in said for said in messages(app)))

    play(script)


@pytest.mark.parametrize(("key", "thorough"), [("enter", False), ("T", True), ("r", False)])
def test_a_lab_is_run_thoroughly_only_if_that_is_asked_for(
    key: str, thorough: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Setting] = []

    def run(setting: Setting) -> Iterator[Event]:
        seen.append(setting)
        yield Stage("Something")

    lab_of(monkeypatch, run)

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await over(app.pane)
        assert seen == [Setting(thorough=thorough)]
        await until(lambda: ("first thoroughly ■" in app.list.heading) == thorough and "done" in app.list.heading)

    play(script)


@pytest.mark.needs("pid_namespace")
async def test_launches_whose_orphans_are_reaped_take_nothing_from_a_lab(nothing_left: Census) -> None:
    async with running() as (app, _pilot):
        app.run_lab("pid1", False)
        run = pane_of(app).run
        assert run is not None
        while run.report is None:
            app.launcher.reap()
            await asyncio.sleep(0.005)
        assert run.report.error is None
        assert not run.report.failed


def test_a_scene_whose_processes_are_gone_is_waited_at_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()

    def run(_setting: Setting) -> Iterator[Event]:
        yield Scene("Nobody", gone.pid, gone.pid, "nothing")

    lab_of(monkeypatch, run)

    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await at_a_scene(app.pane)
        assert app.pane._awaited is None
        await pilot.press("enter")
        assert (await over(app.pane)).error is None

    play(script)


# Keys, mouse, palette, read-only.


@pytest.mark.parametrize("size", SIZES)
async def test_with_read_only_no_lab_is_run_and_that_is_said(size: tuple[int, int], nothing_left: Census) -> None:
    async with running(size, read_only=True) as (app, pilot):
        pane = pane_of(app)
        assert pane.query_one(Prompt).text == READ_ONLY
        for key in ("enter", "s", "r", "T"):
            await pilot.press(key)
        app.run_lab("pid1", True)
        await until(lambda: READ_ONLY in messages(app))
        assert pane.run is None
        assert pane._performer._thread is None
        await pilot.press("v")
        await until(lambda: pane.run is None and any("not run yet" in message for message in messages(app)))


async def click_on(pilot: Pilot[None], prompt: Prompt, words: str) -> None:
    """Click on what is offered, once it is there and laid out."""
    await until(lambda: words in prompt.text and prompt.size.height == len(prompt.text.splitlines()))
    (line,) = [index for index, line in enumerate(prompt.text.splitlines()) if words in line]
    await pilot.click(Prompt, offset=(prompt.text.splitlines()[line].index(words), line + 1))  # below the border


def test_the_mouse_chooses_a_lab_and_takes_what_is_offered(nothing_left: Census) -> None:
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        at = next(index for index, line in enumerate(app.list.lines) if line.text.startswith("sharing"))
        await pilot.click(LabList, offset=(3, at + 1), times=2)
        await over(app.pane)
        prompt = app.pane.query_one(Prompt)
        await click_on(pilot, prompt, "s step by step")
        scene = await at_a_scene(app.pane)
        await click_on(pilot, prompt, "next")
        await at_a_scene(app.pane, scene)
        await click_on(pilot, prompt, "Esc")
        await over(app.pane)
        assert app.list.has_focus

    play(script, (120, 40))


async def test_the_palette_offers_to_run_every_lab_and_does(nothing_left: Census) -> None:
    async with running() as (app, pilot):
        await pilot.press("1", "ctrl+p")
        await until(lambda: isinstance(app.screen, CommandPalette))
        field, options = app.screen.query_one(Input), app.screen.query_one(OptionList)

        def offered() -> list[str]:
            return [str(options.get_option_at_index(index).prompt) for index in range(options.option_count)]

        for lab in LABS:
            for words in ("Run lab", "Step through lab"):
                field.value = f"{words} {lab.name}"
                await until(lambda field=field: any(field.value in prompt for prompt in offered()))
        field.value = "Step through lab sharing"
        await until(lambda: offered() and "Step through lab sharing" in offered()[0])
        await pilot.press("enter")
        await until(lambda: app.panes.pane == "labs" and pane_of(app).run is not None)
        await at_a_scene(pane_of(app))
        assert isinstance(app.focused, LabList)


@pytest.mark.parametrize("size", SIZES)
async def test_every_key_can_be_pressed_at_a_scene_and_when_it_is_over(
    size: tuple[int, int], nothing_left: Census
) -> None:
    async with running(size) as (app, pilot):
        pane = pane_of(app)
        await pilot.press("s")
        scene = await at_a_scene(pane)
        for key in ("w", "escape", "f", "y", "v", "T", "up", "home", "end", "pagedown"):
            if key == "escape":
                await until(lambda: len(app.screen_stack) > 1)
            await pilot.press(key)
            assert app.screen.max_scroll_x == app.screen.max_scroll_y == 0
        assert pane.run is not None
        assert pane.run.scene == scene, "none of them goes on"
        assert BUSY in messages(app)
        await pilot.press("escape")
        await over(pane)
        for key in ("f", "y", "up", "end"):
            await pilot.press(key)
        await pilot.press("escape")
        await until(lambda: pane.run is None)
        await pilot.press("escape")
        assert pane.run is None
