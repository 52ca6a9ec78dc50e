"""Stepping a plan and comparing two launches in a real terminal: keys in, screens out, real children, nothing left."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from leftovers import Census
from tmux import Tmux

NSVIEW = (sys.executable, "-m", "nsview")

pytestmark = pytest.mark.needs("tmux", "root", "uts_namespace")


def _own_settings(directory: Path) -> dict[str, str]:
    """An environment in which nothing is remembered from a person's own use."""
    return {"XDG_CONFIG_HOME": str(directory / "config"), "XDG_STATE_HOME": str(directory / "state")}


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_plan_is_stepped_and_each_step_shows_what_it_changed(
    size: tuple[int, int], tmp_path: Path, nothing_left: Census
) -> None:
    machine = os.uname().nodename
    with Tmux(NSVIEW, *size, env=_own_settings(tmp_path)) as terminal:
        terminal.wait_for("1 Processes", "F5 Launch")
        terminal.keys("4", "u")
        terminal.wait_for(r"\[x\] u uts", "CLONE_NEWUTS")
        terminal.keys("F6")
        terminal.wait_for(r"held before open /proc/self/ns", r"▶ +0 open /proc/self/ns", r"since clone3 \(\d+\)")
        terminal.keys("s")
        terminal.wait_for(r"Changed by 0 open /proc/self/ns", "▶ +1 setsid")
        terminal.keys("S")
        terminal.wait_for(r"▶ +3 read ns/mnt", r"controlling terminal")
        terminal.keys("Up")
        terminal.wait_for(r"Changed by 1 setsid", r"session: \d+ → \d+")
        terminal.keys("x")
        terminal.wait_for(r"given up before read ns/mnt", r"✝ +3 read ns/mnt")
        terminal.keys("x", "q")
        assert terminal.wait_for_end() == 0
    assert os.uname().nodename == machine


def test_fork_and_clone_are_put_side_by_side(tmp_path: Path, nothing_left: Census) -> None:
    with Tmux(NSVIEW, 120, 40, env=_own_settings(tmp_path)) as terminal:
        terminal.wait_for("1 Processes", "F5 Launch")
        terminal.keys("F5")
        terminal.wait_for("sh · running", r"│[#$] +│")
        terminal.keys("C-]", "6", "V")
        terminal.wait_for("Launch the same again", "posix_spawn")
        terminal.keys("Down", "Down", "Enter")
        terminal.wait_for(r"A \d+ sh clone3 · B \d+ sh fork", r"Σ all steps", r"clone3 \| fo\S* +\d")
        terminal.keys("M")
        terminal.wait_for(r"median of 20 clone3", r"median of 20 fork", r"×\d")
        terminal.keys("Escape")
        terminal.wait_for(r"sh · fork · \d+ steps in")
        terminal.keys("q")
        assert terminal.wait_for_end() == 0
