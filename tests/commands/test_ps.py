"""``nsview ps`` shows every process, its tree and the namespaces it does not share."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from listed import json_of, nsview, text_of
from windows import shown_in_window

from nsview.host.columns.processes import PROCESS_COLUMNS

pytestmark = pytest.mark.needs("unshare", "user_namespace")


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
        (("--pids", "1,x"), "'1,x' is no list of pids"),
        (("--interval", "0"), "'0' is no time in seconds"),
        (("-o", "pid,rs"), "there is no column 'rs'; did you mean"),
        (("-o", "-pss"), "column pss is not shown"),
        (("-o", "-pid,-user,-state,-rss,-threads,-ns,-comm"), "no column is left"),
        (("--sort", "-tiem"), "did you mean time?"),
        (("wieght>10M",), "there is no column 'wieght' (at character 1); "),
        (("rss>10X",), "an amount, as 4096, 10M or 1.5G (at character 5)"),
        (("ns.net=4194305.net",), "no process 4194305"),
        (("comm=\x1b[31m", "("), "a term is missing here (at character 13)"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(words, says):
    done = nsview("ps", *words)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_filter_is_shown_with_a_caret_below_the_place():
    done = nsview("ps", "user=root", "wieght>10M")
    assert done.stderr.splitlines()[1:] == ["  user=root wieght>10M", "            ^"]


def test_filter_takes_any_column(contained):
    def found(*words: str) -> set[int]:
        return {one["pid"] for one in json_of("ps", *words)["processes"]}

    assert found(f"pid={contained}") == {contained}
    assert found("ns.uts!=parent", f"ppid={os.getpid()}") == {contained}
    assert contained in found("ns!=parent", "ns:U", "!ns:m", "(comm=sh or comm=dash)", "age<1h", "threads=1")
    assert contained in found("/^sh .*forever$/")
    assert contained in found("ns.net=self", f"ns.uts!={os.getpid()}.uts")
    assert contained not in found("ns.uts=self")
    assert contained in found("exe~/sh$|dash|busybox", "fds>0", "caps:SYS_ADMIN")
    assert found("comm=?") == set()


def test_options_may_stand_between_the_words_of_a_filter(contained):
    mine = f"ppid={os.getpid()}"
    for words in (
        (mine, "--flat", "ns.uts!=parent"),
        ("--flat", mine, "-o", "pid", "ns.uts!=parent", "--no-header"),
        ("--no-header", "--", mine, "ns.uts!=parent"),
    ):
        line = text_of("ps", *words)[-1]
        assert line.split()[0] == str(contained), words
    assert nsview("ps", "--", "-no-such-text").returncode == 0


def test_columns_can_be_named_added_and_taken_away(contained):
    assert text_of("ps", "-o", "pid,age,comm")[0].split() == ["PID", "AGE", "COMMAND"]
    assert text_of("ps", "-o", "+pss,-rss", "-o", "-user")[0].split() == [
        "PID",
        "S",
        "THR",
        "mnpUuiCT",
        "COMMAND",
        "PSS",
    ]
    words = text_of("ps", "-o", "pid,ppid,ns.uts,exe", f"pid={contained}", "--no-header")[0].split()
    inode = os.stat(f"/proc/{contained}/ns/uts").st_ino
    assert words == [str(contained), str(os.getpid()), str(inode), os.readlink(f"/proc/{contained}/exe")]


def test_rows_are_sorted_by_columns_and_the_unknown_comes_last():
    def column(name: str, *words: str) -> list:
        return [one["columns"][name] for one in json_of("ps", "-o", name, *words)["processes"]]

    rss = column("rss", "--sort", "rss")
    assert rss == sorted(rss)
    most = column("rss", "--sort", "-rss")
    assert most[0] > most[-1]
    assert most == sorted(most, reverse=True)
    exe = column("exe", "--sort", "exe")
    known = [one for one in exe if one is not None]
    assert exe == sorted(known) + [None] * (len(exe) - len(known))
    both = [(one["uid"], -one["pid"]) for one in json_of("ps", "--sort", "uid,-pid")["processes"]]
    assert both == sorted(both)


def test_a_list_that_is_sorted_is_flat_unless_a_tree_is_asked_for(contained):
    assert not any("─" in line for line in text_of("ps", "--sort", "-rss"))
    assert any("─" in line for line in text_of("ps", "--sort", "-rss", "--tree"))


def test_rates_are_of_the_time_between_two_looks():
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as spinning:
        (busy,) = json_of("ps", f"pid={spinning.pid}", "-o", "cpu,cpu.life", "--interval", "0.3")["processes"]
        filtered = json_of("ps", "cpu>1", "--interval", "0.3")["processes"]
        spinning.kill()
    assert busy["columns"]["cpu"] > 0
    assert busy["columns"]["cpu.life"] > 0
    assert spinning.pid in [one["pid"] for one in filtered]


def test_processes_are_chosen_by_pid(contained):
    pids = [one["pid"] for one in json_of("ps", "-p", f"{contained},{os.getpid()},4194305")["processes"]]
    assert pids == sorted([contained, os.getpid()])


def test_help_lists_every_column():
    names = [line.split()[0] for line in text_of("ps", "--columns", "help")]
    assert names == ["NAME", *(column.name for column in PROCESS_COLUMNS)]


def test_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -m nsview ps | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.lstrip().startswith("PID")


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
