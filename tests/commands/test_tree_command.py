"""``nsview tree`` shows who made whom, and where a process is in other namespaces than its parent."""

from __future__ import annotations

import os
import subprocess

import pytest
from listed import json_of, nsview, text_of
from windows import shown_in_window

pytestmark = pytest.mark.needs("unshare", "user_namespace")


def line_of(pid: int, lines: list[str]) -> str:
    return next(line for line in lines if line.split()[0] == str(pid))


def test_a_boundary_is_marked_with_a_diamond(contained):
    lines = text_of("tree")
    line = line_of(contained, lines)
    assert line.endswith("◆ sh")
    assert line.split()[2] == "···Uu···"
    assert "◆" not in line_of(os.getpid(), lines)


def test_a_filter_keeps_the_ancestors_of_what_matches_in_parentheses(contained):
    lines = text_of("tree", f"pid={contained}", "--no-header")
    assert line_of(contained, lines).endswith("◆ sh")
    above = [line for line in lines if line.split()[0] != str(contained)]
    assert str(os.getpid()) in [line.split()[0] for line in above]
    assert all(line.endswith(")") for line in above)
    assert lines[-1].split()[0] == str(contained)


def test_without_a_filter_nothing_is_in_parentheses():
    assert not line_of(os.getpid(), text_of("tree")).endswith(")")


@pytest.mark.needs("pty")
def test_on_a_terminal_ancestors_are_dim_unless_colours_are_unwanted(contained):
    command = ("tree", f"pid={contained}", "--no-header")
    lines = shown_in_window(200, *command)
    assert all(line.startswith("\x1b[2m") and line.endswith("\x1b[0m") for line in lines[:-1])
    assert "\x1b" not in lines[-1]
    assert not any("(" in line for line in lines)
    assert not any("\x1b" in line for line in shown_in_window(200, *command, NO_COLOR="1"))


def test_namespaces_can_have_a_line_of_their_own(contained):
    lines = text_of("tree", "--namespaces", f"pid={contained}", "--no-header")
    uts, user = (os.stat(f"/proc/{contained}/ns/{name}").st_ino for name in ("uts", "user"))
    entered, process = lines[-2:]
    assert entered.strip().endswith(f"◆ user:[{user}] uts:[{uts}]")
    assert process.split()[0] == str(contained)
    assert process.index("└─ sh") == entered.index("◆")


def test_siblings_can_be_sorted_and_columns_chosen():
    with subprocess.Popen(["sleep", "60"]) as older, subprocess.Popen(["sleep", "60"]) as younger:
        ours = f"ppid={os.getpid()}"
        lines = text_of("tree", ours, "-o", "pid,age,comm", "--sort", "-pid")
        pids = [line.split()[0] for line in lines]
        plain = [line.split()[0] for line in text_of("tree", ours)]
        older.kill()
        younger.kill()
    assert lines[0].split() == ["PID", "AGE", "COMMAND"]
    first, last = sorted((older.pid, younger.pid), reverse=True)
    assert pids.index(str(first)) < pids.index(str(last))
    assert plain.index(str(older.pid)) < plain.index(str(younger.pid))  # by start time


def test_json_has_every_process_in_the_order_drawn(contained):
    processes = json_of("tree", f"pid={contained}")["processes"]
    last = processes[-1]
    assert (last["pid"], last["parent"], last["matches"]) == (contained, os.getpid(), True)
    assert last["entered"] == ["user", "uts"]
    assert last["depth"] == len(processes) - 1
    assert [one["depth"] for one in processes] == list(range(len(processes)))
    assert not any(one["matches"] for one in processes[:-1])
    assert [one["parent"] for one in processes] == [None, *(one["pid"] for one in processes[:-1])]


def test_whole_tree_has_every_process_below_its_parent():
    processes = json_of("tree")["processes"]
    seen = set()
    for one in processes:
        assert one["parent"] is None or one["parent"] in seen
        seen.add(one["pid"])
    assert os.getpid() in seen


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--reference", "4194305"), "no process 4194305"),
        (("ns.net=4194305",), "no process 4194305"),
        (("comm=a", "(b"), "this '(' is not closed"),
        (("-o", "pid,nothing"), "there is no column 'nothing'"),
        (("--sort", "-nothing"), "there is no column 'nothing'"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(words, says):
    done = nsview("tree", *words)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
