"""`nsview run` ends as its program ends, watches it as asked, and takes nothing half done for done."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from launched import RUN, complaint, run, said
from leftovers import Census, until
from nobody import Runner

from spawner.namespaces import KINDS


def ended(pidfd: int) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))


def children_of(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


@contextmanager
def running(*arguments: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """`nsview run` in the background, ended with all its kin when the test is over."""
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    with subprocess.Popen([*RUN, *arguments], **streams) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            for pid in children_of(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.kill()


def child_of(process: subprocess.Popen[bytes]) -> int:
    """A pidfd of the only child, once it is there."""
    (pid,) = until(lambda: children_of(process.pid))
    return os.pidfd_open(pid)


# ---- the status ----


@pytest.mark.parametrize("code", [0, 1, 2, 42, 125, 126, 127, 128, 255])
def test_the_status_is_the_programs(code: int) -> None:
    assert run("sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "ABRT", "KILL", "SEGV", "PIPE", "TERM"])
def test_a_signal_is_told_as_a_shell_does(name: str) -> None:
    number = signal.Signals[f"SIG{name}"]
    assert run("sh", "-c", f"kill -{name} $$").returncode == 128 + number


@pytest.mark.parametrize("via", ["auto", "clone3", "clone", "fork", "vfork", "fork+unshare", "posix_spawn"])
def test_every_call_tells_statuses_alike(via: str, tmp_path: Path) -> None:
    unfit = tmp_path / "unfit"
    unfit.write_text("text")
    assert run("--via", via, "sh", "-c", "exit 7").returncode == 7
    assert run("--via", via, "sh", "-c", "kill -9 $$").returncode == 137
    assert "not found" in complaint(run("--via", via, "/no/such"), 127)
    assert "not executable" in complaint(run("--via", via, str(unfit)), 126)


def test_what_is_not_found_is_127(tmp_path: Path) -> None:
    assert "no-such-program: ENOENT" in complaint(run("no-such-program"), 127)
    assert "/no/such: ENOENT" in complaint(run("/no/such"), 127)
    assert "ENOTDIR" in complaint(run("/bin/true/x"), 127)
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    assert "interpreter" in complaint(run(str(script)), 127)


def test_what_cannot_be_executed_is_126(tmp_path: Path) -> None:
    assert "directory" in complaint(run("/"), 126)
    text = tmp_path / "text"
    text.write_text("echo text\n")
    text.chmod(0o755)
    assert "ENOEXEC" in complaint(run(str(text)), 126)
    with text.open("a"):
        assert "ETXTBSY" in complaint(run(str(text)), 126)


@pytest.mark.needs_root
@pytest.mark.parametrize(
    "words", [("/no/such",), ("-w", "/no/such", "true"), ("--mount-proc=/no/such", "true")], ids=str
)
def test_a_failure_inside_namespaces_leaves_nothing(words: tuple[str, ...], nothing_left: Census) -> None:
    assert run("-munipCT", *words).returncode in (125, 127)


def test_stdio_is_passed_through() -> None:
    done = run("sh", "-c", "cat; echo error >&2", input="some\ntext")
    assert (done.stdout, done.stderr, done.returncode) == ("some\ntext", "error\n", 0)


# a pipeline's reader that goes away is no error of ours
def test_a_program_whose_reader_goes_away_ends_by_sigpipe() -> None:
    script = f"{' '.join(RUN)} yes | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("y\n", "", 128 + signal.SIGPIPE)


@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("status", [0, 7])
def test_the_status_is_the_programs_also_without_stdio(closing: str, status: int) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{' '.join(RUN)} sh -c 'exit {status}' {closing}"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (status, "")


def test_closed_stdio_stays_closed_for_the_program(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = f"{' '.join(RUN)} sh -c 'ls /proc/self/fd > {out}' <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], timeout=60).returncode == 0
    assert out.read_text().split() == ["0", "1"]  # its output, and ls reading the directory


# bubblewrap 0.11.1 #705: what started us may ignore SIGCHLD
@pytest.mark.parametrize("via", ["auto", "fork+unshare"])
def test_the_status_is_told_truly_or_refused_where_sigchld_is_ignored(via: str) -> None:
    done = run("--via", via, "sh", "-c", "exit 7", preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert done.returncode in (7, 125)


# ---- privileges ----


@pytest.mark.needs_root
@pytest.mark.parametrize("letter", [kind.letter for kind in KINDS if kind.name != "user"])
def test_without_privilege_a_namespace_is_refused_with_what_would_help(letter: str, nobody: Runner) -> None:
    line = complaint(nobody("nsview", "run", f"-{letter}", "true"))
    assert "EPERM" in line
    assert "root" in line
    assert "-r" in line


@pytest.mark.needs_root
def test_without_privilege_everything_works_with_a_user_namespace(nobody: Runner) -> None:
    done = nobody(
        "nsview", "run", "-rmunipCT", "--mount-proc", "--hostname", "demo", "sh", "-c", "id -u; hostname; echo $$"
    )
    assert (done.returncode, done.stdout) == (0, "0\ndemo\n1\n"), done.stderr


@pytest.mark.needs_root
@pytest.mark.parametrize("via", ["clone3", "clone", "fork+unshare"])
def test_without_privilege_the_id_of_another_cannot_be_told_by_its_name(via: str, nobody: Runner) -> None:
    done = nobody("nsview", "run", "--via", via, "--map-user", "root", "id", "-u")
    assert (done.returncode, done.stdout) == (0, "0\n")  # our own id, called 0 inside
    line = complaint(nobody("nsview", "run", "--via", via, "-r", "--setgroups", "allow", "true"))
    assert line.startswith("write gid_map")
    assert "setgroups" in line


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


def test_before_its_step_nothing_has_happened_and_after_it_it_has(nothing_left: Census) -> None:
    with running("--step", "-w", "/usr", "true", cwd="/") as process:
        assert process.stdin is not None
        assert process.stderr is not None
        seen = b""
        while b'chdir("/usr")' not in seen:
            seen += os.read(process.stderr.fileno(), 4096)
            if b'chdir("/usr")' not in seen:
                process.stdin.write(b"\n")
                process.stdin.flush()
        (pid,) = children_of(process.pid)
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        process.stdin.write(b"\n")
        process.stdin.flush()
        os.read(process.stderr.fileno(), 4096)
        assert os.readlink(f"/proc/{pid}/cwd") == "/usr"
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.parametrize("options", [(), ("--via", "fork"), ("--via", "clone"), ("--no-kill-child",)], ids=str)
@pytest.mark.parametrize("steps", [0, 2])
def test_a_child_between_two_steps_dies_with_us(options: tuple[str, ...], steps: int, nothing_left: Census) -> None:
    with running("--step", *options, "true") as process:
        assert process.stdin is not None
        assert process.stderr is not None
        for _ in range(steps):
            os.read(process.stderr.fileno(), 4096)
            process.stdin.write(b"\n")
            process.stdin.flush()
        os.read(process.stderr.fileno(), 4096)
        child = child_of(process)
        process.kill()
        assert until(lambda: ended(child))
        os.close(child)


def test_an_interrupt_between_two_steps_ends_both(nothing_left: Census) -> None:
    with running("--step", "true") as process:
        assert process.stderr is not None
        os.read(process.stderr.fileno(), 4096)
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


# ---- time and signals ----


@pytest.mark.parametrize("options", [(), ("--via", "fork"), ("--via", "posix_spawn")], ids=str)
def test_a_program_that_takes_too_long_is_killed_and_that_is_said(
    options: tuple[str, ...], nothing_left: Census
) -> None:
    done = run("--timeout", "0.2", *options, "sleep", "1000")
    assert done.returncode == 128 + signal.SIGKILL
    assert done.stderr == "nsview run: killed after 0.2 s\n"


@pytest.mark.parametrize("seconds", ["60", "3000000", "99999999"])
def test_a_program_that_ends_in_time_is_not(seconds: str) -> None:
    done = run("--timeout", seconds, "sh", "-c", "exit 7")
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_signals_are_forwarded_if_asked_for(name: str, nothing_left: Census) -> None:
    script = f"trap 'echo got; exit 5' {name}; echo ready; while :; do read x; done"
    with running("--forward-signals", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.Signals[f"SIG{name}"])
        assert process.stdout.readline() == b"got\n"
        assert process.wait(60) == 5


def test_a_forwarded_signal_that_kills_is_the_programs_end(nothing_left: Census) -> None:
    with running("--forward-signals", "sh", "-c", "echo ready; exec sleep 1000") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM


def test_a_signal_forwarded_as_the_program_ends_takes_nothing_from_the_report(nothing_left: Census) -> None:
    done = run("--forward-signals", "--report", "-", "sh", "-c", "trap '' TERM; kill -TERM $PPID; exit 3")
    assert done.returncode == 3
    assert json.loads(done.stdout)["rusage"] is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_without_it_a_signal_ends_us_and_the_program(number: int, nothing_left: Census) -> None:
    with running("sh", "-c", "echo ready; exec sleep 1000") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        child = child_of(process)
        process.send_signal(number)
        assert process.wait(60) == -number
        assert until(lambda: ended(child))
        os.close(child)


@pytest.mark.needs_root
@pytest.mark.parametrize(
    "options", [("-p",), ("--unshare-all", "-r"), ("-p", "--via", "fork+unshare"), ("--pty",)], ids=str
)
def test_killed_we_take_the_program_with_us(options: tuple[str, ...], nothing_left: Census) -> None:
    with running(*options, "sh", "-c", "echo ready; exec sleep 1000") as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"ready"
        child = child_of(process)
        process.kill()
        assert until(lambda: ended(child))
        os.close(child)


def test_asked_not_to_we_leave_it_alive() -> None:
    with running("--no-kill-child", "sh", "-c", "echo ready; read x; echo alive") as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"ready\n"
        child = child_of(process)
        process.kill()
        process.wait(60)
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"alive\n"
        assert until(lambda: ended(child))
        os.close(child)


def test_the_signal_of_our_death_is_the_one_asked_for() -> None:
    script = "trap 'echo got; exit' TERM; echo ready; while :; do read x; done"
    with running("--kill-child=TERM", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"ready\n"
        child = child_of(process)
        process.kill()
        assert process.stdout.readline() == b"got\n"
        assert until(lambda: ended(child))
        os.close(child)


# Ctrl-C reaches the whole foreground group: the program decides, we tell how it ended
def test_an_interrupt_from_the_terminal_is_the_programs_to_handle(nothing_left: Census) -> None:
    script = "trap 'exit 5' INT; echo ready; while :; do read x; done"
    with running("sh", "-c", script, process_group=0) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"ready\n"
        # Python's own handling ends once the child runs; from then on the interrupt is not ours.
        assert until(
            lambda: (
                int(
                    next(
                        line.split()[1]
                        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
                        if line.startswith("SigIgn")
                    ),
                    16,
                )
                >> (signal.SIGINT - 1)
                & 1
            )
        )
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 5
