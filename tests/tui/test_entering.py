"""Entering a process's namespaces from the screen: what is offered, what is refused, where one really is then."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from golden import assert_golden, screen_text
from leftovers import Census
from leftovers import until as wait
from screen import SIZES, until
from test_app import running
from textual.app import App
from textual.widgets import Input, SelectionList, Static

import nsview.tui.app
from nsview.host.model import Identity
from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.shells import shell_in
from nsview.tui.acting.signals import start_time_of
from nsview.tui.processes.table import ProcTable
from nsview.tui.terminal.children_bar import ChildrenBar
from nsview.tui.terminal.enter_dialog import EnterDialog
from nsview.tui.terminal.entering import House, look, spec_of, words
from nsview.tui.terminal.terminal import ChildTerminal
from spawner import Spec, SpecError, compile_spec, launch
from spawner.namespaces import KINDS


@contextmanager
def living(*args: str, **spec: object) -> Iterator[Identity]:
    """A process that waits until it is not needed any more."""
    plan = compile_spec(Spec(args=args or ("sleep", "1000"), **spec))  # type: ignore[arg-type]
    with launch(plan) as child:
        yield child.pid, start_time_of(child.pid)


@contextmanager
def rooted(root: Path) -> Iterator[PinnedProcess]:
    """A process whose root directory is this one."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, preexec_fn=lambda: os.chroot(root)) as cat:
        assert wait(lambda: Path(f"/proc/{cat.pid}/comm").read_text() == "cat\n")
        with PinnedProcess(cat.pid) as process:
            yield process
        cat.kill()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root directory with cat in it and all that it needs, and nothing else."""
    cat = shutil.which("cat")
    assert cat is not None
    libraries = subprocess.run(["ldd", cat], capture_output=True, text=True, check=True).stdout.split()
    for file in (cat, *(word for word in libraries if word.startswith("/"))):
        there = tmp_path / file[1:]
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, there)
    (tmp_path / "bin").mkdir(exist_ok=True)
    return tmp_path


class NsviewStyled(App[None]):
    """An empty app that looks like ours."""

    CSS_PATH = Path(nsview.tui.app.__file__).with_name("app.tcss")


@pytest.mark.needs("root")
def test_shell_is_the_one_inside_the_root_and_no_link_leads_out(root: Path, nothing_left: Census) -> None:
    with rooted(root) as process:
        assert shell_in(process, "/bin/bash") is None
        (root / "bin/sh").symlink_to("/usr/bin/env")  # which is there only outside
        (root / "bin/ash").symlink_to("../../../../../../../../bin/dash")
        assert shell_in(process) is None
        (root / "bin/busybox").write_bytes(b"\x7fELF")
        assert shell_in(process) is None  # nobody may execute it
        (root / "bin/busybox").chmod(0o755)
        assert shell_in(process) == ("/bin/busybox", "sh")
        (root / "bin/ash").unlink()
        (root / "bin/ash").symlink_to("/bin/busybox")
        assert shell_in(process) == ("/bin/ash",)
        (root / "opt").mkdir()
        shutil.copy(root / "bin/busybox", root / "opt/fish")
        assert shell_in(process, "/opt/fish") == ("/opt/fish",)
        assert shell_in(process, "opt/fish") == ("/bin/ash",)


@pytest.mark.needs("root", "uts_namespace")
def test_doors_are_the_namespaces_that_are_not_ours(nothing_left: Census) -> None:
    with living(namespaces=frozenset({"uts", "ipc"})) as identity:
        house = look(identity, "sleep")
        assert house.wanted == {"uts", "ipc"}
        inodes = {door.kind.name: door.inode for door in house.doors}
        assert inodes["uts"] == os.stat(f"/proc/{identity[0]}/ns/uts").st_ino
        assert inodes["mount"] == os.stat("/proc/self/ns/mnt").st_ino
        assert house.program({"uts"}) == house.program(())


def test_another_process_of_that_number_is_not_entered() -> None:
    with pytest.raises(ProcessGoneError):
        look((os.getpid(), start_time_of(os.getpid()) - 1), "python")


@pytest.mark.needs("root", "uts_namespace")
def test_what_was_looked_at_is_what_is_entered_or_nothing(nothing_left: Census) -> None:
    with living(namespaces=frozenset({"uts"})) as identity:
        house = look(identity, "sleep")
        spec = spec_of(house, {"uts"}, "", "", ["/bin/sh"])
        (join,) = spec.join
        assert (join.type, join.path) == ("uts", f"/proc/{identity[0]}/ns/uts")
        assert join.identity is not None
    with pytest.raises((ProcessGoneError, SpecError)):
        spec_of(house, {"uts"}, "", "", ["/bin/sh"])


def _house(*own: str) -> House:
    from nsview.tui.terminal.entering import Door

    doors = tuple(Door(kind, at, kind.name not in own) for at, kind in enumerate(KINDS, 100))
    return House((4242, 7), "demo", doors, None, ("/bin/bash",))


def test_words_are_those_of_the_command_line() -> None:
    house = _house("mount", "uts")
    said = words(house, {"uts", "mount"}, "0", "users", ["sh", "-l"])
    assert said == ["-t", "4242", "-m", "-u", "-S", "0", "-G", "users", "--", "sh", "-l"]


def test_no_shell_is_offered_where_none_is_inside_and_ours_where_the_mounts_are_ours() -> None:
    house = _house("mount", "uts")
    assert house.program({"mount", "uts"}) == ""
    assert house.program({"uts"}) == "/bin/bash"


@pytest.mark.parametrize(
    ("entered", "uid", "program", "said"),
    [
        ({"uts"}, "", [], "no program to run"),
        ((), "", ["sh"], "no namespace to enter"),
        ({"uts"}, "no such user", ["sh"], "there is no user 'no such user'"),
    ],
)
def test_what_does_not_go_is_refused_in_words(entered: set[str], uid: str, program: list[str], said: str) -> None:
    house = look((os.getpid(), start_time_of(os.getpid())), "python")
    with pytest.raises(SpecError, match=said):
        spec_of(house, entered, uid, "", program)


async def test_dialog_ticks_what_is_not_ours_and_shows_the_command() -> None:
    app: App[None] = App()
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = EnterDialog(_house("mount", "uts"))
        app.push_screen(dialog)
        await until(lambda: dialog.is_mounted and dialog.query(SelectionList))
        shown = dialog.query_one("#enter-words", Static)
        await until(lambda: "-m -u" in str(shown.render()))
        assert dialog.query_one("#enter-program", Input).value == ""
        await pilot.press("space")  # the mount namespace is the first
        await until(lambda: str(shown.render()) == "nsview enter -t 4242 -u -- /bin/bash")
        await pilot.press("tab", "0", "tab", "tab", "end", *" -l")
        await until(lambda: str(shown.render()) == "nsview enter -t 4242 -u -S 0 -- /bin/bash -l")


@pytest.mark.parametrize("size", SIZES)
async def test_dialog_looks_as_kept(size: tuple[int, int]) -> None:
    app = NsviewStyled()
    async with app.run_test(size=size):
        dialog = EnterDialog(_house("mount", "uts", "pid", "user"))
        app.push_screen(dialog)
        await until(lambda: dialog.is_mounted and "-p -U" in str(dialog.query_one("#enter-words", Static).render()))
        await until(lambda: "[x] m mount" in screen_text(app))
        assert_golden(app, "enter")


async def test_dialog_says_what_is_wrong_and_keeps_what_was_typed() -> None:
    app: App[None] = App()
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = EnterDialog(_house("uts"))
        answers: list[Spec | None] = []
        app.push_screen(dialog, answers.append)
        await until(lambda: dialog.is_mounted and dialog.query(SelectionList))
        wrong = dialog.query_one("#enter-wrong", Static)
        await pilot.press("tab", *"nobody-here", "enter")
        await until(lambda: wrong.display)
        assert answers == []
        assert dialog.query_one("#enter-uid", Input).value == "nobody-here"
        await pilot.press("escape")
        await until(lambda: answers == [None])


@pytest.mark.needs("root", "uts_namespace")
@pytest.mark.parametrize("size", SIZES)
async def test_e_opens_a_shell_in_the_namespaces_of_the_process_under_the_cursor(
    size: tuple[int, int], nothing_left: Census
) -> None:
    with living(namespaces=frozenset({"uts", "ipc"})) as identity:
        async with running(size) as (app, pilot):
            table = app.query_one(ProcTable)
            await until(lambda: table.rows.record_of(identity) is not None)
            await until(lambda: table.select(identity) and app.desk.process == identity)
            await pilot.press("1", "e")
            await until(lambda: isinstance(app.screen, EnterDialog) and app.screen.query(SelectionList))
            assert f"of {identity[0]} sleep" in str(app.screen.query(Static).first().render())
            shown = app.screen.query_one("#enter-words", Static)
            await until(lambda: f"-t {identity[0]} -u -i -- " in str(shown.render()))
            app.screen.query_one("#enter-program", Input).value = "/bin/sh"
            await pilot.press("enter")
            await until(lambda: len(app.launches) == 1)
            (launched,) = app.launches
            assert _namespace(launched.pid, "uts") == _namespace(identity[0], "uts") != _namespace(os.getpid(), "uts")
            assert _namespace(launched.pid, "ipc") == _namespace(identity[0], "ipc")
            assert _namespace(launched.pid, "mnt") == _namespace(os.getpid(), "mnt")
            terminal = app.query_one("#terminal-1", ChildTerminal)
            await until(lambda: app.focused is terminal and terminal.text())
            assert f"sh in {identity[0]}" in str(app.query_one(ChildrenBar).render())
            await pilot.press(*"readlink /proc/self/ns/uts", "enter")
            await until(lambda: f"uts:[{_namespace(identity[0], 'uts')}]" in terminal.text())


@pytest.mark.needs("root", "uts_namespace")
async def test_program_that_is_not_there_is_told_and_nothing_moves(nothing_left: Census) -> None:
    with living(namespaces=frozenset({"uts"})) as identity:
        async with running((120, 40)) as (app, pilot):
            table = app.query_one(ProcTable)
            await until(lambda: table.select(identity) and app.desk.process == identity)
            await pilot.press("1", "e")
            await until(lambda: isinstance(app.screen, EnterDialog) and app.screen.query(SelectionList))
            app.screen.query_one("#enter-program", Input).value = "/not/there"
            await pilot.press("enter")
            await until(lambda: any("Not entered. " in toast for toast in _notices(app)))
            assert any("execve" in toast and "ENOENT" in toast for toast in _notices(app))
            assert isinstance(app.focused, ProcTable)
            assert not len(app.launches)


async def test_zombies_have_nothing_to_enter(nothing_left: Census) -> None:
    with subprocess.Popen(["true"]) as zombie:
        stat = Path(f"/proc/{zombie.pid}/stat")
        assert wait(lambda: ") Z " in stat.read_text())
        identity = (zombie.pid, start_time_of(zombie.pid))
        async with running((80, 24)) as (app, pilot):
            table = app.query_one(ProcTable)
            await until(lambda: table.select(identity) and app.desk.process == identity)
            await pilot.press("e")
            await until(lambda: any("is a zombie" in notice for notice in _notices(app)))
            assert not isinstance(app.screen, EnterDialog)


def _namespace(pid: int, kind: str) -> int:
    return os.stat(f"/proc/{pid}/ns/{kind}").st_ino


def _notices(app: App[None]) -> list[str]:
    return [notification.message for notification in app._notifications]
