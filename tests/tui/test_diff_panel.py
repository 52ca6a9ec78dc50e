"""The diff panel in a running app: made-up rows and real processes, keys, and the end of a process."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest
from golden import assert_golden
from machine import history, record, snapshot
from rich.cells import cell_len
from screen import SIZES, lines_of, until
from test_diff_lines import ROWS, row
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Static

from nsview.host.snapshot import take
from nsview.tui.collecting.collector import Frame
from nsview.tui.desk import Desk
from nsview.tui.diff.grid import DiffGrid
from nsview.tui.diff.lines import Heading
from nsview.tui.diff.pair import Pair
from nsview.tui.diff.panel import NOTHING_TO_COMPARE, DiffPanel
from nsview.tui.diff.whole_value import WholeValue
from nsview.tui.processes.rows import Rows
from nsview.tui.seen import is_seen


class PanelApp(App[None]):
    """A panel alone on the screen."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(self)
        self.panel = DiffPanel(self.desk)

    def compose(self) -> ComposeResult:
        yield self.panel

    def on_mount(self) -> None:
        self.desk.launcher.start()

    def on_unmount(self) -> None:
        self.desk.launcher.close()

    @property
    def grid(self) -> DiffGrid:
        return self.panel.query_one(DiffGrid)

    def text(self, name: str) -> str:
        """Return what is above or below the grid."""
        return str(self.panel.query_one(f"#diff-{name}", Static).content)

    def find(self, *words: str) -> str | None:
        """Return the line of the grid that has all these words."""
        return next((line for line in lines_of(self.grid) if all(word in line for word in words)), None)


async def made_up_pair(app: PanelApp) -> None:
    """Name two that the kernel does not know of, and is not asked about; three looks at them."""
    app.panel._comparer.ask = lambda order: None  # type: ignore[method-assign]
    app.panel.compare(Pair(PARENT, CHILD), ("5 sh", "6 yes"))
    seen = machines()
    for last in range(1, 4):
        app.desk.show(frame(*seen[:last]))
    await until(lambda: app.panel.looks == 3)


Script = Callable[[PanelApp, Pilot[None]], Awaitable[None]]


def play(script: Script, size: tuple[int, int] = (80, 24)) -> None:
    async def run() -> None:
        app = PanelApp()
        async with app.run_test(size=size) as pilot:
            app.grid.focus()
            await until(lambda: app.grid.has_focus and app.grid.size.width == size[0])
            await script(app, pilot)

    asyncio.run(run())


def test_nothing_to_compare_says_what_to_do():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        await until(lambda: app.find("Put the cursor on a process"))
        assert " ".join(" ".join(lines_of(app.grid)[1:]).split()) == NOTHING_TO_COMPARE
        app.panel.clear("Process 1 has no parent.")
        await until(lambda: app.find("Process 1 has no parent."))

    play(script, (45, 12))


@pytest.mark.parametrize("size", [*SIZES, (45, 12)])
def test_rows_are_readable_at_every_size(size):
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.expect("4701 sh", "4711 sh")
        app.panel.show(ROWS)
        await until(lambda: app.text("title") == "Diff 4701 sh → 4711 sh")
        uts = await until(lambda: app.find("≠ uts"))
        assert ("4026531838" in uts and "4026532257" in uts) or size[0] < 60
        assert "#1" in uts
        assert "#2" in uts
        assert uts.split()[-1] == "own"
        assert app.find("≠ host name", "host1", "demo")
        assert {cell_len(line) for line in lines_of(app.grid)} == {app.grid.line_width}

    play(script, size)


def test_unknown_is_a_question_mark():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show(ROWS)
        assert (await until(lambda: app.find(" IO "))).split() == ["?", "IO", "?"]
        app.panel.show((row("files", "root", None, "/"),))
        assert (await until(lambda: app.find(" root "))).split() == ["?", "root", "?", "/"]

    play(script)


