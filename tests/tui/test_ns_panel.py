"""The inspector on the screen, on a made-up machine: both faces at every size, every key, mouse, and what has ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import ClassVar

import ns_machine as made
import pytest
from golden import assert_golden, screen_text
from ns_machine import BOUND, DEMO, OWN, SHELL, WORKER
from screen import until
from textual import on
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from nsview.host.namespaces import Discovery, Namespace
from nsview.host.snapshot import Snapshot
from nsview.tui.desk import Compare, Desk, GoTo
from nsview.tui.namespaces.detail_list import DetailList
from nsview.tui.namespaces.kind_bar import KindBar
from nsview.tui.namespaces.list import NamespaceList
from nsview.tui.namespaces.panel import NamespacePanel
from nsview.tui.namespaces.places import InList, Inside, Linked
from nsview.tui.namespaces.reader import Sources

SIZES = ((50, 14), (64, 22), (76, 24), (80, 24), (198, 56))
"""Where the pane lies: below at the right at 120 and 200 columns, alone at 80, zoomed at 200."""


class InspectorApp(App[None]):
    """The pane alone on the screen; notes where it wants to go."""

    CSS = ".pane { border: round $foreground 30%; }"
    BINDINGS: ClassVar = []

    def __init__(self, sources: Sources) -> None:
        super().__init__()
        self.desk = Desk(self)
        self.panel = NamespacePanel(self.desk, sources, id="namespaces")
        self.panel.add_class("pane")
        self.panel.border_title = "3 Namespaces"
        self.went: list[GoTo | Compare] = []

    def compose(self) -> ComposeResult:
        yield self.panel

    def on_mount(self) -> None:
        for at, inode in enumerate(made.INIT.ns):
            self.desk.ordinals.number(at, inode or 0)

    @on(GoTo)
    @on(Compare)
    def _went(self, message: GoTo | Compare) -> None:
        self.went.append(message)

    def look_at(self, *gone: int, at: float = 0.0, cursor: tuple[int, int] | None = DEMO.identity) -> None:
        """Have a new frame, without those who are gone; the tree's cursor is on DEMO."""
        self.desk.show(made.frame(*gone, at=at))
        self.desk.look_at(cursor)

    @property
    def face(self) -> NamespaceList | DetailList:
        """What has the keys."""
        focused = self.focused
        assert isinstance(focused, (NamespaceList, DetailList))
        return focused

    def line(self, *words: str) -> str | None:
        """Return the line of the screen that has all these words."""
        return next((line for line in screen_text(self).splitlines() if all(word in line for word in words)), None)

    async def shows(self, *words: str) -> str:
        return await until(lambda: self.line(*words))

    async def says(self, text: str) -> None:
        """Wait for a notice."""
        await until(lambda: any(text in notice.message for notice in self._notifications))

    async def cursor_to(self, pilot: Pilot[None], *words: str) -> None:
        """Move the cursor down to the line that has these words."""
        await until(lambda: self.line(*words))
        await pilot.press("home")
        for _ in range(60):
            if all(word in self.under_cursor for word in words):
                return
            await pilot.press("down")
        raise AssertionError(f"no line with {words}")

    @property
    def under_cursor(self) -> str:
        """The text of the line under the cursor."""
        face = self.face
        assert face.cursor_line is not None
        return face.line_strip(face.cursor_line, face.line_width, True).text


Script = Callable[[InspectorApp, Pilot[None]], Awaitable[None]]


def play(script: Script, size: tuple[int, int] = (80, 24), sources: Sources | None = None) -> None:
    async def run() -> None:
        app = InspectorApp(sources or made.sources())
        async with app.run_test(size=size, notifications=True) as pilot:
            app.panel.focus_face()
            app.look_at()
            await app.shows("searched 0 s ago")
            await script(app, pilot)

    asyncio.run(run())


async def to_list(app: InspectorApp, pilot: Pilot[None]) -> None:
    await pilot.press("escape")
    await until(lambda: isinstance(app.face, NamespaceList) and len(app.face.lines) == made.amounts().total())


# ---- how it looks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_the_namespaces_of_the_process_under_the_cursor(size: tuple[int, int]) -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await app.shows("net:[22] n2 web · 2 processes")
        await app.shows("links")
        assert_golden(app, "namespaces-linked")

    play(script, size)


