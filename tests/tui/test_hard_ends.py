"""Ends that nobody asked for: nsview killed, its terminal gone, resized like mad, programs that stop or will not go.

Each in a real terminal with real processes; what the person sees is right afterwards, and nothing is left.
"""

from __future__ import annotations

import os
import re
import select
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from leftovers import Census, until
from test_programs_in_tmux import NSVIEW, launch_shell, leave, run
from tmux import Tmux

from nsview.tui.launching.warden import MARK, kill_all

pytestmark = pytest.mark.needs("tmux")


def marked(mark: str) -> dict[int, str]:
    """All processes with this session's mark in their environment, and their command lines."""
    found: dict[int, str] = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if f"{MARK}={mark}".encode() in Path("/proc", name, "environ").read_bytes().split(b"\0"):
                words = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
                found[int(name)] = b" ".join(words).decode().strip()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def mark_of(terminal: Tmux) -> str:
    """The mark that nsview gave to what it launches, as its shell has it."""
    (shell,) = (pid for pid in children(terminal.pid) if comm(pid) == "sh")
    environ = Path("/proc", str(shell), "environ").read_bytes().split(b"\0")
    (mark,) = (one.partition(b"=")[2].decode() for one in environ if one.startswith(f"{MARK}=".encode()))
    return mark


def children(pid: int) -> list[int]:
    """The children of a process."""
    tasks = Path("/proc", str(pid), "task")
    return [int(child) for tid in os.listdir(tasks) for child in (tasks / tid / "children").read_text().split()]


