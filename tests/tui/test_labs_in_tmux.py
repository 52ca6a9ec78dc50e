"""The labs in a real terminal: the lab on sharing step by step, and left in the middle."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from leftovers import Census, until
from tmux import Tmux

NSVIEW = (sys.executable, "-m", "nsview")

pytestmark = pytest.mark.needs("tmux")


HELD = r"Diff (\d+) \S+ → (\d+) .*held"
"""The title of the difference, of two that do not change with the tree's cursor."""


def pids(screen: str) -> tuple[int, int]:
    """Parent and child of the newest scene."""
    found = re.findall(r"\(parent (\d+), child\s+(\d+)\)", screen)
    return int(found[-1][0]), int(found[-1][1])


def test_a_lab_goes_step_by_step_and_the_difference_is_there_meanwhile(nothing_left: Census) -> None:
    with Tmux(NSVIEW, 80, 24) as terminal:
        terminal.wait_for("1 Processes", "q Quit")
        terminal.keys("9")
        terminal.wait_for("sharing +Which things", "Enter runs it")
        terminal.keys("s")
        screen = terminal.wait_for("A child with CLONE_VM", "Enter next · r to the end · Esc ends it · 2 difference")
        parent, child = pids(screen)
        terminal.keys("2")
        terminal.wait_for(rf"Diff {parent} \S+ → {child} ", "VM +one, used by both")
        terminal.keys("1")
        terminal.wait_for(rf"^│.*\b{child} ")
        terminal.keys("9", "Enter")
        screen = terminal.wait_for(
            "A child without CLONE_VM", "kernel +shared: the parent sees the change", "Enter next"
        )
        assert pids(screen) != (parent, child)
        parent, child = pids(screen)
        terminal.keys("2")
        terminal.wait_for(rf"Diff {parent} \S+ → {child} ", "VM +two, each has its own")
        terminal.keys("9", "Escape")
        terminal.wait_for("sharing ■ ended", "It was ended before its end")
        assert until(lambda: not Path(f"/proc/{parent}").exists())
        terminal.keys("q")
        assert terminal.wait_for_end() == 0


@pytest.mark.parametrize(("size", "env"), [((120, 40), {"TERM": "linux"}), ((200, 60), {"NO_COLOR": "1"})])
def test_who_quits_at_a_scene_leaves_nothing(size: tuple[int, int], env: dict[str, str], nothing_left: Census) -> None:
    with Tmux(NSVIEW, *size, env=env) as terminal:
        terminal.wait_for("1 Processes", "q Quit")
        terminal.keys("9", "s")
        screen = terminal.wait_for("A child with CLONE_VM", "sharing ▸ waits", "Enter next", HELD)
        found = re.search(HELD, screen)
        assert found is not None
        parent, child = map(int, found.groups())
        assert Path(f"/proc/{child}").exists()
        terminal.keys("q")
        assert terminal.wait_for_end() == 0
        assert not Path(f"/proc/{parent}").exists()
        assert not Path(f"/proc/{child}").exists()


def test_without_colours_the_cursor_and_the_keys_are_seen(nothing_left: Census) -> None:
    with Tmux(NSVIEW, 80, 24, {"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("1 Processes", "q Quit")
        terminal.keys("9")
        terminal.wait_for("sharing +Which things", "Enter runs it")

        def reversed_line(screen: str) -> bool:
            return any(re.search(r"\x1b\[(?:\d+;)*7m", line) and "Which things" in line for line in screen.splitlines())

        assert until(lambda: reversed_line(terminal.screen(escapes=True))), "the cursor"
        # An offer is a button for the mouse as well.
        lines = terminal.screen().splitlines()
        row = next(index for index, line in enumerate(lines) if "s step by step" in line)
        terminal.click(lines[row].index("step by step"), row)
        terminal.wait_for("sharing ▸ waits", "Enter next")
        terminal.keys("Escape")
        terminal.wait_for("sharing ■ ended")
        terminal.keys("q")
        assert terminal.wait_for_end() == 0