@pytest.mark.parametrize("size", SIZES)
def test_the_list_of_all(size: tuple[int, int]) -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await to_list(app, pilot)
        assert_golden(app, "namespaces-list")

    play(script, size)


@pytest.mark.parametrize("size", SIZES)
def test_the_owner_tree(size: tuple[int, int]) -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await to_list(app, pilot)
        await pilot.press("t")
        await app.shows("parent tree")
        await pilot.press("t")
        await app.shows("owner tree")
        await app.shows("├─ ")
        assert_golden(app, "namespaces-owners")
        await pilot.press("t")
        await until(lambda: app.line("owner tree") is None)

    play(script, size)


@pytest.mark.parametrize("size", SIZES)
def test_a_mount_namespace_with_marks_and_folded(size: tuple[int, int]) -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await pilot.press("m")
        await app.shows("mounts 23")
        await pilot.press("right")
        await until(lambda: app.line("+", "/proc"))
        assert_golden(app, "namespaces-mounts")

    play(script, size)


# ---- keys --------------------------------------------------------------------------------------------------------


def test_each_letter_shows_its_kind_of_the_process_and_in_the_list() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        for letter, proc in zip("mnpUuiCT", ("mnt", "net", "pid", "user", "uts", "ipc", "cgroup", "time"), strict=True):
            await pilot.press(letter)
            inode = OWN.get(letter, made.INITIAL[letter])
            await app.shows(f"{proc}:[{inode}]")
            assert app.query_one(KindBar).chosen == letter
        await to_list(app, pilot)
        for letter in "mnpUuiCT":
            await pilot.press(letter)
            await until(lambda letter=letter: len(app.face.lines) == made.amounts()[letter])
            assert {line.row.namespace.kind.letter for line in app.face.lines} == {letter}
        await pilot.press("a")
        await until(lambda: len(app.face.lines) == made.amounts().total())

    play(script)


def test_the_pane_follows_the_cursor_until_it_is_unlinked() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await pilot.press("u")
        await app.shows("uts:[25]", "2 processes")
        app.desk.look_at(SHELL.identity)
        await app.shows("uts:[15]")
        await app.shows("of 4701 bash")
        await pilot.press("l")
        await until(lambda: isinstance(app.panel.way.here, InList))
        assert isinstance(app.focused, NamespaceList)
        app.desk.look_at(DEMO.identity)
        await pilot.pause()
        assert app.panel.subject is None
        await pilot.press("l")
        await app.shows("of 4711 demo")
        assert isinstance(app.focused, DetailList)

    play(script)


def test_enter_goes_into_a_namespace_and_escape_back_to_the_same_row() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await to_list(app, pilot)
        await app.cursor_to(pilot, " 32 ")
        await pilot.press("enter")
        await app.shows("net:[32] n3 quiet · no processes")
        await app.shows("mount", "/run/netns/quiet in mnt:[11]")
        await pilot.press("escape")
        await until(lambda: isinstance(app.face, NamespaceList))
        assert " 32 " in app.under_cursor

    play(script)


def test_a_veth_leads_to_its_other_end_and_back() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await app.cursor_to(pilot, "eth0", "veth7 in net 32")
        await pilot.press("enter")
        await app.shows("net:[32]")
        await until(lambda: "veth7" in app.under_cursor)
        assert app.panel.way.here == Inside(BOUND)
        await pilot.press("enter")
        await app.shows("net:[22]")
        await until(lambda: "eth0" in app.under_cursor)
        for _ in range(2):
            await pilot.press("escape")
        await until(lambda: app.panel.way.here == Linked("n"))

    play(script)


def test_owners_lead_up_to_the_initial_one() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await app.cursor_to(pilot, "owner", "user:[24]")
        await pilot.press("enter")
        await app.shows("user:[24] U2 web")
        await app.cursor_to(pilot, "parent", "the initial one")
        await pilot.press("enter")
        await app.shows(f"user:[{made.TOP_USER}] U1 init")

    play(script)


def test_a_member_leads_to_its_process_in_the_tree() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await pilot.press("u")
        await app.cursor_to(pilot, "4712", "worker")
        await pilot.press("enter")
        await until(lambda: app.went)
        [went] = app.went
        assert isinstance(went, GoTo)
        assert (went.identity, went.pane) == (WORKER.identity, "tree")

    play(script)


