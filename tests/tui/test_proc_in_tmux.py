"""The process table in a real terminal: found by a filter, folded, sorted, and how others' processes end."""

from __future__ import annotations

import subprocess
import sys

import pytest
from leftovers import Census
from tmux import Tmux

NSVIEW = (sys.executable, "-m", "nsview")

pytestmark = pytest.mark.needs("tmux")


@pytest.mark.needs("root", "proc_connector")
@pytest.mark.parametrize("term", ["xterm-256color", "screen-256color", "linux"])
def test_a_process_is_found_by_its_arguments_and_its_end_is_told(term: str, nothing_left: Census) -> None:
    with subprocess.Popen(["sleep", "7654.25"]) as child, Tmux(NSVIEW, 80, 24, {"TERM": term}) as terminal:
        try:
            terminal.wait_for("1 Processes", r"kernel threads? hidden|tree by start")
            terminal.keys("/")
            terminal.type("7654.25")
            terminal.wait_for(r"/ 7654\.25 · 1 of \d+", rf"{child.pid} .*sleep 7654\.25")
            terminal.keys("Enter")
            terminal.type("t")
            terminal.wait_for("list by start", rf"{child.pid} .*sleep 7654\.25")
            child.terminate()
            child.wait()
            terminal.wait_for(rf"✝ +{child.pid} .*killed by SIGTERM")
            terminal.keys("Escape")
            terminal.wait_for(lambda screen: "1 of" not in screen.splitlines()[1])
            terminal.type("q")
            assert terminal.wait_for_end() == 0
        finally:
            child.kill()


def test_without_colours_marks_audit_and_dialogs_are_read_all_the_same(nothing_left: Census) -> None:
    with Tmux(NSVIEW, 80, 24, {"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("1 Processes", "nsview")
        terminal.type("!")
        terminal.wait_for("AUDIT", "= shared with pid 1")
        terminal.keys("Space")
        terminal.wait_for("◈", "1 tagged")
        terminal.type("C")
        terminal.wait_for(r"\[x\] state", r"\[ \] cwd|\[ \] pids")
        terminal.keys("Escape")
        terminal.wait_for(lambda screen: "[x]" not in screen)
        terminal.type("q")
        assert terminal.wait_for_end() == 0
