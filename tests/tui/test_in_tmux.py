"""The whole path in a real terminal: keys in, screens out, real children, nothing left."""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path

import pytest
from leftovers import Census, until
from nobody import Runner
from tmux import Tmux

NSVIEW = (sys.executable, "-m", "nsview")

pytestmark = pytest.mark.needs("tmux")


def _children(pid: int) -> list[int]:
    tasks = Path("/proc", str(pid), "task")
    return [int(child) for tid in os.listdir(tasks) for child in (tasks / tid / "children").read_text().split()]


@pytest.mark.needs("root", "uts_namespace")
def test_hostname_set_in_a_uts_namespace_is_the_childs_alone(nothing_left: Census) -> None:
    machine = os.uname().nodename
    with Tmux(NSVIEW) as terminal:
        terminal.wait_for("1 Processes", r"\[ \] u uts", rf"nsview {machine}")
        terminal.keys("4", "u")
        terminal.wait_for(r"\[x\] u uts", "CLONE_NEWUTS")
        terminal.keys("F5")
        terminal.wait_for("sh · running", r"[#$] *│")
        terminal.type("hostname demo; hostname")
        terminal.keys("Enter")
        terminal.wait_for(r"│demo ", rf"≠ host name +{machine} +demo", r"≠ uts")
        assert os.uname().nodename == machine
        (child,) = _children(terminal.pid)
        assert os.readlink(f"/proc/{child}/ns/uts") != os.readlink("/proc/self/ns/uts")
        terminal.keys("Escape", "Escape")
        terminal.wait_for("q Quit")
        terminal.keys("q")
        assert terminal.wait_for_end() == 0
        assert not Path("/proc", str(child)).exists()
    assert os.uname().nodename == machine


def test_leaving_ends_children_and_what_they_left_running(nothing_left: Census) -> None:
    with Tmux(NSVIEW) as terminal:
        _launch_shell(terminal)
        terminal.type(
            "(setsid sleep 1000 & setsid sh -c 'trap \"\" HUP; sleep 2000 & wait' &) ; echo st''arted; exec sleep 3000"
        )
        terminal.keys("Enter")
        terminal.wait_for("started")
        (child,) = until(
            lambda: [pid for pid in _children(terminal.pid) if _comm(pid) == "sleep" and _arg(pid) == "3000"]
        )
        adopted = until(lambda: [pid for pid in _children(terminal.pid) if pid != child])
        assert adopted, "orphans are adopted"
        terminal.keys("C-]")
        terminal.wait_for("q Quit")
        terminal.keys("q")
        assert terminal.wait_for_end() == 0
        assert not [pid for pid in (child, *adopted) if Path("/proc", str(pid)).exists()]


def _launch_shell(terminal: Tmux) -> None:
    terminal.wait_for("1 Processes", "F5 Launch")
    terminal.keys("F5")
    terminal.wait_for("sh · running", r"│[#$] +│")


def _comm(pid: int) -> str:
    return Path("/proc", str(pid), "comm").read_text().strip()


def _arg(pid: int) -> str:
    return Path("/proc", str(pid), "cmdline").read_text().split("\0")[1]


def test_terminated_from_outside_leaves_nothing_either(nothing_left: Census) -> None:
    with Tmux(NSVIEW) as terminal:
        _launch_shell(terminal)
        (child,) = _children(terminal.pid)
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait_for_end() == 128 + signal.SIGTERM
        assert not Path("/proc", str(child)).exists()


def test_terminal_that_goes_away_takes_everything_with_it(nothing_left: Census) -> None:
    with Tmux(NSVIEW) as terminal:
        _launch_shell(terminal)
        pidfds = [os.pidfd_open(pid) for pid in (terminal.pid, *_children(terminal.pid))]
    for pidfd in pidfds:
        assert until(lambda pidfd=pidfd: select.select([pidfd], [], [], 0)[0])
        os.close(pidfd)


def test_flood_of_output_leaves_the_ui_alive(nothing_left: Census) -> None:
    with Tmux(NSVIEW) as terminal:
        _launch_shell(terminal)
        terminal.type("yes flooded")
        terminal.keys("Enter")
        terminal.wait_for(r"│flooded\s+│")
        terminal.keys("C-c")
        terminal.type("echo dr''y")
        terminal.keys("Enter")
        terminal.wait_for(r"\bdry\b")
        terminal.keys("C-]", "q")
        assert terminal.wait_for_end() == 0


def test_full_screen_program_follows_the_size_of_the_terminal(nothing_left: Census) -> None:
    with Tmux(NSVIEW) as terminal:
        _launch_shell(terminal)
        terminal.type("""sh -c 'trap "stty size" WINCH; stty size; while :; do sleep 1000 & wait; done'""")
        terminal.keys("Enter")
        terminal.wait_for(r"│13 66 ")
        terminal.resize(80, 24)
        terminal.wait_for(r"5 Terminal", lambda screen: "1 Processes" not in screen, r"│19 78 ")
        terminal.keys("C-]", "q")
        assert terminal.wait_for_end() == 0


def test_paste_reaches_the_program(nothing_left: Census) -> None:
    with Tmux(NSVIEW) as terminal:
        _launch_shell(terminal)
        terminal.paste("echo pas''ted\n")
        terminal.wait_for("│pasted")
        terminal.keys("C-]", "q")
        assert terminal.wait_for_end() == 0


def test_without_colour_picked_and_unpicked_still_look_different(nothing_left: Census) -> None:
    with Tmux(NSVIEW, env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("1 Processes", r"\[ \] u uts")
        terminal.keys("4", "u")
        terminal.wait_for(r"\[x\] u uts")
        coloured = [code for code in terminal.screen(escapes=True).split("\x1b[") if code.startswith(("38;", "48;"))]
        assert not [code for code in coloured if len({*code.split("m")[0].split(";")[2:5]}) > 1], "only greys"
        terminal.keys("q")
        assert terminal.wait_for_end() == 0


@pytest.mark.needs("root", "user_namespace")
def test_without_root_it_explores_explains_and_launches_into_a_user_namespace(
    nobody: Runner, nothing_left: Census
) -> None:
    with Tmux(nobody.command("python", "-m", "nsview"), env=nobody.environment()) as terminal:
        terminal.wait_for("not root", "1 Processes", r"\bprocesses\b", "sh")
        terminal.keys("4", "u")
        terminal.wait_for("CAP_SYS_ADMIN", "pick user as well")
        terminal.keys("U")
        terminal.wait_for(lambda screen: "pick user as well" not in screen, r"\[x\] U user")
        terminal.keys("F5")
        terminal.wait_for("sh · running", r"│[#$] +│")
        terminal.type("hostname demo; id -u; hostname")
        terminal.keys("Enter")
        terminal.wait_for("│0 ", "│demo ", "≠ user", "≠ uts")
        terminal.keys("C-]", "q")
        assert terminal.wait_for_end() == 0
