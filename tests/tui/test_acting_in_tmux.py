"""Acting in a real terminal: keys in, screens out, real processes, at the three sizes and without colours."""

from __future__ import annotations

import os
import re
import signal
import sys

import pytest
from acted import child, state
from leftovers import Census, until
from nobody import Runner
from tmux import Tmux

NSVIEW = (sys.executable, "-m", "nsview")

pytestmark = pytest.mark.needs("tmux")


def put_cursor_on(terminal: Tmux, pid: int) -> None:
    """Filter the tree to one process."""
    terminal.wait_for("1 Processes", "q Quit")
    terminal.type("/")
    terminal.type(f"pid={pid}")
    terminal.wait_for("1 of ", rf"{pid} .*sleep")
    terminal.keys("Enter")
    terminal.wait_for("q Quit")
    terminal.keys("End")
    terminal.wait_for(f"[─━] {pid} sleep · ")


def _underlined(terminal: Tmux, word: str) -> bool:
    """Whether the line of the dialog with this word is underlined."""
    return any(re.search(rf"\x1b\[[0-9;]*\b4m[^│]*{word}", line) for line in terminal.screen(escapes=True).splitlines())


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_a_signal_is_chosen_asked_about_and_sent(size: tuple[int, int], nothing_left: Census) -> None:
    with child() as process, Tmux(NSVIEW, *size) as terminal:
        put_cursor_on(terminal, process.pid)
        terminal.keys("k")
        terminal.wait_for(f"Send a signal to {process.pid} sleep", r"pidfd_send_signal\(pidfd, SIGTERM")
        terminal.type("sigkill")
        terminal.wait_for(r"pidfd_send_signal\(pidfd, SIGKILL")
        terminal.keys("Enter")
        terminal.wait_for(f"Kill {process.pid} sleep\\?", "sleep 1000", "Cancel +Kill")
        terminal.keys("Right", "Enter")
        terminal.wait_for(f"SIGKILL sent to {process.pid}")
        assert process.wait() == -signal.SIGKILL
        terminal.keys("q")
        assert terminal.wait_for_end() == 0


def test_without_colours_the_choice_is_still_to_be_seen(nothing_left: Census) -> None:
    with child() as process, Tmux(NSVIEW, 80, 24, env={"NO_COLOR": "1"}) as terminal:
        put_cursor_on(terminal, process.pid)
        before = os.getpriority(os.PRIO_PROCESS, process.pid)
        terminal.keys("F8")
        terminal.wait_for(f"nice is {before + 1}")
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == before + 1
        terminal.keys("k")
        terminal.wait_for(r"whom \[this\]")
        assert until(lambda: _underlined(terminal, "SIGTERM")), "the mark is to be seen without colours"
        assert not _underlined(terminal, "SIGKILL")
        terminal.type("stop")
        terminal.keys("Enter")
        terminal.wait_for(r"Send SIGSTOP to \d+ sleep\?", "Cancel +Send")
        terminal.keys("Enter")
        terminal.wait_for(lambda screen: "Cancel" not in screen)
        assert state(process.pid) == "S"
        terminal.keys("q")
        assert terminal.wait_for_end() == 0


def test_read_only_is_in_the_header_and_keys_say_so(nothing_left: Census) -> None:
    with child() as process, Tmux((*NSVIEW, "--read-only"), 80, 24) as terminal:
        put_cursor_on(terminal, process.pid)
        terminal.wait_for("READ-ONLY")
        terminal.keys("k")
        terminal.wait_for("Read-only: nsview")
        terminal.keys("F5")
        assert until(lambda: state(process.pid) == "S")
        terminal.keys("q")
        assert terminal.wait_for_end() == 0


@pytest.mark.needs("root")
def test_who_may_not_is_told_why_and_what_to_do(nobody: Runner, nothing_left: Census) -> None:
    with child() as process, Tmux(nobody.command("python", "-m", "nsview"), 120, 40, nobody.environment()) as terminal:
        put_cursor_on(terminal, process.pid)
        before = os.getpriority(os.PRIO_PROCESS, process.pid)
        terminal.keys("F8")
        terminal.wait_for("setpriority: EPERM", "another user's")
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == before
        terminal.keys("k")
        terminal.wait_for(f"Send a signal to {process.pid}")
        terminal.keys("Enter")
        terminal.wait_for("pidfd_send_signal: EPERM", "run nsview as root")
        assert process.poll() is None
        terminal.keys("q")
        assert terminal.wait_for_end() == 0
