"""The security pane: statements and facts about the process under the cursor, at every size, and real processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
from golden import assert_golden
from machine import history
from rich.cells import cell_len
from screen import SIZES, lines_of, until
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Static

from nsview.host.abilities import ABILITIES, Finding, Verdict
from nsview.host.difference import DiffRow
from nsview.host.snapshot import take
from nsview.tui.collecting.collector import Frame
from nsview.tui.desk import Desk
from nsview.tui.diff.whole_value import WholeValue
from nsview.tui.processes.rows import Rows
from nsview.tui.security.lines import Can, Title
from nsview.tui.security.lines import lines_of as group
from nsview.tui.security.list import SecurityList
from nsview.tui.security.panel import NOBODY, SecurityPanel
from nsview.tui.security.reading import Picture, Subject, look_at
from nsview.tui.seen import is_seen

PARENT, CHILD = (5, 5), (6, 6)


def finding(name: str, can: bool | None, why: str) -> Finding:
    return Finding(next(ability for ability in ABILITIES if ability.name == name), Verdict(can, why))


def fact(section: str, attribute: str, parent: str | None, child: str | None, why: str = "it is so") -> DiffRow:
    same = None if parent is None or child is None else parent == child
    return DiffRow(section, attribute, parent, child, None, why, f"/proc/PID/{attribute}", same)


MADE_UP = Picture(
    Subject(CHILD, PARENT, None),
    "Not root of the machine: all capabilities only in its user namespace and what that owns (mnt, uts).",
    (
        finding("mount file systems", True, "CAP_SYS_ADMIN over its mount namespace; its own, not the machine's"),
        finding("reboot the machine", False, "its CAP_SYS_BOOT counts in its own user namespace"),
        finding("become another user", None, "it lacks CAP_SETUID now; as uid 0 it gets it with the next execve"),
        finding("create user namespaces", True, "it takes no privilege"),
    ),
    {"reboot the machine": False},
    (
        fact("capabilities", "effective", "all", "all"),
        fact("capabilities", "bounding", "all", "KILL SETUID"),
        fact("ids", "uid", "0 (root)", "1000 (bob)"),
        fact("ids", "uid map", "0→0 ×4294967295", "0→1000 ×1"),
        fact("ids", "securebits", None, None),
        fact("namespaces", "uts", "uts:[4026531838]", "uts:[4026532257]"),
        fact("namespaces", "time", "time:[4026531834]", "time:[4026531834]"),
        fact("limits", "nofile", "1024", "64"),
    ),
)


class PaneApp(App[None]):
    """A pane alone on the screen."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(self)
        self.pane = SecurityPanel(self.desk)

    def compose(self) -> ComposeResult:
        yield self.pane

    def on_mount(self) -> None:
        self.desk.launcher.start()

    def on_unmount(self) -> None:
        self.desk.launcher.close()

    @property
    def list(self) -> SecurityList:
        return self.pane.query_one(SecurityList)

    def text(self, name: str) -> str:
        """Return what is above or below the list."""
        return str(self.pane.query_one(f"#security-{name}", Static).content)

    def find(self, *words: str) -> str | None:
        """Return the line of the list that has all these words."""
        return next((line for line in lines_of(self.list) if all(word in line for word in words)), None)

    def show(self, picture: Picture) -> None:
        """Show a picture as if it had been read."""
        self.pane._process, self.pane.picture = picture.subject.process, picture
        self.pane._draw()


Script = Callable[[PaneApp, Pilot[None]], Awaitable[None]]


def play(script: Script, size: tuple[int, int] = (80, 24)) -> None:
    async def run() -> None:
        app = PaneApp()
        async with app.run_test(size=size) as pilot:
            app.list.focus()
            await until(lambda: app.list.has_focus and app.list.size.width == size[0])
            await script(app, pilot)

    asyncio.run(run())


def test_statements_come_first_and_say_what_was_lost():
    lines = group(MADE_UP, only_changes=False)
    assert lines[0] == Title("what it could still do", "1 lost beside its parent")
    assert [line.changed for line in lines if isinstance(line, Can)] == [None, False, None, None]
    assert [line.text for line in lines if isinstance(line, Title)][1:] == [
        "capabilities",
        "ids and bounds",
        "namespaces",
        "limits",
    ]


def test_only_changes_leaves_what_is_other_than_the_parent_s():
    lines = group(MADE_UP, only_changes=True)
    assert [line.finding.ability.name for line in lines if isinstance(line, Can)] == ["reboot the machine"]
    assert [line.attribute for line in lines if isinstance(line, DiffRow)] == [
        "bounding",
        "uid",
        "uid map",
        "uts",
        "nofile",
    ]


def test_nobody_under_the_cursor_says_what_to_do():
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        await until(lambda: NOBODY in " ".join(" ".join(lines_of(app.list)).split()))

    play(script, (50, 12))


@pytest.mark.parametrize("size", [(50, 12), (64, 20), (74, 22), *SIZES])
def test_the_pane_as_it_looks(size):
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.show(MADE_UP)
        await until(lambda: app.find("yes", "mount file systems") and "CAP_SYS_ADMIN" in app.text("why"))
        assert {cell_len(line) for line in lines_of(app.list)} == {app.list.line_width}
        await pilot.pause()
        assert_golden(app, "security")

    play(script, size)


def test_each_statement_has_its_mark_and_its_reason_in_full():
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.show(MADE_UP)
        assert await until(lambda: app.find("no  ▼reboot the machine"))
        assert app.find("?    become another user")
        await until(lambda: "Unless Landlock holds it" in app.text("why"))
        await pilot.press("down")
        await until(lambda: "no, though its parent can: " in app.text("why"))
        assert "It takes reboot(2)." in app.text("why")

    play(script)


