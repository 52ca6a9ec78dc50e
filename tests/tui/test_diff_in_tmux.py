"""Comparing and judging in a real terminal, on real processes: the paths a person takes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import Census, until
from screen import SIZES
from tmux import Tmux

NSVIEW = (sys.executable, "-m", "nsview")

pytestmark = pytest.mark.needs("tmux", "root", "uts_namespace", "network_namespace")


@pytest.fixture
def child(nothing_left: Census) -> Iterator[int]:
    """Root of a user namespace with a host name and a network of its own."""
    command = ["unshare", "-Urnu", "sh", "-c", "hostname demo; exec sleep 600"]
    with subprocess.Popen(command) as process:
        until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
        yield process.pid
        process.kill()


def find(terminal: Tmux, pid: int) -> None:
    """Put the tree's cursor on a process by the filter, and leave the list whole."""
    terminal.wait_for("1 Processes", "nsview")
    terminal.keys("/")
    terminal.wait_for("No filter")
    terminal.type(f"pid={pid}")
    terminal.wait_for(rf"pid={pid} · 1 of")
    terminal.keys("Enter")
    terminal.wait_for("q Quit")
    terminal.keys("End")
    terminal.wait_for(rf"[─━] {pid} sleep")


@pytest.mark.parametrize("size", SIZES)
def test_what_a_child_has_of_its_own_and_could_still_do_is_told(size: tuple[int, int], child: int) -> None:
    machine = os.uname().nodename
    with Tmux(NSVIEW, *size) as terminal:
        find(terminal, child)
        terminal.keys("2")
        terminal.wait_for(rf"Diff {os.getpid()} \S+ → {child} sleep", "▾ namespaces 3 of 10 differ", r"≠ net .*own")
        terminal.keys("d")
        terminal.wait_for(lambda screen: "pid_for_children" not in screen, rf"≠ host name +{machine} +demo")
        terminal.keys("b")
        terminal.wait_for(r"Δ since \d\d:\d\d:\d\d")
        terminal.keys("Home", "Left")
        terminal.wait_for("▸ namespaces 3 of 10 differ")
        terminal.keys("Right", "Down", "w")
        terminal.wait_for("Read from /proc/PID/ns/net", "CLONE_NEWNET", "Esc closes")
        terminal.keys("Escape")
        terminal.wait_for(lambda screen: "Esc closes" not in screen)
        terminal.keys("8")
        terminal.wait_for(rf"{child}: Not root of the machine", r"no +▼?reboot the machine")
        terminal.keys("d")
        terminal.wait_for("▼", lambda screen: "see the machine's processes" not in screen)
        terminal.wait_for("no, though its parent can: ")
        terminal.keys("q")
        assert terminal.wait_for_end() == 0


@pytest.mark.parametrize("env", [{"TERM": "linux"}, {"NO_COLOR": "1"}])
def test_marks_say_without_colours_what_colours_say(env: dict[str, str], child: int) -> None:
    command = ("env", *(f"{name}={value}" for name, value in env.items()), *NSVIEW)
    with Tmux(command, 80, 24) as terminal:
        find(terminal, child)
        terminal.keys("2")
        terminal.wait_for(r"≠ net +#1 .*#\d+ .*own", r"  pid  ")
        terminal.keys("8")
        terminal.wait_for(r"yes +see the machine's processes", r"no +▼?reboot the machine")
        terminal.keys("q")
        assert terminal.wait_for_end() == 0
