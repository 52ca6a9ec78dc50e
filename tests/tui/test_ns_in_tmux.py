"""The inspector in a real terminal: a launched child's namespaces followed, the machine's list, a tree, and back."""

from __future__ import annotations

import os
import re
import sys

import pytest
from leftovers import Census
from nobody import Runner
from tmux import Tmux

NSVIEW = (sys.executable, "-m", "nsview")

pytestmark = pytest.mark.needs("tmux", "root", "uts_namespace")


@pytest.mark.parametrize("term", ["xterm-256color", "screen-256color", "linux"])
def test_a_childs_namespaces_are_followed_listed_and_left(term: str, nothing_left: Census) -> None:
    ours = os.stat("/proc/self/ns/uts").st_ino
    with Tmux(NSVIEW, 120, 40, {"TERM": term}) as terminal:
        terminal.wait_for("1 Processes", "F5 Launch")
        terminal.keys("4", "u")
        terminal.wait_for(r"\[x\] u uts|u uts", "CLONE_NEWUTS")
        terminal.keys("F5")
        terminal.wait_for("sh · running")
        terminal.keys("C-]")
        terminal.wait_for("q Quit")
        terminal.keys("3", "u")
        screen = terminal.wait_for(r"Namespaces of \d+ sh", r"uts:\[\d+\] u\d+ sh · 1 process", "→ leader", "searched")
        found = re.search(r"uts:\[(\d+)\] u\d+ sh · 1 process", screen)
        assert found is not None
        assert int(found[1]) != ours
        terminal.keys("Escape")
        terminal.wait_for(r"all \d+", "INODE", "m1 ")
        terminal.keys("z", "u")
        terminal.wait_for(rf"{ours} ", rf"{found[1]} +1 ", lambda screen: "│m1 " not in screen)
        terminal.keys("t", "t")
        terminal.wait_for("owner tree")
        terminal.keys("z", "l")
        terminal.wait_for(r"Namespaces of \d+ sh")
        terminal.keys("q")
        assert terminal.wait_for_end() == 0


def test_without_colours_the_chosen_kind_and_the_cursor_are_seen(nothing_left: Census) -> None:
    with Tmux(NSVIEW, 80, 24, {"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("1 Processes", "nsview")
        terminal.keys("3", "Escape")
        terminal.wait_for("INODE")
        terminal.keys("U")
        terminal.wait_for("U1", lambda screen: "m1 " not in screen)
        lines = terminal.screen(escapes=True).splitlines()
        reversed_lines = [line for line in lines if re.search(r"\x1b\[(?:\d+;)*7m", line)]
        assert any("U " in line for line in reversed_lines), "the chosen kind"
        assert any("U1" in line for line in reversed_lines), "the cursor"
        terminal.keys("q")
        assert terminal.wait_for_end() == 0


def test_without_privilege_it_says_how_much_is_not_to_be_known(nobody: Runner, nothing_left: Census) -> None:
    with Tmux(nobody.command("python", "-m", "nsview"), 80, 24, env=nobody.environment()) as terminal:
        terminal.wait_for("1 Processes", "not root")
        terminal.keys("3", "u")
        terminal.wait_for(r"uts:\[\d+\] u1 \S+ · \d+ process(es)?, \d+ unknown", "host name", "searched .* not all")
        terminal.keys("R")
        terminal.wait_for(r"namespaces in \d+\.\d s; not", "looked")
        terminal.keys("q")
        assert terminal.wait_for_end() == 0