def test_d_shows_only_what_differs_and_all_again():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show(ROWS)
        await until(lambda: app.find("umask"))
        await pilot.press("d")
        await until(lambda: app.find("umask") is None and app.find("≠ uts"))
        await pilot.press("d")
        await until(lambda: app.find("umask"))

    play(script)


def test_when_nothing_differs_only_what_was_not_read_is_left():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show((row("files", "umask", "0022", "0022"),))
        await until(lambda: app.find("umask"))
        await pilot.press("d")
        await until(lambda: app.find("umask") is None)
        assert app.find("▸ limits", "not read")
        assert app.grid.has_focus

    play(script)


def test_the_cursor_begins_on_the_first_difference_and_explains_each_row():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show(ROWS)
        assert app.grid.row.attribute == "uts"
        seen = []
        for _ in range(13):
            if (current := app.grid.row) is not None:
                seen.append(current.attribute)
                await until(lambda current=current: f"why {current.attribute}" in app.text("why"))
                assert f"/proc/PID/{current.attribute}" in app.text("why")
            await pilot.press("down")
        assert seen == ["uts", "time", "host name", "IO", "rss", "umask", "pid"]
        await pilot.press("home", "down")
        await until(lambda: app.grid.row and app.grid.row.attribute == "uts")
        assert "uts:[4026531838] → uts:[4026532257] (own)" in app.text("why")
        await pilot.press("up")
        await until(lambda: "which of the eight kinds" in app.text("why"))

    play(script)


def test_headings_fold_and_unfold_their_sections():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show(ROWS)
        await pilot.press("left")
        assert app.grid.row is None, "from a row, left goes to its heading"
        await pilot.press("left")
        await until(lambda: app.find("▸ namespaces 1 of 2 differ") and not app.find("uts"))
        await pilot.press("left", "down")
        await until(lambda: "system" in app.text("why"))
        await pilot.press("up", "enter")
        await until(lambda: app.find("▾ namespaces") and app.find("≠ uts"))
        await pilot.press("enter")
        await until(lambda: app.find("▸ namespaces"))
        await pilot.press("right")
        await until(lambda: app.find("▾ namespaces"))
        await pilot.press("right")
        assert app.grid.row.attribute == "uts"

    play(script)


def test_a_click_on_the_mark_of_a_heading_folds_its_section():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show(ROWS)
        await until(lambda: app.find("▾ namespaces"))
        await pilot.click(DiffGrid, offset=(0, 1))
        await until(lambda: app.find("▸ namespaces"))
        await pilot.click(DiffGrid, offset=(0, 1))
        await until(lambda: app.find("▾ namespaces"))

    play(script)


def test_folding_from_within_leaves_the_cursor_on_the_heading():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show(ROWS)
        await pilot.press("d", "left", "left")
        await until(lambda: app.find("▸ namespaces"))
        assert app.grid.line.section == "namespaces"

    play(script)


@pytest.mark.parametrize("key", ["w", "enter"])
def test_all_of_a_value_can_be_read(key):
    many = " ".join(f"/mnt/{number}" for number in range(60))

    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.expect("1 init", "2 sh")
        app.panel.show((row("files", "mounts", many, many.replace("/mnt/7 ", "/mnt/new "), delta="+1 −1"),))
        await until(lambda: app.grid.row)
        await pilot.press(key)
        await until(lambda: isinstance(app.screen, WholeValue))
        text = str(app.screen.query(Static).first().content)
        assert "why mounts" in text
        assert "Read from /proc/PID/mounts" in text
        assert "Only 1 init\n  /mnt/7\n" in text
        assert "Only 2 sh\n  /mnt/new\n" in text
        await pilot.press("escape")
        await until(lambda: not isinstance(app.screen, WholeValue))

    play(script)


def test_whether_two_share_an_object_is_said_once_for_both():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show(
            (row("sharing", "VM", "its own", "its own", same=False), row("sharing", "FS", "shared", "shared"))
        )
        assert (await until(lambda: app.find("≠ VM"))).split()[2:] == ["two,", "each", "has", "its", "own"]
        assert app.find("FS", "one, used by both")

    play(script, (50, 14))


