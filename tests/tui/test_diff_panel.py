"""The diff panel in a running app: made-up rows and real processes, keys, and the end of a process."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable

import pytest
from rich.cells import cell_len
from screen import SIZES, lines_of, until
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Static

from nsview.host.difference import DiffRow, compare_processes
from nsview.tui.diff.panel import NOTHING_TO_COMPARE, DiffGrid, DiffPanel, Heading, brief, widths
from nsview.tui.diff.panel import lines_of as group


def row(section: str, attribute: str, parent: str | None, child: str | None, **more: object) -> DiffRow:
    same = None if parent is None or child is None else parent == child
    facts = {"delta": None, "why": f"why {attribute}", "source": f"/proc/PID/{attribute}", "same": same}
    return DiffRow(section, attribute, parent, child, **{**facts, **more})  # type: ignore[arg-type]


ROWS = (
    row("identity", "pid", "4701", "4711"),
    row("namespaces", "uts", "uts:[4026531838]", "uts:[4026532257]", delta="own"),
    row("namespaces", "time", "time:[4026531834]", "time:[4026531834]"),
    row("system", "host name", "host1", "demo"),
    row("sharing", "IO", None, None),
    row("usage", "rss", "48M", "1.2M", delta="−47M"),
    row("files", "umask", "0022", "0022"),
)


class PanelApp(App[None]):
    """A panel alone on the screen."""

    def __init__(self) -> None:
        super().__init__()
        self.panel = DiffPanel()

    def compose(self) -> ComposeResult:
        yield self.panel

    @property
    def grid(self) -> DiffGrid:
        return self.panel.query_one(DiffGrid)

    def text(self, name: str) -> str:
        """Return what is above or below the grid."""
        return str(self.panel.query_one(f"#diff-{name}", Static).content)

    def find(self, *words: str) -> str | None:
        """Return the line of the grid that has all these words."""
        return next((line for line in lines_of(self.grid) if all(word in line for word in words)), None)


Script = Callable[[PanelApp, Pilot[None]], Awaitable[None]]


def play(script: Script, size: tuple[int, int] = (80, 24)) -> None:
    async def run() -> None:
        app = PanelApp()
        async with app.run_test(size=size) as pilot:
            app.grid.focus()
            await until(lambda: app.grid.has_focus and app.grid.size.width == size[0])
            await script(app, pilot)

    asyncio.run(run())


def test_rows_are_grouped_with_what_a_launch_is_about_first():
    lines = group(ROWS, only_differences=False)
    headings = [(line.section, line.different, line.total) for line in lines if isinstance(line, Heading)]
    assert headings == [
        ("namespaces", 1, 2),
        ("system", 1, 1),
        ("sharing", 0, 1),
        ("usage", 1, 1),
        ("files", 0, 1),
        ("identity", 1, 1),
    ]


def test_only_differences_leaves_out_what_is_the_same_but_not_what_is_unknown():
    lines = group(ROWS, only_differences=True)
    assert [line.attribute for line in lines if isinstance(line, DiffRow)] == [
        "uts",
        "host name",
        "IO",
        "rss",
        "pid",
    ]
    assert "files" not in [line.section for line in lines]


def test_long_values_keep_the_part_that_tells():
    assert brief("uts:[4026531838]", 16, bare=False) == "uts:[4026531838]"
    assert brief("uts:[4026531838]", 12, bare=True) == "4026531838  "
    assert brief("/usr/bin/python3.11", 12, bare=False) == "…/python3.11"
    assert brief("sh -c true; false", 10, bare=False) == "sh -c tru…"
    assert brief(None, 3, bare=True) == "?  "


def test_namespaces_go_by_their_number_as_soon_as_one_does_not_fit():
    longest = row("namespaces", "cgroup", "cgroup:[123456]", "cgroup:[123456]")
    lines = group((row("namespaces", "uts", "uts:[1]", "uts:[2]"), longest), only_differences=False)
    assert not widths(lines, 60).bare
    assert widths(lines, 40).bare


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
        assert "4026531838" in uts
        assert "4026532257" in uts
        assert uts.split()[-1] == "own"
        assert app.find("≠ host name", "host1", "demo")
        assert {cell_len(line) for line in lines_of(app.grid)} == {app.grid.line_width}

    play(script, size)


def test_unknown_is_a_question_mark():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show(ROWS)
        assert (await until(lambda: app.find(" IO "))).split() == ["?", "IO", "?", "?"]

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


def test_when_nothing_differs_the_panel_says_so():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show((row("files", "umask", "0022", "0022"),))
        await until(lambda: app.find("umask"))
        await pilot.press("d")
        await until(lambda: app.find("Nothing differs."))
        assert app.grid.has_focus

    play(script)


def test_cursor_passes_over_headings_and_explains_its_row():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show(ROWS)
        seen = []
        for _ in range(len(ROWS)):
            current = await until(lambda: app.grid.row)
            seen.append(current.attribute)
            await until(lambda current=current: f"why {current.attribute}" in app.text("why"))
            assert f"/proc/PID/{current.attribute}" in app.text("why")
            await pilot.press("down")
        assert seen == ["uts", "time", "host name", "IO", "rss", "umask", "pid"]
        await pilot.press("home")
        await until(lambda: app.grid.row.attribute == "uts")
        assert "uts:[4026531838] → uts:[4026532257] (own)" in app.text("why")
        assert "namespaces" in lines_of(app.grid)[1]

    play(script)


def test_going_up_shows_the_first_heading_again():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show(ROWS)
        await pilot.press("end")
        await until(lambda: app.grid.top_line() > 0)
        await pilot.press(*["up"] * len(ROWS))
        await until(lambda: app.grid.top_line() == 0)
        assert app.grid.row.attribute == "uts"

    play(script, (80, 9))


def test_cursor_stays_on_its_attribute_when_values_change():
    async def script(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show(ROWS)
        await pilot.press("down", "down", "down", "down")
        await until(lambda: app.grid.row.attribute == "rss")
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


def test_sections_and_the_panel_know_real_processes():
    with subprocess.Popen(["sleep", "60"]) as child:
        try:

            async def script(app: PanelApp, pilot: Pilot[None]) -> None:
                app.panel.expect(f"{os.getpid()} python", f"{child.pid} sleep")
                app.panel.show(compare_processes(os.getpid(), child.pid))
                await until(lambda: app.find("namespaces 0 of 10 differ"))
                assert app.find("uts", "uts:[")
                await pilot.press("end")
                await until(lambda: app.find("identity"))

            play(script, (120, 40))
        finally:
            child.kill()