def test_facts_show_what_is_other_than_the_parent_s_and_enter_shows_both():
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.show(MADE_UP)
        assert await until(lambda: app.find("≠uid ", "1000 (bob)"))
        assert app.find("≠uts", "its own")
        assert app.find(" time", "shared with its parent")
        assert app.find("securebits", "?")
        for _ in range(6):
            await pilot.press("down")
        await until(lambda: "its parent 0 (root)" in app.text("why"))
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, WholeValue))
        text = str(app.screen.query(Static).first().content)
        assert "its parent 5\n  0 (root)" in text
        await pilot.press("escape")
        await until(lambda: not isinstance(app.screen, WholeValue))
        await pilot.press("home", "enter")
        await until(lambda: isinstance(app.screen, WholeValue))

    play(script, (120, 40))


def test_d_shows_only_what_is_other_and_all_again():
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.show(MADE_UP)
        await until(lambda: app.find("mount file systems"))
        await pilot.press("d")
        await until(lambda: not app.find("mount file systems") and app.find("reboot the machine"))
        await pilot.press("d")
        await until(lambda: app.find("mount file systems"))

    play(script)


def test_the_cursor_stays_on_its_line_when_values_change():
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.show(MADE_UP)
        await pilot.press("down", "down")
        await until(lambda: "as uid 0" in app.text("why"))
        app.show(replace(MADE_UP, found=MADE_UP.found[1:]))
        await until(lambda: "as uid 0" in app.text("why"))

    play(script)


def test_what_is_listed_can_be_copied():
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.show(MADE_UP)
        await pilot.press("y")
        await until(lambda: "\tno\treboot the machine\t" in app.clipboard)
        assert "\tuid\t1000 (bob)\t0 (root)" in app.clipboard

    play(script)


def frame() -> Frame:
    """A look at this machine."""
    folded = history(take())
    return Frame(Rows(folded), folded.newest, 0)


def follow(app: PaneApp, pid: int) -> None:
    """Put the cursor on a process, as the tree would."""
    seen = frame()
    app.desk.show(seen)
    app.desk.look_at(seen.snapshot.records[pid].identity)


@pytest.mark.needs("root")
def test_a_real_child_without_privilege_is_seen_to_have_lost_it(nothing_left):
    command = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", "--no-new-privs", "sleep", "60"]
    with subprocess.Popen(command) as child:
        try:

            async def script(app: PaneApp, pilot: Pilot[None]) -> None:
                def told() -> bool:
                    follow(app, child.pid)
                    return bool(app.find("no  ▼change the host name"))

                await until(told)
                assert app.text("summary") == f"{child.pid}: No effective capabilities."
                assert app.find("no  ▼become root by set-user-ID", "no_new_privs")
                assert app.find("≠no new privileges", "yes")
                child.kill()

                def gone() -> bool:
                    app.desk.show(frame())
                    return "✝ gone" in app.text("summary")

                await until(gone)
                assert app.find("no  ▼change the host name"), "what was known stays"

            play(script, (120, 70))
        finally:
            child.kill()


@pytest.mark.needs("user_namespace")
def test_root_of_a_user_namespace_is_said_not_to_be_root_of_the_machine(nothing_left):
    with subprocess.Popen(["unshare", "-Ur", "sleep", "60"]) as child:
        try:

            async def script(app: PaneApp, pilot: Pilot[None]) -> None:
                def told() -> bool:
                    follow(app, child.pid)
                    return "Not root of the machine" in app.text("summary")

                await until(told)
                assert app.find("no ", "change the host name", "which does not own its uts")
                assert app.find("≠user", "its own")

            play(script, (200, 60))
        finally:
            child.kill()


def test_a_pane_that_nobody_sees_reads_nothing_and_all_at_once_when_it_is_shown():
    async def script(app: PaneApp, pilot: Pilot[None]) -> None:
        app.pane.display = False
        await until(lambda: not is_seen(app.pane))
        asked: list[object] = []
        ask = app.pane._reader.ask
        app.pane._reader.ask = lambda subject: (asked.append(subject), ask(subject))  # type: ignore[method-assign, assignment, func-returns-value, return-value]
        follow(app, os.getpid())
        await pilot.pause()
        assert not asked
        app.pane.display = True
        await until(lambda: asked and app.find("mount file systems"))

    play(script)


def test_one_that_is_gone_has_no_picture():
    assert look_at(Subject((os.getpid(), 1), None, None)).found is None


def test_without_a_parent_nothing_is_said_to_be_lost():
    own = take((os.getpid(),)).records[os.getpid()].identity
    picture = look_at(Subject(own, None, None))
    assert picture.found is not None
    assert not picture.changes
    assert {row.same for row in picture.rows} == {None}
    assert group(picture, False)[0] == Title("what it could still do", "no parent to be seen")


def test_landlock_of_a_launch_of_ours_holds_all_that_comes_from_it(nothing_left):
    with subprocess.Popen(["sleep", "60"]) as child:
        try:

            async def script(app: PaneApp, pilot: Pilot[None]) -> None:
                landlocked = SimpleNamespace(spec=SimpleNamespace(landlock=object()))
                of = {app.desk.me: landlocked}.get
                app.desk.launches = SimpleNamespace(of=of, front=None)  # type: ignore[assignment]

                def told() -> bool:
                    follow(app, child.pid)
                    return app.pane.picture is not None and app.pane.picture.subject.landlock is True

                await until(told)
                assert app.find("no ", "mount file systems", "Landlock holds it") or os.geteuid() != 0
                landlock = next(row for row in app.pane.picture.rows if row.attribute == "landlock")
                assert landlock.child == "yes"

            play(script, (120, 40))
        finally:
            child.kill()