def test_cursor_stays_on_its_attribute_when_values_change():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show(ROWS)
        await pilot.press(*["down"] * 7)
        await until(lambda: app.grid.row and app.grid.row.attribute == "rss")
        app.panel.show((row("ids", "uid", "0", "1000"), *ROWS[:5], row("usage", "rss", "48M", "9.9M")))
        assert app.grid.row.child == "9.9M"
        await until(lambda: "48M → 9.9M" in app.text("why"))

    play(script)


def test_the_end_of_the_child_keeps_its_last_values():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.expect("4701 sh", "4711 sh")
        app.panel.show(ROWS)
        app.panel.keep("exited 3")
        await until(lambda: app.text("title") == "Diff 4701 sh → 4711 sh  ✝ exited 3")
        assert app.find("≠ host name", "demo")
        app.panel.expect("4701 sh", "4720 sh")
        await until(lambda: "✝" not in app.text("title") and app.find("Reading both"))

    play(script)


def test_an_end_before_anything_was_read_is_told():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.expect("4701 sh", "4711 true")
        app.panel.keep("exited 0")
        await until(lambda: app.find("Nothing was read before the end: exited 0."))

    play(script)


def test_hostile_values_cannot_reach_the_terminal():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.expect("1 init", "2 [red]x[/]\x1b[2J")
        app.panel.show((row("system", "host name", "a", "\x1b]0;x\x07\n"),))
        line = await until(lambda: app.find("host name"))
        assert r"\x1b]0;x\x07\n" in line
        assert line.isprintable()
        assert "\x1b" not in app.text("why")
        assert "[red]x[/]" in app.text("title")
        assert "\x1b" not in app.text("title")

    play(script)


def frame(*seen: object) -> Frame:
    """What a collector would give of these snapshots."""
    folded = history(*seen)  # type: ignore[arg-type]
    return Frame(Rows(folded), folded.newest, 0)


PARENT, CHILD = (5, 5), (6, 6)


def machines() -> list[object]:
    """Three looks: the parent idles, the child works; a grandchild works too."""
    return [
        snapshot(
            record(5, utime=step, rss=4096, minflt=step),
            record(6, ppid=5, utime=step * 40, rss=8192 * step, minflt=step * 9),
            record(7, ppid=6, utime=step * 10, rss=100),
            at=step,
        )
        for step in range(3)
    ]


def test_twin_sparklines_of_both_stand_beside_one_another():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        await made_up_pair(app)
        app.panel.show(ROWS)
        cpu = await until(lambda: app.find(" cpu ", "≤ 40 %"))
        assert cpu.split() == ["cpu", "▂▂", "██", "≤", "40", "%"]
        assert app.find("▾ trend 3 looks")
        assert app.find(" rss ", "≤ 16K")
        assert app.find(" io ", "?")

    play(script, (120, 40))


def test_swapped_the_child_is_on_the_left():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        await made_up_pair(app)
        app.panel.show(ROWS)
        await pilot.press("v")
        assert app.panel.pair == Pair(CHILD, PARENT)
        await until(lambda: app.text("title") == "Diff 6 yes → 5 sh")
        app.panel.show(ROWS)
        assert (await until(lambda: app.find(" cpu ", "≤"))).split()[1:3] == ["██", "▂▂"]

    play(script, (120, 40))


def test_s_and_capital_s_sum_up_subtrees():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.expect("5 sh", "6 yes")
        app.panel.show(ROWS)
        await pilot.press("s")
        await until(lambda: "Σ subtrees" in app.text("title"))
        await pilot.press("S")
        await until(lambda: "Σ" not in app.text("title"))

    play(script)


