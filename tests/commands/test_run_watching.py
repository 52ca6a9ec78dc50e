"""What `nsview run` shows of a launch: the plan, each step as it comes, the timeline, the report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from launched import RUN, child_of, children_of, ended, run, running, said
from leftovers import Census, until

from spawner.namespaces import KINDS

# ---- the plan, without running it ----


@pytest.mark.parametrize(
    "options", [(), ("--unshare-all", "-r", "--mount-proc"), ("--via", "fork"), ("--pty",)], ids=str
)
def test_a_dry_run_prints_the_plan_and_runs_nothing(options: tuple[str, ...], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    text = said("--dry-run", *options, "touch", str(mark))
    assert not mark.exists()
    lines = text.splitlines()
    assert lines[0].startswith("# ")
    assert "execve(" in lines[-1]
    steps = [line for line in lines if line.lstrip()[:1].isdigit()]
    assert [int(line.split()[0]) for line in steps] == list(range(len(steps)))


def test_a_dry_run_says_what_a_person_would_not_expect() -> None:
    assert "CLONE_FS" in said("--dry-run", "--clone-flags", "FS", "true")


def test_a_dry_run_writes_no_report(tmp_path: Path) -> None:
    report = tmp_path / "report"
    said("--dry-run", "--report", str(report), "true")
    assert not report.exists()


# strace is told the truth by the kernel, the plan by us
@pytest.mark.needs_root
@pytest.mark.needs("strace")
def test_the_plan_printed_is_what_the_kernel_sees(tmp_path: Path) -> None:
    options = ("-mup", "--hostname", "demo", "--mount-proc", "-w", "/")
    printed = [
        line.split(None, 1)[1].partition("(")[0]
        for line in said("--dry-run", *options, "true").splitlines()
        if line.lstrip()[:1].isdigit()
    ]
    trace = tmp_path / "trace"
    subprocess.run(["strace", "-ff", "-o", trace, *RUN, *options, "true"], check=True, capture_output=True, timeout=60)
    text = next(path.read_text() for path in sorted(tmp_path.glob("trace.*")) if "sethostname(" in path.read_text())
    called = [line.partition("(")[0] for line in text.splitlines()]
    called = [name for name in called if name != "clock_gettime"]
    assert called[: len(printed)] == printed


# ---- step by step ----


def test_stepping_prints_each_step_and_leaves_the_rest_of_the_input_to_the_program() -> None:
    printed = [line.strip() for line in said("--dry-run", "cat").splitlines() if line.lstrip()[:1].isdigit()]
    done = run("--step", "cat", input="\n" * len(printed) + "the rest\n")
    assert (done.returncode, done.stdout) == (0, "the rest\n")
    for line in printed:
        assert " ".join(line.split()) in " ".join(done.stderr.split())


@pytest.mark.parametrize("lines", [0, 1, 5])
def test_at_the_end_of_the_input_the_rest_runs_by_itself(lines: int) -> None:
    done = run("--step", "sh", "-c", "echo ran; exit 7", input="\n" * lines)
    assert (done.returncode, done.stdout) == (7, "ran\n")


def test_a_step_that_fails_is_told_and_ends_it() -> None:
    done = run("--step", "-w", "/no/such", "touch", "/no/such", input="\n" * 100)
    assert done.returncode == 125
    assert done.stderr.splitlines()[-1].startswith("nsview run: chdir /no/such: ENOENT")


def prompt(process: subprocess.Popen[bytes]) -> bytes:
    """The next step, before which it waits: the line is not ended."""
    assert process.stderr is not None
    seen = b""
    while not seen.endswith(b") "):
        part = os.read(process.stderr.fileno(), 4096)
        assert part, f"ended after {seen!r}"
        seen += part
    return seen


def enter(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()


def test_before_its_step_nothing_has_happened_and_after_it_it_has(nothing_left: Census) -> None:
    with running("--step", "-w", "/usr", "true", cwd="/") as process:
        while b'chdir("/usr")' not in prompt(process):
            enter(process)
        (pid,) = children_of(process.pid)
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        enter(process)
        prompt(process)
        assert os.readlink(f"/proc/{pid}/cwd") == "/usr"
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.parametrize("options", [(), ("--via", "fork"), ("--via", "clone"), ("--no-kill-child",)], ids=str)
@pytest.mark.parametrize("steps", [0, 2])
def test_a_child_between_two_steps_dies_with_us(options: tuple[str, ...], steps: int, nothing_left: Census) -> None:
    with running("--step", *options, "true") as process:
        for _ in range(steps):
            prompt(process)
            enter(process)
        prompt(process)
        child = child_of(process)
        process.kill()
        assert until(lambda: ended(child))
        os.close(child)


def test_an_interrupt_between_two_steps_ends_both(nothing_left: Census) -> None:
    with running("--step", "true") as process:
        prompt(process)
        child = child_of(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert ended(child)
        os.close(child)


# ---- what it looked like ----


def test_the_timeline_has_every_step_with_its_time_and_result() -> None:
    done = run("--timeline", "-w", "/", "true")
    assert (done.returncode, done.stdout) == (0, "")
    lines = done.stderr.splitlines()[1:]
    printed = [
        line.split(None, 1)[1]
        for line in said("--dry-run", "-w", "/", "true").splitlines()
        if line.lstrip()[:1].isdigit()
    ]
    assert len(lines) == 1 + len(printed)
    assert lines[0].split()[2].startswith("clone3(")
    starts = [float(line.split()[0]) for line in lines]
    assert starts == sorted(starts)
    for line, call in zip(lines[1:], printed, strict=True):
        assert call in line
    assert lines[-1].endswith(" = 0")


def test_the_timeline_comes_after_the_programs_own_words() -> None:
    done = run("--timeline", "sh", "-c", "echo own >&2; exit 3")
    assert done.returncode == 3
    assert done.stderr.startswith("own\n")


@pytest.mark.needs_root
@pytest.mark.parametrize("via", ["clone3", "clone", "fork+unshare"])
def test_the_report_tells_what_was_so(via: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    links = [f"/proc/self/ns/{kind.proc}" for kind in KINDS]
    options = ("--report", str(report), "--via", via, "-munpUiCT", "-r")
    done = run(*options, "sh", "-c", f"readlink {' '.join(links)}; exit 3")
    told = json.loads(report.read_text())
    assert done.returncode == 3
    inside = [int(line.split("[")[1].rstrip("]")) for line in done.stdout.split()]
    assert [told["namespaces"][kind.name] for kind in KINDS] == inside
    assert told["version"] == 1
    assert told["exit"] == {"code": 3, "signal": None, "core": False}
    assert told["mechanism"] == via
    assert isinstance(told["pid"], int)
    assert isinstance(told["start_time"], int)
    assert told["rusage"]["ru_maxrss"] > 0
    assert told["timeline"][0]["index"] is None
    assert [event["index"] for event in told["timeline"][1:]] == list(range(len(told["timeline"]) - 1))
    assert all(event["end_ns"] >= event["start_ns"] for event in told["timeline"])


def test_a_signal_is_in_the_report(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert run("--report", str(report), "sh", "-c", "kill -TERM $$").returncode == 143
    assert json.loads(report.read_text())["exit"] == {"code": None, "signal": 15, "core": False}


def test_the_report_can_follow_the_programs_output() -> None:
    text = said("--report", "-", "echo", "words")
    first, _, rest = text.partition("\n")
    assert first == "words"
    assert json.loads(rest)["exit"]["code"] == 0


def test_a_report_replaces_an_older_one_whole(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("x" * 100000)
    run("--report", str(report), "true")
    assert json.loads(report.read_text())["exit"]["code"] == 0


# "a host file changed by a failed launch": never
def test_a_failed_launch_makes_no_report_and_leaves_an_older_one(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert run("--report", str(report), "/no/such").returncode == 127
    assert not report.exists()
    report.write_text("older")
    assert run("--report", str(report), "/no/such").returncode == 127
    assert report.read_text() == "older"


# bash's >(command): a FIFO, whose reader must not see an end of file before the report
def test_a_report_can_be_piped_into_a_program(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_text()), daemon=True)
    reader.start()
    assert run("--report", str(fifo), "true").returncode == 0
    reader.join(60)
    assert json.loads(read[0])["exit"]["code"] == 0


def test_the_programs_descriptors_are_only_its_own_also_with_a_report(tmp_path: Path) -> None:
    assert said("--report", str(tmp_path / "report"), "ls", "/proc/self/fd").split() == ["0", "1", "2", "3"]
