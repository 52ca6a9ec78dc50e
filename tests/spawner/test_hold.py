"""A child held before a step: what has happened by then, and only that."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from running import EVERYTHING, PLANNING, read_all, shell

from spawner import LaunchError, Mechanism, Spec, Stdio, compile_spec, launch

TRUE = Spec(args=("/bin/true",), env=())
HOLDING = (Mechanism.CLONE3, Mechanism.CLONE, Mechanism.FORK, Mechanism.FORK_UNSHARE)


def outside(pid: int, kind: str) -> int:
    return int(os.readlink(f"/proc/{pid}/ns/{kind}").split("[")[1].rstrip("]"))


@pytest.mark.parametrize("via", HOLDING)
def test_a_child_held_before_execve_is_still_our_program(via, nothing_left):
    with launch(replace(TRUE, via=via), hold="execve") as child:
        assert child.plan.steps[child.held].label == "execve"
        assert os.readlink(f"/proc/{child.pid}/exe") == os.readlink("/proc/self/exe")
        child.resume()
        assert child.held is None
        assert child.wait().code == 0


@pytest.mark.needs_root
@pytest.mark.parametrize("via", PLANNING)
def test_single_steps_change_one_thing_at_a_time(via, nothing_left):
    spec = replace(TRUE, via=via, namespaces=frozenset({"uts"}), hostname="demo")
    with launch(spec, hold="sethostname") as child:
        assert outside(child.pid, "uts") != outside(os.getpid(), "uts")
        read = ["nsenter", "-t", str(child.pid), "-u", "hostname"]
        assert subprocess.check_output(read, text=True).strip() == socket.gethostname()
        index = child.held
        child.step()
        assert child.held == index + 1
        assert subprocess.check_output(read, text=True).strip() == "demo"
        child.resume()
        assert child.wait().code == 0


@pytest.mark.needs_root
@pytest.mark.parametrize("via", PLANNING)
def test_every_step_can_be_stepped_and_the_program_still_runs(via, nothing_left):
    with launch(replace(EVERYTHING, via=via), hold=0) as child:
        seen = []
        while child.held is not None:
            seen.append(child.held)
            child.step()
        assert seen == list(range(len(child.plan.steps)))
        assert child.wait().code == 0


@pytest.mark.parametrize("via", HOLDING)
def test_closing_a_held_child_leaves_nothing(via, nothing_left):
    child = launch(replace(TRUE, via=via), hold=3)
    pid = child.pid
    child.close()
    assert not os.path.exists(f"/proc/{pid}")
    with pytest.raises(ProcessLookupError):
        child.signal(9)


def test_resume_may_name_the_next_step_to_hold_at(nothing_left):
    with launch(TRUE, hold=0) as child:
        child.resume(hold="close on exec")
        assert child.plan.steps[child.held].label == "close on exec"
        child.resume()
        assert child.wait().code == 0


def test_a_fault_after_a_hold_raises_where_the_child_was_let_go(nothing_left):
    child = launch(TRUE, hold=0, inject=("close on exec", errno.EIO))
    with pytest.raises(LaunchError) as caught:
        child.resume()
    assert caught.value.step == "close on exec"
    child.close()


def test_time_spent_held_counts_for_no_step(nothing_left):
    with launch(TRUE, hold="close on exec") as child:
        first = child.timeline[-1]
        child.resume()
        assert child.wait().code == 0
        events = {event.label: event for event in child.timeline}
    assert first.label == "read ns/time_for_children"
    assert events["close on exec"].start_ns > first.end_ns


def test_two_held_children_do_not_wait_for_each_other(nothing_left):
    with launch(TRUE, hold=0) as first:
        for via in HOLDING:
            with launch(replace(TRUE, via=via), hold=0) as second:
                second.resume()
                assert second.wait().code == 0
        assert first.held == 0
        first.resume()
        assert first.wait().code == 0


def test_a_held_child_knows_its_terminal_only_after_the_step_that_gives_it(nothing_left):
    spec = replace(shell("tty"), stdio=Stdio.PTY)
    with launch(spec, hold="controlling terminal") as child:
        fields = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        assert fields[4] == "0"
        child.step()
        fields = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        assert fields[4] != "0"


def test_plan_must_be_made_for_holding(nothing_left):
    with pytest.raises(ValueError, match="compile_spec"):
        launch(compile_spec(TRUE), hold=0)
    with pytest.raises(ValueError, match=r"no step 'nonsense'; it has .*execve"):
        launch(TRUE, hold="nonsense")
    with pytest.raises(ValueError, match="no step 99"):
        launch(TRUE, hold=99)


def test_pipes_work_after_a_hold(nothing_left):
    with launch(shell("cat"), hold=0) as child:
        os.write(child.stdin, b"through\n")
        child.resume()
        child.close_stream("stdin")
        assert read_all(child.stdout) == "through\n"
        assert child.wait().code == 0
