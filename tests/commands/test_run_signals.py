"""Who ends whom: time limits, signals to `nsview run` and its death, and what becomes of the program."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from launched import child_of, ended, run, running
from leftovers import Census, until


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
