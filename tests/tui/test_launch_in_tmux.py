"""The launch panel in a real terminal: a limit typed in a section, saved, loaded and repeated in another session."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from leftovers import Census
from tmux import Tmux

NSVIEW = (sys.executable, "-m", "nsview")

pytestmark = pytest.mark.needs("tmux", "root", "uts_namespace")


def begun(terminal: Tmux) -> None:
    """Wait for the tree and go to the launch panel."""
    terminal.wait_for("1 Processes")
    terminal.keys("4")
    terminal.wait_for("4 Launch", "CLONE_NEWNS Gives the child")


def asks_for_its_limit(terminal: Tmux) -> None:
    """Have the shell in front print its limit of open files, which is that of the panel."""
    terminal.wait_for("5 Terminal", "sh · running", r"│[#$]")
    terminal.type("echo limit=$(ulimit -n)")
    terminal.keys("Enter")
    terminal.wait_for("^│limit=77 ")


@pytest.mark.parametrize("term", ["xterm-256color", "linux"])
def test_a_limit_is_typed_saved_loaded_and_repeated(term: str, tmp_path: Path, nothing_left: Census) -> None:
    env = {"TERM": term, "XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_STATE_HOME": str(tmp_path / "s")}
    command = ("env", f"TERM={term}", *NSVIEW)
    with Tmux(command, 80, 24, env) as terminal:
        begun(terminal)
        terminal.keys("u", *["Tab"] * 7)
        terminal.wait_for(r"\[x\] u uts|▶ Limits")
        terminal.keys("Enter")
        terminal.wait_for("▼ Limits", "--rlimit NAME=SOFT")
        terminal.type("NOFIL=77")
        terminal.wait_for("did you mean NOFILE")
        terminal.keys(*["BSpace"] * 3)
        terminal.type("E=77")
        terminal.wait_for("Limits: 1 set: rlimit", "EWUTS")
        terminal.keys("F2")
        terminal.wait_for("Save as a profile")
        terminal.type("few files")
        terminal.keys("Enter")
        terminal.wait_for("Saved few files.toml")
        terminal.keys("F5")
        asks_for_its_limit(terminal)
        terminal.keys("C-]", "q")
        assert terminal.wait_for_end() == 0
    assert "RLIMIT_NOFILE" in (tmp_path / "c/nsview/profiles/few files.toml").read_text()
    with Tmux(command, 80, 24, env) as terminal:
        begun(terminal)
        terminal.keys("F3")
        terminal.wait_for("Load a profile", "few files.toml")
        terminal.keys("Down", "Enter")
        terminal.wait_for("Loaded few files.toml", r"\[x\] u uts")
        terminal.keys("F5")
        asks_for_its_limit(terminal)
        terminal.keys("C-]", "4")
        terminal.wait_for("4 Launch")
        terminal.keys("F4")
        terminal.wait_for(r"sh  \(-u --rlimit NOFILE=77\)")
        terminal.keys("F5")
        terminal.wait_for(r"2▸\d+ sh · running")
        asks_for_its_limit(terminal)
        terminal.keys("C-]", "q")
        assert terminal.wait_for_end() == 0