def test_a_pair_chosen_by_hand_is_held_until_a_person_lets_go():
    released: list[object] = []

    class Holding(PanelApp):
        def on_diff_panel_released(self, message: object) -> None:
            released.append(message)

    async def run() -> None:
        app = Holding()
        async with app.run_test(size=(80, 24)) as pilot:
            app.panel._comparer.ask = lambda order: None  # type: ignore[method-assign]
            app.grid.focus()
            await pilot.press("escape")
            assert not released, "nothing is held"
            app.panel.compare(Pair(PARENT, CHILD), ("5 sh", "6 yes"), held=True)
            await until(lambda: "held, Esc lets go" in app.text("title"))
            await pilot.press("escape")
            await until(lambda: released)
            assert "held" not in app.text("title")
            assert not app.panel.held

    asyncio.run(run())


@pytest.mark.parametrize("size", [(50, 14), (74, 34), *SIZES])
def test_the_panel_as_it_looks(size):
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        await made_up_pair(app)
        app.panel.show((*ROWS, row("sharing", "VM", "its own", "its own", same=False)))
        await until(lambda: app.find("≠ uts") and "why uts" in app.text("why"))
        await pilot.pause()
        assert_golden(app, "diff")

    play(script, size)


class Living:
    """A child of ours and we, a panel that compares them, and new looks at the machine when asked for."""

    def __init__(self, app: PanelApp, child: int) -> None:
        self.app = app
        self.seen = [take()]
        records = self.seen[0].records
        self.pair = Pair(records[os.getpid()].identity, records[child].identity)

    def look(self) -> None:
        self.seen = [*self.seen[-1:], take()]
        self.app.desk.show(frame(*self.seen))