def test_a_process_that_keeps_a_namespace_leads_there_too_or_is_gone() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await app.cursor_to(pilot, "fd 9 of 4701", "bash")
        await pilot.press("enter")
        await until(lambda: app.went)
        assert isinstance(app.went[0], GoTo)
        assert app.went[0].identity == SHELL.identity
        app.look_at(SHELL.pid, at=1.0)
        await app.cursor_to(pilot, "fd 9 of 4701", "?")
        await pilot.press("enter")
        await app.says("Process 4701 is gone.")
        assert len(app.went) == 1

    play(script)


def test_c_compares_a_member_with_its_parent_and_two_marked_with_each_other() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await pilot.press("u")
        await app.cursor_to(pilot, "4711", "4701")
        await pilot.press("c")
        await until(lambda: len(app.went) == 1)
        await pilot.press("space")
        await app.shows("◈", "4711")
        await app.cursor_to(pilot, "4712", "worker")
        await pilot.press("space")
        await app.shows("◈", "4712")
        await pilot.press("c")
        await until(lambda: len(app.went) == 2)
        pairs = [(went.parent, went.child) for went in app.went if isinstance(went, Compare)]
        assert pairs == [(SHELL.identity, DEMO.identity), (DEMO.identity, WORKER.identity)]
        await until(lambda: app.line("◈") is None)

    play(script)


def test_marking_and_comparing_without_a_process_says_what_to_do() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await to_list(app, pilot)
        await app.cursor_to(pilot, " 32 ")
        await pilot.press("c")
        await app.says("Put the cursor on a process inside, or mark two")
        await pilot.press("space")
        await app.says("Put the cursor on a process inside to mark it.")
        await app.cursor_to(pilot, " 25 ")
        await pilot.press("space")
        await app.says("Marked: 4711")
        assert app.went == []

    play(script)


def test_a_folded_section_opens_and_stays_open() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await pilot.press("m")
        await app.cursor_to(pilot, "15 more: Enter shows them")
        await pilot.press("enter")
        await until(lambda: app.face.detail.named("  /data19"))
        assert "/data05" in app.under_cursor, "the cursor stays where it was"
        app.look_at(WORKER.pid, at=1.0)
        await app.shows("1 process")
        assert app.face.detail.named("  /data19")
        assert "/data05" in app.under_cursor

    play(script)


def test_left_and_right_go_from_section_to_section() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await app.shows("links 2")
        seen = []
        for _ in range(3):
            await pilot.press("right")
            seen.append(app.under_cursor.split()[:2])
        assert seen == [["1", "lo"], ["→", "4711"], ["→", "fd"]]
        await pilot.press("left", "left")
        assert "lo" in app.under_cursor

    play(script)


def test_the_filter_is_in_force_as_it_is_typed_and_escape_takes_it_away() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"held=mount")
        await until(lambda: len(app.query_one(NamespaceList).lines) == 2)
        await pilot.press("enter")
        await until(lambda: isinstance(app.focused, NamespaceList))
        await app.shows("3 Namespaces · / held=mount")
        await pilot.press("escape")
        await until(lambda: len(app.face.lines) == made.amounts().total())
        assert app.line("held=mount") is None

    play(script)


def test_a_wrong_filter_says_what_is_wrong_and_loses_nothing() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await to_list(app, pilot)
        await pilot.press("slash", *"held=nonsense")
        await app.shows("it takes one of proc, task")
        assert len(app.query_one(NamespaceList).lines) == made.amounts().total()
        await pilot.press("enter")
        assert not isinstance(app.focused, NamespaceList), "the line stays to be put right"
        await pilot.press("escape")
        await until(lambda: isinstance(app.focused, NamespaceList))

    play(script)


def test_a_filter_that_nothing_matches_says_how_to_go_on() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"nobody-is-called-so", "enter")
        await app.shows("Nothing matches the filter: Esc takes it away.")

    play(script)


def test_the_mouse_chooses_a_kind_and_opens_a_row() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        bar = app.query_one(KindBar)
        at = next(line for line in screen_text(app).splitlines() if " n2 " in line).index("n2") - 1
        await pilot.click(bar, offset=(at, 0))
        await app.shows("net:[22]")
        await to_list(app, pilot)
        rows = screen_text(app).splitlines()
        row = next(number for number, line in enumerate(rows) if " 32 " in line)
        await pilot.click(app.query_one(NamespaceList), offset=(5, row - 2), times=2)
        await app.shows("net:[32] n3 quiet")

    play(script)


