"""``nsview ps`` shows every process, its tree and the namespaces it does not share."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import termios

import pytest
from listed import json_of, nsview, text_of

pytestmark = pytest.mark.needs("unshare", "user_namespace")


@pytest.fixture
def contained():
    """A shell in uts and user namespaces of its own."""
    with subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--uts", "sh", "-c", "echo ready; read forever"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        assert process.stdin
        process.stdin.close()


def row_of(pid: int, lines: list[str]) -> list[str]:
    return next(words for words in map(str.split, lines) if words[0] == str(pid))


def test_heading_names_the_columns_and_can_be_left_out():
    assert text_of("ps")[0].split() == ["PID", "USER", "S", "RSS", "THR", "mnpUuiCT", "COMMAND"]
    assert text_of("ps", "--no-header")[0].split()[0] == "1"


def test_own_namespaces_show_as_letters_against_the_parent(contained):
    words = row_of(contained, text_of("ps"))
    assert words[5] == "···Uu···"
    assert words[-1] == "sh"


def test_reference_can_be_any_process(contained):
    lines = text_of("ps", "--flat", "--reference", str(contained))
    assert row_of(contained, lines)[5] == "········"
    assert row_of(os.getpid(), lines)[5] == "···Uu···"
    assert row_of(os.getpid(), text_of("ps", "--reference", "self"))[5] == "········"


def test_tree_draws_a_child_below_its_parent(contained):
    lines = [line.split(None, 6) for line in text_of("ps")]
    pids = [words[0] for words in lines]
    assert pids.index(str(contained)) > pids.index(str(os.getpid()))
    assert lines[pids.index(str(contained))][6].lstrip("│ ").startswith(("├─", "└─"))


def test_flat_list_is_ordered_by_pid_without_lines():
    pids = [int(line.split()[0]) for line in text_of("ps", "--flat", "--no-header")]
    assert pids == sorted(pids)
    assert not any("─" in line for line in text_of("ps", "--flat"))


def test_filter_by_namespace_lists_its_members_only(contained):
    inode = os.stat(f"/proc/{contained}/ns/uts").st_ino
    (line,) = text_of("ps", "--namespace", str(inode), "--no-header")
    assert line.split()[0] == str(contained)


def test_filter_by_user_takes_names_and_numbers():
    by_number = {one["pid"] for one in json_of("ps", "--user", "0")["processes"]}
    assert 1 in by_number
    assert nsview("ps", "--user", "no-such-user").returncode == 2


def test_arguments_are_shown_when_asked_for(contained):
    assert row_of(contained, text_of("ps", "--args"))[-4:] == ["echo", "ready;", "read", "forever"]


def test_json_has_inodes_and_differences_per_kind(contained):
    process = next(one for one in json_of("ps")["processes"] if one["pid"] == contained)
    assert process["namespaces"]["uts"] == os.stat(f"/proc/{contained}/ns/uts").st_ino
    assert {name for name, differs in process["differs"].items() if differs} == {"user", "uts"}
    assert (process["ppid"], process["comm"], process["uid"]) == (os.getpid(), "sh", os.geteuid())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--reference", "4194305"), "no process 4194305"),
        (("--reference", "mother"), "'mother' is neither"),
        (("--namespace", "12"), "no process is in a namespace 12"),
        (("--user", "no-such-user"), "there is no user"),
        (("--flat", "--tree"), "not allowed with"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(words, says):
    done = nsview("ps", *words)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -m nsview ps | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.lstrip().startswith("PID")


def shown_in_window(columns: int, *words: str) -> list[str]:
    """Run nsview with a terminal of this width as its standard output."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, columns))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with subprocess.Popen([sys.executable, "-m", "nsview", *words], stdout=slave, env=environment) as process:
        os.close(slave)
        pieces = []
        with (
            os.fdopen(master, "rb", buffering=0) as terminal,
            contextlib.suppress(OSError),
        ):  # EIO ends a terminal
            while piece := terminal.read(65536):
                pieces.append(piece)
    assert process.returncode == 0
    return b"".join(pieces).decode().splitlines()


@pytest.mark.needs("pty")
def test_piped_lines_are_not_cut_and_a_terminals_are_fitted():
    long = "x" * 300
    with subprocess.Popen(["sh", "-c", "read forever", long], stdin=subprocess.PIPE) as process:
        piped = text_of("ps", "--args")
        fitted = shown_in_window(60, "ps", "--args")
        assert process.stdin
        process.stdin.close()
    assert any(long in line for line in piped)
    assert max(map(len, fitted)) == 60


@pytest.mark.needs("root")
def test_without_privilege_others_namespaces_are_question_marks(nobody):
    done = nobody("python", "-m", "nsview", "ps", "--flat", "--no-header")
    assert done.returncode == 0, done.stderr
    cells = {line.split()[0]: line.split()[5] for line in done.stdout.splitlines()}
    assert cells[str(os.getpid())] == "????????"