def with_a_child(script: Callable[[Living, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (120, 40)) -> None:
    with subprocess.Popen(["sh", "-c", "read wait; while :; do :; done"], stdin=subprocess.PIPE) as child:
        try:

            async def living(app: PanelApp, pilot: Pilot[None]) -> None:
                there = Living(app, child.pid)
                there.look()
                app.panel.compare(there.pair, (f"{os.getpid()} python", f"{child.pid} sh"))
                await until(lambda: app.find("namespaces 0 of 10 differ"))
                await script(there, pilot)

            play(living, size)
        finally:
            child.kill()


def test_real_processes_are_compared_section_by_section(nothing_left):
    async def script(there: Living, pilot: Pilot[None]) -> None:
        app = there.app
        assert app.find("uts", "#1 uts:[")
        assert app.find("VM", "two, each has its own")
        await pilot.press("end")
        await until(lambda: "every variable" in app.text("why"))
        assert app.find("▸ environment not read")
        await pilot.press("enter")
        await until(lambda: any(getattr(line, "attribute", "") == "variables" for line in app.grid.lines))
        await pilot.press("left")
        await until(lambda: app.find("▸ environment not read"))

    with_a_child(script)


def test_an_open_section_is_read_again_with_every_look(nothing_left):
    async def script(there: Living, pilot: Pilot[None]) -> None:
        app = there.app
        app.grid.move_cursor(app.grid.lines.index(Heading("limits", None, None, True)))
        await pilot.press("enter")
        await until(lambda: any(getattr(line, "attribute", "") == "core" for line in app.grid.lines))
        child = there.pair.child[0]
        resource.prlimit(child, resource.RLIMIT_CORE, (0, 0))
        there.look()

        def told() -> bool:
            cores = [line for line in app.grid.lines if getattr(line, "attribute", "") == "core"]
            return bool(cores) and cores[0].child == "0"

        await until(told)

    with_a_child(script)


def test_since_a_mark_only_what_was_added_counts(nothing_left):
    async def script(there: Living, pilot: Pilot[None]) -> None:
        app = there.app
        await pilot.press("b")
        await until(lambda: "Δ since " in app.text("title"))
        before = app.panel.title
        there.look()
        cpu = await until(lambda: usage_row(app, "minor faults", lambda line: line.child is not None))
        assert cpu.child == "0", "it waits for us"
        assert "since the mark" in cpu.why
        assert app.panel.title == before, "the mark stays where it was set"
        await pilot.press("b")
        await until(lambda: "Δ" not in app.text("title"))
        assert usage_row(app, "minor faults", lambda line: line.child != "0")

    with_a_child(script)


def usage_row(app: PanelApp, name: str, holds: Callable[[object], bool]) -> object:
    found = (line for line in app.grid.lines if getattr(line, "section", "") == "usage")
    return next((line for line in found if getattr(line, "attribute", "") == name and holds(line)), None)


def test_values_that_changed_since_the_mark_are_told(nothing_left):
    async def script(there: Living, pilot: Pilot[None]) -> None:
        app = there.app
        await pilot.press("b")
        before = os.umask(0o77)
        try:
            there.look()
            names = [getattr(line, "attribute", "") for line in app.grid.lines]
            app.grid.move_cursor(names.index("umask"))
            await until(lambda: app.find("≠*umask"))
            await until(lambda: "at the mark: " in app.text("why"))
        finally:
            os.umask(before)

    with_a_child(script, (120, 60))


def test_subtrees_are_summed_over_descendants(nothing_left):
    async def script(there: Living, pilot: Pilot[None]) -> None:
        app = there.app
        await pilot.press("s")
        row = await until(lambda: usage_row(app, "processes", lambda line: True))
        assert row.child == "1"
        assert int(row.parent) >= 2
        assert "its descendants" in row.why
        assert "Σ subtrees" in app.text("title")
        await pilot.press("s")
        await until(lambda: usage_row(app, "pss", lambda line: True))

    with_a_child(script)


def test_a_panel_that_nobody_sees_reads_nothing_and_all_at_once_when_it_is_shown(nothing_left):
    async def script(there: Living, pilot: Pilot[None]) -> None:
        app = there.app
        asked: list[object] = []
        carry_out = app.panel._comparer.ask

        def ask(order: object) -> None:
            asked.append(order)
            carry_out(order)  # type: ignore[arg-type]

        app.panel._comparer.ask = ask  # type: ignore[method-assign, assignment]
        app.panel.display = False
        await until(lambda: not is_seen(app.panel))
        there.look()
        assert not asked
        app.panel.display = True
        await until(lambda: asked)

    with_a_child(script)


def test_the_end_of_a_real_child_is_told_and_its_values_stay(nothing_left):
    async def script(there: Living, pilot: Pilot[None]) -> None:
        os.kill(there.pair.child[0], signal.SIGKILL)

        def told() -> bool:
            there.look()
            return "✝ gone" in there.app.text("title")

        await until(told)
        assert there.app.find("namespaces 0 of 10 differ")

    with_a_child(script)


def test_s_is_the_debugger_s_key_while_a_child_is_held():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.expect("5 sh", "6 yes")
        app.desk.launches = SimpleNamespace(front=SimpleNamespace(held=3), of=lambda identity: None)  # type: ignore[assignment]
        await pilot.press("s")
        assert not app.panel.subtrees
        await pilot.press("S")
        await until(lambda: app.panel.subtrees)

    play(script)


def test_what_is_listed_can_be_copied():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.expect("5 sh", "6 yes")
        app.panel.show(ROWS)
        await pilot.press("y")
        await until(lambda: app.clipboard.startswith("Diff 5 sh → 6 yes\nnamespaces\n"))
        assert "\thost name\thost1\tdemo\t\n" in app.clipboard

    play(script)


def test_a_mark_waits_until_something_was_read():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.expect("5 sh", "6 yes")
        await pilot.press("b")
        await until(lambda: any("Nothing was read yet" in note.message for note in app._notifications))
        assert "Δ" not in app.text("title")

    play(script)


def test_a_trend_in_full_has_its_least_and_its_most():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        await made_up_pair(app)
        app.panel.show(ROWS)
        names = [getattr(getattr(line, "measure", None), "name", "") for line in app.grid.lines]
        app.grid.move_cursor(names.index("cpu"))
        await until(lambda: "now 1 % → 40 %; both drawn on one scale" in app.text("why"))
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, WholeValue))
        text = str(app.screen.query(Static).first().content)
        assert "6 yes, 40 % now" in text
        assert "Both are drawn on one scale: full height is 40 %." in text
        assert "6 yes: least 40 %, on average 40 %, most 40 % of 2 looks" in text

    play(script)
