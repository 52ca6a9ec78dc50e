"""``nsview bench``: every row run for real, with few samples; its times are for people."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from leftovers import Census, until
from listed import json_of, nsview, text_of
from nobody import Runner

from nsview import cli
from nsview.bench import launches
from nsview.bench.compiler import YARDSTICKS, build
from nsview.bench.container import judged
from nsview.bench.outcome import Standing, State, Verdict, judge, p95
from nsview.bench.peer import PEERS, Peer
from nsview.bench.row import Aim, Contestant, FailedError, Figure
from nsview.bench.side import Side
from nsview.bench.table import ROWS, find
from nsview.host.text import width

SIX = {"mount", "uts", "ipc", "pid", "user", "cgroup"}
BEYOND = {
    "bwrap": {"time namespace", "limit on files", "limit on memory", "limit on tasks"},
    "runc": {"time namespace"},
}
"""What a launcher of this age cannot do (launchers.py); a newer one may."""


def contestants(document: Any, row: str) -> dict[str, dict[str, Any]]:
    found = next(each for each in document["rows"] if each["name"] == row)
    assert (found["left_out"], found["error"]) == (None, None)
    return {each["name"]: each for each in found["contestants"]}


def failures(document: Any) -> dict[str, str]:
    """Who failed in which row, and what it said."""
    return {
        f"{row['name']}: {each['name']}": each["why"]
        for row in document["rows"]
        for each in row["contestants"]
        if each["state"] == "failed"
    }


def assert_measured(document: Any, row: str, samples: int, *, but: frozenset[str] = frozenset()) -> None:
    found = contestants(document, row)
    assert list(found) == [each.name for each in find(row).contestants]
    for name, each in found.items():
        if name in but:
            continue
        if not each["installed"]:
            assert (each["state"], each["why"]) == ("not installed", f"apt install {each['package']}")
            continue
        assert (each["state"], each["why"]) == ("measured", None)
        assert each["count"] == samples
        assert 0 < each["least"] <= each["lower"] <= each["median"] <= each["upper"] <= each["most"]
        assert each["least"] <= each["p95"] <= each["most"]
        if each["against"] is not None:
            assert each["ratio"] == each["median"] / found[each["against"]]["median"]


# ---- the table of rows ----


def test_the_rows_are_listed_with_their_aims_and_who_takes_part() -> None:
    lines = text_of("bench", "--list")
    assert [line.partition(":")[0] for line in lines if line and line[0].isalpha()][: len(ROWS)] == [
        row.name for row in ROWS
    ]
    assert "  aim: launch() ≤ 1.3 × plain C" in lines
    assert "  aim: nsview (p95) ≤ 50ms" in lines
    listed = json_of("bench", "--list")
    assert [row["name"] for row in listed["rows"]] == [row.name for row in ROWS]
    assert all(width(line) <= 80 for line in lines)


def test_what_a_row_refers_to_is_there() -> None:
    for row in ROWS:
        names = {each.name for each in row.contestants}
        assert len(names) == len(row.contestants)
        assert {each.against for each in row.contestants} <= {*names, None}
        assert {aim.of for aim in row.aims} | {aim.against for aim in row.aims} <= {*names, None}
        assert {each.program for each in row.contestants} <= {*PEERS, None}


def test_an_unknown_row_is_one_message_with_what_it_may_have_been_meant_to_be() -> None:
    done = nsview("bench", "spawm")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no row is called 'spawm'; did you mean spawn?" in done.stderr


@pytest.mark.parametrize("words", [("--samples", "0"), ("--samples", "many"), ("--svg", "/proc/1/no/such")])
def test_what_makes_no_sense_is_refused_before_anything_is_measured(words: tuple[str, ...]) -> None:
    done = nsview("bench", "spawn", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nsview bench: ")


# ---- the rows, for real ----


@pytest.mark.needs("root", "cc")
def test_programs_are_launched_into_nothing_and_into_six_namespaces(nothing_left: Census) -> None:
    document = json_of("bench", "spawn", "namespaces", "--samples", "12")
    assert_measured(document, "spawn", 12)
    assert_measured(document, "namespaces", 12)
    assert document["failed"] is False
    for name, each in contestants(document, "namespaces").items():
        assert set(each["did"]) == (set() if name == "Popen into none" else {f"{kind} namespace" for kind in SIX})
        assert each["did_not"] == []


@pytest.mark.needs("root", "cc")
def test_a_large_parent_is_compared_with_a_small_one(nothing_left: Census) -> None:
    document = json_of("bench", "parent", "--quick", "--samples", "2")
    assert_measured(document, "parent", 2)
    aims = document["rows"][0]["aims"]
    assert [aim["verdict"] for aim in aims] == ["not told"] * 2
    assert all("the figure is of a parent of 4.0G" in aim["why"] and aim["value"] > 0 for aim in aims)


@pytest.mark.needs("root", "cc", "bwrap", "runc", "unshare", "memory_controller", "pids_controller")
def test_all_make_the_same_container_but_for_what_they_cannot_do(nothing_left: Census) -> None:
    document = json_of("bench", "container", "--samples", "2")
    assert_measured(document, "container", 2)
    found = contestants(document, "container")
    for name in ("launch()", "nsview run"):
        assert found[name]["did_not"] == []
        assert len(found[name]["did"]) == 21
    for name, beyond in BEYOND.items():
        assert set(found[f"launch() as {name}"]["did_not"]) == beyond
        assert set(found[name]["did_not"]) <= beyond
    kinds = {f"{kind} namespace" for kind in (*SIX, "network")}
    assert kinds <= set(found["unshare(1)"]["did"])
    assert "bubblewrap" in found["bwrap"]["version"]


@pytest.mark.needs("cc")
def test_the_programs_own_look_tells_a_container_from_none(tmp_path: Path, nothing_left: Census) -> None:
    program = build(tmp_path / "program", [YARDSTICKS / "contained.c"], "-static")
    said = subprocess.run([program, "look"], capture_output=True, text=True, check=True).stdout
    did = judged(said)
    for what in ("process 1", "host name", "the prepared root", "read-only root", "seccomp filter", "user namespace"):
        assert did[what] is False
    with pytest.raises(FailedError, match="could not look around to the end: lo is down"):
        judged("lo is down")


@pytest.mark.needs("root", "cc", "bpf", "ps", "lsns")
def test_every_reader_sees_the_whole_crowd(nothing_left: Census) -> None:
    document = json_of("bench", "snapshot", "--quick", "--samples", "1")
    assert_measured(document, "snapshot", 1)
    assert all(each["did"] == ["1000 processes"] for each in contestants(document, "snapshot").values())


@pytest.mark.needs("root", "cc", "unshare")
def test_the_text_has_a_line_for_each_and_the_aims_and_fits_80_columns(nothing_left: Census) -> None:
    lines = text_of("bench", "namespaces", "parent", "--quick", "--samples", "1")
    assert all(width(line) <= 80 for line in lines)
    for row in ("namespaces", "parent"):
        for each in find(row).contestants:
            assert len([line for line in lines if line.startswith(f"  {each.name}  ")]) == 1
    said = [line for line in lines if line.startswith(("  ✓ met: ", "  ✗ MISSED: ", "  – not told: "))]
    assert len(said) == len(find("namespaces").aims) + len(find("parent").aims)
    assert lines[-1].startswith("aims: ")


@pytest.mark.needs("cc")
def test_a_row_is_drawn_into_a_file_and_several_into_a_directory(tmp_path: Path, nothing_left: Census) -> None:
    one, several = tmp_path / "one.svg", tmp_path / "several" / "of them"
    text_of("bench", "spawn", "--samples", "2", "--svg", str(one))
    text_of("bench", "spawn", "--samples", "2", "--svg", str(several))
    assert os.listdir(several) == ["spawn.svg"]
    for picture in (one, several / "spawn.svg"):
        root = ElementTree.fromstring(picture.read_text())
        assert root.tag.endswith("svg")
        words = {text.text for text in root.iter() if text.text}
        assert {each.name for each in find("spawn").contestants} <= words
    done = nsview("bench", "spawn", "namespaces", "--svg", str(one))
    assert (done.returncode, done.stdout) == (2, "")
    assert "a file takes one row, and there are 2" in done.stderr


# ---- who is not here, and who fails ----


@pytest.mark.needs("root", "cc", "memory_controller", "pids_controller")
def test_a_peer_that_is_not_installed_is_told_with_its_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], nothing_left: Census
) -> None:
    monkeypatch.setitem(PEERS, "bwrap", Peer("no-such-bwrap", "bubblewrap"))
    assert cli.main(["bench", "container", "--samples", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  bwrap: not installed: apt install bubblewrap" in lines
    untold = " ".join(lines).partition("– not told: bwrap ≥ 3")[2]
    assert "bwrap: apt install bubblewrap" in " ".join(untold.split())
    assert cli.main(["bench", "container", "--list"]) == 0
    assert "bwrap (not installed: bubblewrap)" in " ".join(capsys.readouterr().out.split())


def test_without_a_compiler_every_row_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], nothing_left: Census
) -> None:
    monkeypatch.setitem(PEERS, "cc", Peer("no-such-cc", "gcc"))
    rows = [row.name for row in ROWS if row.name != "paint"]  # which needs nothing built
    assert cli.main(["bench", *rows, "--quick", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["left_out"] for row in document["rows"]] == ["no-such-cc is not installed (apt install gcc)"] * len(
        rows
    )


def fake(directory: Path, name: str, script: str) -> dict[str, str]:
    """Put a program of this name before the real one; the environment that finds it."""
    program = directory / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}


def bench(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nsview", "bench", *words]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


@pytest.mark.needs("root", "cc", "unshare")
@pytest.mark.parametrize(
    ("row", "good"),
    [
        ("namespaces", 4),
        pytest.param("container", 0, marks=pytest.mark.needs("memory_controller", "pids_controller")),
    ],
    ids=["in the middle", "at once"],
)
def test_who_fails_is_told_with_its_words_and_the_others_are_measured(
    row: str, good: int, tmp_path: Path, nothing_left: Census
) -> None:
    real, count = shutil.which("unshare"), tmp_path / "count"
    count.write_text("0")
    script = f"""[ "$1" = --version ] && exec {real} "$@"