def comm(pid: int) -> str:
    """The name of a process; empty when it is gone."""
    try:
        return Path("/proc", str(pid), "comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def warden_of(mark: str) -> int:
    """The warden of the nsview with this mark, which it has in its command line."""
    there = (int(name) for name in os.listdir("/proc") if name.isdecimal() and comm(int(name)) == "nsview-warden")
    (warden,) = (pid for pid in there if mark in Path("/proc", str(pid), "cmdline").read_text())
    return warden


@contextmanager
def watched(pids: Sequence[int]) -> Iterator[list[int]]:
    """Pidfds of these processes, for as long as they are wanted."""
    pidfds = [os.pidfd_open(pid) for pid in pids]
    try:
        yield pidfds
    finally:
        for pidfd in pidfds:
            os.close(pidfd)


def ended(pidfds: Sequence[int]) -> bool:
    """Whether all have ended."""
    return len(select.select(pidfds, [], [], 0)[0]) == len(pidfds)


BROOD = (
    "sleep 1001 & "  # a job in the background: no signal of the kernel reaches it when its shell is killed
    "setsid sleep 1002 & "
    "(setsid sh -c 'setsid sleep 1003 & exec sleep 1004' &) ; "
    "(trap '' HUP TERM; sleep 1005 & echo rea''dy; wait)"
)


def brood(terminal: Tmux) -> dict[int, str]:
    """Launch a shell with children that live in every way a child can, and return all of them."""
    launch_shell(terminal)
    run(terminal, BROOD)
    terminal.wait_for("ready")
    mark = mark_of(terminal)

    def there() -> dict[int, str] | None:
        found = marked(mark)
        return found if {f"sleep 100{n}" for n in range(1, 6)} <= {*found.values()} else None

    found = until(there)
    assert found
    return found


def test_killed_nsview_leaves_nobody_behind(nothing_left: Census) -> None:
    with Tmux(NSVIEW) as terminal:
        found = brood(terminal)
        with watched([*found, terminal.pid, warden_of(mark_of(terminal))]) as pidfds:
            os.kill(terminal.pid, signal.SIGKILL)
            assert terminal.wait_for_end() == 128 + signal.SIGKILL
            assert until(lambda: ended(pidfds), 10), [pid for pid in found if comm(pid)]


def test_killed_with_its_warden_the_launched_program_still_ends(nothing_left: Census) -> None:
    """What the kernel alone does: PR_SET_PDEATHSIG ends the launched program, whatever became of all others."""
    with Tmux(NSVIEW) as terminal:
        found = brood(terminal)
        mark = mark_of(terminal)
        (shell,) = (pid for pid in children(terminal.pid) if comm(pid) == "sh" and pid in found)
        warden = warden_of(mark)
        with watched([shell]) as direct, watched([*found]) as everybody:
            os.kill(warden, signal.SIGKILL)
            os.kill(terminal.pid, signal.SIGKILL)
            assert until(lambda: ended(direct))
            assert not ended(everybody), "nobody but a warden ends what has a session of its own"
            kill_all(f"{MARK}={mark}".encode())
            assert until(lambda: ended(everybody))


def test_next_start_after_a_kill_is_as_any_other(nothing_left: Census) -> None:
    with Tmux(NSVIEW) as terminal:
        launch_shell(terminal)
        os.kill(terminal.pid, signal.SIGKILL)
        assert terminal.wait_for_end() == 128 + signal.SIGKILL
    with Tmux(NSVIEW) as terminal:
        launch_shell(terminal)
        run(terminal, "echo ag''ain")
        terminal.wait_for("│again")
        leave(terminal)


def test_lost_terminal_takes_the_whole_brood_along(nothing_left: Census) -> None:
    with Tmux(NSVIEW) as terminal:
        found = brood(terminal)
        pidfds = [os.pidfd_open(pid) for pid in (*found, terminal.pid)]
    try:
        assert until(lambda: ended(pidfds), 10)
    finally:
        for pidfd in pidfds:
            os.close(pidfd)


def test_hangup_in_a_flood_ends_everything_too(nothing_left: Census) -> None:
    with Tmux(NSVIEW) as terminal:
        launch_shell(terminal)
        run(terminal, "yes flooded")
        terminal.wait_for(r"│flooded\s+│")
        mark = mark_of(terminal)
        with watched([*marked(mark), terminal.pid]) as pidfds:
            os.kill(terminal.pid, signal.SIGHUP)
            assert until(lambda: ended(pidfds), 10)


def test_resize_storm_in_a_flood_ends_at_the_last_size(nothing_left: Census) -> None:
    with Tmux(NSVIEW) as terminal:
        launch_shell(terminal)
        run(terminal, "yes flooded")
        terminal.wait_for(r"│flooded\s+│")
        for at in range(200):
            terminal.resize(60 + at * 7 % 140, 10 + at * 3 % 50)
        terminal.resize(80, 24)
        terminal.wait_for("5 Terminal", lambda screen: screen.count("│flooded ") >= 17, "Esc Esc leaves")
        terminal.keys("C-c")
        run(terminal, "clear; stty size")
        terminal.wait_for(r"│19 78 ")
        screen = terminal.screen().splitlines()
        assert [len(line) for line in screen[1:23]] == [80] * 22, "every line of the pane is whole"
        leave(terminal)


def test_stopped_child_is_shown_so_goes_on_and_can_be_ended(nothing_left: Census) -> None:
    with Tmux(NSVIEW) as terminal:
        launch_shell(terminal)
        (shell,) = (pid for pid in children(terminal.pid) if comm(pid) == "sh")
        os.kill(shell, signal.SIGSTOP)
        terminal.wait_for("sh · stopped", rf"{shell} T ")
        terminal.type("echo ty''ped while it stood still")
        terminal.keys("Enter")
        os.kill(shell, signal.SIGCONT)
        terminal.wait_for("sh · running", "│typed while it stood still")
        os.kill(shell, signal.SIGSTOP)
        terminal.wait_for("sh · stopped")
        leave(terminal)
        assert not comm(shell)


def test_stopped_child_dies_by_sigkill_and_is_closed(nothing_left: Census) -> None:
    with Tmux(NSVIEW) as terminal:
        launch_shell(terminal)
        (shell,) = (pid for pid in children(terminal.pid) if comm(pid) == "sh")
        os.kill(shell, signal.SIGSTOP)
        terminal.wait_for("sh · stopped")
        os.kill(shell, signal.SIGKILL)
        terminal.wait_for("killed by SIGKILL · Esc leaves")
        terminal.keys("Escape")
        terminal.wait_for("q Quit")
        terminal.keys("x")
        terminal.wait_for("no program launched yet")
        terminal.keys("q")
        assert terminal.wait_for_end() == 0


def test_child_that_ignores_what_it_can_ends_with_nsview(nothing_left: Census) -> None:
    with Tmux(NSVIEW) as terminal:
        launch_shell(terminal)
        run(terminal, "exec sh -c 'trap \"\" HUP TERM INT QUIT; echo deaf; while :; do sleep 1006; done'")
        terminal.wait_for("│deaf")
        (shell,) = (pid for pid in children(terminal.pid) if comm(pid) == "sh")
        with watched([shell]) as pidfds:
            os.kill(shell, signal.SIGTERM)
            terminal.keys("C-c")
            assert not ended(pidfds)
            leave(terminal)
            assert ended(pidfds)


def test_child_that_dies_in_the_middle_of_a_sequence_leaves_the_next_one_a_clean_terminal(
    nothing_left: Census,
) -> None:
    with Tmux(NSVIEW) as terminal:
        launch_shell(terminal)
        run(terminal, "printf '\\033[31;44mhalf\\033]0;never ended\\033[?1049h\\033[?1003h\\033[3'; kill -9 $$")
        terminal.wait_for("killed by SIGKILL · Esc leaves")
        terminal.keys("Escape")
        terminal.wait_for("q Quit")
        terminal.keys("F5")
        terminal.wait_for(r"2▸\d+ sh · running", r"│[#$] +│")
        run(terminal, "echo cl''ean")
        terminal.wait_for(r"│clean ")
        assert re.search(r"1▸\d+ sh · killed by SIGKILL", terminal.screen())
        leave(terminal)