# ---- time passes -------------------------------------------------------------------------------------------------


def test_a_namespace_that_ends_while_it_is_shown_says_so_and_keeps_what_was_known() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await to_list(app, pilot)
        await app.cursor_to(pilot, " 25 ")
        await pilot.press("enter")
        await app.shows("uts:[25]", "2 processes")
        app.look_at(DEMO.pid, WORKER.pid, at=1.0, cursor=SHELL.identity)
        await app.shows("uts:[25] ✝ gone")
        await app.shows("gone", "nothing keeps it alive any more")

    play(script)


def test_a_member_that_comes_or_goes_changes_the_rows_and_not_the_cursor() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await pilot.press("u")
        await app.cursor_to(pilot, "4711", "4701")
        app.look_at(WORKER.pid, at=1.0)
        await app.shows("uts:[25]", "1 process")
        assert "4711" in app.under_cursor
        app.look_at(at=2.0)
        await app.shows("uts:[25]", "2 processes")
        assert "4711" in app.under_cursor

    play(script)


def test_without_a_process_under_the_cursor_the_pane_says_what_to_do() -> None:
    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        app.desk.look_at(None)
        await app.shows("Put the tree's cursor on a process")

    play(script)


def test_a_namespace_that_cannot_be_known_is_a_question_mark() -> None:
    blind = DEMO._replace(ns=(None,) * 8)

    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        made_frame = made.frame()
        records = {**made_frame.snapshot.records, DEMO.pid: blind}
        shot = replace(made_frame.snapshot, records=records)
        app.desk.show(replace(made_frame, snapshot=shot, rows=made.rows_of(shot)))
        await app.shows("m?", "T?")
        await app.shows("mnt:[?]")
        await app.shows("The kernel does not let us know")
        app.desk.look_at(SHELL.identity)
        await app.shows("mnt:[11]", "2 processes, 1 unknown")

    play(script)


def test_a_search_is_seen_at_work_and_asked_for_by_a_key() -> None:
    begun, go_on = threading.Event(), threading.Event()
    searches = []

    def slow(_shot: Snapshot) -> Discovery:
        searches.append(1)
        if len(searches) > 1:
            begun.set()
            go_on.wait()
        return made.searched()

    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await pilot.press("R")
        await until(begun.is_set)
        await app.shows("searching the machine…")
        await pilot.press("u")
        await app.shows("uts:[25]")
        go_on.set()
        await app.shows("searched 0 s ago, not all")
        await app.says("not all could be looked into")
        assert len(searches) == 2

    try:
        play(script, sources=replace(made.sources(), search=slow))
    finally:
        go_on.set()


def test_what_cannot_be_read_is_told_and_tried_again() -> None:
    reads = []

    def failing(namespace: Namespace, _shot: Snapshot, _found: object) -> object:
        reads.append(namespace.inode)
        if len(reads) == 1:
            raise OSError(5, "Input/output error")
        return made.content(namespace)

    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        await app.says("reading the inside of a namespace: [Errno 5] Input/output error")
        app.look_at(at=1.0)
        await app.shows("mounts 23")

    play(script, sources=replace(made.sources(), read=failing))


def test_a_name_that_would_write_markup_or_escapes_is_shown_as_it_is() -> None:
    evil = DEMO._replace(comm="[red]x[/]")

    async def script(app: InspectorApp, pilot: Pilot[None]) -> None:
        shot = made.shot()
        shot = replace(shot, records={**shot.records, DEMO.pid: evil})
        app.desk.show(replace(made.frame(), snapshot=shot, rows=made.rows_of(shot)))
        await app.shows("of 4711 [red]x[/]")
        await pilot.press("u")
        await app.shows("leader", "4711 [red]x[/]")

    play(script)


def test_a_hidden_pane_reads_nothing() -> None:
    async def run() -> None:
        asked = []

        def members(shot: Snapshot, _tree: object, _known: object) -> dict[int, Namespace]:
            asked.append(shot)
            return made.members()

        app = InspectorApp(replace(made.sources(), members=members))
        app.panel.display = False
        async with app.run_test(size=(80, 24)):
            app.look_at()
            app.look_at(at=1.0)
            await asyncio.sleep(0)
            assert app.panel.picture is None
            assert asked == []
            app.panel.display = True
            await until(lambda: app.panel.picture)
            assert len(asked) == 1

    asyncio.run(run())