n=$(cat {count}); echo $((n + 1)) > {count}
[ "$n" -ge {good} ] || exec {real} "$@"
echo 'no luck today' >&2
exit 3"""
    env = fake(tmp_path, "unshare", script)
    done = bench(env, row, "--samples", "4", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr, document["failed"]) == (1, "", True)
    assert_measured(document, row, 4, but=frozenset({"unshare(1)"}))
    failed = contestants(document, row)["unshare(1)"]
    assert (failed["state"], failed["why"]) == ("failed", "unshare ended with 3: no luck today")
    assert (failed["count"], failed["median"], failed["ratio"]) == (0, None, None)


@pytest.mark.needs("root", "cc")
def test_a_side_that_is_killed_fails_and_is_asked_no_more(nothing_left: Census) -> None:
    with ExitStack() as stack:
        side = Side(
            [sys.executable, "-c", "import os, sys; input(); sys.stderr.write('dying'); os.kill(os.getpid(), 9)"]
        )
        stack.callback(side.close)
        for _ in range(2):
            with pytest.raises(FailedError, match=r"ended with -9: dying$"):
                side.times("engine none", 1)


@pytest.mark.needs("root", "cc")
def test_plain_c_that_does_something_else_is_no_yardstick(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], nothing_left: Census
) -> None:
    monkeypatch.setitem(launches.CALLS, "none", ("openat", "execve"))
    assert cli.main(["bench", "spawn", "--samples", "1"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "plain C: FAILED: launches.c does openat execve, but the plan is openat readlinkat" in said
    assert "– not told: launch() ≤ 1.3 × plain C (plain C: launches.c does" in said
    assert "1 FAILED" in said


@pytest.mark.needs("root", "cc", "userns")
def test_without_root_each_does_what_it_may_and_the_rest_is_said(nobody: Runner, nothing_left: Census) -> None:
    rows = ("spawn", "namespaces", "parent", "container", "snapshot")
    done = nobody("nsview", "bench", *rows, "--quick", "--samples", "1", "--json")
    document = json.loads(done.stdout)
    assert failures(document) == {}
    assert (done.returncode, done.stderr) == (0, "")
    assert document["machine"]["euid"] == 65534
    for row in ("spawn", "namespaces", "parent"):
        assert_measured(document, row, 1)
    found = contestants(document, "container")
    for each in find("container").contestants:
        if each.root is not None and found[each.name]["installed"]:
            assert found[each.name]["state"] == "left out"
            assert found[each.name]["why"] == "needs root to make control groups: run with sudo"
    assert found["launch() as bwrap"]["state"] == "measured"
    assert set(found["launch() as bwrap"]["did_not"]) == BEYOND["bwrap"]
    read = contestants(document, "snapshot")
    assert read["BPF"]["state"] == "left out"
    assert read["/proc"]["count"] == 1


# ---- ended early ----


def descendants(pid: int) -> dict[int, str]:
    found: dict[int, str] = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            found |= {int(child): Path(f"/proc/{child}/comm").read_text().strip(), **descendants(int(child))}
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.mark.needs("root", "cc", "runc", "memory_controller", "pids_controller")
@pytest.mark.parametrize(
    ("row", "who", "number", "status"),
    [
        ("container", "runc", signal.SIGINT, 130),
        ("container", "runc", signal.SIGTERM, 143),
        ("snapshot", "reader", signal.SIGINT, 130),
        ("parent", "program", signal.SIGHUP, 129),
    ],
)
def test_ended_early_it_leaves_nothing(
    row: str, who: str, number: signal.Signals, status: int, tmp_path: Path, nothing_left: Census
) -> None:
    command = [sys.executable, "-m", "nsview", "bench", row, "--quick", "--samples", "100000"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        process_group=0,
    ) as process:
        assert until(lambda: who in descendants(process.pid).values(), 30)
        os.killpg(process.pid, number)  # as a terminal does
        out, said = process.communicate()
    assert (process.returncode, said) == (status, "")
    assert "aims:" not in out
    assert os.listdir(tmp_path) == []


# ---- what follows from samples ----


def standing(name: str, *values: float) -> Standing:
    return Standing(
        Contestant(name, ""), State.MEASURED if values else State.FAILED, values, "" if values else "no luck"
    )


@pytest.mark.parametrize(
    ("aim", "value", "verdict"),
    [
        (Aim("a", "b", 2.0), 2.0, Verdict.MET),
        (Aim("a", "b", 1.9), 2.0, Verdict.MISSED),
        (Aim("a", "b", 2.0, least=True), 2.0, Verdict.MET),
        (Aim("a", "b", 2.1, least=True), 2.0, Verdict.MISSED),
        (Aim("a", None, 4.0), 4.0, Verdict.MET),
        (Aim("a", None, 5.0, by=Figure.P95), 6.0, Verdict.MISSED),
        (Aim("a", "b", 2.0, asks=("births", "processes")), 2.0, Verdict.UNTOLD),
        (Aim("a", "c", 2.0), None, Verdict.UNTOLD),
    ],
)
def test_an_aim_is_held_against_what_was_measured(aim: Aim, value: float | None, verdict: Verdict) -> None:
    seen = [standing("a", 2, 4, 6), standing("b", 2), standing("c")]
    found = judge(aim, seen, {"processes": "too few"})
    assert (found.value, found.verdict) == (value, verdict)
    assert found.why == ("too few" if aim.asks else "c: no luck" if aim.against == "c" else "")


def test_95_of_100_are_at_most_so() -> None:
    assert p95(range(1, 101)) == 95
    assert p95([7]) == 7
    assert p95([3, 1, 2]) == 3
